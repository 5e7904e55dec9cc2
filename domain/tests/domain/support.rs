//! Commands through cqrs-es, as the log sends them, and values that tests share.

use std::{
    fmt::Debug,
    pin::pin,
    task::{Context, Poll, Waker},
};

use chrono::{DateTime, Duration, Utc};
use cqrs_es::{Aggregate, event_sink::EventSink};
use tickiz_domain::{event::VenueTime, money::Money};
use uuid::Uuid;

/// The store's clock at the beginning of every history.
pub fn now() -> DateTime<Utc> {
    "2027-01-10T12:00:00Z".parse().unwrap()
}

/// When the show of the examples begins in Ho Chi Minh City, at first.
pub fn starts() -> DateTime<Utc> {
    "2027-05-01T12:30:00Z".parse().unwrap()
}

/// Long after everything.
pub fn afterwards() -> DateTime<Utc> {
    "2031-01-01T00:00:00Z".parse().unwrap()
}

/// That instant as the clocks of Ho Chi Minh City show it, which are seven hours ahead all year.
pub fn venue_time(instant: DateTime<Utc>) -> VenueTime {
    VenueTime { local: (instant + Duration::hours(7)).naive_utc(), instant }
}

pub fn vnd(amount: u32) -> Money {
    Money::parse(&amount.to_string(), "VND").unwrap()
}

/// An id that reads as its number.
pub fn id<T: From<Uuid>>(number: u128) -> T {
    Uuid::from_u128(number).into()
}

/// Sends a command as cqrs-es does; returns what was recorded.
///
/// A refusal leaves the aggregate as it was, and what was recorded folds to what the aggregate is now: both are checked here,
/// for every command of every test.
pub fn handle<A>(aggregate: &mut A, command: A::Command) -> Result<Vec<A::Event>, A::Error>
where
    A: Aggregate<Services = ()> + Clone + PartialEq + Debug,
{
    let before = aggregate.clone();
    let sink = EventSink::default();
    let result = block_on(aggregate.handle(command, &(), &sink));
    let events = block_on(sink.collect());
    let mut folded = before.clone();
    for event in events.clone() {
        folded.apply(event);
    }
    assert_eq!(folded, *aggregate, "what was recorded folds to the aggregate");
    match result {
        Ok(()) => Ok(events),
        Err(error) => {
            assert_eq!(before, *aggregate, "a refusal leaves nothing behind");
            assert!(events.is_empty(), "a refusal records nothing");
            Err(error)
        }
    }
}

/// The aggregates wait for nothing but an uncontended lock of the sink, so no runtime is needed.
fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
    }
}
