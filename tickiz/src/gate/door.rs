//! A gate at work: what it decides by its bundle and its journal, without a network.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    time::{Duration, Instant, SystemTime},
};

use anyhow::Context;
use chrono::{DateTime, Utc};
use tickiz_tickets::{
    Bundle, Gate, Refusal, SignedBundle, SignedTicket, TicketPayload,
    bundle::{Revocations, STALE_AFTER_SECONDS},
    gate,
};
use uuid::Uuid;

use super::journal::{Journal, Line};

/// How often a gate says again that its bundle is old.
const WARN_EVERY: Duration = Duration::from_secs(5 * 60);

/// A gate at work.
pub struct Door {
    pub name: String,
    path: PathBuf,
    changed: Option<SystemTime>,
    bundle: Bundle,
    /// The names of the ticket types that come in here; none: all of them do.
    only: Vec<String>,
    pub journal: Journal,
    warned: Option<Instant>,
}

/// What is said of one code.
pub struct Said {
    /// Such as ADMITTED.
    pub outcome: String,
    /// More of it, for whoever stands at the door.
    pub what: String,
    /// Whether the API said it.
    pub online: bool,
}

impl Said {
    fn here(outcome: &str, what: String) -> Self {
        Self { outcome: outcome.to_owned(), what, online: false }
    }
}

const fn outcome(refusal: Refusal) -> &'static str {
    use tickiz_tickets::CodeError as C;
    match refusal {
        Refusal::Code(C::UnknownKey(_) | C::Signature) => "FORGED",
        Refusal::Code(_) => "NOT_A_TICKET",
        Refusal::OtherEvent => "WRONG_EVENT",
        Refusal::OtherCategory => "OTHER_GATE",
        Refusal::TooEarly => "TOO_EARLY",
        Refusal::Expired => "EXPIRED",
        Refusal::Revoked => "REVOKED",
        Refusal::Superseded => "SUPERSEDED",
        Refusal::SuffixMissing | Refusal::SuffixUnexpected | Refusal::SuffixStale | Refusal::SuffixWrong => "FORGED",
    }
}

/// A bundle that is believed, with the key that it is signed with, and the position that it has by itself.
struct Read {
    bundle: Bundle,
    key: String,
    seq: i64,
}

impl Read {
    fn line(&self) -> Line {
        Line::Bundle { event_id: self.bundle.event_id.clone(), key: self.key.clone(), seq: self.seq }
    }
}

fn read_bundle(path: &Path, journal: &Journal) -> anyhow::Result<Read> {
    let text = std::fs::read_to_string(path).with_context(|| format!("{}", path.display()))?;
    let signed: SignedBundle =
        serde_json::from_str(&text).with_context(|| format!("{} is no bundle", path.display()))?;
    let known = journal.bundle.as_ref();
    let mut bundle = signed.open(known.map(|(_, key, _)| key.as_str()))?;
    if let Some((event_id, _, seq)) = known {
        anyhow::ensure!(*event_id == bundle.event_id, "the journal is of another show; use another file");
        anyhow::ensure!(
            bundle.seq >= *seq,
            "the bundle is older (position {}) than the one that this gate had ({seq}); fetch it anew",
            bundle.seq
        );
    }
    let seq = bundle.seq;
    // What was heard of since an older bundle counts on: a ticket that is no longer valid never is again.
    for told in &journal.revocations {
        bundle.learn(&told.open_revocations(Some(&signed.key))?);
    }
    Ok(Read { bundle, key: signed.key, seq })
}

fn changed(path: &Path) -> Option<SystemTime> {
    std::fs::metadata(path).and_then(|metadata| metadata.modified()).ok()
}

/// The classes of those ticket types; none: all.
fn classes(bundle: &Bundle, only: &[String]) -> anyhow::Result<Option<BTreeSet<u16>>> {
    let mut classes = BTreeSet::new();
    for name in only {
        let of: Vec<u16> =
            bundle.categories.iter().filter(|of| of.ticket_types.contains(name)).map(|of| of.category).collect();
        if of.is_empty() {
            let all: Vec<&str> = bundle.categories.iter().flat_map(|of| &of.ticket_types).map(String::as_str).collect();
            anyhow::bail!("--only {name:?}: the show has no such ticket type; it has {}", all.join(", "));
        }
        classes.extend(of);
    }
    Ok((!only.is_empty()).then_some(classes))
}

