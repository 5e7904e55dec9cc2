//! Searching by words.
//!
//! Text and question are both folded ([`tickiz_domain::text::fold`]), so that `dem nhac trinh` finds `Đêm nhạc Trịnh`. Every
//! word of the question must stand somewhere in title, description, venue or city; it may be a part of a longer word, since
//! people search while they type and many languages write no spaces. A word that begins a word of the title counts most.

use tickiz_domain::{event::Show, text::fold};

/// The most words that are looked for. Each is a pass over the text of every show that can be listed; nobody who looks for a
/// show types more.
pub const MAX_SEARCH_WORDS: usize = 12;

/// What a word counts that begins a word of the title.
pub(crate) const BEGINS_TITLE_WORD: i64 = 100;
/// What a word counts that stands within a word of the title.
pub(crate) const WITHIN_TITLE: i64 = 10;
/// What a word counts that begins a word elsewhere; one within a word elsewhere counts nothing.
pub(crate) const BEGINS_WORD: i64 = 1;

/// What is between two words in the stored text, and before the first.
const GAP: char = ' ';

/// The words of a question, folded, each once, in order. Runs of letters and digits are words; where a piece between spaces has
/// none (`!!!`), it is a word as it is.
#[must_use]
pub fn search_words(text: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    for piece in fold(text).split_whitespace() {
        let mut runs = piece.split(|c: char| !c.is_alphanumeric()).filter(|run| !run.is_empty()).peekable();
        let found: Vec<&str> = if runs.peek().is_some() { runs.collect() } else { vec![piece] };
        for word in found {
            if !words.iter().any(|known| known == word) {
                words.push(word.to_owned());
            }
        }
    }
    words
}

/// Text as it is stored for searching: folded, with a gap before every word, so that "begins a word" is the word with a gap
/// before it. What is no letter or digit stays, behind a gap of its own.
#[must_use]
pub(crate) fn searchable(parts: &[&str]) -> String {
    let mut stored = String::new();
    for part in parts {
        let mut in_word = false;
        for c in fold(part).chars() {
            if c.is_whitespace() {
                in_word = false;
                continue;
            }
            // Signs keep together with signs, letters with letters: `ac/dc` is stored as ` ac / dc`.
            let is_letter = c.is_alphanumeric();
            let joins = in_word && stored.chars().next_back().is_some_and(|last| last.is_alphanumeric() == is_letter);
            if !joins {
                stored.push(GAP);
            }
            stored.push(c);
            in_word = true;
        }
    }
    stored
}

/// The title as it is searched.
pub(crate) fn title_text(show: &Show) -> String {
    searchable(&[&show.title])
}

/// Everything that is searched, the title included.
pub(crate) fn search_text(show: &Show) -> String {
    searchable(&[&show.title, &show.description, &show.venue.name, &show.venue.city])
}

/// A city as cities are compared: whole, without regard to case, with its marks.
#[must_use]
pub fn city_key(city: &str) -> String {
    use unicode_normalization::UnicodeNormalization;
    // By way of the upper case, so that ß and SS, ς and Σ meet.
    let folded: String = city.trim().nfc().flat_map(char::to_uppercase).flat_map(char::to_lowercase).nfc().collect();
    folded.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_found_without_marks_and_signs() {
        assert_eq!(search_words(" Đêm nhạc  TRỊNH đêm "), ["dem", "nhac", "trinh"]);
        assert_eq!(search_words("AC/DC !!! rock'n'roll"), ["ac", "dc", "!!!", "rock", "n", "roll"]);
        assert!(search_words(" \t ").is_empty());
    }

    #[test]
    fn stored_text_has_a_gap_before_every_word() {
        assert_eq!(searchable(&["Đêm nhạc", "AC/DC: live!!"]), " dem nhac ac / dc : live !!");
        assert_eq!(searchable(&["", " "]), "");
        for word in search_words("AC/DC live!! !!") {
            assert!(searchable(&["AC/DC: live!!"]).contains(&format!(" {word}")), "{word}");
        }
    }

    #[test]
    fn cities_compare_whole_and_without_regard_to_case() {
        assert_eq!(city_key("  HÀ NỘI "), city_key("Hà  nội"));
        assert_eq!(city_key("Gießen"), city_key("GIESSEN"));
        assert_ne!(city_key("Hà Nội"), city_key("Ha Noi"));
        assert_ne!(city_key("Hà Nội"), city_key("Nội"));
    }
}
