//! `placeBooking`, `payBooking`, `cancelBooking`.
//!
//! What a buyer wants is read in two steps. The first needs nothing but the request ([`Order`]); the second needs the show and its
//! plan and says of each ticket which type it is and where it comes from ([`Selection`]): a seat that he chose, a place of a
//! quota, or a seat that is found for him.

use std::collections::BTreeMap;

use serde::Serialize;
use sha2::{Digest, Sha256};
use tickiz_contract::{
    ErrorCode, Refusals,
    request::{AccessToken, BuyerInput, CancelBooking, PayBooking, PlaceBooking, SeatSelection, TicketSelection},
};
use tickiz_domain::{
    booking::PaymentMethod,
    event::{Show, TicketType},
    ids::{BookingId, EventId, PersonMark, QuotaId, SeatId, TicketTypeId},
    sealed::Buyer,
    seating_plan::SeatingPlan,
    text::{NormalizedEmail, normalize_email},
};

use super::{
    Faults,
    fields::{access_token, id, key, line, locale, optional, seat_id, text, url},
    limits::{MAX_BUYER_NAME_CHARS, MAX_REASON_CHARS, MAX_TICKETS_PER_BOOKING},
};

/// A seat that the buyer chose.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SeatWish {
    /// The seat.
    pub seat_id: SeatId,
    /// Its type, where he named one.
    pub ticket_type_id: Option<TicketTypeId>,
}

/// So many tickets of a type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct TicketWish {
    /// The type.
    pub ticket_type_id: TicketTypeId,
    /// How many.
    pub quantity: usize,
    /// Its index in the request, for the paths of faults.
    #[serde(skip)]
    pub at: usize,
}

/// A `placeBooking` after its first step.
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "core.graphql says it")]
pub struct Order {
    pub event_id: EventId,
    pub seats: Vec<SeatWish>,
    /// Each type once.
    pub tickets: Vec<TicketWish>,
    pub buyer: Buyer,
    /// The buyer's address as it is compared.
    pub email: NormalizedEmail,
    pub locale: Option<String>,
    pub idempotency_key: String,
}

impl Order {
    /// SHA-256 of everything that a repetition is compared by. The buyer is in it by his mark and his name by the mark of a secret,
    /// so that the hash of a request does not help anybody to guess either.
    #[must_use]
    pub fn request_hash(&self, person: &PersonMark, mark: impl FnOnce(&str) -> String) -> [u8; 32] {
        #[derive(Serialize)]
        struct Compared<'a> {
            event_id: EventId,
            seats: &'a [SeatWish],
            tickets: &'a [TicketWish],
            person: &'a PersonMark,
            name: String,
            locale: Option<&'a str>,
        }
        let compared = Compared {
            event_id: self.event_id,
            seats: &self.seats,
            tickets: &self.tickets,
            person,
            name: mark(&self.buyer.name),
            locale: self.locale.as_deref(),
        };
        let compared = serde_json::to_vec(&compared).expect("ids, texts and numbers are JSON");
        Sha256::digest(compared).into()
    }
}

/// Reads a `placeBooking`.
///
/// # Errors
/// Every fault with its path.
pub fn check_order(request: &PlaceBooking) -> Result<Order, Refusals> {
    let mut faults = Faults::default();
    let order = faults.within("input", |faults| order_in(faults, request));
    faults.finish(order)
}

fn order_in(faults: &mut Faults, request: &PlaceBooking) -> Option<Order> {
    let event_id = id(faults, "eventId", &request.event_id);
    if request.seats.is_empty() && request.tickets.is_empty() {
        faults.report_here("nothing is selected: give seats, tickets or both");
    }
    let seats = faults.within("seats", |faults| seats(faults, &request.seats));
    let tickets = faults.within("tickets", |faults| tickets(faults, &request.tickets));
    let wanted = seats.as_ref().map_or(0, Vec::len)
        + tickets.as_ref().map_or(0, |tickets| tickets.iter().map(|wish| wish.quantity).sum());
    if wanted > MAX_TICKETS_PER_BOOKING {
        let message = format!("a booking has at most {MAX_TICKETS_PER_BOOKING} tickets, not {wanted}");
        faults.refuse_here(ErrorCode::LimitExceeded, message, &[]);
    }
    let buyer = faults.within("buyer", |faults| buyer(faults, &request.buyer));
    let locale = optional(request.locale.as_deref(), |given| locale(faults, "locale", given));
    let idempotency_key = key(faults, "idempotencyKey", &request.idempotency_key);
    let (buyer, email) = buyer?;
    Some(Order {
        event_id: event_id?,
        seats: seats?,
        tickets: tickets?,
        buyer,
        email,
        locale: locale?,
        idempotency_key: idempotency_key?,
    })
}

