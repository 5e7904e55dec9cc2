//! Carrying one command out: load, decide, append; and again where the ground moved in between.
//!
//! # Why a command has one effect
//!
//! * A decision is made on aggregates as they were loaded, perhaps by an old copy out of memory. The append names every stream it
//!   read with the sequence that it read, and the log refuses it when one of them has moved. Then it is decided again, on what is
//!   really there ([`AppendError::Conflict`]). So a stale copy costs a second try, never a wrong decision.
//! * A **refusal** appends nothing, so nothing would catch a stale copy there. Therefore a refusal, or finding that there is
//!   nothing to do, only counts when it was decided on aggregates that were read from the log for this very attempt; what was
//!   decided on remembered ones is decided again on fresh ones.
//! * With an idempotency key, the receipt is looked up at the door, and the log looks again in the transaction that would write
//!   it ([`AppendError::Answered`]). Of ten at once one appends; the nine get its receipt. Since the one may be done between the
//!   door and a refusal, the receipt is looked up once more before a refusal is given.
//! * `command_id` is new for each attempt, since the log finds by it what became of an append whose COMMIT was not answered.
//!
//! Attempts are bounded and wait a random time in between, so that many who collide do not collide again in step.

use std::{collections::BTreeSet, future::Future, sync::Arc, time::Duration};

use cqrs_es::{Aggregate, event_sink::EventSink};
use tickiz_contract::{CallContext, Caller, ErrorCode, Refusal, Refusals};
use tickiz_domain::{
    booking::Booking,
    event::Event,
    ids::{EventId, OrganizerId},
    stored::StoredEvent,
    stream::StreamId,
};
use tickiz_event_log::{
    Append, AppendError, Attachment, EventLog, LoadError, Loaded, LostClaim, MAX_PAYLOAD_BYTES, Metadata, NewEvent,
    NewReceipt, Receipt, ReceiptKey, Repository, Sequence, StoreError, StreamAppend, WantedKey,
};
use tickiz_telemetry::trace;
use tickiz_together::{Round, Together};
use tracing::Instrument;
use uuid::Uuid;

use crate::{
    holds::{self, HoldStore},
    ids::Ids,
    refusals::internal,
};

/// How often one command is decided. Every conflict means that somebody else's command succeeded, so more is needed only where
/// very many change one aggregate, or want one row of seats, in the same moment.
pub const MAX_ATTEMPTS: u32 = 40;
/// The longest wait before the second attempt; it doubles with each, up to [`MAX_BACKOFF`].
const FIRST_BACKOFF: Duration = Duration::from_millis(2);
/// The longest wait before any attempt: about what a batch of the log takes on a slow disk.
const MAX_BACKOFF: Duration = Duration::from_millis(64);
/// What a caller is told to wait after the last attempt, in milliseconds.
pub(crate) const RETRY_AFTER_MS: u64 = 250;

/// Whether a remembered copy of an aggregate will do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// A copy out of memory, if there is one: right for a decision that is appended, since the append checks it.
    Warm,
    /// As the log has it now.
    Fresh,
}

/// Who is behind a command, for the metadata of its domain events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// `buyer`, `organizer:<id>`, `system:<process manager>`.
    pub actor: String,
    /// What caused it.
    pub causation_id: Option<Uuid>,
    /// The request at the door.
    pub correlation_id: Option<Uuid>,
    /// W3C trace context.
    pub traceparent: Option<String>,
}

impl Origin {
    /// A request at the door.
    #[must_use]
    pub fn of(context: &CallContext) -> Self {
        let actor = match &context.caller {
            Caller::Anonymous => "buyer".to_owned(),
            Caller::Organizer { organizer_id } => format!("organizer:{organizer_id}"),
            Caller::Gate { organizer_id } => format!("gate:{organizer_id}"),
            Caller::Auditor => "auditor".to_owned(),
        };
        Self {
            actor,
            causation_id: None,
            correlation_id: Some(context.correlation_id),
            traceparent: context.traceparent.clone(),
        }
    }

    /// A request at the door by somebody who proved to be a booking's buyer, whatever bearer he has beside.
    #[must_use]
    pub fn of_buyer(context: &CallContext) -> Self {
        Self { actor: "buyer".to_owned(), ..Self::of(context) }
    }

    /// A process manager of ours, and what set it off (a timer, a webhook, a domain event).
    #[must_use]
    pub fn system(process: &str, cause: Uuid) -> Self {
        Self { actor: format!("system:{process}"), causation_id: Some(cause), correlation_id: None, traceparent: None }
    }
}

