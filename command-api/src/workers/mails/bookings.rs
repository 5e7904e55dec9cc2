//! What a buyer is told of his own booking: his tickets, that money went back, that a show will not be.

use std::sync::Arc;

use tickiz_documents::Notice;
use tickiz_domain::{
    booking::{BookingDomainEvent, CancelledBy, IssuedTicket, Purchase},
    event::Show,
    ids::{BookingId, RefundId},
    stream::StreamType,
};
use tickiz_event_log::Recorded;

use super::{
    follow::{GoingOn, Teller, Written},
    post::{Post, Told, Unwritten},
};

/// What a domain event gives to tell.
enum News {
    /// Here are the tickets.
    Tickets(Vec<IssuedTicket>),
    /// Here are tickets in the place of those so far.
    Reissued(Vec<IssuedTicket>),
    /// So much went back, all of it.
    Refunded(String),
    /// This went back.
    RefundDone(RefundId),
    /// The show will not be.
    ShowCancelled,
}

impl News {
    fn of(event: BookingDomainEvent) -> Option<Self> {
        match event {
            BookingDomainEvent::BookingConfirmed(confirmed) => Some(Self::Tickets(confirmed.tickets)),
            BookingDomainEvent::BookingReinstated(reinstated) => Some(Self::Tickets(reinstated.tickets)),
            BookingDomainEvent::TicketsReissued(reissued) => Some(Self::Reissued(reissued.tickets)),
            BookingDomainEvent::BookingRefunded(refunded) => Some(Self::Refunded(refunded.amount.to_string())),
            BookingDomainEvent::RefundSucceeded(succeeded) => Some(Self::RefundDone(succeeded.refund_id)),
            BookingDomainEvent::BookingCancelled(cancelled) => {
                (cancelled.by == CancelledBy::EventCancelled).then_some(Self::ShowCancelled)
            }
            _ => None,
        }
    }

    /// What to write of it; `None` where that is told otherwise: of the refunds at a booking's end the last one tells of all.
    fn notice(&self, purchase: &Purchase, show: &Show) -> Option<Notice> {
        Some(match self {
            Self::RefundDone(id) => {
                let part = purchase.refund(*id).filter(|refund| refund.by.is_some())?;
                Notice::Refunded { amount: part.amount.to_string() }
            }
            Self::Tickets(_) => Notice::Confirmed,
            Self::Reissued(_) => Notice::Reissued,
            Self::Refunded(amount) => Notice::Refunded { amount: amount.clone() },
            Self::ShowCancelled => {
                let paid = purchase.payments.iter().any(|payment| payment.received.is_some());
                let refund = paid.then(|| purchase.total.to_string());
                Notice::CancelledShow { reason: show.reason.clone(), refund }
            }
        })
    }
}

/// Tells buyers of their bookings.
pub(super) struct OfBookings(pub(super) Arc<Post>);

impl OfBookings {
    /// Whether there was something to write.
    async fn send(&self, id: BookingId, recorded: &Recorded, news: &News) -> Result<bool, Unwritten> {
        let bookings = &self.0.bookings;
        let purchase = bookings.booking(id).await.map_err(|error| Unwritten::later(&error))?;
        let purchase = purchase.ok_or_else(|| Unwritten::never("the booking is not there"))?;
        let show = bookings.show(purchase.event_id).await.map_err(|error| Unwritten::later(&error))?;
        let show = show.ok_or_else(|| Unwritten::never("the show is not there"))?;
        let tickets = match news {
            // As they are by now: a code that was replaced before its mail went out would let nobody in.
            News::Tickets(told) | News::Reissued(told) => {
                let is_told = |ticket: &&IssuedTicket| told.iter().any(|told| told.ticket_id == ticket.ticket_id);
                let revoked = |ticket: &&IssuedTicket| purchase.is_revoked(ticket.ticket_id);
                purchase.tickets.iter().filter(is_told).filter(|ticket| !revoked(ticket)).cloned().collect()
            }
            News::Refunded(_) | News::RefundDone(_) | News::ShowCancelled => Vec::new(),
        };
        let Some(notice) = news.notice(&purchase, &show) else { return Ok(false) };
        self.0
            .send(Told { booking: id, purchase: &purchase, show: &show, recorded, notice, tickets: &tickets })
            .await?;
        Ok(true)
    }
}

#[async_trait::async_trait]
impl Teller for OfBookings {
    fn remembers(&self) -> bool {
        self.0.sink.remembers()
    }

    async fn tell(&self, recorded: &Recorded, _: &mut GoingOn<'_>) -> Written {
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
        match self.send(id, recorded, &news).await {
            Ok(true) => Written::Sent,
            Ok(false) => Written::Passed,
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
}