impl Door {
    /// A gate by those files.
    ///
    /// # Errors
    /// When a file cannot be read, the bundle is not believed, or has none of those ticket types.
    pub fn open(path: &Path, journal: &Path, name: String, only: Vec<String>) -> anyhow::Result<Self> {
        let mut journal = Journal::open(journal).with_context(|| format!("{}", journal.display()))?;
        let changed = changed(path);
        let read = read_bundle(path, &journal)?;
        classes(&read.bundle, &only)?;
        journal.write(read.line())?;
        let mut door = Self { name, path: path.to_owned(), changed, bundle: read.bundle, only, journal, warned: None };
        eprintln!("{}, {}: {} let in so far", door.bundle.title, door.name, door.journal.used.len());
        door.warn();
        Ok(door)
    }

    /// The show.
    pub fn event_id(&self) -> &str {
        &self.bundle.event_id
    }

    /// Up to which position of the log it knows which tickets are not valid any more.
    pub const fn seq(&self) -> i64 {
        self.bundle.seq
    }

    /// Once in a while, as long as there is a reason.
    pub fn warn(&mut self) {
        if self.warned.is_some_and(|warned| warned.elapsed() < WARN_EVERY) {
            return;
        }
        let now = u64::try_from(Utc::now().timestamp()).unwrap_or(0);
        if now > self.bundle.valid_until {
            eprintln!("warning: the bundle is no longer valid; `tickiz gate fetch` gets a new one");
        } else if now > self.bundle.created + STALE_AFTER_SECONDS {
            let minutes = (now - self.bundle.created) / 60;
            eprintln!(
                "warning: the bundle is {minutes} minutes old; who gave his ticket back since would still come in"
            );
        } else {
            return;
        }
        self.warned = Some(Instant::now());
    }

    /// A newer bundle counts; one that is not believed is told of, and the old one goes on.
    fn look_for_newer(&mut self) -> anyhow::Result<()> {
        let now = changed(&self.path);
        if now == self.changed {
            self.warn();
            return Ok(());
        }
        self.changed = now;
        let read = read_bundle(&self.path, &self.journal);
        match read.and_then(|read| classes(&read.bundle, &self.only).map(|_| read)) {
            Ok(read) => {
                self.journal.write(read.line())?;
                self.bundle = read.bundle;
            }
            Err(error) => eprintln!("warning: {error:#}; going on with the bundle of position {}", self.bundle.seq),
        }
        Ok(())
    }

    /// What changed since counts from now on, and after a restart too: it is in the journal before it counts.
    ///
    /// # Errors
    /// When it is not believed, leaves something out, or cannot be written down.
    pub fn learn(&mut self, signed: SignedBundle) -> anyhow::Result<()> {
        let key = self.journal.bundle.as_ref().map(|(_, key, _)| key.as_str());
        let told: Revocations = signed.open_revocations(key)?;
        anyhow::ensure!(told.event_id == self.bundle.event_id, "what changed is another show's");
        anyhow::ensure!(told.since <= self.bundle.seq, "what changed begins after what this gate knows");
        let count = told.revoked.len() + told.min_rev.len();
        if count > 0 {
            self.journal.write(Line::Revocations { signed })?;
            eprintln!("up to position {}: {count} tickets are no longer valid, or have new codes", told.seq);
        }
        self.bundle.learn(&told);
        Ok(())
    }

    fn check(&self, code: &str, now: DateTime<Utc>) -> anyhow::Result<Result<TicketPayload, Refusal>> {
        let now = u64::try_from(now.timestamp()).unwrap_or(0);
        let verifier = self.bundle.verifier(now)?;
        let (min_rev, revoked) = self.bundle.lists()?;
        let classes = classes(&self.bundle, &self.only)?;
        let gate = Gate {
            verifier: &verifier,
            event: self.bundle.event,
            categories: classes.as_ref(),
            min_rev: &min_rev,
            revoked: &revoked,
            event_rotation_key: None,
            rotation_tolerance_seconds: gate::ROTATION_TOLERANCE_SECONDS,
        };
        Ok(match gate.check(code, now) {
            // The show was moved since the ticket was issued: all else is looked at by the ticket's own last second.
            Err(Refusal::Expired) if now <= self.bundle.tickets_until => {
                let own = verifier.verify(code).map(|ticket| u64::from(ticket.payload.expires));
                own.map_err(Refusal::from).and_then(|last| gate.check(code, last))
            }
            checked => checked,
        })
    }

    /// What this gate has to say before anybody else is asked: the ticket comes in elsewhere, or came in here already, which the API may
    /// not have heard of yet.
    ///
    /// # Errors
    /// When the bundle is none.
    pub fn says_first(&mut self, code: &str) -> anyhow::Result<Option<Said>> {
        self.look_for_newer()?;
        let checked = self.check(code, Utc::now())?;
        let ticket = match checked {
            Err(refusal @ Refusal::OtherCategory) => {
                return Ok(Some(Said::here(outcome(refusal), refusal.to_string())));
            }
            Ok(payload) => payload.ticket,
            Err(_) => return Ok(None),
        };
        Ok(self.used(ticket))
    }

