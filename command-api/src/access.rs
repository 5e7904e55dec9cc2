//! Who may do what on the write side: the one policy, in one place.
//!
//! | command | who |
//! |---|---|
//! | `createEvent` | an organiser, for himself |
//! | `publishEvent`, `updateEvent`, `postponeEvent`, `cancelEvent`, `blockSeats` | the organiser whose Event it is |
//! | `checkIn`, `mergeScans` | the organiser whose Event it is, and his gates |
//! | `placeBooking` | everybody |
//! | `payBooking` | who has the booking's access token |
//! | `refundBooking` | the organiser whose Event it is |
//! | `cancelBooking`, `reissueTickets` | who has the booking's access token; the organiser whose Event it is |
//!
//! What is not the caller's reads as not there. A role that is missing is `UNAUTHENTICATED`, a known one that is the wrong one
//! `FORBIDDEN`; both are said before anything is loaded, so that they tell nothing about what exists. A wrong access token is
//! answered as an unknown booking, whoever brings it.

use tickiz_contract::{CallContext, Caller, ErrorCode, Refusal, request::AccessToken};
use tickiz_domain::{booking::Purchase, event::Show, ids::OrganizerId};

use crate::keys::is_token;

/// What a gate's token is refused with wherever it is no gate's matter, also beside a booking's access token.
const GATE_ONLY: &str = "a gate lets people in and does nothing else";

/// On whose behalf a booking is changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Party {
    /// The buyer, by the access token.
    Buyer,
    /// The organiser whose Event it is.
    Organizer(OrganizerId),
}

/// The organiser that the caller works for.
///
/// # Errors
/// `UNAUTHENTICATED` without a bearer token, `FORBIDDEN` for another role.
pub fn organizer(context: &CallContext) -> Result<OrganizerId, Refusal> {
    match &context.caller {
        Caller::Organizer { organizer_id } => Ok(*organizer_id),
        Caller::Anonymous => Err(Refusal::new(
            ErrorCode::Unauthenticated,
            "this needs an organiser's bearer token in the Authorization header",
        )),
        Caller::Gate { .. } => Err(forbidden(GATE_ONLY)),
        Caller::Auditor => Err(forbidden("this is for organisers; an auditor reads and changes nothing")),
    }
}

/// The organiser at whose doors the caller stands: himself, or a gate of his.
///
/// # Errors
/// As [`organizer`].
pub fn door(context: &CallContext) -> Result<OrganizerId, Refusal> {
    match &context.caller {
        Caller::Gate { organizer_id } => Ok(*organizer_id),
        _ => organizer(context),
    }
}

/// That the organiser may make an Event for the one who is named, if one is.
///
/// # Errors
/// `FORBIDDEN` for another organiser, whether there is one of that id or not.
pub fn own_organizer(caller: OrganizerId, named: Option<OrganizerId>) -> Result<OrganizerId, Refusal> {
    if named.is_some_and(|named| named != caller) {
        let refusal = forbidden("you can only make Events of your own organiser; leave organizerId out");
        return Err(refusal.at(vec!["input".into(), "organizerId".into()]));
    }
    Ok(caller)
}

/// The show, if it is there and the organiser's.
///
/// # Errors
/// `NOT_FOUND`.
pub fn own_show(organizer: OrganizerId, show: Option<&Show>) -> Result<&Show, Refusal> {
    show.filter(|show| show.organizer_id == organizer).ok_or_else(|| Refusal::not_found("event"))
}

/// What can be said of `payBooking` before the booking is loaded.
///
/// # Errors
/// `FORBIDDEN` for a role that pays no bookings, unless a token came.
pub fn may_pay(context: &CallContext, token: Option<&AccessToken>) -> Result<(), Refusal> {
    match (&context.caller, token) {
        (Caller::Gate { .. }, _) => Err(forbidden(GATE_ONLY)),
        (_, Some(_)) | (Caller::Anonymous, None) => Ok(()),
        (Caller::Organizer { .. } | Caller::Auditor, None) => {
            Err(forbidden("a booking is paid by its buyer: give the accessToken that placeBooking answered"))
        }
    }
}