fn seats(faults: &mut Faults, given: &[SeatSelection]) -> Option<Vec<SeatWish>> {
    if given.len() > MAX_TICKETS_PER_BOOKING {
        let message = format!("a booking has at most {MAX_TICKETS_PER_BOOKING} tickets, not {}", given.len());
        faults.refuse_here(ErrorCode::LimitExceeded, message, &[]);
        return None;
    }
    let mut wishes: Vec<SeatWish> = Vec::with_capacity(given.len());
    for (at, selection) in given.iter().enumerate() {
        let wish = faults.within(at, |faults| {
            let seat = seat_id(faults, "seatId", &selection.seat_id);
            let ticket_type_id =
                optional(selection.ticket_type_id.as_deref(), |given| id(faults, "ticketTypeId", given));
            if given[..at].iter().any(|before| before.seat_id == selection.seat_id) {
                faults.report("seatId", "the seat is there already");
            }
            Some(SeatWish { seat_id: seat?, ticket_type_id: ticket_type_id? })
        });
        wishes.extend(wish);
    }
    Some(wishes)
}

fn tickets(faults: &mut Faults, given: &[TicketSelection]) -> Option<Vec<TicketWish>> {
    if given.len() > MAX_TICKETS_PER_BOOKING {
        let message = format!("a booking has at most {MAX_TICKETS_PER_BOOKING} tickets, not {}", given.len());
        faults.refuse_here(ErrorCode::LimitExceeded, message, &[]);
        return None;
    }
    let mut wishes: Vec<TicketWish> = Vec::with_capacity(given.len());
    for (at, selection) in given.iter().enumerate() {
        faults.within(at, |faults| {
            let ticket_type_id = id(faults, "ticketTypeId", &selection.ticket_type_id);
            let quantity = quantity(faults, selection.quantity);
            let Some((ticket_type_id, quantity)) = ticket_type_id.zip(quantity) else { return };
            // The same type again is more of it.
            match wishes.iter_mut().find(|wish| wish.ticket_type_id == ticket_type_id) {
                Some(wish) => wish.quantity += quantity,
                None => wishes.push(TicketWish { ticket_type_id, quantity, at }),
            }
        });
    }
    Some(wishes)
}

fn quantity(faults: &mut Faults, given: i64) -> Option<usize> {
    if given < 1 {
        faults.report("quantity", format!("{given} is not allowed: it must be at least 1"));
        return None;
    }
    let quantity = usize::try_from(given).ok().filter(|quantity| *quantity <= MAX_TICKETS_PER_BOOKING);
    if quantity.is_none() {
        let message = format!("a booking has at most {MAX_TICKETS_PER_BOOKING} tickets, not {given}");
        faults.refuse("quantity", ErrorCode::LimitExceeded, message);
    }
    quantity
}

fn buyer(faults: &mut Faults, given: &BuyerInput) -> Option<(Buyer, NormalizedEmail)> {
    let name = line(faults, "name", &given.name, MAX_BUYER_NAME_CHARS);
    let normalized = faults.take("email", normalize_email(&given.email));
    // Mail goes to the address as it was given; only the blanks that the check ignores are taken off.
    let email = given.email.trim_matches([' ', '\t']).to_owned();
    name.zip(normalized).map(|(name, normalized)| (Buyer { name, email }, normalized))
}

/// A checked `payBooking`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "core.graphql says it")]
pub struct Pay {
    pub booking_id: BookingId,
    pub method: PaymentMethod,
    pub return_url: Option<String>,
    pub access_token: Option<AccessToken>,
    pub idempotency_key: String,
}

