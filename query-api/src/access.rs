//! The one access policy of the API: who is asking, and what he may do with what.
//!
//! Everything that is read or changed through GraphQL passes [`AccessPolicy::identify`] and [`allow`]; no resolver decides by
//! itself. What belongs to whom among the organisers' own shows and bookings is decided where the state is, by the write side,
//! with the same [`Caller`].
//!
//! | | nobody known | organiser | gate | auditor |
//! |---|---|---|---|---|
//! | look at a published show | yes | yes | yes | yes |
//! | look at a draft | no, as if it were not there | his own | no, as if it were not there | no, as if it were not there |
//! | make and change shows | `UNAUTHENTICATED` | yes | `FORBIDDEN` | `FORBIDDEN` |
//! | give part of a booking back | `UNAUTHENTICATED` | of his own shows | `FORBIDDEN` | `FORBIDDEN` |
//! | scan tickets, fetch bundles and revocations | `UNAUTHENTICATED` | of his own shows | of its organiser's shows | `FORBIDDEN` |
//! | place, pay, cancel a booking, have tickets issued anew | yes; all but place with its access token | yes | `FORBIDDEN` | `FORBIDDEN` |
//! | look at and follow a booking | with its access token | of his own shows, or with its access token | with its access token | with its access token |
//! | read the log | `UNAUTHENTICATED` | `FORBIDDEN` | `FORBIDDEN` | yes |
//!
//! A bearer token that nobody has is `UNAUTHENTICATED` everywhere, also where none is needed: it is a mistake that should show.

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use tickiz_contract::{Caller, ErrorCode, Refusal};
use tickiz_domain::{
    booking::Purchase,
    event::{EventStatus, Show},
    ids::OrganizerId,
};

/// The bearer tokens, until there are accounts. Holds their SHA-256 only, so that comparing takes the same time whatever came.
#[derive(Clone, Default)]
pub struct AccessPolicy {
    organizers: Vec<([u8; 32], OrganizerId)>,
    gates: Vec<([u8; 32], OrganizerId)>,
    auditor: Option<[u8; 32]>,
}

impl std::fmt::Debug for AccessPolicy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AccessPolicy")
            .field("organizers", &self.organizers.len())
            .field("gates", &self.gates.len())
            .field("auditor", &self.auditor.is_some())
            .finish()
    }
}

impl AccessPolicy {
    /// A policy that knows nobody.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Whoever has `token` works for that organiser.
    #[must_use]
    pub fn with_organizer(mut self, token: &str, organizer_id: OrganizerId) -> Self {
        self.organizers.push((Sha256::digest(token).into(), organizer_id));
        self
    }

    /// Whoever has `token` stands at that organiser's doors.
    #[must_use]
    pub fn with_gate(mut self, token: &str, organizer_id: OrganizerId) -> Self {
        self.gates.push((Sha256::digest(token).into(), organizer_id));
        self
    }

    /// Whoever has `token` is an auditor.
    #[must_use]
    pub fn with_auditor(mut self, token: &str) -> Self {
        self.auditor = Some(Sha256::digest(token).into());
        self
    }

    /// Who asks, by the value of an `Authorization` header or of `connection_init`.
    ///
    /// # Errors
    /// `UNAUTHENTICATED` for anything that is no bearer token that somebody has.
    pub fn identify(&self, authorization: Option<&str>) -> Result<Caller, Refusal> {
        let Some(authorization) = authorization else { return Ok(Caller::Anonymous) };
        let unknown = || {
            Refusal::new(ErrorCode::Unauthenticated, "the bearer token is not known; leave it out, or use a valid one")
        };
        let (scheme, token) = authorization.trim().split_once(' ').ok_or_else(unknown)?;
        if !scheme.eq_ignore_ascii_case("bearer") {
            return Err(unknown());
        }
        let digest: [u8; 32] = Sha256::digest(token.trim()).into();
        // All are compared, whichever fits.
        let mut found = None;
        for (known, organizer_id) in &self.organizers {
            if bool::from(known.ct_eq(&digest)) {
                found = Some(Caller::Organizer { organizer_id: *organizer_id });
            }
        }
        for (known, organizer_id) in &self.gates {
            if bool::from(known.ct_eq(&digest)) {
                found = Some(Caller::Gate { organizer_id: *organizer_id });
            }
        }
        if self.auditor.is_some_and(|known| bool::from(known.ct_eq(&digest))) {
            found = Some(Caller::Auditor);
        }
        found.ok_or_else(unknown)
    }
}

