//! `tagfleet-loadtest origin`: serves pictures until it is told to stop.

use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    sync::Arc,
};

use anyhow::Context;

use super::{Content, Origin};
use crate::draw::{Inventory, Options};

/// Serve the files of a folder, or a drawn inventory with its dead links and broken files.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Folder to serve.
    #[arg(long, conflicts_with_all = ["count", "seed"])]
    dir: Option<PathBuf>,
    /// Entries of the drawn inventory.
    #[arg(long, default_value_t = 200)]
    count: usize,
    /// The same seed draws the same inventory.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Port to listen on; 0 takes a free one.
    #[arg(long, default_value_t = 8090)]
    port: u16,
    /// Address to listen on; 0.0.0.0 lets other machines in.
    #[arg(long, default_value = "127.0.0.1")]
    host: IpAddr,
}

/// Serves until the process is asked to end.
pub async fn run(args: Args) -> anyhow::Result<()> {
    let content = match args.dir {
        Some(folder) => Content::Directory(folder),
        None => {
            let inventory = tokio::task::spawn_blocking(move || {
                Inventory::draw(args.seed, args.count, &Options::default())
            });
            Content::Inventory(Arc::new(inventory.await?))
        }
    };
    let address = SocketAddr::new(args.host, args.port);
    let origin = Origin::start_at(address, content).with_context(|| format!("cannot listen on {address}"))?;
    eprintln!("serving at {}", origin.base_url());
    asked_to_end().await?;
    eprintln!("answered {} requests with {} bytes", origin.total_requests(), origin.bytes_sent());
    Ok(())
}

async fn asked_to_end() -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        _ = terminate.recv() => Ok(()),
        interrupted = tokio::signal::ctrl_c() => interrupted,
    }
}
