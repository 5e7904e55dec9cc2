//! Which process is the relay: the one that holds a lock of the log's own server.
//!
//! The lock belongs to a connection. A process that dies loses both; one that stands still (SIGSTOP, a frozen machine) is
//! disconnected by the server after [`SILENCE_SECONDS`], and its standby takes over. Should it wake up and go on before it
//! notices, its `transactional.id` fences it: the lease only keeps two from wrestling, it is not what makes them right.

use std::time::Duration;

use sqlx::{Connection, MySqlConnection};
use tickiz_event_log::record::StoreError;

/// After so many silent seconds the server ends the connection, and with it the lock.
const SILENCE_SECONDS: u32 = 5;
/// How often the holder says that it is there.
pub const KEEP_ALIVE: Duration = Duration::from_secs(1);
/// How long the server may take to answer. With [`KEEP_ALIVE`] well under [`SILENCE_SECONDS`], so that a holder that gives up does
/// so before another may take over.
const PATIENCE: Duration = Duration::from_secs(2);

/// What the server answers in time.
async fn within<T>(answer: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    let late = |_| StoreError(format!("the server of the lease does not answer within {PATIENCE:?}").into());
    tokio::time::timeout(PATIENCE, answer).await.map_err(late)?
}

/// A lock held by this process.
pub struct Lease {
    connection: MySqlConnection,
}

impl Lease {
    /// Takes the lock of that name in the database of `url`; `None` where another has it.
    ///
    /// # Errors
    /// When the server fails.
    pub async fn acquire(url: &str, name: &str) -> Result<Option<Self>, StoreError> {
        within(Self::ask(url, name)).await
    }

    async fn ask(url: &str, name: &str) -> Result<Option<Self>, StoreError> {
        let mut connection = MySqlConnection::connect(url).await?;
        sqlx::query("SET SESSION wait_timeout = ?").bind(SILENCE_SECONDS).execute(&mut connection).await?;
        // Lock names are of the server, not of the database, and have 64 characters.
        let granted: Option<i64> =
            sqlx::query_scalar("SELECT GET_LOCK(CONCAT(?, '-', LEFT(SHA2(DATABASE(), 256), 32)), 0)")
                .bind(name)
                .fetch_one(&mut connection)
                .await?;
        Ok((granted == Some(1)).then_some(Self { connection }))
    }

    /// Says that the holder is there.
    ///
    /// # Errors
    /// When the connection is gone, and the lock with it.
    pub async fn keep(&mut self) -> Result<(), StoreError> {
        within(async { Ok(self.connection.ping().await?) }).await
    }

    /// Gives the lock back.
    pub async fn release(self) {
        // Whatever becomes of the goodbye, the server ends the lock with the connection.
        let _ = within(async { Ok(self.connection.close().await?) }).await;
    }
}
