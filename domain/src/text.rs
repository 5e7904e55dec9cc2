//! Text that people write: lines, longer texts, addresses, and how they are compared, searched and put into a URL.
//!
//! Text is stored in NFC, trimmed, without control characters and without the characters that turn the direction of what
//! follows them, so that it can stand in a mail's header, in a log and beside other text without changing that.

use std::fmt;

use unicode_normalization::{UnicodeNormalization, char::is_combining_mark};

/// The longest local part of an address, in bytes (RFC 5321 section 4.5.3.1.1).
pub const MAX_EMAIL_LOCAL_BYTES: usize = 64;
/// The longest address, in bytes: a path of RFC 5321 section 4.5.3.1.3 without its two angle brackets.
pub const MAX_EMAIL_BYTES: usize = 254;
/// The longest label of a domain, in bytes (RFC 1035 section 2.3.4).
const MAX_LABEL_BYTES: usize = 63;

/// Why a text was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    /// Nothing but white space.
    #[error("it must not be empty or blank")]
    Blank,
    /// Too many characters.
    #[error("it has {found} characters; the most is {max}")]
    TooLong {
        /// How many there are.
        found: usize,
        /// How many are allowed.
        max: usize,
    },
    /// A character that cannot be shown or changes how others are shown.
    #[error("the character U+{:04X} is not allowed (character {position})", u32::from(*found))]
    Character {
        /// The character.
        found: char,
        /// Its place, counted from 1.
        position: usize,
    },
}

/// A text of one line: trimmed, NFC, not blank, at most `max` characters (Unicode scalar values, after NFC).
///
/// # Errors
/// [`TextError`]; line ends are characters that are not allowed.
pub fn validate_line(text: &str, max: usize) -> Result<String, TextError> {
    let line = validate(text, max, |_| false)?;
    if line.is_empty() { Err(TextError::Blank) } else { Ok(line) }
}

/// A text of any number of lines, perhaps empty: trimmed, NFC, line ends as `\n`, at most `max` characters.
///
/// # Errors
/// [`TextError::TooLong`] or [`TextError::Character`]; line ends and tabs are allowed, other control characters are not.
pub fn validate_text(text: &str, max: usize) -> Result<String, TextError> {
    validate(&text.replace("\r\n", "\n"), max, |c| matches!(c, '\n' | '\t'))
}

fn validate(text: &str, max: usize, also_allowed: fn(char) -> bool) -> Result<String, TextError> {
    let from_start = text.trim_start();
    let trimmed = from_start.trim_end();
    // No composed character stands for more than 12 bytes of its parts; looked at first, so that a huge text costs little.
    if trimmed.len() > max.saturating_mul(12) {
        return Err(TextError::TooLong { found: trimmed.chars().count(), max });
    }
    if let Some((at, found)) = trimmed.chars().enumerate().find(|(_, c)| is_unfit(*c) && !also_allowed(*c)) {
        let skipped = text[..text.len() - from_start.len()].chars().count();
        return Err(TextError::Character { found, position: skipped + at + 1 });
    }
    let composed: String = trimmed.nfc().collect();
    let found = composed.chars().count();
    if found > max { Err(TextError::TooLong { found, max }) } else { Ok(composed) }
}

/// Control characters, line and paragraph separators, what turns the direction of the text after it, and what is no character.
pub(crate) const fn is_unfit(c: char) -> bool {
    matches!(
        c,
        '\0'..='\u{1F}' | '\u{7F}'..='\u{9F}' | '\u{2028}' | '\u{2029}' | '\u{202A}'..='\u{202E}'
            | '\u{2066}'..='\u{2069}' | '\u{FEFF}' | '\u{FFFE}' | '\u{FFFF}'
    )
}

/// An e-mail address as it is compared: the buyer of a limit, the scope of an idempotency key. Mail goes to the address as it
/// was given. Identifies a person, so it neither prints nor serialises itself.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct NormalizedEmail(String);

impl NormalizedEmail {
    /// The address, for a hash. Never for a log.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for NormalizedEmail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NormalizedEmail(…)")
    }
}

