//! Works through the inbox: for each message the gateway is asked where its attempt stands.
//!
//! The receiver hands new messages over in memory; what does not fit there, and what a dead process left, is found in the table.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{Semaphore, mpsc},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use super::inbox::{Inbox, Message, State, Stored};
use crate::{
    gateways::{CALL_DEADLINE, Verdict, Webhook},
    payments::{Look, Payments, StepError, retry_wait},
};

/// How long a message is leased, which is how long it waits for another process when this one dies. One look at the gateway and an
/// append; where a slow gateway makes it longer, two processes look, which is harmless.
pub const LEASE: Duration = Duration::from_secs(CALL_DEADLINE.as_secs() + 2);
/// The most messages that wait in memory; what is above is found in the table when its lease runs out.
const MAX_WAITING: usize = 4_096;
/// The most messages that are worked on at once; each is a call to a gateway.
const MAX_AT_WORK: usize = 64;
/// How often the table is looked at.
const POLL: Duration = Duration::from_secs(1);
/// The most messages that one look at the table takes.
const POLL_BATCH: i64 = 100;
/// A message that failed so often, over half a day, is left to the reconciler.
const MAX_ATTEMPTS: i32 = 720;
/// How often a message is tried again whose object does not show yet what it announces, over some minutes. After that it may be
/// about something else, and the reconciler looks on its own schedule.
const MAX_UNSEEN: i32 = 10;

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applied {
    /// The gateway was asked and its answer recorded.
    Recorded,
    /// It is about nothing of ours.
    Foreign,
    /// Not now; it is tried again.
    Later,
}

/// Works through the inbox. Cheap to clone.
#[derive(Clone)]
pub struct WebhookWorker {
    inbox: Inbox,
    payments: Payments,
    waiting: mpsc::Sender<Message>,
}

/// The other end of what waits in memory; handed to [`WebhookWorker::run`].
pub struct Waiting(mpsc::Receiver<Message>);

impl WebhookWorker {
    /// A worker on that inbox.
    #[must_use]
    pub fn new(inbox: Inbox, payments: Payments) -> (Self, Waiting) {
        let (sender, receiver) = mpsc::channel(MAX_WAITING);
        (Self { inbox, payments, waiting: sender }, Waiting(receiver))
    }

    /// Hands a leased message over to be worked on.
    pub(super) fn hand_over(&self, message: Message) {
        // Closed: this process is ending, and another or the next one finds it in the table.
        if let Err(mpsc::error::TrySendError::Full(_)) = self.waiting.try_send(message) {
            tracing::warn!("more webhooks wait than fit into memory; they are taken from the table");
        }
    }

    /// Decides a message whose gateway hears in the answer what became of it, in its order: the attempt is there, the amount is
    /// its own, it is not paid yet. A repetition is decided like the first time, as things stand now: the first one may not have
    /// come to its end.
    pub(super) async fn decide(&self, webhook: &Webhook, stored: Stored) -> Verdict {
        let message = match stored {
            Stored::New(message) => Some(message),
            Stored::Seen => None,
        };
        let asked = match self.payments.asked(webhook.attempt).await {
            Ok(asked) => asked,
            Err(error) => {
                tracing::warn!(event_key = %webhook.event_key, %error, "a webhook could not be decided");
                return Verdict::Later;
            }
        };
        if let Some(asked) = &asked
            && webhook.amount.is_some_and(|amount| amount != asked.amount)
        {
            // What is true is still asked for: the message stays in the table.
            return Verdict::OtherAmount;
        }
        let is_paid = asked.is_some_and(|asked| asked.is_paid);
        let applied = match message {
            Some(message) => self.apply(&message).await,
            None if is_paid => Applied::Recorded,
            None => match self.payments.look(webhook.attempt, webhook.attempt.payment_id.0).await {
                Ok(Look::Foreign) | Err(StepError::OtherAttempt) => Applied::Foreign,
                Ok(Look::Settled | Look::Pending) => Applied::Recorded,
                Ok(Look::Open | Look::NotThere) | Err(_) => Applied::Later,
            },
        };
        match applied {
            Applied::Recorded if is_paid => Verdict::Seen,
            Applied::Recorded => Verdict::Taken,
            Applied::Foreign => Verdict::Foreign,
            Applied::Later => Verdict::Later,
        }
    }

    /// Works on a leased message and writes down what became of it.
    pub async fn apply(&self, message: &Message) -> Applied {
        let looked = self.payments.look(message.attempt, message.cause()).await;
        let (applied, state, outcome, again) = match &looked {
            Ok(Look::Foreign) => (Applied::Foreign, State::Ignored, "no such booking or attempt".to_owned(), None),
            Err(StepError::OtherAttempt) => {
                (Applied::Foreign, State::Ignored, "the gateway has another attempt under that name".to_owned(), None)
            }
            // What the message announces is not there to be read yet: a gateway may send it before its own books show it.
            Ok(look @ (Look::Open | Look::NotThere)) if message.attempts < MAX_UNSEEN => (
                Applied::Later,
                State::New,
                format!("{look:?}").to_lowercase(),
                Some(retry_wait(i64::from(message.attempts))),
            ),
            Ok(look) => (Applied::Recorded, State::Applied, format!("{look:?}").to_lowercase(), None),
            Err(error) if message.attempts >= MAX_ATTEMPTS => {
                (Applied::Later, State::Abandoned, error.to_string(), None)
            }
            Err(error) => {
                (Applied::Later, State::New, error.to_string(), Some(retry_wait(i64::from(message.attempts))))
            }
        };
        match state {
            State::Ignored => tracing::warn!(
                gateway = %message.gateway, event_key = %message.event_key, %outcome, "a webhook is about nothing of ours"
            ),
            State::Abandoned => tracing::error!(
                gateway = %message.gateway, event_key = %message.event_key, %outcome, "a webhook could not be applied"
            ),
            State::New => tracing::warn!(
                gateway = %message.gateway, event_key = %message.event_key, %outcome, "a webhook is tried again"
            ),
            State::Applied => {}
        }
        if let Err(error) = self.inbox.settle(message, state, &outcome, again).await {
            tracing::warn!(event_key = %message.event_key, %error, "what became of a webhook could not be written down");
        }
        applied
    }

    /// Works until it is told to stop, then ends what it has begun. What waits stays in the table.
    pub async fn run(self, mut waiting: Waiting, stop: CancellationToken) {
        let places = Arc::new(Semaphore::new(MAX_AT_WORK));
        let mut at_work = JoinSet::new();
        let mut poll = tokio::time::interval(POLL);
        poll.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let messages = tokio::select! {
                () = stop.cancelled() => break,
                Some(message) = waiting.0.recv() => vec![message],
                _ = poll.tick() => self.leased().await,
            };
            for message in messages {
                let Ok(place) = Arc::clone(&places).acquire_owned().await else { break };
                let this = self.clone();
                at_work.spawn(async move {
                    this.apply(&message).await;
                    drop(place);
                });
            }
            while at_work.try_join_next().is_some() {}
        }
        while at_work.join_next().await.is_some() {}
    }

    /// The due messages of the table that nobody else took.
    async fn leased(&self) -> Vec<Message> {
        let due = match self.inbox.due(POLL_BATCH).await {
            Ok(due) => due,
            Err(error) => {
                tracing::error!(%error, "the webhook inbox cannot be read; trying on");
                return Vec::new();
            }
        };
        let mut taken = Vec::new();
        for message in &due {
            match self.inbox.take(message, LEASE).await {
                Ok(message) => taken.extend(message),
                Err(error) => tracing::warn!(%error, "a webhook could not be taken"),
            }
        }
        taken
    }
}
