//! What everybody with tickets for a show is told: that it has another time or place, that it was put off, that it is near.
//!
//! One domain event of a show is a mail to each of its bookings, perhaps twenty thousand. They come from the list of its bookings
//! ([`BookingList`]), in the order of their ids; after each mail to a sink that does not remember, the booking is noted
//! ([`Rounds`]), so that whoever takes over goes on behind it. They are followed apart from the bookings' own mails, under a
//! checkpoint of their own: nobody waits for his tickets until a stadium has read that its show is moved.
//!
//! The show is told of as it stood after that domain event, so the same domain event gives the same mails. Who placed his booking
//! later knew, and gets none; and when the show has ended or been moved again meanwhile, what was to be told is not true any more.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use tickiz_documents::{Notice, Venue, mail::Before};
use tickiz_domain::{
    booking::{BookingStatus, IssuedTicket},
    event::{Event, EventDomainEvent, EventStatus, Show},
    ids::{BookingId, EventId},
    stream::{StreamId, StreamType},
};
use tickiz_event_log::{EventLog, Recorded, Sequence};

use super::{
    follow::{GoingOn, Teller, Written},
    post::{Post, Told, Unwritten},
    rounds::Rounds,
};
use crate::workers::cancellation::BookingList;

/// How many bookings are read at a time, and domain events of a show.
const PAGE: usize = 500;

/// Tells everybody of a show.
pub(super) struct OfShows {
    pub(super) post: Arc<Post>,
    pub(super) log: EventLog,
    pub(super) list: Arc<dyn BookingList>,
    pub(super) rounds: Rounds,
}

/// One domain event, and what it is to everybody.
struct Announcement {
    event: EventId,
    show: Show,
    notice: Notice,
}

/// How a round over a show's bookings ended.
enum Round {
    Done,
    Stopped,
}

/// What a show's domain event gives to tell to those who have tickets, by the show before it and after it.
fn notice_of(event: &EventDomainEvent, before: &Show, after: &Show) -> Option<Notice> {
    let was_public = before.status == EventStatus::Published;
    let moved = before.postponed != after.postponed || before.starts_at != after.starts_at;
    match event {
        EventDomainEvent::EventRemindersDue(_) => Some(Notice::Reminder),
        EventDomainEvent::EventPostponed(_) | EventDomainEvent::EventChanged(_) if was_public && after.postponed => {
            (!before.postponed).then(|| Notice::PostponedShow { reason: after.reason.clone() })
        }
        EventDomainEvent::EventPostponed(_) | EventDomainEvent::EventChanged(_) if was_public => {
            let elsewhere = before.venue != after.venue;
            let told = Before { starts_at: before.starts_at.instant, venue: Venue::of(&before.venue) };
            (moved || elsewhere).then_some(Notice::ChangedShow { before: told })
        }
        _ => None,
    }
}

/// Whether it is still worth telling, by the show as it stands now.
fn is_still_true(announcement: &Announcement, current: &Show, now: DateTime<Utc>) -> bool {
    let told = &announcement.show;
    let same_date = current.starts_at == told.starts_at && current.postponed == told.postponed;
    current.status == EventStatus::Published && same_date && (current.postponed || now < current.starts_at.instant)
}

impl OfShows {
    /// What a domain event announces; `None` where it is nothing for everybody.
    async fn announcement(&self, recorded: &Recorded) -> Result<Option<Announcement>, Unwritten> {
        let unreadable = |_| Unwritten::never("a domain event of the show cannot be read");
        let event: EventDomainEvent = recorded.decode().map_err(unreadable)?;
        if !matches!(
            event,
            EventDomainEvent::EventChanged(_)
                | EventDomainEvent::EventPostponed(_)
                | EventDomainEvent::EventRemindersDue(_)
        ) {
            return Ok(None);
        }
        let before = self.show_at(recorded.stream, recorded.sequence - 1).await?;
        let mut after = before.clone();
        after.fold(event.clone());
        let (Some(before), Some(after)) = (before.0, after.0) else { return Ok(None) };
        let notice = notice_of(&event, &before, &after);
        Ok(notice.map(|notice| Announcement { event: EventId(recorded.stream.id), show: after, notice }))
    }

