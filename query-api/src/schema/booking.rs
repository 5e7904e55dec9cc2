//! One purchase, as its buyer and its organiser see it.

use std::{collections::HashMap, sync::Arc};

use async_graphql::{
    Context, ID, Object,
    dataloader::{DataLoader, Loader},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use tickiz_contract::{BookingAnswer, Refusal};
use tickiz_domain::{
    booking::{self as domain, IssuedTicket, Purchase},
    ids::{BookingId, EventId, PaymentId},
};
use tickiz_read_models::{BookingView, EventView};
use tickiz_tickets::{Flags, TicketPayload, qr_png, qr_svg};

use super::{
    app_of,
    enums::{BookingStatus, PaymentMethod, PaymentStatus, QrFormat},
    event::{Event, IntoGql, Money, TicketType},
    scalars::{DateTime, Position},
};
use crate::{
    app::{Answered, App, Failure, Fault, Nullable},
    limits::RETRY_AFTER_MS,
};

/// Loads the shows of several bookings at once.
pub struct ShowLoader(pub Arc<App>);

impl Loader<EventId> for ShowLoader {
    type Value = Arc<EventView>;
    type Error = Arc<Failure>;

    async fn load(&self, ids: &[EventId]) -> Result<HashMap<EventId, Self::Value>, Self::Error> {
        let failed = |error| Arc::new(Failure::from(error));
        // On the worst day everybody asks for the show that all buy, and that one is at hand; of many it is one statement.
        if let [id] = ids {
            let show = self.0.front.event(*id).await.map_err(failed)?;
            return Ok(show.map(|show| (*id, show)).into_iter().collect());
        }
        let shows = self.0.reads.events(ids).await.map_err(failed)?;
        Ok(shows.into_iter().map(|(id, show)| (id, Arc::new(show))).collect())
    }
}

/// A booking.
#[derive(Clone)]
pub struct Booking {
    id: BookingId,
    purchase: Arc<Purchase>,
    position: i64,
    access_token: Option<String>,
}

impl From<BookingView> for Booking {
    fn from(view: BookingView) -> Self {
        Self { id: view.id, purchase: Arc::new(view.purchase), position: view.position, access_token: None }
    }
}

impl From<BookingAnswer> for Booking {
    fn from(answer: BookingAnswer) -> Self {
        Self {
            id: answer.id,
            purchase: Arc::new(answer.purchase),
            position: answer.position,
            access_token: answer.access_token.map(|token| token.0),
        }
    }
}

impl Booking {
    /// Its show. One that was just published may not be in the read models yet: they are waited for, within a bound.
    async fn show(&self, ctx: &Context<'_>) -> Answered<Arc<EventView>> {
        let loader = ctx.data_unchecked::<DataLoader<ShowLoader>>();
        let load = || async { loader.load_one(self.purchase.event_id).await.map_err(again) };
        if let Some(show) = load().await? {
            return Ok(show);
        }
        let app = app_of(ctx);
        if app.freshness.reach(&app.reads, self.position).await? {
            loader.clear();
            return load()
                .await?
                .ok_or_else(|| Fault::new(format!("the show of booking {} is missing", self.id)).into());
        }
        Err(Refusal::overloaded(RETRY_AFTER_MS).into())
    }
}

/// A loader's error belongs to several waiters.
fn again(failure: Arc<Failure>) -> Failure {
    match &*failure {
        Failure::Refused(refusal) => refusal.clone().into(),
        Failure::Fault(fault) => Fault::new(fault).into(),
    }
}

#[Object]
impl Booking {
    async fn id(&self) -> ID {
        self.id.into_gql()
    }
    async fn code(&self) -> &str {
        &self.purchase.code
    }
    async fn status(&self) -> BookingStatus {
        self.purchase.status.into()
    }
    async fn event(&self, ctx: &Context<'_>) -> Result<Event, Failure> {
        Ok(Event(self.show(ctx).await?))
    }
    async fn tickets(&self) -> Vec<Ticket> {
        (0..self.purchase.lines.len()).map(|index| Ticket { booking: self.clone(), index }).collect()
    }
    async fn total(&self) -> Money {
        self.purchase.total.into()
    }
    async fn hold_expires_at(&self) -> Option<DateTime> {
        (self.purchase.status == domain::BookingStatus::Held).then(|| self.purchase.hold_expires_at.into())
    }
    async fn payments(&self) -> Vec<Payment> {
        (0..self.purchase.payments.len())
            .map(|index| Payment { purchase: Arc::clone(&self.purchase), index, position: self.position })
            .collect()
    }
    /// The buyer's secret: it reads, pays, cancels and follows this booking. Only in placeBooking's answer to the buyer and in
    /// the repetition of that answer under the same key; null everywhere else.
    async fn access_token(&self) -> Option<&str> {
        self.access_token.as_deref()
    }
    async fn position(&self) -> Position {
        self.position.into()
    }
}

/// The right to enter, or what will be it once the booking is paid.
pub struct Ticket {
    booking: Booking,
    index: usize,
}

impl Ticket {
    fn line(&self) -> &domain::Line {
        &self.booking.purchase.lines[self.index]
    }

    /// The code's text; `None` until the booking is confirmed, once it no longer is, and once the ticket was given back.
    fn signed(&self, app: &App) -> Answered<Option<String>> {
        let purchase = &self.booking.purchase;
        let ticket_id = self.line().ticket_id;
        let Some(issued) = purchase.valid_tickets().find(|issued| issued.ticket_id == ticket_id) else {
            return Ok(None);
        };
        Ok(Some(code_of(app, issued)?))
    }
}

/// The text of an issued ticket's code.
///
/// # Errors
/// A [`Fault`] where it cannot be signed.
pub fn code_of(app: &App, issued: &IssuedTicket) -> Result<String, Fault> {
    let code = payload_of(issued).and_then(|payload| app.signer.sign(&payload).map_err(Fault::new));
    code.map_err(|fault| Fault::new(format!("ticket {} cannot be signed: {fault}", issued.ticket_id)))
}

fn payload_of(issued: &IssuedTicket) -> Result<TicketPayload, Fault> {
    Ok(TicketPayload {
        kid: issued.kid,
        event: issued.event_number,
        ticket: issued.number.0,
        category: issued.admission_class,
        rev: issued.revision,
        flags: Flags::from_bits(issued.flags).ok_or_else(|| Fault::new("its flags have no meaning"))?,
        not_before: issued.not_before,
        expires: issued.expires,
    })
}

#[Object]
impl Ticket {
    async fn id(&self) -> ID {
        self.line().ticket_id.into_gql()
    }
    async fn ticket_type(&self, ctx: &Context<'_>) -> Result<TicketType, Failure> {
        let show = self.booking.show(ctx).await?;
        let wanted = self.line().ticket_type_id;
        Ok(TicketType::of(&show, wanted).ok_or_else(|| Fault::new(format!("the show has no ticket type {wanted}")))?)
    }
    async fn seat_id(&self) -> Option<ID> {
        self.line().seat_id.as_ref().map(|seat| ID(seat.0.clone()))
    }
    /// Section, row and number as a person reads them.
    async fn seat_label(&self) -> Option<&str> {
        self.line().seat_label.as_deref()
    }
    async fn price(&self) -> Money {
        self.line().price.into()
    }
    /// Whether it was given back by refundBooking while the booking went on with others: it has no code and lets nobody in any more.
    async fn refunded(&self) -> bool {
        self.booking.purchase.is_revoked(self.line().ticket_id)
    }
    /// The signed text of the QR code; null until the booking is confirmed.
    async fn code(&self, ctx: &Context<'_>) -> Nullable<String> {
        self.signed(app_of(ctx)).transpose()
    }
    /// The QR code: an SVG document, or a PNG in base64.
    async fn qr(
        &self,
        ctx: &Context<'_>,
        #[graphql(default_with = "Some(QrFormat::Svg)")] format: Option<QrFormat>,
    ) -> Nullable<String> {
        let draw = |code: String| match format.unwrap_or(QrFormat::Svg) {
            QrFormat::Svg => qr_svg(&code),
            QrFormat::Png => qr_png(&code).map(|png| STANDARD.encode(png)),
        };
        let code = self.signed(app_of(ctx)).transpose()?;
        Some(code.and_then(|code| draw(code).map_err(|error| Fault::new(error).into())))
    }
}

/// One attempt to pay.
pub struct Payment {
    purchase: Arc<Purchase>,
    index: usize,
    position: i64,
}

impl Payment {
    /// The attempt of that id; `None` where the booking has none.
    pub fn of(answer: BookingAnswer, id: PaymentId) -> Option<Self> {
        let index = answer.purchase.payments.iter().position(|payment| payment.id == id)?;
        Some(Self { position: answer.position, purchase: Arc::new(answer.purchase), index })
    }

    fn attempt(&self) -> &domain::Payment {
        &self.purchase.payments[self.index]
    }
}

#[Object]
impl Payment {
    async fn id(&self) -> ID {
        self.attempt().id.into_gql()
    }
    async fn method(&self) -> PaymentMethod {
        self.attempt().method.into()
    }
    async fn status(&self) -> PaymentStatus {
        self.attempt().status.into()
    }
    async fn amount(&self) -> Money {
        self.attempt().amount.into()
    }
    /// Where the browser goes to pay; null where nothing is left to do.
    async fn redirect_url(&self) -> Option<&str> {
        self.attempt().redirect_url.as_deref().filter(|_| self.attempt().status.is_open())
    }
    async fn position(&self) -> Position {
        self.position.into()
    }
}
