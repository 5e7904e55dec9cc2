//! What the domain and the log refuse, in the words of the contract: one documented code, a message for a person, and the path
//! where input is at fault.

use std::fmt::Display;

use tickiz_contract::{ErrorCode, PathSegment, Refusal, Refusals};
use tickiz_domain::{
    booking::BookingError,
    claim::Resource,
    event::{EventError, sale::NotOnSale},
    ids::{QuotaId, SeatId},
};
use tickiz_event_log::{LostClaim, LostReason};

/// How many seats a message names; the rest are in the refusal's list.
const SEATS_IN_MESSAGE: usize = 10;

/// A fault of ours: logged here, once, and told to the caller without its inside.
#[must_use]
pub fn internal(inside: &dyn Display) -> Refusal {
    tracing::error!(error = %inside, "a command failed by a fault of ours");
    Refusal::internal()
}

/// The path of a field of the command's input: behind `input` or, where the mutation has none, by the argument's own name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InputRoot {
    /// `["input", …]`.
    Input,
    /// `[…]`.
    Arguments,
    /// The command has no such field: what is wrong is the state.
    None,
}

impl InputRoot {
    fn refusal(self, error: &EventError, deeper: Vec<PathSegment>) -> Refusal {
        match self {
            Self::Input => {
                Refusal::invalid([PathSegment::from("input")].into_iter().chain(deeper).collect(), error.to_string())
            }
            Self::Arguments => Refusal::invalid(deeper, error.to_string()),
            Self::None => Refusal::new(ErrorCode::Conflict, error.to_string()),
        }
    }
}

/// What an Event refused.
#[must_use]
pub fn event(error: &EventError, root: InputRoot) -> Refusal {
    use EventError as E;
    let conflict = || Refusal::new(ErrorCode::Conflict, error.to_string());
    let field = |name: &str| root.refusal(error, vec![name.into()]);
    let of_type = |index: usize, rest: &[PathSegment]| {
        let start = [PathSegment::from("ticketTypes"), index.into()];
        root.refusal(error, start.into_iter().chain(rest.iter().cloned()).collect())
    };
    match error {
        E::NotFound => Refusal::not_found("event"),
        E::AlreadyExists | E::NotPublished | E::Cancelled | E::Completed => conflict(),
        E::StartsInPast { .. } => field("startsAt"),
        E::EndsBeforeStart { .. } | E::EndWithoutStart => field("endsAt"),
        E::SaleEndsBeforeStart { .. } => field("salesEnd"),
        E::SaleStartsAfterShow { .. } => field("salesStart"),
        E::HoldSeconds => field("holdSeconds"),
        E::MaxPerPerson => field("maxPerPerson"),
        E::NoTicketTypes => field("ticketTypes"),
        E::NoPlaces { index } | E::Capacity { index } | E::CapacityOfSeats { index } | E::SharedCapacity { index } => {
            of_type(*index, &["capacity".into()])
        }
        E::SeatsAndQuota { index } => of_type(*index, &["seatCategories".into()]),
        E::UnknownCategory { index, category_index, .. } | E::CategoryTwice { index, category_index, .. } => {
            of_type(*index, &["seatCategories".into(), (*category_index).into()])
        }
        E::PriceCurrency { index, .. } => of_type(*index, &["price".into(), "currency".into()]),
        E::MaxPerBooking { index } => of_type(*index, &["maxPerBooking".into()]),
        E::UnknownTicketType { index, .. } | E::TicketTypeTwice { index, .. } => {
            of_type(*index, &["ticketTypeId".into()])
        }
        E::NoSeatingPlan | E::UnknownSeats(_) => field("seatIds"),
        E::Malformed(_) => internal(error),
    }
}

