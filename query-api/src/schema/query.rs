//! What can be read.

use std::sync::Arc;

use async_graphql::{Context, ID, Object};
use chrono::Utc;
use tickiz_contract::{Caller, Refusal, Refusals};
use tickiz_domain::ids::{BookingId, EventId};
use tickiz_read_models::{BookingView, EventView};

use super::{
    app_of,
    booking::Booking,
    caller_of,
    enums::EventOrder,
    event::{Event, EventConnection, EventEdge, PageInfo},
    filter,
    gate::{GateReport, gate_report},
    inputs::EventFilter,
    log::LogEntry,
    report::{SalesReport, SalesReportFilter, SalesReportGroup, report},
    scalars::{Position, int},
    seat_map::SeatMap,
};
use crate::{
    access::{Action, allow},
    app::{Answered, App, Failure, Fault, Nullable, invalid, position},
    audit::AuditQuery,
    freshness::late,
    limits::MAX_LOG_ENTRIES,
};

/// A show that the caller may see; `None` where it is not there, or not his to see.
///
/// # Errors
/// `OVERLOADED` where it was made here and the read models do not have it yet.
pub async fn visible_show(app: &App, caller: &Caller, id: EventId) -> Answered<Option<Arc<EventView>>> {
    let unread = app.freshness.of(&app.reads, id.0).await?;
    match (app.front.event(id).await?, unread) {
        (Some(view), _) => Ok(allow(caller, Action::SeeShow(&view.show)).is_ok().then_some(view)),
        (None, Some(position)) => Err(late(position)),
        (None, None) => Ok(None),
    }
}

/// Waits for what the caller has seen already; up to where that is, 0 where he does not say.
async fn at_least(ctx: &Context<'_>, min_position: Option<Position>) -> Answered<i64> {
    let app = app_of(ctx);
    app.freshness.at_least(&app.reads, min_position.as_ref().map(|position| position.0.as_str())).await
}

async fn event(ctx: &Context<'_>, id: &str, min_position: Option<Position>) -> Answered<Option<Event>> {
    at_least(ctx, min_position).await?;
    let Ok(id) = id.parse() else { return Ok(None) };
    Ok(visible_show(app_of(ctx), caller_of(ctx), id).await?.map(Event))
}

/// `None` also for a show without a plan.
async fn seat_map(ctx: &Context<'_>, id: &str, min_position: Option<Position>) -> Answered<Option<SeatMap>> {
    at_least(ctx, min_position).await?;
    let app = app_of(ctx);
    let Ok(event_id) = id.parse() else { return Ok(None) };
    if visible_show(app, caller_of(ctx), event_id).await?.is_none() {
        return Ok(None);
    }
    let seats = app.front.seat_statuses(event_id).await?;
    Ok(seats.filter(|seats| !seats.plan_hash.is_empty()).map(|seats| SeatMap { event_id, seats }))
}

async fn booking(
    ctx: &Context<'_>,
    id: &str,
    token: Option<&str>,
    min_position: Option<Position>,
) -> Answered<Booking> {
    at_least(ctx, min_position).await?;
    Ok(visible_booking(app_of(ctx), caller_of(ctx), id, token).await?.into())
}

/// A booking that the caller may see.
///
/// # Errors
/// `NOT_FOUND` where it is not there, or not his to see; `OVERLOADED` where it was placed here and the read models do not have it
/// yet.
pub async fn visible_booking(app: &App, caller: &Caller, id: &str, token: Option<&str>) -> Answered<BookingView> {
    let missing = || Refusal::not_found("booking");
    let id: BookingId = id.parse().map_err(|_| missing())?;
    let unread = app.freshness.of(&app.reads, id.0).await?;
    let view = app.reads.booking(id).await?.ok_or_else(|| unread.map_or_else(|| missing().into(), late))?;
    allow(caller, Action::SeeBooking(&view.purchase, token))?;
    Ok(view)
}

pub struct Query;

#[Object]
impl Query {
    /// minPosition: the answer is at least as new as that; if it is not there within two seconds, OVERLOADED.
    async fn event(&self, ctx: &Context<'_>, id: ID, min_position: Option<Position>) -> Nullable<Event> {
        event(ctx, &id, min_position).await.transpose()
    }

