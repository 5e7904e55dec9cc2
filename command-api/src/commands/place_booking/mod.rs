//! `placeBooking`: checks, prices and claims places for a buyer.
//!
//! Everything is decided here and now, never after payment: whether the show sells, what may be had by one booking and one
//! person, and the price. The append names the show as it was read, so nobody books a cancelled show, or at yesterday's price.
//! Whether seats and places are free is decided by nothing but the append, which claims them, all or none; who is known to
//! lose is told so before it comes to that.
//!
//! The booking's id follows from the show, the caller's scope and his key; the access token follows from the id. So a retry
//! meets its own booking, and its answer has the same token.

mod reserve;

use std::{collections::BTreeMap, time::Duration};

use chrono::{DateTime, Utc};
use tickiz_contract::{Answer, CallContext, Refusal, Refusals, request};
use tickiz_domain::{
    booking::{Booking, BookingCode, BookingCommand, BookingError, BookingPlaced, Line, PlaceBooking},
    event::{Event, Show},
    ids::{BookingId, EventId, PersonMark, SeatId, TicketTypeId},
    money::Money,
    sealed::Sealed,
    seating_plan::SeatingPlan,
};
use tickiz_event_log::{Loaded, LostClaim, WantedKey};

use super::{ReceiptResult, booking_answer, ticket_issue::issue_tickets};
use crate::{
    executor::{Ask, Carried, Decision, Origin, Reading, RequestKey},
    holds::Reservation,
    ids,
    keys::token_hash,
    occupancy::{PickError, Picked, Wanted},
    refusals::{self, LostByKind, internal},
    scope,
    service::CommandService,
    system::{SystemCommands, show_read},
    validation::booking::{BestSeats, Order, Selection, check_order, select},
};

/// How often other seats are picked when picked ones turn out to be taken. Only other processes, and buyers who choose their
/// seats themselves, can take them in between; each time somebody got them, so that fewer are left to collide with.
const MAX_REPICKS: u32 = 32;
/// How often somebody waits for others' reservations of the seats that he chose, and how long at most each time: about what an
/// append takes, and together less than a reservation lasts.
const MAX_WAITS: u32 = 100;
const WAIT: Duration = Duration::from_millis(20);
/// What a caller is told to wait when it does not become clear which seats are left, in milliseconds.
const BUSY_RETRY_AFTER_MS: u64 = 500;

/// Carries a `placeBooking` out.
pub(crate) async fn place_booking(
    service: &CommandService,
    context: &CallContext,
    request: &request::PlaceBooking,
) -> Result<Answer, Refusals> {
    let order = check_order(request)?;
    let system = service.system();
    let person = system.keys().person_mark(order.event_id, &order.email);
    let scope = scope::of_caller(context).unwrap_or_else(|| scope::of_buyer(order.event_id, &person));
    let booking_id = ids::booking_id(order.event_id, &scope, &order.idempotency_key);
    let key = RequestKey {
        operation: "placeBooking",
        key: order.idempotency_key.clone(),
        request_hash: order.request_hash(&person, |name| system.keys().text_mark(name)),
        scope,
    };
    let permit = service.admit().await?;
    let mut decision = Place::new(system, booking_id, &order, person);
    let carried = system.executor().run(booking_id.0, &Origin::of(context), Some(&key), &mut decision).await?;
    drop(permit);
    let (booking_id, loaded) = match carried {
        Carried::Done(loaded) => {
            decision.keep();
            (booking_id, loaded)
        }
        Carried::Repeated(receipt) => {
            decision.leave_reserved();
            match ReceiptResult::read(&receipt.result)? {
                ReceiptResult::Booking(id) => (id, system.booking(id, Reading::Fresh).await?),
                _ => return Err(internal(&"a receipt of placeBooking names no booking").into()),
            }
        }
    };
    let mut answer = booking_answer(booking_id, &loaded)?;
    answer.access_token = Some(system.keys().access_token(booking_id));
    Ok(Answer::Booking(Box::new(answer)))
}

/// The decision of `placeBooking`.
struct Place<'a> {
    system: &'a SystemCommands,
    booking_id: BookingId,
    order: &'a Order,
    person: PersonMark,
    /// Sealed once, when the show is known to sell; with the data key where he was taken to be new.
    buyer: Option<(Sealed, Option<WantedKey>)>,
    /// The append has found that he is not new.
    is_known: bool,
    code: BookingCode,
    /// The seats that he chose, by their indexes in the plan.
    chosen: Vec<(usize, SeatId)>,
    /// The seats that were found for him.
    picked: Vec<Picked>,
    repicks: u32,
    /// All of them, reserved until the append is acknowledged.
    reservation: Option<Reservation>,
    /// Until when they are held then.
    held_until: DateTime<Utc>,
}

impl<'a> Place<'a> {
    fn new(system: &'a SystemCommands, booking_id: BookingId, order: &'a Order, person: PersonMark) -> Self {
        let code = system.ids().booking_code();
        Self {
            system,
            booking_id,
            order,
            person,
            buyer: None,
            is_known: false,
            code,
            chosen: Vec::new(),
            picked: Vec::new(),
            repicks: 0,
            reservation: None,
            held_until: DateTime::UNIX_EPOCH,
        }
    }

