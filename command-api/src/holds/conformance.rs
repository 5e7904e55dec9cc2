//! What every [`HoldStore`] obeys, as a suite that is run against each of them. For tests.

use std::{sync::Arc, time::Duration};

use chrono::{TimeDelta, Utc};
use futures::future::join_all;
use tickiz_domain::ids::{BookingId, EventId, SeatId};
use uuid::Uuid;

use super::{Conflict, HoldStore, Note, RESERVED_FOR, Reservation, Standing};

/// How long a note may take to be heeded.
const HEEDED_WITHIN: Duration = Duration::from_secs(2);

fn seats(names: &[&str]) -> Vec<SeatId> {
    names.iter().map(|name| SeatId((*name).to_owned())).collect()
}

fn booking() -> BookingId {
    BookingId(Uuid::new_v4())
}

/// Asks until the answer is as expected, since notes are not waited for.
async fn comes_to_be(holds: &Arc<dyn HoldStore>, show: EventId, seat: &str, expected: Option<(BookingId, Standing)>) {
    let began = tokio::time::Instant::now();
    loop {
        let asker = booking();
        let found = holds.reserve(show, asker, &seats(&[seat])).await.expect("the store answers");
        let found = found.first().map(|conflict| (conflict.holder, conflict.standing));
        if found.is_none() {
            holds.tell(Note::Release { show, booking: asker, seats: seats(&[seat]) });
        }
        // One's own reservation of a moment ago may not have been given back yet.
        let is_own = found.is_some_and(|(_, standing)| standing == Standing::Reserved) && expected.is_none();
        if found == expected && !is_own {
            return;
        }
        assert!(began.elapsed() < HEEDED_WITHIN, "{seat}: {found:?} instead of {expected:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// All of it.
///
/// # Panics
/// Where the store does not obey.
pub async fn all(holds: Arc<dyn HoldStore>) {
    all_or_none(&holds).await;
    one_of_many(&holds).await;
    only_the_owner_gives_back(&holds).await;
    kept_and_run_out(&holds).await;
    a_retry_meets_its_own(&holds).await;
    dropped_is_given_back(&holds).await;
    a_reservation_runs_out(&holds).await;
}

async fn all_or_none(holds: &Arc<dyn HoldStore>) {
    let (show, one, other) = (EventId(Uuid::new_v4()), booking(), booking());
    assert!(holds.reserve(show, one, &seats(&["B", "é \n:{}"])).await.unwrap().is_empty());
    let conflicts = holds.reserve(show, other, &seats(&["A", "B", "C", "é \n:{}"])).await.unwrap();
    let reserved = |index| Conflict { index, holder: one, standing: Standing::Reserved };
    assert_eq!(conflicts, [reserved(1), reserved(3)]);
    // Nothing of it is reserved, and another show has other seats of the same names.
    assert!(holds.reserve(show, booking(), &seats(&["A", "C"])).await.unwrap().is_empty());
    assert!(holds.reserve(EventId(Uuid::new_v4()), other, &seats(&["B"])).await.unwrap().is_empty());
}

async fn one_of_many(holds: &Arc<dyn HoldStore>) {
    let show = EventId(Uuid::new_v4());
    // In opposite orders.
    let orders = [seats(&["1", "2", "3", "4"]), seats(&["4", "3", "2", "1"])];
    let asked = (0..100).map(|nth| holds.reserve(show, booking(), &orders[nth % 2]));
    let won = join_all(asked).await.into_iter().filter(|answer| answer.as_ref().is_ok_and(Vec::is_empty)).count();
    assert_eq!(won, 1);
}

async fn only_the_owner_gives_back(holds: &Arc<dyn HoldStore>) {
    let (show, owner) = (EventId(Uuid::new_v4()), booking());
    assert!(holds.reserve(show, owner, &seats(&["A"])).await.unwrap().is_empty());
    holds.tell(Note::Release { show, booking: booking(), seats: seats(&["A"]) });
    // Notes are heeded in the order in which they were told.
    holds.tell(Note::Keep { show, booking: owner, seats: seats(&["A"]), until: Utc::now() + TimeDelta::minutes(1) });
    comes_to_be(holds, show, "A", Some((owner, Standing::Held))).await;
    holds.tell(Note::Release { show, booking: owner, seats: seats(&["A"]) });
    comes_to_be(holds, show, "A", None).await;
}

async fn kept_and_run_out(holds: &Arc<dyn HoldStore>) {
    let (show, owner) = (EventId(Uuid::new_v4()), booking());
    // Also where the reservation was forgotten in between.
    holds.tell(Note::Keep { show, booking: owner, seats: seats(&["A"]), until: Utc::now() + TimeDelta::seconds(1) });
    comes_to_be(holds, show, "A", Some((owner, Standing::Held))).await;
    comes_to_be(holds, show, "A", None).await;
    holds.tell(Note::Keep { show, booking: owner, seats: seats(&["B"]), until: Utc::now() - TimeDelta::seconds(1) });
    comes_to_be(holds, show, "B", None).await;
}

async fn a_retry_meets_its_own(holds: &Arc<dyn HoldStore>) {
    let (show, owner) = (EventId(Uuid::new_v4()), booking());
    for _ in 0..2 {
        assert!(holds.reserve(show, owner, &seats(&["A", "B"])).await.unwrap().is_empty());
    }
    let until = Utc::now() + TimeDelta::minutes(1);
    holds.tell(Note::Keep { show, booking: owner, seats: seats(&["A"]), until });
    comes_to_be(holds, show, "A", Some((owner, Standing::Held))).await;
    // A hold does not become a reservation again.
    assert!(holds.reserve(show, owner, &seats(&["A"])).await.unwrap().is_empty());
    comes_to_be(holds, show, "A", Some((owner, Standing::Held))).await;
}

async fn dropped_is_given_back(holds: &Arc<dyn HoldStore>) {
    let (show, owner) = (EventId(Uuid::new_v4()), booking());
    let reservation = Reservation::take(holds, show, owner, seats(&["A"])).await;
    assert!(Reservation::take(holds, show, booking(), seats(&["A"])).await.is_err());
    drop(reservation);
    comes_to_be(holds, show, "A", None).await;
    let began = tokio::time::Instant::now();
    let reservation = loop {
        match Reservation::take(holds, show, owner, seats(&["A"])).await {
            Ok(reservation) => break reservation,
            // Whoever looked a moment ago has not given it back yet.
            Err(_) => assert!(began.elapsed() < HEEDED_WITHIN, "it is free"),
        }
    };
    reservation.keep(Utc::now() + TimeDelta::minutes(1));
    comes_to_be(holds, show, "A", Some((owner, Standing::Held))).await;
}

async fn a_reservation_runs_out(holds: &Arc<dyn HoldStore>) {
    let show = EventId(Uuid::new_v4());
    assert!(holds.reserve(show, booking(), &seats(&["A"])).await.unwrap().is_empty());
    tokio::time::sleep(RESERVED_FOR + Duration::from_millis(200)).await;
    assert!(holds.reserve(show, booking(), &seats(&["A"])).await.unwrap().is_empty());
}
