//! Mails: who follows the log and writes to buyers.
//!
//! Two consumers of the log, each with a durable checkpoint ([`super::checkpoint`]) and one process at a time: what a booking's own
//! domain events tell its buyer, and what a show's tell everybody with tickets. A mail is named by the booking and the position
//! of the domain event that it tells of, so one that is written again after a crash is the same mail, and the sink takes it
//! once. It is never sent from a projection: those are rebuilt, and nobody wants his tickets twice.
//!
//! A mail that cannot be delivered now holds the others up until it can; one that can never be written (a damaged seal, an
//! unknown key) is logged as an error and passed over, and so is one that the mail server refuses for good, which is kept in a
//! folder of its own.
//!
//! # Layout
//!
//! * [`follow`]: the log, a checkpoint, a lease. [`bookings`] and [`announcements`]: what a domain event gives to tell.
//!   [`rounds`]: how far an announcement to many has come.
//! * [`post`]: one mail, from the booking to the sink. [`writing`]: its texts and documents. [`message`]: its bytes.
//!   [`sink`]: the mail server, or a folder.

mod announcements;
mod bookings;
mod follow;
pub mod message;
mod post;
mod rounds;
mod scribe;
pub mod sink;
pub mod writing;

use std::{sync::Arc, time::Duration};

use tickiz_event_log::EventLog;
use tokio_util::sync::CancellationToken;

use self::{announcements::OfShows, bookings::OfBookings};
pub use self::{post::Post, rounds::Rounds};
use super::{cancellation::BookingList, checkpoint::Checkpoint};

/// The name of the bookings' mails in the table of checkpoints.
pub const CONSUMER: &str = "confirmation-mails";
/// The name of the shows' announcements there.
pub const ANNOUNCEMENTS: &str = "announcement-mails";
/// How long a process stays the one who writes mails after it was last heard of.
pub const LEASE: Duration = Duration::from_secs(10);

/// Writes to buyers: their tickets, that money went back, that a show will not be.
pub struct MailWorker {
    /// The log.
    pub log: EventLog,
    /// How far it has come.
    pub checkpoint: Checkpoint,
    /// Writes and delivers.
    pub post: Arc<Post>,
}

impl MailWorker {
    /// Works until it is told to stop.
    pub async fn run(self, stop: CancellationToken) {
        follow::run(self.log, self.checkpoint, Arc::new(OfBookings(self.post)), stop).await;
    }
}

/// Writes to everybody who has tickets for a show: that it has another time or place, that it was put off, that it is near.
pub struct Announcer {
    /// The log.
    pub log: EventLog,
    /// How far it has come.
    pub checkpoint: Checkpoint,
    /// Writes and delivers.
    pub post: Arc<Post>,
    /// The bookings of a show.
    pub list: Arc<dyn BookingList>,
    /// How far an announcement has come.
    pub rounds: Rounds,
}

impl Announcer {
    /// Works until it is told to stop.
    pub async fn run(self, stop: CancellationToken) {
        let Self { log, checkpoint, post, list, rounds } = self;
        let teller = OfShows { post, log: log.clone(), list, rounds };
        follow::run(log, checkpoint, Arc::new(teller), stop).await;
    }
}
