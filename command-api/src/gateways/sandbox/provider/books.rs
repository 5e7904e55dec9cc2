//! The sandbox gateway's books: payments, refunds, movements of money, and the webhooks it owes.
//!
//! Several processes may work on the same books. Every change is one transaction that begins with a compare-and-set (a payment's
//! state, a refund's room, a delivery's attempt), so whoever comes second finds that nothing is left to do; no lock is held
//! between a read and a write. Movements are only ever inserted, and `(kind, subject)` is unique: a payment is charged once
//! and a refund is paid out once, whatever the code above does.

use std::sync::Arc;

use chrono::{DateTime, SubsecRound, Utc};
use sqlx::Row;
use tickiz_domain::money::{Currency, Money};
use tickiz_event_log::runtime::Clock;

use super::{
    account::{BooksError, LedgerPayment, NewPayment, NewRefund, Once, OwedDelivery, Payment, Refund},
    machine::{self, Act, Decision, State, Step},
};
use crate::{
    ids::Entropy,
    stores::{Database, StoreError, on_database},
    together::{Round, Together},
};

/// How often a change is decided again when another process was faster. Each loss means that somebody else moved the payment,
/// and a payment moves at most twice.
const MAX_DECISIONS: usize = 4;
/// The most due payments that one round takes.
pub const DUE_BATCH: i64 = 200;

macro_rules! select_payment {
    ($column:literal) => {
        concat!(
            "SELECT id, idempotency_key, request_hash, reference, amount_minor, currency, title, locale, return_url, state, ",
            "refunded_minor, pay_until, hold_ends_at, due_at, created_at, changed_at FROM sandbox_payments WHERE ",
            $column,
            " = ?"
        )
    };
}
const SELECT_BY_ID: &str = select_payment!("id");
const SELECT_BY_KEY: &str = select_payment!("idempotency_key");
const INSERT_PAYMENT: &str = "INSERT INTO sandbox_payments (id, idempotency_key, request_hash, reference, amount_minor, \
                              currency, title, locale, return_url, state, refunded_minor, pay_until, hold_ends_at, due_at, \
                              created_at, changed_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, ?, ?, ?, ?, ?)";
const SELECT_DUE: &str = "SELECT id FROM sandbox_payments WHERE due_at <= ? ORDER BY due_at LIMIT ?";
const MOVE_PAYMENT: &str =
    "UPDATE sandbox_payments SET state = ?, due_at = ?, changed_at = ? WHERE id = ? AND state = ?";
const INSERT_MOVEMENT: &str =
    "INSERT INTO sandbox_movements (payment_id, kind, amount_minor, subject, moved_at) VALUES (?, ?, ?, ?, ?)";
const INSERT_DELIVERY: &str = "INSERT INTO sandbox_deliveries (id, payment_id, event_type, body, created_at, attempts, \
                               next_attempt_at) VALUES (?, ?, ?, ?, ?, 0, ?)";
const TAKE_REFUND: &str = "UPDATE sandbox_payments SET refunded_minor = refunded_minor + ?, changed_at = ? \
                           WHERE id = ? AND state = ? AND refunded_minor + ? <= amount_minor";
const INSERT_REFUND: &str = "INSERT INTO sandbox_refunds (id, idempotency_key, request_hash, payment_id, amount_minor, reason, \
                             created_at) VALUES (?, ?, ?, ?, ?, ?, ?)";
const SELECT_REFUND: &str =
    "SELECT id, request_hash, payment_id, amount_minor FROM sandbox_refunds WHERE idempotency_key = ?";
const SELECT_DELIVERIES: &str = "SELECT id, body, attempts FROM sandbox_deliveries WHERE next_attempt_at <= ? \
                                 ORDER BY next_attempt_at LIMIT ?";
const TAKE_DELIVERY: &str = "UPDATE sandbox_deliveries SET attempts = attempts + 1, next_attempt_at = ?, last_attempt_at = ? \
                             WHERE id = ? AND attempts = ? AND next_attempt_at IS NOT NULL";
