//! The MySQL that is measured on: its settings, and databases of our own on it.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use sqlx::{AssertSqlSafe, Connection, MySqlConnection};
use url::Url;
use uuid::Uuid;

/// Names the server; `cargo xtask bench` sets it.
pub const URL_VARIABLE: &str = "TICKIZ_BENCH_MYSQL_URL";
/// What our databases are called, so that a run that was killed leaves names that tell.
const DATABASE_PREFIX: &str = "tickiz_bench_";
/// Connections that a run needs at once: 256 workers, readers of the log, ourselves.
const MIN_CONNECTIONS: u64 = 300;
/// Between two sides, so that one does not pay for what another left to be flushed.
const SETTLE: Duration = Duration::from_millis(300);

/// The settings that decide how fast a server may be, printed with the figures.
const SETTINGS: &str = "SHOW VARIABLES WHERE Variable_name IN ('version', 'innodb_flush_log_at_trx_commit', 'sync_binlog', \
     'log_bin', 'binlog_format', 'innodb_buffer_pool_size', 'innodb_redo_log_capacity', 'innodb_flush_method', \
     'innodb_doublewrite', 'max_connections', 'performance_schema')";

/// A server, by an administrator's connection.
pub struct Server {
    url: Url,
}

impl Server {
    /// The server of [`URL_VARIABLE`]. It is on this machine or on a network of its own; TLS would be measured with every side.
    pub fn from_environment() -> Result<Self> {
        let text = std::env::var(URL_VARIABLE).with_context(|| format!("{URL_VARIABLE} names no MySQL"))?;
        let mut url = Url::parse(&text).with_context(|| format!("{URL_VARIABLE} is not a URL"))?;
        if url.query().is_none() {
            url.set_query(Some("ssl-mode=disabled"));
        }
        Ok(Self { url })
    }

    async fn connect(&self) -> Result<MySqlConnection> {
        MySqlConnection::connect(self.url.as_str()).await.context("the server does not answer")
    }

    /// Its settings, by name. What makes an acknowledged append durable is checked: figures without it would mean nothing.
    pub async fn settings(&self) -> Result<Vec<(String, String)>> {
        let settings: Vec<(String, String)> = sqlx::query_as(SETTINGS).fetch_all(&mut self.connect().await?).await?;
        let value = |name: &str| settings.iter().find(|(of, _)| of == name).map_or("", |(_, value)| value);
        ensure!(value("innodb_flush_log_at_trx_commit") == "1", "the server's innodb_flush_log_at_trx_commit is not 1");
        ensure!(value("sync_binlog") == "1", "the server's sync_binlog is not 1");
        let connections: u64 = value("max_connections").parse()?;
        ensure!(connections >= MIN_CONNECTIONS, "max_connections is {connections}, {MIN_CONNECTIONS} are needed");
        Ok(settings)
    }

    /// An empty database.
    pub async fn create(&self) -> Result<Database> {
        let name = format!("{DATABASE_PREFIX}{}", Uuid::new_v4().simple());
        sqlx::raw_sql(AssertSqlSafe(format!("CREATE DATABASE {name}"))).execute(&mut self.connect().await?).await?;
        let mut url = self.url.clone();
        url.set_path(&name);
        Ok(Database { name, url })
    }

    /// Drops it, and lets the server settle.
    pub async fn drop(&self, database: &Database) -> Result<()> {
        let statement = format!("DROP DATABASE IF EXISTS {}", database.name);
        sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut self.connect().await?).await?;
        tokio::time::sleep(SETTLE).await;
        Ok(())
    }
}

/// A database of our own.
pub struct Database {
    name: String,
    url: Url,
}

impl Database {
    /// Its address.
    pub fn url(&self) -> &str {
        self.url.as_str()
    }

    /// A new connection to it.
    pub async fn connect(&self) -> Result<MySqlConnection> {
        Ok(MySqlConnection::connect(self.url()).await?)
    }

    /// Runs a statement that gives no rows.
    pub async fn execute(&self, statement: &'static str) -> Result<()> {
        sqlx::raw_sql(statement).execute(&mut self.connect().await?).await?;
        Ok(())
    }

    /// The one number that a query gives.
    pub async fn number(&self, query: impl Into<String>) -> Result<u64> {
        let number: i64 = sqlx::query_scalar(AssertSqlSafe(query.into())).fetch_one(&mut self.connect().await?).await?;
        Ok(u64::try_from(number)?)
    }
}

/// What was counted is what was acknowledged.
pub fn ensure_equal(what: &str, counted: u64, acknowledged: u64) -> Result<()> {
    ensure!(counted == acknowledged, "{what}: {counted} rows are there, {acknowledged} were acknowledged");
    Ok(())
}
