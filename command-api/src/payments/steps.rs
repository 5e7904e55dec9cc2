//! The steps of an attempt. Each begins by looking at the attempt as the log has it, and ends by recording what the gateway said.

use std::time::Duration;

use tickiz_domain::booking::{Payment, PaymentStatus, Purchase};
use tickiz_event_log::LeasedTimer;
use uuid::Uuid;

use super::{Case, Fact, Look, Next, Payments, StepError, bounded, retry_wait};
use crate::gateways::{Attempt, AttemptRef, GatewayError, GatewayPayment, GatewayStatus};

/// How often a gateway that has never heard of an attempt is asked to give it up: a call that makes it known may be on its way.
const CANCELS_OF_NOTHING: i64 = 3;
/// The wait between those.
const CANCEL_OF_NOTHING_WAIT: Duration = Duration::from_secs(10);
/// What the buyer learns where the gateway would not even begin.
const REFUSED_AT_START: &str = "the payment could not be started";

impl Payments {
    /// Makes the gateway know the attempt.
    pub(super) async fn start(&self, attempt: AttemptRef, timer: &LeasedTimer) -> Result<Next, StepError> {
        let cause = timer.timer_id;
        // Who comes first has most likely recorded the attempt just now. Were it given up since, it is called off at the end.
        let case = if timer.attempts > 1 {
            self.case(attempt).await?
        } else {
            self.case_in(attempt, PaymentStatus::Created).await?
        };
        let Some(case) = case else { return Ok(Next::Done) };
        if case.payment.status == PaymentStatus::Pending {
            return self.look_before_deadline(attempt, &case, cause).await;
        }
        if case.payment.status != PaymentStatus::Created {
            return Ok(Next::Done);
        }
        if self.bookings.now() >= case.payment.pay_until {
            // Nobody could pay it any more; the reconciler asks what became of it and ends it.
            return Ok(Next::Done);
        }
        let told = self.told(attempt, &case).await?;
        // Whoever comes second does not know what the first one did, and asks.
        if timer.attempts > 1
            && let Some(reading) = bounded(case.gateway.read(&told)).await?
        {
            self.record_reading(attempt, &case.payment, reading, cause).await?;
            return Ok(self.until_look(&case));
        }
        if let Err(unsuitable) = case.gateway.takes(&case.payment.amount) {
            let fact = Fact::Declined { payment_id: attempt.payment_id, reason: unsuitable.why };
            self.bookings.record(attempt.booking_id, cause, fact).await?;
            return Ok(Next::Done);
        }
        match bounded(case.gateway.create(&told)).await {
            Ok(created) => {
                let fact = Fact::Pending {
                    payment_id: attempt.payment_id,
                    gateway_reference: created.gateway_reference,
                    redirect_url: created.redirect_url,
                };
                let after = self.bookings.record(attempt.booking_id, cause, fact).await?;
                let next = self.until_look(&case);
                self.call_off_if_ended(attempt, case, after).await?;
                Ok(next)
            }
            Err(GatewayError::Refused(why)) => {
                tracing::error!(payment.id = %attempt.payment_id, %why, "a gateway refuses an attempt");
                let fact = Fact::Declined { payment_id: attempt.payment_id, reason: REFUSED_AT_START.to_owned() };
                self.bookings.record(attempt.booking_id, cause, fact).await?;
                Ok(Next::Done)
            }
            Err(error) => {
                tracing::warn!(payment.id = %attempt.payment_id, %error, "a gateway could not be told of an attempt");
                Ok(Next::Again(retry_wait(timer.attempts)))
            }
        }
    }

    /// When an attempt that the gateway knows is looked up before its deadline; done where it is not.
    fn until_look(&self, case: &Case) -> Next {
        let before = case.gateway.looks().before_deadline.and_then(|before| chrono::TimeDelta::from_std(before).ok());
        let wait = before.map(|before| case.payment.pay_until - before - self.bookings.now());
        match wait.and_then(|wait| wait.to_std().ok()) {
            Some(wait) if !wait.is_zero() => Next::Again(wait),
            _ => Next::Done,
        }
    }

