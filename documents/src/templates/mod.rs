//! Subject, text and HTML of a mail, and the ticket page, from templates.
//!
//! The built-in templates are `documents/templates/<locale>/<name>.{subject,txt,html}`, with what both languages share in
//! `shared/`; they are part of the program. A directory of the same shape replaces them file by file. The language is that
//! of MiniJinja (Jinja 2); the values that a template has are those that `templates/README.md` lists, in the words of its
//! language already.
//!
//! A mistake shows at start-up and not in a buyer's mail: [`Templates::with_overrides`] renders every template with two
//! sample bookings, one that has everything and one that has only what it must, and refuses the directory with the file and
//! the line. A file that replaces nothing is a mistake too, most often in its name. While mails go out nothing is read
//! again; who changes a template starts the program anew.
//!
//! # Why nothing gets in or out
//!
//! * `.html` is escaped; `.txt` and `.subject` have no syntax to break but the line, and a subject of two lines is an error.
//! * A name that is not there is an error, never an empty place, and so is writing what is none.
//! * Steps, and with them bytes, have a limit ([`FUEL`]), so that a loop in a template costs a mail and not the worker.
//! * No template has a function that reads files or the environment, and includes are looked up among these templates only.

mod builtin;
mod context;
mod error;

use std::{collections::BTreeMap, path::Path};

use minijinja::{
    AutoEscape, Environment, Error, ErrorKind, UndefinedBehavior, Value, escape_formatter, syntax::SyntaxConfig,
};

pub use error::TemplateError;

use crate::{Booking, Locale, MailKind, Notice, booking::MAX_TICKETS, sample};

/// The most steps of one rendering: instructions, and blocks of bytes that are written. A mail with two tickets takes some
/// 350, the page with [`MAX_TICKETS`] some 45,000; a loop that never ends is stopped after a fraction of a second.
pub const FUEL: u64 = 500_000;
/// The largest file of a template in bytes. The built-in ones have less than 3,000.
pub const MAX_TEMPLATE_BYTES: u64 = 256 * 1024;
/// The most characters of a subject. RFC 5322 allows lines of 998; nobody is shown more than some 80.
pub const MAX_SUBJECT_CHARS: usize = 250;

/// A mail, ready to be sent but for its headers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RenderedMail {
    /// One line.
    pub subject: String,
    /// The plain text; lines end with `\n`. Says everything that the HTML says.
    pub text: String,
    /// The HTML. Shows the pictures of [`crate::mail::inline_images`].
    pub html: String,
}

/// Where a ticket of that number, counted from 1, is put into a wallet; `None` where that wallet is not configured.
#[derive(Clone, Copy, Default)]
pub struct WalletLinks<'a> {
    /// Apple's.
    pub apple: Option<&'a dyn Fn(usize) -> String>,
    /// Google's.
    pub google: Option<&'a dyn Fn(usize) -> String>,
}

/// A page that stands alone: no script, nothing from elsewhere, one style element.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TicketPage {
    /// The whole document.
    pub html: String,
    /// What a Content-Security-Policy must allow for the style element: `'sha256-…'` with its quotes. So
    /// `default-src 'none'; style-src <this>` is enough.
    pub style_source: String,
}

/// Every template, parsed and tried.
#[derive(Debug)]
pub struct Templates {
    environment: Environment<'static>,
    style_source: String,
}

impl Templates {
    /// The built-in templates.
    ///
    /// # Errors
    /// [`TemplateError`]; a test of this crate renders all of them, so this is for the types alone.
    pub fn built_in() -> Result<Self, TemplateError> {
        Self::from_files(builtin::files())
    }

    /// The built-in templates, with those files replaced that are in `directory`. Read now and never again.
    ///
    /// # Errors
    /// [`TemplateError`]: a file cannot be read, replaces nothing, is not a template, or does not render with the sample data.
    pub fn with_overrides(directory: &Path) -> Result<Self, TemplateError> {
        let mut files = builtin::files();
        builtin::replace_from(directory, &mut files)?;
        Self::from_files(files)
    }

