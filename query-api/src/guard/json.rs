//! A GraphQL request as JSON, read strictly: a key that stands twice in an object, a value nested too deep, and parameters of
//! the wrong kind are faults with a path, where an ordinary reader would take the last, or say nothing of where.
//!
//! The parameters are those of the GraphQL over HTTP specification; properties that it does not know are ignored, as it wants.

use std::fmt;

use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use tickiz_contract::PathSegment;

use super::{fault::Fault, lexer::excerpt};
use crate::limits::MAX_JSON_NESTING;

/// A GraphQL request, its document not yet read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RawRequest {
    /// The document.
    pub query: String,
    /// Which of its operations; `None` where there is one.
    pub operation_name: Option<String>,
    /// What its variables stand for.
    pub variables: Map<String, Value>,
}

/// Reads any JSON strictly.
///
/// # Errors
/// `INVALID_INPUT` where it is no JSON or has a key twice, `LIMIT_EXCEEDED` where it is nested too deep.
pub fn parse(bytes: &[u8]) -> Result<Value, Fault> {
    let mut state = State { path: Vec::new(), fault: None };
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value = Strict { state: &mut state, depth: 0 }.deserialize(&mut deserializer);
    let value = value.and_then(|value| deserializer.end().map(|()| value));
    value
        .map_err(|error| state.fault.take().unwrap_or_else(|| Fault::invalid(format!("the body is not JSON: {error}"))))
}

/// Reads a request.
///
/// # Errors
/// As [`parse`]; also where it is a batch, or a parameter is missing or of the wrong kind.
pub fn parse_request(bytes: &[u8]) -> Result<RawRequest, Fault> {
    request_of(parse(bytes)?)
}

/// Takes a request out of its JSON.
///
/// # Errors
/// `INVALID_INPUT` where it is a batch, or a parameter is missing or of the wrong kind.
pub fn request_of(value: Value) -> Result<RawRequest, Fault> {
    let wrong = |parameter: &str, message: &str| Err(Fault::invalid(message).on(&[PathSegment::from(parameter)]));
    let mut body = match value {
        Value::Object(body) => body,
        Value::Array(_) => return Err(Fault::invalid("batches are not supported: send one request at a time")),
        _ => return Err(Fault::invalid("a GraphQL request is a JSON object with the property \"query\"")),
    };
    let query = match body.remove("query") {
        Some(Value::String(query)) => query,
        Some(Value::Null) | None => return wrong("query", "\"query\" is missing: it is the GraphQL document"),
        Some(_) => return wrong("query", "\"query\" must be a string: the GraphQL document"),
    };
    let operation_name = match body.remove("operationName") {
        // Browsers' tools send an empty name for none.
        Some(Value::String(name)) => Some(name).filter(|name| !name.is_empty()),
        Some(Value::Null) | None => None,
        Some(_) => return wrong("operationName", "\"operationName\" must be a string"),
    };
    let variables = match body.remove("variables") {
        Some(Value::Object(variables)) => variables,
        Some(Value::Null) | None => Map::new(),
        Some(_) => return wrong("variables", "\"variables\" must be an object: a value for each variable's name"),
    };
    match body.remove("extensions") {
        Some(Value::Object(_) | Value::Null) | None => {}
        Some(_) => return wrong("extensions", "\"extensions\" must be an object"),
    }
    Ok(RawRequest { query, operation_name, variables })
}

/// Where the reader stands, and the fault that it stopped at: serde's own errors have no room for a path.
struct State {
    path: Vec<PathSegment>,
    fault: Option<Fault>,
}

impl State {
    fn stop<E: de::Error>(&mut self, fault: Fault) -> E {
        // From outside, a variable's value is named from the variable on.
        let inside = self.path.strip_prefix(&[PathSegment::from("variables")]).unwrap_or(&self.path);
        self.fault = Some(fault.on(inside));
        E::custom("stopped")
    }
}

struct Strict<'a> {
    state: &'a mut State,
    depth: usize,
}