/// The same at a field that the request has: where two times contradict each other and the one that the Event names was not
/// given but stays, the one that was given is at fault.
#[must_use]
pub fn at_given(mut refusal: Refusal, is_given: impl Fn(&str) -> bool) -> Refusal {
    const TIMES: [&str; 4] = ["startsAt", "endsAt", "salesStart", "salesEnd"];
    if let Some(PathSegment::Key(field)) = refusal.path.as_mut().and_then(|path| path.last_mut())
        && TIMES.contains(&field.as_str())
        && !is_given(field)
        && let Some(given) = TIMES.into_iter().find(|time| is_given(time))
    {
        given.clone_into(field);
    }
    refusal
}

/// Why a show sells nothing now. A draft reads as not there.
#[must_use]
pub fn not_on_sale(reason: NotOnSale) -> Refusal {
    match reason {
        NotOnSale::Draft => Refusal::not_found("event"),
        _ => Refusal::new(ErrorCode::Conflict, reason.to_string()),
    }
}

/// What a booking refused.
#[must_use]
pub fn booking(error: &BookingError) -> Refusal {
    use BookingError as E;
    let code = match error {
        E::NotFound => return Refusal::not_found("booking"),
        E::UnknownPayment(_) => return Refusal::not_found("payment"),
        E::UnknownRefund(_) => return Refusal::not_found("refund"),
        E::HoldExpired { .. } => ErrorCode::HoldExpired,
        E::AlreadyCancelled | E::AlreadyPaid | E::NotPaid | E::ShowStarted | E::ShowClosed => ErrorCode::Conflict,
        E::RefundTooMuch { .. } => ErrorCode::Conflict,
        E::RefundCurrency(_) => {
            let path = vec!["input".into(), "amount".into(), "currency".into()];
            return Refusal::invalid(path, error.to_string());
        }
        E::TicketRevoked | E::TicketSuperseded | E::AlreadyAdmitted { .. } => ErrorCode::Conflict,
        E::ScanReused => {
            let path = vec!["input".into(), "scanId".into()];
            return Refusal::new(ErrorCode::IdempotencyKeyReused, error.to_string()).at(path);
        }
        E::UnknownTicket => return Refusal::not_found("ticket"),
        E::TooManyPayments | E::TooManyScans | E::TooManyReissues | E::TooManyRefunds => ErrorCode::LimitExceeded,
        E::AlreadyPlaced | E::SeatTwice(_) | E::RefundExceedsReceived(_) | E::Malformed(_) => return internal(error),
    };
    Refusal::new(code, error.to_string())
}

/// Seats that somebody has, or that are blocked.
#[must_use]
pub fn seats_taken(seats: Vec<SeatId>) -> Refusal {
    let named = seats.iter().take(SEATS_IN_MESSAGE).map(SeatId::as_str).collect::<Vec<_>>().join(", ");
    let more = seats.len().saturating_sub(SEATS_IN_MESSAGE);
    let more = if more == 0 { String::new() } else { format!(" and {more} more") };
    let message = format!("not free any more: {named}{more}; choose other seats");
    let mut refusal = Refusal::new(ErrorCode::SeatTaken, message);
    refusal.seat_ids = seats.into_iter().map(|seat| seat.0).collect();
    refusal
}

/// Nothing, or not enough, is left.
#[must_use]
pub fn sold_out(left: i64) -> Refusal {
    let message = match left {
        ..=0 => "sold out".to_owned(),
        1 => "only one is left".to_owned(),
        left => format!("only {left} are left"),
    };
    Refusal::new(ErrorCode::SoldOut, message)
}

/// The lost claims of a booking, by what they are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LostByKind {
    /// Seats that somebody has.
    pub seats: Vec<SeatId>,
    /// Quotas that have too little.
    pub quotas: Vec<QuotaId>,
    /// What is left of them, the least where it is several.
    pub places_left: Option<i64>,
    /// What is left of the person's limit.
    pub person_left: Option<i64>,
    /// The code is another booking's; another one may be drawn.
    pub code: bool,
    /// A slug or an Event's number is another's; another one may be drawn.
    pub name: bool,
}