const SETTLE_DELIVERY: &str = "UPDATE sandbox_deliveries SET next_attempt_at = ?, last_answer = ?, delivered_at = ? \
                               WHERE id = ? AND attempts = ? AND delivered_at IS NULL";
const SELECT_LEDGER: &str = "SELECT p.id, p.idempotency_key, p.reference, p.amount_minor, p.currency, p.state, \
                             p.refunded_minor, p.changed_at, \
                             CAST(COALESCE((SELECT SUM(m.amount_minor) FROM sandbox_movements m \
                                   WHERE m.payment_id = p.id AND m.kind = 'CHARGE'), 0) AS SIGNED) AS charged, \
                             CAST(COALESCE((SELECT SUM(m.amount_minor) FROM sandbox_movements m \
                                   WHERE m.payment_id = p.id AND m.kind = 'REFUND'), 0) AS SIGNED) AS returned \
                             FROM sandbox_payments p WHERE p.id > ? ORDER BY p.id LIMIT ?";
/// The most payments that one page of the ledger has.
pub const LEDGER_PAGE: i64 = 1_000;

/// A row of `sandbox_payments`, of whichever driver.
macro_rules! payment_of {
    ($row:ident) => {
        Ok::<Payment, BooksError>(Payment {
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
        })
    };
}
/// How an attempt of a delivery ended.
struct Settled {
    id: String,
    attempt: i32,
    answer: String,
    delivered_at: Option<DateTime<Utc>>,
    next: Option<DateTime<Utc>>,
}

/// Writes down how deliveries ended.
struct Settling(Database);

#[async_trait::async_trait]
impl Round for Settling {
    type Ask = Settled;
    type Answer = ();

    async fn run(&self, asked: &[Settled]) -> Result<Vec<()>, StoreError> {
        on_database!(&self.0, pool => {
            let mut transaction = pool.begin().await?;
            for settled in asked {
                sqlx::query(SETTLE_DELIVERY)
                    .bind(settled.next)
                    .bind(&settled.answer)
                    .bind(settled.delivered_at)
                    .bind(&settled.id)
                    .bind(settled.attempt)
                    .execute(&mut *transaction)
                    .await?;
            }
            transaction.commit().await?;
        });
        Ok(vec![(); asked.len()])
    }
}

/// A payment that moves from the state that it was read in.
struct Move {
    payment: Payment,
    step: Step,
    now: DateTime<Utc>,
    delivery_id: String,
}

/// Moves payments, with their money and the webhooks that are owed for it; answers whether each was still where it was read.
struct Moving(Database);

#[async_trait::async_trait]
impl Round for Moving {
    type Ask = Move;
    type Answer = bool;

    async fn run(&self, asked: &[Move]) -> Result<Vec<bool>, StoreError> {
        let mut done = Vec::with_capacity(asked.len());
        on_database!(&self.0, pool => {
            let mut transaction = pool.begin().await?;
            for Move { payment, step, now, delivery_id } in asked {
                let moved = sqlx::query(MOVE_PAYMENT)
                    .bind(step.to.as_str())
                    .bind(step.due_at)
                    .bind(now)
                    .bind(&payment.id)
                    .bind(payment.state.as_str())
                    .execute(&mut *transaction)
                    .await?;
                let moved = moved.rows_affected() == 1;
                done.push(moved);
                if moved && step.takes_money() {
                    sqlx::query(INSERT_MOVEMENT)
                        .bind(&payment.id)
                        .bind("CHARGE")
                        .bind(payment.asked.amount.minor())
                        .bind(&payment.id)
                        .bind(now)
                        .execute(&mut *transaction)
                        .await?;
                }
                if let Some(event_type) = step.webhook.filter(|_| moved) {
                    sqlx::query(INSERT_DELIVERY)
                        .bind(delivery_id)
                        .bind(&payment.id)
                        .bind(event_type)
                        .bind(super::courier::message(delivery_id, event_type, payment, step.to, *now))
                        .bind(now)
                        .bind(now)
                        .execute(&mut *transaction)
                        .await?;
                }
            }
            transaction.commit().await?;
        });
        Ok(done)
    }
}

