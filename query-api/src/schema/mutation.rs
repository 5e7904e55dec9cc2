//! What can be changed: handed to the write side, whose answer is told.

use std::sync::Arc;

use async_graphql::{Context, ID, Object};
use tickiz_contract::{
    Answer, EventAnswer, PaymentAnswer, Refusals, Request,
    request::{BlockSeats, PostponeEvent},
};
use tickiz_domain::event::Show;
use tickiz_read_models::{EventView, TypeAvailability};

use super::{
    app_of,
    booking::{Booking, Payment},
    event::Event,
    gate::CheckIn,
    inputs::{
        CancelBookingInput, CheckInInput, CreateEventInput, MergeScansInput, PayBookingInput, PlaceBookingInput,
        RefundBookingInput, ReissueTicketsInput, UpdateEventInput,
    },
    scalars::LocalDateTime,
    session_of,
};
use crate::{
    access::{Action, allow},
    app::{Failure, Fault},
};

/// What a mutation gives: several reasons at once where there are several.
type Outcome<T> = Result<T, async_graphql::Error>;

/// Hands a command over. It is carried out to its end even if the client leaves meanwhile.
async fn execute(ctx: &Context<'_>, action: Action<'_>, request: Request) -> Outcome<Answer> {
    let (app, session) = (app_of(ctx), session_of(ctx));
    allow(&session.context.caller, action)?;
    let (commands, context) = (Arc::clone(&app.commands), session.context.clone());
    let under_way = app.mutations.spawn(async move { commands.execute(context, request).await });
    let answer: Result<Answer, Refusals> =
        under_way.await.map_err(|error| Fault::new(format!("the command did not come to its end: {error}")))?;
    let answer = answer?;
    match &answer {
        Answer::Event(event) => app.freshness.show_changed(event.id.0, event.position).await,
        Answer::Booking(booking) => app.freshness.booking_changed(booking.id.0, booking.position).await,
        Answer::Payment(payment) => app.freshness.booking_changed(payment.booking.id.0, payment.booking.position).await,
        Answer::CheckIns(answers) => {
            for ticket in answers.iter().filter_map(|answer| answer.ticket.as_ref()) {
                app.freshness.booking_changed(ticket.booking_id.0, ticket.position).await;
            }
        }
    }
    Ok(answer)
}

/// What is left of a show of which the read models know nothing yet: nobody can have bought.
fn untouched(show: &Show) -> Vec<TypeAvailability> {
    let left = |ty| show.capacity_of(ty);
    show.ticket_types.iter().map(|ty| TypeAvailability { ticket_type_id: ty.id, available: left(ty) }).collect()
}

/// A show as the write side folded it, with what is left of it as the read models stand.
async fn show(ctx: &Context<'_>, answer: EventAnswer) -> Result<Event, Failure> {
    let EventAnswer { id, show, position } = answer;
    let known = app_of(ctx).reads.event(id).await?;
    let (availability, seat_version) = match known {
        Some(view) => (view.availability, view.seat_version),
        None => (untouched(&show), 0),
    };
    Ok(Event(Arc::new(EventView { id, show, availability, seat_version, position })))
}

async fn organize(ctx: &Context<'_>, request: Request) -> Outcome<Event> {
    match execute(ctx, Action::Organize, request).await? {
        Answer::Event(answer) => Ok(show(ctx, *answer).await?),
        other => Err(unfit(&other).into()),
    }
}

async fn book(ctx: &Context<'_>, request: Request) -> Outcome<Booking> {
    match execute(ctx, Action::Buy, request).await? {
        Answer::Booking(answer) => Ok((*answer).into()),
        other => Err(unfit(&other).into()),
    }
}

async fn check_in(ctx: &Context<'_>, request: Request) -> Outcome<Vec<CheckIn>> {
    match execute(ctx, Action::Admit, request).await? {
        Answer::CheckIns(answers) => Ok(answers.into_iter().map(CheckIn).collect()),
        other => Err(unfit(&other).into()),
    }
}

fn unfit(answer: &Answer) -> Fault {
    let kind = match answer {
        Answer::Event(_) => "an Event",
        Answer::Booking(_) => "a booking",
        Answer::Payment(_) => "a payment",
        Answer::CheckIns(_) => "scans",
    };
    Fault::new(format!("the write side answered with {kind}, which does not fit the question"))
}

pub struct Mutation;

#[Object]
impl Mutation {
    async fn create_event(&self, ctx: &Context<'_>, input: CreateEventInput) -> Result<Event, async_graphql::Error> {
        // Judged before a plan of many megabytes is moved about.
        allow(&session_of(ctx).context.caller, Action::Organize)?;
        let request = input.into_request(|number| session_of(ctx).json.lock().take(number));
        organize(ctx, Request::CreateEvent(Box::new(request))).await
    }