    /// The same request was carried out by somebody else, whose reservation has the same name.
    fn leave_reserved(&mut self) {
        if let Some(reservation) = self.reservation.take() {
            reservation.forget();
        }
    }

    /// The seats are claimed now.
    fn keep(self) {
        if let Some(reservation) = self.reservation {
            reservation.keep(self.held_until);
        }
        if !self.chosen.is_empty() {
            let seats = self.chosen.iter().map(|(index, _)| *index);
            self.system.occupancy().note_taken(self.order.event_id, seats);
        }
        for picked in self.picked {
            picked.keep();
        }
    }

    /// The buyer, sealed with his own key. On the day that counts nearly everybody is new, so a new key comes into being with the
    /// append, and nobody waits for a look and a flush before it; who is not new is decided once more.
    async fn sealed_buyer(&mut self) -> Result<Sealed, Refusals> {
        if let Some((sealed, _)) = &self.buyer {
            return Ok(sealed.clone());
        }
        let sealed = if self.is_known {
            (self.system.seal_buyer(&self.order.email, &self.order.buyer).await?, None)
        } else {
            let (sealed, key) = self.system.seal_new_buyer(&self.order.email, &self.order.buyer)?;
            (sealed, Some(key))
        };
        Ok(self.buyer.insert(sealed).0.clone())
    }

    /// The seats for one wish, handed to nobody else of this process meanwhile.
    async fn pick(
        &mut self,
        wish: BestSeats,
        show: &Show,
        plan: &SeatingPlan,
        except: &[usize],
    ) -> Result<Vec<usize>, Refusals> {
        let Some(ticket_type) = show.ticket_type(wish.ticket_type_id) else {
            return Err(internal(&"a selected ticket type is not the show's").into());
        };
        let wanted = Wanted {
            show: self.order.event_id,
            plan,
            categories: &ticket_type.seat_categories,
            except,
            quantity: wish.quantity,
            // The very best at first; who has collided spreads out.
            spread: if self.repicks == 0 { 0 } else { self.booking_id.0.as_u64_pair().1 | 1 },
        };
        match self.system.occupancy().pick(&wanted).await {
            Ok(picked) => {
                let seats = picked.seats().to_vec();
                self.picked.push(picked);
                Ok(seats)
            }
            Err(PickError::SoldOut { left }) => Err(refusals::sold_out(i64::try_from(left).unwrap_or(0)).into()),
            Err(PickError::Busy) => Err(Refusal::overloaded(BUSY_RETRY_AFTER_MS).into()),
            Err(PickError::Store(error)) => Err(internal(&error).into()),
        }
    }

    /// Refuses what is known to be taken, and found to be so once more. On the worst day that is nearly everybody, and none of
    /// them then costs a data key and an append.
    async fn refuse_losers(&self, plan: Option<&SeatingPlan>, selection: &Selection) -> Result<(), Refusals> {
        let (occupancy, show) = (self.system.occupancy(), self.order.event_id);
        if let Some(plan) = plan.filter(|_| !self.chosen.is_empty()) {
            let taken = occupancy.taken_among(show, plan, &self.chosen).await.map_err(|error| internal(&error))?;
            if !taken.is_empty() {
                return Err(refusals::seats_taken(taken).into());
            }
        }
        let mut wanted = BTreeMap::new();
        for places in &selection.places {
            *wanted.entry(places.quota_id).or_insert(0) += i64::try_from(places.quantity).unwrap_or(i64::MAX);
        }
        match occupancy.too_few_left(show, &wanted).await.map_err(|error| internal(&error))? {
            Some(left) => Err(refusals::sold_out(left).into()),
            None => Ok(()),
        }
    }

    /// The priced lines: chosen seats, found seats, places.
    async fn lines(
        &mut self,
        show: &Show,
        plan: Option<&SeatingPlan>,
        selection: &Selection,
    ) -> Result<Vec<Line>, Refusals> {
        let mut seats: Vec<(usize, TicketTypeId)> =
            selection.seats.iter().map(|seat| (seat.index, seat.ticket_type_id)).collect();
        for wish in &selection.best {
            let Some(plan) = plan else { return Err(internal(&"a type covers seats and the show has no plan").into()) };
            let except: Vec<usize> = seats.iter().map(|(index, _)| *index).collect();
            let found = self.pick(*wish, show, plan, &except).await?;
            seats.extend(found.into_iter().map(|index| (index, wish.ticket_type_id)));
        }
        let ids = self.system.ids();
        let price_of = |id: TicketTypeId| {
            show.ticket_type(id).map(|of| of.price).ok_or_else(|| internal(&"a selected ticket type is not the show's"))
        };
        let mut lines = Vec::new();
        for (index, ticket_type_id) in seats {
            let Some(plan) = plan else { return Err(internal(&"a seat was chosen and the show has no plan").into()) };
            lines.push(Line {
                ticket_id: ids.random(),
                ticket_type_id,
                seat_id: Some(SeatId(plan.seat(index).id.to_owned())),
                seat_label: Some(plan.label(index)),
                quota_id: None,
                price: price_of(ticket_type_id)?,
            });
        }
        for places in &selection.places {
            let price = price_of(places.ticket_type_id)?;
            lines.extend((0..places.quantity).map(|_| Line {
                ticket_id: ids.random(),
                ticket_type_id: places.ticket_type_id,
                seat_id: None,
                seat_label: None,
                quota_id: Some(places.quota_id),
                price,
            }));
        }
        Ok(lines)
    }

