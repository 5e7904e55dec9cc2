//! P10: no work is lost. What has still to be done for a booking or a show is a timer, written by the domain event that asks for
//! it and gone when it is done; so whatever the log leaves open has one, and each one is of something that the log knows.

use std::collections::BTreeSet;

use tickiz_domain::{
    booking::{BookingStatus, PaymentStatus, RefundStatus},
    event::EventStatus,
    ids::{BookingId, EventId},
    stream::StreamType,
    timer::{Timer, TimerKind},
};
use uuid::Uuid;

use super::{Promise, Walk};

impl Walk {
    /// Compares what is open with the timers.
    pub fn check_work(&mut self, timers: &[Timer]) {
        let set: BTreeSet<(TimerKind, Uuid)> = timers.iter().map(|timer| (timer.kind, timer.subject)).collect();
        let mut lost = Vec::new();
        let mut need = |kinds: &[TimerKind], subject: Uuid, of: String, position, what: &str| {
            if !kinds.iter().any(|kind| set.contains(&(*kind, subject))) {
                lost.push((position, of, what.to_owned()));
            }
        };
        for (id, walked) in &self.bookings {
            let Some(purchase) = &walked.booking.0 else { continue };
            let of = || format!("Booking/{id}");
            if purchase.status == BookingStatus::Held {
                need(&[TimerKind::HoldEnds], id.0, of(), walked.placed_at, "it is held, and nothing will end its hold");
            }
            for payment in &purchase.payments {
                if matches!(payment.status, PaymentStatus::Created | PaymentStatus::Pending) {
                    let kinds = [TimerKind::PaymentStart, TimerKind::PaymentCheck];
                    let what = "a payment is open, and nobody will ask what became of it";
                    need(&kinds, payment.id.0, of(), walked.last_at, what);
                }
            }
            for refund in &purchase.refunds {
                if refund.status == RefundStatus::Requested {
                    let what = "a refund is asked for, and nobody will send it";
                    need(&[TimerKind::RefundStart], refund.id.0, of(), walked.last_at, what);
                }
            }
        }
        let is_open = |id: &EventId| {
            let on_it = self.bookings.values().filter_map(|walked| walked.booking.0.as_ref());
            let mut on_it = on_it.filter(|purchase| purchase.event_id == *id);
            on_it.any(|purchase| matches!(purchase.status, BookingStatus::Held | BookingStatus::Confirmed))
        };
        for (id, event) in &self.events {
            let cancelled = event.0.as_ref().is_some_and(|show| show.status == EventStatus::Cancelled);
            if cancelled && is_open(id) {
                let what = "it is cancelled, and nobody will end its bookings";
                need(&[TimerKind::EventCancellation], id.0, format!("Event/{id}"), self.report.head, what);
            }
        }
        for timer in timers {
            let known = match timer.stream.stream_type {
                StreamType::Booking => self.bookings.contains_key(&BookingId(timer.stream.id)),
                StreamType::Event => self.events.contains_key(&EventId(timer.stream.id)),
                StreamType::Person => false,
            };
            if !known {
                let what = format!("a timer {} of something that the log does not know", timer.kind.as_str());
                lost.push((0, timer.stream.to_string(), what));
            }
        }
        for (position, of, what) in lost {
            self.report.find(Promise::P10, Some(position).filter(|position| *position > 0), of, what);
        }
    }
}
