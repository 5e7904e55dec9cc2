//! What readers read: copies of shows, and pages of lists.
//!
//! A show's copy counts as long as it is of its chain's epoch (see [`mirror`](crate::mirror)). A page is a key of its own with what
//! was read and when; beside it a short lock, so that of all who find it missing or too old one reads it anew.

use std::{sync::LazyLock, time::Duration};

use async_trait::async_trait;
use redis::{FromRedisValue, Script};
use std::collections::HashMap;
use tickiz_domain::ids::EventId;
use tickiz_read_models::{
    Position,
    cache::{LIST_FRESH_FOR, PageCopy, PageFound, ReadCache, ShowCopy, ShowFound},
    events::{sales::Sales, tables::ShowRecord},
};
use uuid::Uuid;

use crate::{
    Redis,
    mirror::{COPY_KEPT_FOR, chain, copy, sales_fields, show_fields},
};

/// How long a ticket is good for: a big house is read in well under a second.
const TICKET_GOOD_FOR: Duration = Duration::from_secs(10);
/// How long a page is kept for the time when its rows cannot be read.
const PAGE_KEPT_FOR: Duration = Duration::from_secs(10 * 60);
/// How long one reader of a page keeps the others waiting at most.
const PAGE_LOCKED_FOR: Duration = Duration::from_secs(2);

static READ_SHOW: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("cache/read_show.lua")));
static KEEP_SHOW: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("cache/keep_show.lua")));
static READ_PAGE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("cache/read_page.lua")));
static KEEP_PAGE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("cache/keep_page.lua")));

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// The cache in Redis.
#[derive(Clone, Debug)]
pub struct RedisCache(Redis);

impl RedisCache {
    /// In that Redis.
    #[must_use]
    pub const fn new(redis: Redis) -> Self {
        Self(redis)
    }

    fn page_key(&self, key: &[u8; 32]) -> String {
        self.0.key(&format!("page:{}", hex::encode(key)))
    }
}

/// The fields of a copy as they came; `None` where one is missing or is not what it should be.
pub(crate) fn show_copy(id: EventId, position: Position, fields: &HashMap<String, String>) -> Option<ShowCopy> {
    let number = |name: &str| fields.get(name)?.parse::<i64>().ok();
    let sales = Sales {
        seat_version: number("seat_version")?,
        taken: number("taken")?,
        counters: serde_json::from_str(fields.get("counters")?).ok()?,
    };
    let record = ShowRecord {
        id,
        show: serde_json::from_str(fields.get("show")?).ok()?,
        published_at: number("published_at")?,
        position: number("own_position")?,
        sales,
        sales_position: number("sales_position")?,
    };
    let statuses = fields.get("statuses").map_or("", String::as_str).into();
    Some(ShowCopy { position, record, statuses })
}

#[async_trait]
impl ReadCache for RedisCache {
    async fn show(&self, version: i32, id: EventId, with_seats: bool) -> ShowFound {
        let key = copy(&self.0, version, id);
        let ticket = Uuid::new_v4().to_string();
        let mut script = READ_SHOW.prepare_invoke();
        script
            .key(chain(&self.0, version))
            .key(&key)
            .arg(&ticket)
            .arg(millis(TICKET_GOOD_FOR))
            .arg(u8::from(with_seats));
        let answer: Result<(String, Position, u64, redis::Value), _> = self.0.run(&script).await;
        match answer {
            Ok((found, position, silence, fields)) if found == "copy" => {
                let fields = HashMap::<String, String>::from_redis_value(fields).ok();
                match fields.and_then(|fields| show_copy(id, position, &fields)) {
                    Some(copy) => ShowFound::Copy(Box::new(copy), Duration::from_millis(silence)),
                    None => {
                        tracing::warn!(show = %id, "a copy in Redis cannot be read; it is passed over");
                        ShowFound::Unavailable
                    }
                }
            }
            Ok((ticket, ..)) if !ticket.is_empty() => ShowFound::Missing(ticket),
            Ok(_) | Err(_) => ShowFound::Unavailable,
        }
    }

    async fn keep_show(&self, version: i32, ticket: &str, read: &ShowCopy) {
        let mut script = KEEP_SHOW.prepare_invoke();
        script.key(chain(&self.0, version)).key(copy(&self.0, version, read.record.id));
        script.arg(ticket).arg(read.position).arg(millis(COPY_KEPT_FOR));
        for (name, value) in sales_fields(&read.record).into_iter().chain(show_fields(&read.record)) {
            script.arg(name).arg(value);
        }
        script.arg("statuses").arg(read.statuses.as_ref());
        let _: Result<i64, _> = self.0.run(&script).await;
    }

    async fn page(&self, key: &[u8; 32]) -> PageFound {
        let mut script = READ_PAGE.prepare_invoke();
        script.key(self.page_key(key)).key(format!("{}:lock", self.page_key(key)));
        script.arg(millis(LIST_FRESH_FOR)).arg(millis(PAGE_LOCKED_FOR));
        let answer: Result<(String, u64, Option<String>), _> = self.0.run(&script).await;
        let Ok((found, age, json)) = answer else { return PageFound::Unavailable };
        let copy = json.as_deref().and_then(PageCopy::from_json);
        match (found.as_str(), copy) {
            ("page", Some(copy)) => PageFound::Copy(copy, Duration::from_millis(age)),
            ("yours", copy) => PageFound::YoursToFill(copy),
            ("theirs", copy) => PageFound::BeingFilled(copy),
            _ => PageFound::Unavailable,
        }
    }

    async fn keep_page(&self, key: &[u8; 32], read: &PageCopy) {
        let mut script = KEEP_PAGE.prepare_invoke();
        script.key(self.page_key(key)).key(format!("{}:lock", self.page_key(key)));
        script.arg(read.to_json()).arg(read.position).arg(millis(PAGE_KEPT_FOR));
        let _: Result<i64, _> = self.0.run(&script).await;
    }
}
