//! `reissueTickets`.

use std::collections::BTreeSet;

use sha2::{Digest, Sha256};
use tickiz_contract::{
    Refusals,
    request::{AccessToken, ReissueTickets},
};
use tickiz_domain::ids::{BookingId, TicketId};

use super::{
    Faults,
    fields::{access_token, id, key, optional, text},
    limits::{MAX_REASON_CHARS, MAX_TICKETS_PER_BOOKING},
};

/// A checked `reissueTickets`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the schema says it")]
pub struct Reissue {
    pub booking_id: BookingId,
    /// Each once, in the order of ids; `None`: all.
    pub ticket_ids: Option<Vec<TicketId>>,
    pub reason: Option<String>,
    pub access_token: Option<AccessToken>,
    pub idempotency_key: String,
}

impl Reissue {
    /// SHA-256 of everything that a repetition is compared by; the access token is not part of it, and the reason only by the
    /// mark of `secret`, since people write names there and texts can be guessed.
    #[must_use]
    pub fn request_hash(&self, mark: impl FnOnce(&str) -> String) -> [u8; 32] {
        let compared = serde_json::to_vec(&(self.booking_id, &self.ticket_ids, self.reason.as_deref().map(mark)));
        Sha256::digest(compared.expect("ids and texts are JSON")).into()
    }
}

/// Reads a `reissueTickets`.
///
/// # Errors
/// Every fault with its path.
pub fn check_reissue(request: ReissueTickets) -> Result<Reissue, Refusals> {
    let mut faults = Faults::default();
    let reissue = faults.within("input", |faults| {
        let booking_id = id(faults, "bookingId", &request.booking_id);
        let ticket_ids = optional(request.ticket_ids.as_deref(), |given| tickets(faults, given));
        let reason = optional(request.reason.as_deref(), |given| text(faults, "reason", given, MAX_REASON_CHARS));
        let access_token = optional(request.access_token, |given| access_token(faults, "accessToken", given));
        let idempotency_key = key(faults, "idempotencyKey", &request.idempotency_key);
        Some(Reissue {
            booking_id: booking_id?,
            ticket_ids: ticket_ids?,
            reason: reason?.filter(|reason| !reason.is_empty()),
            access_token: access_token?,
            idempotency_key: idempotency_key?,
        })
    });
    faults.finish(reissue)
}

/// The field `ticketIds`: each once, in the order of ids.
pub(super) fn tickets(faults: &mut Faults, given: &[String]) -> Option<Vec<TicketId>> {
    if given.is_empty() || given.len() > MAX_TICKETS_PER_BOOKING {
        let message = format!("{} tickets; 1 to {MAX_TICKETS_PER_BOOKING}, or leave it out", given.len());
        faults.report("ticketIds", message);
        return None;
    }
    faults.within("ticketIds", |faults| {
        let read: Vec<Option<TicketId>> =
            given.iter().enumerate().map(|(index, given)| id(faults, index, given)).collect();
        let once: BTreeSet<TicketId> = read.into_iter().collect::<Option<_>>()?;
        Some(once.into_iter().collect())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(ticket_ids: Option<Vec<String>>) -> ReissueTickets {
        ReissueTickets {
            booking_id: "0190c3b2-0000-7000-8000-000000000001".to_owned(),
            ticket_ids,
            reason: None,
            access_token: None,
            idempotency_key: "k".to_owned(),
        }
    }

    #[test]
    fn tickets_are_named_each_once_or_not_at_all() {
        let [one, two] = [1, 2].map(|last| format!("0190c3b2-0000-7000-8000-00000000000{last}"));
        let read = |ids: &[&String]| check_reissue(request(Some(ids.iter().map(|id| (*id).clone()).collect())));
        let pair = read(&[&one, &two]).unwrap();
        let turned = read(&[&two, &one, &two]).unwrap();
        assert_eq!(pair, turned, "the same tickets in another order are the same request");
        assert_eq!(pair.request_hash(str::to_owned), turned.request_hash(str::to_owned));
        let all = check_reissue(request(None)).unwrap();
        assert_eq!(all.ticket_ids, None);
        assert_ne!(pair.request_hash(str::to_owned), all.request_hash(str::to_owned));
        let path = |result: Result<Reissue, Refusals>| result.unwrap_err().0[0].path.clone().unwrap();
        assert_eq!(path(read(&[])), vec!["input".into(), "ticketIds".into()]);
        assert_eq!(path(read(&vec![&one; MAX_TICKETS_PER_BOOKING + 1])), vec!["input".into(), "ticketIds".into()]);
        assert_eq!(path(read(&[&one, &"x".to_owned()])), vec!["input".into(), "ticketIds".into(), 1.into()]);
    }
}