    fn from_files(files: BTreeMap<String, String>) -> Result<Self, TemplateError> {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_fuel(Some(FUEL));
        environment.set_auto_escape_callback(
            |name| {
                if name.ends_with(".html") { AutoEscape::Html } else { AutoEscape::None }
            },
        );
        // None is there, and all the same not what a reader should see.
        environment.set_formatter(|out, state, value| {
            if value.is_none() {
                return Err(Error::new(
                    ErrorKind::InvalidOperation,
                    "this may be none; ask with {% if %} before it is written",
                ));
            }
            escape_formatter(out, state, value)
        });
        // A line that is only a tag leaves no empty line in a text.
        let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
        environment.set_syntax(syntax.map_err(|error| TemplateError::broken("syntax", &error))?);
        // As a browser reads it (HTML, "preprocessing the input stream"), or the hash would be of something else.
        let style = files[builtin::STYLE].replace("\r\n", "\n").replace('\r', "\n");
        let style_source = context::style_source(&style)?;
        environment.add_global("style", Value::from_safe_string(style));
        for (name, source) in files {
            if name != builtin::STYLE {
                environment
                    .add_template_owned(name.clone(), source)
                    .map_err(|error| TemplateError::broken(&name, &error))?;
            }
        }
        let templates = Self { environment, style_source };
        for locale in Locale::ALL {
            for booking in [sample::booking(locale), sample::bare_booking(locale)] {
                for kind in MailKind::ALL {
                    templates.mail(&sample::notice(kind, locale), &booking)?;
                    templates.mail(&sample::bare_notice(kind, locale), &booking)?;
                }
                templates.ticket_page(&booking, WalletLinks::default())?;
            }
        }
        Ok(templates)
    }

    /// A mail, in the booking's language.
    ///
    /// # Errors
    /// [`TemplateError`].
    pub fn mail(&self, notice: &Notice, booking: &Booking) -> Result<RenderedMail, TemplateError> {
        let context = context::of_mail(notice, booking)?;
        let render = |extension: &str| {
            let name = format!("{}/{}.{extension}", booking.locale.tag(), notice.kind().name());
            self.render(&name, &context).map(|text| (name, text))
        };
        let (name, subject) = render("subject")?;
        let text = format!("{}\n", render("txt")?.1.trim_end());
        Ok(RenderedMail { subject: one_subject(&name, &subject)?, text, html: render("html")?.1 })
    }

    /// The page with all tickets of a booking, in its language: to show at the gate, to print, or to put into a wallet.
    ///
    /// # Errors
    /// [`TemplateError`].
    pub fn ticket_page(&self, booking: &Booking, wallets: WalletLinks<'_>) -> Result<TicketPage, TemplateError> {
        let context = context::of_page(booking, wallets)?;
        let html = self.render(&format!("{}/ticket_page.html", booking.locale.tag()), &context)?;
        Ok(TicketPage { html, style_source: self.style_source.clone() })
    }

    /// A mail with sample data: what an operator sees who changes a template.
    ///
    /// # Errors
    /// [`TemplateError`].
    pub fn preview(&self, kind: MailKind, locale: Locale) -> Result<RenderedMail, TemplateError> {
        self.mail(&sample::notice(kind, locale), &sample::booking(locale))
    }

    fn render(&self, name: &str, context: &Value) -> Result<String, TemplateError> {
        let rendered = self.environment.get_template(name).and_then(|template| template.render(context));
        rendered.map_err(|error| TemplateError::broken(name, &error))
    }
}

/// A subject as it was rendered, without the line break that ends its file. A break anywhere else would begin a header of its own
/// in the mail.
fn one_subject(template: &str, rendered: &str) -> Result<String, TemplateError> {
    let subject = rendered.trim_matches(['\n', '\r', ' ']);
    let breaks = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
    if subject.is_empty() || subject.contains(breaks) {
        return Err(TemplateError::Subject { template: template.to_owned() });
    }
    let mut short: String = subject.chars().take(MAX_SUBJECT_CHARS).collect();
    if short.len() < subject.len() {
        short.pop();
        short.push('…');
    }
    Ok(short)
}

/// More tickets than a document has.
fn check_size(booking: &Booking) -> Result<(), TemplateError> {
    let tickets = booking.tickets.len();
    if tickets > MAX_TICKETS { Err(TemplateError::TooManyTickets { tickets }) } else { Ok(()) }
}

#[cfg(test)]
mod tests;
