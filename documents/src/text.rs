//! Texts from outside, made fit for one line.

use unicode_normalization::UnicodeNormalization;

/// One line in Unicode's composed form (NFC): every run of white space and control characters, line breaks of any alphabet among
/// them, becomes one space, and what steers the direction of text is left out, since it could turn round what stands beside it.
pub(crate) fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for c in text.nfc() {
        if c.is_whitespace() || c.is_control() {
            if !line.is_empty() && !line.ends_with(' ') {
                line.push(' ');
            }
        } else if !steers_direction(c) {
            line.push(c);
        }
    }
    line.truncate(line.trim_end().len());
    line
}

/// A link that leads to a page, or none: `javascript:` is harmless in no document, however well it is escaped.
pub(crate) fn web_link(link: &str) -> Option<String> {
    let link: String = link.chars().filter(|c| !c.is_control() && !c.is_whitespace()).collect();
    let scheme = link.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase());
    matches!(scheme.as_deref(), Some("https" | "http")).then_some(link)
}

/// UAX #9's explicit formatting characters.
const fn steers_direction(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Nothing if there is nothing to read.
pub(crate) fn some_line(text: Option<&str>) -> Option<String> {
    text.map(one_line).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_one_line() {
        assert_eq!(one_line(" a\r\n\tb\u{2028}c\u{85}d\0e "), "a b c d e");
        assert_eq!(one_line("\u{202e}evil\u{2069}"), "evil");
        assert_eq!(some_line(Some(" \n")), None);
    }

    #[test]
    fn a_link_leads_to_a_page_or_nowhere() {
        assert_eq!(web_link(" HTTPS://tickiz.example/a\r\nb ").as_deref(), Some("HTTPS://tickiz.example/ab"));
        for link in ["", "javascript:alert(1)", "javascript://https://x", "data:text/html,x", "/b/1", "java\nscript:x"]
        {
            assert_eq!(web_link(link), None);
        }
    }

    #[test]
    fn what_was_written_in_pieces_is_composed() {
        assert_eq!(one_line("Nguye\u{302}\u{303}n"), "Nguyễn");
    }
}
