//! Golden examples: one document per domain event type and version in `schemas/golden`, as it would be stored. What was ever
//! written there decodes for ever. With `TICKIZ_BLESS=1` a missing one is written; one that is there is never touched.

use std::{collections::BTreeSet, fs, path::PathBuf};

use tickiz_domain::stored::StoredEvent;

use crate::examples;

pub fn schemas() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../schemas"))
}

pub fn is_blessing() -> bool {
    std::env::var("TICKIZ_BLESS").is_ok_and(|value| value == "1")
}

/// A document without the whitespace between its parts: the golden files are laid out for people, the log's bytes are not.
fn compact(document: &str) -> String {
    let (mut compact, mut in_string, mut escaped) = (String::new(), false, false);
    for c in document.chars() {
        if in_string || !c.is_whitespace() {
            compact.push(c);
        }
        (in_string, escaped) = match c {
            '"' if !escaped => (!in_string, false),
            '\\' => (in_string, !escaped),
            _ => (in_string, false),
        };
    }
    compact
}

/// `Type.v1.json` is the type and its version.
fn named(file: &str) -> (String, i32) {
    let stem = file.strip_suffix(".json").expect("a golden example is a JSON file");
    let (name, version) = stem.rsplit_once(".v").expect("a golden example is named by its type and version");
    (name.to_owned(), version.parse().expect("a version is a number"))
}

fn check<E: StoredEvent + PartialEq>(examples: &[E]) {
    let folder = schemas().join("golden").join(E::STREAM_TYPE.as_str());
    if is_blessing() {
        fs::create_dir_all(&folder).unwrap();
        for event in examples {
            let path = folder.join(format!("{}.v{}.json", event.type_name(), event.version()));
            if !path.exists() {
                fs::write(path, lay_out(event)).unwrap();
            }
        }
    }
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(&folder).expect("there are golden examples") {
        let path = entry.unwrap().path();
        let (name, version) = named(path.file_name().unwrap().to_str().unwrap());
        let document = fs::read_to_string(&path).unwrap();
        let event = E::decode(&name, version, document.as_bytes())
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert_eq!(event.type_name(), name);
        if version == event.version() {
            assert_eq!(
                String::from_utf8(event.payload()).unwrap(),
                compact(&document),
                "{} encodes as it was",
                path.display()
            );
        }
        found.insert((name, version));
    }
    let expected: BTreeSet<(String, i32)> = E::catalogue()
        .into_iter()
        .flat_map(|(name, newest, _)| (1..=newest).map(move |version| (name.to_owned(), version)))
        .collect();
    assert_eq!(found, expected, "one golden example per type and version in {}", folder.display());
}

/// The stored document, laid out for people. The enum is written as `{"type": …, "data": <the document>}`, so that is taken off.
fn lay_out<E: StoredEvent>(event: &E) -> String {
    let whole = serde_json::to_string_pretty(event).unwrap();
    let lines: Vec<&str> = whole.lines().collect();
    let data = &lines[2..lines.len() - 1];
    let document: Vec<&str> = data.iter().map(|line| &line[2..]).collect();
    document.join("\n").strip_prefix("\"data\": ").expect("the document stands under `data`").to_owned() + "\n"
}

#[test]
fn every_golden_example_of_an_event_decodes_and_encodes_as_it_was() {
    check(&examples::of_events());
}

#[test]
fn every_golden_example_of_a_booking_decodes_and_encodes_as_it_was() {
    check(&examples::of_bookings());
}

#[test]
fn every_golden_example_of_a_person_decodes_and_encodes_as_it_was() {
    check(&examples::of_persons());
}