/// What makes a repetition of a command an answered one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestKey {
    /// Who asks. At most 200 bytes.
    pub scope: String,
    /// The mutation.
    pub operation: &'static str,
    /// The caller's key.
    pub key: String,
    /// SHA-256 of what is compared of the request.
    pub request_hash: [u8; 32],
}

impl RequestKey {
    fn receipt(&self, result: Vec<u8>) -> NewReceipt {
        NewReceipt {
            scope: self.scope.clone(),
            operation: self.operation,
            key: self.key.clone(),
            request_hash: self.request_hash,
            result,
        }
    }
}

/// What a decision asks of its aggregate.
pub struct Ask<A: Aggregate> {
    /// The command.
    pub command: A::Command,
    /// Every other stream that it was decided on, with the sequence read.
    pub reads: Vec<(StreamId, Sequence)>,
    /// The tenant.
    pub organizer_id: Option<OrganizerId>,
    /// The show that it is about.
    pub show_id: Option<EventId>,
    /// What the domain events will name by hash.
    pub attachments: Vec<Attachment>,
}

/// An aggregate that commands are carried out on.
pub trait Target: Aggregate<Services = (), Event: StoredEvent, Error: Send> + Clone + 'static {
    /// Where it is loaded from.
    fn repository(executor: &Executor) -> &Repository<Self>;
}

impl Target for Event {
    fn repository(executor: &Executor) -> &Repository<Self> {
        &executor.events
    }
}

impl Target for Booking {
    fn repository(executor: &Executor) -> &Repository<Self> {
        &executor.bookings
    }
}

/// One command while it is being carried out. Whatever it has prepared (seats picked, a name drawn) it keeps between attempts.
pub trait Decision<A: Target>: Send {
    /// Whether the aggregate is to be made, so that the first attempt need not look for it: were it there, the append would find
    /// out.
    const IS_NEW: bool = false;

    /// What to ask of the aggregate as it stands. Called anew for every attempt; other aggregates are to be loaded by `reading`.
    fn decide(&mut self, target: &Loaded<A>, reading: Reading)
    -> impl Future<Output = Result<Ask<A>, Refusals>> + Send;

    /// The aggregate's refusal in the words of the contract.
    fn refused(&self, error: &A::Error) -> Refusals;

    /// What it means that claims were lost: `Ok` to decide again, otherwise the refusal.
    ///
    /// # Errors
    /// When there is nothing else to try.
    fn lost(&mut self, lost: Vec<LostClaim>) -> Result<(), Refusals>;

    /// The data key of a person whom it was sealed for as somebody new.
    fn new_person(&self) -> Option<WantedKey> {
        None
    }

    /// The person of [`Self::new_person`] is known: he is to be sealed for with the key that he has.
    fn person_is_known(&mut self) {}

    /// What a repetition is answered from, given the aggregate as it stands afterwards: ids, not state.
    fn result(&self, after: &A) -> Vec<u8>;
}

/// How a command came out.
#[derive(Debug)]
pub enum Carried<A> {
    /// It took effect, or there was nothing to do; the aggregate as it stands.
    Done(Arc<Loaded<A>>),
    /// The same request succeeded before.
    Repeated(Receipt),
}

/// Why an attempt was not the last one, or the end.
enum Failed {
    /// Something moved; perhaps only because a remembered copy was old.
    Conflict,
    /// Decided on remembered aggregates, and nothing was appended that would have checked them.
    Unchecked,
    /// Claims were lost, and the decision has another idea.
    Retry,
    /// The same request succeeded before.
    Answered(Box<Receipt>),
    /// Refused, and the same request may have succeeded in between.
    Refused(Refusals),
    /// Refused by the log, which has looked for the receipt itself.
    Lost(Refusals),
}

impl From<Refusals> for Failed {
    fn from(refusals: Refusals) -> Self {
        Self::Refused(refusals)
    }
}

impl From<Refusal> for Failed {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal.into())
    }
}

impl From<LoadError> for Failed {
    fn from(error: LoadError) -> Self {
        internal(&error).into()
    }
}

/// Looks receipts up. On the worst day nearly everybody is refused, and each refusal has to know that the same request did not
/// succeed before: together they cost the store a statement, not one each.
struct Receipts(EventLog);

#[async_trait::async_trait]
impl Round for Receipts {
    type Ask = ReceiptKey;
    type Answer = Option<Receipt>;
    type Error = StoreError;

    async fn run(&self, asked: &[ReceiptKey]) -> Result<Vec<Option<Receipt>>, StoreError> {
        let names: BTreeSet<ReceiptKey> = asked.iter().cloned().collect();
        let found = self.0.receipts(&names).await?;
        // Two may ask for the same one.
        Ok(asked.iter().map(|name| found.get(name).cloned()).collect())
    }
}

