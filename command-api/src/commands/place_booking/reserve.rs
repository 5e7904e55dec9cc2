//! Seats reserved in the store of holds before the append, so that the many losers need none.

use tickiz_contract::{Refusal, Refusals};
use tickiz_domain::{booking::Line, ids::SeatId, seating_plan::SeatingPlan};

use super::{BUSY_RETRY_AFTER_MS, MAX_REPICKS, MAX_WAITS, Place, WAIT};
use crate::{
    holds::{Conflict, Note, Reservation, Standing},
    refusals::{self, internal},
};

impl Place<'_> {
    /// Reserves the lines' seats until the append is acknowledged. False: a seat that was found for the buyer is somebody
    /// else's, and other lines are needed.
    ///
    /// Nobody is refused for somebody else's reservation, which may come to nothing: who chose such a seat waits until it has
    /// become a hold, or is free.
    pub(super) async fn reserve(&mut self, plan: Option<&SeatingPlan>, lines: &[Line]) -> Result<bool, Refusals> {
        let Some(plan) = plan else { return Ok(true) };
        let seats: Vec<SeatId> = lines.iter().filter_map(|line| line.seat_id.clone()).collect();
        let show = self.order.event_id;
        for _ in 0..MAX_WAITS {
            let reserved = match self.reservation.take() {
                Some(before) => before.exchange(seats.clone()).await,
                None => Reservation::take(self.system.holds(), show, self.booking_id, seats.clone()).await,
            };
            let conflicts = match reserved {
                Ok(reservation) => {
                    self.reservation = Some(reservation);
                    return Ok(true);
                }
                Err(conflicts) => conflicts,
            };
            let (taken, pending) = self.outcome_of(plan, &seats, &conflicts).await?;
            let is_chosen = |seat: &usize| self.chosen.iter().any(|(index, _)| index == seat);
            let chosen: Vec<SeatId> =
                self.chosen.iter().filter(|(index, _)| taken.contains(index)).map(|(_, seat)| seat.clone()).collect();
            if !chosen.is_empty() {
                return Err(refusals::seats_taken(chosen).into());
            }
            let found: Vec<usize> = taken.iter().chain(&pending).copied().filter(|seat| !is_chosen(seat)).collect();
            if !found.is_empty() {
                return self.pick_again(found).await.map(|()| false);
            }
            if pending.is_empty() {
                // Nothing but forgotten holds.
                break;
            }
            tokio::time::sleep(self.system.ids().jitter(WAIT)).await;
        }
        // Without a reservation: the append decides.
        Ok(true)
    }

    /// These seats, which were found for the buyer, are somebody else's or about to be.
    async fn pick_again(&mut self, found: Vec<usize>) -> Result<(), Refusals> {
        self.system.occupancy().note_taken(self.order.event_id, found);
        self.repicks += 1;
        if self.repicks > MAX_REPICKS {
            return Err(Refusal::overloaded(BUSY_RETRY_AFTER_MS).into());
        }
        if self.repicks > 1 {
            tokio::time::sleep(self.system.ids().jitter(WAIT)).await;
        }
        Ok(())
    }

    /// Of the seats that are said to be somebody else's, those that are, by their claims, and those that may become so. What
    /// others have forgotten to give back is given back.
    async fn outcome_of(
        &self,
        plan: &SeatingPlan,
        seats: &[SeatId],
        conflicts: &[Conflict],
    ) -> Result<(Vec<usize>, Vec<usize>), Refusals> {
        let index_of = |conflict: &Conflict| plan.seat_index(seats.get(conflict.index)?.as_str());
        let of = |standing| conflicts.iter().filter(move |conflict| conflict.standing == standing);
        let pending = of(Standing::Reserved).filter_map(index_of).collect();
        let held: Vec<usize> = of(Standing::Held).filter_map(index_of).collect();
        if held.is_empty() {
            return Ok((held, pending));
        }
        let show = self.order.event_id;
        let taken = self.system.occupancy().confirm_taken(show, plan, &held).await;
        let taken = taken.map_err(|error| internal(&error))?;
        let forgotten = of(Standing::Held).filter(|c| index_of(c).is_some_and(|index| !taken.contains(&index)));
        for conflict in forgotten {
            let seats = vec![seats[conflict.index].clone()];
            self.system.holds().tell(Note::Release { show, booking: conflict.holder, seats });
        }
        Ok((taken, pending))
    }
}