    fn ask(
        &self,
        event_id: EventId,
        event: &Loaded<Event>,
        show: &Show,
        lines: Vec<Line>,
        buyer: Sealed,
        now: DateTime<Utc>,
    ) -> Result<Ask<Booking>, Refusals> {
        let total = Money::sum(show.currency, lines.iter().map(|line| line.price)).map_err(|error| internal(&error))?;
        let free_tickets =
            total.is_zero().then(|| issue_tickets(self.system.ids(), self.system.ticket_kid(), show, &lines, now));
        let placed = BookingPlaced {
            event_id,
            organizer_id: show.organizer_id,
            code: self.code.to_string(),
            lines,
            total,
            buyer,
            person: self.person.clone(),
            max_per_person: show.max_per_person,
            locale: self.order.locale.clone(),
            access_token_hash: token_hash(&self.system.keys().access_token(self.booking_id)),
            hold_expires_at: self.held_until,
            release_on_decline: show.release_on_decline,
        };
        Ok(Ask {
            command: BookingCommand::Place(Box::new(PlaceBooking { placed, free_tickets, now })),
            reads: vec![show_read(event_id, event)],
            organizer_id: Some(show.organizer_id),
            show_id: Some(event_id),
            attachments: Vec::new(),
        })
    }
}

impl Decision<Booking> for Place<'_> {
    const IS_NEW: bool = true;

    async fn decide(&mut self, _: &Loaded<Booking>, reading: Reading) -> Result<Ask<Booking>, Refusals> {
        // What an earlier attempt had picked is free for others, and for this one.
        self.picked.clear();
        let event_id = self.order.event_id;
        let event = self.system.event(event_id, reading).await?;
        let show = event.aggregate.0.as_ref().ok_or_else(|| Refusal::not_found("event"))?;
        show.check_on_sale(self.system.now()).map_err(refusals::not_on_sale)?;
        let plan = self.system.plans().of(show).await?;
        let selection = select(self.order, show, plan.as_deref())?;
        self.chosen = selection.seats.iter().map(|seat| (seat.index, seat.seat_id.clone())).collect();
        let lines = loop {
            let lines = self.lines(show, plan.as_deref(), &selection).await?;
            if self.reserve(plan.as_deref(), &lines).await? {
                break lines;
            }
            self.picked.clear();
        };
        self.refuse_losers(plan.as_deref(), &selection).await?;
        let buyer = self.sealed_buyer().await?;
        let now = self.system.now();
        self.held_until = now + chrono::TimeDelta::seconds(i64::from(show.hold_seconds));
        self.ask(event_id, &event, show, lines, buyer, now)
    }

    fn refused(&self, error: &BookingError) -> Refusals {
        refusals::booking(error).into()
    }

    fn lost(&mut self, lost: Vec<LostClaim>) -> Result<(), Refusals> {
        let mut lost = LostByKind::of(lost);
        if lost.code {
            self.code = self.system.ids().booking_code();
        }
        // Seats that were found for the buyer are not his choice: others are found, and he never hears of these.
        let found = lost.seats.len();
        lost.seats.retain(|seat| self.order.seats.iter().any(|wish| wish.seat_id == *seat));
        let found = found - lost.seats.len();
        if !lost.seats.is_empty() {
            let taken = self.chosen.iter().filter(|(_, seat)| lost.seats.contains(seat)).map(|(index, _)| *index);
            self.system.occupancy().note_taken(self.order.event_id, taken);
        }
        if !lost.quotas.is_empty() {
            self.system.occupancy().note_exhausted(self.order.event_id, lost.quotas.iter().copied());
        }
        if let Some(refusal) = lost.refusal() {
            return Err(refusal);
        }
        if found > 0 {
            self.repicks += 1;
            self.system.occupancy().distrust(self.order.event_id);
        }
        if self.repicks > MAX_REPICKS { Err(Refusal::overloaded(BUSY_RETRY_AFTER_MS).into()) } else { Ok(()) }
    }

    fn new_person(&self) -> Option<WantedKey> {
        self.buyer.as_ref().and_then(|(_, key)| key.clone())
    }

    fn person_is_known(&mut self) {
        self.is_known = true;
        self.buyer = None;
    }

    fn result(&self, _: &Booking) -> Vec<u8> {
        ReceiptResult::Booking(self.booking_id).to_json()
    }
}
