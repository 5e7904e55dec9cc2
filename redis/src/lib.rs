//! What Redis does for Tickiz: short holds of seats, shows and lists near at hand, and signals.
//!
//! Redis decides nothing and keeps nothing that is not somewhere else. Any of it may be gone at any moment (FLUSHALL, eviction,
//! a restart, a server that was never there) or be out of reach, and then Tickiz is slower and just as right:
//!
//! * **Holds** ([`RedisHolds`]) turn losers away; the claims of the log decide.
//! * **Shows** ([`RedisMirror`], [`RedisCache`]) are copies of rows of the read models, each under the epoch and the position that
//!   its chain of changes has reached. What is missing, or of another epoch, is read from MySQL; it never reads as "free".
//! * **Lists** are pages of the read models, at most a fraction of a second old, and filled by one reader at a time.
//! * **Signals** ([`signals`]) say how far the read models are, and save asking.
//!
//! # Layout
//!
//! * [`connection`]: one connection for all, bounded in time, and left alone for a moment after it failed.
//! * [`holds`]: the store of holds. `mirror`: what the projector writes of shows. `cache`: what readers read, of shows and lists.
//!   [`signals`]: the signals' reader. [`compare`]: what stands there, to be compared with the log. Each keeps its Lua scripts beside it.

pub mod cache;
pub mod compare;
pub mod connection;
pub mod holds;
pub mod mirror;
pub mod signals;

pub use cache::RedisCache;
pub use connection::{Redis, RedisError};
pub use holds::RedisHolds;
pub use mirror::RedisMirror;
