//! The log, as auditors read it.

use std::sync::Arc;

use async_graphql::{ID, Object, Value};
use tickiz_event_log::record::Recorded;

use super::{
    event::IntoGql,
    scalars::{DateTime, Json, Position, int},
};
use crate::app::{Failure, Fault};

/// An entry of the log.
pub struct LogEntry(pub Arc<Recorded>);

/// One domain event as an auditor sees it; sealed personal fields stay sealed.
#[Object]
impl LogEntry {
    async fn position(&self) -> Position {
        self.0.position.into()
    }
    async fn recorded_at(&self) -> DateTime {
        self.0.recorded_at.into()
    }
    async fn organizer_id(&self) -> Option<ID> {
        self.0.organizer_id.map(IntoGql::into_gql)
    }
    async fn stream_type(&self) -> &str {
        self.0.stream.stream_type.as_str()
    }
    async fn stream_id(&self) -> ID {
        self.0.stream.id.as_hyphenated().into_gql()
    }
    async fn sequence(&self) -> i32 {
        int(self.0.sequence)
    }
    #[graphql(name = "type")]
    async fn event_type(&self) -> &str {
        &self.0.event_type
    }
    async fn version(&self) -> i32 {
        self.0.event_version
    }
    async fn data(&self) -> Result<Json, Failure> {
        let data: Value = serde_json::from_slice(&self.0.payload)
            .map_err(|error| Fault::new(format!("the payload at position {} is not JSON: {error}", self.0.position)))?;
        Ok(Json::Value(data))
    }
    async fn actor(&self) -> Option<&str> {
        self.0.metadata.actor.as_deref()
    }
}
