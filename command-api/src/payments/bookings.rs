//! The port to bookings, over the system's commands.

use chrono::{DateTime, Utc};
use tickiz_contract::{ErrorCode, Refusal, Refusals};
use tickiz_domain::{
    booking::{Payment, PaymentMethod, Purchase},
    event::Show,
    ids::{BookingId, EventId, PaymentId},
    money::Money,
    sealed::Buyer,
};
use uuid::Uuid;

use super::{Bookings, BookingsError, Fact, Payments};
use crate::{
    commands::pay_booking::PaymentDesk,
    executor::{Origin, Reading},
    gateways::Unsuitable,
    system::{PaymentOutcome, RefundOutcome, SystemCommands},
};

/// Who stands as the actor in the metadata of what gateways made us record.
const PAYMENTS: &str = "payments";
/// Who stands as the actor in the metadata of what a deadline made us record.
const TIMERS: &str = "timers";

fn failed(refusals: &Refusals) -> BookingsError {
    match refusals.0.first() {
        Some(refusal) => refused(refusal),
        None => BookingsError::Unavailable("refused without a reason".to_owned()),
    }
}

fn refused(refusal: &Refusal) -> BookingsError {
    match refusal.code {
        ErrorCode::NotFound => BookingsError::Unknown,
        _ => BookingsError::Unavailable(refusal.to_string()),
    }
}

#[async_trait::async_trait]
impl Bookings for SystemCommands {
    fn now(&self) -> DateTime<Utc> {
        Self::now(self)
    }

    async fn booking(&self, id: BookingId) -> Result<Option<Purchase>, BookingsError> {
        let loaded = Self::booking(self, id, Reading::Fresh).await.map_err(|refusal| refused(&refusal))?;
        Ok(loaded.aggregate.0.clone())
    }

    async fn remembered(&self, id: BookingId) -> Result<Option<Purchase>, BookingsError> {
        let loaded = Self::booking(self, id, Reading::Warm).await.map_err(|refusal| refused(&refusal))?;
        Ok(loaded.aggregate.0.clone())
    }

    async fn show(&self, id: EventId) -> Result<Option<Show>, BookingsError> {
        let loaded = self.event(id, Reading::Warm).await.map_err(|refusal| refused(&refusal))?;
        Ok(loaded.aggregate.0.clone())
    }

    async fn buyer(&self, purchase: &Purchase) -> Result<Option<Buyer>, BookingsError> {
        self.buyer_of(purchase).await.map_err(|refusal| refused(&refusal))
    }

    async fn return_url(&self, payment: &Payment) -> Result<Option<String>, BookingsError> {
        self.return_url_of(payment).await.map_err(|refusal| refused(&refusal))
    }

    async fn record(&self, booking: BookingId, cause: Uuid, fact: Fact) -> Result<Purchase, BookingsError> {
        let payments = Origin::system(PAYMENTS, cause);
        let outcome =
            async |payment_id, outcome| self.record_payment_outcome(booking, payment_id, outcome, &payments).await;
        let refund =
            async |refund_id, outcome| self.record_refund_outcome(booking, refund_id, outcome, &payments).await;
        let after = match fact {
            Fact::Pending { payment_id, gateway_reference, redirect_url } => {
                self.record_pending(booking, payment_id, gateway_reference, redirect_url, &payments).await
            }
            Fact::Succeeded { payment_id, gateway_reference, received } => {
                outcome(payment_id, PaymentOutcome::Succeeded { gateway_reference, amount: received }).await
            }
            Fact::Declined { payment_id, reason } => outcome(payment_id, PaymentOutcome::Declined { reason }).await,
            Fact::Abandoned { payment_id } => outcome(payment_id, PaymentOutcome::Abandoned).await,
            Fact::PaymentExpired { payment_id } => outcome(payment_id, PaymentOutcome::Expired).await,
            Fact::RefundDone { refund_id, gateway_reference } => {
                refund(refund_id, RefundOutcome::Succeeded { gateway_reference }).await
            }
            Fact::RefundRefused { refund_id, reason } => refund(refund_id, RefundOutcome::Failed { reason }).await,
            Fact::HoldEnded => self.expire_hold(booking, &Origin::system(TIMERS, cause)).await,
            Fact::ShowCancelled => {
                self.end_booking_of_cancelled_show(booking, &Origin::system("event-cancellation", cause)).await
            }
        };
        let after = after.map_err(|refusals| failed(&refusals))?;
        after.aggregate.0.clone().ok_or(BookingsError::Unknown)
    }

    async fn complete_show(&self, show: EventId, cause: Uuid) -> Result<Show, BookingsError> {
        let after =
            self.complete_event(show, &Origin::system(TIMERS, cause)).await.map_err(|refusals| failed(&refusals))?;
        after.aggregate.0.clone().ok_or(BookingsError::Unknown)
    }

    async fn remind_of_show(&self, show: EventId, cause: Uuid) -> Result<Show, BookingsError> {
        let after =
            self.remind_of_event(show, &Origin::system(TIMERS, cause)).await.map_err(|refusals| failed(&refusals))?;
        after.aggregate.0.clone().ok_or(BookingsError::Unknown)
    }
}

#[async_trait::async_trait]
impl PaymentDesk for Payments {
    fn methods(&self) -> Vec<PaymentMethod> {
        Self::methods(self)
    }

    fn takes(&self, method: PaymentMethod, amount: &Money) -> Result<(), Unsuitable> {
        let missing = || Unsuitable { why: "the method is not configured".to_owned() };
        self.gateways().get(method).ok_or_else(missing)?.takes(amount)
    }

    fn pay_until(&self, _: PaymentMethod, _: DateTime<Utc>, hold_expires_at: DateTime<Utc>) -> DateTime<Utc> {
        Self::pay_until(self, hold_expires_at)
    }

    async fn after_created(&self, booking_id: BookingId, payment_id: PaymentId) {
        Self::after_created(self, booking_id, payment_id).await;
    }
}
