//! What many ask of the books at once, written and read in a few statements for all of them.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use sqlx::Row;
use tickiz_together::Round;

use super::{
    account::{NewPayment, OwedDelivery, Payment},
    books::{INSERT_MOVEMENT, MOVEMENT, money, state},
    machine::Step,
};
use crate::stores::{Database, StoreError, execute_all, on_database, pieces, repeated};

const SELECT_PAYMENTS: &str = "SELECT id, idempotency_key, request_hash, reference, amount_minor, currency, title, locale, \
                               return_url, state, refunded_minor, pay_until, hold_ends_at, due_at, created_at, changed_at \
                               FROM sandbox_payments WHERE ";
const INSERT_PAYMENT: &str = "INSERT INTO sandbox_payments (id, idempotency_key, request_hash, reference, amount_minor, \
                              currency, title, locale, return_url, state, refunded_minor, pay_until, hold_ends_at, due_at, \
                              created_at, changed_at) VALUES ";
const PAYMENT: &str = "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, ?, ?, ?, ?, ?)";
const MOVE_PAYMENTS: &str =
    "UPDATE sandbox_payments SET state = ?, due_at = ?, changed_at = ? WHERE state = ? AND id IN (";
const INSERT_DELIVERY: &str = "INSERT INTO sandbox_deliveries (id, payment_id, event_type, body, created_at, attempts, \
                               next_attempt_at) VALUES ";
const DELIVERY: &str = "(?, ?, ?, ?, ?, 0, ?)";
const TAKE_DELIVERIES: &str = "UPDATE sandbox_deliveries SET attempts = attempts + 1, next_attempt_at = ?, last_attempt_at = ? \
                               WHERE next_attempt_at IS NOT NULL AND (";
const SETTLE_DELIVERIES: &str = "UPDATE sandbox_deliveries SET next_attempt_at = ?, last_answer = ?, delivered_at = ? \
                                 WHERE delivered_at IS NULL AND (";
/// A delivery at one of its attempts.
const DELIVERY_AT: &str = "(id = ? AND attempts = ?)";

/// A row of `sandbox_payments`, of whichever driver.
macro_rules! payment_of {
    ($row:ident) => {
        Payment {
            id: $row.try_get("id")?,
            asked: NewPayment {
                idempotency_key: $row.try_get("idempotency_key")?,
                request_hash: $row.try_get("request_hash")?,
                reference: $row.try_get("reference")?,
                amount: money($row.try_get("amount_minor")?, $row.try_get("currency")?)?,
                title: $row.try_get("title")?,
                locale: $row.try_get("locale")?,
                return_url: $row.try_get("return_url")?,
                pay_until: $row.try_get("pay_until")?,
                hold_ends_at: $row.try_get("hold_ends_at")?,
            },
            state: state($row.try_get("state")?)?,
            refunded_minor: $row.try_get("refunded_minor")?,
            due_at: $row.try_get("due_at")?,
            created_at: $row.try_get("created_at")?,
            changed_at: $row.try_get("changed_at")?,
        }
    };
}

/// What finds a payment.
pub(super) enum Name {
    /// The gateway's own id.
    Id(String),
    /// The merchant's key.
    Key(String),
}

/// The payments with one of these values in that column, `id` or `idempotency_key`.
async fn find(database: &Database, column: &str, values: &[&str]) -> Result<Vec<Payment>, StoreError> {
    let mut found = Vec::with_capacity(values.len());
    for piece in pieces(values) {
        let text = repeated(&format!("{SELECT_PAYMENTS}{column} IN ("), "?", ", ", piece.len(), ")");
        on_database!(database, pool => {
            let mut query = sqlx::query(text);
            for value in piece {
                query = query.bind(*value);
            }
            for row in query.fetch_all(pool).await? {
                found.push(payment_of!(row));
            }
        });
    }
    Ok(found)
}

/// Finds payments.
pub(super) struct Finding(pub Database);

#[async_trait::async_trait]
impl Round for Finding {
    type Ask = Name;
    type Answer = Option<Payment>;
    type Error = StoreError;

    async fn run(&self, asked: &[Name]) -> Result<Vec<Option<Payment>>, StoreError> {
        let (mut ids, mut keys) = (Vec::new(), Vec::new());
        for name in asked {
            match name {
                Name::Id(id) => ids.push(&**id),
                Name::Key(key) => keys.push(&**key),
            }
        }
        let by_id = find(&self.0, "id", &ids).await?;
        let by_key = find(&self.0, "idempotency_key", &keys).await?;
        let by_id: BTreeMap<&str, &Payment> = by_id.iter().map(|payment| (&*payment.id, payment)).collect();
        let by_key: BTreeMap<&str, &Payment> =
            by_key.iter().map(|payment| (&*payment.asked.idempotency_key, payment)).collect();
        let of = |name: &Name| match name {
            Name::Id(id) => by_id.get(&**id).copied().cloned(),
            Name::Key(key) => by_key.get(&**key).copied().cloned(),
        };
        Ok(asked.iter().map(of).collect())
    }
}

