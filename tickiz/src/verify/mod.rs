//! `tickiz verify`: checks the promises against the log, the claims, the receipts, the read models and the sandbox gateway's
//! own books, and names each one broken, with the position.
//!
//! It believes nothing that it can recompute. The log is read once, in order; every domain event is hashed again, decoded,
//! folded, and its claims are replayed by a model of their own ([`claims`]) that shares no code with the log's writer. What
//! comes out is then compared with what stands in the tables.
//!
//! | promise | what is compared |
//! |---|---|
//! | P1 | replayed claims never take what another holds, nor use more than the limit; the claims table says the same |
//! | P2 | at every position: places of held and confirmed bookings + blocks = what is claimed, never above capacity |
//! | P3 | leaf hashes, the head row, recorded times that never go back |
//! | P4 | each confirmed booking is paid or waived; each payment has a ticket or a refund; the gateway's books say the same |
//! | P5 | no hold is open more than 5 s after its deadline |
//! | P6 | the read models, and where `TICKIZ_REDIS_URL` is set the copies in Redis, equal the fold of the log |
//! | P7 | each booking placed has its receipt, each receipt its domain events |
//! | P8 | positions and sequences without a gap and in order; where `TICKIZ_KAFKA_BROKERS` is set, the topic says what the log says |
//! | P10 | whatever the log leaves open (holds, payments, refunds, cancelled shows) has its timer, and each timer its cause |
//! | P11 | no copy of a show in Redis shows a seat as free that was held before the position that the copy is said to contain |
//! | P12 | a hold that ended never confirms; fences are the positions of their takings |

mod claims;
#[cfg(feature = "distributed")]
mod copies;
mod fold;
mod money;
mod report;
mod run;
mod work;

use fold::Walk;
use report::{Promise, Report};
pub use run::run;
