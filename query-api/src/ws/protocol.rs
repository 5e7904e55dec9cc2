//! The messages of `graphql-transport-ws`, as graphql-ws' PROTOCOL.md describes them, and its close codes.

use std::fmt::Write;

use axum::extract::ws::CloseFrame;
use serde_json::{Map, Value};

use crate::{guard::json, limits::MAX_OPERATION_ID_BYTES};

/// The subprotocol's name.
pub const SUBPROTOCOL: &str = "graphql-transport-ws";

/// Why a socket is closed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Closing {
    /// 4400: a message that is none.
    BadMessage(String),
    /// 4401: an operation before the connection was initialised.
    Unauthorized,
    /// 4408: no `connection_init` in time.
    InitTimeout,
    /// 4409: two operations under one id.
    DuplicateId(String),
    /// 4429: a second `connection_init`.
    SecondInit,
    /// 4429: went on asking when told that there are too many operations.
    TooManyOperations,
    /// 1001: the program ends.
    GoingAway,
    /// 1009: a message over the limit.
    TooBig,
    /// 1008: nothing heard for too long.
    Dead,
}

impl From<Closing> for CloseFrame {
    fn from(closing: Closing) -> Self {
        let (code, reason) = match closing {
            Closing::BadMessage(what) => (4400, what),
            Closing::Unauthorized => (4401, "Unauthorized".to_owned()),
            Closing::InitTimeout => (4408, "Connection initialisation timeout".to_owned()),
            Closing::DuplicateId(id) => (4409, format!("Subscriber for {id} already exists")),
            Closing::SecondInit => (4429, "Too many initialisation requests".to_owned()),
            Closing::TooManyOperations => (4429, "Too many operations".to_owned()),
            Closing::GoingAway => (1001, "the server is going away".to_owned()),
            Closing::TooBig => (1009, "the message is too big".to_owned()),
            Closing::Dead => (1008, "nothing was heard for too long".to_owned()),
        };
        // RFC 6455 section 5.5: 125 bytes with the code.
        let mut end = reason.len().min(123);
        while !reason.is_char_boundary(end) {
            end -= 1;
        }
        Self { code, reason: reason[..end].to_owned().into() }
    }
}

/// What a client says.
#[derive(Debug, PartialEq)]
pub enum ClientMessage {
    /// `connection_init`, with what it says of authorisation.
    Init { authorization: Option<String> },
    /// `ping`, whose payload goes back.
    Ping(Option<Value>),
    /// `pong`.
    Pong,
    /// `subscribe`, whose payload is a GraphQL request.
    Subscribe { id: String, payload: Value },
    /// `complete`.
    Complete { id: String },
}

impl ClientMessage {
    /// Reads a message.
    ///
    /// # Errors
    /// [`Closing::BadMessage`].
    pub fn parse(text: &str) -> Result<Self, Closing> {
        let bad = |what: &str| Closing::BadMessage(what.to_owned());
        let message = json::parse(text.as_bytes()).map_err(|fault| Closing::BadMessage(fault.refusal.message))?;
        let Value::Object(mut message) = message else { return Err(bad("a message is a JSON object")) };
        let Some(Value::String(kind)) = message.remove("type") else { return Err(bad("a message has a type")) };
        let payload = message.remove("payload").filter(|payload| !payload.is_null());
        match kind.as_str() {
            "connection_init" => match payload {
                None => Ok(Self::Init { authorization: None }),
                Some(Value::Object(payload)) => Ok(Self::Init { authorization: authorization(payload)? }),
                Some(_) => Err(bad("the payload of connection_init is an object")),
            },
            "ping" | "pong" if payload.as_ref().is_some_and(|payload| !payload.is_object()) => {
                Err(bad("the payload of ping and pong is an object"))
            }
            "ping" => Ok(Self::Ping(payload)),
            "pong" => Ok(Self::Pong),
            "subscribe" => match payload {
                Some(payload @ Value::Object(_)) => Ok(Self::Subscribe { id: id(&mut message)?, payload }),
                _ => Err(bad("the payload of subscribe is an object: a GraphQL request")),
            },
            "complete" => Ok(Self::Complete { id: id(&mut message)? }),
            _ => Err(bad("there is no message of that type")),
        }
    }
}

/// `authorization` in the payload of `connection_init`; its case does not matter, as in HTTP.
fn authorization(payload: Map<String, Value>) -> Result<Option<String>, Closing> {
    match payload.into_iter().find(|(name, _)| name.eq_ignore_ascii_case("authorization")) {
        None | Some((_, Value::Null)) => Ok(None),
        Some((_, Value::String(value))) => Ok(Some(value)),
        Some(_) => Err(Closing::BadMessage("authorization is a string".to_owned())),
    }
}

fn id(message: &mut Map<String, Value>) -> Result<String, Closing> {
    match message.remove("id") {
        Some(Value::String(id)) if !id.is_empty() && id.len() <= MAX_OPERATION_ID_BYTES => Ok(id),
        _ => Err(Closing::BadMessage(format!("an id is a string of 1 to {MAX_OPERATION_ID_BYTES} bytes"))),
    }
}

/// `connection_ack`.
pub const ACK: &str = r#"{"type":"connection_ack"}"#;

