//! What goes back to the caller: data and errors, each error with its documented code.
//!
//! The message inside and the message outside are different things. What a resolver refuses is told as it is; any other
//! failure is written to the program's log, once, here, and the caller gets `INTERNAL` with the trace id under which it stands
//! there.

use async_graphql::{PathSegment as ResponsePath, Pos, Response, ServerError, Value};
use serde::Serialize;
use tickiz_contract::{ErrorCode, PathSegment, Refusal, Refusals};
use uuid::Uuid;

use crate::{app, guard};

/// A GraphQL response, encoded.
#[derive(Clone, Debug)]
pub struct Reply {
    /// JSON.
    pub body: Vec<u8>,
    /// Whether anything was executed: then `data` is there, be it null, and HTTP says 200.
    pub executed: bool,
    /// Its errors, which a WebSocket may have to tell without data.
    pub errors: Vec<WireError>,
}

#[derive(Serialize)]
struct Wire<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<&'a Value>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    errors: &'a [WireError],
}

/// One error as it is told.
#[derive(Clone, Debug, Serialize)]
pub struct WireError {
    message: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    locations: Vec<Pos>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    path: Vec<ResponsePath>,
    extensions: WireExtensions,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct WireExtensions {
    code: ErrorCode,
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<Vec<PathSegment>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_ms: Option<u64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    seat_ids: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    trace_id: Option<Uuid>,
}

impl WireError {
    fn new(refusal: Refusal, locations: Vec<Pos>, path: Vec<ResponsePath>, trace: Uuid) -> Self {
        let Refusal { code, message, path: wrong, retry_after_ms, seat_ids } = refusal;
        let trace_id = (code == ErrorCode::Internal).then_some(trace);
        // A client that is told to come back is told when.
        let retry_after_ms =
            retry_after_ms.or_else(|| (code == ErrorCode::Overloaded).then_some(crate::limits::RETRY_AFTER_MS));
        let extensions = WireExtensions { code, path: wrong, retry_after_ms, seat_ids, trace_id };
        Self { message, locations, path, extensions }
    }
}

impl Reply {
    fn encode(data: Option<&Value>, errors: Vec<WireError>) -> Self {
        let body = serde_json::to_vec(&Wire { data, errors: &errors })
            .expect("names and values of a response have no fallible Serialize, so JSON cannot fail");
        Self { body, executed: data.is_some(), errors }
    }

    /// The codes of its errors, for metrics.
    pub fn codes(&self) -> Vec<ErrorCode> {
        self.errors.iter().map(|error| error.extensions.code).collect()
    }

    /// Refused before anything was executed.
    pub fn refused(faults: Vec<guard::Fault>, trace: Uuid) -> Self {
        let error =
            |fault: guard::Fault| WireError::new(fault.refusal, fault.pos.into_iter().collect(), Vec::new(), trace);
        Self::encode(None, faults.into_iter().map(error).collect())
    }

    /// Nothing was executed, for a reason that the request's content has no part in.
    pub fn turned_away(refusal: Refusal, trace: Uuid) -> Self {
        Self::encode(Some(&Value::Null), vec![WireError::new(refusal, Vec::new(), Vec::new(), trace)])
    }

    /// What execution came to.
    pub fn of(response: Response, trace: Uuid) -> Self {
        // The library's own validation is a second net behind the guard's; what it finds was not executed either.
        let validation = |error: &ServerError| error.path.is_empty() && error.source.is_none();
        let executed =
            response.errors.is_empty() || response.data != Value::Null || !response.errors.iter().all(validation);
        let errors: Vec<WireError> = response.errors.into_iter().flat_map(|error| errors_of(error, trace)).collect();
        Self::encode(executed.then_some(&response.data), errors)
    }
}

/// One error of the library, which stands for several where the write side gave several reasons.
fn errors_of(error: ServerError, trace: Uuid) -> Vec<WireError> {
    let told = |refusals: Vec<Refusal>| {
        let of = |refusal| WireError::new(refusal, error.locations.clone(), error.path.clone(), trace);
        refusals.into_iter().map(of).collect()
    };
    if let Some(Refusals(refusals)) = error.source() {
        return told(refusals.clone());
    }
    if let Some(refusal) = error.source::<Refusal>() {
        return told(vec![refusal.clone()]);
    }
    if let Some(app::Failure::Refused(refusal)) = error.source() {
        return told(vec![refusal.clone()]);
    }
    if error.source.is_none() {
        // Only the library makes errors without a source, and only of what it was asked.
        return told(vec![Refusal::new(ErrorCode::InvalidInput, error.message.clone())]);
    }
    tracing::error!(trace.id = %trace, graphql.path = ?error.path, error = %error.message, "a request failed");
    told(vec![Refusal::internal()])
}