/// What can be said of `cancelBooking` and `reissueTickets` before the booking is loaded.
///
/// # Errors
/// `FORBIDDEN` for an auditor, unless a token came.
pub fn may_cancel(context: &CallContext, token: Option<&AccessToken>) -> Result<(), Refusal> {
    match (&context.caller, token) {
        (Caller::Gate { .. }, _) => Err(forbidden(GATE_ONLY)),
        (Caller::Auditor, None) => Err(forbidden("an auditor reads and changes nothing")),
        _ => Ok(()),
    }
}

/// On whose behalf the caller may change this booking.
///
/// # Errors
/// `NOT_FOUND` where it is not there or not his, or the token is wrong.
pub fn party(
    context: &CallContext,
    token: Option<&AccessToken>,
    purchase: Option<&Purchase>,
) -> Result<Party, Refusal> {
    let refused = || Refusal::not_found("booking");
    let purchase = purchase.ok_or_else(refused)?;
    match (token, &context.caller) {
        (Some(token), _) if is_token(token, &purchase.access_token_hash) => Ok(Party::Buyer),
        (None, Caller::Organizer { organizer_id }) if *organizer_id == purchase.organizer_id => {
            Ok(Party::Organizer(*organizer_id))
        }
        _ => Err(refused()),
    }
}

fn forbidden(message: &str) -> Refusal {
    Refusal::new(ErrorCode::Forbidden, message)
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn context(caller: Caller) -> CallContext {
        CallContext { caller, correlation_id: Uuid::nil(), traceparent: None }
    }

    fn code<T>(result: Result<T, Refusal>) -> Option<ErrorCode> {
        result.err().map(|refusal| refusal.code)
    }

    #[test]
    fn a_missing_role_and_a_wrong_one_are_told_apart() {
        let id = OrganizerId(Uuid::from_u128(1));
        assert_eq!(organizer(&context(Caller::Organizer { organizer_id: id })), Ok(id));
        assert_eq!(code(organizer(&context(Caller::Anonymous))), Some(ErrorCode::Unauthenticated));
        assert_eq!(code(organizer(&context(Caller::Auditor))), Some(ErrorCode::Forbidden));
        assert_eq!(code(own_organizer(id, Some(OrganizerId(Uuid::nil())))), Some(ErrorCode::Forbidden));
        assert_eq!(own_organizer(id, None), Ok(id));
        let gate = context(Caller::Gate { organizer_id: id });
        assert_eq!(door(&gate), Ok(id));
        assert_eq!(door(&context(Caller::Organizer { organizer_id: id })), Ok(id));
        assert_eq!(code(door(&context(Caller::Auditor))), Some(ErrorCode::Forbidden));
        assert_eq!(code(door(&context(Caller::Anonymous))), Some(ErrorCode::Unauthenticated));
        let token = AccessToken("x".to_owned());
        assert_eq!(code(organizer(&gate)), Some(ErrorCode::Forbidden));
        assert_eq!(code(may_pay(&gate, Some(&token))), Some(ErrorCode::Forbidden));
        assert_eq!(code(may_cancel(&gate, Some(&token))), Some(ErrorCode::Forbidden));
    }

    #[test]
    fn a_booking_that_is_not_there_reads_like_one_of_somebody_else() {
        let token = AccessToken("guess".to_owned());
        for caller in [Caller::Anonymous, Caller::Auditor, Caller::Organizer { organizer_id: OrganizerId(Uuid::nil()) }]
        {
            for token in [None, Some(&token)] {
                assert_eq!(party(&context(caller.clone()), token, None), Err(Refusal::not_found("booking")));
            }
        }
        assert_eq!(own_show(OrganizerId(Uuid::nil()), None), Err(Refusal::not_found("event")));
    }

    #[test]
    fn who_has_the_token_may_pay_whoever_he_is_else() {
        let token = AccessToken("x".to_owned());
        assert_eq!(may_pay(&context(Caller::Auditor), Some(&token)), Ok(()));
        assert_eq!(code(may_pay(&context(Caller::Auditor), None)), Some(ErrorCode::Forbidden));
        assert_eq!(code(may_cancel(&context(Caller::Auditor), None)), Some(ErrorCode::Forbidden));
        assert_eq!(may_pay(&context(Caller::Anonymous), None), Ok(()));
    }
}
