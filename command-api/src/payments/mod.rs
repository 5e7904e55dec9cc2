//! Payments: what is done about an attempt once it is in the log.
//!
//! # The attempt's way
//!
//! `payBooking` appends `PaymentCreated`, and in the same transaction stand two timers. One says that the gateway has to be called
//! ([`TimerKind::PaymentStart`]): the same process takes its lease at once, and if it dies, a worker does when the lease has run
//! out. The other says when the attempt is looked up if nobody tells us how it ended ([`TimerKind::PaymentCheck`], the
//! reconciler). Ending an attempt ourselves ([`TimerKind::PaymentCancel`]) and giving money back ([`TimerKind::RefundStart`])
//! begin the same way: first the log, then the gateway.
//!
//! | step | may die before | then |
//! |---|---|---|
//! | lease | the call | the next one finds nothing at the gateway and calls |
//! | call | the record | the next one finds the payment at the gateway and records that |
//! | record | finishing the timer | the next one finds the attempt moved on and finishes |
//!
//! So every step may be run twice, by two processes at once, and may die anywhere; `tests/payments.rs` does that to each.
//!
//! # What is believed
//!
//! Only what the gateway answers when asked ([`Payments::look`]): its reference must be the attempt's, and the amount and currency
//! that it has are handed to the booking, which compares them with what was asked.
//!
//! No connection and no lock is held across a call; a lease is a row in the log's store and costs nothing while we wait.

mod bookings;
mod port;
mod refunds;
mod steps;

use std::{future::Future, sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use tickiz_domain::{
    booking::{BookingStatus, Payment, PaymentMethod, PaymentStatus, Purchase},
    ids::{BookingId, PaymentId},
    money::Money,
    timer::TimerKind,
};
use tickiz_event_log::{EventLog, LeasedTimer, StoreError};
use tickiz_together::{Round, Together};
use tokio::sync::{Semaphore, oneshot};
use tokio_util::task::TaskTracker;

pub use port::{Bookings, BookingsError, Fact};

use crate::gateways::{Attempt, AttemptRef, CALL_DEADLINE, Gateway, GatewayError, Gateways};

/// How long `payBooking` waits for the page's address. After that it comes by query or subscription.
pub const PAGE_WAIT: Duration = Duration::from_secs(5);
/// How often it looks whether another process, or another request, has got the address.
const PAGE_POLL: Duration = Duration::from_millis(100);
/// The most requests that wait for a gateway at once. One that hangs must not use up the places of everybody else's operations.
pub const MAX_AT_ONCE: usize = 256;
/// How long a timer of an attempt is leased, which is how long a buyer waits for another process when this one dies. A step makes
/// one call as a rule; where a slow gateway makes it longer, two processes run it, which is harmless.
pub const STEP_LEASE: Duration = Duration::from_secs(CALL_DEADLINE.as_secs() + 2);
/// The waits after a step that failed, in seconds; the last one stays.
const RETRY_WAITS_SECONDS: [u64; 6] = [1, 2, 5, 15, 30, 60];

/// What is to become of a timer after its step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// It is done.
    Done,
    /// Once more, after that long.
    Again(Duration),
}

/// Why a step did not come to its end. Each may be tried again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StepError {
    /// The booking.
    #[error(transparent)]
    Bookings(#[from] BookingsError),
    /// The gateway.
    #[error(transparent)]
    Gateway(#[from] GatewayError),
    /// The attempt's gateway is not configured in this process.
    #[error("the gateway {0:?} is not configured")]
    NotConfigured(PaymentMethod),
    /// The gateway answered about another attempt than was asked for.
    #[error("the gateway answered about another attempt")]
    OtherAttempt,
}

/// What a look at the gateway came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// How it ended is recorded.
    Settled,
    /// The buyer can still pay.
    Open,
    /// He did what he had to, and the gateway is not done yet.
    Pending,
    /// The gateway has no such payment.
    NotThere,
    /// We have no such attempt.
    Foreign,
}

/// What was asked of an attempt's gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked {
    /// How much.
    pub amount: Money,
    /// Whether its money is recorded.
    pub is_paid: bool,
}

/// An attempt with everything that is needed to talk about it.
pub(crate) struct Case {
    pub purchase: Purchase,
    pub payment: Payment,
    pub gateway: Arc<dyn Gateway>,
}

/// Ends timers that are done.
struct Finishing(EventLog);

#[async_trait::async_trait]
impl Round for Finishing {
    type Ask = LeasedTimer;
    type Answer = ();
    type Error = StoreError;

    async fn run(&self, asked: &[LeasedTimer]) -> Result<Vec<()>, StoreError> {
        self.0.finish_timers(asked).await?;
        Ok(vec![(); asked.len()])
    }
}

