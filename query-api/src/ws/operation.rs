//! One operation of a WebSocket, from `subscribe` to `complete`.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use async_graphql::{Value, parser::types::OperationType};
use futures::StreamExt;
use tickiz_contract::Refusal;
use tokio::sync::mpsc;

use super::{
    Outgoing,
    protocol::{envelope, next_head},
};
use crate::{
    answer::Reply,
    app::Failure,
    engine::{Admitted, Sender},
    guard::{Fault, RawRequest, json},
    http::Web,
    limits::MAX_SUBSCRIPTION_BYTES,
    live::GroupKey,
    metrics::Counted,
    schema::subscription,
    server::Wire,
};

/// What an operation and its socket tell each other.
#[derive(Debug, Default)]
pub struct Fate {
    /// Set once the client wants nothing more of it, so that what is queued is not sent under a name that is used anew.
    over: AtomicBool,
    /// Set before its last message is queued: whoever has read that may use the name anew.
    ended: AtomicBool,
}

impl Fate {
    /// The client wants nothing more.
    pub fn give_up(&self) {
        self.over.store(true, Ordering::Release);
    }

    /// Whether what it has to say is still wanted.
    pub fn wanted(&self) -> bool {
        !self.over.load(Ordering::Acquire)
    }

    /// Whether its last message is on its way.
    pub fn ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }
}

/// An operation that runs.
pub struct Operation {
    pub web: Web,
    pub sender: Sender,
    /// The client's name for it.
    pub id: Arc<str>,
    pub fate: Arc<Fate>,
    pub queue: mpsc::Sender<Outgoing>,
    /// Where frames of seats go, past the queue.
    pub wire: Arc<Wire>,
}

/// The client is gone; there is nobody to tell.
pub struct Gone;

impl Operation {
    /// Runs to the operation's end.
    pub async fn run(self, payload: serde_json::Value) {
        // Nobody waits for what a client that is gone would have been told.
        let _ = self.execute(payload).await;
    }

    async fn send(&self, kind: &str, payload: Option<&str>) -> Result<(), Gone> {
        let outgoing = Outgoing::Text { text: envelope(kind, &self.id, payload), of: Some(Arc::clone(&self.fate)) };
        self.queue.send(outgoing).await.map_err(|_| Gone)
    }

    /// The operation ends with this message.
    async fn end(&self, kind: &str, payload: Option<&str>) -> Result<(), Gone> {
        self.fate.ended.store(true, Ordering::Release);
        self.send(kind, payload).await
    }

    async fn next(&self, body: &[u8]) -> Result<(), Gone> {
        self.send("next", Some(std::str::from_utf8(body).expect("serde_json writes UTF-8 only"))).await
    }

    /// The operation ends with errors instead of answers.
    async fn error(&self, reply: &Reply) -> Result<(), Gone> {
        let errors =
            serde_json::to_string(&reply.errors).expect("errors have no fallible Serialize, so JSON cannot fail");
        self.end("error", Some(&errors)).await
    }

    async fn execute(&self, payload: serde_json::Value) -> Result<(), Gone> {
        let engine = &self.web.engine;
        let request = match json::request_of(payload) {
            Ok(request) => request,
            Err(fault) => return self.error(&engine.refuse(vec![fault], self.sender.trace)).await,
        };
        let (key, length) = (GroupKey::of(&request), request.query.len());
        let admitted = match self.admit(request, length) {
            Ok(admitted) => admitted,
            Err(reply) => return self.error(&reply).await,
        };
        if admitted.baked.operation != OperationType::Subscription {
            let reply = engine.execute(admitted).await;
            if !reply.executed {
                return self.error(&reply).await;
            }
            self.next(&reply.body).await?;
            return self.end("complete", None).await;
        }
        let _counted = Counted::new(&engine.app.metrics.subscriptions);
        if admitted.baked.roots == ["seatAvailability"] {
            self.follow_seats(key, admitted).await
        } else {
            self.follow(admitted).await
        }
    }

    fn admit(&self, request: RawRequest, length: usize) -> Result<Admitted, Reply> {
        let engine = &self.web.engine;
        let admitted = engine.admit(request, &self.sender)?;
        if admitted.baked.operation == OperationType::Subscription && length > MAX_SUBSCRIPTION_BYTES {
            let fault = Fault::limit(format!("a subscription's document has at most {MAX_SUBSCRIPTION_BYTES} bytes"));
            return Err(engine.refuse(vec![fault], self.sender.trace));
        }
        Ok(admitted)
    }

    /// The seats of a show: each frame encoded once for all who asked the same.
    async fn follow_seats(&self, key: GroupKey, admitted: Admitted) -> Result<(), Gone> {
        let app = &self.web.engine.app;
        let id = admitted.baked.root_argument("eventId").unwrap_or_default().to_owned();
        let watch = match subscription::seats(app, &admitted.context.caller, &id).await {
            Ok(watch) => {
                app.metrics.operation(&admitted.baked.roots, &[]);
                watch
            }
            Err(failure) => return self.not_opened(failure, &admitted.baked.roots).await,
        };
        let group = self.web.groups.join(key, admitted);
        let membership = group.follow(watch, &self.wire, &self.fate, &next_head(&self.id).into());
        // The shard holds it as long as it writes.
        drop(group);
        membership.over().await;
        self.end("complete", None).await
    }

    async fn not_opened(&self, failure: Failure, roots: &[String]) -> Result<(), Gone> {
        let trace = self.sender.trace;
        let refusal = match failure {
            Failure::Refused(refusal) => refusal,
            Failure::Fault(error) => {
                tracing::error!(trace.id = %trace, %error, "a subscription could not be opened");
                Refusal::internal()
            }
        };
        let reply = Reply::turned_away(refusal, trace);
        self.web.engine.app.metrics.operation(roots, &reply.codes());
        self.error(&reply).await
    }

    /// Any other subscription.
    async fn follow(&self, admitted: Admitted) -> Result<(), Gone> {
        let engine = &self.web.engine;
        let (trace, roots) = (admitted.context.correlation_id, admitted.baked.roots.clone());
        let mut responses = engine.schema.execute_stream(engine.request(admitted));
        let mut first = true;
        while let Some(response) = responses.next().await {
            let opened = response.data != Value::Null || response.errors.is_empty();
            let reply = Reply::of(response, trace);
            if first {
                engine.app.metrics.operation(&roots, &reply.codes());
            }
            if first && !opened {
                return self.error(&reply).await;
            }
            first = false;
            self.next(&reply.body).await?;
        }
        self.end("complete", None).await
    }
}
