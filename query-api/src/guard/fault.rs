//! What is wrong with a request, found before a resolver runs.

use async_graphql::Pos;
use tickiz_contract::{ErrorCode, PathSegment, Refusal};

/// One fault of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The documented code, the message, and the way to the wrong value.
    pub refusal: Refusal,
    /// Where it stands in the document.
    pub pos: Option<Pos>,
}

impl Fault {
    /// The request is wrong.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self { refusal: Refusal::new(ErrorCode::InvalidInput, message), pos: None }
    }

    /// The request is over a limit.
    pub fn limit(message: impl Into<String>) -> Self {
        Self { refusal: Refusal::new(ErrorCode::LimitExceeded, message), pos: None }
    }

    /// The same, at that place of the document.
    #[must_use]
    pub const fn at(mut self, pos: Pos) -> Self {
        self.pos = Some(pos);
        self
    }

    /// The same, with the way to the wrong value; an empty way says nothing and is left out.
    #[must_use]
    pub fn on(mut self, path: &[PathSegment]) -> Self {
        if !path.is_empty() {
            self.refusal.path = Some(path.to_vec());
        }
        self
    }
}