impl Pay {
    /// SHA-256 of everything that a repetition is compared by; the access token is not part of it, and of the way back only a mark,
    /// since it can say who the buyer is.
    #[must_use]
    pub fn request_hash(&self, mark: impl FnOnce(&str) -> String) -> [u8; 32] {
        let compared = serde_json::to_vec(&(self.booking_id, self.method, self.return_url.as_deref().map(mark)));
        Sha256::digest(compared.expect("ids and texts are JSON")).into()
    }
}

/// Reads a `payBooking`.
///
/// # Errors
/// Every fault with its path.
pub fn check_pay(request: PayBooking) -> Result<Pay, Refusals> {
    let mut faults = Faults::default();
    let pay = faults.within("input", |faults| {
        let booking_id = id(faults, "bookingId", &request.booking_id);
        let return_url = optional(request.return_url.as_deref(), |given| url(faults, "returnUrl", given));
        let access_token = optional(request.access_token, |given| access_token(faults, "accessToken", given));
        let idempotency_key = key(faults, "idempotencyKey", &request.idempotency_key);
        Some(Pay {
            booking_id: booking_id?,
            method: request.method,
            return_url: return_url?,
            access_token: access_token?,
            idempotency_key: idempotency_key?,
        })
    });
    faults.finish(pay)
}

/// A checked `cancelBooking`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "core.graphql says it")]
pub struct Cancel {
    pub booking_id: BookingId,
    pub reason: Option<String>,
    pub access_token: Option<AccessToken>,
    pub idempotency_key: String,
}

impl Cancel {
    /// SHA-256 of everything that a repetition is compared by; the access token is not part of it, and the reason only by the
    /// mark of `secret`, since people write names there and texts can be guessed.
    #[must_use]
    pub fn request_hash(&self, mark: impl FnOnce(&str) -> String) -> [u8; 32] {
        let compared = serde_json::to_vec(&(self.booking_id, self.reason.as_deref().map(mark)));
        Sha256::digest(compared.expect("ids and texts are JSON")).into()
    }
}

/// Reads a `cancelBooking`.
///
/// # Errors
/// Every fault with its path.
pub fn check_cancel(request: CancelBooking) -> Result<Cancel, Refusals> {
    let mut faults = Faults::default();
    let cancel = faults.within("input", |faults| {
        let booking_id = id(faults, "bookingId", &request.booking_id);
        let reason = optional(request.reason.as_deref(), |given| text(faults, "reason", given, MAX_REASON_CHARS));
        let access_token = optional(request.access_token, |given| access_token(faults, "accessToken", given));
        let idempotency_key = key(faults, "idempotencyKey", &request.idempotency_key);
        Some(Cancel {
            booking_id: booking_id?,
            reason: reason?.filter(|reason| !reason.is_empty()),
            access_token: access_token?,
            idempotency_key: idempotency_key?,
        })
    });
    faults.finish(cancel)
}

/// A seat that was chosen, with its type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChosenSeat {
    /// The seat.
    pub seat_id: SeatId,
    /// Its index in the plan.
    pub index: usize,
    /// Its type.
    pub ticket_type_id: TicketTypeId,
}

/// Places of a quota.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChosenPlaces {
    /// The type.
    pub ticket_type_id: TicketTypeId,
    /// The quota that it draws on.
    pub quota_id: QuotaId,
    /// How many.
    pub quantity: usize,
}

/// The best seats of a type, to be found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BestSeats {
    /// The type.
    pub ticket_type_id: TicketTypeId,
    /// How many, together where possible.
    pub quantity: usize,
    /// The wish's index in the request, for the paths of faults.
    pub at: usize,
}

/// What an order asks of its show.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// Seats by their ids.
    pub seats: Vec<ChosenSeat>,
    /// Places without seats.
    pub places: Vec<ChosenPlaces>,
    /// Seats that are to be found.
    pub best: Vec<BestSeats>,
}

