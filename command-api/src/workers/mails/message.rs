//! A mail as bytes: RFC 5322 with RFC 2045 (quoted-printable) and RFC 2047 (encoded words).
//!
//! No value from outside can begin a new header: every control character in a header becomes a space before it is written.

use base64::{Engine, engine::general_purpose::STANDARD};
use chrono::{DateTime, Utc};

/// The longest encoded word (RFC 2047 section 2).
const MAX_ENCODED_WORD_CHARS: usize = 75;
/// How many bytes of text fit into one: `=?utf-8?B?…?=` has 12 characters around it, and base64 makes four of three.
const ENCODED_WORD_BYTES: usize = (MAX_ENCODED_WORD_CHARS - 12) / 4 * 3;
/// The longest line of quoted-printable, without CRLF (RFC 2045 section 6.7).
const MAX_LINE_CHARS: usize = 76;

/// Somebody who sends or gets mail.
#[derive(Clone, PartialEq, Eq)]
pub struct Mailbox {
    /// The name, if one is known.
    pub name: String,
    /// The address.
    pub address: String,
}

/// A mail of plain text.
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
    /// The text; lines end with `\n`.
    pub text: String,
    /// BCP 47: the language of the text.
    pub language: &'static str,
}

impl Mail {
    /// The whole mail, lines ending with CRLF.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let domain = self.from.address.rsplit_once('@').map_or("localhost", |(_, domain)| domain);
        let headers = [
            ("Date", self.date.to_rfc2822()),
            ("From", mailbox(&self.from)),
            ("To", mailbox(&self.to)),
            ("Subject", text_value(&self.subject, "Subject: ".len())),
            ("Message-ID", format!("<{}@{}>", self.id, one_line(domain))),
            ("MIME-Version", "1.0".to_owned()),
            ("Auto-Submitted", "auto-generated".to_owned()),
            // Stops mail programs from folding the tickets of two bookings into one thread.
            ("X-Entity-Ref-ID", self.id.clone()),
            ("Content-Language", self.language.to_owned()),
            ("Content-Type", "text/plain; charset=utf-8".to_owned()),
            ("Content-Transfer-Encoding", "quoted-printable".to_owned()),
        ];
        let mut mail = String::new();
        for (name, value) in headers {
            mail.push_str(name);
            mail.push_str(": ");
            mail.push_str(&value);
            mail.push_str("\r\n");
        }
        mail.push_str("\r\n");
        mail.push_str(&quoted_printable(&self.text));
        mail.into_bytes()
    }
}

/// Without control characters, line breaks of any alphabet among them.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') { ' ' } else { c }).collect()
}

/// A text as a header's value: as it is where that is safe and short, else as encoded words, folded.
fn text_value(text: &str, before: usize) -> String {
    let text = one_line(text);
    let plain = text.bytes().all(|b| (b' '..=b'~').contains(&b)) && !text.contains("=?") && before + text.len() <= 78;
    if plain { text } else { encoded_words(&text) }
}

fn encoded_words(text: &str) -> String {
    let mut words = Vec::new();
    let mut word = String::new();
    for c in text.chars() {
        // A word may not end inside a character (RFC 2047 section 5).
        if word.len() + c.len_utf8() > ENCODED_WORD_BYTES {
            words.push(std::mem::take(&mut word));
        }
        word.push(c);
    }
    words.push(word);
    let encoded: Vec<String> = words.iter().map(|word| format!("=?utf-8?B?{}?=", STANDARD.encode(word))).collect();
    encoded.join("\r\n ")
}

fn mailbox(mailbox: &Mailbox) -> String {
    // An address was validated when it came; what could end it early is taken out all the same.
    let address: String = one_line(&mailbox.address).chars().filter(|c| !matches!(c, ' ' | '<' | '>' | ',')).collect();
    let name = one_line(&mailbox.name);
    let name = name.trim();
    if name.is_empty() {
        return format!("<{address}>");
    }
    let safe = |c: char| c.is_ascii_alphanumeric() || matches!(c, ' ' | '-' | '_' | '\'');
    let name = if name.chars().all(safe) && name.len() <= 60 { format!("\"{name}\"") } else { encoded_words(name) };
    format!("{name}\r\n <{address}>")
}