/// Acts on attempts. Cheap to clone.
#[derive(Clone)]
pub struct Payments {
    log: EventLog,
    finishing: Together<Finishing>,
    bookings: Arc<dyn Bookings>,
    gateways: Gateways,
    tasks: TaskTracker,
    at_once: Arc<Semaphore>,
}

impl Payments {
    /// Acts on the attempts of that log. What it begins beyond a request is in `tasks`, which the program waits for at its end.
    #[must_use]
    pub fn new(log: EventLog, bookings: Arc<dyn Bookings>, gateways: Gateways, tasks: TaskTracker) -> Self {
        let finishing = Together::start(Finishing(log.clone()));
        Self { log, finishing, bookings, gateways, tasks, at_once: Arc::new(Semaphore::new(MAX_AT_ONCE)) }
    }

    /// The gateways that are configured.
    #[must_use]
    pub const fn gateways(&self) -> &Gateways {
        &self.gateways
    }

    /// The methods that are configured.
    #[must_use]
    pub fn methods(&self) -> Vec<PaymentMethod> {
        self.gateways.methods().collect()
    }

    /// Until when a gateway is to accept a payment of a booking whose hold ends then: as long as the hold. None of today's gateways
    /// extends one.
    #[must_use]
    pub const fn pay_until(&self, hold_expires_at: DateTime<Utc>) -> DateTime<Utc> {
        hold_expires_at
    }

    /// The attempt is in the log: calls the gateway at once, if nobody else does, and waits at most [`PAGE_WAIT`] for the
    /// page's address. What is begun here goes on after that. Where [`MAX_AT_ONCE`] wait already, nobody waits: a worker calls
    /// the gateway, and the address comes by query or subscription.
    pub async fn after_created(&self, booking_id: BookingId, payment_id: PaymentId) {
        let attempt = AttemptRef { booking_id, payment_id };
        let Ok(place) = Arc::clone(&self.at_once).try_acquire_owned() else {
            tracing::debug!(payment.id = %payment_id, "too many wait for a gateway; a worker will call it");
            return;
        };
        match self.log.lease_timer(TimerKind::PaymentStart, payment_id.0, STEP_LEASE).await {
            Ok(Some(timer)) => {
                let this = self.clone();
                let (stepped, step) = oneshot::channel();
                self.tasks.spawn(async move {
                    let next = this.step(&timer).await;
                    // The buyer need not wait until the timer is gone.
                    let _ = stepped.send(());
                    this.settle(&timer, next).await;
                    drop(place);
                });
                // Too slow is not an error here: the task goes on, and so would a worker.
                let _ = tokio::time::timeout(PAGE_WAIT, step).await;
            }
            Ok(None) => self.wait_for_page(attempt).await,
            Err(error) => tracing::warn!(payment.id = %payment_id, %error, "a worker will call the gateway"),
        }
    }

    async fn wait_for_page(&self, attempt: AttemptRef) {
        let moved_on = async {
            loop {
                match self.bookings.booking(attempt.booking_id).await {
                    Ok(Some(purchase))
                        if purchase
                            .payment(attempt.payment_id)
                            .is_some_and(|payment| payment.status == PaymentStatus::Created) => {}
                    _ => return,
                }
                tokio::time::sleep(PAGE_POLL).await;
            }
        };
        let _ = tokio::time::timeout(PAGE_WAIT, moved_on).await;
    }

    /// Runs the step that a timer is for, and ends the timer or sets it again.
    pub async fn run_timer(&self, timer: &LeasedTimer) {
        let next = self.step(timer).await;
        self.settle(timer, next).await;
    }

    /// Runs the step that a timer is for. A failure is logged here, once, and is a reason to try again.
    pub async fn step(&self, timer: &LeasedTimer) -> Next {
        let booking_id = BookingId(timer.timer.stream.id);
        let attempt = AttemptRef { booking_id, payment_id: PaymentId(timer.timer.subject) };
        let done = match timer.timer.kind {
            TimerKind::PaymentStart => self.start(attempt, timer).await,
            TimerKind::PaymentCheck => self.check(attempt, timer).await,
            TimerKind::PaymentCancel => self.cancel(attempt, timer).await,
            TimerKind::RefundStart => self.refund(booking_id, timer).await,
            TimerKind::HoldEnds | TimerKind::EventCancellation | TimerKind::EventEnds | TimerKind::EventReminder => {
                return Next::Done;
            }
        };
        match done {
            Ok(next) => next,
            Err(StepError::Bookings(BookingsError::Unknown)) => {
                tracing::error!(
                    booking.id = %booking_id, timer = timer.timer.kind.as_str(), subject = %timer.timer.subject,
                    "a timer is about something that is not there"
                );
                Next::Done
            }
            Err(error) => {
                tracing::warn!(
                    booking.id = %booking_id, timer = timer.timer.kind.as_str(), attempts = timer.attempts, %error,
                    "a step of a payment failed and is tried again"
                );
                Next::Again(retry_wait(timer.attempts))
            }
        }
    }