/// Why an address was refused. Says nothing of the address itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EmailError {
    /// Not exactly one `@`.
    #[error("an e-mail address has exactly one @")]
    At,
    /// The whole is too long.
    #[error("an e-mail address has at most {MAX_EMAIL_BYTES} bytes")]
    TooLong,
    /// What stands before the `@` is empty, too long or has characters that cannot stand there.
    #[error(
        "what stands before the @ must have 1 to {MAX_EMAIL_LOCAL_BYTES} bytes of letters, digits, single dots inside, \
         and !#$%&'*+-/=?^_`{{|}}~"
    )]
    Local,
    /// What stands after the `@` is not a domain.
    #[error("what stands after the @ must be a domain such as example.com")]
    Domain,
}

/// Reads an address and makes it comparable: trimmed, NFC, the whole in lower case.
///
/// The rule is RFC 5321's dot-atom form with RFC 6531's characters beyond ASCII; quoted local parts, address literals and
/// domains without a dot are refused, since nobody's tickets go there. Two writings of one internationalised domain
/// (`münchen.de` and its `xn--` form) count as two.
///
/// # Errors
/// [`EmailError`] says which half is wrong.
pub fn normalize_email(address: &str) -> Result<NormalizedEmail, EmailError> {
    let trimmed = address.trim_matches([' ', '\t']);
    if trimmed.len() > MAX_EMAIL_BYTES {
        return Err(EmailError::TooLong);
    }
    // NFC again, since lower case of a composed letter may be a decomposed one.
    let lower: String = trimmed.nfc().flat_map(char::to_lowercase).nfc().collect();
    if lower.len() > MAX_EMAIL_BYTES {
        return Err(EmailError::TooLong);
    }
    let (local, domain) = lower.split_once('@').ok_or(EmailError::At)?;
    if domain.contains('@') {
        return Err(EmailError::At);
    }
    let is_atom = |atom: &str| !atom.is_empty() && atom.chars().all(is_atom_character);
    if local.len() > MAX_EMAIL_LOCAL_BYTES || !local.split('.').all(is_atom) {
        return Err(EmailError::Local);
    }
    let mut labels = domain.split('.');
    let is_numeric = |label: &str| label.bytes().all(|b| b.is_ascii_digit());
    if !domain.contains('.') || !labels.clone().all(is_label) || labels.next_back().is_none_or(is_numeric) {
        return Err(EmailError::Domain);
    }
    Ok(NormalizedEmail(lower))
}

fn is_atom_character(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c) || is_visible_beyond_ascii(c)
}

fn is_label(label: &str) -> bool {
    (1..=MAX_LABEL_BYTES).contains(&label.len())
        && !label.starts_with('-')
        && !label.ends_with('-')
        && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || is_visible_beyond_ascii(c))
}

fn is_visible_beyond_ascii(c: char) -> bool {
    // Invisible ones would make two addresses that look alike count as two persons.
    let is_invisible = matches!(
        c,
        '\u{AD}' | '\u{34F}' | '\u{61C}' | '\u{115F}' | '\u{1160}' | '\u{17B4}' | '\u{17B5}' | '\u{180B}'..='\u{180F}'
            | '\u{200B}'..='\u{200F}' | '\u{2060}'..='\u{206F}' | '\u{3164}' | '\u{FE00}'..='\u{FE0F}' | '\u{FFA0}'
            | '\u{FFF0}'..='\u{FFFD}' | '\u{E0000}'..='\u{E0FFF}'
    );
    !c.is_ascii() && !c.is_whitespace() && !is_unfit(c) && !is_invisible
}

/// How text is searched: lower case without marks, letters with a stroke as their base letters, white space as single spaces.
/// `dem nhac trinh` finds `Đêm nhạc Trịnh` when both are folded.
#[must_use]
pub fn fold(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    let mut space_before_next = false;
    // NFKD again, since the lower case of a letter may be a decomposed one (İ).
    for c in text.nfkd().flat_map(char::to_lowercase).nfkd().filter(|c| !is_combining_mark(*c)) {
        if c.is_whitespace() || c.is_control() {
            space_before_next = !folded.is_empty();
            continue;
        }
        if std::mem::take(&mut space_before_next) {
            folded.push(' ');
        }
        match base_letters(c) {
            Some(letters) => folded.push_str(letters),
            None => folded.push(c),
        }
    }
    folded
}

