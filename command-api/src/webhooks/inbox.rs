//! The inbox: each message of a gateway once, by the gateway's own key.
//!
//! A row is only ever made of a message whose signature held, so whoever forges one cannot occupy the key of a true one. It is
//! written before the gateway is answered; what it leads to comes afterwards, and is done again if a process dies in between:
//! `next_attempt_at` is also the lease, and whoever works on a row moves it forward first, compare-and-set on `attempts`.

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use tickiz_domain::ids::{BookingId, PaymentId};
use tickiz_event_log::runtime::Clock;
use tickiz_together::{Round, Together};
use uuid::Uuid;

use crate::{
    gateways::{AttemptRef, Webhook},
    stores::{Database, StoreError, execute_all, on_database, pieces, repeated},
};

const INSERT: &str = "INSERT INTO webhook_inbox (gateway, event_key, booking_id, payment_id, received_at, headers, raw_body, \
                      verified, state, attempts, next_attempt_at) VALUES ";
const ROW: &str = "(?, ?, ?, ?, ?, ?, ?, ?, ?, 1, ?)";
const SELECT_STORED: &str = "SELECT gateway, event_key FROM webhook_inbox WHERE ";
const SELECT_DUE: &str = "SELECT gateway, event_key, booking_id, payment_id, attempts FROM webhook_inbox \
                          WHERE next_attempt_at <= ? ORDER BY next_attempt_at LIMIT ?";
const TAKE: &str = "UPDATE webhook_inbox SET attempts = attempts + 1, next_attempt_at = ? \
                    WHERE gateway = ? AND event_key = ? AND attempts = ? AND next_attempt_at IS NOT NULL";
const SETTLE: &str = "UPDATE webhook_inbox SET state = ?, outcome = ?, next_attempt_at = ?, settled_at = ? \
                      WHERE settled_at IS NULL AND (";

/// The most characters of an outcome that are kept.
const MAX_OUTCOME_CHARS: usize = 500;

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Nothing yet.
    New,
    /// Its attempt was looked at, and what the gateway said is recorded.
    Applied,
    /// It is about nothing of ours.
    Ignored,
    /// Could not be applied for hours. The reconciler looks at its attempt all the same.
    Abandoned,
}

impl State {
    const fn as_str(self) -> &'static str {
        match self {
            Self::New => "NEW",
            Self::Applied => "APPLIED",
            Self::Ignored => "IGNORED",
            Self::Abandoned => "ABANDONED",
        }
    }
}

/// A message that somebody works on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The gateway's name.
    pub gateway: String,
    /// The gateway's own id of it.
    pub event_key: String,
    /// The attempt that it is about.
    pub attempt: AttemptRef,
    /// How often it was worked on, this time included.
    pub attempts: i32,
}

impl Message {
    fn key(&self) -> (String, String) {
        (self.gateway.clone(), self.event_key.clone())
    }

    /// The id by which the message stands as a cause in the log.
    #[must_use]
    pub fn cause(&self) -> Uuid {
        Uuid::new_v5(&self.attempt.payment_id.0, format!("{}/{}", self.gateway, self.event_key).as_bytes())
    }
}

/// Whether a message was there before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stored {
    /// It was not; it is leased to the caller.
    New(Message),
    /// It was.
    Seen,
}

/// A message that is to be stored.
struct NewMessage {
    message: Message,
    received_at: DateTime<Utc>,
    headers: String,
    body: Bytes,
    lease_until: DateTime<Utc>,
}

/// Stores messages; answers whether each is new.
struct Storing(Database);

#[async_trait::async_trait]
impl Round for Storing {
    type Ask = NewMessage;
    type Answer = bool;
    type Error = StoreError;

    async fn run(&self, asked: &[NewMessage]) -> Result<Vec<bool>, StoreError> {
        let mut seen = self.stored(asked).await?;
        // The first of several with one key is new.
        let new: Vec<bool> = asked.iter().map(|new| seen.insert(new.message.key())).collect();
        let rows: Vec<&NewMessage> = asked.iter().zip(&new).filter_map(|(row, new)| new.then_some(row)).collect();
        match self.insert(&rows).await {
            Ok(()) => Ok(new),
            // Another process has just stored it.
            Err(sqlx::Error::Database(error)) if error.is_unique_violation() && asked.len() == 1 => Ok(vec![false]),
            Err(error) => Err(error.into()),
        }
    }
}

impl Storing {
    /// Those of the keys that are there.
    async fn stored(&self, asked: &[NewMessage]) -> Result<HashSet<(String, String)>, StoreError> {
        let mut seen = HashSet::new();
        for piece in pieces(asked) {
            let text = repeated(SELECT_STORED, "(gateway = ? AND event_key = ?)", " OR ", piece.len(), "");
            let rows: Vec<(String, String)> = on_database!(&self.0, pool => {
                let mut query = sqlx::query_as(text);
                for new in piece {
                    query = query.bind(&new.message.gateway).bind(&new.message.event_key);
                }
                query.fetch_all(pool).await?
            });
            seen.extend(rows);
        }
        Ok(seen)
    }

    async fn insert(&self, rows: &[&NewMessage]) -> Result<(), sqlx::Error> {
        if rows.is_empty() {
            return Ok(());
        }
        on_database!(&self.0, pool => {
            let queries = pieces(rows).map(|piece| {
                let mut query = sqlx::query(repeated(INSERT, ROW, ", ", piece.len(), ""));
                for new in piece {
                    query = query
                        .bind(&new.message.gateway)
                        .bind(&new.message.event_key)
                        .bind(new.message.attempt.booking_id.0)
                        .bind(new.message.attempt.payment_id.0)
                        .bind(new.received_at)
                        .bind(&new.headers)
                        .bind(&*new.body)
                        .bind(true)
                        .bind(State::New.as_str())
                        .bind(new.lease_until);
                }
                query
            });
            execute_all!(pool, queries.collect());
        });
        Ok(())
    }
}

