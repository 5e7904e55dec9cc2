//! What processes share beside the log and the read models, near at hand: Redis, where one is configured.

use std::sync::Arc;

use tickiz_command_api::holds::HoldStore;
use tickiz_event_log::EventLog;
use tickiz_projections::mirror::Mirror;
use tickiz_read_models::{ReadStore, cache::ReadCache};

use tokio_util::sync::CancellationToken;

use crate::config::Config;

/// What Redis does for a process; nothing where there is none.
#[derive(Clone, Default)]
pub struct Near {
    /// Short claims of seats.
    pub holds: Option<Arc<dyn HoldStore>>,
    /// Copies of shows and lists, to be read.
    pub cache: Option<Arc<dyn ReadCache>>,
    /// The same, to be written.
    pub mirror: Option<Arc<dyn Mirror>>,
    /// The server.
    #[cfg(feature = "distributed")]
    pub redis: Option<tickiz_redis::Redis>,
}

#[cfg(not(feature = "distributed"))]
impl Near {
    /// Nothing: this program was built without Redis.
    ///
    /// # Errors
    /// None.
    #[allow(clippy::unnecessary_wraps, reason = "built with Redis, it can fail")]
    pub fn of(_: &Config, _: &EventLog) -> anyhow::Result<Self> {
        Ok(Self::default())
    }

    /// There is nothing to hear.
    #[allow(clippy::unused_self, reason = "built with Redis, there is something to hear")]
    pub fn listen(&self, _: &ReadStore, _: &CancellationToken) {}
}

#[cfg(feature = "distributed")]
impl Near {
    /// As it is configured. Redis need not be there.
    ///
    /// # Errors
    /// When the address is none.
    pub fn of(config: &Config, log: &EventLog) -> anyhow::Result<Self> {
        use tickiz_redis::{Redis, RedisCache, RedisHolds, RedisMirror};
        let Some(url) = &config.redis_url else { return Ok(Self::default()) };
        // All processes of an installation have one master key, and no other has it.
        let namespace = hex::encode(&log.secrets().derive("redis-namespace")[..8]);
        let redis = Redis::at(url, &namespace)?;
        Ok(Self {
            holds: Some(Arc::new(RedisHolds::new(redis.clone()))),
            cache: Some(Arc::new(RedisCache::new(redis.clone()))),
            mirror: Some(Arc::new(RedisMirror::new(redis.clone()))),
            redis: Some(redis),
        })
    }

    /// Hears the signals of the projectors, until `stop`.
    pub fn listen(&self, reads: &ReadStore, stop: &CancellationToken) {
        if let Some(redis) = self.redis.clone() {
            tokio::spawn(tickiz_redis::signals::listen(redis, reads.clone(), stop.clone()));
        }
    }
}