    /// One look while the hold still stands: the message that it was paid may have been lost, or never have been sent.
    async fn look_before_deadline(&self, attempt: AttemptRef, case: &Case, cause: Uuid) -> Result<Next, StepError> {
        let next = self.until_look(case);
        if next == Next::Done && self.bookings.now() < case.payment.pay_until {
            let told = self.told(attempt, case).await?;
            self.look_at(case, &told, cause).await?;
        }
        Ok(next)
    }

    /// The attempt may have been ended while the gateway was being told of it; its cancellation may even have come there first
    /// and found nothing.
    async fn call_off_if_ended(&self, attempt: AttemptRef, case: Case, after: Purchase) -> Result<(), StepError> {
        let Some(payment) = after.payment(attempt.payment_id).cloned() else { return Ok(()) };
        if payment.status != PaymentStatus::Cancelled {
            return Ok(());
        }
        let case = Case { purchase: after, payment, gateway: case.gateway };
        let told = self.told(attempt, &case).await?;
        match bounded(case.gateway.cancel(&told)).await {
            Ok(()) | Err(GatewayError::Refused(_)) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Asks the gateway where the attempt stands, and records it.
    ///
    /// # Errors
    /// [`StepError`]; trying again is safe.
    pub async fn look(&self, attempt: AttemptRef, cause: Uuid) -> Result<Look, StepError> {
        let Some(case) = self.case_in(attempt, PaymentStatus::Pending).await? else { return Ok(Look::Foreign) };
        if case.payment.received.is_some() {
            // Its money is recorded, and a gateway's later word cannot unmake that.
            return Ok(Look::Settled);
        }
        let told = self.told(attempt, &case).await?;
        self.look_at(&case, &told, cause).await
    }

    async fn look_at(&self, case: &Case, told: &Attempt, cause: Uuid) -> Result<Look, StepError> {
        match bounded(case.gateway.read(told)).await? {
            Some(reading) => self.record_reading(told.reference, &case.payment, reading, cause).await,
            None => Ok(Look::NotThere),
        }
    }

    async fn record_reading(
        &self,
        attempt: AttemptRef,
        payment: &Payment,
        reading: GatewayPayment,
        cause: Uuid,
    ) -> Result<Look, StepError> {
        if reading.reference != attempt {
            tracing::error!(
                payment.id = %attempt.payment_id, answered = %reading.reference.payment_id,
                "a gateway answered about another attempt than was asked for"
            );
            return Err(StepError::OtherAttempt);
        }
        let payment_id = attempt.payment_id;
        let is_open = payment.status.is_open();
        let (fact, look) = match reading.status {
            GatewayStatus::Succeeded { received } => (
                Some(Fact::Succeeded { payment_id, gateway_reference: reading.gateway_reference, received }),
                Look::Settled,
            ),
            GatewayStatus::Failed { reason } => {
                (is_open.then_some(Fact::Declined { payment_id, reason }), Look::Settled)
            }
            GatewayStatus::Cancelled => (is_open.then_some(Fact::Abandoned { payment_id }), Look::Settled),
            GatewayStatus::Expired => (is_open.then_some(Fact::PaymentExpired { payment_id }), Look::Settled),
            status @ (GatewayStatus::Open | GatewayStatus::Pending) => {
                let look = if status == GatewayStatus::Open { Look::Open } else { Look::Pending };
                let unknown_yet = payment.status == PaymentStatus::Created;
                let fact = unknown_yet.then_some(Fact::Pending {
                    payment_id,
                    gateway_reference: reading.gateway_reference,
                    redirect_url: reading.redirect_url,
                });
                (fact, look)
            }
        };
        if let Some(fact) = fact {
            let after = self.bookings.record(attempt.booking_id, cause, fact).await?;
            let held = after.payment(payment_id).filter(|after| after.status == PaymentStatus::Review);
            if let Some(held) = held.filter(|_| payment.status != PaymentStatus::Review) {
                tracing::error!(
                    booking.id = %attempt.booking_id, payment.id = %payment_id, why = held.reason.as_deref().unwrap_or_default(),
                    "money came that fits nothing; it is held until a person has looked"
                );
            }
        }
        Ok(look)
    }

    /// The reconciler: looks until the attempt is settled, and ends what is open past its deadline.
    pub(super) async fn check(&self, attempt: AttemptRef, timer: &LeasedTimer) -> Result<Next, StepError> {
        let cause = timer.timer_id;
        let Some(case) = self.case(attempt).await? else { return Ok(Next::Done) };
        if case.payment.received.is_some() {
            return Ok(Next::Done);
        }
        let again = Next::Again(self.look_wait(&case, timer));
        let told = self.told(attempt, &case).await?;
        let past_deadline = self.bookings.now() >= case.payment.pay_until;
        let mut look = match self.look_at(&case, &told, cause).await {
            Ok(look) => look,
            Err(StepError::Gateway(error)) => {
                tracing::warn!(payment.id = %attempt.payment_id, %error, "a gateway does not say where an attempt stands");
                return Ok(self.unless_hopeless(&case, again));
            }
            Err(error) => return Err(error),
        };
        if look == Look::Open && past_deadline {
            // The hold is over and the page is still open. What a late buyer does now is decided by who comes first.
            match bounded(case.gateway.cancel(&told)).await {
                Ok(()) | Err(GatewayError::Refused(_)) => look = self.look_at(&case, &told, cause).await?,
                Err(error) => return Err(error.into()),
            }
        }
        match look {
            // Ended without money, and some may come yet.
            Look::Settled if self.is_awaiting_late_money(&case) => Ok(again),
            Look::Settled | Look::Foreign => Ok(Next::Done),
            Look::NotThere if past_deadline => {
                // Nobody makes it known any more: that stops at the deadline.
                if case.payment.status.is_open() {
                    let fact = Fact::PaymentExpired { payment_id: attempt.payment_id };
                    self.bookings.record(attempt.booking_id, cause, fact).await?;
                }
                Ok(Next::Done)
            }
            Look::NotThere | Look::Open | Look::Pending => Ok(self.unless_hopeless(&case, again)),
        }
    }

    /// Tells the gateway that an attempt was given up, and looks what became of it: it may have been paid.
    pub(super) async fn cancel(&self, attempt: AttemptRef, timer: &LeasedTimer) -> Result<Next, StepError> {
        let Some(case) = self.case(attempt).await? else { return Ok(Next::Done) };
        if case.payment.received.is_some() {
            return Ok(Next::Done);
        }
        let told = self.told(attempt, &case).await?;
        match bounded(case.gateway.cancel(&told)).await {
            Ok(()) | Err(GatewayError::Refused(_)) => {}
            Err(error) => return Err(error.into()),
        }
        match self.look_at(&case, &told, timer.timer_id).await? {
            Look::Settled | Look::Foreign => Ok(Next::Done),
            Look::NotThere if timer.attempts >= CANCELS_OF_NOTHING => Ok(Next::Done),
            Look::NotThere => Ok(Next::Again(CANCEL_OF_NOTHING_WAIT)),
            Look::Open | Look::Pending => Ok(self.unless_hopeless(&case, Next::Again(self.look_wait(&case, timer)))),
        }
    }

    fn look_wait(&self, case: &Case, timer: &LeasedTimer) -> Duration {
        case.gateway.looks().wait(u32::try_from(timer.attempts - 1).unwrap_or_default())
    }

    /// Whether the gateway may still get money for an attempt that it has ended.
    fn is_awaiting_late_money(&self, case: &Case) -> bool {
        let late = chrono::TimeDelta::from_std(case.gateway.looks().late_money).unwrap_or(chrono::TimeDelta::MAX);
        self.bookings.now() < case.payment.pay_until + late
    }

    /// Looks end some time after the deadline. What is undecided then stays visible as it is, and a person has to look.
    fn unless_hopeless(&self, case: &Case, again: Next) -> Next {
        let patience =
            chrono::TimeDelta::from_std(case.gateway.looks().give_up_after).unwrap_or(chrono::TimeDelta::MAX);
        if self.bookings.now() < case.payment.pay_until + patience {
            return again;
        }
        tracing::error!(
            payment.id = %case.payment.id, method = ?case.payment.method,
            "an attempt is undecided long after its deadline; look it up at the gateway"
        );
        Next::Done
    }
}
