//! The examples of a document: its fenced blocks, its commands, and whether an answer has the shape that is printed.

use std::collections::BTreeMap;

use serde_json::Value;

/// A fenced block.
#[derive(Debug)]
pub struct Block {
    /// What stands behind the fence, such as `graphql organizer`.
    pub kind: String,
    pub text: String,
    /// Of its first line, counted from 1.
    pub line: usize,
}

/// The fenced blocks of a document, in order.
pub fn blocks(document: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    for (number, line) in document.lines().enumerate() {
        match (line.strip_prefix("```"), open.as_mut()) {
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (Some(kind), None) => open = Some(Block { kind: kind.to_owned(), text: String::new(), line: number + 2 }),
            (None, Some(block)) => {
                block.text.push_str(line);
                block.text.push('\n');
            }
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "a block is not closed");
    blocks
}

/// What words in capitals stand for, as earlier answers gave it.
#[derive(Default, Debug)]
pub struct Known(BTreeMap<String, String>);

impl Known {
    /// From now on that word stands for this.
    pub fn set(&mut self, word: &str, value: &str) {
        self.0.insert(word.to_owned(), value.to_owned());
    }

    /// The text with every word replaced. Words are whole ones: `NEW_EVENT` is not `EVENT`.
    pub fn filled(&self, text: &str) -> String {
        let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let mut filled = String::new();
        let mut rest = text;
        while let Some(begin) = rest.find(is_part) {
            let (before, word) = rest.split_at(begin);
            let (word, after) = word.split_at(word.find(|c| !is_part(c)).unwrap_or(word.len()));
            filled.push_str(before);
            filled.push_str(self.0.get(word).map_or(word, String::as_str));
            rest = after;
        }
        filled + rest
    }

    /// Compares an answer with what is printed: the same fields, of the same types, in objects that are nested alike; words in
    /// capitals are the very same, where `words` does not have them. Those that it has are learnt.
    ///
    /// # Errors
    /// Where they differ, and how.
    pub fn compare(&mut self, printed: &Value, real: &Value, words: &[&str], at: &str) -> Result<(), String> {
        match (printed, real) {
            (Value::Object(printed), Value::Object(real)) => {
                // What is printed as {} may be any object.
                if printed.is_empty() {
                    return Ok(());
                }
                let names = |map: &serde_json::Map<String, Value>| map.keys().cloned().collect::<Vec<_>>();
                if let Some(name) = names(real).iter().find(|name| !printed.contains_key(*name)) {
                    return Err(format!("{at}.{name} is not printed"));
                }
                for (name, value) in printed {
                    let found = real.get(name).ok_or_else(|| format!("{at}.{name} is printed, and does not come"))?;
                    self.compare(value, found, words, &format!("{at}.{name}"))?;
                }
                Ok(())
            }
            (Value::Array(printed), Value::Array(real)) => {
                let Some(first) = printed.first() else {
                    return if real.is_empty() {
                        Ok(())
                    } else {
                        Err(format!("{at} is printed without anything in it"))
                    };
                };
                if real.is_empty() {
                    return Err(format!("{at} has nothing in it"));
                }
                // The first one last: it is what words are learnt from.
                real.iter().rev().try_for_each(|real| self.compare(first, real, words, &format!("{at}[]")))
            }
            (Value::String(printed), Value::String(real)) if words.contains(&printed.as_str()) => {
                self.set(printed, real);
                Ok(())
            }
            (Value::String(printed), Value::String(real)) if is_name(printed) && printed != real => {
                Err(format!("{at} is {real}, and {printed} is printed"))
            }
            _ if std::mem::discriminant(printed) == std::mem::discriminant(real) => Ok(()),
            _ => Err(format!("{at} is {real}, and {printed} is printed")),
        }
    }
}

/// A value of an enum, or a currency: said as it is, not by way of example.
fn is_name(text: &str) -> bool {
    text.len() > 1 && text.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_')
}

/// A command line of the simple kind that documents have, as words. Quotes are honoured, a comment ends it.
pub fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    for letter in line.chars() {
        match (quote, letter) {
            (Some(open), letter) if letter == open => quote = None,
            (Some(_), letter) => word.get_or_insert_default().push(letter),
            (None, '\'' | '"') => {
                quote = Some(letter);
                word.get_or_insert_default();
            }
            (None, '#') if word.is_none() => break,
            (None, letter) if letter.is_whitespace() => words.extend(word.take()),
            (None, letter) => word.get_or_insert_default().push(letter),
        }
    }
    words.extend(word);
    words
}

/// A POST as `curl` is told to send it.
#[derive(Debug, Default, PartialEq)]
pub struct Curl {
    pub url: String,
    pub headers: Vec<(String, String)>,
    pub body: Option<String>,
}

/// What a `curl` command sends; `None` where the line is another command.
pub fn curl(line: &str) -> Option<Curl> {
    let mut rest = words(line).into_iter();
    if rest.next()? != "curl" {
        return None;
    }
    let mut curl = Curl::default();
    while let Some(word) = rest.next() {
        let mut value = || rest.next().unwrap_or_else(|| panic!("{word} of curl needs a value: {line}"));
        match word.as_str() {
            "-s" => {}
            "-H" => {
                let header = value();
                let (name, value) = header.split_once(": ").unwrap_or_else(|| panic!("no header: {header}"));
                curl.headers.push((name.to_owned(), value.to_owned()));
            }
            "-d" => curl.body = Some(value()),
            _ if word.starts_with('-') => panic!("the test does not know {word} of curl yet"),
            _ => curl.url = word,
        }
    }
    Some(curl)
}
