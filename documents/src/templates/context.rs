//! What a template can name. Everything is text that can be read in the template's language, or none.
//!
//! | name | what |
//! |---|---|
//! | `kind` | the mail's kind, as its files are named; `ticket_page` on the page |
//! | `locale` | `vi` or `en` |
//! | `reference`, `buyer`, `total`, `link` | of the booking; `buyer` and `total` may be none |
//! | `show.title`, `.date`, `.when`, `.ends`, `.doors`, `.zone` | `.when` has day and time; `.ends` and `.doors` may be none |
//! | `show.postponed` | true if there is no date; `.date` and `.when` say so in words |
//! | `show.venue`, `.address`, `.map`, `.organizer`, `.link` | `.address` and `.map` (a link) may be none |
//! | `tickets` | a list: `.number`, `.of`, `.kind`, `.seat`, `.price`, `.holder`, `.code`, `.image`; seat, price, holder may be none |
//! | `tickets[].image` | in a mail the picture's `cid:` link; on the page the picture itself, as SVG |
//! | `held_until`, `amount`, `reason`, `refund`, `before.when`, `before.venue` | of the kinds that know them, else none |
//! | `tickets[].apple_wallet`, `.google_wallet` | on the page: a link, where that wallet is configured, else none |
//! | `style` | the page's style |

use base64::{Engine, engine::general_purpose::STANDARD};
use minijinja::{Value, value::Serde};
use serde::Serialize;
use sha2::{Digest, Sha256};
use tickiz_tickets::qr_svg;

use super::{TemplateError, WalletLinks, builtin, check_size};
use crate::{
    Booking, Locale, Notice, Show,
    mail::content_id,
    text::{one_line, some_line, web_link},
};

#[derive(Serialize)]
struct Context {
    kind: &'static str,
    locale: &'static str,
    reference: String,
    buyer: Option<String>,
    total: Option<String>,
    link: String,
    show: ShowContext,
    tickets: Vec<TicketContext>,
    held_until: Option<String>,
    amount: Option<String>,
    reason: Option<String>,
    refund: Option<String>,
    before: Option<BeforeContext>,
}

#[derive(Serialize)]
struct ShowContext {
    title: String,
    date: String,
    when: String,
    ends: Option<String>,
    doors: Option<String>,
    zone: &'static str,
    postponed: bool,
    venue: String,
    address: Option<String>,
    map: Option<String>,
    organizer: String,
    link: String,
}

#[derive(Serialize)]
struct TicketContext {
    number: usize,
    of: usize,
    kind: String,
    seat: Option<String>,
    price: Option<String>,
    holder: Option<String>,
    code: String,
    image: Value,
    apple_wallet: Option<String>,
    google_wallet: Option<String>,
}

#[derive(Serialize)]
struct BeforeContext {
    when: String,
    venue: String,
}

/// The values of a mail.
pub(super) fn of_mail(notice: &Notice, booking: &Booking) -> Result<Value, TemplateError> {
    let (locale, zone) = (booking.locale, booking.show.time_zone);
    let mut context =
        of_booking(notice.kind().name(), booking, |number, _| Ok(Value::from(format!("cid:{}", content_id(number)))))?;
    match notice {
        Notice::Confirmed | Notice::Reissued | Notice::Reminder => {}
        Notice::Expired { held_until } => context.held_until = Some(locale.date_time(*held_until, zone)),
        Notice::Refunded { amount } => context.amount = Some(one_line(amount)),
        Notice::CancelledShow { reason, refund } => {
            (context.reason, context.refund) = (some_line(reason.as_deref()), some_line(refund.as_deref()));
        }
        Notice::ChangedShow { before } => {
            let when = locale.date_time(before.starts_at, zone);
            context.before = Some(BeforeContext { when, venue: one_line(&before.venue.one_line()) });
        }
        Notice::PostponedShow { reason } => context.reason = some_line(reason.as_deref()),
    }
    // A code that must not be used is not there, whatever the template says.
    if !notice.kind().has_codes() {
        for ticket in &mut context.tickets {
            (ticket.code, ticket.image) = (String::new(), Value::from(""));
        }
    }
    Ok(Value::from(Serde(&context)))
}

