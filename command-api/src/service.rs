//! The write side as the outside calls it: [`Commands`], with a bounded number of commands under way.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use tickiz_contract::{Answer, CallContext, Commands, ErrorCode, Refusal, Refusals, Request};
use tickiz_telemetry::trace;
use tickiz_tickets::TicketVerifier;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tracing::Instrument;

use crate::{
    commands::{
        block_seats::block_seats,
        cancel_booking::cancel_booking,
        check_in::{check_in, merge_scans},
        create_event::create_event,
        manage_event::{cancel_event, postpone_event, publish_event},
        pay_booking::{PaymentDesk, pay_booking},
        place_booking::place_booking,
        refund_booking::refund_booking,
        reissue_tickets::reissue_tickets,
        update_event::update_event,
    },
    executor::RETRY_AFTER_MS,
    holds::{HoldStore, MemoryHolds},
    ids::{Entropy, SystemEntropy},
    metrics::METRICS,
    system::SystemCommands,
};

/// How many commands are under way at once: enough for several full batches of the log, so that its writer never waits for us,
/// and few enough that what each of them keeps in memory stays small.
pub const DEFAULT_MAX_IN_FLIGHT: usize = 2_048;
/// How long a command waits for another to end before it is refused: a batch or two of the log. Who waits longer is better told
/// to come back.
pub const DEFAULT_ADMISSION_WAIT: Duration = Duration::from_millis(200);
/// The first ticket key's number.
pub const DEFAULT_TICKET_KID: u8 = 1;

/// How the write side is run.
#[derive(Clone)]
pub struct CommandOptions {
    /// How many commands of the outside are under way at once.
    pub max_in_flight: usize,
    /// How long a command waits for its turn.
    pub admission_wait: Duration,
    /// The number of the key that new tickets are to be signed with.
    pub ticket_kid: u8,
    /// Checks the codes that gates read; without keys every one is forged.
    pub ticket_verifier: Arc<TicketVerifier>,
    /// Where random numbers come from.
    pub entropy: Arc<dyn Entropy>,
    /// Short claims of seats, shared by the processes that share the log.
    pub holds: Arc<dyn HoldStore>,
}

impl Default for CommandOptions {
    fn default() -> Self {
        Self {
            max_in_flight: DEFAULT_MAX_IN_FLIGHT,
            admission_wait: DEFAULT_ADMISSION_WAIT,
            ticket_kid: DEFAULT_TICKET_KID,
            ticket_verifier: Arc::default(),
            entropy: Arc::new(SystemEntropy),
            holds: Arc::new(MemoryHolds::default()),
        }
    }
}

struct Inner {
    system: SystemCommands,
    desk: Option<Arc<dyn PaymentDesk>>,
    ticket_verifier: Arc<TicketVerifier>,
    admission: Arc<Semaphore>,
    admission_wait: Duration,
}

/// The write side. Cheap to clone. It owns no task; the gateways' side and the workers have their own.
#[derive(Clone)]
pub struct CommandService(Arc<Inner>);

impl CommandService {
    /// Over those commands. Without a desk no payment method is configured.
    #[must_use]
    pub fn new(system: SystemCommands, desk: Option<Arc<dyn PaymentDesk>>, options: &CommandOptions) -> Self {
        Self(Arc::new(Inner {
            system,
            desk,
            ticket_verifier: options.ticket_verifier.clone(),
            admission: Arc::new(Semaphore::new(options.max_in_flight)),
            admission_wait: options.admission_wait,
        }))
    }

    /// The commands of Tickiz itself.
    #[must_use]
    pub fn system(&self) -> &SystemCommands {
        &self.0.system
    }

    /// The gateways' side.
    pub(crate) fn desk(&self) -> Option<&Arc<dyn PaymentDesk>> {
        self.0.desk.as_ref()
    }

    /// What checks the codes that gates read.
    pub(crate) fn ticket_verifier(&self) -> &TicketVerifier {
        &self.0.ticket_verifier
    }

    /// A turn, given back when the permit is dropped. Never held while a gateway is waited for.
    pub(crate) async fn admit(&self) -> Result<OwnedSemaphorePermit, Refusal> {
        let turn = tokio::time::timeout(self.0.admission_wait, self.0.admission.clone().acquire_owned()).await;
        match turn {
            Ok(Ok(permit)) => Ok(permit),
            Ok(Err(_)) | Err(_) => Err(Refusal::overloaded(RETRY_AFTER_MS)),
        }
    }

    async fn carry_out(&self, context: &CallContext, request: Request) -> Result<Answer, Refusals> {
        match request {
            Request::CreateEvent(request) => create_event(self, context, &request).await,
            Request::PublishEvent { id } => publish_event(self, context, &id).await,
            Request::UpdateEvent(request) => update_event(self, context, &request).await,
            Request::PostponeEvent(request) => postpone_event(self, context, &request).await,
            Request::CancelEvent { id, reason } => cancel_event(self, context, &id, &reason).await,
            Request::BlockSeats(request) => block_seats(self, context, &request).await,
            Request::PlaceBooking(request) => place_booking(self, context, &request).await,
            Request::PayBooking(request) => pay_booking(self, context, request).await,
            Request::CancelBooking(request) => cancel_booking(self, context, request).await,
            Request::ReissueTickets(request) => reissue_tickets(self, context, request).await,
            Request::RefundBooking(request) => refund_booking(self, context, &request).await,
            Request::CheckIn(request) => check_in(self, context, &request).await,
            Request::MergeScans(request) => merge_scans(self, context, &request).await,
        }
    }
}

#[async_trait]
impl Commands for CommandService {
    async fn execute(&self, mut context: CallContext, request: Request) -> Result<Answer, Refusals> {
        let operation = request.operation();
        let span = tracing::info_span!("command", operation, correlation_id = %context.correlation_id);
        trace::continue_from(&span, context.traceparent.as_deref());
        context.traceparent = trace::traceparent(&span).or(context.traceparent);
        let answer = self.carry_out(&context, request).instrument(span.clone()).await;
        METRICS.command(operation, &answer);
        if let Err(refusals) = &answer {
            let code = refusals.0.first().map_or(ErrorCode::Internal, |refusal| refusal.code);
            // What the caller did wrong, or lost to others, is his to hear; faults of ours are logged where they are found.
            span.in_scope(|| tracing::debug!(%code, "refused"));
        }
        answer
    }
}
