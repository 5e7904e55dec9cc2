//! The heart: append, read, claims, receipts, timers, sealing.
//!
//! # Why it is correct
//!
//! 1. **One place decides.** An append is one transaction that first locks the head row of its shard; everything it decides on is
//!    read after that, at READ COMMITTED. So decisions are made one after the other, by however many processes, and no decision
//!    is made on something that another is changing. The row lock is the fence: there is no leader and no lease.
//! 2. **Positions are gap-free and appear in order.** They are handed out under that lock and become visible at COMMIT, before the
//!    next holder gets the lock. A reader that has seen position n has seen everything up to n; a checkpoint never passes a late
//!    commit. `AUTO_INCREMENT` promises neither.
//! 3. **Claims cannot be forgotten.** They are pure functions of the domain event ([`record::NewEvent::of`] is the only way to make
//!    one), applied in the same transaction, written only onto the row that was read, with row counts asserted.
//! 4. **A repeated command is answered.** Its receipt is in the same transaction under a unique key, and looked up in it.
//! 5. **An answer means durable.** A waiter is answered after COMMIT, with `innodb_flush_log_at_trx_commit = 1` on MySQL and
//!    `synchronous = FULL` in SQLite. When COMMIT's own answer is lost its outcome is looked up under the lock ([`writer`]).
//! 6. **A stopped process stalls nobody for long.** The server ends the writer's silent session after three seconds.
//!
//! What must not be removed: the `FOR UPDATE` on the head before anything is read; the asserts on row counts and positions; the
//! look-up after a lost COMMIT; the `wait_timeout` of the writer's session.
//!
//! # Layout
//!
//! * [`record`]: the words: recorded domain events, appends, refusals.
//! * [`store`]: what a backend does; [`stores`]: memory, SQLite, MySQL. [`migrate`]: their schema.
//! * [`decide`]: which appends of a batch survive: pure, shared by the backends.
//! * [`writer`]: the one writer task: group commit. [`log`]: the handle.
//! * [`feed`]: the newest domain events in memory, the head's poller.
//! * [`repository`]: warm aggregates and snapshots; [`cqrs`]: cqrs-es over them.
//! * `rounds`: what is asked of the store for many at once. `open`: how it is opened. `master_key`: its file and fingerprint.
//! * [`sealing`]: personal data; [`leaf`]: hashes; [`runtime`]: clocks and chance.

pub mod cqrs;
pub mod decide;
mod feed;
mod leaf;
mod log;
mod master_key;
mod metrics;
pub mod migrate;
mod open;
pub mod record;
pub mod repository;
mod rounds;
pub mod runtime;
pub mod sealing;
pub mod store;
pub mod stores;
pub mod writer;

pub use decide::MAX_PAYLOAD_BYTES;
pub use leaf::{leaf_entry, leaf_hash, metadata_json};
pub use log::EventLog;
pub use open::{LogOptions, LogService, OpenError};
pub use record::{
    Append, AppendError, Appended, Attachment, LostClaim, LostReason, Metadata, NewEvent, NewReceipt, Position,
    Receipt, Recorded, SHARD, Sequence, StoreError, StreamAppend,
};
pub use repository::{LoadError, Loaded, Repository};
pub use sealing::{SealError, Sealer, Secrets};
pub use store::{ClaimRow, LeasedTimer, LogFilter, ReceiptKey, WantedKey};