/// The values of the ticket page.
pub(super) fn of_page(booking: &Booking, wallets: WalletLinks<'_>) -> Result<Value, TemplateError> {
    // The picture is ours to the last byte: digits and letters of a path that was computed.
    let mut context = of_booking("ticket_page", booking, |_, code| Ok(Value::from_safe_string(qr_svg(code)?)))?;
    for ticket in &mut context.tickets {
        ticket.apple_wallet = wallets.apple.map(|link| link(ticket.number));
        ticket.google_wallet = wallets.google.map(|link| link(ticket.number));
    }
    Ok(Value::from(Serde(&context)))
}

fn of_booking(
    kind: &'static str,
    booking: &Booking,
    image: impl Fn(usize, &str) -> Result<Value, TemplateError>,
) -> Result<Context, TemplateError> {
    check_size(booking)?;
    let of = booking.tickets.len();
    let ticket = |(number, ticket): (usize, &crate::Ticket)| {
        let seat = ticket.seat.as_ref().map(|seat| seat.one_line(booking.locale));
        Ok(TicketContext {
            number,
            of,
            kind: one_line(&ticket.kind),
            seat: some_line(seat.as_deref()),
            price: some_line(ticket.price.as_deref()),
            holder: some_line(ticket.holder.as_deref()),
            code: one_line(&ticket.code),
            image: image(number, &ticket.code)?,
            apple_wallet: None,
            google_wallet: None,
        })
    };
    Ok(Context {
        kind,
        locale: booking.locale.tag(),
        reference: one_line(&booking.reference),
        buyer: some_line(booking.buyer.as_deref()),
        total: some_line(booking.total.as_deref()),
        link: web_link(&booking.link).unwrap_or_default(),
        show: of_show(&booking.show, booking.locale),
        tickets: (1..).zip(&booking.tickets).map(ticket).collect::<Result<_, TemplateError>>()?,
        held_until: None,
        amount: None,
        reason: None,
        refund: None,
        before: None,
    })
}

fn of_show(show: &Show, locale: Locale) -> ShowContext {
    let zone = show.time_zone;
    let announced = || locale.pick("new date to be announced", "ngày mới sẽ được thông báo sau").to_owned();
    let beside = |at| locale.time_beside(at, show.starts_at, zone);
    // A `geo:` link is taken out by web mail, and no phone is without a browser. Nothing is asked of the map until it is pressed.
    let map = |at: crate::Position| {
        let (latitude, longitude) = (at.latitude(), at.longitude());
        format!(
            "https://www.openstreetmap.org/?mlat={latitude:.6}&mlon={longitude:.6}#map=17/{latitude:.6}/{longitude:.6}"
        )
    };
    ShowContext {
        title: one_line(&show.title),
        date: if show.postponed { announced() } else { locale.date(show.starts_at, zone) },
        when: if show.postponed { announced() } else { locale.date_time(show.starts_at, zone) },
        ends: show.ends_at.filter(|_| !show.postponed).map(beside),
        doors: show.doors_at.filter(|_| !show.postponed).map(beside),
        zone: zone.name(),
        postponed: show.postponed,
        venue: one_line(&show.venue.name),
        address: some_line(show.venue.address.as_deref()),
        map: show.venue.position.map(map),
        organizer: one_line(&show.organizer),
        link: web_link(&show.link).unwrap_or_default(),
    }
}

/// What a Content-Security-Policy names the style by (CSP level 3, section 2.3.1).
pub(super) fn style_source(style: &str) -> Result<String, TemplateError> {
    if style.contains("</") || style.contains("<!--") {
        return Err(TemplateError::Style { template: builtin::STYLE.to_owned() });
    }
    Ok(format!("'sha256-{}'", STANDARD.encode(Sha256::digest(style))))
}
