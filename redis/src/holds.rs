//! The store of holds that several processes share.
//!
//! A seat is a key of its own, which runs out by itself: `hold:<show>:<seat>`, with `r` (reserved) or `h` (held) and the
//! booking's id as value. [`reserve.lua`](../holds/reserve.lua) takes all seats of a booking or none;
//! [`heed.lua`](../holds/heed.lua) heeds many notes at once, each only where the seat is not somebody else's.

use std::{sync::LazyLock, time::Duration};

use async_trait::async_trait;
use chrono::Utc;
use redis::Script;
use tickiz_command_api::holds::{Conflict, HoldStore, HoldsUnavailable, Note, RESERVED_FOR, Standing};
use tickiz_domain::ids::{BookingId, EventId, SeatId};
use tokio::sync::mpsc;

use crate::connection::Redis;

/// The most notes that wait. More of them means that Redis does not keep up; what is dropped runs out by itself.
const MAX_WAITING: usize = 10_000;
/// The most notes that are heeded by one script, so that it never keeps the others waiting for long.
const MAX_AT_ONCE: usize = 256;
/// The longest that a seat is held here. Whatever holds longer is known by its claim.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

static RESERVE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("holds/reserve.lua")));
static HEED: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("holds/heed.lua")));

fn key(redis: &Redis, show: EventId, seat: &SeatId) -> String {
    redis.key(&format!("hold:{show}:{}", seat.as_str()))
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Holds in Redis. One a process, so that its notes are heeded in the order in which they were told.
pub struct RedisHolds {
    redis: Redis,
    notes: mpsc::Sender<Note>,
}

impl RedisHolds {
    /// Holds in that Redis. Notes are sent by a task of its own, which ends with this.
    #[must_use]
    pub fn new(redis: Redis) -> Self {
        let (notes, told) = mpsc::channel(MAX_WAITING);
        tokio::spawn(send_notes(redis.clone(), told));
        Self { redis, notes }
    }
}

async fn send_notes(redis: Redis, mut told: mpsc::Receiver<Note>) {
    let mut notes = Vec::new();
    while told.recv_many(&mut notes, MAX_AT_ONCE).await > 0 {
        let mut script = HEED.prepare_invoke();
        for note in notes.drain(..) {
            let (show, booking, seats, left) = match note {
                Note::Keep { show, booking, seats, until } => {
                    let left = (until - Utc::now()).to_std().unwrap_or_default().min(LONGEST);
                    (show, booking, seats, milliseconds(left))
                }
                Note::Release { show, booking, seats } => (show, booking, seats, 0),
            };
            for seat in seats {
                script.key(key(&redis, show, &seat)).arg(booking.to_string()).arg(left);
            }
        }
        // What is lost runs out by itself.
        let _: Result<(), _> = redis.run(&script).await;
    }
}

#[async_trait]
impl HoldStore for RedisHolds {
    async fn reserve(
        &self,
        show: EventId,
        booking: BookingId,
        seats: &[SeatId],
    ) -> Result<Vec<Conflict>, HoldsUnavailable> {
        let unavailable = |what: String| HoldsUnavailable(what);
        let mut script = RESERVE.prepare_invoke();
        for seat in seats {
            script.key(key(&self.redis, show, seat));
        }
        script.arg(booking.to_string()).arg(milliseconds(RESERVED_FOR));
        let others: Vec<(usize, String)> =
            self.redis.run(&script).await.map_err(|error| unavailable(error.to_string()))?;
        let conflict = |(index, value): (usize, String)| {
            let damaged = || unavailable("a hold's value is none of ours".to_owned());
            let (standing, holder) = value.split_at_checked(1).ok_or_else(damaged)?;
            let standing = if standing == "h" { Standing::Held } else { Standing::Reserved };
            Ok(Conflict { index: index - 1, holder: holder.parse().map_err(|_| damaged())?, standing })
        };
        others.into_iter().map(conflict).collect()
    }

    fn tell(&self, note: Note) {
        // A full queue: dropped, and it runs out by itself.
        let _ = self.notes.try_send(note);
    }
}
