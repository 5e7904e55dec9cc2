//! The words of a GraphQL document, one at a time, with their places.
//!
//! The lexical grammar is that of the GraphQL specification, September 2025 edition, section 2.1. Nothing is allocated but
//! the text of string values, and work is linear in the document's length.

use std::borrow::Cow;

use async_graphql::Pos;

/// One word of a document.
#[derive(Clone, Debug, PartialEq)]
pub enum Token<'a> {
    /// `! $ & ( ) : = @ [ ] { | }`.
    Punctuator(u8),
    /// `...`.
    Spread,
    /// A name, or a keyword where the grammar says so.
    Name(&'a str),
    /// A number without fraction and exponent, as it is written.
    Int(&'a str),
    /// A number with either, as it is written.
    Float(&'a str),
    /// A string's value, its escapes resolved.
    Text(Cow<'a, str>),
    /// The document's end.
    End,
}

impl Token<'_> {
    /// How it reads in a message.
    pub fn describe(&self) -> String {
        match self {
            Self::Punctuator(byte) => format!("\"{}\"", char::from(*byte)),
            Self::Spread => "\"...\"".to_owned(),
            Self::Name(name) => format!("\"{}\"", excerpt(name)),
            Self::Int(number) | Self::Float(number) => excerpt(number),
            Self::Text(_) => "a string".to_owned(),
            Self::End => "the end of the document".to_owned(),
        }
    }
}

/// The beginning of a text that came from outside, short enough for a message.
pub fn excerpt(text: &str) -> String {
    const CHARS: usize = 40;
    let mut short: String = text.chars().take(CHARS).collect();
    if text.chars().nth(CHARS).is_some() {
        short.push('…');
    }
    short
}

/// What is wrong with the text, and where.
#[derive(Debug)]
pub struct LexicalFault {
    /// What is wrong.
    pub message: String,
    /// Where.
    pub pos: Pos,
}

/// Cuts a document into words.
pub struct Lexer<'a> {
    source: &'a str,
    at: usize,
    line: usize,
    /// The column of `measured`, counted in characters from 1.
    column: usize,
    /// The byte up to which `line` and `column` are counted.
    measured: usize,
}

impl<'a> Lexer<'a> {
    pub const fn new(source: &'a str) -> Self {
        Self { source, at: 0, line: 1, column: 1, measured: 0 }
    }

    fn rest(&self) -> &'a str {
        &self.source[self.at..]
    }

    fn byte(&self, ahead: usize) -> Option<u8> {
        self.source.as_bytes().get(self.at + ahead).copied()
    }

    /// The place of the current byte. Counts on from the last place asked for, so that all places together cost one pass.
    fn pos(&mut self) -> Pos {
        for (offset, character) in self.source[self.measured..self.at].char_indices() {
            let followed_by_newline = self.source.as_bytes().get(self.measured + offset + 1) == Some(&b'\n');
            match character {
                '\r' if followed_by_newline => {}
                '\n' | '\r' => {
                    self.line += 1;
                    self.column = 1;
                }
                _ => self.column += 1,
            }
        }
        self.measured = self.at;
        Pos { line: self.line, column: self.column }
    }

    fn fault<T>(&mut self, message: impl Into<String>) -> Result<T, LexicalFault> {
        Err(LexicalFault { message: message.into(), pos: self.pos() })
    }

    fn skip_ignored(&mut self) {
        loop {
            match self.byte(0) {
                Some(b' ' | b'\t' | b'\n' | b'\r' | b',') => self.at += 1,
                Some(b'#') => {
                    let comment = self.rest();
                    self.at += comment.find(['\n', '\r']).unwrap_or(comment.len());
                }
                Some(0xEF) if self.rest().starts_with('\u{feff}') => self.at += '\u{feff}'.len_utf8(),
                _ => return,
            }
        }
    }

    /// The next word and its place.
    pub fn next(&mut self) -> Result<(Token<'a>, Pos), LexicalFault> {
        self.skip_ignored();
        let pos = self.pos();
        let Some(byte) = self.byte(0) else { return Ok((Token::End, pos)) };
        let token = match byte {
            b'!' | b'$' | b'&' | b'(' | b')' | b':' | b'=' | b'@' | b'[' | b']' | b'{' | b'|' | b'}' => {
                self.at += 1;
                Token::Punctuator(byte)
            }
            b'.' if self.rest().starts_with("...") => {
                self.at += 3;
                Token::Spread
            }
            b'_' | b'a'..=b'z' | b'A'..=b'Z' => Token::Name(self.name()),
            b'-' | b'0'..=b'9' => self.number()?,
            b'"' if self.rest().starts_with("\"\"\"") => Token::Text(Cow::Owned(self.block_string()?)),
            b'"' => Token::Text(self.string()?),
            _ => {
                let character = self.rest().chars().next().unwrap_or_default();
                return self.fault(format!("the character {character:?} cannot stand here"));
            }
        };
        Ok((token, pos))
    }

    fn name(&mut self) -> &'a str {
        let rest = self.rest();
        let len = rest.bytes().take_while(|b| b.is_ascii_alphanumeric() || *b == b'_').count();
        self.at += len;
        &rest[..len]
    }

    fn digits(&mut self) -> usize {
        let len = self.rest().bytes().take_while(u8::is_ascii_digit).count();
        self.at += len;
        len
    }

    fn number(&mut self) -> Result<Token<'a>, LexicalFault> {
        let rest = self.rest();
        let start = self.at;
        if self.byte(0) == Some(b'-') {
            self.at += 1;
        }
        let leading_zero = self.byte(0) == Some(b'0');
        match self.digits() {
            0 => return self.fault("a digit must follow the minus sign"),
            2.. if leading_zero => return self.fault("a number has no leading zeros"),
            _ => {}
        }
        let mut float = false;
        if self.byte(0) == Some(b'.') {
            float = true;
            self.at += 1;
            if self.digits() == 0 {
                return self.fault("a digit must follow the decimal point");
            }
        }
        if matches!(self.byte(0), Some(b'e' | b'E')) {
            float = true;
            self.at += 1;
            if matches!(self.byte(0), Some(b'+' | b'-')) {
                self.at += 1;
            }
            if self.digits() == 0 {
                return self.fault("an exponent needs a digit");
            }
        }
        if self.byte(0).is_some_and(|b| b == b'.' || b == b'_' || b.is_ascii_alphanumeric()) {
            return self.fault("a number must end before a name or another point begins");
        }
        let text = &rest[..self.at - start];
        Ok(if float { Token::Float(text) } else { Token::Int(text) })
    }

    fn string(&mut self) -> Result<Cow<'a, str>, LexicalFault> {
        self.at += 1;
        let start = self.at;
        let mut value = String::new();
        let mut plain_from = start;
        loop {
            match self.byte(0) {
                None | Some(b'\n' | b'\r') => return self.fault("a string is not closed on its line"),
                Some(b'"') => {
                    let plain = &self.source[plain_from..self.at];
                    self.at += 1;
                    if plain_from == start {
                        return Ok(Cow::Borrowed(plain));
                    }
                    value.push_str(plain);
                    return Ok(Cow::Owned(value));
                }
                Some(b'\\') => {
                    value.push_str(&self.source[plain_from..self.at]);
                    value.push(self.escape()?);
                    plain_from = self.at;
                }
                Some(byte) if byte < 0x20 && byte != b'\t' => {
                    return self.fault("a control character in a string must be written as an escape");
                }
                Some(_) => self.at += 1,
            }
        }
    }

    /// One escape, the backslash included.
    fn escape(&mut self) -> Result<char, LexicalFault> {
        let simple = match self.byte(1) {
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => {
                self.at += 2;
                return self.unicode_escape();
            }
            _ => return self.fault("there is no such escape in a string"),
        };
        self.at += 2;
        Ok(simple)
    }

    /// `XXXX`, a surrogate pair `XXXX\uXXXX`, or `{X…}`, after `\u`.
    fn unicode_escape(&mut self) -> Result<char, LexicalFault> {
        const WRONG: &str = "a Unicode escape is \\uXXXX, a pair of surrogates, or \\u{X…} of a character that exists";
        let hex = |text: Option<&str>| {
            text.filter(|t| !t.is_empty() && t.bytes().all(|b| b.is_ascii_hexdigit()))
                .and_then(|t| u32::from_str_radix(t, 16).ok())
        };
        if self.byte(0) == Some(b'{') {
            let closed = self.rest().bytes().take(10).position(|b| b == b'}');
            let character = hex(closed.and_then(|end| self.rest().get(1..end))).and_then(char::from_u32);
            let (Some(end), Some(character)) = (closed, character) else { return self.fault(WRONG) };
            self.at += end + 1;
            return Ok(character);
        }
        let Some(unit) = hex(self.rest().get(..4)) else { return self.fault(WRONG) };
        if let Some(character) = char::from_u32(unit) {
            self.at += 4;
            return Ok(character);
        }
        let low = self.rest().get(4..6).filter(|prefix| *prefix == "\\u").and_then(|_| hex(self.rest().get(6..10)));
        let pair = low.filter(|low| (0xD800..0xDC00).contains(&unit) && (0xDC00..0xE000).contains(low));
        let character = pair.and_then(|low| char::from_u32(0x1_0000 + ((unit - 0xD800) << 10) + (low - 0xDC00)));
        let Some(character) = character else { return self.fault(WRONG) };
        self.at += 10;
        Ok(character)
    }

    fn block_string(&mut self) -> Result<String, LexicalFault> {
        self.at += 3;
        let mut raw = String::new();
        loop {
            let rest = self.rest();
            if rest.starts_with("\"\"\"") {
                self.at += 3;
                return Ok(dedent(&raw));
            }
            if rest.starts_with("\\\"\"\"") {
                raw.push_str("\"\"\"");
                self.at += 4;
                continue;
            }
            match rest.chars().next() {
                None => return self.fault("a block string is not closed"),
                Some(c) if c < ' ' && !matches!(c, '\t' | '\n' | '\r') => {
                    return self.fault("a control character cannot stand in a block string");
                }
                Some(c) => {
                    raw.push(c);
                    self.at += c.len_utf8();
                }
            }
        }
    }
}