impl LostByKind {
    /// Sorts them.
    #[must_use]
    pub fn of(lost: Vec<LostClaim>) -> Self {
        let mut by_kind = Self::default();
        for LostClaim { resource, reason } in lost {
            let left = match reason {
                LostReason::Exhausted { used, limit } => limit - used,
                LostReason::Taken { .. } | LostReason::NotHeld => 0,
            };
            match resource {
                Resource::Seat(_, seat) => by_kind.seats.push(seat),
                Resource::Quota(_, quota) => {
                    by_kind.quotas.push(quota);
                    by_kind.places_left = Some(by_kind.places_left.map_or(left, |least| least.min(left)))
                }
                Resource::Person(..) => by_kind.person_left = Some(left),
                // A number that was drawn twice is drawn anew, as a code is.
                Resource::BookingCode(_) | Resource::Ticket(..) => by_kind.code = true,
                Resource::Slug(_) | Resource::EventNumber(_) => by_kind.name = true,
            }
        }
        by_kind
    }

    /// Why the places cannot be had; `None` where only names were lost, which can be drawn anew. What no other choice of seats
    /// would help against comes first.
    #[must_use]
    pub fn refusal(&self) -> Option<Refusals> {
        if let Some(left) = self.person_left {
            let message = format!("the limit of tickets per person is reached: {} more can be had", left.max(0));
            return Some(Refusal::new(ErrorCode::LimitExceeded, message).into());
        }
        if !self.seats.is_empty() {
            return Some(seats_taken(self.seats.clone()).into());
        }
        self.places_left.map(|left| sold_out(left).into())
    }
}

#[cfg(test)]
mod tests {
    use tickiz_domain::ids::{EventId, PersonMark};
    use uuid::Uuid;

    use super::*;

    fn lost(resource: Resource, reason: LostReason) -> LostClaim {
        LostClaim { resource, reason }
    }

    #[test]
    fn a_lost_claim_is_told_by_what_helps_least_first() {
        let show = EventId(Uuid::nil());
        let taken = || LostReason::Taken { holder: "booking/x".to_owned() };
        let seat = |id: &str| lost(Resource::Seat(show, SeatId(id.to_owned())), taken());
        let quota =
            |used, limit| lost(Resource::Quota(show, QuotaId(Uuid::nil())), LostReason::Exhausted { used, limit });
        let person =
            lost(Resource::Person(show, PersonMark("m".to_owned())), LostReason::Exhausted { used: 3, limit: 4 });
        let code = |claims: Vec<LostClaim>| LostByKind::of(claims).refusal().map(|refusals| refusals.0[0].clone());

        let seats = code(vec![quota(9, 9), seat("b"), seat("a")]).unwrap();
        assert_eq!((seats.code, seats.seat_ids), (ErrorCode::SeatTaken, vec!["b".to_owned(), "a".to_owned()]));
        let sold_out = code(vec![quota(9, 10), quota(8, 10)]).unwrap();
        assert_eq!((sold_out.code, sold_out.message.as_str()), (ErrorCode::SoldOut, "only one is left"));
        assert_eq!(code(vec![seat("a"), person]).unwrap().code, ErrorCode::LimitExceeded);
        assert_eq!(code(vec![lost(Resource::BookingCode("K".to_owned()), taken())]), None);
    }

    #[test]
    fn a_fault_of_an_event_has_the_path_of_its_field_where_there_is_one() {
        let path = |error: &EventError, root| event(error, root).path;
        let past = EventError::StartsInPast { starts_at: chrono::DateTime::UNIX_EPOCH };
        assert_eq!(path(&past, InputRoot::Input), Some(vec!["input".into(), "startsAt".into()]));
        assert_eq!(path(&past, InputRoot::Arguments), Some(vec!["startsAt".into()]));
        let publish = event(&past, InputRoot::None);
        assert_eq!((publish.code, publish.path), (ErrorCode::Conflict, None));
        let capacity = EventError::Capacity { index: 2 };
        let wanted = vec!["input".into(), "ticketTypes".into(), 2.into(), "capacity".into()];
        assert_eq!(path(&capacity, InputRoot::Input), Some(wanted));
        assert_eq!(event(&EventError::Cancelled, InputRoot::Input).code, ErrorCode::Conflict);
    }
}
