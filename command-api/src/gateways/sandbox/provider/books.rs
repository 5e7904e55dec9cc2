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
use tickiz_together::Together;

use super::{
    account::{BooksError, LedgerPayment, NewPayment, NewRefund, Once, OwedDelivery, Payment, Refund},
    machine::{self, Act, Decision, State},
    rounds::{self, Ended, Finding, Move, Moving, Name, Opening, Settling},
};
use crate::{
    ids::Entropy,
    stores::{Database, StoreError, on_database, repeated},
};

/// How often a change is decided again when another process was faster. Each loss means that somebody else moved the payment,
/// and a payment moves at most twice.
const MAX_DECISIONS: usize = 4;
/// The most due payments that one round takes.
pub const DUE_BATCH: i64 = 200;

const SELECT_DUE: &str = "SELECT id FROM sandbox_payments WHERE due_at <= ? ORDER BY due_at LIMIT ?";
pub(super) const INSERT_MOVEMENT: &str =
    "INSERT INTO sandbox_movements (payment_id, kind, amount_minor, subject, moved_at) VALUES ";
pub(super) const MOVEMENT: &str = "(?, ?, ?, ?, ?)";
const TAKE_REFUND: &str = "UPDATE sandbox_payments SET refunded_minor = refunded_minor + ?, changed_at = ? \
                           WHERE id = ? AND state = ? AND refunded_minor + ? <= amount_minor";
const INSERT_REFUND: &str = "INSERT INTO sandbox_refunds (id, idempotency_key, request_hash, payment_id, amount_minor, reason, \
                             created_at) VALUES (?, ?, ?, ?, ?, ?, ?)";
const SELECT_REFUND: &str =
    "SELECT id, request_hash, payment_id, amount_minor FROM sandbox_refunds WHERE idempotency_key = ?";
const SELECT_DELIVERIES: &str = "SELECT id, body, attempts FROM sandbox_deliveries WHERE next_attempt_at <= ? \
                                 ORDER BY next_attempt_at LIMIT ?";
const SELECT_LEDGER: &str = "SELECT p.id, p.idempotency_key, p.reference, p.amount_minor, p.currency, p.state, \
                             p.refunded_minor, p.changed_at, \
                             CAST(COALESCE((SELECT SUM(m.amount_minor) FROM sandbox_movements m \
                                   WHERE m.payment_id = p.id AND m.kind = 'CHARGE'), 0) AS SIGNED) AS charged, \
                             CAST(COALESCE((SELECT SUM(m.amount_minor) FROM sandbox_movements m \
                                   WHERE m.payment_id = p.id AND m.kind = 'REFUND'), 0) AS SIGNED) AS returned \
                             FROM sandbox_payments p WHERE p.id > ? ORDER BY p.id LIMIT ?";
/// The most payments that one page of the ledger has.
pub const LEDGER_PAGE: i64 = 1_000;

/// The books. A cheap handle.
#[derive(Clone)]
pub struct Books {
    database: Database,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    opening: Together<Opening>,
    finding: Together<Finding>,
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
        Self {
            opening: Together::start(Opening(database.clone())),
            finding: Together::start(Finding(database.clone())),
            moving: Together::start(Moving(database.clone())),
            settling: Together::start(Settling(database.clone())),
            database,
            clock,
            entropy,
        }
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
        let opened = Payment {
            id: self.random_id("sbx"),
            asked: new.clone(),
            state: State::Open,
            refunded_minor: 0,
            due_at: Some(machine::closes_at(new.pay_until)),
            created_at: now,
            changed_at: now,
        };
        let id = opened.id.clone();
        let payment = self.opening.ask(opened).await?;
        let once = if payment.id == id { Once::First } else { Once::Again };
        if payment.asked.request_hash == new.request_hash { Ok((payment, once)) } else { Err(BooksError::KeyReused) }
    }

    /// The payment of the gateway's own id.
    ///
    /// # Errors
    /// [`BooksError::Store`].
    pub async fn find(&self, id: &str) -> Result<Option<Payment>, BooksError> {
        Ok(self.finding.ask(Name::Id(id.to_owned())).await?)
    }

    /// The payment of the merchant's key.
    ///
    /// # Errors
    /// [`BooksError::Store`].
    pub async fn find_by_key(&self, key: &str) -> Result<Option<Payment>, BooksError> {
        Ok(self.finding.ask(Name::Key(key.to_owned())).await?)
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
            if let Some(moved_at) = self.moving.ask(Move { payment: payment.clone(), step, now, delivery_id }).await? {
                payment.state = step.to;
                payment.due_at = step.due_at;
                payment.changed_at = moved_at;
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
            sqlx::query(repeated(INSERT_MOVEMENT, MOVEMENT, ", ", 1, ""))
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
        rounds::take_deliveries(&self.database, owed, self.now(), lease_until).await.map_err(BooksError::from)
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
        let settled = Ended { id: id.to_owned(), attempt, answer: answer.to_owned(), delivered_at, next };
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

pub(super) fn money(minor: i64, currency: String) -> Result<Money, StoreError> {
    let damaged = |error| StoreError::Damaged(format!("a sandbox payment's amount: {error}"));
    Money::try_new(minor, Currency::parse(&currency).map_err(damaged)?).map_err(damaged)
}

pub(super) fn state(name: String) -> Result<State, StoreError> {
    State::parse(&name).ok_or_else(|| StoreError::Damaged(format!("a sandbox payment's state {name:?}")))
}

fn is_unique_violation(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(sqlx::error::DatabaseError::is_unique_violation)
}
