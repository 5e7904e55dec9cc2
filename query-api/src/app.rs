//! What resolvers work with: the ports of this role, and the small state of this process.

use std::sync::Arc;

use parking_lot::Mutex;
use tickiz_contract::{CallContext, Commands, PathSegment, Refusal};
use tickiz_documents::Templates;
use tickiz_projections::live::LiveFeeds;
use tickiz_read_models::{ReadError, ReadFront, ReadStore};
use tickiz_tickets::{BundleSigner, KeyRing};
use tokio_util::task::TaskTracker;

use crate::{
    ReportLimits, Wallets, access::AccessPolicy, audit::AuditLog, freshness::Freshness, guard::JsonStore,
    metrics::Metrics,
};

/// The state of the role, shared by all requests.
pub struct App {
    pub commands: Arc<dyn Commands>,
    pub reads: ReadStore,
    /// The same behind their copies: shows, seats, lists.
    pub front: ReadFront,
    pub live: LiveFeeds,
    pub log: Arc<dyn AuditLog>,
    pub signer: Arc<KeyRing>,
    pub templates: Arc<Templates>,
    pub wallets: Wallets,
    pub bundles: BundleSigner,
    /// Without the slash at its end.
    pub public_url: String,
    pub mail_from: String,
    pub access: AccessPolicy,
    pub reports: ReportLimits,
    pub freshness: Freshness,
    pub metrics: Arc<Metrics>,
    /// Mutations under way. They go on when their client has left, and the program waits for them when it stops.
    pub mutations: TaskTracker,
}

/// One request's own data.
pub struct Session {
    /// Who asks, and where the request can be found again.
    pub context: CallContext,
    /// The JSON values of its arguments.
    pub json: Mutex<JsonStore>,
}

impl Session {
    /// A session of that caller.
    pub const fn new(context: CallContext, json: JsonStore) -> Self {
        Self { context, json: Mutex::new(json) }
    }
}

/// A fault of ours or of the store, on its way to the log: the caller learns only that it happened, or when to try again.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub struct Fault(String);

impl Fault {
    /// A fault that is described for whoever reads the program's log.
    pub fn new(what: impl std::fmt::Display) -> Self {
        Self(what.to_string())
    }
}

/// Why a resolver has no answer.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Failure {
    /// The caller is told why.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The caller is told that something went wrong.
    #[error(transparent)]
    Fault(#[from] Fault),
}

/// What a resolver gives.
pub type Answered<T> = Result<T, Failure>;

/// What a resolver of a nullable field gives. A failure inside an `Option` makes its own field null, as the specification wants;
/// the library lets one around it make everything null.
pub type Nullable<T> = Option<Result<T, Failure>>;

impl From<ReadError> for Failure {
    fn from(error: ReadError) -> Self {
        if error.is_overload() {
            return Refusal::overloaded(crate::limits::RETRY_AFTER_MS).into();
        }
        Fault::new(error).into()
    }
}

/// `INVALID_INPUT` at a way of names.
pub fn invalid(path: &[&str], message: impl Into<String>) -> Refusal {
    Refusal::invalid(path.iter().map(|name| PathSegment::from(*name)).collect(), message)
}

/// A position as a client handed it back.
pub fn position(text: &str, argument: &str) -> Result<i64, Refusal> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse::<i64>().ok()).flatten().ok_or_else(|| {
        invalid(&[argument], "not a position: hand back what an answer gave, a decimal number in a string")
    })
}