/// Second step of `placeBooking`: what the order asks of its show.
///
/// # Errors
/// Every fault with its path: a seat or type that the show has not, a type that does not cover the seat, a seat that several
/// types cover and none was named, `LIMIT_EXCEEDED` where a type or the show allows fewer.
pub fn select(order: &Order, show: &Show, plan: Option<&SeatingPlan>) -> Result<Selection, Refusals> {
    let mut faults = Faults::default();
    let selection = faults.within("input", |faults| {
        let mut selection = Selection::default();
        faults.within("seats", |faults| {
            for (at, wish) in order.seats.iter().enumerate() {
                selection.seats.extend(faults.within(at, |faults| choose_seat(faults, wish, show, plan)));
            }
        });
        faults.within("tickets", |faults| {
            for wish in &order.tickets {
                faults.within(wish.at, |faults| choose_tickets(faults, wish, show, &mut selection));
            }
        });
        check_limits(faults, order, show, &selection);
        selection
    });
    faults.finish(Some(selection))
}

fn choose_seat(faults: &mut Faults, wish: &SeatWish, show: &Show, plan: Option<&SeatingPlan>) -> Option<ChosenSeat> {
    let found =
        plan.and_then(|plan| plan.seat_index(wish.seat_id.as_str()).map(|index| (index, plan.category_of(index))));
    let Some((index, category)) = found else {
        faults.report("seatId", "the show has no such seat");
        return None;
    };
    let mut covering = show.types_covering(category);
    let ticket_type_id = if let Some(named) = wish.ticket_type_id {
        let Some(ticket_type) = show.ticket_type(named) else {
            faults.report("ticketTypeId", "the show has no such ticket type");
            return None;
        };
        if !covering.any(|covers| covers.id == named) {
            faults.report(
                "ticketTypeId",
                format!("{:?} does not cover seats of the category {category:?}", ticket_type.name),
            );
            return None;
        }
        named
    } else {
        let Some(first) = covering.next() else {
            faults.report("seatId", format!("no ticket type covers seats of the category {category:?}"));
            return None;
        };
        if let Some(second) = covering.next() {
            let message = format!("say which: {:?}, {:?} or another type covers this seat", first.name, second.name);
            faults.report("ticketTypeId", message);
            return None;
        }
        first.id
    };
    Some(ChosenSeat { seat_id: wish.seat_id.clone(), index, ticket_type_id })
}

fn choose_tickets(faults: &mut Faults, wish: &TicketWish, show: &Show, selection: &mut Selection) {
    let TicketWish { ticket_type_id, quantity, at } = *wish;
    match show.ticket_type(ticket_type_id) {
        None => faults.report("ticketTypeId", "the show has no such ticket type"),
        Some(TicketType { quota_id: Some(quota_id), .. }) => {
            selection.places.push(ChosenPlaces { ticket_type_id, quota_id: *quota_id, quantity });
        }
        Some(_) => selection.best.push(BestSeats { ticket_type_id, quantity, at }),
    }
}

/// Per booking and, as far as one booking alone can exceed it, per person; all bookings together are counted by a claim.
fn check_limits(faults: &mut Faults, order: &Order, show: &Show, selection: &Selection) {
    let mut wanted: BTreeMap<TicketTypeId, usize> = BTreeMap::new();
    for seat in &selection.seats {
        *wanted.entry(seat.ticket_type_id).or_default() += 1;
    }
    for wish in &order.tickets {
        *wanted.entry(wish.ticket_type_id).or_default() += wish.quantity;
    }
    for (id, count) in &wanted {
        let Some(ticket_type) = show.ticket_type(*id) else { continue };
        if i64::try_from(*count).is_ok_and(|count| count > i64::from(ticket_type.max_per_booking)) {
            let message = format!(
                "one booking may have at most {} tickets of {:?}, not {count}",
                ticket_type.max_per_booking, ticket_type.name
            );
            match order.tickets.iter().find(|wish| wish.ticket_type_id == *id) {
                Some(wish) => faults.within("tickets", |faults| {
                    faults.within(wish.at, |faults| faults.refuse("quantity", ErrorCode::LimitExceeded, message));
                }),
                None => faults.refuse("seats", ErrorCode::LimitExceeded, message),
            }
        }
    }
    let all: usize = wanted.values().sum();
    if let Some(max) = show.max_per_person
        && i64::try_from(all).is_ok_and(|all| all > i64::from(max))
    {
        let message = format!("one person may have at most {max} tickets of this show, not {all}");
        faults.refuse_here(ErrorCode::LimitExceeded, message, &[]);
    }
}
