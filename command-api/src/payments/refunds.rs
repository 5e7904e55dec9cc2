//! Giving money back: the refund is in the log first, and its id is the gateway's idempotency key.

use std::time::Duration;

use tickiz_domain::{
    booking::{PaymentMethod, Refund, RefundStatus},
    ids::{BookingId, RefundId},
};
use tickiz_event_log::LeasedTimer;

use super::{BookingsError, Fact, Next, Payments, StepError, bounded};
use crate::gateways::{AttemptRef, GatewayError, RefundOrder, RefundOutcome};

/// The waits after a refund that is not done yet, in seconds; the last one stays. There is no last attempt: money that is owed
/// stays owed.
const WAITS_SECONDS: [u64; 6] = [2, 5, 15, 60, 300, 3_600];
/// After so many attempts, some hours, each further one is logged as an error, so that somebody looks.
const PATIENT_ATTEMPTS: i64 = 10;

fn wait(attempts: i64) -> Duration {
    let index = usize::try_from(attempts - 1).unwrap_or_default().min(WAITS_SECONDS.len() - 1);
    Duration::from_secs(WAITS_SECONDS[index])
}

impl Payments {
    /// Gives money back.
    pub(super) async fn refund(&self, booking_id: BookingId, timer: &LeasedTimer) -> Result<Next, StepError> {
        let refund_id = RefundId(timer.timer.subject);
        let purchase = self.bookings.booking(booking_id).await?.ok_or(BookingsError::Unknown)?;
        let refund = purchase.refund(refund_id).ok_or(BookingsError::Unknown)?;
        if refund.status != RefundStatus::Requested {
            return Ok(Next::Done);
        }
        let payment = purchase.payment(refund.payment_id).ok_or(BookingsError::Unknown)?;
        let gateway = self.gateways.get(payment.method).ok_or(StepError::NotConfigured(payment.method))?;
        let Some(gateway_reference) = payment.gateway_reference.clone() else {
            let reason = "the attempt has no reference at its gateway".to_owned();
            let fact = Fact::RefundRefused { refund_id, reason };
            self.bookings.record(booking_id, timer.timer_id, fact).await?;
            return Ok(Next::Done);
        };
        let order = RefundOrder {
            refund_id,
            attempt: AttemptRef { booking_id, payment_id: payment.id },
            gateway_reference,
            amount: refund.amount,
            paid: payment.received.unwrap_or(payment.amount),
            reason: refund.reason.clone(),
        };
        // VNPay's query names no refund: of two parts of one amount it cannot be told which one it speaks of, so a person looks.
        let is_alike = |other: &Refund| (other.payment_id, other.amount) == (refund.payment_id, refund.amount);
        let alike = purchase.refunds.iter().filter(|other| is_alike(other)).count();
        if timer.attempts > 1 && payment.method == PaymentMethod::Vnpay && alike > 1 {
            let reason = "VNPay cannot be asked which of several equal refunds was made; look it up there".to_owned();
            tracing::error!(refund.id = %refund_id, "VNPay cannot be asked what became of one of several equal refunds");
            self.bookings.record(booking_id, timer.timer_id, Fact::RefundRefused { refund_id, reason }).await?;
            return Ok(Next::Done);
        }
        // Whoever comes second does not know what the first one did, and asks before money goes back twice.
        let known = if timer.attempts > 1 { bounded(gateway.read_refund(&order)).await? } else { None };
        let outcome = match known {
            Some(outcome) => Ok(outcome),
            None => bounded(gateway.refund(&order)).await,
        };
        let fact = match outcome {
            Ok(RefundOutcome::Done { gateway_reference }) => Fact::RefundDone { refund_id, gateway_reference },
            Ok(RefundOutcome::Refused { reason }) | Err(GatewayError::Refused(reason)) => {
                tracing::error!(refund.id = %refund_id, %reason, "a gateway refuses to give money back");
                Fact::RefundRefused { refund_id, reason }
            }
            Ok(RefundOutcome::Pending) => return Ok(Next::Again(wait(timer.attempts))),
            Err(error) => {
                if timer.attempts > PATIENT_ATTEMPTS {
                    tracing::error!(refund.id = %refund_id, %error, "money could not be given back for hours");
                } else {
                    tracing::warn!(refund.id = %refund_id, %error, "money could not be given back; it is tried again");
                }
                return Ok(Next::Again(wait(timer.attempts)));
            }
        };
        self.bookings.record(booking_id, timer.timer_id, fact).await?;
        Ok(Next::Done)
    }
}