    /// RELEVANCE needs filter.text. first is 1 to 100.
    async fn events(
        &self,
        ctx: &Context<'_>,
        filter: Option<EventFilter>,
        #[graphql(default_with = "Some(EventOrder::StartsAt)")] order_by: Option<EventOrder>,
        #[graphql(default_with = "Some(20)")] first: Option<i32>,
        after: Option<String>,
        min_position: Option<Position>,
    ) -> Result<EventConnection, async_graphql::Error> {
        let app = app_of(ctx);
        let order = order_by.unwrap_or(EventOrder::StartsAt).into();
        let query = filter::query(filter, order, first.unwrap_or(20), after.as_deref(), Utc::now())?;
        let seen = at_least(ctx, min_position).await?;
        let done = app.freshness.of_shows(&app.reads).await.map_err(Failure::from)?;
        let page = app.front.list_events(&query, seen.max(done)).await.map_err(Failure::from)?;
        let edges: Vec<EventEdge> = page
            .rows
            .iter()
            .map(|(cursor, view)| EventEdge { cursor: cursor.to_string(), node: Event(Arc::new(view.clone())) })
            .collect();
        let end_cursor = edges.last().map(|edge| edge.cursor.clone());
        let page_info = PageInfo { has_next_page: page.has_next_page, end_cursor };
        Ok(EventConnection { edges, page_info, total_count: int(page.total_count) })
    }

    async fn seat_map(&self, ctx: &Context<'_>, event_id: ID, min_position: Option<Position>) -> Nullable<SeatMap> {
        seat_map(ctx, &event_id, min_position).await.transpose()
    }

    async fn booking(
        &self,
        ctx: &Context<'_>,
        id: ID,
        access_token: Option<String>,
        min_position: Option<Position>,
    ) -> Nullable<Booking> {
        Some(booking(ctx, &id, access_token.as_deref(), min_position).await)
    }

    /// For organisers, of their own shows, and auditors: what was sold. groupBy left out: one row for each currency. minPosition: the
    /// report is at least as new as that; reports follow a moment behind what buyers see.
    async fn sales_report(
        &self,
        ctx: &Context<'_>,
        filter: Option<SalesReportFilter>,
        #[graphql(default_with = "Some(Vec::new())")] group_by: Option<Vec<SalesReportGroup>>,
        min_position: Option<Position>,
    ) -> Result<SalesReport, async_graphql::Error> {
        let min_position = min_position.as_ref().map(|position| position.0.as_str());
        report(app_of(ctx), caller_of(ctx), filter, &group_by.unwrap_or_default(), min_position).await
    }

    /// For organisers and their gates: how many were let in with tickets of a show, and who should not have been.
    async fn gate_report(
        &self,
        ctx: &Context<'_>,
        event_id: ID,
        min_position: Option<Position>,
    ) -> Result<GateReport, async_graphql::Error> {
        at_least(ctx, min_position).await?;
        Ok(gate_report(app_of(ctx), caller_of(ctx), &event_id).await?)
    }

    /// For auditors: the log itself, in order.
    async fn log(
        &self,
        ctx: &Context<'_>,
        after: Option<Position>,
        stream_type: Option<String>,
        stream_id: Option<ID>,
        #[graphql(default_with = "Some(100)")] first: Option<i32>,
    ) -> Result<Vec<LogEntry>, async_graphql::Error> {
        allow(caller_of(ctx), Action::ReadLog)?;
        let mut faults = Vec::new();
        let after = after.map_or(Ok(0), |after| position(&after.0, "after")).map_err(|fault| faults.push(fault));
        let stream_type = stream_type.map(|name| name.parse()).transpose();
        let stream_type = stream_type.map_err(|error: tickiz_domain::stream::UnknownStreamType| {
            faults.push(invalid(&["streamType"], error.to_string()));
        });
        let first = first.unwrap_or(100);
        if !(1..=MAX_LOG_ENTRIES).contains(&first) {
            faults.push(invalid(&["first"], format!("1 to {MAX_LOG_ENTRIES} entries at once, not {first}")));
        }
        let (Ok(after), Ok(stream_type), true) = (after, stream_type, faults.is_empty()) else {
            return Err(Refusals(faults).into());
        };
        let stream_id = match stream_id.map(|id| id.0.parse::<uuid::Uuid>()) {
            Some(Ok(id)) => Some(id),
            // What is no id is the id of nothing.
            Some(Err(_)) => return Ok(Vec::new()),
            None => None,
        };
        let first = usize::try_from(first).unwrap_or_default();
        let query = AuditQuery { after, stream_type, stream_id, first };
        let entries = app_of(ctx).log.entries(query).await.map_err(Fault::new)?;
        Ok(entries.into_iter().map(LogEntry).collect())
    }
}
