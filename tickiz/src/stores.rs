//! Opens what is stored, as it is configured: files in the data folder, or one MySQL or MariaDB database.

use std::{path::PathBuf, sync::Arc};

use anyhow::Context;
use sqlx::{Connection, MySql, MySqlConnection, migrate::MigrateDatabase};
use tickiz_command_api::stores::{Database, INBOX, SANDBOX, Schema, StoreAt};
use tickiz_domain::text::normalize_email;
use tickiz_event_log::{
    EventLog, LogOptions, LogService,
    runtime::{Clock, Runtime, SystemClock},
};
use tickiz_read_models::{MySqlOptions, ReadStore};

use crate::{config::Config, near::Near};

/// The files of the embedded form, in the data folder.
const LOG_FILE: &str = "log.db";
const READ_MODELS_FILE: &str = "read-models.db";
const INBOX_FILE: &str = "inbox.db";
const SANDBOX_FILE: &str = "sandbox.db";

/// Everything that a process opens.
pub struct Stores {
    /// The log.
    pub log: EventLog,
    /// Owns the log's tasks.
    pub log_service: LogService,
    /// The read models.
    pub reads: ReadStore,
    /// The webhook inbox.
    pub inbox: Database,
    /// The sandbox gateway's books.
    pub sandbox: Database,
    /// What is near at hand.
    pub near: Near,
}

fn file(config: &Config, name: &str) -> PathBuf {
    config.data_dir.join(name)
}

/// Whether the embedded form has a log already.
pub fn has_log(config: &Config) -> bool {
    file(config, LOG_FILE).exists()
}

async fn open_log(config: &Config, migrate: bool, clock: Arc<dyn Clock>) -> anyhow::Result<(EventLog, LogService)> {
    let options =
        LogOptions { master_key: config.master_key, migrate, runtime: Runtime { clock, ..Runtime::default() } };
    let opened = match &config.mysql_url {
        Some(url) => EventLog::open_mysql(url, options).await,
        None => {
            let path = file(config, LOG_FILE);
            anyhow::ensure!(
                migrate || path.exists(),
                "there is no log at {}; is TICKIZ_DATA_DIR right?",
                path.display()
            );
            EventLog::open_sqlite(&path, options).await
        }
    };
    opened.context("the event log")
}

async fn open_reads(config: &Config) -> anyhow::Result<ReadStore> {
    let opened = match &config.mysql_url {
        Some(url) => ReadStore::open_mysql(url, MySqlOptions::default()).await,
        None => ReadStore::open_sqlite(&file(config, READ_MODELS_FILE)).await,
    };
    opened.context("the read models")
}

async fn open_small(config: &Config, name: &str, schema: &Schema, migrate: bool) -> anyhow::Result<Database> {
    let path = file(config, name);
    let at = config.mysql_url.as_ref().map_or(StoreAt::File(&path), |url| StoreAt::Server(url));
    let store = Database::open(&at).await.with_context(|| format!("the {} store", schema.name))?;
    if migrate { store.migrate(schema).await } else { store.check_schema(schema).await }
        .with_context(|| format!("the {} store", schema.name))?;
    Ok(store)
}

/// Name and patience, in seconds, of the server's lock under which one process at a time brings the schema to its version.
const MIGRATION_LOCK: (&str, i32) = ("tickiz-schema", 120);

/// Held by a connection as long as it is open. sqlx takes a lock of its own, without end, which MariaDB does not grant: of two
/// processes that migrate at once one would fail.
async fn migration_lock(url: &str) -> anyhow::Result<MySqlConnection> {
    let mut connection = MySqlConnection::connect(url).await.context("the database of TICKIZ_MYSQL_URL")?;
    let granted: Option<i64> =
        sqlx::query_scalar("SELECT GET_LOCK(CONCAT(?, '-', LEFT(SHA2(DATABASE(), 256), 40)), ?)")
            .bind(MIGRATION_LOCK.0)
            .bind(MIGRATION_LOCK.1)
            .fetch_one(&mut connection)
            .await
            .context("the lock of the schema")?;
    anyhow::ensure!(granted == Some(1), "another process has been changing the schema for {} s", MIGRATION_LOCK.1);
    Ok(connection)
}