/// The books. A cheap handle.
#[derive(Clone)]
pub struct Books {
    database: Database,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    moving: Together<Moving>,
    settling: Together<Settling>,
}

impl Books {
    /// The books in that database, whose tables are there ([`crate::stores::SANDBOX`]).
    ///
    /// # Panics
    /// Outside a runtime: what is written together is written by tasks.
    #[must_use]
    pub fn new(database: Database, clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Self {
        let (moving, settling) = (Moving(database.clone()), Settling(database.clone()));
        let (moving, settling) = (Together::start(moving), Together::start(settling));
        Self { database, clock, entropy, moving, settling }
    }

    /// Now, by the gateway's clock, in microseconds, which is what every store keeps.
    #[must_use]
    pub fn now(&self) -> DateTime<Utc> {
        self.clock.now().trunc_subsecs(6)
    }

    fn random_id(&self, prefix: &str) -> String {
        let mut bytes = [0; 16];
        self.entropy.fill(&mut bytes);
        format!("{prefix}_{}", hex::encode(bytes))
    }

    /// Opens a payment, or finds the one of that key.
    ///
    /// # Errors
    /// [`BooksError::KeyReused`], [`BooksError::Store`].
    pub async fn create(&self, new: &NewPayment) -> Result<(Payment, Once), BooksError> {
        let now = self.now();
        let id = self.random_id("sbx");
        let inserted: Result<_, sqlx::Error> = on_database!(&self.database, pool => {
            sqlx::query(INSERT_PAYMENT)
                .bind(&id)
                .bind(&new.idempotency_key)
                .bind(&new.request_hash)
                .bind(&new.reference)
                .bind(new.amount.minor())
                .bind(new.amount.currency().code())
                .bind(&new.title)
                .bind(&new.locale)
                .bind(&new.return_url)
                .bind(State::Open.as_str())
                .bind(new.pay_until)
                .bind(new.hold_ends_at)
                .bind(machine::closes_at(new.pay_until))
                .bind(now)
                .bind(now)
                .execute(pool)
                .await
                .map(drop)
        });
        let once = match inserted {
            Ok(()) => Once::First,
            Err(error) if is_unique_violation(&error) => Once::Again,
            Err(error) => return Err(error.into()),
        };
        let payment = self.find_by_key(&new.idempotency_key).await?.ok_or(BooksError::NotFound)?;
        if payment.asked.request_hash == new.request_hash { Ok((payment, once)) } else { Err(BooksError::KeyReused) }
    }

    /// The payment of the gateway's own id.
    ///
    /// # Errors
    /// [`BooksError::Store`].
    pub async fn find(&self, id: &str) -> Result<Option<Payment>, BooksError> {
        self.find_where(SELECT_BY_ID, id).await
    }

    /// The payment of the merchant's key.
    ///
    /// # Errors
    /// [`BooksError::Store`].
    pub async fn find_by_key(&self, key: &str) -> Result<Option<Payment>, BooksError> {
        self.find_where(SELECT_BY_KEY, key).await
    }

    async fn find_where(&self, select: &'static str, value: &str) -> Result<Option<Payment>, BooksError> {
        on_database!(&self.database, pool => {
            let row = sqlx::query(select).bind(value).fetch_optional(pool).await?;
            row.map(|row| payment_of!(row)).transpose()
        })
    }

    /// Lets something happen to a payment: decided on the row as it is, written only if it is still so.
    ///
    /// # Errors
    /// [`BooksError::NotFound`], [`BooksError::Store`].
    pub async fn act(&self, id: &str, act: Act) -> Result<(Payment, Decision), BooksError> {
        for _ in 0..MAX_DECISIONS {
            let mut payment = self.find(id).await?.ok_or(BooksError::NotFound)?;
            let now = self.now();
            let decision = machine::decide(&payment.standing(), act, now);
            let Decision::Moves(step) = decision else { return Ok((payment, decision)) };
            let delivery_id = self.random_id("evt");
            if self.moving.ask(Move { payment: payment.clone(), step, now, delivery_id }).await? {
                payment.state = step.to;
                payment.due_at = step.due_at;
                payment.changed_at = now;
                return Ok((payment, decision));
            }
        }
        let damaged = format!("sandbox payment {id} moved more often than its states allow");
        Err(StoreError::Damaged(damaged).into())
    }

    /// The payments with which the gateway itself has something to do now.
    ///
    /// # Errors
    /// [`BooksError::Store`].
    pub async fn due(&self) -> Result<Vec<String>, BooksError> {
        let now = self.now();
        on_database!(&self.database, pool => {
            Ok(sqlx::query_scalar(SELECT_DUE).bind(now).bind(DUE_BATCH).fetch_all(pool).await?)
        })
    }

    /// Gives money back, or finds the refund of that key.
    ///
    /// # Errors
    /// [`BooksError::KeyReused`], [`BooksError::NothingToRefund`], [`BooksError::Store`].
    pub async fn refund(&self, new: &NewRefund) -> Result<(Refund, Once), BooksError> {
        if let Some(refund) = self.find_refund(&new.idempotency_key, Some(&new.request_hash)).await? {
            return Ok((refund, Once::Again));
        }
        match self.write_refund(new).await {
            Ok(Some(refund)) => Ok((refund, Once::First)),
            Ok(None) => Err(BooksError::NothingToRefund),
            // Somebody brought the same key at the same moment; his is the refund.
            Err(error) if is_unique_violation(&error) => {
                let refund = self.find_refund(&new.idempotency_key, Some(&new.request_hash)).await?;
                refund.map(|refund| (refund, Once::Again)).ok_or_else(|| error.into())
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn write_refund(&self, new: &NewRefund) -> Result<Option<Refund>, sqlx::Error> {
        let now = self.now();
        let id = self.random_id("rfd");
        on_database!(&self.database, pool => {
            let mut transaction = pool.begin().await?;
            let taken = sqlx::query(TAKE_REFUND)
                .bind(new.amount_minor)
                .bind(now)
                .bind(&new.payment_id)
                .bind(State::Paid.as_str())
                .bind(new.amount_minor)
                .execute(&mut *transaction)
                .await?;
            if taken.rows_affected() != 1 {
                transaction.rollback().await?;
                return Ok(None);
            }
            sqlx::query(INSERT_REFUND)
                .bind(&id)
                .bind(&new.idempotency_key)
                .bind(&new.request_hash)
                .bind(&new.payment_id)
                .bind(new.amount_minor)
                .bind(&new.reason)
                .bind(now)
                .execute(&mut *transaction)
                .await?;
            sqlx::query(INSERT_MOVEMENT)
                .bind(&new.payment_id)
                .bind("REFUND")
                .bind(new.amount_minor)
                .bind(&id)
                .bind(now)
                .execute(&mut *transaction)
                .await?;
            transaction.commit().await?;
        });
        Ok(Some(Refund { id, payment_id: new.payment_id.clone(), amount_minor: new.amount_minor }))
    }

    /// The refund of the merchant's key. With a hash, it has to be of that very request.
    ///
    /// # Errors
    /// [`BooksError::KeyReused`], [`BooksError::Store`].
    pub async fn find_refund(&self, key: &str, request_hash: Option<&str>) -> Result<Option<Refund>, BooksError> {
        let found: Option<(String, String, String, i64)> = on_database!(&self.database, pool => {
            sqlx::query_as(SELECT_REFUND).bind(key).fetch_optional(pool).await?
        });
        let Some((id, found_hash, payment_id, amount_minor)) = found else { return Ok(None) };
        if request_hash.is_some_and(|hash| hash != found_hash) {
            return Err(BooksError::KeyReused);
        }
        Ok(Some(Refund { id, payment_id, amount_minor }))
    }

    /// The webhooks whose time has come.
    ///
    /// # Errors
    /// [`BooksError::Store`].
    pub async fn owed(&self, limit: i64) -> Result<Vec<OwedDelivery>, BooksError> {
        let now = self.now();
        let rows: Vec<(String, Vec<u8>, i32)> = on_database!(&self.database, pool => {
            sqlx::query_as(SELECT_DELIVERIES).bind(now).bind(limit).fetch_all(pool).await?
        });
        Ok(rows.into_iter().map(|(id, body, attempts)| OwedDelivery { id, body, attempts }).collect())
    }

    /// Takes deliveries for one attempt each; nobody else tries them before `lease_until`. Those that somebody else has are left out.
    ///
    /// # Errors
    /// [`BooksError::Store`].
    pub async fn take_deliveries(
        &self,
        owed: Vec<OwedDelivery>,
        lease_until: DateTime<Utc>,
    ) -> Result<Vec<OwedDelivery>, BooksError> {
        if owed.is_empty() {
            return Ok(owed);
        }
        let now = self.now();
        let mut taken = Vec::with_capacity(owed.len());
        on_database!(&self.database, pool => {
            let mut transaction = pool.begin().await?;
            for delivery in owed {
                let done = sqlx::query(TAKE_DELIVERY)
                    .bind(lease_until)
                    .bind(now)
                    .bind(&delivery.id)
                    .bind(delivery.attempts)
                    .execute(&mut *transaction)
                    .await?;
                if done.rows_affected() == 1 {
                    taken.push(delivery);
                }
            }
            transaction.commit().await?;
        });
        Ok(taken)
    }

    /// Writes down how an attempt ended: delivered, to be tried again at `next`, or given up. `attempt` is its number, from 1.
    ///
    /// # Errors
    /// [`BooksError::Store`].
    pub async fn settle_delivery(
        &self,
        id: &str,
        attempt: i32,
        answer: &str,
        delivered: bool,
        next: Option<DateTime<Utc>>,
    ) -> Result<(), BooksError> {
        let delivered_at = delivered.then(|| self.now());
        let settled = Settled { id: id.to_owned(), attempt, answer: answer.to_owned(), delivered_at, next };
        Ok(self.settling.ask(settled).await?)
    }

    /// A page of the ledger, in the order of the gateway's ids, after one of them.
    ///
    /// # Errors
    /// [`BooksError::Store`].
    pub async fn ledger(&self, after: &str) -> Result<Vec<LedgerPayment>, BooksError> {
        // SQLite knows `SIGNED` as an affinity of integers, so that the text is one for all.
        on_database!(&self.database, pool => {
            let rows = sqlx::query(SELECT_LEDGER).bind(after).bind(LEDGER_PAGE).fetch_all(pool).await?;
            rows.into_iter()
                .map(|row| {
                    Ok(LedgerPayment {
                        id: row.try_get("id")?,
                        idempotency_key: row.try_get("idempotency_key")?,
                        reference: row.try_get("reference")?,
                        amount: money(row.try_get("amount_minor")?, row.try_get("currency")?)?,
                        state: state(row.try_get("state")?)?,
                        charged_minor: row.try_get("charged")?,
                        returned_minor: row.try_get("returned")?,
                        refunded_minor: row.try_get("refunded_minor")?,
                        changed_at: row.try_get("changed_at")?,
                    })
                })
                .collect()
        })
    }
}

fn money(minor: i64, currency: String) -> Result<Money, BooksError> {
    let damaged = |error| BooksError::Store(StoreError::Damaged(format!("a sandbox payment's amount: {error}")));
    Money::try_new(minor, Currency::parse(&currency).map_err(damaged)?).map_err(damaged)
}

fn state(name: String) -> Result<State, BooksError> {
    State::parse(&name)
        .ok_or_else(|| BooksError::Store(StoreError::Damaged(format!("a sandbox payment's state {name:?}"))))
}

fn is_unique_violation(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(sqlx::error::DatabaseError::is_unique_violation)
}
