//! One domain event of every type, with every optional field said: what the golden examples were written from.

use std::collections::BTreeMap;

use chrono::Duration;
use tickiz_domain::{
    booking::{
        BookingCancelled, BookingConfirmed, BookingDomainEvent, BookingExpired, BookingPlaced, BookingRefunded,
        BookingReinstated, CancelledBy, IssuedTicket, Line, PaymentCancelled, PaymentCreated, PaymentExpired,
        PaymentFailed, PaymentHeldForReview, PaymentMethod, PaymentPending, PaymentSucceeded, Places, RefundFailed,
        RefundRequested, RefundSucceeded, RefundedBy, ReissuedBy, RevokedTicket, ScanConflict, TicketAdmitted,
        TicketNumber, TicketScanConflicted, TicketsReissued, TicketsRevoked,
    },
    event::{
        CategorySeats, EventCancelled, EventCategory, EventChanged, EventCompleted, EventCreated, EventDomainEvent,
        EventPostponed, EventPublished, EventRemindersDue, PlanSummary, Quota, SeatsBlocked, SeatsUnblocked,
        TicketType, Venue,
    },
    ids::{PersonMark, SeatId},
    money::Currency,
    person::{PersonDomainEvent, PersonErased},
    sealed::Sealed,
};

use crate::support::{id, now, starts, venue_time, vnd};

/// The show of every example.
pub const SHOW: u128 = 0xe0;
pub const ORGANIZER: u128 = 0x0a;
/// Covers the category `Stalls`.
pub const VIP: u128 = 0x11;
/// Draw on one quota.
pub const STANDING: u128 = 0x12;
pub const STUDENT: u128 = 0x13;
pub const FLOOR: u128 = 0x21;
pub const ATTEMPT: u128 = 0xa2;
/// The attempt that was given up for [`ATTEMPT`].
pub const EARLIER_ATTEMPT: u128 = 0xa1;

pub fn seat(id: &str) -> SeatId {
    SeatId(id.to_owned())
}

pub fn venue() -> Venue {
    Venue {
        name: "Nhà hát Hòa Bình".to_owned(),
        address: Some("240 Đường 3 Tháng 2".to_owned()),
        city: "Hồ Chí Minh".to_owned(),
        country: "VN".to_owned(),
        latitude: Some(10.7716),
        longitude: Some(106.6742),
    }
}

fn standing(number: u128, name: &str, price: u32, admission_class: u16) -> TicketType {
    TicketType {
        id: id(number),
        name: name.to_owned(),
        price: vnd(price),
        seat_categories: Vec::new(),
        quota_id: Some(id(FLOOR)),
        max_per_booking: 10,
        admission_class,
    }
}

/// A show with four seats and a floor of a hundred, which two types share.
pub fn event_created() -> EventCreated {
    let vip = TicketType {
        id: id(VIP),
        name: "VIP".to_owned(),
        price: vnd(1_200_000),
        seat_categories: vec!["Stalls".to_owned()],
        quota_id: None,
        max_per_booking: 4,
        admission_class: 0,
    };
    EventCreated {
        organizer_id: id(ORGANIZER),
        event_number: 4711,
        slug: "dem-nhac-trinh".to_owned(),
        title: "Đêm nhạc Trịnh".to_owned(),
        description: "Một đêm.".to_owned(),
        category: EventCategory::Concert,
        time_zone: "Asia/Ho_Chi_Minh".to_owned(),
        starts_at: venue_time(starts()),
        ends_at: Some(venue_time(starts() + Duration::hours(3))),
        venue: venue(),
        currency: Currency::VND,
        ticket_types: vec![vip, standing(STANDING, "Đứng", 450_000, 1), standing(STUDENT, "Sinh viên", 300_000, 2)],
        quotas: vec![Quota { id: id(FLOOR), name: Some("floor".to_owned()), capacity: 100 }],
        plan: Some(PlanSummary {
            hash: "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08".to_owned(),
            categories: vec![
                CategorySeats { category: "Stalls".to_owned(), seats: 4 },
                CategorySeats { category: "Wheelchair".to_owned(), seats: 2 },
            ],
        }),
        hold_seconds: 600,
        release_on_decline: false,
        sales_start: None,
        sales_end: None,
        max_per_person: Some(6),
    }
}