/// Opens payments; answers with the one of that key, which is the one that was asked for unless it was there before.
pub(super) struct Opening(pub Database);

#[async_trait::async_trait]
impl Round for Opening {
    type Ask = Payment;
    type Answer = Payment;
    type Error = StoreError;

    async fn run(&self, asked: &[Payment]) -> Result<Vec<Payment>, StoreError> {
        let keys: Vec<&str> = asked.iter().map(|new| &*new.asked.idempotency_key).collect();
        let key_of = |payment: Payment| (payment.asked.idempotency_key.clone(), payment);
        let mut known: BTreeMap<String, Payment> =
            find(&self.0, "idempotency_key", &keys).await?.into_iter().map(key_of).collect();
        let mut new = Vec::new();
        for payment in asked {
            // The first of several with one key is the payment.
            if !known.contains_key(&payment.asked.idempotency_key) {
                known.insert(payment.asked.idempotency_key.clone(), payment.clone());
                new.push(payment);
            }
        }
        match self.insert(&new).await {
            Ok(()) => {}
            // Another process has just opened it.
            Err(sqlx::Error::Database(error)) if error.is_unique_violation() && asked.len() == 1 => {
                let theirs = find(&self.0, "idempotency_key", &keys).await?;
                known.extend(theirs.into_iter().map(key_of));
            }
            Err(error) => return Err(error.into()),
        }
        let lost = || StoreError::Damaged("a sandbox payment that was opened is not there".to_owned());
        let of = |new: &Payment| known.get(&new.asked.idempotency_key).cloned().ok_or_else(lost);
        asked.iter().map(of).collect()
    }
}

impl Opening {
    async fn insert(&self, new: &[&Payment]) -> Result<(), sqlx::Error> {
        if new.is_empty() {
            return Ok(());
        }
        on_database!(&self.0, pool => {
            let queries = pieces(new).map(|piece| {
                let mut query = sqlx::query(repeated(INSERT_PAYMENT, PAYMENT, ", ", piece.len(), ""));
                for Payment { id, asked, state, due_at, created_at, changed_at, .. } in piece {
                    query = query
                        .bind(id)
                        .bind(&asked.idempotency_key)
                        .bind(&asked.request_hash)
                        .bind(&asked.reference)
                        .bind(asked.amount.minor())
                        .bind(asked.amount.currency().code())
                        .bind(&asked.title)
                        .bind(&asked.locale)
                        .bind(&asked.return_url)
                        .bind(state.as_str())
                        .bind(asked.pay_until)
                        .bind(asked.hold_ends_at)
                        .bind(due_at)
                        .bind(created_at)
                        .bind(changed_at);
                }
                query
            });
            execute_all!(pool, queries.collect());
        });
        Ok(())
    }
}

/// A payment that moves from the state that it was read in.
pub(super) struct Move {
    pub payment: Payment,
    pub step: Step,
    pub now: DateTime<Utc>,
    pub delivery_id: String,
}

/// Moves payments, with their money and the webhooks that are owed for it; answers when each moved, or `None` where it was no longer
/// where it was read.
pub(super) struct Moving(pub Database);

#[async_trait::async_trait]
impl Round for Moving {
    type Ask = Move;
    type Answer = Option<DateTime<Utc>>;
    type Error = StoreError;

