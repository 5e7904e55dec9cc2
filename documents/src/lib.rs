//! What a buyer gets to keep of a purchase: tickets to print, a line in the calendar, mails, a page.
//!
//! Everything is a pure function of a [`Booking`] and what is said beside it: no clock, no network, no randomness, no
//! store. So the same input gives the same bytes, a mail that is sent again is the same mail, and a test needs nothing but
//! values. The one exception is said in its name: [`Templates::with_overrides`] reads a directory, once.
//!
//! Texts from outside (titles, names, addresses) are hostile until they were written: the calendar escapes and folds them, the
//! templates escape them, the PDF draws what its fonts have and a box for the rest, and a subject is one line or an error.
//!
//! # Layout
//!
//! * [`booking`]: the input, plain values; [`Sold`]: what it is made of where there is a domain.
//! * [`locale`]: the two languages, and dates in the words of each.
//! * [`calendar`]: an RFC 5545 file.
//! * [`mail`]: which mails there are, and what each of them knows.
//! * [`templates`]: subject, text and HTML of a mail, and the ticket page, from templates an operator can replace.
//! * [`sample`]: a booking for previews and tests.
//! * [`pdf`]: one page a ticket (feature `pdf`).
//! * [`wallet`]: passes for phones (feature `wallet`).

pub mod booking;
pub mod calendar;
pub mod locale;
pub mod mail;
#[cfg(feature = "pdf")]
pub mod pdf;
pub mod sample;
mod sold;
pub mod templates;
mod text;
#[cfg(feature = "wallet")]
pub mod wallet;

pub use booking::{Booking, Position, Seat, Show, Ticket, Venue};
pub use locale::Locale;
pub use mail::{MailKind, Notice};
pub use sold::Sold;
pub use templates::{Templates, WalletLinks};
