//! What can be followed. Over WebSockets only; see [`crate::ws`].

use std::sync::Arc;

use async_graphql::{Context, ID, Subscription as GqlSubscription};
use futures::{
    Stream, StreamExt,
    stream::{self, BoxStream},
};
use tickiz_contract::{Caller, Refusal};
use tickiz_domain::ids::EventId;
use tickiz_projections::live::{SeatFrame, SeatWatch};

use super::{
    app_of,
    booking::Booking,
    caller_of,
    query::{visible_booking, visible_show},
    seat_map::SeatAvailability,
};
use crate::app::{Answered, App, Failure};

/// A frame that is encoded for a whole group of subscribers; see [`crate::live`]. Where a request carries one, `seatAvailability`
/// gives it and nothing else.
pub struct OneFrame(pub Arc<SeatFrame>);

/// The seats of a show, for a caller who may see it.
///
/// # Errors
/// `NOT_FOUND` where it is not there, not on sale yet, or not the caller's to see.
pub async fn seats(app: &App, caller: &Caller, id: &str) -> Answered<SeatWatch> {
    let missing = || Refusal::not_found("event");
    let id: EventId = id.parse().map_err(|_| missing())?;
    visible_show(app, caller, id).await?.ok_or_else(missing)?;
    Ok(app.live.watch_seats(id).await?.ok_or_else(missing)?)
}

pub struct Subscription;

#[GqlSubscription]
impl Subscription {
    /// A snapshot first, then every change after it, in order.
    async fn seat_availability(
        &self,
        ctx: &Context<'_>,
        event_id: ID,
    ) -> Result<impl Stream<Item = SeatAvailability>, Failure> {
        if let Some(OneFrame(frame)) = ctx.data_opt() {
            let one: BoxStream<'static, _> = stream::iter([SeatAvailability(Arc::clone(frame))]).boxed();
            return Ok(one);
        }
        Ok(seats(app_of(ctx), caller_of(ctx), &event_id.0).await?.into_stream().map(SeatAvailability).boxed())
    }

    /// The buyer's own booking, whenever it changes.
    async fn booking_changed(
        &self,
        ctx: &Context<'_>,
        id: ID,
        access_token: Option<String>,
    ) -> Result<impl Stream<Item = Booking>, Failure> {
        let app = app_of(ctx);
        let id = visible_booking(app, caller_of(ctx), &id.0, access_token.as_deref()).await?.id;
        let changes = app.live.subscribe_booking(id).await?.ok_or_else(|| Refusal::not_found("booking"))?;
        Ok(changes.map(|view| Booking::from((*view).clone())))
    }
}