    fn used(&self, ticket: u64) -> Option<Said> {
        let (at, gate) = self.journal.used.get(&ticket)?;
        Some(Said::here("ALREADY_USED", format!("used at {}, {gate}", at.format("%H:%M:%S"))))
    }

    /// Decides by itself.
    ///
    /// # Errors
    /// When the bundle is none, or the journal cannot be written: then nobody is let in.
    pub fn scan(&mut self, code: &str, scan_id: Uuid) -> anyhow::Result<Said> {
        self.look_for_newer()?;
        let payload = match self.check(code, Utc::now())? {
            Ok(payload) => payload,
            Err(refusal) => return Ok(Said::here(outcome(refusal), refusal.to_string())),
        };
        if let Some(used) = self.used(payload.ticket) {
            return Ok(used);
        }
        self.admit(code, scan_id, false)?;
        Ok(Said::here("ADMITTED", format!("{} let in", self.journal.used.len())))
    }

    /// Writes down that somebody is let in; `recorded`: by the API's word, which knows of it.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn admit(&mut self, code: &str, scan_id: Uuid, recorded: bool) -> anyhow::Result<()> {
        // Whatever key it is signed with: one that this gate's bundle does not have yet is the API's to judge.
        let ticket = SignedTicket::decode(code).map(|ticket| ticket.payload.ticket.to_string()).unwrap_or_default();
        let (code, gate) = (code.to_owned(), self.name.clone());
        self.journal.write(Line::Admitted { scan_id, ticket, code, gate, scanned_at: Utc::now(), recorded })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use tickiz_tickets::{Flags, KeyRing, TicketSigner, bundle::BundleCategory};

    use super::*;

    #[test]
    fn a_ticket_of_a_show_that_was_moved_is_good_until_the_show_as_it_now_stands_is_over() {
        let folder = std::env::temp_dir().join(format!("tickiz-gate-{}", Uuid::new_v4()));
        std::fs::create_dir(&folder).expect("a folder");
        let mut ring = KeyRing::default();
        ring.add(TicketSigner::from_seed(1, &[7; 32])).expect("the first key");
        let of = |ticket, revoked| {
            let flags = Flags::from_bits(0).expect("no flags");
            let (not_before, expires) = (1_000, 2_000);
            let payload = TicketPayload { kid: 1, event: 7, ticket, category: 3, rev: 0, flags, not_before, expires };
            let revoked: BTreeSet<String> = if revoked { [ticket.to_string()].into() } else { BTreeSet::new() };
            (ring.sign(&payload).expect("a code"), revoked)
        };
        let check_of = |(code, revoked): (String, BTreeSet<String>), now: i64, only: Vec<String>| {
            let bundle = Bundle {
                event: 7,
                event_id: "e".to_owned(),
                title: String::new(),
                seq: 1,
                created: 0,
                valid_until: u64::MAX,
                tickets_until: 50_000,
                keys: Bundle::keys_of(&ring, 60_000),
                categories: vec![BundleCategory { category: 3, ticket_types: vec!["Regular".to_owned()] }],
                min_rev: BTreeMap::new(),
                revoked,
            };
            let journal = Journal::open(&folder.join(Uuid::new_v4().to_string())).expect("a journal");
            let (name, path) = ("North".to_owned(), folder.clone());
            let door = Door { name, path, changed: None, bundle, only, journal, warned: None };
            door.check(&code, DateTime::from_timestamp(now, 0).expect("a time")).expect("a good bundle")
        };
        let check = |ticket, now| check_of(ticket, now, Vec::new());
        assert!(check(of(1, false), 1_500).is_ok());
        assert!(check(of(1, false), 40_000).is_ok(), "the show was moved");
        assert_eq!(check(of(1, false), 60_000), Err(Refusal::Expired));
        assert_eq!(check(of(2, true), 40_000), Err(Refusal::Revoked), "what was given back stays so");
        assert_eq!(
            check(of(1, false), 60_001),
            Err(Refusal::Code(tickiz_tickets::CodeError::UnknownKey(1))),
            "its key is not in force any more"
        );
        // A gate for some ticket types.
        assert!(check_of(of(1, false), 1_500, vec!["Regular".to_owned()]).is_ok());
        std::fs::remove_dir_all(&folder).expect("it is ours");
    }
}
