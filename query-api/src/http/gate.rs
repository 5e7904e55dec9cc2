//! What a gate without a network takes with it, `GET /gate/v1/events/{id}/bundle`, and what changed since,
//! `GET /gate/v1/events/{id}/revocations?since=`: for the organiser whose show it is, and his gates.

use std::collections::{BTreeMap, BTreeSet};

use axum::{
    extract::{Path, RawQuery, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use chrono::{TimeDelta, Utc};
use tickiz_contract::{ErrorCode, Refusal};
use tickiz_domain::{
    event::Show,
    ids::{BookingId, EventId, TicketId},
};
use tickiz_read_models::{BookingView, EventView, ReadError};
use tickiz_tickets::{
    Bundle, SignedBundle,
    bundle::{BundleCategory, Revocations},
    gate::CLOCK_LEEWAY_SECONDS,
};

use super::Web;
use crate::{
    access::{Action, allow, stands_at},
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

/// A show as a gate asks for it, with what is asked before it is read.
struct Asked {
    event_id: EventId,
    view: EventView,
    /// Read before anything else is: what comes in meanwhile may be in the answer, and what is before surely is.
    seq: i64,
}

async fn asked(app: &App, id: &str, headers: &HeaderMap) -> Result<Asked, NoBundle> {
    let authorization = headers.get(header::AUTHORIZATION).map(|value| value.to_str().unwrap_or_default());
    let caller = app.access.identify(authorization)?;
    allow(&caller, Action::Admit)?;
    let event_id = id.parse().map(EventId).map_err(|_| Refusal::not_found("event"))?;
    let seq = app.reads.checkpoint().await?;
    let view = app.reads.event(event_id).await?;
    let view = view.filter(|view| stands_at(&caller, view.show.organizer_id));
    let view = view.ok_or_else(|| Refusal::not_found("event"))?;
    Ok(Asked { event_id, view, seq })
}

fn unix(at: chrono::DateTime<Utc>) -> u64 {
    u64::try_from(at.timestamp()).unwrap_or(0)
}

/// The bundle of a show, signed.
pub async fn bundle(State(web): State<Web>, Path(id): Path<String>, headers: HeaderMap) -> Result<Response, NoBundle> {
    let app = &web.engine.app;
    let Asked { event_id, view, seq } = asked(app, &id, &headers).await?;
    let (min_rev, revoked) = invalid(app, event_id, 0).await?;
    let now = Utc::now();
    let tickets_until = unix(view.show.over_at() + TimeDelta::hours(GRACE_HOURS));
    let bundle = Bundle {
        event: view.show.event_number,
        event_id: event_id.to_string(),
        title: view.show.title.clone(),
        seq,
        created: unix(now),
        valid_until: unix(now + TimeDelta::hours(VALID_HOURS)),
        tickets_until,
        // With the leeway that a gate gives a ticket's own last second.
        keys: Bundle::keys_of(&app.signer, tickets_until + CLOCK_LEEWAY_SECONDS),
        categories: categories(&view.show),
        min_rev,
        revoked,
    };
    Ok(unkept(app.bundles.sign(&bundle)))
}

/// The admission classes of a show, by number, with the ticket types that have them.
fn categories(show: &Show) -> Vec<BundleCategory> {
    let mut classes = BTreeMap::<u16, Vec<String>>::new();
    for ticket_type in &show.ticket_types {
        classes.entry(ticket_type.admission_class).or_default().push(ticket_type.name.clone());
    }
    classes.into_iter().map(|(category, ticket_types)| BundleCategory { category, ticket_types }).collect()
}

/// What changed since a bundle, signed.
pub async fn revocations(
    State(web): State<Web>,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, NoBundle> {
    let app = &web.engine.app;
    let Asked { event_id, view, seq } = asked(app, &id, &headers).await?;
    let since = since(query.as_deref())?;
    let (min_rev, revoked) = invalid(app, event_id, since).await?;
    let (event, event_id, created) = (view.show.event_number, event_id.to_string(), unix(Utc::now()));
    let changed = Revocations { event, event_id, since, seq, created, min_rev, revoked };
    Ok(unkept(app.bundles.sign_revocations(&changed)))
}

/// Nobody between us and the gate keeps it: a ticket may be given back at the next moment.
fn unkept(signed: SignedBundle) -> Response {
    ([(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))], axum::Json(signed)).into_response()
}

/// The position that the gate has; without one, 0.
fn since(query: Option<&str>) -> Result<i64, NoBundle> {
    let given = query.unwrap_or_default().split('&').find_map(|pair| pair.strip_prefix("since="));
    let Some(given) = given else { return Ok(0) };
    given.parse().ok().filter(|since| *since >= 0).ok_or_else(|| {
        let what = "since is the seq of the bundle that the gate has: a whole number from 0 on, in decimal digits";
        NoBundle(StatusCode::BAD_REQUEST, what.to_owned())
    })
}

type Lists = (BTreeMap<String, u8>, BTreeSet<String>);

/// Which tickets of a show are not valid any more: those that were issued anew, by their lowest valid revision, and those that were
/// given back, or whose booking has ended since. Only of bookings of which something was recorded after that position.
async fn invalid(app: &App, event: EventId, since: i64) -> Result<Lists, ReadError> {
    let (mut min_rev, mut revoked) = (BTreeMap::new(), BTreeSet::new());
    let mut after: Option<BookingId> = None;
    loop {
        let page = app.reads.invalid_of_event(event, since, after, PAGE).await?;
        let Some(last) = page.last() else { return Ok((min_rev, revoked)) };
        after = Some(last.id);
        for BookingView { purchase, .. } in page {
            let valid: BTreeSet<TicketId> = purchase.valid_tickets().map(|ticket| ticket.ticket_id).collect();
            for ticket in &purchase.tickets {
                let number = ticket.number.0.to_string();
                if ticket.revision > 0 {
                    min_rev.insert(number.clone(), ticket.revision);
                }
                if !valid.contains(&ticket.ticket_id) {
                    revoked.insert(number);
                }
            }
        }
    }
}
