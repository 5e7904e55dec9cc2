//! Tickets issued anew: the codes so far let nobody in any more.

use super::{
    command::{MAX_REISSUES, ReissueTickets},
    decide::Decision,
    error::BookingError,
    event::{IssuedTicket, TicketsReissued},
    state::{BookingStatus, Purchase},
};

/// A ticket keeps its number, by which its booking is found, and gets the next revision. One that somebody came in with stays as it is:
/// named, it is refused; of a whole booking the others are issued anew. So it is with one that was given back.
pub(super) fn reissue(purchase: &Purchase, reissue: ReissueTickets) -> Decision {
    match purchase.status {
        BookingStatus::Held => return Err(BookingError::NotPaid),
        BookingStatus::Confirmed if !reissue.show_open => return Err(BookingError::ShowClosed),
        BookingStatus::Confirmed => {}
        BookingStatus::Expired => return Err(BookingError::HoldExpired { at: purchase.hold_expires_at }),
        BookingStatus::Cancelled | BookingStatus::Refunded => return Err(BookingError::AlreadyCancelled),
    }
    let ReissueTickets { ticket_ids, by, reason, kid, expires, .. } = reissue;
    if ticket_ids.iter().flatten().any(|id| !purchase.tickets.iter().any(|ticket| ticket.ticket_id == *id)) {
        return Err(BookingError::UnknownTicket);
    }
    if ticket_ids.iter().flatten().any(|id| purchase.is_revoked(*id)) {
        return Err(BookingError::TicketRevoked);
    }
    let is_asked = |ticket: &&IssuedTicket| ticket_ids.as_ref().is_none_or(|ids| ids.contains(&ticket.ticket_id));
    let (mut tickets, mut used) = (Vec::new(), None);
    for ticket in purchase.valid_tickets().filter(is_asked) {
        if let Some(first) = purchase.admission(ticket.ticket_id) {
            let error = BookingError::AlreadyAdmitted { at: first.scanned_at, gate: first.gate.clone() };
            if ticket_ids.is_some() {
                return Err(error);
            }
            used.get_or_insert(error);
            continue;
        }
        if ticket.revision >= MAX_REISSUES {
            return Err(BookingError::TooManyReissues);
        }
        let revision = ticket.revision + 1;
        tickets.push(IssuedTicket { revision, kid, expires: expires.max(ticket.not_before), ..ticket.clone() });
    }
    match (tickets.is_empty(), used) {
        (false, _) => Ok(vec![TicketsReissued { event_id: purchase.event_id, tickets, by, reason }.into()]),
        (true, Some(error)) => Err(error),
        (true, None) => Err(BookingError::Malformed("no ticket is to be issued anew")),
    }
}
