//! What the projector writes of shows: copies that follow the rows, and the signal that the rows have come further.
//!
//! Per version of the projection there is one **chain**, `events:<version>`: an epoch, the position that it has
//! reached, and when the projector was last heard of. A show's copy is a hash of its own beside it, with everything of it in one
//! place, and belongs to one epoch.
//!
//! * A batch moves the chain from its first position to its last, changes the copies that there are, and tells who listens, all
//!   in one script ([`advance.lua`](../mirror/advance.lua)). So every copy of the chain's epoch is complete up to the chain's
//!   position.
//! * A batch that does not follow the chain's position means that something was lost: a batch while Redis was away, the chain
//!   itself, a projector between its commit and here. Then a new epoch begins, and no copy of the old one is believed any more.
//! * A copy that was made of rows ahead of the chain says so, and the batches that it has already pass it by.
//! * A copy is made when somebody asks for a show that has none: he gets a ticket, reads the rows, and hands them over. Dropped
//!   where the show has changed in between.
//! * A batch of a projector that was overtaken is behind the chain, and dropped.

use std::{
    fmt,
    sync::{Arc, LazyLock},
    time::Duration,
};

use parking_lot::Mutex;
use redis::Script;
use tickiz_domain::ids::EventId;
use tickiz_projections::mirror::{Mirror, Projected};
use tickiz_read_models::{Projection, events::tables::ShowRecord};
use tokio::sync::mpsc;
use uuid::Uuid;

use crate::{Redis, signals};

/// The most batches that wait. What is dropped begins a new epoch.
const MAX_WAITING: usize = 64;
/// How often the projector says that it lives.
const BEAT: Duration = Duration::from_millis(500);
/// How long a copy is kept that nobody changes; then it is made anew.
pub(crate) const COPY_KEPT_FOR: Duration = Duration::from_secs(60 * 60);
/// How long a chain is kept that nobody moves: one of a version that was replaced.
const CHAIN_KEPT_FOR: Duration = Duration::from_secs(24 * 60 * 60);

static ADVANCE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("mirror/advance.lua")));
static BEATS: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("mirror/beat.lua")));
static SAY: LazyLock<Script> = LazyLock::new(|| Script::new("redis.call('PUBLISH', KEYS[1], ARGV[1])"));

/// The key of a chain.
pub(crate) fn chain(redis: &Redis, version: i32) -> String {
    redis.key(&format!("events:{version}"))
}

/// What the keys of shows' copies begin with.
pub(crate) fn copy_prefix(redis: &Redis, version: i32) -> String {
    redis.key(&format!("events:{version}:show:"))
}

/// The key of a show's copy.
pub(crate) fn copy(redis: &Redis, version: i32, show: EventId) -> String {
    format!("{}{show}", copy_prefix(redis, version))
}

/// The fields of what is left of a show, which change with every booking.
pub(crate) fn sales_fields(record: &ShowRecord) -> [(&'static str, String); 4] {
    let counters = serde_json::to_string(&record.sales.counters).expect("counters are JSON");
    [
        ("seat_version", record.sales.seat_version.to_string()),
        ("taken", record.sales.taken.to_string()),
        ("counters", counters),
        ("sales_position", record.sales_position.to_string()),
    ]
}

/// The fields of the show itself.
pub(crate) fn show_fields(record: &ShowRecord) -> [(&'static str, String); 3] {
    let show = serde_json::to_string(&record.show).expect("a show is JSON");
    [("show", show), ("published_at", record.published_at.to_string()), ("own_position", record.position.to_string())]
}

/// The mirror in Redis.
pub struct RedisMirror {
    batches: mpsc::Sender<Projected>,
}

impl fmt::Debug for RedisMirror {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RedisMirror")
    }
}

impl RedisMirror {
    /// Mirrors into that Redis. Batches are sent by a task of its own, which ends with this.
    #[must_use]
    pub fn new(redis: Redis) -> Self {
        let (batches, told) = mpsc::channel(MAX_WAITING);
        tokio::spawn(send(redis, told));
        Self { batches }
    }
}

impl Mirror for RedisMirror {
    fn projected(&self, batch: Projected) {
        // A full queue: dropped, and the next one finds that the chain is broken.
        let _ = self.batches.try_send(batch);
    }
}

async fn send(redis: Redis, mut told: mpsc::Receiver<Projected>) {
    // The version whose chain this process moves, since its last batch.
    let moves: Arc<Mutex<Option<i32>>> = Arc::default();
    let mut beat = tokio::time::interval(BEAT);
    beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            batch = told.recv() => {
                let Some(batch) = batch else { return };
                let sent = match batch.projection {
                    Projection::Events => {
                        *moves.lock() = Some(batch.version);
                        advance(&redis, &batch).await
                    }
                    Projection::Bookings | Projection::Reports => say(&redis, &batch).await,
                };
                if let Err(error) = sent {
                    tracing::debug!(%error, projection = batch.projection.name(), to = batch.to, "not mirrored");
                }
            }
            _ = beat.tick() => {
                let version = *moves.lock();
                if let Some(version) = version {
                    let mut script = BEATS.prepare_invoke();
                    script.key(chain(&redis, version)).arg(millis(CHAIN_KEPT_FOR));
                    let _: Result<(), _> = redis.run(&script).await;
                }
            }
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

async fn say(redis: &Redis, batch: &Projected) -> Result<(), crate::RedisError> {
    let mut script = SAY.prepare_invoke();
    script.key(redis.key(signals::CHANNEL)).arg(signals::text(batch.projection, batch.version, batch.to));
    redis.run(&script).await
}

async fn advance(redis: &Redis, batch: &Projected) -> Result<(), crate::RedisError> {
    let mut script = ADVANCE.prepare_invoke();
    script.key(chain(redis, batch.version));
    for change in &batch.shows {
        script.key(copy(redis, batch.version, change.record.id));
    }
    script
        .arg(batch.from)
        .arg(batch.to)
        .arg(Uuid::new_v4().to_string())
        .arg(millis(COPY_KEPT_FOR))
        .arg(redis.key(signals::CHANNEL))
        .arg(signals::text(batch.projection, batch.version, batch.to));
    for change in &batch.shows {
        let sales = sales_fields(&change.record);
        let show = change.is_show.then(|| show_fields(&change.record));
        let fields: Vec<&(&str, String)> = sales.iter().chain(show.iter().flatten()).collect();
        script.arg(fields.len());
        for (name, value) in fields {
            script.arg(*name).arg(value.as_str());
        }
        script.arg(change.seats.len());
        for (index, status) in &change.seats {
            script.arg(*index).arg(status.as_char().to_string());
        }
    }
    let moved: i64 = redis.run(&script).await?;
    if moved == 2 {
        tracing::info!(version = batch.version, position = batch.to, "copies of shows in Redis are made anew");
    }
    Ok(())
}
