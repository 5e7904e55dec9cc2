//! New ids, numbers and codes, and the one place where chance comes from.
//!
//! Nothing else in this crate draws a random number, so that a simulation which hands in its own [`Entropy`] repeats a run.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use tickiz_domain::{
    booking::{TicketNumber, code::BookingCode},
    ids::{BookingId, EventId, PaymentId, RefundId},
};
use uuid::{Builder, Uuid};

pub use tickiz_event_log::runtime::{Entropy, SystemEntropy};

/// The characters that two slugs are told apart by; 32, so that five random bits are one character.
const SLUG_ALPHABET: &[u8; 32] = b"23456789abcdefghjklmnpqrstuvwxyz";

/// Makes ids, numbers and codes. Cheap to clone.
#[derive(Clone)]
pub struct Ids(Arc<dyn Entropy>);

impl Ids {
    /// Ids from that source of chance.
    #[must_use]
    pub fn new(entropy: Arc<dyn Entropy>) -> Self {
        Self(entropy)
    }

    fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        self.0.fill(&mut bytes);
        bytes
    }

    /// An id that sorts by the time it was made (UUIDv7), so that an index grows at its end.
    #[must_use]
    pub fn timely<T: From<Uuid>>(&self, now: DateTime<Utc>) -> T {
        let millis = u64::try_from(now.timestamp_millis()).unwrap_or(0);
        Builder::from_unix_timestamp_millis(millis, &self.bytes()).into_uuid().into()
    }

    /// An id that says nothing (UUIDv4).
    #[must_use]
    pub fn random<T: From<Uuid>>(&self) -> T {
        Builder::from_random_bytes(self.bytes()).into_uuid().into()
    }

    /// An Event's number in ticket codes. 0 is left to tests of scanners.
    #[must_use]
    pub fn event_number(&self) -> u32 {
        u32::from_be_bytes(self.bytes()).max(1)
    }

    /// A ticket's number in its code.
    #[must_use]
    pub fn ticket_number(&self) -> TicketNumber {
        TicketNumber(u64::from_be_bytes(self.bytes()))
    }

    /// A booking's human code, such as `K7QF-2MXD`.
    #[must_use]
    pub fn booking_code(&self) -> BookingCode {
        BookingCode::from_random(u64::from_be_bytes(self.bytes()))
    }

    /// Some lower-case letters and digits to tell two slugs apart.
    #[must_use]
    pub fn slug_suffix(&self) -> String {
        self.bytes::<5>().map(|byte| char::from(SLUG_ALPHABET[usize::from(byte % 32)])).iter().collect()
    }

    /// A random share of `bound`, at most it.
    #[must_use]
    pub fn jitter(&self, bound: std::time::Duration) -> std::time::Duration {
        bound.mul_f64(f64::from(u32::from_be_bytes(self.bytes())) / f64::from(u32::MAX))
    }
}

/// A booking's id: UUIDv5 (RFC 9562 section 5.5) of its show, the caller's scope and his idempotency key, so that a repeated
/// request meets its own booking whichever process it reaches.
#[must_use]
pub fn booking_id(show: EventId, scope: &str, key: &str) -> BookingId {
    // No scope has a zero byte, and no key has a control character, so no two pairs give the same name.
    BookingId(Uuid::new_v5(&show.0, &[scope.as_bytes(), &[0], key.as_bytes()].concat()))
}

/// A payment attempt's id, from the booking and the caller's idempotency key.
#[must_use]
pub fn payment_id(booking: BookingId, scope: &str, key: &str) -> PaymentId {
    PaymentId(Uuid::new_v5(&booking.0, &[b"payment\0", scope.as_bytes(), &[0], key.as_bytes()].concat()))
}

/// A refund's id: what is given back of one attempt for one cause, so that the cause, met again, asks for the same refund.
#[must_use]
pub fn refund_id(payment: PaymentId, cause: &str) -> RefundId {
    RefundId(Uuid::new_v5(&payment.0, &[b"refund\0", cause.as_bytes()].concat()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Counts upwards: a run can be repeated.
    struct Counting(parking_lot::Mutex<u8>);

    impl Entropy for Counting {
        fn fill(&self, bytes: &mut [u8]) {
            let mut next = self.0.lock();
            for byte in bytes {
                *byte = *next;
                *next = next.wrapping_add(1);
            }
        }
    }

    #[test]
    fn the_same_chance_gives_the_same_ids() {
        let make = || {
            let ids = Ids::new(Arc::new(Counting(parking_lot::Mutex::new(0))));
            (
                ids.random::<EventId>(),
                ids.booking_code(),
                ids.ticket_number(),
                ids.timely::<PaymentId>(DateTime::UNIX_EPOCH),
            )
        };
        assert_eq!(make(), make());
    }

    #[test]
    fn a_retry_meets_its_own_booking_and_nobody_elses() {
        let show = EventId(Uuid::from_u128(7));
        assert_eq!(booking_id(show, "a", "k"), booking_id(show, "a", "k"));
        let others =
            [booking_id(show, "a", "l"), booking_id(show, "b", "k"), booking_id(EventId(Uuid::nil()), "a", "k")];
        assert!(others.iter().all(|other| *other != booking_id(show, "a", "k")));
        assert_ne!(booking_id(show, "ab", "c"), booking_id(show, "a", "bc"));
    }
}