    async fn publish_event(&self, ctx: &Context<'_>, id: ID) -> Result<Event, async_graphql::Error> {
        organize(ctx, Request::PublishEvent { id: id.0 }).await
    }

    async fn update_event(&self, ctx: &Context<'_>, input: UpdateEventInput) -> Result<Event, async_graphql::Error> {
        organize(ctx, Request::UpdateEvent(Box::new(input.into()))).await
    }

    /// Without startsAt the new date is open; sale stops until updateEvent gives one.
    async fn postpone_event(
        &self,
        ctx: &Context<'_>,
        id: ID,
        starts_at: Option<LocalDateTime>,
        ends_at: Option<LocalDateTime>,
        reason: String,
    ) -> Result<Event, async_graphql::Error> {
        let (starts_at, ends_at) = (starts_at.map(|time| time.0), ends_at.map(|time| time.0));
        organize(ctx, Request::PostponeEvent(PostponeEvent { id: id.0, starts_at, ends_at, reason })).await
    }

    async fn cancel_event(&self, ctx: &Context<'_>, id: ID, reason: String) -> Result<Event, async_graphql::Error> {
        organize(ctx, Request::CancelEvent { id: id.0, reason }).await
    }

    /// Takes free seats out of sale, or puts blocked ones back; all of them or none.
    async fn block_seats(
        &self,
        ctx: &Context<'_>,
        event_id: ID,
        seat_ids: Vec<ID>,
        blocked: bool,
    ) -> Result<Event, async_graphql::Error> {
        let seat_ids = seat_ids.into_iter().map(|id| id.0).collect();
        organize(ctx, Request::BlockSeats(BlockSeats { event_id: event_id.0, seat_ids, blocked })).await
    }

    async fn place_booking(
        &self,
        ctx: &Context<'_>,
        input: PlaceBookingInput,
    ) -> Result<Booking, async_graphql::Error> {
        book(ctx, Request::PlaceBooking(input.into())).await
    }

    async fn pay_booking(&self, ctx: &Context<'_>, input: PayBookingInput) -> Result<Payment, async_graphql::Error> {
        match execute(ctx, Action::Buy, Request::PayBooking(input.into())).await? {
            Answer::Payment(answer) => {
                let PaymentAnswer { payment_id, booking } = *answer;
                let missing = || Fault::new(format!("the booking in the answer has no payment {payment_id}"));
                Ok(Payment::of(booking, payment_id).ok_or_else(missing)?)
            }
            other => Err(unfit(&other).into()),
        }
    }

    async fn cancel_booking(
        &self,
        ctx: &Context<'_>,
        input: CancelBookingInput,
    ) -> Result<Booking, async_graphql::Error> {
        book(ctx, Request::CancelBooking(input.into())).await
    }

    /// New codes in the place of those so far, which were lost or seen by others: they let nobody in any more, at a gate without a
    /// network as soon as it has a newer bundle. For the buyer, by the access token, and for the organiser whose show it is.
    async fn reissue_tickets(
        &self,
        ctx: &Context<'_>,
        input: ReissueTicketsInput,
    ) -> Result<Booking, async_graphql::Error> {
        book(ctx, Request::ReissueTickets(input.into())).await
    }

    /// Gives some tickets of a paid booking back, or a sum, and the booking goes on with the rest. Of many at once never more goes back
    /// than was paid. For the organiser whose show it is.
    async fn refund_booking(
        &self,
        ctx: &Context<'_>,
        input: RefundBookingInput,
    ) -> Result<Booking, async_graphql::Error> {
        allow(&session_of(ctx).context.caller, Action::Organize)?;
        book(ctx, Request::RefundBooking(input.into())).await
    }

    /// At a gate that is connected: whether somebody may come in with this code. Of gates that read one code at once, one is told
    /// ADMITTED. For the organiser whose show it is, and his gates.
    async fn check_in(&self, ctx: &Context<'_>, input: CheckInInput) -> Result<CheckIn, async_graphql::Error> {
        let mut answers = check_in(ctx, Request::CheckIn(input.into())).await?;
        match (answers.pop(), answers.is_empty()) {
            (Some(answer), true) => Ok(answer),
            _ => Err(Failure::from(Fault::new("one scan was not given one answer")).into()),
        }
    }

    /// The scans of a gate that was not connected. Each is recorded as it was; of one that should not have let anybody in the
    /// outcome says why.
    async fn merge_scans(
        &self,
        ctx: &Context<'_>,
        input: MergeScansInput,
    ) -> Result<Vec<CheckIn>, async_graphql::Error> {
        check_in(ctx, Request::MergeScans(input.into())).await
    }
}
