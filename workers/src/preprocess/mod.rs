//! `tagfleet-worker preprocess`: the pixels that the models are shown, for
//! whoever trains one. Training that reads them here cannot differ from serving.
//!
//! What a worker would not give to its models has no pixels here either.
//!
//! A worker decodes a picture once for all stages of a set, at a scale that is
//! enough for the largest input. A model of a set with several input sizes has to
//! be trained with the others named, each as `--also-size`.

mod array;

use std::error::Error;
use std::fs::{self, File};
use std::io::{BufRead, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, available_parallelism};

use anyhow::Context;
use clap::Args;
use serde::Serialize;

use self::array::Array;
use crate::config::TaggingConfig;
use crate::decode::{Decoder, InputSize, Pixels};
use crate::{files, source};

/// What to decode, and where to put it.
#[derive(Debug, Args)]
pub struct PreprocessArgs {
    /// Files, folders, or `-`: a path a line from stdin. Each file is a row of the array, in this order.
    #[arg(required = true, value_name = "PATH|-")]
    inputs: Vec<String>,
    /// The input size of the model.
    #[arg(long, value_name = "HEIGHTxWIDTH")]
    size: Size,
    /// Another input size of the model set that the model is for, once for each. Pictures are decoded once for all
    /// sizes, and the largest decides how finely.
    #[arg(long, value_name = "HEIGHTxWIDTH")]
    also_size: Vec<Size>,
    /// The array, for numpy.load: uint8 [N, height, width, 3], RGB. Beside it, FILE.jsonl has a line for
    /// each row: the path, and the picture's format and size, or why there is none. Such a row is black.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

/// A height and a width, as in `224x224`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Size(InputSize);

impl FromStr for Size {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let pixels = |text: &str| text.parse::<u16>().ok().filter(|&pixels| pixels > 0).map(u32::from);
        let (height, width) = text.split_once('x').ok_or("not HEIGHTxWIDTH")?;
        let size = pixels(height).zip(pixels(width)).map(|(height, width)| InputSize { height, width });
        size.map(Self).ok_or("height and width are whole numbers from 1 to 65535")
    }
}

/// A line of the list beside the array.
#[derive(Serialize)]
struct Line<'a> {
    row: usize,
    path: &'a str,
    #[serde(flatten)]
    end: End,
}

/// What became of one input.
#[derive(Serialize)]
#[serde(untagged)]
enum End {
    /// The picture as it was before it was stretched.
    Decoded { format: &'static str, width: u32, height: u32 },
    /// With the reason that a worker would record, or `unreadable`.
    Failed { reason: &'static str, error: String },
}

impl PreprocessArgs {
    /// Decodes every input as the worker does; one bad input never ends the run.
    ///
    /// # Errors
    ///
    /// If the array or the list beside it cannot be written.
    pub fn run(self, file: Option<PathBuf>) -> anyhow::Result<()> {
        let Self { inputs, size: Size(size), also_size, out } = self;
        let TaggingConfig(config) = TaggingConfig::load(file)?.config;
        let paths = paths(&inputs)?;
        let named = || out.display().to_string();
        let array = Array::create(&out, paths.len(), size).with_context(named)?;
        let sizes = also_size.into_iter().map(|Size(size)| size).chain([size]);
        let decoder = Decoder::new(sizes.collect(), config.decode);

        let next = AtomicUsize::new(0);
        let work = || -> std::io::Result<Vec<Line<'_>>> {
            let mut lines = Vec::new();
            while let row = next.fetch_add(1, Ordering::Relaxed)
                && let Some(path) = paths.get(row)
            {
                let end = match decode(&decoder, path, config.download.max_bytes) {
                    Ok(pixels) => {
                        array.fill(row, pixels.plane(size).unwrap_or_default())?;
                        let (width, height) = (pixels.width(), pixels.height());
                        End::Decoded { format: pixels.format(), width, height }
                    }
                    Err(failed) => failed,
                };
                lines.push(Line { row, path, end });
            }
            Ok(lines)
        };
        let threads = available_parallelism().map_or(1, usize::from);
        let ended: Vec<_> = thread::scope(|scope| {
            let threads: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
            threads.into_iter().map(|thread| thread.join().ok().context("a thread panicked")).collect()
        });
        let mut lines = Vec::with_capacity(paths.len());
        for part in ended {
            lines.extend(part?.with_context(named)?);
        }
        lines.sort_unstable_by_key(|line| line.row);
        write(&lines, &list_of(&out))
    }
}

/// Every file that is meant, in order.
fn paths(inputs: &[String]) -> anyhow::Result<Vec<String>> {
    let mut paths = Vec::new();
    for input in inputs {
        if input == "-" {
            for line in std::io::stdin().lock().lines() {
                paths.push(line.context("stdin")?);
            }
        } else if Path::new(input).is_dir() {
            paths.extend(files::below(Path::new(input)));
        } else {
            paths.push(input.clone());
        }
    }
    Ok(paths)
}

/// A file of at most `limit` bytes, as the pipeline would go about it.
fn decode(decoder: &Decoder, path: &str, limit: usize) -> Result<Pixels, End> {
    let failed = |reason, error: &dyn Error| End::Failed { reason, error: error.to_string() };
    let size = fs::metadata(path).map_err(|error| failed("unreadable", &error))?.len();
    source::check_size(size, limit).map_err(|error| failed(error.reason(), &error))?;
    let bytes = fs::read(path).map_err(|error| failed("unreadable", &error))?;
    source::check_content(&bytes).map_err(|error| failed(error.reason(), &error))?;
    decoder.decode(&bytes).map_err(|error| failed(error.reason(), &error))
}

/// `pixels.npy` has its list in `pixels.npy.jsonl`.
fn list_of(array: &Path) -> PathBuf {
    let mut name = array.as_os_str().to_owned();
    name.push(".jsonl");
    name.into()
}

fn write(lines: &[Line<'_>], path: &Path) -> anyhow::Result<()> {
    let named = || path.display().to_string();
    let mut list = BufWriter::new(File::create(path).with_context(named)?);
    for line in lines {
        serde_json::to_writer(&mut list, line).with_context(named)?;
        list.write_all(b"\n").with_context(named)?;
    }
    list.flush().with_context(named)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_height_and_width() {
        assert_eq!("224x320".parse(), Ok(Size(InputSize { height: 224, width: 320 })));
        for wrong in ["224", "0x224", "224x", "224x70000", "a x b"] {
            assert!(wrong.parse::<Size>().is_err(), "{wrong}");
        }
    }
}
