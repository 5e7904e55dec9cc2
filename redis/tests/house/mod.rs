//! What the tests of this crate share: a Redis, from `TICKIZ_TEST_REDIS_URL`, and a namespace of it for each test.
//!
//! Without the variable the tests say so and pass; with `TICKIZ_TEST_REQUIRE_SERVERS=1` they fail instead.
#![allow(dead_code, reason = "each test program uses its own part of this")]

use redis::aio::MultiplexedConnection;
use tickiz_redis::Redis;
use uuid::Uuid;

/// A namespace of the test server.
pub struct House {
    /// The handle.
    pub redis: Redis,
    connection: MultiplexedConnection,
}

impl House {
    /// A new namespace; `None` where there is no server.
    pub async fn open() -> Option<Self> {
        let Ok(url) = std::env::var("TICKIZ_TEST_REDIS_URL") else {
            let required = std::env::var("TICKIZ_TEST_REQUIRE_SERVERS").as_deref() == Ok("1");
            assert!(!required, "TICKIZ_TEST_REDIS_URL is not set");
            println!("skipped: TICKIZ_TEST_REDIS_URL is not set");
            return None;
        };
        let redis = Redis::at(&url, &Uuid::new_v4().simple().to_string()).unwrap();
        let connection = redis::Client::open(url).unwrap().get_multiplexed_async_connection().await.unwrap();
        Some(Self { redis, connection })
    }

    /// The keys of the namespace that begin so.
    pub async fn keys(&self, prefix: &str) -> Vec<String> {
        let pattern = format!("{}*", self.redis.key(prefix));
        let mut connection = self.connection.clone();
        let mut keys: Vec<String> = redis::cmd("KEYS").arg(pattern).query_async(&mut connection).await.unwrap();
        keys.sort();
        keys
    }

    /// Loses keys, as an eviction does.
    pub async fn lose(&self, keys: &[String]) {
        if !keys.is_empty() {
            let mut connection = self.connection.clone();
            let _: i64 = redis::cmd("DEL").arg(keys).query_async(&mut connection).await.unwrap();
        }
    }

    /// Loses everything of the namespace.
    pub async fn flush(&self) {
        let keys = self.keys("").await;
        self.lose(&keys).await;
    }

    /// Sets a field of a hash, as nobody of ours would.
    pub async fn set_field(&self, key: &str, field: &str, value: &str) {
        let mut connection = self.connection.clone();
        let _: i64 = redis::cmd("HSET").arg(key).arg(field).arg(value).query_async(&mut connection).await.unwrap();
    }

    /// A field of a hash.
    pub async fn field(&self, key: &str, field: &str) -> Option<String> {
        let mut connection = self.connection.clone();
        redis::cmd("HGET").arg(key).arg(field).query_async(&mut connection).await.unwrap()
    }
}
