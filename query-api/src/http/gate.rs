//! What a gate without a network takes with it: `GET /gate/v1/events/{id}/bundle`, for the organiser whose show it is.

use std::collections::{BTreeMap, BTreeSet};

use axum::{
    extract::{Path, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use chrono::{TimeDelta, Utc};
use tickiz_contract::{Caller, ErrorCode, Refusal};
use tickiz_domain::{
    booking::BookingStatus,
    ids::{BookingId, EventId},
};
use tickiz_read_models::ReadError;
use tickiz_tickets::Bundle;

use super::Web;
use crate::{
    access::{Action, allow},
    app::App,
};

/// How long a gate may rely on a bundle, in hours: an evening, and the way there.
const VALID_HOURS: i64 = 24;
/// How long a ticket is good after its show is over, in hours, as when it is issued.
const GRACE_HOURS: i64 = 24;
/// Bookings of a show read at a time.
const PAGE: u32 = 1_000;

/// Why there is no bundle.
pub struct NoBundle(StatusCode, String);

impl IntoResponse for NoBundle {
    fn into_response(self) -> Response {
        (self.0, self.1 + "\n").into_response()
    }
}

impl From<Refusal> for NoBundle {
    fn from(refusal: Refusal) -> Self {
        let status = match refusal.code {
            ErrorCode::Unauthenticated => StatusCode::UNAUTHORIZED,
            ErrorCode::Forbidden => StatusCode::FORBIDDEN,
            _ => StatusCode::NOT_FOUND,
        };
        Self(status, refusal.message)
    }
}

impl From<ReadError> for NoBundle {
    fn from(error: ReadError) -> Self {
        tracing::error!(%error, "a gate's bundle cannot be made");
        Self(StatusCode::SERVICE_UNAVAILABLE, "the read models do not answer; try again".to_owned())
    }
}

/// The bundle of a show, signed.
pub async fn bundle(State(web): State<Web>, Path(id): Path<String>, headers: HeaderMap) -> Result<Response, NoBundle> {
    let app = &web.engine.app;
    let authorization = headers.get(header::AUTHORIZATION).map(|value| value.to_str().unwrap_or_default());
    let caller = app.access.identify(authorization)?;
    allow(&caller, Action::Organize)?;
    let event_id = id.parse().map(EventId).map_err(|_| Refusal::not_found("event"))?;
    // Before anything is read: what comes in meanwhile may be in it, and what is before surely is.
    let seq = app.reads.checkpoint().await?;
    let view = app.reads.event(event_id).await?;
    let own = |organizer| matches!(&caller, Caller::Organizer { organizer_id } if *organizer_id == organizer);
    let view = view.filter(|view| own(view.show.organizer_id)).ok_or_else(|| Refusal::not_found("event"))?;
    let (min_rev, revoked) = invalid(app, event_id).await?;
    let now = Utc::now();
    let unix = |at: chrono::DateTime<Utc>| u64::try_from(at.timestamp()).unwrap_or(0);
    let bundle = Bundle {
        event: view.show.event_number,
        event_id: event_id.to_string(),
        title: view.show.title.clone(),
        seq,
        created: unix(now),
        valid_until: unix(now + TimeDelta::hours(VALID_HOURS)),
        tickets_until: unix(view.show.over_at() + TimeDelta::hours(GRACE_HOURS)),
        keys: Bundle::keys_of(&app.signer),
        min_rev,
        revoked,
    };
    let headers = [(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))];
    Ok((headers, axum::Json(app.bundles.sign(&bundle))).into_response())
}

type Lists = (BTreeMap<String, u8>, BTreeSet<String>);

/// Which tickets of a show are not valid any more: those that were issued anew, by their lowest valid revision, and those whose
/// booking has ended since.
async fn invalid(app: &App, event: EventId) -> Result<Lists, ReadError> {
    let (mut min_rev, mut revoked) = (BTreeMap::new(), BTreeSet::new());
    let mut after: Option<BookingId> = None;
    loop {
        let page = app.reads.bookings_of_event(event, after, PAGE).await?;
        let Some((last, _)) = page.last().copied() else { return Ok((min_rev, revoked)) };
        after = Some(last);
        for (id, status) in page {
            if !matches!(status, BookingStatus::Cancelled | BookingStatus::Refunded) {
                continue;
            }
            let Some(view) = app.reads.booking(id).await? else { continue };
            for ticket in &view.purchase.tickets {
                revoked.insert(ticket.number.0.to_string());
                if ticket.revision > 0 {
                    min_rev.insert(ticket.number.0.to_string(), ticket.revision);
                }
            }
        }
    }
}
