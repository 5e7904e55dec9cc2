//! What happens without anybody asking: timers that are due, webhooks that wait, mails that follow from a booking.
//!
//! Everything here may die at any step and be run again, by this process or another: what is to be done stands in a table, is
//! taken under a lease, and is ended by compare-and-set; what is done is decided by the booking's state.
//!
//! # Layout
//!
//! * [`lane`]: one poller of due timers. [`deadlines`]: holds and shows. [`cancellation`]: the bookings of a cancelled show.
//! * [`mails`]: who follows the log and writes mails. [`checkpoint`]: how far it has come.
//! * The steps of payments are in [`crate::payments`], those of webhooks in [`crate::webhooks`].

pub mod cancellation;
pub mod checkpoint;
pub mod deadlines;
pub mod lane;
pub mod mails;

use std::{sync::Arc, time::Duration};

use tickiz_domain::timer::TimerKind;
use tickiz_event_log::{EventLog, LeasedTimer};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use self::{
    cancellation::{BookingList, CANCELLATIONS, EndBookings},
    deadlines::{HOLDS, HoldEnds, REMINDERS, SHOWS, ShowEnds, ShowIsNear},
    lane::{Lane, Step},
    mails::{Announcer, MailWorker},
};
use crate::{
    gateways::sandbox::provider::Provider,
    payments::{Bookings, Next, Payments, STEP_LEASE},
    webhooks::worker::{Waiting, WebhookWorker},
};

/// Gateways that have to be told something now.
const PAYMENTS: Lane = Lane {
    name: "payments",
    kinds: &[TimerKind::PaymentStart, TimerKind::PaymentCancel],
    at_once: 64,
    lease: STEP_LEASE,
    poll: Duration::from_millis(300),
};

/// Money that goes back, in a lane of its own: a cancelled show's thousands of refunds hold up nobody who has to pay.
const REFUNDS: Lane = Lane {
    name: "refunds",
    kinds: &[TimerKind::RefundStart],
    at_once: 32,
    lease: STEP_LEASE,
    poll: Duration::from_millis(500),
};

/// Gateways that are asked; a lane of their own, so that one which does not answer holds up nobody who has to pay.
const RECONCILER: Lane = Lane {
    name: "reconciler",
    kinds: &[TimerKind::PaymentCheck],
    at_once: 64,
    lease: STEP_LEASE,
    poll: Duration::from_millis(500),
};

#[async_trait::async_trait]
impl Step for Payments {
    async fn run(&self, timer: &LeasedTimer) -> Next {
        self.step(timer).await
    }
}

/// What the workers work with.
pub struct WorkerOptions {
    /// The log.
    pub log: EventLog,
    /// The bookings.
    pub bookings: Arc<dyn Bookings>,
    /// The payments.
    pub payments: Payments,
    /// The list of a show's bookings; `None` where timers fire in another process.
    pub list: Option<Arc<dyn BookingList>>,
    /// The webhooks that wait, with who works on them.
    pub webhooks: (WebhookWorker, Waiting),
    /// Who writes mails; `None` where another process does.
    pub mails: Option<(MailWorker, Announcer)>,
    /// The sandbox gateway's own errands, where it is on.
    pub sandbox: Option<Provider>,
    /// What requests have begun and go on after them.
    pub tasks: TaskTracker,
}

/// The running workers.
pub struct Workers {
    stop: CancellationToken,
    /// The sandbox gateway goes last: the others still call it while they end.
    stop_sandbox: CancellationToken,
    running: TaskTracker,
    sandbox: TaskTracker,
    tasks: TaskTracker,
}

impl Workers {
    /// Starts all of them.
    #[must_use]
    pub fn start(options: WorkerOptions) -> Self {
        let workers = Self {
            stop: CancellationToken::new(),
            stop_sandbox: CancellationToken::new(),
            running: TaskTracker::new(),
            sandbox: TaskTracker::new(),
            tasks: options.tasks,
        };
        if let Some(list) = options.list {
            workers.fire_timers(&options.log, options.bookings, options.payments, list);
        }
        let (worker, waiting) = options.webhooks;
        workers.running.spawn(worker.run(waiting, workers.stop.clone()));
        if let Some(mails) = options.mails {
            let (mails, announcer) = mails;
            workers.running.spawn(mails.run(workers.stop.clone()));
            workers.running.spawn(announcer.run(workers.stop.clone()));
        }
        if let Some(provider) = options.sandbox {
            let stop = workers.stop_sandbox.clone();
            workers.sandbox.spawn(async move { provider.run(stop).await });
        }
        workers
    }

    fn fire_timers(&self, log: &EventLog, bookings: Arc<dyn Bookings>, payments: Payments, list: Arc<dyn BookingList>) {
        let payments: Arc<dyn Step> = Arc::new(payments);
        let end_bookings = EndBookings { bookings: bookings.clone(), list, log: log.clone() };
        let lanes: [(Lane, Arc<dyn Step>); 7] = [
            (HOLDS, Arc::new(HoldEnds(bookings.clone()))),
            (SHOWS, Arc::new(ShowEnds(bookings.clone()))),
            (REMINDERS, Arc::new(ShowIsNear(bookings))),
            (CANCELLATIONS, Arc::new(end_bookings)),
            (PAYMENTS, payments.clone()),
            (REFUNDS, payments.clone()),
            (RECONCILER, payments),
        ];
        for (lane, step) in lanes {
            self.running.spawn(lane::run(lane, log.clone(), step, self.stop.clone()));
        }
    }

    /// Begins nothing new, and waits for what has begun. The HTTP server has to run until this returns, since the sandbox gateway
    /// is spoken to over it.
    pub async fn shutdown(self) {
        self.stop.cancel();
        self.running.close();
        self.running.wait().await;
        self.tasks.close();
        self.tasks.wait().await;
        self.stop_sandbox.cancel();
        self.sandbox.close();
        self.sandbox.wait().await;
    }
}
