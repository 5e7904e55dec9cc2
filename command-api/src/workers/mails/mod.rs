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
pub mod writing;

use std::{sync::Arc, time::Duration};

use tickiz_documents::Notice;
use tickiz_domain::{
    booking::{BookingDomainEvent, CancelledBy, IssuedTicket, Purchase},
    event::Show,
    ids::BookingId,
    stream::StreamType,
};
use tickiz_event_log::{EventLog, Position, Recorded};
use tickiz_tickets::{Flags, KeyRing, TicketPayload};
use tokio_util::sync::CancellationToken;

use self::{
    sink::{Folder, MailSink, Undelivered},
    writing::{Letter, Writer},
};
use super::checkpoint::Checkpoint;
use crate::{keys::Keys, payments::Bookings};

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

/// Writes to buyers: their tickets, that money went back, that a show will not be.
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
    /// Makes mails of what there is to tell.
    pub writer: Writer,
    /// Makes the tokens by which a buyer sees his booking.
    pub tokens: Keys,
    /// Where buyers see their bookings, without the slash at its end.
    pub public_url: String,
}

/// What a domain event gives to tell.
enum News {
    /// Here are the tickets.
    Tickets(Vec<IssuedTicket>),
    /// So much went back.
    Refunded(String),
    /// The show will not be.
    ShowCancelled,
}

impl News {
    fn of(event: BookingDomainEvent) -> Option<Self> {
        match event {
            BookingDomainEvent::BookingConfirmed(confirmed) => Some(Self::Tickets(confirmed.tickets)),
            BookingDomainEvent::BookingReinstated(reinstated) => Some(Self::Tickets(reinstated.tickets)),
            BookingDomainEvent::BookingRefunded(refunded) => Some(Self::Refunded(refunded.amount.to_string())),
            BookingDomainEvent::BookingCancelled(cancelled) => {
                (cancelled.by == CancelledBy::EventCancelled).then_some(Self::ShowCancelled)
            }
            _ => None,
        }
    }

    fn notice(&self, purchase: &Purchase, show: &Show) -> Notice {
        match self {
            Self::Tickets(_) => Notice::Confirmed,
            Self::Refunded(amount) => Notice::Refunded { amount: amount.clone() },
            Self::ShowCancelled => {
                let paid = purchase.payments.iter().any(|payment| payment.received.is_some());
                let refund = paid.then(|| purchase.total.to_string());
                Notice::CancelledShow { reason: show.reason.clone(), refund }
            }
        }
    }
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
        let news = match recorded.decode::<BookingDomainEvent>().map(News::of) {
            Ok(Some(news)) => news,
            Ok(None) => return Written::Passed,
            Err(error) => {
                tracing::error!(position = recorded.position, %error, "a domain event cannot be read; no mail is written");
                return Written::Passed;
            }
        };
        let id = BookingId(recorded.stream.id);
        match self.tell(id, recorded, &news).await {
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

    async fn tell(&self, id: BookingId, recorded: &Recorded, news: &News) -> Result<(), Unwritten> {
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
        let tickets = match news {
            News::Tickets(tickets) => tickets.as_slice(),
            News::Refunded(_) | News::ShowCancelled => &[],
        };
        let codes: Result<Vec<_>, Unwritten> = tickets.iter().map(|ticket| Ok((ticket, self.code(ticket)?))).collect();
        let token = self.tokens.access_token(id);
        let letter = Letter {
            id: format!("{id}-{}", recorded.position),
            date: recorded.recorded_at,
            notice: news.notice(&purchase, &show),
            booking_id: id,
            purchase: &purchase,
            show: &show,
            buyer: &buyer,
            tickets: codes?,
            link: format!("{}/tickets/{id}?token={}", self.public_url, token.0),
        };
        let mail = self.writer.write(letter).await.map_err(|error| Unwritten::Never(error.to_string()))?;
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
