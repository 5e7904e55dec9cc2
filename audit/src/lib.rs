//! A public Merkle tree over the log: tiles, signed checkpoints, proofs, and their check without trust in our database.
//!
//! An entry of the tree is what a recorded domain event says, canonically encoded (`tickiz-event-v1`, see the log's leaf hash); its
//! hash is the one that the log stores. Entries, tiles and checkpoints are files in the formats of C2SP (signed-note,
//! tlog-checkpoint, tlog-tiles, tlog-proof) over the tree of RFC 6962, so that a checker that we did not write reads them too.
//!
//! A **position** counts from 1, as the log does; an **index** counts from 0, as the tree does: position = index + 1.
//!
//! This crate knows nothing of the log's store. Whoever runs it gives it entries in the order of their positions.
//!
//! # What is proven, and what is not
//!
//! A checkpoint that somebody else has kept binds us: an entry before it cannot be changed, removed, inserted or moved without a
//! checker naming where. A checkpoint that nobody kept binds nobody: whoever has the key and the directory can make both anew. So
//! checkpoints must leave the house (a witness, a printed page, a mail to the auditor).
//!
//! # Layout
//!
//! * [`merkle`]: hashes, roots, proofs and their check; pure.
//! * [`tiles`]: the directory, its writer ([`tiles::LogWriter`]) and its reader.
//! * [`checkpoint`]: signed notes, their keys, checkpoints.
//! * [`proof`]: proofs as texts.
//! * [`verify`]: checks a directory, or compares it with a log or an export, and names what is wrong by position.

pub mod checkpoint;
pub mod merkle;
pub mod proof;
pub mod tiles;
pub mod verify;
