//! What a scan at a gate comes to.

use super::{
    command::{AdmitTicket, MAX_SCANS},
    decide::Decision,
    error::BookingError,
    event::{ScanConflict, TicketAdmitted, TicketScanConflicted},
    state::{BookingStatus, Purchase},
};

/// One person a ticket. A gate with a network is told no; one without has decided, and what speaks against it is recorded.
pub(super) fn admit(purchase: &Purchase, scan: AdmitTicket) -> Decision {
    let AdmitTicket { number, revision, scan_id, gate, scanned_at, offline } = scan;
    let ticket = purchase.tickets.iter().find(|ticket| ticket.number == number).ok_or(BookingError::UnknownTicket)?;
    if let Some(known) = purchase.scans.iter().find(|known| known.id == scan_id) {
        // The same scan again, and not another one under its name: that would let a second person in on the first one's answer.
        let is_same = known.ticket_id == ticket.ticket_id && known.gate == gate;
        return if is_same { Ok(Vec::new()) } else { Err(BookingError::ScanReused) };
    }
    if purchase.scans.len() >= MAX_SCANS {
        return Err(BookingError::TooManyScans);
    }
    let ticket_id = ticket.ticket_id;
    let refused = if purchase.status != BookingStatus::Confirmed || purchase.is_revoked(ticket_id) {
        Some((ScanConflict::Revoked, BookingError::TicketRevoked))
    } else if revision < ticket.revision {
        Some((ScanConflict::Superseded, BookingError::TicketSuperseded))
    } else {
        purchase.admission(ticket_id).map(|first| {
            let error = BookingError::AlreadyAdmitted { at: first.scanned_at, gate: first.gate.clone() };
            (ScanConflict::AlreadyUsed, error)
        })
    };
    match refused {
        None => Ok(vec![TicketAdmitted { ticket_id, scan_id, gate, scanned_at }.into()]),
        Some((conflict, _)) if offline => {
            Ok(vec![TicketScanConflicted { ticket_id, scan_id, gate, scanned_at, conflict }.into()])
        }
        Some((_, error)) => Err(error),
    }
}