pub fn lines() -> Vec<Line> {
    let seated = Line {
        ticket_id: id(0x71),
        ticket_type_id: id(VIP),
        seat_id: Some(seat("A-1")),
        seat_label: Some("Stalls, A, 1".to_owned()),
        quota_id: None,
        price: vnd(1_200_000),
    };
    let placed = Line {
        ticket_id: id(0x72),
        ticket_type_id: id(STANDING),
        seat_id: None,
        seat_label: None,
        quota_id: Some(id(FLOOR)),
        price: vnd(450_000),
    };
    vec![seated, placed]
}

pub fn tickets() -> Vec<IssuedTicket> {
    lines()
        .iter()
        .zip(1..)
        .map(|(line, admission_class)| IssuedTicket {
            ticket_id: line.ticket_id,
            ticket_type_id: line.ticket_type_id,
            seat_id: line.seat_id.clone(),
            kid: 1,
            event_number: 4711,
            // The highest: a JSON number could not say it.
            number: TicketNumber(u64::MAX),
            admission_class,
            revision: 0,
            flags: 0,
            not_before: 1_809_120_600,
            expires: 1_809_217_800,
        })
        .collect()
}

/// The same as a booking gets them: each with a number of its own, and issued anew once.
pub fn issued() -> Vec<IssuedTicket> {
    let of = |(ticket, number)| IssuedTicket { number: TicketNumber(number), revision: 1, ..ticket };
    tickets().into_iter().zip(1..).map(of).collect()
}

pub fn mark() -> PersonMark {
    PersonMark("60303ae22b998861bce3b28f33eec1be758a213c86c93c076dbe9f558c11c752".to_owned())
}

pub fn sealed() -> Sealed {
    Sealed { person_id: id(0x99), sealed: "bm9uY2UgYW5kIGNpcGhlcnRleHQ=".to_owned() }
}

/// A seat and a place on the floor, held for ten minutes.
pub fn booking_placed() -> BookingPlaced {
    BookingPlaced {
        event_id: id(SHOW),
        organizer_id: id(ORGANIZER),
        code: "K7QF-2MXD".to_owned(),
        lines: lines(),
        total: vnd(1_650_000),
        buyer: sealed(),
        person: mark(),
        max_per_person: Some(6),
        locale: Some("vi-VN".to_owned()),
        access_token_hash: "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae".to_owned(),
        hold_expires_at: now() + Duration::minutes(10),
        release_on_decline: false,
    }
}

pub fn places() -> Places {
    Places {
        event_id: id(SHOW),
        seat_ids: vec![seat("A-1")],
        quotas: BTreeMap::from([(id(FLOOR), 1)]),
        person: mark(),
        count: 2,
        max_per_person: Some(6),
    }
}

/// One of every type of an Event.
pub fn of_events() -> Vec<EventDomainEvent> {
    let created = EventCreated {
        sales_start: Some(venue_time(now() + Duration::days(1))),
        sales_end: Some(venue_time(starts() - Duration::hours(1))),
        ..event_created()
    };
    let later = starts() + Duration::days(7);
    let changed = EventChanged {
        title: Some("Đêm nhạc Trịnh II".to_owned()),
        description: Some("Hai đêm.".to_owned()),
        starts_at: Some(venue_time(later)),
        ends_at: Some(venue_time(later + Duration::hours(2))),
        venue: Some(venue()),
        ticket_types: vec![standing(STANDING, "Đứng", 500_000, 1)],
        quotas: vec![Quota { id: id(FLOOR), name: Some("floor".to_owned()), capacity: 120 }],
        sales_start: Some(venue_time(now() + Duration::days(2))),
        sales_end: Some(venue_time(later - Duration::hours(1))),
        max_per_person: Some(8),
    };
    let postponed = EventPostponed {
        starts_at: Some(venue_time(later)),
        ends_at: Some(venue_time(later + Duration::hours(3))),
        reason: "Bão số 5".to_owned(),
    };
    vec![
        created.into(),
        EventPublished {}.into(),
        changed.into(),
        postponed.into(),
        EventCancelled { reason: "Bão số 6".to_owned() }.into(),
        EventCompleted {}.into(),
        EventRemindersDue { starts_at: venue_time(starts()) }.into(),
        SeatsBlocked { seat_ids: vec![seat("A-2"), seat("A-3")] }.into(),
        SeatsUnblocked { seat_ids: vec![seat("A-3")] }.into(),
    ]
}

