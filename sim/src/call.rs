//! A request as the simulators see it, and their answer.

use axum::body::Body;
use axum::http::{HeaderMap, Method};
use axum::response::Response;
use bytes::Bytes;
use serde_json::Value;

/// A request, without the gateway's name in its path.
pub(crate) struct Call {
    pub(crate) method: Method,
    pub(crate) path: Vec<String>,
    pub(crate) query: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// Milliseconds for which a scripted fault holds the call back after its work is done.
    pub(crate) hold_ms: u64,
    /// The status that a scripted fault puts in the place of the true one after the work is done.
    pub(crate) failing: Option<u16>,
}

impl Call {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    pub(crate) fn route(&self) -> Vec<&str> {
        self.path.iter().map(String::as_str).collect()
    }

    pub(crate) fn is_post(&self) -> bool {
        self.method == Method::POST
    }

    pub(crate) fn is_get(&self) -> bool {
        self.method == Method::GET
    }
}

/// An answer that can be kept and given again.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: String,
}

impl Reply {
    pub(crate) fn json(status: u16, body: &Value) -> Self {
        let headers = vec![("content-type", "application/json".to_owned())];
        Self { status, headers, body: body.to_string() }
    }

    pub(crate) fn html(status: u16, body: String) -> Self {
        Self { status, headers: vec![("content-type", "text/html; charset=utf-8".to_owned())], body }
    }

    pub(crate) fn empty(status: u16) -> Self {
        Self { status, headers: vec![], body: String::new() }
    }

    pub(crate) fn to(address: &str) -> Self {
        Self { status: 303, headers: vec![("location", address.to_owned())], body: String::new() }
    }

    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub(crate) fn response(self) -> Response {
        let mut builder = Response::builder().status(self.status);
        for (name, value) in &self.headers {
            builder = builder.header(*name, value);
        }
        builder.body(Body::from(self.body)).unwrap_or_else(|_| Response::new(Body::from("unwritable answer")))
    }
}

/// A page with what is paid and a button for each thing that a customer may do, each a POST to `action`.
pub(crate) fn page(title: &str, lines: &[String], action: &str, buttons: &[(&str, &str)]) -> String {
    let lines: String = lines.iter().map(|line| format!("<p>{}</p>", escape(line))).collect();
    let buttons: String = buttons
        .iter()
        .map(|(value, text)| format!("<button name=\"do\" value=\"{value}\">{text}</button>\n"))
        .collect();
    let (title, action) = (escape(title), escape(action));
    format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>{title}</title><h1>{title}</h1>{lines}\
         <form method=\"post\" action=\"{action}\">{buttons}</form></html>"
    )
}

/// Text that is safe between tags and in attributes.
pub(crate) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// The pairs of a form or query, decoded.
pub(crate) fn pairs(text: &[u8]) -> Vec<(String, String)> {
    url::form_urlencoded::parse(text).into_owned().collect()
}

/// The value of one of them.
pub(crate) fn value_of<'a>(pairs: &'a [(String, String)], name: &str) -> Option<&'a str> {
    pairs.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
}
