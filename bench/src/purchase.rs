//! A booking of a real size: what the production path appends when a buyer places it.

use chrono::{Duration, Utc};
use tickiz_domain::{
    booking::{BookingDomainEvent, BookingPlaced, Line},
    claim::{ClaimChange, Resource},
    event::{EventChanged, EventDomainEvent, Quota},
    ids::{EventId, OrganizerId, PersonId, PersonMark, QuotaId, SeatId, TicketId, TicketTypeId},
    money::Money,
    sealed::Sealed,
    stored::StoredEvent,
    stream::{StreamId, StreamType},
};
use tickiz_event_log::{Append, Metadata, NewEvent, NewReceipt, StreamAppend};
use uuid::Uuid;

/// What is sold.
#[derive(Clone, Copy)]
pub enum Place {
    /// A seat that nobody else wants.
    OwnSeat,
    /// One place of this quota, as everybody else.
    Quota(QuotaId),
}

/// A booking's domain event, new in every id.
pub fn placed(show: EventId, place: Place) -> (Uuid, BookingPlaced) {
    let id = Uuid::now_v7();
    let tag = id.simple().to_string();
    let price = Money::parse("450000", "VND").expect("450000 VND is legal");
    let (seat_id, quota_id) = match place {
        Place::OwnSeat => (Some(SeatId(tag.clone())), None),
        Place::Quota(quota) => (None, Some(quota)),
    };
    let line = Line {
        ticket_id: TicketId(Uuid::new_v4()),
        ticket_type_id: TicketTypeId(Uuid::new_v4()),
        seat_label: seat_id.is_some().then(|| "Stalls, 12, 7".to_owned()),
        seat_id,
        quota_id,
        price: price.clone(),
    };
    let placed = BookingPlaced {
        event_id: show,
        organizer_id: OrganizerId(Uuid::nil()),
        code: tag[16..].to_owned(),
        lines: vec![line],
        total: price,
        buyer: Sealed { person_id: PersonId(Uuid::new_v4()), sealed: "q".repeat(120) },
        person: PersonMark(tag.repeat(2)),
        max_per_person: None,
        locale: Some("vi-VN".to_owned()),
        access_token_hash: tag.repeat(2),
        hold_expires_at: Utc::now() + Duration::hours(1),
        release_on_decline: false,
    };
    (id, placed)
}

/// The append of that booking, with its receipt.
pub fn append(show: EventId, place: Place) -> Append {
    let (id, placed) = placed(show, place);
    let event = BookingDomainEvent::from(placed);
    Append {
        metadata: Metadata {
            command_id: Uuid::new_v4(),
            correlation_id: Some(Uuid::new_v4()),
            actor: Some("buyer".to_owned()),
            show_id: Some(show),
            ..Metadata::default()
        },
        organizer_id: Some(OrganizerId(Uuid::nil())),
        streams: vec![StreamAppend {
            stream: StreamId::new(StreamType::Booking, id),
            expected: 0,
            events: vec![NewEvent::of(&event, id)],
        }],
        receipt: Some(NewReceipt {
            scope: format!("{show}/{}", id.simple()),
            operation: "placeBooking",
            key: id.to_string(),
            request_hash: [7; 32],
            result: format!("{{\"booking\":\"{id}\"}}").into_bytes(),
        }),
        ..Append::default()
    }
}

/// Sets the quota's limit, by a domain event of the show.
pub fn open_quota(show: EventId, quota: QuotaId, capacity: i64) -> Append {
    let change = EventChanged { quotas: vec![Quota { id: quota, name: None, capacity }], ..EventChanged::default() };
    let event = EventDomainEvent::from(change);
    let limits = event.claims(show.0);
    debug_assert!(matches!(limits.as_slice(), [ClaimChange::SetLimit { resource: Resource::Quota(..), .. }]));
    Append {
        metadata: Metadata { command_id: Uuid::new_v4(), show_id: Some(show), ..Metadata::default() },
        streams: vec![StreamAppend {
            stream: StreamId::new(StreamType::Event, show.0),
            expected: 0,
            events: vec![NewEvent::of(&event, show.0)],
        }],
        ..Append::default()
    }
}
