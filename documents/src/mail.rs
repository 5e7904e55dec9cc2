//! Which mails there are, and what each of them knows beyond the booking.

use chrono::{DateTime, Utc};
use tickiz_tickets::{QrError, qr_png};

use crate::{Booking, Venue};

/// A kind of mail. Each has a subject, a text and an HTML body in each language.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MailKind {
    /// The booking is paid, here are the tickets.
    Confirmed,
    /// Tickets were issued anew: here are the new codes, those so far let nobody in any more.
    Reissued,
    /// The hold ran out before it was paid.
    Expired,
    /// Money went back.
    Refunded,
    /// The show will not be.
    CancelledShow,
    /// The show has another time or another place.
    ChangedShow,
    /// The show was put off, without a new date.
    PostponedShow,
    /// The show is soon.
    Reminder,
}

impl MailKind {
    /// Every kind.
    pub const ALL: [Self; 8] = [
        Self::Confirmed,
        Self::Reissued,
        Self::Expired,
        Self::Refunded,
        Self::CancelledShow,
        Self::ChangedShow,
        Self::PostponedShow,
        Self::Reminder,
    ];

    /// The name of its templates' files, without what follows the dot.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Confirmed => "confirmed",
            Self::Reissued => "reissued",
            Self::Expired => "expired",
            Self::Refunded => "refunded",
            Self::CancelledShow => "cancelled_show",
            Self::ChangedShow => "changed_show",
            Self::PostponedShow => "postponed_show",
            Self::Reminder => "reminder",
        }
    }

    /// Whether the mail shows the tickets' codes. No other does: a code that was refunded or may yet change has no place in a
    /// mail that somebody opens at the gate.
    #[must_use]
    pub const fn has_codes(self) -> bool {
        matches!(self, Self::Confirmed | Self::Reissued | Self::Reminder)
    }
}

/// A mail's kind with what it tells beyond the booking. Money is text with its currency, ready to be read.
#[derive(Clone, Debug, PartialEq)]
pub enum Notice {
    /// [`MailKind::Confirmed`].
    Confirmed,
    /// [`MailKind::Reissued`]: the booking has the tickets that were issued anew.
    Reissued,
    /// [`MailKind::Expired`].
    Expired {
        /// Until when the places were kept.
        held_until: DateTime<Utc>,
    },
    /// [`MailKind::Refunded`].
    Refunded {
        /// How much went back.
        amount: String,
    },
    /// [`MailKind::CancelledShow`].
    CancelledShow {
        /// What the organizer says of it.
        reason: Option<String>,
        /// How much will go back; none if nothing was paid.
        refund: Option<String>,
    },
    /// [`MailKind::ChangedShow`]: the booking has the new time and place.
    ChangedShow {
        /// The old ones.
        before: Before,
    },
    /// [`MailKind::PostponedShow`]: the booking's show is `postponed`, its date the old one.
    PostponedShow {
        /// What the organizer says of it.
        reason: Option<String>,
    },
    /// [`MailKind::Reminder`].
    Reminder,
}

/// Time and place of a show before they were changed.
#[derive(Clone, Debug, PartialEq)]
pub struct Before {
    /// When it was to begin.
    pub starts_at: DateTime<Utc>,
    /// Where it was to be.
    pub venue: Venue,
}

impl Notice {
    /// Its kind.
    #[must_use]
    pub const fn kind(&self) -> MailKind {
        match self {
            Self::Confirmed => MailKind::Confirmed,
            Self::Reissued => MailKind::Reissued,
            Self::Expired { .. } => MailKind::Expired,
            Self::Refunded { .. } => MailKind::Refunded,
            Self::CancelledShow { .. } => MailKind::CancelledShow,
            Self::ChangedShow { .. } => MailKind::ChangedShow,
            Self::PostponedShow { .. } => MailKind::PostponedShow,
            Self::Reminder => MailKind::Reminder,
        }
    }
}

/// A picture that the HTML body shows, as a part of the mail: `data:` is blocked by Gmail, and pictures from elsewhere are
/// hidden.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InlineImage {
    /// For the header `Content-ID`, without the angle brackets.
    pub content_id: String,
    /// For `Content-Disposition: inline`.
    pub file_name: String,
    /// The picture, `image/png`, black on white with its quiet zone.
    pub png: Vec<u8>,
}

/// The content id of a ticket's QR code, counted from 1. Unique within the mail, which is all that RFC 2392 needs of one that
/// nothing outside the mail refers to.
pub(crate) fn content_id(number: usize) -> String {
    format!("ticket-{number}@tickiz")
}

/// The QR codes of the tickets, in their order; nothing for a kind that shows none ([`MailKind::has_codes`]).
///
/// # Errors
/// [`QrError`]: a code is too long for a picture.
pub fn inline_images(kind: MailKind, booking: &Booking) -> Result<Vec<InlineImage>, QrError> {
    let shown = if kind.has_codes() { &booking.tickets[..] } else { &[] };
    let image = |(number, ticket): (usize, &crate::Ticket)| {
        let png = qr_png(&ticket.code)?;
        Ok(InlineImage { content_id: content_id(number), file_name: format!("ticket-{number}.png"), png })
    };
    (1..).zip(shown).map(image).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Locale, sample};

    #[test]
    fn a_notice_is_of_its_kind() {
        for kind in MailKind::ALL {
            assert_eq!(sample::notice(kind, Locale::En).kind(), kind);
        }
    }

    #[test]
    fn only_who_may_use_his_tickets_is_sent_their_codes() {
        let booking = sample::booking(Locale::En);
        for kind in MailKind::ALL {
            let images = inline_images(kind, &booking).unwrap();
            assert_eq!(images.len(), if kind.has_codes() { booking.tickets.len() } else { 0 });
            for image in images {
                assert!(image.png.starts_with(b"\x89PNG\r\n\x1a\n"));
            }
        }
    }
}
