//! The schema that is served is the one that clients rely on, and what is generated from the code is committed.

use std::{collections::BTreeMap, fmt::Write, fs, path::PathBuf};

use async_graphql::parser::{
    parse_schema,
    types::{FieldDefinition, InputValueDefinition, TypeKind, TypeSystemDefinition},
};

use tickiz_command_api::validation::limits::Limit;

/// What clients rely on.
const CORE: &str = include_str!("core.graphql");

/// Each type, field, argument and value by its path, and what is said of it: type, default, description.
fn facts(sdl: &str) -> BTreeMap<String, String> {
    let mut facts = BTreeMap::new();
    for definition in parse_schema(sdl).expect("the SDL parses").definitions {
        let TypeSystemDefinition::Type(definition) = definition else { continue };
        let (definition, name) = (definition.node.clone(), definition.node.name.node.to_string());
        let about = definition.description.map(|text| text.node).unwrap_or_default();
        let mut note = |path: String, fact: String, about: &str| {
            facts.insert(path, if about.is_empty() { fact } else { format!("{fact} -- {}", words(about)) });
        };
        match definition.kind {
            TypeKind::Scalar => note(name, "scalar".to_owned(), &about),
            TypeKind::Enum(kind) => {
                note(name.clone(), "enum".to_owned(), &about);
                for value in kind.values {
                    note(format!("{name}.{}", value.node.value.node), "value".to_owned(), "");
                }
            }
            TypeKind::InputObject(kind) => {
                note(name.clone(), "input".to_owned(), &about);
                for field in kind.fields {
                    let about = description(field.node.description.as_ref().map(|text| text.node.as_str()));
                    note(format!("{name}.{}", field.node.name.node), input(&field.node), &about);
                }
            }
            TypeKind::Object(kind) => {
                note(name.clone(), "type".to_owned(), &about);
                for field in kind.fields {
                    let FieldDefinition { description: about, name: field, arguments, ty, .. } = field.node;
                    let about = description(about.as_ref().map(|text| text.node.as_str()));
                    note(format!("{name}.{}", field.node), ty.node.to_string(), &about);
                    for argument in arguments {
                        note(format!("{name}.{}({})", field.node, argument.node.name.node), input(&argument.node), "");
                    }
                }
            }
            TypeKind::Interface(_) | TypeKind::Union(_) => panic!("{name}: the schema has objects only"),
        }
    }
    facts
}

fn description(text: Option<&str>) -> String {
    text.unwrap_or_default().to_owned()
}

/// A description without its line breaks and escapes.
fn words(text: &str) -> String {
    text.replace('\\', "").split_whitespace().collect::<Vec<_>>().join(" ")
}

fn input(definition: &InputValueDefinition) -> String {
    let default = definition.default_value.as_ref().map(|value| format!(" = {}", value.node));
    format!("{}{}", definition.ty.node, default.unwrap_or_default())
}

#[test]
fn the_schema_has_everything_that_clients_rely_on() {
    let (core, served) = (facts(CORE), facts(&tickiz_query_api::sdl()));
    let mut differences = Vec::new();
    for (path, fact) in &core {
        match served.get(path) {
            None => differences.push(format!("{path}: missing, was {fact}")),
            Some(found) if found != fact => differences.push(format!("{path}: is {found}, was {fact}")),
            Some(_) => {}
        }
    }
    assert!(differences.is_empty(), "\n{}\n", differences.join("\n"));
}

#[test]
fn what_is_added_to_the_schema_is_optional_for_who_asks() {
    let core = facts(CORE);
    for (path, fact) in facts(&tickiz_query_api::sdl()) {
        let added = !core.contains_key(&path);
        let required = fact.split(" -- ").next().is_some_and(|ty| ty.ends_with('!'));
        let parent = path.rsplit_once(['.', '(']).map_or("", |(parent, _)| parent);
        let of_old = core.contains_key(parent);
        assert!(!(added && of_old && path.contains('(') && required), "{path}: a new argument must be optional");
        let input = core.get(parent).is_some_and(|fact| fact.starts_with("input"));
        assert!(!(added && input && required), "{path}: a new field of an input must be optional");
    }
}

#[test]
fn the_committed_sdl_is_the_served_one() {
    blessed("schemas/schema.graphql", &tickiz_query_api::sdl());
}

#[test]
fn the_committed_tables_of_limits_are_the_compiled_ones() {
    let file = root().join("docs/limits.md");
    let old = fs::read_to_string(&file).unwrap_or_default();
    let text = with_section(&old, "the door", &tickiz_query_api::limits::markdown());
    blessed("docs/limits.md", &with_section(&text, "the input", &limits_of_the_input()));
}

/// The table of the write side's validation.
fn limits_of_the_input() -> String {
    let mut text = String::from("\n| what | least | most | of | why |\n|---|---|---|---|---|\n");
    for limit in tickiz_command_api::validation::limits::TABLE {
        let Limit { what, least, most, unit, reason } = limit;
        writeln!(text, "| `{what}` | {least} | {most} | {unit} | {reason} |").expect("a String takes everything");
    }
    text
}

/// The document with one generated part replaced; others stay as they are.
fn with_section(document: &str, name: &str, section: &str) -> String {
    let (begin, end) = (format!("<!-- begin: {name}, generated -->"), format!("<!-- end: {name} -->"));
    match (document.split_once(&begin), document.split_once(&end)) {
        (Some((before, _)), Some((_, after))) => format!("{before}{begin}\n{section}\n{end}{after}"),
        _ => panic!("docs/limits.md has lost the lines {begin} and {end}"),
    }
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).parent().expect("a crate's folder is in the workspace's").to_owned()
}

/// Compares with what is committed; `TICKIZ_BLESS=1` writes it.
fn blessed(path: &str, text: &str) {
    let file = root().join(path);
    if std::env::var_os("TICKIZ_BLESS").is_some() {
        fs::write(&file, text).expect("the file can be written");
    }
    let committed = fs::read_to_string(&file).unwrap_or_default();
    assert!(
        committed == text,
        "{path} is not what the code says: run the tests with TICKIZ_BLESS=1 and look at the difference"
    );
}