/// What somebody wants to do, and with what.
#[derive(Clone, Copy, Debug)]
pub enum Action<'a> {
    /// Make or change a show.
    Organize,
    /// Scan tickets, and fetch what a gate without a network needs.
    Admit,
    /// Place, pay or cancel a booking; that an access token fits is for the write side to see, where the booking is.
    Buy,
    /// Look at a show.
    SeeShow(&'a Show),
    /// Look at a booking, or follow it.
    SeeBooking(&'a Purchase, Option<&'a str>),
    /// Read the log.
    ReadLog,
    /// See what was sold: an organiser of his own shows, an auditor of all.
    SeeSales,
}

/// What a gate hears of everything that is not its matter.
const GATE_ONLY: &str = "lets people in and does nothing else";

/// Whether he may.
///
/// # Errors
/// `UNAUTHENTICATED` where a bearer is needed and there is none, `FORBIDDEN` where his role may not, `NOT_FOUND` for what is
/// not his to see.
pub fn allow(caller: &Caller, action: Action<'_>) -> Result<(), Refusal> {
    match action {
        Action::Organize => match caller {
            Caller::Organizer { .. } => Ok(()),
            Caller::Anonymous => Err(needs("an organiser's")),
            Caller::Gate { .. } => Err(forbidden(caller, GATE_ONLY)),
            Caller::Auditor => Err(forbidden(caller, "changes nothing")),
        },
        Action::Admit => match caller {
            Caller::Organizer { .. } | Caller::Gate { .. } => Ok(()),
            Caller::Anonymous => Err(needs("an organiser's or a gate's")),
            Caller::Auditor => Err(forbidden(caller, "changes nothing")),
        },
        Action::Buy => match caller {
            Caller::Anonymous | Caller::Organizer { .. } => Ok(()),
            Caller::Gate { .. } => Err(forbidden(caller, GATE_ONLY)),
            Caller::Auditor => Err(forbidden(caller, "changes nothing")),
        },
        Action::ReadLog => match caller {
            Caller::Auditor => Ok(()),
            Caller::Anonymous => Err(needs("an auditor's")),
            Caller::Organizer { .. } | Caller::Gate { .. } => Err(forbidden(caller, "does not read the log")),
        },
        Action::SeeSales => match caller {
            Caller::Organizer { .. } | Caller::Auditor => Ok(()),
            Caller::Anonymous => Err(needs("an organiser's or auditor's")),
            Caller::Gate { .. } => Err(forbidden(caller, GATE_ONLY)),
        },
        Action::SeeShow(show) => {
            let his = matches!(caller, Caller::Organizer { organizer_id } if *organizer_id == show.organizer_id);
            if show.status != EventStatus::Draft || his { Ok(()) } else { Err(Refusal::not_found("event")) }
        }
        Action::SeeBooking(purchase, token) => {
            let his = matches!(caller, Caller::Organizer { organizer_id } if *organizer_id == purchase.organizer_id);
            let proved = token.is_some_and(|token| is_access_token(token, &purchase.access_token_hash));
            if his || proved { Ok(()) } else { Err(Refusal::not_found("booking")) }
        }
    }
}