    /// A show as it stood at a sequence of its stream.
    async fn show_at(&self, stream: StreamId, sequence: Sequence) -> Result<Event, Unwritten> {
        let mut show = Event::default();
        let mut at = 0;
        while at < sequence {
            let page = self.log.read_stream(stream, at, PAGE).await.map_err(|error| Unwritten::later(&error))?;
            let Some(last) = page.last() else { break };
            at = last.sequence;
            for recorded in page.iter().filter(|recorded| recorded.sequence <= sequence) {
                let event =
                    recorded.decode().map_err(|_| Unwritten::never("a domain event of the show cannot be read"))?;
                show.fold(event);
            }
        }
        Ok(show)
    }

    async fn round(
        &self,
        announcement: &Announcement,
        recorded: &Recorded,
        going_on: &mut GoingOn<'_>,
    ) -> Result<Round, Unwritten> {
        // From the log itself: the copy in memory may be from before what is announced.
        let current = self.show_at(recorded.stream, Sequence::MAX).await?;
        if !current.0.is_some_and(|current| is_still_true(announcement, &current, self.post.bookings.now())) {
            return Ok(Round::Done);
        }
        let mut after = self.rounds.told(recorded.position).await.map_err(|error| Unwritten::later(&error))?;
        loop {
            let page = self.list.bookings_of(announcement.event, recorded.position, after, PAGE).await;
            let page = page.map_err(|error| Unwritten::later(&error))?;
            let page = page.ok_or_else(|| Unwritten::Later("the list of bookings is behind".to_owned()))?;
            let Some(last) = page.last().copied() else { break };
            for id in page {
                if !going_on.ask().await {
                    return Ok(Round::Stopped);
                }
                let sent = self.send(id, announcement, recorded).await?;
                if sent && !self.post.sink.remembers() {
                    self.rounds.note(recorded.position, id).await.map_err(|error| Unwritten::later(&error))?;
                }
            }
            self.rounds.note(recorded.position, last).await.map_err(|error| Unwritten::later(&error))?;
            after = Some(last);
        }
        self.rounds.end(recorded.position).await.map_err(|error| Unwritten::later(&error))?;
        Ok(Round::Done)
    }

    /// Tells one buyer; whether there was something to tell him. What can never be told is logged and passed over.
    async fn send(&self, id: BookingId, announcement: &Announcement, recorded: &Recorded) -> Result<bool, Unwritten> {
        let Announcement { show, notice, .. } = announcement;
        let purchase = self.post.bookings.booking(id).await.map_err(|error| Unwritten::later(&error))?;
        let Some(purchase) = purchase.filter(|purchase| purchase.status == BookingStatus::Confirmed) else {
            return Ok(false);
        };
        let stream = StreamId::new(StreamType::Booking, id.0);
        let placed = self.log.read_stream(stream, 0, 1).await.map_err(|error| Unwritten::later(&error))?;
        if placed.first().is_none_or(|placed| placed.position > recorded.position) {
            return Ok(false);
        }
        let tickets: Vec<IssuedTicket> =
            if notice.kind().has_codes() { purchase.valid_tickets().cloned().collect() } else { Vec::new() };
        let told = Told { booking: id, purchase: &purchase, show, recorded, notice: notice.clone(), tickets: &tickets };
        match self.post.send(told).await {
            Err(Unwritten::Never(error)) => {
                tracing::error!(booking.id = %id, position = recorded.position, %error, "a mail cannot be delivered, and is passed over");
                Ok(true)
            }
            sent => sent.map(|()| true),
        }
    }
}

#[async_trait::async_trait]
impl Teller for OfShows {
    fn remembers(&self) -> bool {
        self.post.sink.remembers()
    }

    async fn tell(&self, recorded: &Recorded, going_on: &mut GoingOn<'_>) -> Written {
        if recorded.stream.stream_type != StreamType::Event {
            return Written::Passed;
        }
        let told = match self.announcement(recorded).await {
            Ok(None) => return Written::Passed,
            Ok(Some(announcement)) => self.round(&announcement, recorded, going_on).await,
            Err(error) => Err(error),
        };
        match told {
            Ok(Round::Done) => Written::Sent,
            Ok(Round::Stopped) => Written::NotNow,
            Err(Unwritten::Later(error)) => {
                tracing::warn!(event.id = %recorded.stream.id, position = recorded.position, %error, "a show's announcement is tried again");
                Written::NotNow
            }
            Err(Unwritten::Never(error)) => {
                tracing::error!(event.id = %recorded.stream.id, position = recorded.position, %error, "a show's announcement is passed over");
                Written::Passed
            }
        }
    }
}