/// RFC 2045 section 6.7: line breaks as CRLF, everything beyond printable ASCII as `=XX`, no line above 76 characters.
fn quoted_printable(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len() * 2);
    for line in text.lines() {
        let line = line.trim_end_matches('\r');
        let mut width = 0;
        let mut bytes = line.bytes().peekable();
        while let Some(byte) = bytes.next() {
            let ends_line = bytes.peek().is_none();
            let literal = matches!(byte, b'!'..=b'<' | b'>'..=b'~') || (matches!(byte, b' ' | b'\t') && !ends_line);
            let wide = if literal { 1 } else { 3 };
            // The last place of a line is kept for the soft break.
            if width + wide > MAX_LINE_CHARS - 1 {
                encoded.push_str("=\r\n");
                width = 0;
            }
            if literal {
                encoded.push(char::from(byte));
            } else {
                encoded.push_str(&format!("={byte:02X}"));
            }
            width += wide;
        }
        encoded.push_str("\r\n");
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mail(subject: &str, name: &str, text: &str) -> String {
        let mail = Mail {
            id: "id-1".to_owned(),
            date: DateTime::from_timestamp(1_800_000_000, 0).unwrap(),
            from: Mailbox { name: "Tickiz".to_owned(), address: "tickets@example.com".to_owned() },
            to: Mailbox { name: name.to_owned(), address: "lan@example.com".to_owned() },
            subject: subject.to_owned(),
            text: text.to_owned(),
            language: "en",
        };
        String::from_utf8(mail.to_bytes()).unwrap()
    }

    #[test]
    fn no_value_begins_a_header_of_its_own() {
        for hostile in
            ["Show\r\nBcc: all@example.com", "Show\nBcc: x", "Show\rBcc: x", "Show\u{2028}Bcc: x", "Show\u{85}Bcc: x"]
        {
            let bytes = mail(hostile, hostile, "text\n");
            let (head, _) = bytes.split_once("\r\n\r\n").unwrap();
            for line in head.split("\r\n") {
                assert!(!line.to_ascii_lowercase().starts_with("bcc"), "{head}");
                assert!(!line.contains(['\r', '\n']), "{head}");
            }
        }
    }

    #[test]
    fn a_header_beyond_ascii_is_made_of_short_words_that_say_the_same() {
        let subject =
            "Vé của bạn cho Đêm nhạc Trịnh Công Sơn ở Nhà hát Lớn Hà Nội 🎵🎵🎵🎵🎵🎵🎵🎵🎵🎵🎵🎵🎵🎵🎵🎵🎵🎵";
        let bytes = mail(subject, "Nguyễn Thị Lan", "text\n");
        let head = bytes.split_once("\r\n\r\n").unwrap().0.replace("\r\n ", " ");
        let value = head.lines().find_map(|line| line.strip_prefix("Subject: ")).unwrap();
        let mut read = Vec::new();
        for word in value.split(' ') {
            assert!(word.len() <= MAX_ENCODED_WORD_CHARS, "{word}");
            let inside = word.strip_prefix("=?utf-8?B?").and_then(|word| word.strip_suffix("?=")).unwrap();
            let text = STANDARD.decode(inside).unwrap();
            assert!(std::str::from_utf8(&text).is_ok(), "no word ends inside a character");
            read.extend(text);
        }
        assert_eq!(String::from_utf8(read).unwrap(), subject);
        assert!(bytes.split("\r\n").all(|line| line.len() <= 998));
    }

    #[test]
    fn a_text_is_the_same_after_quoted_printable() {
        let long = "TKZ1:".to_owned() + &"A7".repeat(72);
        let text = format!("Giá: 200000 VND = hết \n{long}\n.\nFrom here\n");
        let body = mail("s", "n", &text).split_once("\r\n\r\n").unwrap().1.to_owned();
        assert!(body.split("\r\n").all(|line| line.len() <= MAX_LINE_CHARS && line.is_ascii() && !line.ends_with(' ')));
        let mut bytes = Vec::new();
        let mut rest = body.replace("=\r\n", "").replace("\r\n", "\n");
        while let Some(at) = rest.find('=') {
            bytes.extend_from_slice(&rest.as_bytes()[..at]);
            bytes.push(u8::from_str_radix(&rest[at + 1..at + 3], 16).unwrap());
            rest = rest[at + 3..].to_owned();
        }
        bytes.extend_from_slice(rest.as_bytes());
        assert_eq!(String::from_utf8(bytes).unwrap(), text);
    }
}