/// What became of a message.
struct Settled {
    message: Message,
    state: State,
    outcome: String,
    next_attempt_at: Option<DateTime<Utc>>,
    settled_at: Option<DateTime<Utc>>,
}

/// Writes down what became of messages.
struct Settling(Database);

#[async_trait::async_trait]
impl Round for Settling {
    type Ask = Settled;
    type Answer = ();
    type Error = StoreError;

    async fn run(&self, asked: &[Settled]) -> Result<Vec<()>, StoreError> {
        // Those of whom the same is written go in one statement; as a rule that is everybody.
        let mut alike: BTreeMap<(&str, &str, Option<DateTime<Utc>>, bool), Vec<&Settled>> = BTreeMap::new();
        for settled in asked {
            let what =
                (settled.state.as_str(), &*settled.outcome, settled.next_attempt_at, settled.settled_at.is_some());
            alike.entry(what).or_default().push(settled);
        }
        on_database!(&self.0, pool => {
            let mut queries = Vec::new();
            for ((state, outcome, next_attempt_at, _), settled) in &alike {
                for piece in pieces(settled) {
                    let one = "(gateway = ? AND event_key = ? AND attempts = ?)";
                    let mut query = sqlx::query(repeated(SETTLE, one, " OR ", piece.len(), ")"))
                        .bind(state)
                        .bind(outcome)
                        .bind(next_attempt_at)
                        .bind(piece.iter().filter_map(|settled| settled.settled_at).max());
                    for Settled { message, .. } in piece {
                        query = query.bind(&message.gateway).bind(&message.event_key).bind(message.attempts);
                    }
                    queries.push(query);
                }
            }
            execute_all!(pool, queries);
        });
        Ok(vec![(); asked.len()])
    }
}

/// The inbox. A cheap handle.
#[derive(Clone)]
pub struct Inbox {
    database: Database,
    clock: Arc<dyn Clock>,
    storing: Together<Storing>,
    settling: Together<Settling>,
}

impl Inbox {
    /// The inbox in that database, whose tables are there ([`crate::stores::INBOX`]).
    ///
    /// # Panics
    /// Outside a runtime: what it writes is written by tasks.
    #[must_use]
    pub fn new(database: Database, clock: Arc<dyn Clock>) -> Self {
        let (storing, settling) = (Storing(database.clone()), Settling(database.clone()));
        Self { database, clock, storing: Together::start(storing), settling: Together::start(settling) }
    }

    fn now(&self) -> DateTime<Utc> {
        self.clock.now().trunc_subsecs(6)
    }

    fn after(&self, wait: Duration) -> DateTime<Utc> {
        self.now() + TimeDelta::from_std(wait).unwrap_or(TimeDelta::MAX)
    }

    /// Stores a verified message unless it is there, leased to the caller. Durable when this returns.
    ///
    /// # Errors
    /// When the store fails: then the gateway has to send it again.
    pub async fn store(
        &self,
        gateway: &'static str,
        webhook: &Webhook,
        headers: String,
        body: Bytes,
        lease: Duration,
    ) -> Result<Stored, StoreError> {
        let message = Message {
            gateway: gateway.to_owned(),
            event_key: webhook.event_key.clone(),
            attempt: webhook.attempt,
            attempts: 1,
        };
        let new = NewMessage {
            message: message.clone(),
            received_at: self.now(),
            headers,
            body,
            lease_until: self.after(lease),
        };
        Ok(if self.storing.ask(new).await? { Stored::New(message) } else { Stored::Seen })
    }

    /// The messages whose time has come: those of a process that died, and those that failed before.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn due(&self, limit: i64) -> Result<Vec<Message>, StoreError> {
        let now = self.now();
        let rows: Vec<(String, String, Uuid, Uuid, i32)> = on_database!(&self.database, pool => {
            sqlx::query_as(SELECT_DUE).bind(now).bind(limit).fetch_all(pool).await?
        });
        let message = |(gateway, event_key, booking, payment, attempts)| Message {
            gateway,
            event_key,
            attempt: AttemptRef { booking_id: BookingId(booking), payment_id: PaymentId(payment) },
            attempts,
        };
        Ok(rows.into_iter().map(message).collect())
    }

    /// Takes a due message; nobody else does before the lease runs out. `None` when somebody else has it.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn take(&self, due: &Message, lease: Duration) -> Result<Option<Message>, StoreError> {
        let until = self.after(lease);
        let taken = on_database!(&self.database, pool => {
            sqlx::query(TAKE)
                .bind(until)
                .bind(&due.gateway)
                .bind(&due.event_key)
                .bind(due.attempts)
                .execute(pool)
                .await?
                .rows_affected()
        });
        Ok((taken == 1).then(|| Message { attempts: due.attempts + 1, ..due.clone() }))
    }

    /// Writes down what became of a message, or that it is to be worked on again after `again`.
    ///
    /// # Errors
    /// When the store fails: then it is worked on again, which is harmless.
    pub async fn settle(
        &self,
        message: &Message,
        state: State,
        outcome: &str,
        again: Option<Duration>,
    ) -> Result<(), StoreError> {
        let outcome: String = outcome.chars().take(MAX_OUTCOME_CHARS).collect();
        let settled = Settled {
            message: message.clone(),
            state,
            outcome,
            next_attempt_at: again.map(|wait| self.after(wait)),
            settled_at: again.is_none().then(|| self.now()),
        };
        self.settling.ask(settled).await
    }
}
