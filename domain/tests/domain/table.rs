//! Reads the state × command tables out of the doc comments of the `command` modules, so that what is documented is what is
//! tested.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Debug,
};

use tickiz_domain::stored::StoredEvent;

/// One cell: what a command comes to in a state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// These domain events, in order; none where there is nothing to do.
    Events(Vec<String>),
    /// This variant of the aggregate's error.
    Refusal(String),
}

impl Outcome {
    /// What a command really came to.
    pub fn of<E: StoredEvent, R: Debug>(result: &Result<Vec<E>, R>) -> Self {
        match result {
            Ok(events) => Self::Events(events.iter().map(|event| event.type_name().to_owned()).collect()),
            Err(error) => {
                let text = format!("{error:?}");
                Self::Refusal(text.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default().to_owned())
            }
        }
    }
}

/// A cell with its place.
#[derive(Debug)]
pub struct Cell {
    pub state: String,
    pub command: String,
    pub outcome: Outcome,
}

/// Every cell of the tables in a source file's doc comment. Each table has to have exactly these states, in this order, and all
/// together exactly these commands, each once.
pub fn cells(source: &str, states: &[&str], commands: &[&str]) -> Vec<Cell> {
    let docs: Vec<&str> = source.lines().map_while(|line| line.strip_prefix("//!")).map(str::trim).collect();
    let words = words(&docs.join(" "));
    let mut used = BTreeSet::new();
    let mut cells = Vec::new();
    for table in docs.split(|line| !line.starts_with('|')).filter(|table| !table.is_empty()) {
        let rows: Vec<Vec<String>> = table.iter().map(|line| columns(line)).collect();
        assert_eq!(rows[0][0], "state", "a table begins with its states");
        let found: Vec<&str> = rows[2..].iter().map(|row| row[0].as_str()).collect();
        assert_eq!(found, states, "the states of the table {:?}", rows[0]);
        for row in &rows[2..] {
            assert_eq!(row.len(), rows[0].len(), "a row with as many cells as its table: {row:?}");
            for (command, cell) in rows[0].iter().zip(row).skip(1) {
                let outcome = outcome(cell, &words, &mut used);
                cells.push(Cell { state: row[0].clone(), command: command.replace('`', ""), outcome });
            }
        }
    }
    let tried: BTreeSet<&str> = cells.iter().map(|cell| cell.command.as_str()).collect();
    assert_eq!(tried, commands.iter().copied().collect(), "the commands of the tables are those that are tried");
    assert_eq!(cells.len(), states.len() * commands.len(), "every state meets every command once");
    assert_eq!(used, words.keys().cloned().collect(), "every word for an outcome is used");
    cells
}

fn columns(line: &str) -> Vec<String> {
    line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect()
}

/// `**sell** is PaymentSucceeded, BookingConfirmed;` gives the word `sell` its domain events.
fn words(text: &str) -> BTreeMap<String, Vec<String>> {
    text.split("**")
        .skip(1)
        .step_by(2)
        .zip(text.split("**").skip(2).step_by(2))
        .map(|(word, rest)| {
            let list = rest
                .trim_start()
                .strip_prefix("is ")
                .expect("a word in bold is followed by `is` and its domain events");
            let list = list.split([';', '.']).next().unwrap_or_default();
            (word.to_owned(), list.split(',').map(|name| name.trim().to_owned()).collect())
        })
        .collect()
}

fn outcome(cell: &str, words: &BTreeMap<String, Vec<String>>, used: &mut BTreeSet<String>) -> Outcome {
    if cell == "–" {
        return Outcome::Events(Vec::new());
    }
    if let Some(name) = cell.strip_prefix('*').and_then(|name| name.strip_suffix('*')) {
        return Outcome::Refusal(name.to_owned());
    }
    let events = cell.split(',').map(str::trim).flat_map(|name| match words.get(name) {
        Some(events) => {
            used.insert(name.to_owned());
            events.clone()
        }
        None => vec![name.to_owned()],
    });
    Outcome::Events(events.collect())
}
