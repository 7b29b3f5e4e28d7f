//! `tagfleet-loadtest demo`: the whole fleet on real servers, shown in a minute.

mod people;
mod processes;
mod scrape;
mod stop;
mod summary;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail};
use clap::Args;
use tagfleet_shared::config::{foreign_variable, without_password};
use tokio_postgres::{Client, NoTls};

use self::processes::{Processes, Servers};
use self::scrape::Demo;
pub use self::stop::StopArgs;
use crate::draw::{Inventory, Options};
use crate::origin::{Content, Origin};

/// Where the demo keeps logs and process ids.
const STATE: &str = ".tagfleet/demo";

/// Shows the whole fleet at work: scheduler, two workers, a scrape, the same scrape again.
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Tag the pictures in this folder instead of drawn ones.
    #[arg(long, value_name = "DIR")]
    images: Option<PathBuf>,
    /// So many drawn pictures.
    #[arg(long, default_value_t = 400)]
    count: usize,
    /// Another seed draws another inventory.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

impl DemoArgs {
    /// Shows it.
    ///
    /// # Errors
    ///
    /// If a server is away, a process does not start, or a scrape does not end.
    pub async fn run(self) -> anyhow::Result<()> {
        tagfleet_shared::tls::install();
        Processes::stop_earlier(Path::new(STATE))?;
        let servers = servers().await?;
        let (origin, paths, truth) = self.pictures()?;

        say("starting a scheduler, two workers and a console");
        let mut processes = Processes::start(Path::new(STATE), &servers).await?;
        let demo = Demo::open(&servers, &origin, paths).await?;

        say(&format!("\nFirst scrape: {} images nobody has seen before", demo.images()));
        let first = demo.scrape("demo-first").await?;
        summary::print(&demo, &first, truth.as_deref()).await?;

        say("\nThe same inventory again: the cache answers");
        let second = demo.scrape("demo-second").await?;
        summary::print(&demo, &second, None).await?;

        say("\nA neighbour who shows some of the same pictures, and people who correct tags");
        demo.neighbour("demo-neighbour").await?;
        people::correct(&demo).await?;

        let address = origin.address();
        drop(origin);
        processes.serve(address, &self.what(), Path::new(STATE)).await?;
        say(&footer(&servers, &processes));
        processes.leave_running()
    }

    /// The same pictures, as `tagfleet-loadtest origin` takes them.
    fn what(&self) -> Vec<String> {
        match &self.images {
            Some(dir) => vec!["--dir".into(), dir.display().to_string()],
            None => ["--count", &self.count.to_string(), "--seed", &self.seed.to_string()]
                .map(String::from)
                .into(),
        }
    }

    /// The host of pictures, the paths on it, and what is really on them.
    fn pictures(&self) -> anyhow::Result<(Origin, Vec<String>, Option<Arc<Inventory>>)> {
        let Some(dir) = &self.images else {
            say(&format!("drawing {} pictures", self.count));
            let inventory = Arc::new(Inventory::draw(self.seed, self.count, &Options::default()));
            let paths = inventory.entries().iter().map(|entry| entry.path.clone()).collect();
            return Ok((Origin::start(Content::Inventory(inventory.clone()))?, paths, Some(inventory)));
        };
        let mut paths = Vec::new();
        walk(dir, dir, &mut paths).with_context(|| format!("IMAGES={}", dir.display()))?;
        if paths.is_empty() {
            bail!("IMAGES={}: no files in it", dir.display());
        }
        paths.sort();
        Ok((Origin::start(Content::Directory(dir.clone()))?, paths, None))
    }
}

/// The servers of `scripts/services.sh`, or those given by URL. On a private
/// server each demo has a new database; in a given one it adds to what is there.
async fn servers() -> anyhow::Result<Servers> {
    let need =
        |name: &str| foreign_variable(name).with_context(|| format!("{name} is not set: run `make demo`"));
    let given = need("TAGFLEET_DATABASE_URL")?;
    let private = foreign_variable("TAGFLEET_PRIVATE_DATABASE_URL").is_some_and(|url| url == given);
    let database = if private { recreate(&given).await? } else { given };
    Ok(Servers {
        database,
        broker: need("TAGFLEET_AMQP_URL")?,
        onnxruntime: need("ORT_DYLIB_PATH")?,
        prefix: "tagfleet-demo".into(),
    })
}

async fn recreate(server: &str) -> anyhow::Result<String> {
    let client = connect(server).await?;
    client.batch_execute("DROP DATABASE IF EXISTS tagfleet_demo WITH (FORCE)").await?;
    client.batch_execute("CREATE DATABASE tagfleet_demo").await?;
    let (head, _) = server.rsplit_once('/').context("TAGFLEET_DATABASE_URL has no database in it")?;
    Ok(format!("{head}/tagfleet_demo"))
}

async fn connect(url: &str) -> anyhow::Result<Client> {
    let (client, connection) =
        tokio_postgres::connect(url, NoTls).await.context("cannot connect to Postgres")?;
    tokio::spawn(connection);
    Ok(client)
}

/// Files below `dir` as paths of a URL.
fn walk(root: &Path, dir: &Path, paths: &mut Vec<String>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        let path = entry.path();
        if entry.file_name().to_string_lossy().starts_with('.') {
            continue;
        }
        if entry.file_type()?.is_dir() {
            walk(root, &path, paths)?;
        } else if let Ok(below) = path.strip_prefix(root) {
            // `Url` escapes what a path may hold and a URL may not.
            let mut url = url::Url::parse("http://origin/").map_err(std::io::Error::other)?;
            if let Ok(mut segments) = url.path_segments_mut() {
                segments.clear().extend(below.iter().map(|part| part.to_string_lossy()));
            }
            paths.push(url.path().to_owned());
        }
    }
    Ok(())
}

fn footer(servers: &Servers, processes: &Processes) -> String {
    let [scheduler, first, second] = processes.admin_ports();
    format!(
        "
Console   {console}
Rows      psql {database}
          select * from scrape_overview;   select * from tagged_images where outcome = 'skipped';
Logs      {STATE}/*.log
Metrics   http://127.0.0.1:{scheduler}/metrics (scheduler)
          http://127.0.0.1:{first}/metrics, http://127.0.0.1:{second}/metrics (workers); /readyz beside them
Stop      make stop",
        console = processes.console(),
        database = without_password(&servers.database),
    )
}

/// Prints a line for the person who watches.
fn say(line: &str) {
    use std::io::Write;
    // Nobody watches any more: the demo goes on.
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}
