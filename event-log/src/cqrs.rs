//! cqrs-es on the log: its aggregates run unchanged.

use std::collections::HashMap;

use cqrs_es::{Aggregate, AggregateContext, AggregateError, EventEnvelope, EventStore};
use tickiz_domain::stored::StoredEvent;
use uuid::Uuid;

use crate::{
    record::{Append, AppendError, Metadata, NewEvent, Recorded, StreamAppend},
    repository::{LoadError, Loaded, Repository},
};

/// `cqrs_es::EventStore` over the log. Commands that need claims named, reads or receipts go through
/// [`crate::EventLog::append`] itself; this is for everything that speaks cqrs-es.
pub struct CqrsStore<A> {
    repository: Repository<A>,
}

/// An aggregate on its way through a command.
pub struct CqrsContext<A> {
    id: Uuid,
    loaded: Loaded<A>,
}

impl<A: Aggregate> AggregateContext<A> for CqrsContext<A> {
    fn aggregate(&mut self) -> &mut A {
        &mut self.loaded.aggregate
    }
}

impl<A> CqrsStore<A> {
    /// Over these aggregates.
    #[must_use]
    pub const fn new(repository: Repository<A>) -> Self {
        Self { repository }
    }
}

fn failed<E: std::error::Error>(error: LoadError) -> AggregateError<E> {
    match error {
        LoadError::Store(error) => AggregateError::DatabaseConnectionError(Box::new(error)),
        LoadError::Decode { .. } => AggregateError::DeserializationError(Box::new(error)),
    }
}

fn parse<E: std::error::Error>(id: &str) -> Result<Uuid, AggregateError<E>> {
    Uuid::parse_str(id).map_err(|error| AggregateError::UnexpectedError(Box::new(error)))
}

impl<A> CqrsStore<A>
where
    A: Aggregate + Clone + 'static,
    A::Event: StoredEvent,
{
    fn envelope(recorded: &Recorded) -> Result<EventEnvelope<A>, AggregateError<A::Error>> {
        let payload = recorded.decode().map_err(|error| AggregateError::DeserializationError(Box::new(error)))?;
        Ok(EventEnvelope {
            aggregate_id: recorded.stream.id.to_string(),
            sequence: usize::try_from(recorded.sequence).unwrap_or(0),
            payload,
            metadata: HashMap::from([("position".to_owned(), recorded.position.to_string())]),
        })
    }
}

impl<A> EventStore<A> for CqrsStore<A>
where
    A: Aggregate + Clone + 'static,
    A::Event: StoredEvent,
{
    type AC = CqrsContext<A>;

    async fn load_events(&self, aggregate_id: &str) -> Result<Vec<EventEnvelope<A>>, AggregateError<A::Error>> {
        let stream = Repository::<A>::stream(parse(aggregate_id)?);
        let events = self.repository.log().read_stream(stream, 0, usize::MAX).await;
        let events = events.map_err(|error| AggregateError::DatabaseConnectionError(Box::new(error)))?;
        events.iter().map(|recorded| Self::envelope(recorded)).collect()
    }

    async fn load_aggregate(&self, aggregate_id: &str) -> Result<Self::AC, AggregateError<A::Error>> {
        let id = parse(aggregate_id)?;
        let loaded = self.repository.load(Repository::<A>::stream(id)).await.map_err(failed)?;
        Ok(CqrsContext { id, loaded: (*loaded).clone() })
    }

    async fn commit(
        &self,
        events: Vec<A::Event>,
        context: Self::AC,
        metadata: HashMap<String, String>,
    ) -> Result<Vec<EventEnvelope<A>>, AggregateError<A::Error>> {
        if events.is_empty() {
            return Ok(Vec::new());
        }
        let stream = Repository::<A>::stream(context.id);
        let append = Append {
            metadata: Metadata {
                command_id: self.repository.log().token(),
                actor: metadata.get("actor").cloned(),
                ..Metadata::default()
            },
            streams: vec![StreamAppend {
                stream,
                expected: context.loaded.sequence,
                events: events.iter().map(|event| NewEvent::of(event, context.id)).collect(),
            }],
            ..Append::default()
        };
        self.repository.evict(stream);
        match self.repository.log().append(append).await {
            Ok(appended) => appended.events.iter().map(|recorded| Self::envelope(recorded)).collect(),
            Err(AppendError::Conflict { .. }) => Err(AggregateError::AggregateConflict),
            Err(error @ AppendError::Store(_)) => Err(AggregateError::DatabaseConnectionError(Box::new(error))),
            Err(error) => Err(AggregateError::UnexpectedError(Box::new(error))),
        }
    }
}
