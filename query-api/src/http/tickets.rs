//! A buyer's tickets as a page, as a PDF, in his phone's wallet, and as a line in his calendar, by a link that has his access token in it.
//!
//! Whoever has the link has the tickets: so nothing of it is kept by caches, no other page is told where it came from (the policy of
//! referrers is everybody's), and who has no right to a booking hears the same as where there is none.

use axum::{
    body::Bytes,
    extract::{Path, Query, State},
    http::{HeaderValue, StatusCode, header},
    response::{Html, IntoResponse, Response},
};
use serde::Deserialize;
use tickiz_contract::{Caller, ErrorCode};
use tickiz_documents::{
    Booking, Sold, WalletLinks,
    calendar::{CalendarEntry, Person},
    pdf::tickets_pdf,
    wallet::{PassNames, WalletError, apple},
};
use tickiz_domain::{booking::IssuedTicket, ids::EventId};

use super::Web;
use crate::{
    app::{App, Failure, Fault},
    schema::{booking::code_of, query::visible_booking},
};

/// Who is said to hold the show, where nobody says more.
const ORGANIZER: &str = "Tickiz";

/// `?token=…`
#[derive(Deserialize)]
pub struct ByToken {
    token: Option<String>,
}

/// Why there is no document.
pub enum NoDocument {
    /// It is not there, or not his to see.
    NotFound,
    /// Not now.
    Unavailable,
}

impl IntoResponse for NoDocument {
    fn into_response(self) -> Response {
        match self {
            Self::NotFound => (StatusCode::NOT_FOUND, "There is no such booking, or the link is not whole.\n"),
            Self::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "Try again in a moment.\n"),
        }
        .into_response()
    }
}

impl From<Failure> for NoDocument {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Refused(refusal) if refusal.code == ErrorCode::NotFound => Self::NotFound,
            Failure::Refused(_) => Self::Unavailable,
            Failure::Fault(fault) => fault.into(),
        }
    }
}

impl From<Fault> for NoDocument {
    fn from(fault: Fault) -> Self {
        tracing::error!(error = %fault, "a document cannot be made");
        Self::Unavailable
    }
}

/// Of each ticket that is shown, its number among all of the booking's, from 1. It keeps it when others are given back: a pass of the
/// same name replaces the one that a phone has.
struct Numbers(Vec<usize>);

impl Numbers {
    /// Where the ticket of that number is shown, from 1.
    fn place_of(&self, number: usize) -> Result<usize, NoDocument> {
        self.0.iter().position(|known| *known == number).map(|at| at + 1).ok_or(NoDocument::NotFound)
    }

    /// The number of the ticket that is shown there, from 1.
    fn at(&self, place: usize) -> usize {
        place.checked_sub(1).and_then(|at| self.0.get(at)).copied().unwrap_or(place)
    }
}

/// The booking as documents want it. It has tickets only while it is confirmed, and those only that were not given back.
async fn booking(app: &App, id: &str, token: Option<&str>) -> Result<(Booking, EventId, Numbers), NoDocument> {
    let view = visible_booking(app, &Caller::Anonymous, id, token).await?;
    let show = app.reads.event(view.purchase.event_id).await.map_err(Fault::new)?.ok_or(NoDocument::NotFound)?.show;
    let issued = view.purchase.valid_tickets();
    let number = |issued: &IssuedTicket| view.purchase.tickets.iter().position(|of| of.ticket_id == issued.ticket_id);
    let numbers = issued.clone().filter_map(number).map(|at| at + 1).collect();
    let tickets: Result<Vec<_>, Fault> = issued.map(|issued| Ok((issued, code_of(app, issued)?))).collect();
    let link = format!("{}/tickets/{}?token={}", app.public_url, view.id, token.unwrap_or_default());
    let sold = Sold {
        purchase: &view.purchase,
        show: &show,
        tickets: &tickets?,
        // His name is sealed, and stays so.
        buyer: None,
        organizer: ORGANIZER,
        link: &link,
        // The same each time, so that a file that is fetched again is the same.
        issued_at: view.purchase.hold_expires_at,
    };
    Ok((Booking::of(sold), view.purchase.event_id, Numbers(numbers)))
}

/// `GET /tickets/{id}?token=…`: the page to show at the gate.
pub async fn page(
    State(web): State<Web>,
    Path(id): Path<String>,
    Query(by): Query<ByToken>,
) -> Result<Response, NoDocument> {
    let app = &web.engine.app;
    let (booking, _, numbers) = booking(app, &id, by.token.as_deref()).await?;
    let token = by.token.as_deref().unwrap_or_default();
    let pass =
        |number: usize| format!("{}/tickets/{id}/{}/pass.pkpass?token={token}", app.public_url, numbers.at(number));
    let save =
        |number: usize| format!("{}/tickets/{id}/{}/google-wallet?token={token}", app.public_url, numbers.at(number));
    let wallets = WalletLinks {
        apple: app.wallets.apple.as_ref().map(|_| &pass as &dyn Fn(usize) -> String),
        google: app.wallets.google.as_ref().map(|_| &save as &dyn Fn(usize) -> String),
    };
    let page = app.templates.ticket_page(&booking, wallets).map_err(Fault::new)?;
    let policy = format!("default-src 'none'; style-src {}; img-src data:", page.style_source);
    let policy = HeaderValue::try_from(policy).map_err(Fault::new)?;
    let headers = [(header::CONTENT_SECURITY_POLICY, policy), (header::CACHE_CONTROL, NO_STORE)];
    Ok((headers, Html(page.html)).into_response())
}