/// Carries commands out. One a process, so that all of it shares the remembered aggregates.
pub struct Executor {
    log: EventLog,
    events: Repository<Event>,
    bookings: Repository<Booking>,
    ids: Ids,
    holds: Arc<dyn HoldStore>,
    receipts: Together<Receipts>,
}

impl Executor {
    /// Over that log. What bookings give back in it, they give back in `holds` too. Within a runtime.
    #[must_use]
    pub fn new(log: EventLog, ids: Ids, holds: Arc<dyn HoldStore>) -> Self {
        let (events, bookings) = (Repository::new(log.clone()), Repository::new(log.clone()));
        Self { events, bookings, receipts: Together::start(Receipts(log.clone())), log, ids, holds }
    }

    /// The log below.
    #[must_use]
    pub const fn log(&self) -> &EventLog {
        &self.log
    }

    /// An aggregate as it stands.
    ///
    /// # Errors
    /// When the store fails or a domain event cannot be read.
    pub async fn load<A: Target>(&self, id: Uuid, reading: Reading) -> Result<Arc<Loaded<A>>, LoadError> {
        let (repository, stream) = (A::repository(self), Repository::<A>::stream(id));
        match reading {
            Reading::Warm => repository.load(stream).await,
            Reading::Fresh => repository.load_fresh(stream).await,
        }
    }

    /// Carries one command out, or finds that it was carried out before.
    ///
    /// # Errors
    /// Why not. Nothing was changed then, unless the code is `INTERNAL`.
    pub async fn run<A: Target, D: Decision<A>>(
        &self,
        id: Uuid,
        origin: &Origin,
        key: Option<&RequestKey>,
        decision: &mut D,
    ) -> Result<Carried<A>, Refusals> {
        // What makes its aggregate finds its repetition in the append, or when it is refused; of a hundred who want one seat, that
        // saves each a look.
        if !D::IS_NEW
            && let Some(receipt) = self.receipt(key).await?
        {
            return Ok(Carried::Repeated(receipt));
        }
        let mut reading = Reading::Warm;
        for attempt in 0..MAX_ATTEMPTS {
            let is_first = attempt == 0;
            match self.attempt(id, origin, key, decision, reading, D::IS_NEW && is_first).await {
                Ok(loaded) => return Ok(Carried::Done(loaded)),
                Err(Failed::Answered(receipt)) => {
                    return compared(*receipt, key).map(Carried::Repeated).map_err(Refusals::from);
                }
                Err(Failed::Unchecked) => {}
                Err(Failed::Conflict | Failed::Retry) => self.back_off(attempt).await,
                Err(Failed::Lost(refusals)) => return Err(refusals),
                Err(Failed::Refused(refusals)) => {
                    // The same request may have succeeded since the door, and what it did is why this one is refused.
                    let repeated = self.receipt(key).await?;
                    return repeated.map(Carried::Repeated).ok_or(refusals);
                }
            }
            reading = Reading::Fresh;
        }
        tracing::warn!(stream = %Repository::<A>::stream(id), attempts = MAX_ATTEMPTS, "a command collided too often");
        Err(Refusal::overloaded(RETRY_AFTER_MS).into())
    }

    async fn back_off(&self, attempt: u32) {
        let longest = FIRST_BACKOFF.saturating_mul(1 << attempt.min(10)).min(MAX_BACKOFF);
        tokio::time::sleep(self.ids.jitter(longest)).await;
    }

    /// The receipt of the same request, if it succeeded before.
    async fn receipt(&self, key: Option<&RequestKey>) -> Result<Option<Receipt>, Refusal> {
        let Some(RequestKey { scope, operation, key: text, .. }) = key else { return Ok(None) };
        let name = ReceiptKey { scope: scope.clone(), operation: (*operation).to_owned(), key: text.clone() };
        let receipt = self.receipts.ask(name).await.map_err(|error| internal(&error))?;
        receipt.map(|receipt| compared(receipt, key)).transpose()
    }

