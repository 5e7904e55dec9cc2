//! Mails: who follows the log and writes to buyers.
//!
//! A consumer of the log with a durable checkpoint ([`super::checkpoint`]), one process at a time. A mail is named by the booking and
//! the position of the domain event that it tells of, so one that is written again after a crash is the same mail, and the
//! sink takes it once. It is never sent from a projection: those are rebuilt, and nobody wants his tickets twice.
//!
//! A mail that cannot be delivered now holds the others up until it can; one that can never be written (a damaged seal, an
//! unknown key) is logged as an error and passed over, and so is one that the mail server refuses for good, which is kept in a
//! folder of its own.

pub mod message;
pub mod sink;
pub mod texts;

use std::{sync::Arc, time::Duration};

use tickiz_domain::{
    booking::{BookingDomainEvent, IssuedTicket},
    ids::BookingId,
    stream::StreamType,
};
use tickiz_event_log::{EventLog, Position, Recorded};
use tickiz_tickets::{Flags, KeyRing, TicketPayload};
use tokio_util::sync::CancellationToken;

use self::{
    message::{Mail, Mailbox},
    sink::{Folder, MailSink, Undelivered},
    texts::{Language, confirmation},
};
use super::checkpoint::Checkpoint;
use crate::payments::Bookings;

/// The consumer's name in the table of checkpoints.
pub const CONSUMER: &str = "confirmation-mails";
/// How long a process stays the one who writes mails after it was last heard of.
pub const LEASE: Duration = Duration::from_secs(10);
/// How often the lease is renewed while nothing happens.
const RENEW: Duration = Duration::from_secs(3);
/// How often a process that does not write looks whether it should.
const STAND_BY: Duration = Duration::from_secs(2);
/// The wait after a mail that could not be delivered.
const AFTER_FAILURE: Duration = Duration::from_secs(5);
/// How many domain events are read at a time.
const PAGE: usize = 500;

/// Writes confirmations.
pub struct MailWorker {
    /// The log.
    pub log: EventLog,
    /// The bookings.
    pub bookings: Arc<dyn Bookings>,
    /// How far it has come.
    pub checkpoint: Checkpoint,
    /// Where mails go.
    pub sink: Arc<dyn MailSink>,
    /// Where those are kept that the sink refuses for good.
    pub undeliverable: Folder,
    /// Signs the tickets' codes.
    pub keys: Arc<KeyRing>,
    /// Who sends.
    pub from: Mailbox,
}

/// What became of a domain event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Written {
    /// There was nothing to send, or nothing that ever could be.
    Passed,
    /// A mail was sent.
    Sent,
    /// The log cannot be followed beyond it yet.
    NotNow,
}

/// Why a mail is not written.
enum Unwritten {
    /// Not now.
    Later(String),
    /// Never.
    Never(String),
}

impl MailWorker {
    /// Works until it is told to stop.
    pub async fn run(self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            let pause = match self.checkpoint.take().await {
                Ok(Some(position)) => self.follow(position, &stop).await,
                Ok(None) => STAND_BY,
                Err(error) => {
                    tracing::error!(%error, "the mails' checkpoint cannot be read; trying on");
                    AFTER_FAILURE
                }
            };
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
        if let Err(error) = self.checkpoint.give_back().await {
            tracing::warn!(%error, "another process writes mails when this one's lease has run out");
        }
    }