    async fn settle(&self, timer: &LeasedTimer, next: Next) {
        let settled = match next {
            Next::Done => self.finishing.ask(timer.clone()).await.map_err(|error| error.to_string()),
            Next::Again(wait) => {
                let again = self.log.reschedule_timer(timer, self.bookings.now() + wait).await;
                again.map(drop).map_err(|error| error.to_string())
            }
        };
        if let Err(error) = settled {
            // Its lease runs out, and the step is run again and finds nothing to do.
            tracing::warn!(timer = timer.timer.kind.as_str(), %error, "a timer could not be settled");
        }
    }

    /// What was asked of an attempt's gateway; `None` where there is no such attempt.
    ///
    /// # Errors
    /// [`StepError`]; trying again is safe.
    pub async fn asked(&self, attempt: AttemptRef) -> Result<Option<Asked>, StepError> {
        let case = self.case(attempt).await?;
        Ok(case.map(|case| Asked { amount: case.payment.amount, is_paid: case.payment.received.is_some() }))
    }

    /// The attempt as the log has it now; `None` where there is none.
    pub(crate) async fn case(&self, attempt: AttemptRef) -> Result<Option<Case>, StepError> {
        self.case_of(attempt, self.bookings.booking(attempt.booking_id).await?)
    }

    /// The attempt as this process remembers it, if it remembers it in that state; else as the log has it now. What follows asks the
    /// gateway, and is decided again by the append that records its answer: a state that has moved on meanwhile costs a
    /// call to the gateway.
    pub(crate) async fn case_in(&self, attempt: AttemptRef, status: PaymentStatus) -> Result<Option<Case>, StepError> {
        let remembered = self.case_of(attempt, self.bookings.remembered(attempt.booking_id).await?)?;
        match remembered.filter(|case| case.payment.status == status && case.payment.received.is_none()) {
            Some(case) => Ok(Some(case)),
            None => self.case(attempt).await,
        }
    }

    fn case_of(&self, attempt: AttemptRef, purchase: Option<Purchase>) -> Result<Option<Case>, StepError> {
        let Some(purchase) = purchase else { return Ok(None) };
        let Some(payment) = purchase.payment(attempt.payment_id).cloned() else { return Ok(None) };
        let gateway = self.gateways.get(payment.method).cloned().ok_or(StepError::NotConfigured(payment.method))?;
        Ok(Some(Case { purchase, payment, gateway }))
    }

    /// What the gateway is told of an attempt.
    pub(crate) async fn told(&self, attempt: AttemptRef, case: &Case) -> Result<Attempt, StepError> {
        let show = self.bookings.show(case.purchase.event_id).await?;
        // As long as its own id of the attempt is not recorded, the gateway may have to be asked by the same creation again.
        let return_url = match case.payment.gateway_reference {
            None => self.bookings.return_url(&case.payment).await?,
            Some(_) => None,
        };
        Ok(Attempt {
            reference: attempt,
            amount: case.payment.amount,
            title: show.map_or_else(|| case.purchase.code.clone(), |show| show.title),
            booking_code: case.purchase.code.clone(),
            return_url,
            pay_until: case.payment.pay_until,
            hold_ends_at: case.purchase.hold_expires_at,
            locale: case.purchase.locale.clone(),
            gateway_reference: case.payment.gateway_reference.clone(),
            is_wanted: case.payment.status.is_open() && case.purchase.status == BookingStatus::Held,
        })
    }
}

/// The wait before a step is tried again that was tried so often.
#[must_use]
pub fn retry_wait(attempts: i64) -> Duration {
    let last = RETRY_WAITS_SECONDS.len() - 1;
    let index = usize::try_from(attempts - 1).unwrap_or_default().min(last);
    Duration::from_secs(RETRY_WAITS_SECONDS[index])
}

/// A call to a gateway, ended by the deadline: then nobody knows.
pub(crate) async fn bounded<T>(call: impl Future<Output = Result<T, GatewayError>>) -> Result<T, GatewayError> {
    match tokio::time::timeout(CALL_DEADLINE, call).await {
        Ok(answer) => answer,
        Err(_) => Err(GatewayError::Unknown(format!("no answer within {} s", CALL_DEADLINE.as_secs()))),
    }
}