    async fn run(&self, asked: &[Move]) -> Result<Vec<Option<DateTime<Utc>>>, StoreError> {
        let Some(now) = asked.iter().map(|moves| moves.now).max() else { return Ok(Vec::new()) };
        let mut first: BTreeMap<&str, usize> = BTreeMap::new();
        for (at, moves) in asked.iter().enumerate() {
            first.entry(&*moves.payment.id).or_insert(at);
        }
        // Of two who move one payment, the second finds it moved.
        let moves: Vec<&Move> = first.values().map(|at| &asked[*at]).collect();
        let mut alike: BTreeMap<(&str, &str, Option<DateTime<Utc>>), Vec<&Move>> = BTreeMap::new();
        for one in &moves {
            let Move { payment, step, .. } = one;
            alike.entry((payment.state.as_str(), step.to.as_str(), step.due_at)).or_default().push(one);
        }
        let charges: Vec<&Move> = moves.iter().copied().filter(|one| one.step.takes_money()).collect();
        let told: Vec<(&Move, &str)> = moves.iter().filter_map(|one| Some((*one, one.step.webhook?))).collect();
        on_database!(&self.0, pool => {
            let mut transaction = pool.begin().await?;
            for ((from, to, due_at), alike) in &alike {
                for piece in pieces(alike) {
                    let mut query = sqlx::query(repeated(MOVE_PAYMENTS, "?", ", ", piece.len(), ")"))
                        .bind(to)
                        .bind(due_at)
                        .bind(now)
                        .bind(from);
                    for one in piece {
                        query = query.bind(&one.payment.id);
                    }
                    if query.execute(&mut *transaction).await?.rows_affected() < piece.len() as u64 {
                        transaction.rollback().await?;
                        // Each by itself says which of them another process has moved.
                        return if asked.len() == 1 { Ok(vec![None]) } else { Err(moved_meanwhile()) };
                    }
                }
            }
            for piece in pieces(&charges) {
                let mut query = sqlx::query(repeated(INSERT_MOVEMENT, MOVEMENT, ", ", piece.len(), ""));
                for Move { payment, .. } in piece {
                    let amount = payment.asked.amount.minor();
                    query = query.bind(&payment.id).bind("CHARGE").bind(amount).bind(&payment.id).bind(now);
                }
                query.execute(&mut *transaction).await?;
            }
            for piece in pieces(&told) {
                let mut query = sqlx::query(repeated(INSERT_DELIVERY, DELIVERY, ", ", piece.len(), ""));
                for (Move { payment, step, delivery_id, .. }, event_type) in piece {
                    let body = super::courier::message(delivery_id, event_type, payment, step.to, now);
                    query = query.bind(delivery_id).bind(&payment.id).bind(*event_type).bind(body).bind(now).bind(now);
                }
                query.execute(&mut *transaction).await?;
            }
            transaction.commit().await?;
        });
        let moved = |(at, one): (usize, &Move)| (first.get(&*one.payment.id) == Some(&at)).then_some(now);
        Ok(asked.iter().enumerate().map(moved).collect())
    }
}

/// What a round of several fails with, so that each is tried alone.
fn moved_meanwhile() -> StoreError {
    StoreError::Damaged("another process has moved one of them".to_owned())
}

/// Takes deliveries for one attempt each; those that somebody else has are left out.
pub(super) async fn take_deliveries(
    database: &Database,
    owed: Vec<OwedDelivery>,
    now: DateTime<Utc>,
    lease_until: DateTime<Utc>,
) -> Result<Vec<OwedDelivery>, StoreError> {
    let mut taken = Vec::with_capacity(owed.len());
    for piece in pieces(&owed) {
        if take(database, piece, now, lease_until).await? {
            taken.extend_from_slice(piece);
            continue;
        }
        for one in piece.chunks(1) {
            if take(database, one, now, lease_until).await? {
                taken.extend_from_slice(one);
            }
        }
    }
    Ok(taken)
}

/// Takes all of them or none; false where somebody else has one.
async fn take(
    database: &Database,
    owed: &[OwedDelivery],
    now: DateTime<Utc>,
    lease_until: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let text = repeated(TAKE_DELIVERIES, DELIVERY_AT, " OR ", owed.len(), ")");
    on_database!(database, pool => {
        let mut transaction = pool.begin().await?;
        let mut query = sqlx::query(text).bind(lease_until).bind(now);
        for delivery in owed {
            query = query.bind(&delivery.id).bind(delivery.attempts);
        }
        let all = query.execute(&mut *transaction).await?.rows_affected() == owed.len() as u64;
        if all { transaction.commit().await? } else { transaction.rollback().await? }
        Ok(all)
    })
}

/// How an attempt of a delivery ended.
pub(super) struct Ended {
    pub id: String,
    pub attempt: i32,
    pub answer: String,
    pub delivered_at: Option<DateTime<Utc>>,
    pub next: Option<DateTime<Utc>>,
}

/// Writes down how deliveries ended.
pub(super) struct Settling(pub Database);

#[async_trait::async_trait]
impl Round for Settling {
    type Ask = Ended;
    type Answer = ();
    type Error = StoreError;

    async fn run(&self, asked: &[Ended]) -> Result<Vec<()>, StoreError> {
        // Those of whom the same is written go in one statement; as a rule that is everybody.
        let mut alike: BTreeMap<(&str, Option<DateTime<Utc>>, bool), Vec<&Ended>> = BTreeMap::new();
        for ended in asked {
            alike.entry((&ended.answer, ended.next, ended.delivered_at.is_some())).or_default().push(ended);
        }
        on_database!(&self.0, pool => {
            let mut queries = Vec::new();
            for ((answer, next, _), ended) in &alike {
                for piece in pieces(ended) {
                    let mut query = sqlx::query(repeated(SETTLE_DELIVERIES, DELIVERY_AT, " OR ", piece.len(), ")"))
                        .bind(next)
                        .bind(answer)
                        .bind(piece.iter().filter_map(|ended| ended.delivered_at).max());
                    for ended in piece {
                        query = query.bind(&ended.id).bind(ended.attempt);
                    }
                    queries.push(query);
                }
            }
            execute_all!(pool, queries);
        });
        Ok(vec![(); asked.len()])
    }
}
