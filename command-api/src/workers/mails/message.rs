//! A mail as bytes: RFC 5322 and MIME, by lettre.
//!
//! The same mail has the same bytes whenever it is made: its date is that of what it tells, its Message-ID and the boundaries between
//! its parts come from its id. The parts are nested as `multipart/mixed` (attachments) over `multipart/alternative` (text, HTML) over
//! `multipart/related` (HTML, its pictures), which is what mail programs agree on. No value from outside can begin a new header:
//! control characters become spaces here, and lettre encodes the rest.

use std::time::SystemTime;

use chrono::{DateTime, Utc};
use lettre::{
    Address, Message,
    message::{
        Attachment as Part, Mailbox as Written, MultiPart, SinglePart,
        header::{ContentTransferEncoding, ContentType, HeaderName, HeaderValue},
    },
};
use tickiz_documents::mail::InlineImage;

/// Somebody who sends or gets mail.
#[derive(Clone, PartialEq, Eq)]
pub struct Mailbox {
    /// The name, if one is known.
    pub name: String,
    /// The address.
    pub address: String,
}

/// A file that comes with a mail.
#[derive(Clone, PartialEq, Eq)]
pub struct Attachment {
    /// What it is called.
    pub file_name: &'static str,
    /// Its MIME type.
    pub media_type: String,
    /// What is in it.
    pub bytes: Vec<u8>,
}

/// A mail.
#[derive(Clone, PartialEq, Eq)]
pub struct Mail {
    /// Names it for ever: the same mail, sent again, has the same id. Safe as a file's name and left of a Message-ID's `@`.
    pub id: String,
    /// When what it tells happened.
    pub date: DateTime<Utc>,
    /// Who sends it.
    pub from: Mailbox,
    /// Who gets it.
    pub to: Mailbox,
    /// What it is about, in one line.
    pub subject: String,
    /// All of it as plain text; lines end with `\n`.
    pub text: String,
    /// All of it as HTML.
    pub html: String,
    /// The pictures of the HTML.
    pub images: Vec<InlineImage>,
    /// Files that come with it.
    pub attachments: Vec<Attachment>,
    /// BCP 47: the language of the text.
    pub language: &'static str,
}

/// Why a mail cannot be written, ever.
#[derive(Debug, thiserror::Error)]
pub enum MailError {
    /// An address that mail goes to by nobody's rules. It is not repeated here, since this goes into logs.
    #[error("the address is none that mail goes to")]
    Address,
    /// A type that is none.
    #[error("{0} is no media type")]
    MediaType(String),
    /// The parts do not make a mail.
    #[error("the mail cannot be written: {0}")]
    Message(#[from] lettre::error::Error),
}

impl Mail {
    /// The whole mail, lines ending with CRLF.
    ///
    /// # Errors
    /// When an address or a type is none.
    pub fn to_bytes(&self) -> Result<Vec<u8>, MailError> {
        let domain = self.from.address.rsplit_once('@').map_or("localhost", |(_, domain)| domain);
        let message = Message::builder()
            .date(SystemTime::from(self.date))
            .from(written(&self.from)?)
            .to(written(&self.to)?)
            .subject(one_line(&self.subject))
            .message_id(Some(format!("<{}@{}>", self.id, one_line(domain))))
            .raw_header(header("Auto-Submitted", "auto-generated"))
            // Stops mail programs from folding the tickets of two bookings into one thread.
            .raw_header(header("X-Entity-Ref-ID", &self.id))
            .raw_header(header("Content-Language", self.language));
        let text = part(ContentType::TEXT_PLAIN, &self.text);
        let html = part(ContentType::TEXT_HTML, &self.html);
        let mut alternative = MultiPart::alternative().boundary(self.boundary("alternative")).singlepart(text);
        alternative = if self.images.is_empty() {
            alternative.singlepart(html)
        } else {
            let mut related = MultiPart::related().boundary(self.boundary("related")).singlepart(html);
            for image in &self.images {
                let part = Part::new_inline_with_name(image.content_id.clone(), image.file_name.clone());
                related = related.singlepart(part.body(image.png.clone(), media_type("image/png")?));
            }
            alternative.multipart(related)
        };
        if self.attachments.is_empty() {
            return Ok(message.multipart(alternative)?.formatted());
        }
        let mut mixed = MultiPart::mixed().boundary(self.boundary("mixed")).multipart(alternative);
        for attachment in &self.attachments {
            let part = Part::new(attachment.file_name.to_owned());
            mixed = mixed.singlepart(part.body(attachment.bytes.clone(), media_type(&attachment.media_type)?));
        }
        Ok(message.multipart(mixed)?.formatted())
    }