/// Letters that Unicode does not decompose and that are searched as others: Vietnamese, Nordic, Slavic, Turkish, Maltese, Sami.
const fn base_letters(c: char) -> Option<&'static str> {
    Some(match c {
        'đ' | 'ð' => "d",
        'ø' => "o",
        'ł' => "l",
        'ħ' => "h",
        'ŧ' => "t",
        'ı' => "i",
        'ŋ' => "ng",
        'ĸ' => "k",
        'ß' => "ss",
        'æ' => "ae",
        'œ' => "oe",
        'þ' => "th",
        'ς' => "σ",
        _ => return None,
    })
}

/// A part of a URL: the folded text's ASCII letters and digits, everything else as single hyphens, at most `max_bytes` long and
/// cut at a hyphen where there is one. Empty where no ASCII letter or digit is left, as with a title in Chinese.
#[must_use]
pub fn slugify(text: &str, max_bytes: usize) -> String {
    let mut slug = String::new();
    for c in fold(text).chars() {
        if c.is_ascii_alphanumeric() {
            slug.push(c);
        } else if c == '\'' || c == '’' {
            // "don't" is one word.
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
    }
    if slug.len() > max_bytes {
        let in_a_word = slug.as_bytes()[max_bytes] != b'-';
        slug.truncate(max_bytes);
        if in_a_word && let Some(end) = slug.rfind('-') {
            slug.truncate(end);
        }
    }
    slug.truncate(slug.trim_end_matches('-').len());
    slug
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn email(address: &str) -> Result<String, EmailError> {
        normalize_email(address).map(|email| email.expose().to_owned())
    }

    #[test]
    fn search_finds_vietnamese_without_marks() {
        assert_eq!(fold("Đêm nhạc Trịnh"), "dem nhac trinh");
        assert_eq!(fold("  Đêm\u{A0}\n nhạc   TRỊNH Công Sơn "), "dem nhac trinh cong son");
        // Composed and decomposed alike.
        assert_eq!(fold(&"Nguyễn Ước".nfd().collect::<String>()), fold("Nguyễn Ước"));
        assert_eq!(
            fold("Straße Øresund Łódź İstanbul ısı Ǿ ﬁn Æon ΟΔΟΣ"),
            "strasse oresund lodz istanbul isi o fin aeon οδοσ"
        );
    }

    #[test]
    fn a_slug_is_ascii_and_cut_between_words() {
        assert_eq!(slugify("Đêm nhạc Trịnh – Công Sơn!", 80), "dem-nhac-trinh-cong-son");
        assert_eq!(slugify("Don't stop", 80), "dont-stop");
        assert_eq!(slugify("one two three", 9), "one-two");
        assert_eq!(slugify("one two three", 7), "one-two");
        assert_eq!(slugify("one two three", 8), "one-two");
        assert_eq!(slugify("onetwothree", 5), "onetw");
        assert_eq!(slugify("音楽の夜", 80), "");
        assert_eq!(slugify("--- 5 ---", 80), "5");
    }

    #[test]
    fn addresses_compare_without_regard_to_case() {
        assert_eq!(email(" Lan.Nguyen+Tickets@Example.COM\t").as_deref(), Ok("lan.nguyen+tickets@example.com"));
        assert_eq!(email("JÜRGEN@MÜNCHEN.DE"), email("ju\u{308}rgen@mu\u{308}nchen.de"));
        assert_eq!(email("o'hara!#$%&*/=?^_`{|}~@a-b.example").as_deref(), Ok("o'hara!#$%&*/=?^_`{|}~@a-b.example"));
        assert_eq!(email("1@2.3.example").as_deref(), Ok("1@2.3.example"));
    }

    #[test]
    fn what_is_no_address_is_refused_by_its_half() {
        for (address, error) in [
            ("", EmailError::At),
            ("lan", EmailError::At),
            ("a@b@example.com", EmailError::At),
            ("@example.com", EmailError::Local),
            (".a@example.com", EmailError::Local),
            ("a..b@example.com", EmailError::Local),
            ("a.@example.com", EmailError::Local),
            ("a b@example.com", EmailError::Local),
            ("a\r\nBcc: x@example.com", EmailError::Local),
            ("a\u{0}@example.com", EmailError::Local),
            ("a\u{200B}b@example.com", EmailError::Local),
            ("\"a b\"@example.com", EmailError::Local),
            ("Lan <lan@example.com>", EmailError::Local),
            ("a@", EmailError::Domain),
            ("a@localhost", EmailError::Domain),
            ("a@example.", EmailError::Domain),
            ("a@.com", EmailError::Domain),
            ("a@-x.com", EmailError::Domain),
            ("a@x-.com", EmailError::Domain),
            ("a@ex_ample.com", EmailError::Domain),
            ("a@exa mple.com", EmailError::Domain),
            ("a@example.com\n", EmailError::Domain),
            ("a@127.0.0.1", EmailError::Domain),
            ("a@[127.0.0.1]", EmailError::Domain),
            ("a@example\u{3000}.com", EmailError::Domain),
            ("lan＠example.com", EmailError::At),
        ] {
            assert_eq!(email(address), Err(error), "{address:?}");
        }
        assert_eq!(email(&format!("{}@example.com", "a".repeat(65))), Err(EmailError::Local));
        assert!(email(&format!("{}@example.com", "a".repeat(64))).is_ok());
        assert_eq!(email(&format!("a@{}.com", "b".repeat(64))), Err(EmailError::Domain));
        assert_eq!(email(&format!("a@{}com", "b.".repeat(126))), Err(EmailError::TooLong));
    }

    #[test]
    fn an_address_never_prints_itself() {
        assert!(!format!("{:?}", normalize_email("lan@example.com")).contains("lan"));
    }

    #[test]
    fn a_line_is_trimmed_composed_and_bounded() {
        assert_eq!(validate_line("  Đêm nha\u{323}c \r\n", 8).as_deref(), Ok("Đêm nhạc"));
        assert_eq!(validate_line("Đêm nhạc", 7), Err(TextError::TooLong { found: 8, max: 7 }));
        assert_eq!(validate_line(" \t\u{3000}\n", 10), Err(TextError::Blank));
        assert_eq!(validate_line("", 10), Err(TextError::Blank));
        assert_eq!(validate_line("a\nb", 10), Err(TextError::Character { found: '\n', position: 2 }));
        assert_eq!(validate_line("\nab\nc", 10), Err(TextError::Character { found: '\n', position: 4 }));
        assert_eq!(validate_line("a\u{202E}b", 10), Err(TextError::Character { found: '\u{202E}', position: 2 }));
        assert_eq!(validate_line("a\0", 10), Err(TextError::Character { found: '\0', position: 2 }));
        assert!(matches!(validate_line(&"x".repeat(1_000_000), 200), Err(TextError::TooLong { found: 1_000_000, .. })));
        // An emoji made of several keeps its joiners.
        assert_eq!(validate_line("👩‍🎤", 3).as_deref(), Ok("👩‍🎤"));
    }

    #[test]
    fn a_text_keeps_its_lines() {
        assert_eq!(validate_text("a\r\nb\n\n\tc\n", 10).as_deref(), Ok("a\nb\n\n\tc"));
        assert_eq!(validate_text("", 10).as_deref(), Ok(""));
        assert!(matches!(validate_text("a\u{1B}[31m", 10), Err(TextError::Character { position: 2, .. })));
    }

    proptest! {
        #[test]
        fn folding_and_normalising_twice_is_once(text in any::<String>()) {
            prop_assert_eq!(fold(&fold(&text)), fold(&text));
            if let Ok(line) = validate_line(&text, 1_000) {
                prop_assert_eq!(validate_line(&line, 1_000), Ok(line));
            }
            if let Ok(lines) = validate_text(&text, 1_000) {
                prop_assert_eq!(validate_text(&lines, 1_000), Ok(lines));
            }
        }

        #[test]
        fn an_accepted_address_is_its_own_normal_form(address in "[a-zàéđơưñж.A-ZĐÉ+]{1,9}@[a-zàéđ.A-Z-]{1,9}\\.[a-z]{2}") {
            if let Ok(normal) = email(&address) {
                prop_assert_eq!(email(&normal), Ok(normal.clone()));
                prop_assert_eq!(email(&address.to_uppercase()), Ok(normal));
            }
        }

        #[test]
        fn a_slug_is_clean_and_bounded(text in any::<String>(), max in 1_usize..60) {
            let slug = slugify(&text, max);
            prop_assert!(slug.len() <= max);
            prop_assert!(slug.bytes().all(|b| b == b'-' || b.is_ascii_digit() || b.is_ascii_lowercase()));
            prop_assert!(!slug.starts_with('-') && !slug.ends_with('-') && !slug.contains("--"));
        }

        #[test]
        fn no_text_makes_an_address_panic(text in any::<String>()) {
            let _ = normalize_email(&text);
        }
    }
}
