//! One mail: from a booking and what there is to tell of it to the sink.

use std::sync::Arc;

use tickiz_documents::Notice;
use tickiz_domain::{
    booking::{IssuedTicket, Purchase},
    event::Show,
    ids::BookingId,
};
use tickiz_event_log::Recorded;
use tickiz_tickets::{Flags, KeyRing, TicketPayload};

use super::{
    sink::{DeadLetters, MailSink, Undelivered},
    writing::{Letter, Writer},
};
use crate::{keys::Keys, payments::Bookings};

/// Why a mail is not written.
#[derive(Debug)]
pub(super) enum Unwritten {
    /// Not now.
    Later(String),
    /// Never.
    Never(String),
}

impl Unwritten {
    /// It may be possible later.
    pub(super) fn later(error: &dyn std::fmt::Display) -> Self {
        Self::Later(error.to_string())
    }

    /// It is impossible for ever.
    pub(super) fn never(what: &str) -> Self {
        Self::Never(what.to_owned())
    }
}

/// What a mail is about.
pub(super) struct Told<'a> {
    /// Whose.
    pub(super) booking: BookingId,
    /// The booking.
    pub(super) purchase: &'a Purchase,
    /// The show, as the mail tells of it.
    pub(super) show: &'a Show,
    /// The domain event that it tells of.
    pub(super) recorded: &'a Recorded,
    /// What it tells.
    pub(super) notice: Notice,
    /// The tickets whose codes it shows.
    pub(super) tickets: &'a [IssuedTicket],
}

/// Writes mails and hands them over.
pub struct Post {
    /// The bookings.
    pub bookings: Arc<dyn Bookings>,
    /// Where mails go.
    pub sink: Arc<dyn MailSink>,
    /// Where those are kept that the sink refuses for good.
    pub undeliverable: DeadLetters,
    /// Signs the tickets' codes.
    pub keys: Arc<KeyRing>,
    /// Makes mails of what there is to tell.
    pub writer: Writer,
    /// Makes the tokens by which a buyer sees his booking.
    pub tokens: Keys,
    /// Where buyers see their bookings, without the slash at its end.
    pub public_url: String,
}

impl Post {
    /// Writes and delivers one mail. It is named by the booking and the domain event's position.
    pub(super) async fn send(&self, told: Told<'_>) -> Result<(), Unwritten> {
        let Told { booking, purchase, show, recorded, notice, tickets } = told;
        let Some(buyer) = self.bookings.buyer(purchase).await.map_err(|error| Unwritten::later(&error))? else {
            // He was erased, and nobody knows any more where to write to.
            return Ok(());
        };
        let codes: Result<Vec<_>, Unwritten> = tickets.iter().map(|ticket| Ok((ticket, self.code(ticket)?))).collect();
        let token = self.tokens.access_token(booking);
        let letter = Letter {
            id: format!("{booking}-{}", recorded.position),
            date: recorded.recorded_at,
            notice,
            booking_id: booking,
            purchase,
            show,
            buyer: &buyer,
            tickets: codes?,
            link: format!("{}/tickets/{booking}?token={}", self.public_url, token.0),
        };
        let mail = self.writer.write(letter).await.map_err(|error| Unwritten::Never(error.to_string()))?;
        match self.sink.deliver(&mail).await {
            Ok(()) => Ok(()),
            Err(Undelivered::Later(error)) => Err(Unwritten::Later(error)),
            Err(Undelivered::Never(error)) => {
                // Kept whole, so that somebody may send it once more.
                self.undeliverable.keep(&mail, &error).await.map_err(|error| Unwritten::later(&error))?;
                Err(Unwritten::Never(error))
            }
        }
    }

    fn code(&self, ticket: &IssuedTicket) -> Result<String, Unwritten> {
        let flags = Flags::from_bits(ticket.flags);
        let payload = TicketPayload {
            kid: ticket.kid,
            event: ticket.event_number,
            ticket: ticket.number.0,
            category: ticket.admission_class,
            rev: ticket.revision,
            flags: flags.ok_or_else(|| Unwritten::Never(format!("a ticket has the flags {:#010b}", ticket.flags)))?,
            not_before: ticket.not_before,
            expires: ticket.expires,
        };
        self.keys.sign(&payload).map_err(|error| Unwritten::Never(error.to_string()))
    }
}