/// One of every type of a Booking.
pub fn of_bookings() -> Vec<BookingDomainEvent> {
    let payment_id = id(ATTEMPT);
    let refund_id = id(0xf1);
    vec![
        booking_placed().into(),
        BookingConfirmed { event_id: id(SHOW), tickets: tickets(), payment_id: Some(payment_id) }.into(),
        BookingExpired { released: places() }.into(),
        BookingCancelled { by: CancelledBy::Buyer, reason: Some(sealed()), released: places() }.into(),
        BookingReinstated { taken: places(), tickets: tickets(), payment_id }.into(),
        BookingRefunded { amount: vnd(1_650_000) }.into(),
        PaymentCreated {
            payment_id,
            method: PaymentMethod::Sandbox,
            amount: vnd(1_650_000),
            return_url: Some(sealed()),
            pay_until: now() + Duration::minutes(10),
        }
        .into(),
        PaymentPending {
            payment_id,
            gateway_reference: "sbx_1".to_owned(),
            redirect_url: Some("https://pay.example/sbx_1".to_owned()),
        }
        .into(),
        PaymentSucceeded { payment_id, gateway_reference: "sbx_1".to_owned(), amount: vnd(1_650_000) }.into(),
        PaymentFailed { payment_id, reason: "declined by the issuer".to_owned() }.into(),
        PaymentCancelled { payment_id, tell_gateway: true }.into(),
        PaymentExpired { payment_id }.into(),
        PaymentHeldForReview {
            payment_id,
            gateway_reference: "sbx_1".to_owned(),
            received: vnd(1_000_000),
            reason: "1650000 VND was asked for, 1000000 VND came".to_owned(),
        }
        .into(),
        RefundRequested::whole(refund_id, payment_id, vnd(1_650_000), "the buyer cancelled the booking".to_owned())
            .into(),
        RefundSucceeded { refund_id, gateway_reference: "sbxr_1".to_owned() }.into(),
        RefundFailed { refund_id, reason: "the account is closed".to_owned() }.into(),
        TicketAdmitted {
            ticket_id: tickets()[0].ticket_id,
            scan_id: id(0x5c),
            gate: "Cổng Bắc".to_owned(),
            scanned_at: now(),
        }
        .into(),
        TicketScanConflicted {
            ticket_id: tickets()[0].ticket_id,
            scan_id: id(0x5d),
            gate: "South".to_owned(),
            scanned_at: now(),
            conflict: ScanConflict::AlreadyUsed,
        }
        .into(),
        TicketsReissued { event_id: id(SHOW), tickets: issued(), by: ReissuedBy::Buyer, reason: Some(sealed()) }.into(),
        TicketsRevoked {
            event_id: id(SHOW),
            tickets: vec![RevokedTicket { ticket_id: id(0x71), ticket_type_id: id(VIP), price: vnd(1_200_000) }],
            released: Places { quotas: BTreeMap::new(), count: 1, ..places() },
            by: RefundedBy::Organizer,
            reason: Some(sealed()),
            refund_id: Some(refund_id),
        }
        .into(),
    ]
}

/// One of every type of a person.
pub fn of_persons() -> Vec<PersonDomainEvent> {
    vec![PersonErased {}.into()]
}
