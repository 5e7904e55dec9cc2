//! What a mail says: from the booking as it is in the log to the texts and documents that its buyer gets.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use tickiz_documents::{
    Booking, Notice, Sold, Templates,
    calendar::{CalendarEntry, Person},
    mail::inline_images,
    pdf::tickets_pdf,
};
use tickiz_domain::{
    booking::{IssuedTicket, Purchase},
    event,
    ids::BookingId,
    sealed::Buyer,
};

use super::{
    message::{Attachment, Mail, Mailbox},
    scribe,
};

/// A mail's documents cannot be made; trying again would give the same.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Unwritable(pub String);

/// Everything that a mail tells of.
pub struct Letter<'a> {
    /// Names the mail.
    pub id: String,
    /// When what it tells happened.
    pub date: DateTime<Utc>,
    /// What it tells.
    pub notice: Notice,
    /// The booking's id.
    pub booking_id: BookingId,
    /// The booking.
    pub purchase: &'a Purchase,
    /// The show.
    pub show: &'a event::Show,
    /// Whose it is.
    pub buyer: &'a Buyer,
    /// The tickets with the texts of their codes; empty for a mail that shows none.
    pub tickets: Vec<(&'a IssuedTicket, String)>,
    /// The booking's own page.
    pub link: String,
}

/// Writes mails.
#[derive(Clone)]
pub struct Writer {
    /// What they are written from.
    pub templates: Arc<Templates>,
    /// Who sends them.
    pub from: Mailbox,
}

impl Writer {
    /// The mail, with its pictures and files. Takes some milliseconds of a thread of its own, for the PDF.
    ///
    /// # Errors
    /// When a template or a document cannot be made of it.
    pub async fn write(&self, letter: Letter<'_>) -> Result<Mail, Unwritable> {
        let booking = Booking::of(Sold {
            purchase: letter.purchase,
            show: letter.show,
            tickets: &letter.tickets,
            buyer: Some(&letter.buyer.name),
            organizer: &self.from.name,
            link: &letter.link,
            issued_at: letter.date,
        });
        let to = Mailbox { name: letter.buyer.name.clone(), address: letter.buyer.email.clone() };
        let Letter { id, date, notice, booking_id, .. } = letter;
        let (templates, from) = (self.templates.clone(), self.from.clone());
        let written = scribe::run(move || {
            let failed = |error: &dyn std::fmt::Display| Unwritable(error.to_string());
            let rendered = templates.mail(&notice, &booking).map_err(|error| failed(&error))?;
            let images = inline_images(notice.kind(), &booking).map_err(|error| failed(&error))?;
            let mut attachments = Vec::new();
            if notice.kind().has_codes() {
                let pdf = tickets_pdf(&booking).map_err(|error| failed(&error))?;
                attachments.push(Attachment {
                    file_name: "tickets.pdf",
                    media_type: "application/pdf".to_owned(),
                    bytes: pdf,
                });
                if !booking.show.postponed {
                    attachments.push(calendar(&booking, booking_id, &from)?);
                }
            }
            Ok(Mail {
                id,
                date,
                from,
                to,
                subject: rendered.subject,
                text: rendered.text,
                html: rendered.html,
                images,
                attachments,
                language: booking.locale.tag(),
            })
        });
        written.await.ok_or_else(|| Unwritable("the documents' thread panicked; the log says why".to_owned()))?
    }
}

fn calendar(booking: &Booking, id: BookingId, from: &Mailbox) -> Result<Attachment, Unwritable> {
    let domain = from.address.rsplit_once('@').map_or("localhost", |(_, domain)| domain);
    let organizer = Person { name: from.name.clone(), address: from.address.clone() };
    let entry = CalendarEntry::publish(booking, &format!("{id}@{domain}"), organizer);
    let bytes = entry.to_ics().map_err(|error| Unwritable(error.to_string()))?.into_bytes();
    Ok(Attachment { file_name: "event.ics", media_type: entry.media_type(), bytes })
}