/// `pong`, with the payload of the ping.
pub fn pong(payload: Option<Value>) -> String {
    match payload {
        None => r#"{"type":"pong"}"#.to_owned(),
        Some(payload) => format!(r#"{{"type":"pong","payload":{payload}}}"#),
    }
}

/// A message about an operation, whose payload is JSON already. Only this is put together for each subscriber.
pub fn envelope(kind: &str, id: &str, payload: Option<&str>) -> String {
    let mut text = String::with_capacity(payload.map_or(0, str::len) + id.len() + 48);
    let id = Value::String(id.to_owned());
    let _ = write!(text, r#"{{"id":{id},"type":"{kind}""#);
    if let Some(payload) = payload {
        text.push_str(r#","payload":"#);
        text.push_str(payload);
    }
    text.push('}');
    text
}

/// How a `next` message of that operation begins: all of it before its payload.
pub fn next_head(id: &str) -> String {
    let mut text = envelope("next", id, Some(""));
    text.pop();
    text
}

/// A `next` message that is written as a frame of the WebSocket, past its library: put together from what many share.
pub struct NextMessage<'a> {
    /// [`next_head`].
    pub head: &'a str,
    /// The payload, as JSON.
    pub payload: &'a str,
}

impl NextMessage<'_> {
    /// Appends the frame.
    pub fn write(&self, bytes: &mut Vec<u8>) {
        let Self { head, payload } = self;
        push_header(head.len() + payload.len() + 1, bytes);
        bytes.extend_from_slice(head.as_bytes());
        bytes.extend_from_slice(payload.as_bytes());
        bytes.push(b'}');
    }
}

/// A text as a frame of the WebSocket.
pub fn text_frame(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len() + 10);
    push_header(text.len(), &mut bytes);
    bytes.extend_from_slice(text.as_bytes());
    bytes
}

/// RFC 6455 section 5.2: a final frame of text, not masked, as a server sends it.
fn push_header(length: usize, bytes: &mut Vec<u8>) {
    bytes.push(0x81);
    match (u8::try_from(length), u16::try_from(length)) {
        (Ok(short @ 0..=125), _) => bytes.push(short),
        (_, Ok(medium)) => {
            bytes.push(126);
            bytes.extend_from_slice(&medium.to_be_bytes());
        }
        _ => {
            bytes.push(127);
            bytes.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn messages_are_read_as_the_protocol_says() {
        let read = |message: Value| ClientMessage::parse(&message.to_string()).unwrap();
        assert_eq!(read(json!({"type": "connection_init"})), ClientMessage::Init { authorization: None });
        let init = json!({"type": "connection_init", "payload": {"Authorization": "Bearer x", "more": 1}});
        assert_eq!(read(init), ClientMessage::Init { authorization: Some("Bearer x".to_owned()) });
        assert_eq!(read(json!({"type": "ping", "payload": null})), ClientMessage::Ping(None));
        assert_eq!(read(json!({"type": "complete", "id": "1"})), ClientMessage::Complete { id: "1".to_owned() });
    }

    #[test]
    fn what_is_no_message_closes_with_4400() {
        for text in [
            "",
            "x",
            "[]",
            "1",
            "{}",
            r#"{"type":1}"#,
            r#"{"type":"start","id":"1"}"#,
            r#"{"type":"subscribe","id":"1"}"#,
            r#"{"type":"subscribe","id":1,"payload":{}}"#,
            r#"{"type":"subscribe","id":"","payload":{}}"#,
            r#"{"type":"subscribe","payload":{}}"#,
            r#"{"type":"complete"}"#,
            r#"{"type":"connection_init","payload":"x"}"#,
            r#"{"type":"connection_init","payload":{"authorization":1}}"#,
            r#"{"type":"ping","payload":1}"#,
            r#"{"type":"ping","type":"ping"}"#,
        ] {
            let closing = ClientMessage::parse(text).unwrap_err();
            assert_eq!(CloseFrame::from(closing).code, 4400, "{text}");
        }
    }

    #[test]
    fn an_envelope_is_json_whatever_the_id() {
        let text = envelope("next", "a\"\\\n\u{1}đ", Some(r#"{"data":null}"#));
        let read: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(read, json!({"id": "a\"\\\n\u{1}đ", "type": "next", "payload": {"data": null}}));
        assert_eq!(envelope("complete", "1", None), r#"{"id":"1","type":"complete"}"#);
        assert_eq!(pong(Some(json!({"a": 1}))), r#"{"type":"pong","payload":{"a":1}}"#);
    }

    #[tokio::test]
    async fn what_is_written_past_the_library_is_what_the_library_reads() {
        use futures::StreamExt;
        use tokio_tungstenite::{WebSocketStream, tungstenite::protocol::Role};

        let head = next_head("a\"đ");
        assert_eq!(head, r#"{"id":"a\"đ","type":"next","payload":"#);
        // Every kind of length: 7 bits, 16 bits, 64 bits, and the first and last of each.
        let texts = [0, 1, 125, 126, 127, 65_535, 65_536, 200_000].map(|length| "x".repeat(length));
        let mut bytes: Vec<u8> = texts.iter().flat_map(|text| text_frame(text)).collect();
        NextMessage { head: &head, payload: r#"{"data":null}"# }.write(&mut bytes);
        let (ours, theirs) = tokio::io::duplex(bytes.len());
        let mut reader = WebSocketStream::from_raw_socket(theirs, Role::Client, None).await;
        let mut writer = ours;
        tokio::io::AsyncWriteExt::write_all(&mut writer, &bytes).await.unwrap();
        for text in texts {
            assert_eq!(reader.next().await.unwrap().unwrap().into_text().unwrap().as_str(), text);
        }
        let last: Value = serde_json::from_str(&reader.next().await.unwrap().unwrap().into_text().unwrap()).unwrap();
        assert_eq!(last, json!({"id": "a\"đ", "type": "next", "payload": {"data": null}}));
    }

    #[test]
    fn a_close_reason_fits_into_its_frame() {
        let frame = CloseFrame::from(Closing::DuplicateId("đ".repeat(128)));
        assert!(frame.reason.len() <= 123 && frame.code == 4409);
    }
}
