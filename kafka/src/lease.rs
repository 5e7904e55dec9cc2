//! Which process is the relay: the one that holds a lock of the log's own server.
//!
//! The lock belongs to a connection. A process that dies loses both; one that stands still (SIGSTOP, a frozen machine) is
//! disconnected by the server after [`SILENCE_SECONDS`], and its standby takes over. Should it wake up and go on before it
//! notices, its `transactional.id` fences it: the lease only keeps two from wrestling, it is not what makes them right.
//!
//! The lease is kept by a loop beside the work, whatever the work waits for. So how long Kafka may take has nothing to do with
//! how long the server may be silent, and a slow broker does not hand the lease back and forth.

use std::time::Duration;

use sqlx::{Connection, MySqlConnection};
use tickiz_event_log::record::StoreError;

/// After so many silent seconds the server ends the connection, and with it the lock. More than [`KEEP_ALIVE`] and
/// [`KEEP_PATIENCE`] together, so that a holder knows of its loss before another has the lock.
const SILENCE_SECONDS: u32 = 5;
/// How often the holder says that it is there.
pub const KEEP_ALIVE: Duration = Duration::from_secs(1);
/// How long the server may take to hear it.
const KEEP_PATIENCE: Duration = Duration::from_secs(2);
/// How long the server may take to be connected to, and to say who has the lock.
const ACQUIRE_PATIENCE: Duration = Duration::from_secs(3);
/// How long a goodbye may take; without it the lock ends with the connection all the same.
const RELEASE_PATIENCE: Duration = Duration::from_secs(1);

/// A lock held by this process.
pub struct Lease {
    connection: MySqlConnection,
}

impl Lease {
    /// Takes the lock of that name in the database of `url`; `None` where another has it.
    ///
    /// # Errors
    /// When the server fails, or does not answer within three seconds.
    pub async fn acquire(url: &str, name: &str) -> Result<Option<Self>, StoreError> {
        in_time("asked for", ACQUIRE_PATIENCE, async {
            let mut connection = MySqlConnection::connect(url).await?;
            sqlx::query("SET SESSION wait_timeout = ?").bind(SILENCE_SECONDS).execute(&mut connection).await?;
            // Lock names are of the server, not of the database, and have 64 characters.
            let granted: Option<i64> =
                sqlx::query_scalar("SELECT GET_LOCK(CONCAT(?, '-', LEFT(SHA2(DATABASE(), 256), 32)), 0)")
                    .bind(name)
                    .fetch_one(&mut connection)
                    .await?;
            Ok((granted == Some(1)).then_some(Self { connection }))
        })
        .await
    }

    /// Says that the holder is there.
    ///
    /// # Errors
    /// When the connection is gone, and the lock with it, or the server does not answer within two seconds.
    pub async fn keep(&mut self) -> Result<(), StoreError> {
        in_time("kept", KEEP_PATIENCE, self.connection.ping()).await
    }

    /// Keeps the lease until it is lost, and says why.
    pub async fn keep_on(&mut self) -> StoreError {
        loop {
            tokio::time::sleep(KEEP_ALIVE).await;
            if let Err(lost) = self.keep().await {
                return lost;
            }
        }
    }

    /// Gives the lock back.
    pub async fn release(self) {
        // Whatever becomes of the goodbye, the server ends the lock with the connection.
        let _ = tokio::time::timeout(RELEASE_PATIENCE, self.connection.close()).await;
    }
}

async fn in_time<T>(
    what: &str,
    patience: Duration,
    asked: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, StoreError> {
    match tokio::time::timeout(patience, asked).await {
        Ok(answer) => Ok(answer?),
        Err(_) => Err(StoreError(format!("the lease cannot be {what}: no answer within {patience:?}").into())),
    }
}