    /// Follows the log from a position for as long as the lease holds; how long to wait before it is asked for again.
    async fn follow(&self, mut position: Position, stop: &CancellationToken) -> Duration {
        let mut head = self.log.watch();
        loop {
            let page = match self.log.read(position, PAGE).await {
                Ok(page) => page,
                Err(error) => {
                    tracing::error!(%error, position, "the log cannot be read for mails; trying on");
                    return AFTER_FAILURE;
                }
            };
            let mut failed = false;
            for recorded in &page {
                let written = if stop.is_cancelled() { Written::NotNow } else { self.write(recorded).await };
                if written == Written::NotNow {
                    failed = true;
                    break;
                }
                position = recorded.position;
                if written == Written::Sent
                    && !self.sink.remembers()
                    && !matches!(self.checkpoint.move_to(position).await, Ok(true))
                {
                    return STAND_BY;
                }
            }
            match self.checkpoint.move_to(position).await {
                Ok(true) if failed => return AFTER_FAILURE,
                Ok(true) => {}
                Ok(false) => return STAND_BY,
                Err(error) => {
                    tracing::error!(%error, "the mails' checkpoint cannot be moved; trying on");
                    return AFTER_FAILURE;
                }
            }
            if page.len() == PAGE {
                continue;
            }
            tokio::select! {
                () = stop.cancelled() => return Duration::ZERO,
                changed = head.wait_for(|head| *head > position) => {
                    if changed.is_err() {
                        return STAND_BY;
                    }
                }
                () = tokio::time::sleep(RENEW) => {}
            }
        }
    }

    async fn write(&self, recorded: &Recorded) -> Written {
        if recorded.stream.stream_type != StreamType::Booking {
            return Written::Passed;
        }
        let tickets = match recorded.decode::<BookingDomainEvent>() {
            Ok(BookingDomainEvent::BookingConfirmed(confirmed)) => confirmed.tickets,
            Ok(BookingDomainEvent::BookingReinstated(reinstated)) => reinstated.tickets,
            Ok(_) => return Written::Passed,
            Err(error) => {
                tracing::error!(position = recorded.position, %error, "a domain event cannot be read; no mail is written");
                return Written::Passed;
            }
        };
        let id = BookingId(recorded.stream.id);
        match self.confirm(id, recorded, &tickets).await {
            Ok(()) => Written::Sent,
            Err(Unwritten::Later(error)) => {
                tracing::warn!(booking.id = %id, position = recorded.position, %error, "a mail is tried again");
                Written::NotNow
            }
            Err(Unwritten::Never(error)) => {
                tracing::error!(booking.id = %id, position = recorded.position, %error, "a mail cannot be delivered, and is passed over");
                Written::Passed
            }
        }
    }

    async fn confirm(&self, id: BookingId, recorded: &Recorded, tickets: &[IssuedTicket]) -> Result<(), Unwritten> {
        let later = |error: &dyn std::fmt::Display| Unwritten::Later(error.to_string());
        let never = |what: &str| Unwritten::Never(what.to_owned());
        let purchase = self.bookings.booking(id).await.map_err(|error| later(&error))?;
        let purchase = purchase.ok_or_else(|| never("the booking is not there"))?;
        let show = self.bookings.show(purchase.event_id).await.map_err(|error| later(&error))?;
        let show = show.ok_or_else(|| never("the show is not there"))?;
        let Some(buyer) = self.bookings.buyer(&purchase).await.map_err(|error| later(&error))? else {
            // He was erased, and nobody knows any more where to write to.
            return Ok(());
        };
        let codes: Result<Vec<String>, Unwritten> = tickets.iter().map(|ticket| self.code(ticket)).collect();
        let language = Language::of(purchase.locale.as_deref());
        let (subject, text) = confirmation(language, &buyer.name, &purchase, &show, tickets, &codes?);
        let mail = Mail {
            id: format!("{id}-{}", recorded.position),
            date: recorded.recorded_at,
            from: self.from.clone(),
            to: Mailbox { name: buyer.name, address: buyer.email },
            subject,
            text,
            language: language.tag(),
        };
        match self.sink.deliver(&mail).await {
            Ok(()) => Ok(()),
            Err(Undelivered::Later(error)) => Err(Unwritten::Later(error)),
            Err(Undelivered::Never(error)) => {
                // Kept whole, so that somebody may send it once more.
                self.undeliverable.deliver(&mail).await.map_err(|error| later(&error))?;
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