    async fn attempt<A: Target, D: Decision<A>>(
        &self,
        id: Uuid,
        origin: &Origin,
        key: Option<&RequestKey>,
        decision: &mut D,
        reading: Reading,
        is_new: bool,
    ) -> Result<Arc<Loaded<A>>, Failed> {
        let stream = Repository::<A>::stream(id);
        let target = if is_new { Arc::default() } else { self.load::<A>(id, reading).await? };
        let ask = decision.decide(&target, reading).await.map_err(|refusals| unless_warm(reading, refusals))?;
        let mut append = Append {
            metadata: self.metadata(origin, ask.show_id),
            organizer_id: ask.organizer_id,
            reads: ask.reads,
            attachments: ask.attachments,
            ..Append::default()
        };
        let mut after = target.aggregate.clone();
        let sink = EventSink::default();
        let handled = after.handle(ask.command, &(), &sink).await;
        handled.map_err(|error| unless_warm(reading, decision.refused(&error)))?;
        let events: Vec<NewEvent> = sink.collect().await.iter().map(|event| NewEvent::of(event, id)).collect();
        if let Some(longest) = events.iter().map(|event| event.payload_len()).find(|bytes| *bytes > MAX_PAYLOAD_BYTES) {
            return Err(too_long(longest).into());
        }
        if events.is_empty() {
            if reading == Reading::Warm {
                return Err(Failed::Unchecked);
            }
            if key.is_none() {
                return Ok(target);
            }
            // Only a receipt is written, and only if the aggregate still stands where there was nothing to do.
            append.reads.push((stream, target.sequence));
        } else {
            append.streams.push(StreamAppend { stream, expected: target.sequence, events });
        }
        append.receipt = key.map(|key| key.receipt(decision.result(&after)));
        append.new_person = decision.new_person();
        self.append(stream, &target, append, decision).await
    }

    /// Appends; the aggregate as it stands afterwards.
    async fn append<A: Target, D: Decision<A>>(
        &self,
        stream: StreamId,
        target: &Loaded<A>,
        append: Append,
        decision: &mut D,
    ) -> Result<Arc<Loaded<A>>, Failed> {
        let span = tracing::info_span!("append", stream = %stream);
        match self.log.append(append).instrument(span).await {
            Ok(appended) => {
                holds::give_back(&*self.holds, &appended.events);
                match A::repository(self).absorb(stream, target, &appended.events) {
                    Some(after) => Ok(after),
                    None => Ok(self.load(stream.id, Reading::Fresh).await?),
                }
            }
            Err(error) => {
                A::repository(self).evict(stream);
                Err(failed(error, decision))
            }
        }
    }

    fn metadata(&self, origin: &Origin, show_id: Option<EventId>) -> Metadata {
        Metadata {
            command_id: self.ids.random(),
            causation_id: origin.causation_id,
            correlation_id: origin.correlation_id,
            actor: Some(origin.actor.clone()),
            traceparent: origin.traceparent.clone().or_else(|| trace::traceparent(&tracing::Span::current())),
            show_id,
        }
    }
}

/// Each part is within its limits, and all of them together are not: a long description in four-byte characters beside a hundred
/// ticket types with hundreds of categories.
fn too_long(bytes: usize) -> Refusal {
    let message = format!(
        "it would be recorded in {bytes} bytes, and {MAX_PAYLOAD_BYTES} are possible: shorten the description, or have fewer \
         ticket types or seat categories"
    );
    Refusal::invalid(vec!["input".into()], message)
}

/// A refusal counts when it was decided on what the log has now. That something is taken, sold out or too much at once never
/// comes from a remembered aggregate in the first place.
fn unless_warm(reading: Reading, refusals: Refusals) -> Failed {
    let is_of_aggregate = |refusal: &Refusal| {
        let code = refusal.code;
        !matches!(code, ErrorCode::SeatTaken | ErrorCode::SoldOut | ErrorCode::Overloaded | ErrorCode::Internal)
    };
    if reading == Reading::Warm && refusals.0.iter().all(is_of_aggregate) {
        Failed::Unchecked
    } else {
        Failed::Refused(refusals)
    }
}

/// The receipt, if it is of the same request.
fn compared(receipt: Receipt, key: Option<&RequestKey>) -> Result<Receipt, Refusal> {
    if key.is_some_and(|key| key.request_hash != receipt.request_hash) {
        let message = "this idempotency key was used for another request; take a new key for a new request";
        return Err(Refusal::new(ErrorCode::IdempotencyKeyReused, message));
    }
    Ok(receipt)
}

fn failed<A: Target, D: Decision<A>>(error: AppendError, decision: &mut D) -> Failed {
    match error {
        AppendError::Conflict { .. } => Failed::Conflict,
        AppendError::ClaimsLost(lost) => match decision.lost(lost) {
            Ok(()) => Failed::Retry,
            Err(refusals) => Failed::Lost(refusals),
        },
        AppendError::PersonKnown => {
            decision.person_is_known();
            Failed::Retry
        }
        AppendError::Answered(receipt) => Failed::Answered(receipt),
        AppendError::Overloaded { retry_after_ms } => Refusal::overloaded(retry_after_ms).into(),
        AppendError::Closed => Refusal::overloaded(RETRY_AFTER_MS).into(),
        error @ (AppendError::Malformed(_) | AppendError::Store(_) | AppendError::OutcomeUnknown(_)) => {
            internal(&error).into()
        }
    }
}