impl Strict<'_> {
    fn deeper<E: de::Error>(&mut self) -> Result<usize, E> {
        if self.depth == MAX_JSON_NESTING {
            return Err(self
                .state
                .stop(Fault::limit(format!("the JSON is nested deeper than {MAX_JSON_NESTING} levels"))));
        }
        Ok(self.depth + 1)
    }
}

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Value;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }
    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }
    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }
    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }
    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }
    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }
    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }
    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut access: A) -> Result<Value, A::Error> {
        let depth = self.deeper()?;
        let mut items = Vec::new();
        loop {
            self.state.path.push(PathSegment::Index(items.len()));
            let item = access.next_element_seed(Strict { state: self.state, depth })?;
            self.state.path.pop();
            match item {
                Some(item) => items.push(item),
                None => return Ok(Value::Array(items)),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut access: A) -> Result<Value, A::Error> {
        let depth = self.deeper()?;
        let mut object = Map::new();
        while let Some(key) = access.next_key::<String>()? {
            self.state.path.push(PathSegment::Key(excerpt(&key)));
            if object.contains_key(&key) {
                return Err(self.state.stop(Fault::invalid("this key stands twice in its object")));
            }
            let value = access.next_value_seed(Strict { state: self.state, depth })?;
            self.state.path.pop();
            object.insert(key, value);
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use tickiz_contract::ErrorCode;

    use super::*;

    #[test]
    fn a_request_is_read_as_the_specification_says() {
        let request =
            parse_request(br#"{"query":"{a}","operationName":null,"variables":null,"extensions":{},"more":1}"#)
                .unwrap();
        assert_eq!(request, RawRequest { query: "{a}".to_owned(), operation_name: None, variables: Map::new() });
        let request = parse_request(br#"{"query":"q","operationName":"A","variables":{"x":[1,{"y":null}]}}"#).unwrap();
        assert_eq!(request.operation_name.as_deref(), Some("A"));
        assert_eq!(Value::Object(request.variables), serde_json::json!({"x": [1, {"y": null}]}));
    }

    #[test]
    fn every_fault_of_the_body_has_a_code_and_where_possible_a_path() {
        let path = |bytes: &[u8]| {
            let fault = parse_request(bytes).unwrap_err();
            assert_eq!(fault.refusal.code, ErrorCode::InvalidInput, "{}", fault.refusal.message);
            serde_json::to_string(&fault.refusal.path).unwrap()
        };
        assert_eq!(path(br#"{"query":"a","query":"b"}"#), r#"["query"]"#);
        assert_eq!(path(br#"{"query":"a","variables":{"i":{"x":[{"y":1,"y":2}]}}}"#), r#"["i","x",0,"y"]"#);
        assert_eq!(path(br#"{"query":1}"#), r#"["query"]"#);
        assert_eq!(path(br#"{}"#), r#"["query"]"#);
        assert_eq!(path(br#"{"query":"a","variables":[1]}"#), r#"["variables"]"#);
        assert_eq!(path(br#"{"query":"a","operationName":{}}"#), r#"["operationName"]"#);
        assert_eq!(path(br#"{"query":"a","extensions":[]}"#), r#"["extensions"]"#);
        for bytes in [
            &b"[]"[..],
            b"\"x\"",
            b"null",
            b"",
            b"{",
            b"NONSENSE",
            b"{\"query\":\"\xff\"}",
            b"{\"query\":\"a\"} x",
            b"{\"query\":\"\\ud800\"}",
        ] {
            assert_eq!(path(bytes), "null");
        }
    }

    #[test]
    fn depth_is_bounded_before_the_stack_is() {
        let deep = format!("{}{}", "[".repeat(1_000_000), "]".repeat(1_000_000));
        assert_eq!(parse(deep.as_bytes()).unwrap_err().refusal.code, ErrorCode::LimitExceeded);
        let deep = r#"{"a":"#.repeat(100_000);
        assert_eq!(parse(deep.as_bytes()).unwrap_err().refusal.code, ErrorCode::LimitExceeded);
    }
}