/// Opens everything, bringing the schema to this version.
///
/// # Errors
/// Which store, and why not.
pub async fn open(config: &Config) -> anyhow::Result<Stores> {
    open_with(config, Arc::new(SystemClock)).await
}

/// The same, by another clock than the machine's.
///
/// # Errors
/// Which store, and why not.
pub async fn open_with(config: &Config, clock: Arc<dyn Clock>) -> anyhow::Result<Stores> {
    if config.mysql_url.is_none() {
        std::fs::create_dir_all(&config.data_dir)
            .with_context(|| format!("the data folder {} cannot be made", config.data_dir.display()))?;
    }
    let lock = match &config.mysql_url {
        Some(url) => Some(migration_lock(url).await?),
        None => None,
    };
    let (log, log_service) = open_log(config, true, clock).await?;
    let reads = open_reads(config).await?;
    reads.migrate().await.context("the read models")?;
    let inbox = open_small(config, INBOX_FILE, &INBOX, true).await?;
    let sandbox = open_small(config, SANDBOX_FILE, &SANDBOX, true).await?;
    if let Some(lock) = lock {
        lock.close().await.context("the lock of the schema")?;
    }
    let near = Near::of(config, &log)?;
    Ok(Stores { log, log_service, reads, inbox, sandbox, near })
}

/// Opens everything as it is, to look at it.
///
/// # Errors
/// Which store, and why not: missing, or of another version.
pub async fn open_to_read(config: &Config) -> anyhow::Result<Stores> {
    let (log, log_service) = open_log(config, false, Arc::new(SystemClock)).await?;
    let reads = open_reads(config).await?;
    reads.check_schema().await.context("the read models")?;
    let inbox = open_small(config, INBOX_FILE, &INBOX, false).await?;
    let sandbox = open_small(config, SANDBOX_FILE, &SANDBOX, false).await?;
    let near = Near::of(config, &log)?;
    Ok(Stores { log, log_service, reads, inbox, sandbox, near })
}

/// Opens the log alone, to append to it beside whoever else does.
///
/// # Errors
/// When it is missing or cannot be opened.
pub async fn open_log_to_write(config: &Config) -> anyhow::Result<(EventLog, LogService)> {
    open_log(config, false, Arc::new(SystemClock)).await
}

/// Opens the log alone, to look at it.
///
/// # Errors
/// When it is missing or cannot be opened.
pub async fn open_log_to_read(config: &Config) -> anyhow::Result<EventLog> {
    let (log, service) = open_log(config, false, Arc::new(SystemClock)).await?;
    // Nothing is appended, so its tasks may end with the process.
    std::mem::forget(service);
    Ok(log)
}

/// `tickiz migrate`: makes the database where it is missing, and brings it to this version's schema.
///
/// # Errors
/// Which store, and why not.
pub async fn migrate(config: &Config) -> anyhow::Result<()> {
    if let Some(url) = &config.mysql_url
        && !MySql::database_exists(url).await.context("the server of TICKIZ_MYSQL_URL")?
    {
        // Another that migrates may have made it since.
        if let Err(error) = MySql::create_database(url).await {
            let exists = MySql::database_exists(url).await.unwrap_or(false);
            anyhow::ensure!(exists, "the database of TICKIZ_MYSQL_URL is missing and cannot be made: {error}");
        }
    }
    let stores = open(config).await?;
    stores.log_service.shutdown().await;
    println!("the stores are at this version's schema");
    Ok(())
}

/// `tickiz erase-person`.
///
/// # Errors
/// When the address is none, nobody is known by it, or the log fails.
pub async fn erase_person(config: &Config, email: &str) -> anyhow::Result<()> {
    let email = normalize_email(email).context("--email is not a mail address")?;
    let (log, service) = open_log_to_write(config).await?;
    let person = log.sealer().person_for(email.expose()).await?;
    let person = person.context("nobody is known by this address, or he was erased already")?;
    log.erase(person).await?;
    service.shutdown().await;
    println!("erased: what is sealed with the key of person {person} is unreadable from now on");
    Ok(())
}
