//! Stripe's form notation: `a[b][0]=c`, and which names an endpoint knows.

use std::collections::BTreeMap;

use super::Refusal;
use crate::call::pairs;

/// Parameters by their name in brackets.
pub(super) type Form = BTreeMap<String, String>;

/// Reads it. A name twice, or brackets that do not pair, are refused.
pub(super) fn parse(text: &[u8]) -> Result<Form, Refusal> {
    let mut form = Form::new();
    for (name, value) in pairs(text) {
        let (open, close) = (name.matches('[').count(), name.matches(']').count());
        if open != close || (open > 0 && !name.ends_with(']')) || name.starts_with('[') {
            return Err(Refusal::parameter("parameter_invalid", &name, "is no parameter's name"));
        }
        // `expand[]` may come several times.
        let name = if name.ends_with("[]") { format!("{}[{}]", &name[..name.len() - 2], form.len()) } else { name };
        if form.insert(name.clone(), value).is_some() {
            return Err(Refusal::parameter("parameter_invalid", &name, "was given twice"));
        }
    }
    Ok(form)
}

/// Refuses any name that is not among the known, in which `#` stands for an index and `*` for any key.
pub(super) fn only(form: &Form, known: &[&str]) -> Result<(), Refusal> {
    for name in form.keys() {
        let parts: Vec<&str> = name.split(['[', ']']).filter(|part| !part.is_empty()).collect();
        let matches = known.iter().any(|pattern| {
            let wanted: Vec<&str> = pattern.split(['[', ']']).filter(|part| !part.is_empty()).collect();
            wanted.len() == parts.len()
                && wanted.iter().zip(&parts).all(|(wanted, part)| match *wanted {
                    "#" => part.bytes().all(|byte| byte.is_ascii_digit()),
                    "*" => true,
                    exact => exact == *part,
                })
        });
        if !matches {
            return Err(Refusal::parameter("parameter_unknown", name, "is an unknown parameter"));
        }
    }
    Ok(())
}

/// A parameter that must be there.
pub(super) fn need<'a>(form: &'a Form, name: &str) -> Result<&'a str, Refusal> {
    let value = form.get(name).filter(|value| !value.is_empty());
    value.map(String::as_str).ok_or_else(|| Refusal::parameter("parameter_missing", name, "is required"))
}

/// A whole number within bounds, if it is there.
pub(super) fn whole(form: &Form, name: &str, least: i64, most: i64) -> Result<Option<i64>, Refusal> {
    let Some(text) = form.get(name).filter(|text| !text.is_empty()) else { return Ok(None) };
    match text.parse::<i64>() {
        Ok(number) if (least..=most).contains(&number) => Ok(Some(number)),
        Ok(_) => Err(Refusal::parameter("parameter_invalid_integer", name, &format!("is from {least} to {most}"))),
        Err(_) => Err(Refusal::parameter("parameter_invalid_integer", name, "is no integer")),
    }
}

/// One of some words, if it is there.
pub(super) fn one_of(form: &Form, name: &str, allowed: &[&str]) -> Result<(), Refusal> {
    match form.get(name) {
        Some(value) if !allowed.contains(&value.as_str()) => {
            Err(Refusal::parameter("parameter_invalid", name, &format!("is one of {}", allowed.join(", "))))
        }
        _ => Ok(()),
    }
}

/// All `prefix[key]=value` as an object, within Stripe's limits: 50 keys of 40, values of 500 characters.
pub(super) fn metadata(form: &Form, prefix: &str) -> Result<serde_json::Value, Refusal> {
    let start = format!("{prefix}[");
    let mut all = serde_json::Map::new();
    for (name, value) in form.iter().filter(|(name, _)| name.starts_with(&start)) {
        let key = name[start.len()..].trim_end_matches(']');
        if key.chars().count() > 40 || value.chars().count() > 500 || all.len() == 50 {
            return Err(Refusal::parameter("parameter_invalid", name, "is beyond metadata's limits"));
        }
        all.insert(key.to_owned(), value.as_str().into());
    }
    Ok(all.into())
}
