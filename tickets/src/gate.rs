//! What a gate does with a code, without a network.
//!
//! 1. Form: prefix, length, Base32, version; else it is no ticket.
//! 2. The key's number is in the gate's set, and the signature is right.
//! 3. It is this show's, its class may enter here, and now is within its time.
//! 4. It has not been revoked.
//! 5. Where it must rotate, the suffix is there, fresh and right.
//!
//! Whether it was used before is the gate's journal's matter and comes after this.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    code::{CodeError, Suffix},
    keys::TicketVerifier,
    payload::{Flags, TicketPayload},
    rotation::RotationKey,
};

/// How far a gate's clock may be off against a ticket's time, in seconds, either way.
pub const CLOCK_LEEWAY_SECONDS: u64 = 300;
/// How old, or how far ahead, the time stated in a suffix may be, in seconds.
pub const ROTATION_TOLERANCE_SECONDS: u64 = 30;
/// The most that the tolerance may be set to, for gates with bad clocks; beyond it a screenshot lives too long.
pub const MAX_ROTATION_TOLERANCE_SECONDS: u64 = 90;

/// Why a code does not let anybody in. Each says something else to the person at the gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Not a ticket, or not one that we signed.
    #[error(transparent)]
    Code(#[from] CodeError),
    /// A ticket for another show.
    #[error("a ticket for another show")]
    OtherEvent,
    /// Its class enters somewhere else.
    #[error("this ticket's class does not enter here")]
    OtherCategory,
    /// Its time has not begun.
    #[error("not valid yet")]
    TooEarly,
    /// Its time is over.
    #[error("no longer valid")]
    Expired,
    /// It was refunded or cancelled.
    #[error("revoked")]
    Revoked,
    /// It was transferred or issued again since.
    #[error("replaced by a newer ticket")]
    Superseded,
    /// It must rotate, and there is no suffix: a print or a copy.
    #[error("this ticket is valid only as it is shown live")]
    SuffixMissing,
    /// It does not rotate, and there is a suffix.
    #[error("this ticket has a suffix that does not belong to it")]
    SuffixUnexpected,
    /// The time that the suffix states is too far off: a screenshot.
    #[error("the code shown is too old")]
    SuffixStale,
    /// The suffix is not this ticket's.
    #[error("the code shown is not genuine")]
    SuffixWrong,
}

/// What a gate knows.
#[derive(Clone, Debug)]
pub struct Gate<'a> {
    /// The public keys.
    pub verifier: &'a TicketVerifier,
    /// The show's number.
    pub event: u32,
    /// The admission classes that enter here; `None`: all.
    pub categories: Option<&'a BTreeSet<u16>>,
    /// The lowest revision that is still valid, of tickets that were issued again.
    pub min_rev: &'a BTreeMap<u64, u8>,
    /// Tickets that are no longer valid at all.
    pub revoked: &'a BTreeSet<u64>,
    /// The show's rotation key; without it no rotating ticket enters.
    pub event_rotation_key: Option<&'a [u8]>,
    /// [`ROTATION_TOLERANCE_SECONDS`], unless this gate's clock is bad; counts at most as
    /// [`MAX_ROTATION_TOLERANCE_SECONDS`].
    pub rotation_tolerance_seconds: u64,
}

impl Gate<'_> {
    /// Checks a code at a time in unix seconds.
    ///
    /// # Errors
    /// The first [`Refusal`] of the steps above.
    pub fn check(&self, text: &str, now: u64) -> Result<TicketPayload, Refusal> {
        let ticket = self.verifier.verify(text)?;
        let payload = ticket.payload;
        if payload.event != self.event {
            return Err(Refusal::OtherEvent);
        }
        if self.categories.is_some_and(|categories| !categories.contains(&payload.category)) {
            return Err(Refusal::OtherCategory);
        }
        if now.saturating_add(CLOCK_LEEWAY_SECONDS) < u64::from(payload.not_before) {
            return Err(Refusal::TooEarly);
        }
        if now > u64::from(payload.expires) + CLOCK_LEEWAY_SECONDS {
            return Err(Refusal::Expired);
        }
        if self.revoked.contains(&payload.ticket) {
            return Err(Refusal::Revoked);
        }
        if self.min_rev.get(&payload.ticket).is_some_and(|lowest| payload.rev < *lowest) {
            return Err(Refusal::Superseded);
        }
        match (payload.flags.has(Flags::ROTATING), ticket.suffix) {
            (false, None) => Ok(payload),
            (false, Some(_)) => Err(Refusal::SuffixUnexpected),
            (true, None) => Err(Refusal::SuffixMissing),
            (true, Some(suffix)) => self.check_suffix(&payload, &suffix, now).map(|()| payload),
        }
    }

    fn check_suffix(&self, payload: &TicketPayload, suffix: &Suffix, now: u64) -> Result<(), Refusal> {
        let tolerance = self.rotation_tolerance_seconds.min(MAX_ROTATION_TOLERANCE_SECONDS);
        if now.abs_diff(suffix.stated_at) > tolerance {
            return Err(Refusal::SuffixStale);
        }
        let key = self.event_rotation_key.ok_or(Refusal::SuffixWrong)?;
        if RotationKey::derive(key, payload).matches(suffix) { Ok(()) } else { Err(Refusal::SuffixWrong) }
    }
}
