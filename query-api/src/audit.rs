//! The log as this role reads it: for the auditors' query, and to say how far it is.

use std::sync::Arc;

use async_trait::async_trait;
use tickiz_domain::stream::StreamType;
use tickiz_event_log::{EventLog, LogFilter, Position, Recorded, StoreError};
use uuid::Uuid;

/// Which entries an auditor wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuditQuery {
    /// Those after this position.
    pub after: Position,
    /// Of this kind of stream.
    pub stream_type: Option<StreamType>,
    /// Of this stream.
    pub stream_id: Option<Uuid>,
    /// So many at most.
    pub first: usize,
}

/// The log, for reading.
#[async_trait]
pub trait AuditLog: Send + Sync {
    /// Entries in order.
    ///
    /// # Errors
    /// When the log's store fails.
    async fn entries(&self, query: AuditQuery) -> Result<Vec<Arc<Recorded>>, StoreError>;

    /// The last position.
    ///
    /// # Errors
    /// When the log's store fails.
    async fn head(&self) -> Result<Position, StoreError>;
}

#[async_trait]
impl AuditLog for EventLog {
    async fn entries(&self, query: AuditQuery) -> Result<Vec<Arc<Recorded>>, StoreError> {
        let AuditQuery { after, stream_type, stream_id, first } = query;
        let filter = LogFilter { after, stream_type, stream_id, ..LogFilter::default() };
        Ok(self.query(&filter, first).await?.into_iter().map(Arc::new).collect())
    }

    async fn head(&self) -> Result<Position, StoreError> {
        Self::head(self).await
    }
}