/// Whether he stands at that organiser's doors: himself, or as a gate of his.
#[must_use]
pub fn stands_at(caller: &Caller, organizer: OrganizerId) -> bool {
    match caller {
        Caller::Organizer { organizer_id } | Caller::Gate { organizer_id } => *organizer_id == organizer,
        Caller::Anonymous | Caller::Auditor => false,
    }
}

/// Whether a token is the one whose hash, in hexadecimal, a booking carries. Takes the same time whatever the token.
fn is_access_token(token: &str, hash: &str) -> bool {
    hex::encode(Sha256::digest(token)).as_bytes().ct_eq(hash.as_bytes()).into()
}

fn needs(whose: &str) -> Refusal {
    Refusal::new(ErrorCode::Unauthenticated, format!("this needs {whose} bearer token: Authorization: Bearer …"))
}

fn forbidden(caller: &Caller, what: &str) -> Refusal {
    Refusal::new(ErrorCode::Forbidden, format!("the role {} {what}", caller.role()))
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn a_bearer_is_who_has_the_token_and_anything_else_is_refused() {
        let organizer_id = OrganizerId(Uuid::from_u128(1));
        let policy = AccessPolicy::new()
            .with_organizer("secret-o", organizer_id)
            .with_gate("secret-g", organizer_id)
            .with_auditor("secret-a");
        assert_eq!(policy.identify(None), Ok(Caller::Anonymous));
        assert_eq!(policy.identify(Some("Bearer secret-o")), Ok(Caller::Organizer { organizer_id }));
        assert_eq!(policy.identify(Some("Bearer secret-g")), Ok(Caller::Gate { organizer_id }));
        assert_eq!(policy.identify(Some("bearer  secret-a ")), Ok(Caller::Auditor));
        for wrong in [
            "",
            "Bearer",
            "Bearer ",
            "secret-o",
            "Basic secret-o",
            "Bearer secret",
            "Bearer secret-o x",
            "Bearer SECRET-O",
        ] {
            assert_eq!(policy.identify(Some(wrong)).unwrap_err().code, ErrorCode::Unauthenticated, "{wrong}");
        }
        assert!(AccessPolicy::new().identify(Some("Bearer ")).is_err(), "an unset token lets nobody in");
        assert_eq!(format!("{policy:?}"), "AccessPolicy { organizers: 1, gates: 1, auditor: true }");
    }

    #[test]
    fn every_role_may_do_what_the_table_says_and_nothing_else() {
        let organizer = Caller::Organizer { organizer_id: OrganizerId(Uuid::from_u128(1)) };
        let gate = Caller::Gate { organizer_id: OrganizerId(Uuid::from_u128(1)) };
        let code = |caller: &Caller, action| allow(caller, action).err().map(|refusal| refusal.code);
        for (action, anonymous, organiser, at_gate, auditor) in [
            (
                Action::Organize,
                Some(ErrorCode::Unauthenticated),
                None,
                Some(ErrorCode::Forbidden),
                Some(ErrorCode::Forbidden),
            ),
            (Action::Admit, Some(ErrorCode::Unauthenticated), None, None, Some(ErrorCode::Forbidden)),
            (Action::Buy, None, None, Some(ErrorCode::Forbidden), Some(ErrorCode::Forbidden)),
            (
                Action::ReadLog,
                Some(ErrorCode::Unauthenticated),
                Some(ErrorCode::Forbidden),
                Some(ErrorCode::Forbidden),
                None,
            ),
            (Action::SeeSales, Some(ErrorCode::Unauthenticated), None, Some(ErrorCode::Forbidden), None),
        ] {
            assert_eq!(code(&Caller::Anonymous, action), anonymous);
            assert_eq!(code(&organizer, action), organiser);
            assert_eq!(code(&gate, action), at_gate);
            assert_eq!(code(&Caller::Auditor, action), auditor);
        }
        assert!(is_access_token("t", &hex::encode(Sha256::digest("t"))));
        assert!(!is_access_token("T", &hex::encode(Sha256::digest("t"))));
    }
}