/// `BlockStringValue` of the specification: the common indentation and the empty lines at both ends are no part of it.
fn dedent(raw: &str) -> String {
    let unified = raw.replace("\r\n", "\n").replace('\r', "\n");
    let indent_of = |line: &str| line.bytes().take_while(|b| matches!(b, b' ' | b'\t')).count();
    let blank = |line: &str| indent_of(line) == line.len();
    let lines: Vec<&str> = unified.split('\n').collect();
    let common = lines.iter().skip(1).filter(|line| !blank(line)).map(|line| indent_of(line)).min().unwrap_or(0);
    let cut: Vec<&str> = lines
        .iter()
        .enumerate()
        .map(|(i, line)| if i == 0 { line } else { line.get(common..).unwrap_or("") })
        .collect();
    let first = cut.iter().position(|line| !blank(line)).unwrap_or(cut.len());
    let last = cut.iter().rposition(|line| !blank(line)).map_or(first, |i| i + 1);
    cut[first..last].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(source: &str) -> Result<Vec<Token<'_>>, LexicalFault> {
        let mut lexer = Lexer::new(source);
        let mut words = Vec::new();
        loop {
            match lexer.next()?.0 {
                Token::End => return Ok(words),
                token => words.push(token),
            }
        }
    }

    #[test]
    fn strings_keep_every_character_that_unicode_has() {
        let text = |source: &str| match words(source).unwrap().remove(0) {
            Token::Text(text) => text.into_owned(),
            other => panic!("{other:?}"),
        };
        assert_eq!(text(r#""Đêm nhạc \u0110 \uD83D\uDE00 \u{1F600} \"\\\/\n""#), "Đêm nhạc Đ 😀 😀 \"\\/\n");
        assert_eq!(text("\"\"\"\n    one\n      two\n\n    \"\"\""), "one\n  two");
        assert_eq!(text("\"\"\"say \\\"\"\" loud\"\"\""), "say \"\"\" loud");
        assert_eq!(text("\"\""), "");
    }

    #[test]
    fn what_is_no_word_is_refused_and_never_panics() {
        for source in [
            "\"\\uD83D\"",
            "\"\\uD83D\\u0041\"",
            "\"\\uDE00\"",
            "\"\\u{110000}\"",
            "\"\\u{}\"",
            "\"\\u12\"",
            "\"\\x\"",
            "\"open",
            "\"a\nb\"",
            "\"\"\"open",
            "\"\u{0}\"",
            "\u{0}",
            "{a}\u{0}",
            "..",
            "01",
            "-",
            "1.",
            "1e",
            "1a",
            "1.2.3",
            "😀",
            "%",
            "\"\\",
            "\"\\u{12345678901}\"",
            "\"\\uD83D\\u",
            "\"\"\"\u{1}\"\"\"",
        ] {
            assert!(words(source).is_err(), "{source:?}");
        }
    }

    #[test]
    fn places_are_counted_in_lines_and_characters() {
        assert_eq!(Lexer::new("").next().unwrap().1, Pos { line: 1, column: 1 });
        let mut lexer = Lexer::new("# đđ\r\n  a\rb \"đ\" c");
        let places: Vec<_> = std::iter::from_fn(|| match lexer.next().unwrap() {
            (Token::End, _) => None,
            (_, pos) => Some((pos.line, pos.column)),
        })
        .collect();
        assert_eq!(places, [(2, 3), (3, 1), (3, 3), (3, 7)]);
    }
}