/// Nobody keeps it.
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

/// `GET /tickets/{id}/tickets.pdf?token=…`: to print, a page a ticket. 404 until the booking is confirmed.
pub async fn pdf(
    State(web): State<Web>,
    Path(id): Path<String>,
    Query(by): Query<ByToken>,
) -> Result<Response, NoDocument> {
    let (booking, ..) = booking(&web.engine.app, &id, by.token.as_deref()).await?;
    if booking.tickets.is_empty() {
        return Err(NoDocument::NotFound);
    }
    let written = tokio::task::spawn_blocking(move || tickets_pdf(&booking)).await.map_err(Fault::new)?;
    Ok(file("application/pdf", written.map_err(Fault::new)?))
}

/// What names a ticket's pass for ever: a pass of the same name replaces the one that a phone has.
fn pass_name(id: &str, number: usize) -> String {
    format!("{id}-{number}")
}

/// `GET /tickets/{id}/{number}/pass.pkpass?token=…`: a ticket for Apple Wallet, numbered from 1. 404 until the booking is confirmed, and
/// where that wallet is not configured.
pub async fn pass(
    State(web): State<Web>,
    Path((id, number)): Path<(String, usize)>,
    Query(by): Query<ByToken>,
) -> Result<Response, NoDocument> {
    let app = &web.engine.app;
    let (booking, _, numbers) = booking(app, &id, by.token.as_deref()).await?;
    let passes = app.wallets.apple.as_ref().ok_or(NoDocument::NotFound)?;
    let serial = pass_name(&id, number);
    match passes.signer.pkpass(&booking, numbers.place_of(number)?, &serial, &passes.pictures, booking.issued_at) {
        Ok(pass) => Ok(file(apple::MEDIA_TYPE, pass)),
        Err(WalletError::NoTicket { .. }) => Err(NoDocument::NotFound),
        Err(error) => Err(Fault::new(error).into()),
    }
}

/// `GET /tickets/{id}/{number}/google-wallet?token=…`: to the page of Google Wallet that takes the ticket, numbered from 1. 404 as above.
pub async fn google_wallet(
    State(web): State<Web>,
    Path((id, number)): Path<(String, usize)>,
    Query(by): Query<ByToken>,
) -> Result<Response, NoDocument> {
    let app = &web.engine.app;
    let (booking, event, numbers) = booking(app, &id, by.token.as_deref()).await?;
    let links = app.wallets.google.as_ref().ok_or(NoDocument::NotFound)?;
    let object = pass_name(&id, number);
    let names = PassNames { class: &event.to_string(), object: &object, with_class: true };
    let origin = app.public_url.as_str();
    match links.link(&booking, numbers.place_of(number)?, &names, &[origin], booking.issued_at) {
        Ok(link) => {
            Ok((StatusCode::SEE_OTHER, [(header::LOCATION, link)], [(header::CACHE_CONTROL, NO_STORE)]).into_response())
        }
        Err(WalletError::NoTicket { .. }) => Err(NoDocument::NotFound),
        Err(error) => Err(Fault::new(error).into()),
    }
}

/// `GET /tickets/{id}/event.ics?token=…`: for a calendar. 404 while the show has no date.
pub async fn calendar(
    State(web): State<Web>,
    Path(id): Path<String>,
    Query(by): Query<ByToken>,
) -> Result<Response, NoDocument> {
    let (booking, ..) = booking(&web.engine.app, &id, by.token.as_deref()).await?;
    if booking.show.postponed {
        return Err(NoDocument::NotFound);
    }
    let from = &web.engine.app.mail_from;
    let organizer = Person { name: ORGANIZER.to_owned(), address: from.clone() };
    // The same as in the mail, so that a calendar that gets both has one entry.
    let domain = from.rsplit_once('@').map_or("localhost", |(_, domain)| domain);
    let entry = CalendarEntry::publish(&booking, &format!("{id}@{domain}"), organizer);
    let ics = entry.to_ics().map_err(Fault::new)?;
    Ok(file("text/calendar; charset=utf-8", ics.into_bytes()))
}

fn file(media_type: &'static str, bytes: Vec<u8>) -> Response {
    let headers = [(header::CONTENT_TYPE, HeaderValue::from_static(media_type)), (header::CACHE_CONTROL, NO_STORE)];
    (headers, Bytes::from(bytes)).into_response()
}
