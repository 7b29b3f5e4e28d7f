//! `tagfleet-loadtest draw`: pictures and their labels as files.

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    thread,
};

use anyhow::{Context, anyhow};

use super::{Picture, any_picture};

/// Draw pictures whose tags are known, with a `labels.csv` beside them.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Folder for the pictures; made if it is not there.
    #[arg(long)]
    out: PathBuf,
    /// How many to draw.
    #[arg(long, default_value_t = 200)]
    count: u64,
    /// The same seed draws the same pictures.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// Draws the pictures, a share on each core.
pub fn run(args: &Args) -> anyhow::Result<()> {
    fs::create_dir_all(&args.out).with_context(|| format!("cannot make {}", args.out.display()))?;
    let share = args.count.div_ceil(super::inventory::cores() as u64);
    let mut labels = String::from("path,image_type,color\n");
    thread::scope(|scope| {
        let chunks: Vec<_> = (0..args.count)
            .step_by(usize::try_from(share.max(1))?)
            .map(|first| scope.spawn(move || draw_chunk(args, first, args.count.min(first + share))))
            .collect();
        for chunk in chunks {
            let drawn = chunk.join().map_err(|_| anyhow!("a drawing thread died"))??;
            labels.push_str(&drawn);
        }
        anyhow::Ok(())
    })?;
    save(&args.out.join("labels.csv"), labels.as_bytes())?;
    eprintln!("drew {} pictures into {}", args.count, args.out.display());
    Ok(())
}

/// Draws the pictures from `first` to before `end`; returns their lines of the labels.
fn draw_chunk(args: &Args, first: u64, end: u64) -> anyhow::Result<String> {
    let mut labels = String::new();
    for index in first..end {
        let picture = any_picture(args.seed, index, None);
        let name = format!("{index:06}-{}.{}", picture.name, picture.extension());
        save(&args.out.join(&name), &picture.bytes)?;
        writeln!(labels, "{}", label(&name, &picture))?;
    }
    Ok(labels)
}

fn label(name: &str, picture: &Picture) -> String {
    let color = picture.truth.color.map_or("", super::Colour::as_str);
    format!("{name},{},{color}", picture.truth.image_type)
}

fn save(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    fs::write(path, bytes).with_context(|| format!("cannot write {}", path.display()))
}