    /// What stands between parts: `=_` is in no line of quoted-printable or base64 (RFC 2045 section 6.7).
    fn boundary(&self, level: &str) -> String {
        format!("=_{level}_{}", self.id)
    }
}

fn part(of: ContentType, text: &str) -> SinglePart {
    SinglePart::builder().header(of).header(ContentTransferEncoding::QuotedPrintable).body(text.to_owned())
}

fn media_type(text: &str) -> Result<ContentType, MailError> {
    ContentType::parse(text).map_err(|_| MailError::MediaType(text.to_owned()))
}

fn header(name: &'static str, value: &str) -> HeaderValue {
    let name = HeaderName::new_from_ascii_str(name);
    HeaderValue::new(name, one_line(value))
}

fn written(mailbox: &Mailbox) -> Result<Written, MailError> {
    let address: Address = mailbox.address.parse().map_err(|_| MailError::Address)?;
    let name = one_line(&mailbox.name);
    let name = name.trim();
    Ok(Written::new((!name.is_empty()).then(|| name.to_owned()), address))
}

/// Without control characters, line breaks of any alphabet among them.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mail(subject: &str, name: &str) -> Mail {
        Mail {
            id: "id-1".to_owned(),
            date: DateTime::from_timestamp(1_800_000_000, 0).unwrap(),
            from: Mailbox { name: "Tickiz".to_owned(), address: "tickets@example.com".to_owned() },
            to: Mailbox { name: name.to_owned(), address: "lan@example.com".to_owned() },
            subject: subject.to_owned(),
            text: "Giá: 200000 VND = hết\n.\nFrom here\n".to_owned(),
            html: "<p>Giá</p>".to_owned(),
            images: vec![InlineImage {
                content_id: "ticket-1@tickiz".to_owned(),
                file_name: "ticket-1.png".to_owned(),
                png: vec![1, 2, 3],
            }],
            attachments: vec![Attachment {
                file_name: "tickets.pdf",
                media_type: "application/pdf".to_owned(),
                bytes: b"%PDF".to_vec(),
            }],
            language: "vi",
        }
    }

    #[test]
    fn no_value_begins_a_header_of_its_own() {
        for hostile in
            ["Show\r\nBcc: all@example.com", "Show\nBcc: x", "Show\rBcc: x", "Show\u{2028}Bcc: x", "Show\u{85}Bcc: x"]
        {
            let bytes = String::from_utf8(mail(hostile, hostile).to_bytes().unwrap()).unwrap();
            let (head, _) = bytes.split_once("\r\n\r\n").unwrap();
            for line in head.split("\r\n") {
                assert!(!line.to_ascii_lowercase().starts_with("bcc"), "{head}");
                assert!(!line.contains(['\r', '\n']) && line.len() <= 998 && line.is_ascii(), "{head}");
            }
        }
    }

    #[test]
    fn a_mail_has_its_parts_in_order_and_the_same_bytes_each_time() {
        let mail = mail("Vé của bạn cho Đêm nhạc Trịnh Công Sơn ở Nhà hát Lớn Hà Nội", "Nguyễn Thị Lan");
        let bytes = mail.to_bytes().unwrap();
        assert_eq!(bytes, mail.to_bytes().unwrap());
        let text = String::from_utf8(bytes).expect("a mail is ASCII");
        let order = [
            "Message-ID: <id-1@example.com>",
            "Auto-Submitted: auto-generated",
            "multipart/mixed",
            "multipart/alternative",
            "text/plain; charset=utf-8",
            "multipart/related",
            "text/html; charset=utf-8",
            "Content-ID: <ticket-1@tickiz>",
            "attachment; filename=\"tickets.pdf\"",
            "application/pdf",
        ];
        let mut from = 0;
        for wanted in order {
            let at = text[from..].find(wanted);
            from += at.unwrap_or_else(|| panic!("no {wanted} after {from} in {text}"));
        }
        assert!(text.split("\r\n").all(|line| line.len() <= 998 && line.is_ascii()));
        assert!(text.contains("Content-Language: vi"));
    }

    #[test]
    fn an_address_that_is_none_is_said_without_it() {
        let mut mail = mail("s", "n");
        mail.to.address = "lan@@example".to_owned();
        let error = mail.to_bytes().unwrap_err().to_string();
        assert!(!error.contains("lan"), "{error}");
    }
}
