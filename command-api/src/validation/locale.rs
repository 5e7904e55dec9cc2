//! Languages by BCP 47 (RFC 5646): whether a tag is well-formed, and its canonical writing.
//!
//! Well-formed, not valid: the registry of subtags changes, and who asks for a language that we have no texts in gets the
//! default. The irregular grandfathered tags of section 2.1 (`i-klingon` and the like) are not taken: each has a modern form.

use super::limits::MAX_LOCALE_CHARS;

/// Reads a language tag and writes it as RFC 5646 section 2.1.1 recommends: `vi-vn` becomes `vi-VN`. `None` where it is not
/// well-formed or has more than [`MAX_LOCALE_CHARS`] characters.
#[must_use]
pub fn canonical(tag: &str) -> Option<String> {
    if tag.len() > MAX_LOCALE_CHARS || !tag.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
        return None;
    }
    let subtags: Vec<&str> = tag.split('-').collect();
    if subtags.iter().any(|subtag| subtag.is_empty() || subtag.len() > 8) {
        return None;
    }
    let rest = language(&subtags)?;
    if !are_extensions(rest) {
        return None;
    }
    Some(written(&subtags))
}

const fn is_alpha(subtag: &str) -> bool {
    let bytes = subtag.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        if !bytes[at].is_ascii_alphabetic() {
            return false;
        }
        at += 1;
    }
    true
}

fn is_digits(subtag: &str) -> bool {
    subtag.bytes().all(|b| b.is_ascii_digit())
}

fn is_variant(subtag: &str) -> bool {
    subtag.len() >= 5 || (subtag.len() == 4 && subtag.as_bytes()[0].is_ascii_digit())
}

/// Takes language, extended language, script, region and variants from the front; what is left must be extensions.
fn language<'t, 's>(subtags: &'s [&'t str]) -> Option<&'s [&'t str]> {
    let (first, mut rest) = subtags.split_first()?;
    if first.eq_ignore_ascii_case("x") {
        return Some(subtags);
    }
    if first.len() < 2 || !is_alpha(first) {
        return None;
    }
    if first.len() <= 3 {
        let extended = rest.iter().take(3).take_while(|s| s.len() == 3 && is_alpha(s)).count();
        rest = &rest[extended..];
    }
    if rest.first().is_some_and(|s| s.len() == 4 && is_alpha(s)) {
        rest = &rest[1..];
    }
    if rest.first().is_some_and(|s| (s.len() == 2 && is_alpha(s)) || (s.len() == 3 && is_digits(s))) {
        rest = &rest[1..];
    }
    let variants = rest.iter().take_while(|s| is_variant(s)).count();
    let lower: Vec<String> = rest[..variants].iter().map(|s| s.to_ascii_lowercase()).collect();
    let has_twice = (1..lower.len()).any(|at| lower[..at].contains(&lower[at]));
    (!has_twice).then_some(&rest[variants..])
}

/// Whether these are extensions, each a singleton that comes once and at least one subtag, and perhaps private use at the end.
fn are_extensions(mut subtags: &[&str]) -> bool {
    let mut seen = Vec::new();
    while let Some((singleton, rest)) = subtags.split_first() {
        if singleton.len() != 1 {
            return false;
        }
        if singleton.eq_ignore_ascii_case("x") {
            return !rest.is_empty();
        }
        let length = rest.iter().take_while(|s| s.len() >= 2).count();
        let singleton = singleton.to_ascii_lowercase();
        if length == 0 || seen.contains(&singleton) {
            return false;
        }
        seen.push(singleton);
        subtags = &rest[length..];
    }
    true
}

fn written(subtags: &[&str]) -> String {
    let mut after_singleton = false;
    let cased = subtags.iter().enumerate().map(|(at, subtag)| {
        let lower = subtag.to_ascii_lowercase();
        let plain = at == 0 || after_singleton;
        after_singleton |= subtag.len() == 1;
        match lower.len() {
            2 if !plain => lower.to_ascii_uppercase(),
            4 if !plain && is_alpha(subtag) => lower[..1].to_ascii_uppercase() + &lower[1..],
            _ => lower,
        }
    });
    cased.collect::<Vec<_>>().join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn well_formed_tags_are_written_canonically() {
        for (tag, wanted) in [
            ("vi", "vi"),
            ("vi-vn", "vi-VN"),
            ("VI-VN", "vi-VN"),
            ("zh-hant-tw", "zh-Hant-TW"),
            ("zh-cmn-Hans-CN", "zh-cmn-Hans-CN"),
            ("es-419", "es-419"),
            ("sl-rozaj-biske", "sl-rozaj-biske"),
            ("de-CH-1901", "de-CH-1901"),
            ("en-u-ca-buddhist", "en-u-ca-buddhist"),
            ("de-DE-x-PRIVATE", "de-DE-x-private"),
            ("x-whatever", "x-whatever"),
            ("yue", "yue"),
        ] {
            assert_eq!(canonical(tag).as_deref(), Some(wanted), "{tag}");
        }
    }

    #[test]
    fn what_is_not_well_formed_is_refused() {
        for tag in [
            "",
            "v",
            "vi_VN",
            "vi-",
            "-vi",
            "vi--VN",
            "vi-VN-",
            "123",
            "vi VN",
            "tiếng",
            "en-a",
            "en-x",
            "en-a-bb-a-cc",
            "abcdefghi",
            "de-1901-1901",
            "vi\u{0}",
            "vi-VN\r\nBcc: x",
            "en-US-US",
            "i-klingon",
            "en-x-aaaaaaaa-aaaaaaaa-aaaaaaaa-aaaaaaaa",
        ] {
            assert_eq!(canonical(tag), None, "{tag:?}");
        }
    }
}
