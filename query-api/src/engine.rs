//! From a request to its answer, the same for every transport: admit, identify, execute, encode.

use std::{future::Future, panic::AssertUnwindSafe, sync::Arc};

use async_graphql::{Response, parser::types::OperationType};
use futures::FutureExt;
use tickiz_contract::{CallContext, Caller, ErrorCode, Refusal};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use uuid::Uuid;

use crate::{
    answer::Reply,
    app::{App, Session},
    guard::{Baked, Fault, Guard, RawRequest},
    limits::{MAX_OPERATIONS, QUERY_TIMEOUT, RETRY_AFTER_MS},
    schema::{self, Schema},
};

/// Who sent a request, as far as the transport knows.
#[derive(Clone, Debug)]
pub struct Sender {
    /// What his bearer proves; a refusal where nobody has it.
    pub caller: Result<Caller, Refusal>,
    /// The request at the door.
    pub trace: Uuid,
    /// W3C trace context, if one came.
    pub traceparent: Option<String>,
}

/// An operation that may be executed.
pub struct Admitted {
    /// Itself.
    pub baked: Baked,
    /// On whose behalf.
    pub context: CallContext,
}

/// Executes requests.
#[derive(Clone)]
pub struct Engine {
    pub app: Arc<App>,
    pub schema: Schema,
    guard: Arc<Guard>,
    operations: Arc<Semaphore>,
}

impl Engine {
    /// The engine of a role.
    pub fn new(app: Arc<App>, introspection: bool) -> Self {
        let schema = schema::build(Arc::clone(&app), introspection);
        let guard = Arc::new(Guard::new(&schema::sdl(), introspection));
        Self { app, schema, guard, operations: Arc::new(Semaphore::new(MAX_OPERATIONS)) }
    }

    /// Whether the schema may be asked for.
    pub fn introspection(&self) -> bool {
        self.guard.introspection()
    }

    /// The operation that a request asks for, or why not.
    pub fn admit(&self, request: RawRequest, sender: &Sender) -> Result<Admitted, Reply> {
        let baked = self.guard.admit(request).map_err(|faults| self.refuse(faults, sender.trace))?;
        match &sender.caller {
            Ok(caller) => {
                let traceparent = sender.traceparent.clone();
                let context = CallContext { caller: caller.clone(), correlation_id: sender.trace, traceparent };
                Ok(Admitted { baked, context })
            }
            Err(refusal) => {
                let reply = Reply::turned_away(refusal.clone(), sender.trace);
                self.app.metrics.operation(&baked.roots, &reply.codes());
                Err(reply)
            }
        }
    }

    /// The reply to a request with faults.
    pub fn refuse(&self, faults: Vec<Fault>, trace: Uuid) -> Reply {
        let reply = Reply::refused(faults, trace);
        self.app.metrics.operation(&[], &reply.codes());
        reply
    }

    /// A place among the operations under way; `OVERLOADED` where there is none.
    pub fn place(&self) -> Result<OwnedSemaphorePermit, Refusal> {
        Arc::clone(&self.operations).try_acquire_owned().map_err(|_| Refusal::overloaded(RETRY_AFTER_MS))
    }

    /// The library's request for an admitted operation.
    pub fn request(&self, admitted: Admitted) -> async_graphql::Request {
        let Admitted { baked, context } = admitted;
        let mut request = async_graphql::Request::new(String::new());
        request.set_parsed_query(baked.document);
        request.data(Session::new(context, baked.json)).data(schema::loader(&self.app))
    }

    /// Executes a query or mutation.
    pub async fn execute(&self, admitted: Admitted) -> Reply {
        let (kind, roots, trace) =
            (admitted.baked.operation, admitted.baked.roots.clone(), admitted.context.correlation_id);
        let reply = match (kind, self.place()) {
            (OperationType::Subscription, _) => {
                return self
                    .refuse(vec![Fault::invalid("a subscription is followed over a WebSocket, not over HTTP")], trace);
            }
            (_, Err(refusal)) => Reply::turned_away(refusal, trace),
            (_, Ok(_place)) => {
                let execution = self.guarded(self.schema.execute(self.request(admitted)), trace);
                if kind == OperationType::Mutation {
                    // Cut off, a mutation's outcome would be unknown; the write side ends it in its own time.
                    execution.await
                } else {
                    let slow = || Reply::turned_away(Refusal::overloaded(RETRY_AFTER_MS), trace);
                    tokio::time::timeout(QUERY_TIMEOUT, execution).await.unwrap_or_else(|_| slow())
                }
            }
        };
        self.app.metrics.operation(&roots, &reply.codes());
        reply
    }

    /// A response's reply. A panic is a fault of ours like any other: logged by the hook, told as `INTERNAL`.
    pub async fn guarded(&self, execution: impl Future<Output = Response>, trace: Uuid) -> Reply {
        match AssertUnwindSafe(execution).catch_unwind().await {
            Ok(response) => Reply::of(response, trace),
            Err(_) => {
                tracing::error!(trace.id = %trace, "a resolver panicked");
                Reply::turned_away(Refusal::new(ErrorCode::Internal, Refusal::internal().message), trace)
            }
        }
    }
}
