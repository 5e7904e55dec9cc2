//! Who asks.

use serde::{Deserialize, Serialize};
use tickiz_domain::ids::OrganizerId;
use uuid::Uuid;

/// Who asks, as far as it is proved by a bearer token. A booking's own buyer is `Anonymous` here and proves himself by the
/// booking's access token, an argument of the request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "role")]
pub enum Caller {
    /// No bearer.
    Anonymous,
    /// Works for this organiser.
    Organizer {
        /// The tenant.
        organizer_id: OrganizerId,
    },
    /// Stands at the doors of this organiser's shows: lets people in, and nothing else.
    Gate {
        /// The tenant.
        organizer_id: OrganizerId,
    },
    /// Reads the log; changes nothing.
    Auditor,
}

impl Caller {
    /// The role's name in messages and in the log's `actor`.
    #[must_use]
    pub const fn role(&self) -> &'static str {
        match self {
            Self::Anonymous => "anonymous",
            Self::Organizer { .. } => "organizer",
            Self::Gate { .. } => "gate",
            Self::Auditor => "auditor",
        }
    }
}

/// The caller and where his request can be found again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CallContext {
    /// Who asks.
    pub caller: Caller,
    /// The request at the door; also the trace id in the program's log.
    pub correlation_id: Uuid,
    /// W3C trace context, if one came.
    #[serde(default)]
    pub traceparent: Option<String>,
}
