//! Content negotiation as the GraphQL over HTTP specification describes it.

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};

/// The media type made for GraphQL responses: its status codes say what happened.
pub const GRAPHQL_RESPONSE: &str = "application/graphql-response+json";
/// The media type of old: 200 whenever there was a GraphQL request, whatever came of it.
const JSON: &str = "application/json";

/// How a response is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResponseType {
    /// `application/graphql-response+json`.
    Graphql,
    /// `application/json`.
    Json,
}

impl ResponseType {
    /// What the client prefers of the two. Without a preference it gets plain JSON, as clients without one expect; where it
    /// wants neither it gets that too, which it can refuse better than an error that it cannot read either.
    pub fn of(headers: &HeaderMap) -> Self {
        let (mut graphql, mut json) = (None, None);
        let accepts = headers.get_all(header::ACCEPT).into_iter().filter_map(|value| value.to_str().ok());
        for range in accepts.flat_map(|value| value.split(',')) {
            let mut parts = range.split(';').map(str::trim);
            let name = parts.next().unwrap_or_default();
            let quality = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
            let quality = quality.map_or(Some(1.0), |q| q.parse::<f32>().ok()).unwrap_or(0.0);
            if name.eq_ignore_ascii_case(GRAPHQL_RESPONSE) {
                graphql = Some(quality);
            } else if name.eq_ignore_ascii_case(JSON) {
                json = Some(quality);
            }
        }
        match (graphql, json) {
            (Some(graphql), json) if graphql > 0.0 && graphql >= json.unwrap_or(0.0) => Self::Graphql,
            _ => Self::Json,
        }
    }

    /// The value of `Content-Type`.
    pub const fn content_type(self) -> HeaderValue {
        match self {
            Self::Graphql => HeaderValue::from_static("application/graphql-response+json; charset=utf-8"),
            Self::Json => HeaderValue::from_static("application/json; charset=utf-8"),
        }
    }

    /// The status of a well-formed request's response.
    pub const fn status(self, executed: bool) -> StatusCode {
        match self {
            Self::Graphql if !executed => StatusCode::BAD_REQUEST,
            Self::Graphql | Self::Json => StatusCode::OK,
        }
    }
}

/// Whether a request's body is JSON in UTF-8, uncompressed.
pub fn is_json(headers: &HeaderMap) -> bool {
    if headers.get(header::CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity") {
        return false;
    }
    let mut values = headers.get_all(header::CONTENT_TYPE).into_iter();
    let (Some(value), None) = (values.next(), values.next()) else { return false };
    let Ok(value) = value.to_str() else { return false };
    let mut parts = value.split(';').map(str::trim);
    parts.next().is_some_and(|name| name.eq_ignore_ascii_case(JSON))
        && parts.all(|parameter| match parameter.split_once('=') {
            Some((name, value)) if name.trim().eq_ignore_ascii_case("charset") => {
                let charset = value.trim().trim_matches('"');
                charset.eq_ignore_ascii_case("utf-8") || charset.eq_ignore_ascii_case("utf8")
            }
            _ => true,
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: header::HeaderName, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name, value.parse().unwrap())])
    }

    #[test]
    fn the_client_gets_the_response_type_that_it_prefers() {
        let of = |accept: &str| ResponseType::of(&headers(header::ACCEPT, accept));
        assert_eq!(ResponseType::of(&HeaderMap::new()), ResponseType::Json);
        for accept in [
            "*/*",
            "application/json",
            "application/*",
            "text/html",
            "",
            "application/graphql-response+json;q=0",
            ";;q=x",
        ] {
            assert_eq!(of(accept), ResponseType::Json, "{accept}");
        }
        for accept in [
            "application/graphql-response+json",
            "application/graphql-response+json, application/json;q=0.9",
            "application/json, application/graphql-response+json; charset=utf-8",
            "APPLICATION/GRAPHQL-RESPONSE+JSON",
        ] {
            assert_eq!(of(accept), ResponseType::Graphql, "{accept}");
        }
        assert_eq!(of("application/graphql-response+json;q=0.5, application/json"), ResponseType::Json);
    }

    #[test]
    fn only_json_in_utf_8_is_read() {
        let is = |value: &str| is_json(&headers(header::CONTENT_TYPE, value));
        assert!(
            is("application/json") && is("Application/JSON; charset=UTF-8") && is("application/json;charset=\"utf-8\"")
        );
        for value in [
            "text/plain",
            "application/graphql",
            "multipart/form-data; boundary=x",
            "application/json; charset=utf-16",
            "",
            "json",
        ] {
            assert!(!is(value), "{value}");
        }
        assert!(!is_json(&HeaderMap::new()));
    }
}
