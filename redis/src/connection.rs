//! One connection to Redis for a whole process, and the manners of one who can do without.
//!
//! Every call is bounded in time. After a failure Redis is left alone for [`REST`]: calls fail at once then, so that a server
//! that is slow or gone costs nobody more than one wait in that time.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use redis::{
    Client, FromRedisValue, IntoConnectionInfo, ScriptInvocation,
    aio::{ConnectionManager, ConnectionManagerConfig, PubSub},
};

/// How long an answer is waited for. Redis answers within a millisecond; who waits longer has the log to ask.
const ANSWER_PATIENCE: Duration = Duration::from_millis(250);
/// How long a connection may take to be made.
const CONNECT_PATIENCE: Duration = Duration::from_secs(1);
/// How long Redis is left alone after a failure.
const REST: Duration = Duration::from_millis(500);

/// Why Redis did not do what it was asked to. Says nothing of the address, which may carry a password.
#[derive(Debug, thiserror::Error)]
pub enum RedisError {
    /// The address is not one.
    #[error(
        "TICKIZ_REDIS_URL is not of the form redis://[USER:PASSWORD@]HOST[:PORT][/DATABASE] (or rediss:// for TLS)"
    )]
    Address,
    /// It failed or took too long.
    #[error("Redis does not answer: {0}")]
    Failed(#[from] redis::RedisError),
    /// It failed a moment ago and is left alone.
    #[error("Redis failed a moment ago and is left alone")]
    Resting,
}

struct Inner {
    client: Client,
    namespace: String,
    connection: ConnectionManager,
    began: Instant,
    /// Until when it is left alone, in milliseconds since `began`.
    rests_until: AtomicU64,
    failures: AtomicU64,
}

/// A handle on one Redis, connected when it is first used. Cheap to clone.
#[derive(Clone)]
pub struct Redis(Arc<Inner>);

impl std::fmt::Debug for Redis {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Redis")
    }
}

impl Redis {
    /// A handle on the Redis of that address. Nothing is sent yet: a server that is away is no reason not to start. What two
    /// installations keep in one Redis is told apart by their namespaces.
    ///
    /// # Errors
    /// When the address is not one.
    pub fn at(url: &str, namespace: &str) -> Result<Self, RedisError> {
        let info = url.into_connection_info().map_err(|_| RedisError::Address)?;
        let client = Client::open(info).map_err(|_| RedisError::Address)?;
        let config = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(CONNECT_PATIENCE))
            .set_response_timeout(Some(ANSWER_PATIENCE))
            .set_number_of_retries(1);
        let connection = ConnectionManager::new_lazy_with_config(client.clone(), config)?;
        Ok(Self(Arc::new(Inner {
            client,
            namespace: namespace.to_owned(),
            connection,
            began: Instant::now(),
            rests_until: AtomicU64::new(0),
            failures: AtomicU64::new(0),
        })))
    }

    /// A key or channel of this installation.
    #[must_use]
    pub fn key(&self, rest: &str) -> String {
        format!("tickiz:{}:{rest}", self.0.namespace)
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.0.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Runs a script.
    ///
    /// # Errors
    /// When Redis does not answer in time, refuses, or is left alone. It is then not known whether the script ran.
    pub async fn run<T: FromRedisValue>(&self, script: &ScriptInvocation<'_>) -> Result<T, RedisError> {
        if self.0.rests_until.load(Ordering::Relaxed) > self.now_ms() {
            return Err(RedisError::Resting);
        }
        let mut connection = self.0.connection.clone();
        // The manager's own patience is for an answer; making a connection again comes on top of it.
        let answer = tokio::time::timeout(ANSWER_PATIENCE * 2, script.invoke_async(&mut connection)).await;
        let failed = match answer {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(error)) => error,
            Err(_) => std::io::Error::from(std::io::ErrorKind::TimedOut).into(),
        };
        let rest = u64::try_from(REST.as_millis()).unwrap_or(u64::MAX);
        let before = self.0.rests_until.swap(self.now_ms() + rest, Ordering::Relaxed);
        self.0.failures.fetch_add(1, Ordering::Relaxed);
        if before + 10 * rest < self.now_ms() {
            tracing::warn!(error = %failed, "Redis does not answer; what it would have answered is asked elsewhere");
        }
        Err(failed.into())
    }

    /// How often Redis has failed.
    #[must_use]
    pub fn failures(&self) -> u64 {
        self.0.failures.load(Ordering::Relaxed)
    }

    /// A connection of its own for signals.
    ///
    /// # Errors
    /// When none can be made.
    pub async fn listen(&self) -> Result<PubSub, RedisError> {
        Ok(self.0.client.get_async_pubsub().await?)
    }
}
