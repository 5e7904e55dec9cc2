//! The words that cross the border between query-api, which fronts everybody, and command-api, which decides.
//!
//! # Layout
//!
//! * [`caller`]: who asks, as far as it is proved.
//! * [`request`]: what is asked, as it came: strings and numbers, nothing validated yet. One validation layer in command-api
//!   turns it into values, whoever hands it over.
//! * [`answer`]: what the command changed, as folded, with the position reached.
//! * [`refusal`]: why not: a documented code, a message that a person can act on, the path of the wrong input.
//! * [`Commands`]: the port. Embedded it is a call, distributed an internal HTTP request with the same words.

pub mod answer;
pub mod caller;
pub mod refusal;
pub mod request;

pub use answer::{Answer, BookingAnswer, EventAnswer, PaymentAnswer};
pub use caller::{CallContext, Caller};
pub use refusal::{ErrorCode, PathSegment, Refusal, Refusals};
pub use request::Request;

/// The write side as the outside calls it.
#[async_trait::async_trait]
pub trait Commands: Send + Sync {
    /// Carries one command out, or answers its repetition.
    ///
    /// # Errors
    /// Every fault of the request at once, or the one reason why the state does not allow it. Nothing was changed then,
    /// unless the code is `INTERNAL`, where the outcome has to be asked for by the same idempotency key.
    async fn execute(&self, context: CallContext, request: Request) -> Result<Answer, Refusals>;
}
