//! A database per test.

use std::time::Duration;

use deadpool_postgres::Pool;
use tagfleet_shared::db::{self, DatabaseConfig};
use tokio_postgres::{Client, NoTls};
use uuid::Uuid;

/// Lets one test process at a time make the template.
const TEMPLATE_LOCK: i64 = 0x7461_6766;

/// A database cloned from a migrated template. Dropped with the value, so a
/// test leaves nothing behind.
pub struct TestDatabase {
    server: String,
    name: String,
    /// `postgres://…` of this database.
    pub url: String,
    /// Connections to it.
    pub pool: Pool,
}

impl TestDatabase {
    /// Clones the template on the server of `server`, making it first where
    /// there is none for these migrations.
    pub async fn create(server: &str) -> Self {
        let client = connect(server).await;
        let template = format!("tagfleet_template_{:016x}", migrations_hash());
        client.execute("SELECT pg_advisory_lock($1)", &[&TEMPLATE_LOCK]).await.unwrap();
        let known =
            client.query_opt("SELECT 1 FROM pg_database WHERE datname = $1", &[&template]).await.unwrap();
        if known.is_none() {
            // Under another name until it is whole.
            let unfinished = format!("{template}_{}", Uuid::new_v4().simple());
            client.batch_execute(&format!("CREATE DATABASE {unfinished}")).await.unwrap();
            let pool = pool(&on_server(server, &unfinished));
            db::migrate(&pool).await.unwrap();
            pool.close();
            drop(pool);
            client
                .batch_execute(&format!(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{unfinished}'"
                ))
                .await
                .unwrap();
            client.batch_execute(&format!("ALTER DATABASE {unfinished} RENAME TO {template}")).await.unwrap();
        }
        let name = format!("tagfleet_test_{}", Uuid::new_v4().simple());
        client.batch_execute(&format!("CREATE DATABASE {name} TEMPLATE {template}")).await.unwrap();
        client.execute("SELECT pg_advisory_unlock($1)", &[&TEMPLATE_LOCK]).await.unwrap();
        let url = on_server(server, &name);
        Self { server: server.to_owned(), pool: pool(&url), url, name }
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        let (server, name) = (self.server.clone(), self.name.clone());
        self.pool.close();
        // A thread of its own: a test's runtime may be ending.
        let dropping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let Ok((client, connection)) = tokio_postgres::connect(&server, NoTls).await else { return };
                let connection = tokio::spawn(connection);
                let _ = client.batch_execute(&format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")).await;
                connection.abort();
            });
        });
        let _ = dropping.join();
    }
}

fn on_server(server: &str, database: &str) -> String {
    let (head, query) = server.split_once('?').map_or((server, String::new()), |(h, q)| (h, format!("?{q}")));
    let (head, _) = head.rsplit_once('/').expect("a URL with a database");
    format!("{head}/{database}{query}")
}

fn pool(url: &str) -> Pool {
    let config = DatabaseConfig {
        url: url.into(),
        pool_size: 2,
        timeout: Duration::from_secs(30),
        statement_timeout: Duration::from_secs(60),
    };
    db::pool(&config).unwrap()
}

async fn connect(url: &str) -> Client {
    let (client, connection) =
        tokio_postgres::connect(url, NoTls).await.expect("the test's Postgres is there");
    tokio::spawn(connection);
    client
}

/// A template made of other migrations is another template (FNV-1a).
fn migrations_hash() -> u64 {
    let dir = super::repository().join("migrations");
    let mut files: Vec<_> = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    // With their names: what a database has is known by them.
    let of = |file: std::path::PathBuf| {
        [file.as_os_str().as_encoded_bytes(), &std::fs::read(&file).unwrap()].concat()
    };
    let bytes = files.into_iter().flat_map(of);
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
}
