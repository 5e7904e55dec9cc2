//! `refundBooking`.

use sha2::{Digest, Sha256};
use tickiz_contract::{
    Refusals,
    request::{MoneyInput, RefundBooking},
};
use tickiz_domain::{
    booking::RefundWhat,
    ids::{BookingId, TicketId},
    money::Money,
};

use super::{
    Faults,
    fields::{id, key, optional, text},
    limits::MAX_REASON_CHARS,
    reissue::tickets,
};

/// A checked `refundBooking`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the schema says it")]
pub struct Part {
    pub booking_id: BookingId,
    pub what: RefundWhat,
    pub reason: Option<String>,
    pub idempotency_key: String,
}

impl Part {
    /// SHA-256 of everything that a repetition is compared by; the reason only by the mark of `secret`, since people write names there
    /// and texts can be guessed.
    #[must_use]
    pub fn request_hash(&self, mark: impl FnOnce(&str) -> String) -> [u8; 32] {
        let (tickets, amount): (Option<&[TicketId]>, Option<Money>) = match &self.what {
            RefundWhat::Tickets(ids) => (Some(ids), None),
            RefundWhat::Amount(amount) => (None, Some(*amount)),
        };
        let compared = (self.booking_id, tickets, amount, self.reason.as_deref().map(mark));
        Sha256::digest(serde_json::to_vec(&compared).expect("ids, amounts and texts are JSON")).into()
    }
}

/// Reads a `refundBooking`.
///
/// # Errors
/// Every fault with its path.
pub fn check_refund(request: &RefundBooking) -> Result<Part, Refusals> {
    let mut faults = Faults::default();
    let part = faults.within("input", |faults| {
        let booking_id = id(faults, "bookingId", &request.booking_id);
        let what = what(faults, request);
        let reason = optional(request.reason.as_deref(), |given| text(faults, "reason", given, MAX_REASON_CHARS));
        let idempotency_key = key(faults, "idempotencyKey", &request.idempotency_key);
        Some(Part {
            booking_id: booking_id?,
            what: what?,
            reason: reason?.filter(|reason| !reason.is_empty()),
            idempotency_key: idempotency_key?,
        })
    });
    faults.finish(part)
}

fn what(faults: &mut Faults, request: &RefundBooking) -> Option<RefundWhat> {
    match (&request.ticket_ids, &request.amount) {
        (Some(given), None) => tickets(faults, given).map(RefundWhat::Tickets),
        (None, Some(given)) => amount(faults, given).map(RefundWhat::Amount),
        (Some(_), Some(_)) => {
            faults.report("amount", "either ticketIds or amount: tickets go back for exactly what they cost");
            None
        }
        (None, None) => {
            faults.report("ticketIds", "either ticketIds or amount; cancelBooking gives all of it back");
            None
        }
    }
}

/// An amount above 0. What is too much the booking knows.
fn amount(faults: &mut Faults, given: &MoneyInput) -> Option<Money> {
    faults.within("amount", |faults| match Money::parse(&given.amount, &given.currency) {
        Ok(amount) if amount.is_zero() => {
            faults.report("amount", "the amount is more than 0");
            None
        }
        Ok(amount) => Some(amount),
        Err(error) => {
            faults.report(error.field(), error.to_string());
            None
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0190c3b2-0000-7000-8000-000000000001";

    fn request(ticket_ids: Option<&[&str]>, amount: Option<(&str, &str)>) -> RefundBooking {
        RefundBooking {
            booking_id: ID.to_owned(),
            ticket_ids: ticket_ids.map(|ids| ids.iter().map(|id| (*id).to_owned()).collect()),
            amount: amount
                .map(|(amount, currency)| MoneyInput { amount: amount.to_owned(), currency: currency.to_owned() }),
            reason: None,
            idempotency_key: "k".to_owned(),
        }
    }

    #[test]
    fn either_tickets_or_a_sum_goes_back() {
        let path = |request: RefundBooking| check_refund(&request).unwrap_err().0[0].path.clone().unwrap();
        assert_eq!(path(request(None, None)), vec!["input".into(), "ticketIds".into()]);
        assert_eq!(path(request(Some(&[ID]), Some(("5", "VND")))), vec!["input".into(), "amount".into()]);
        assert_eq!(path(request(Some(&[]), None)), vec!["input".into(), "ticketIds".into()]);
        for amount in [("0", "VND"), ("-5", "VND"), ("0.5", "VND")] {
            assert_eq!(path(request(None, Some(amount))), vec!["input".into(), "amount".into(), "amount".into()]);
        }
        let currency = vec!["input".into(), "amount".into(), "currency".into()];
        assert_eq!(path(request(None, Some(("5", "XYZ")))), currency);
        let hash = |request| check_refund(&request).unwrap().request_hash(str::to_owned);
        let hashes = [
            hash(request(None, Some(("5", "VND")))),
            hash(request(None, Some(("6", "VND")))),
            hash(request(Some(&[ID]), None)),
        ];
        assert_eq!(hashes.iter().collect::<std::collections::BTreeSet<_>>().len(), 3);
    }
}
