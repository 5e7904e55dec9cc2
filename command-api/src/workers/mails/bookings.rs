//! What a buyer is told of his own booking: his tickets, that money went back, that a show will not be.

use std::sync::Arc;

use tickiz_documents::Notice;
use tickiz_domain::{
    booking::{BookingDomainEvent, CancelledBy, IssuedTicket, Purchase},
    event::Show,
    ids::BookingId,
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
            BookingDomainEvent::TicketsReissued(reissued) => Some(Self::Reissued(reissued.tickets)),
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
            Self::Reissued(_) => Notice::Reissued,
            Self::Refunded(amount) => Notice::Refunded { amount: amount.clone() },
            Self::ShowCancelled => {
                let paid = purchase.payments.iter().any(|payment| payment.received.is_some());
                let refund = paid.then(|| purchase.total.to_string());
                Notice::CancelledShow { reason: show.reason.clone(), refund }
            }
        }
    }
}

/// Tells buyers of their bookings.
pub(super) struct OfBookings(pub(super) Arc<Post>);

impl OfBookings {
    async fn send(&self, id: BookingId, recorded: &Recorded, news: &News) -> Result<(), Unwritten> {
        let bookings = &self.0.bookings;
        let purchase = bookings.booking(id).await.map_err(|error| Unwritten::later(&error))?;
        let purchase = purchase.ok_or_else(|| Unwritten::never("the booking is not there"))?;
        let show = bookings.show(purchase.event_id).await.map_err(|error| Unwritten::later(&error))?;
        let show = show.ok_or_else(|| Unwritten::never("the show is not there"))?;
        let tickets = match news {
            // As they are by now: a code that was replaced before its mail went out would let nobody in.
            News::Tickets(told) | News::Reissued(told) => {
                let is_told = |ticket: &&IssuedTicket| told.iter().any(|told| told.ticket_id == ticket.ticket_id);
                purchase.tickets.iter().filter(is_told).cloned().collect()
            }
            News::Refunded(_) | News::ShowCancelled => Vec::new(),
        };
        let notice = news.notice(&purchase, &show);
        self.0.send(Told { booking: id, purchase: &purchase, show: &show, recorded, notice, tickets: &tickets }).await
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
}
