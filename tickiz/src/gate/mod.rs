//! `tickiz gate`: a door without a network, with a scanner that types.
//!
//! `fetch` gets a show's signed bundle while there is a network, `run` reads a code a line and says whether to let its bearer in, `merge`
//! hands in later what was let in, and tells of those who should not have been. docs/gate.md has the whole evening.

mod journal;

use std::{
    io::{BufRead, Write},
    path::{Path, PathBuf},
    process::ExitCode,
    time::{Duration, Instant, SystemTime},
};

use anyhow::Context;
use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use tickiz_command_api::validation::limits::MAX_GATE_CHARS;
use tickiz_tickets::{Bundle, Gate, Refusal, SignedBundle, TicketPayload, bundle::STALE_AFTER_SECONDS, gate};
use uuid::Uuid;

use self::journal::{Journal, Line};
use crate::config::Config;

/// How often a gate says again that its bundle is old.
const WARN_EVERY: Duration = Duration::from_secs(5 * 60);

/// Scans that are handed in at a time: as many as the API takes.
const SCANS_AT_A_TIME: usize = 200;

/// What `tickiz gate` is to do.
#[derive(clap::Args)]
pub struct GateArguments {
    #[command(subcommand)]
    command: GateCommand,
}

#[derive(clap::Subcommand)]
enum GateCommand {
    /// Gets a show's bundle: the public keys, and which tickets are no longer valid.
    Fetch {
        /// Where Tickiz is, such as https://tickets.example.com; asked with TICKIZ_GATE_TOKEN, or TICKIZ_ORGANIZER_TOKEN.
        #[arg(long, value_name = "URL")]
        api: String,
        /// The show's id.
        #[arg(long, value_name = "ID")]
        event: String,
        /// The file; replaced whole, also while a gate reads it.
        #[arg(long, value_name = "FILE")]
        bundle: PathBuf,
    },
    /// Reads codes, one a line, and says of each whether to let its bearer in. Needs no network.
    Run {
        /// The bundle; a newer one that is put in its place counts from then on.
        #[arg(long, value_name = "FILE")]
        bundle: PathBuf,
        /// Where is written down who was let in.
        #[arg(long, value_name = "FILE")]
        journal: PathBuf,
        /// What this gate is called.
        #[arg(long, value_name = "NAME", default_value = "gate", value_parser = gate_name)]
        gate: String,
        /// JSON lines instead of text.
        #[arg(long)]
        json: bool,
    },
    /// Hands in who was let in; may be repeated. Exit code 1 where somebody should not have been.
    Merge {
        /// Where Tickiz is; asked with TICKIZ_GATE_TOKEN, or TICKIZ_ORGANIZER_TOKEN.
        #[arg(long, value_name = "URL")]
        api: String,
        /// The journal.
        #[arg(long, value_name = "FILE")]
        journal: PathBuf,
    },
}

/// A gate's name as the API takes it, so that what it admits can be handed in.
fn gate_name(given: &str) -> Result<String, String> {
    let name = given.trim();
    let fits = (1..=MAX_GATE_CHARS).contains(&name.chars().count()) && !name.chars().any(char::is_control);
    if fits { Ok(name.to_owned()) } else { Err(format!("1 to {MAX_GATE_CHARS} characters in one line")) }
}

/// Runs it.
///
/// # Errors
/// When a file or the API cannot be read, a bundle is not believed, or the journal cannot be written.
pub async fn run(config: &Config, arguments: GateArguments) -> anyhow::Result<ExitCode> {
    match arguments.command {
        GateCommand::Fetch { api, event, bundle } => fetch(config, &api, &event, &bundle).await,
        GateCommand::Run { bundle, journal, gate, json } => {
            Door::open(&bundle, &journal, gate)?.work(json).map(|()| ExitCode::SUCCESS)
        }
        GateCommand::Merge { api, journal } => merge(config, &api, &journal).await,
    }
}

fn token(config: &Config) -> anyhow::Result<&str> {
    let token = config.gate_token.as_deref().or(config.organizer_token.as_deref());
    token.context("neither TICKIZ_GATE_TOKEN nor TICKIZ_ORGANIZER_TOKEN is set; the API is asked with it")
}

async fn fetch(config: &Config, api: &str, event: &str, path: &Path) -> anyhow::Result<ExitCode> {
    let url = format!("{}/gate/v1/events/{event}/bundle", api.trim_end_matches('/'));
    let answer = reqwest::Client::new().get(&url).bearer_auth(token(config)?).send().await?;
    let status = answer.status();
    let text = answer.text().await?;
    anyhow::ensure!(status.is_success(), "{url} answers {status}: {}", text.trim());
    let signed: SignedBundle = serde_json::from_str(&text).context("what came is no bundle")?;
    let bundle = signed.open(None)?;
    let beside = path.with_extension("tmp");
    std::fs::write(&beside, &text).with_context(|| format!("{}", beside.display()))?;
    std::fs::rename(&beside, path).with_context(|| format!("{}", path.display()))?;
    println!("{}: up to position {}, {} tickets no longer valid", bundle.title, bundle.seq, bundle.revoked.len());
    Ok(ExitCode::SUCCESS)
}

/// A gate at work.
struct Door {
    name: String,
    path: PathBuf,
    changed: Option<SystemTime>,
    bundle: Bundle,
    journal: Journal,
    warned: Option<Instant>,
}

/// What is said of one code.
struct Said {
    outcome: &'static str,
    what: String,
}

fn outcome(refusal: Refusal) -> &'static str {
    use tickiz_tickets::CodeError as C;
    match refusal {
        Refusal::Code(C::UnknownKey(_) | C::Signature) => "FORGED",
        Refusal::Code(_) => "NOT_A_TICKET",
        Refusal::OtherEvent | Refusal::OtherCategory => "WRONG_EVENT",
        Refusal::TooEarly => "TOO_EARLY",
        Refusal::Expired => "EXPIRED",
        Refusal::Revoked => "REVOKED",
        Refusal::Superseded => "SUPERSEDED",
        Refusal::SuffixMissing | Refusal::SuffixUnexpected | Refusal::SuffixStale | Refusal::SuffixWrong => "FORGED",
    }
}

fn read_bundle(path: &Path, journal: &Journal) -> anyhow::Result<(Bundle, String)> {
    let text = std::fs::read_to_string(path).with_context(|| format!("{}", path.display()))?;
    let signed: SignedBundle =
        serde_json::from_str(&text).with_context(|| format!("{} is no bundle", path.display()))?;
    let known = journal.bundle.as_ref();
    let bundle = signed.open(known.map(|(_, key, _)| key.as_str()))?;
    if let Some((event_id, _, seq)) = known {
        anyhow::ensure!(*event_id == bundle.event_id, "the journal is of another show; use another file");
        anyhow::ensure!(
            bundle.seq >= *seq,
            "the bundle is older (position {}) than the one that this gate had ({seq}); fetch it anew",
            bundle.seq
        );
    }
    Ok((bundle, signed.key))
}

fn changed(path: &Path) -> Option<SystemTime> {
    std::fs::metadata(path).and_then(|metadata| metadata.modified()).ok()
}

impl Door {
    fn open(path: &Path, journal: &Path, name: String) -> anyhow::Result<Self> {
        let mut journal = Journal::open(journal).with_context(|| format!("{}", journal.display()))?;
        let changed = changed(path);
        let (bundle, key) = read_bundle(path, &journal)?;
        journal.write(Line::Bundle { event_id: bundle.event_id.clone(), key, seq: bundle.seq })?;
        let mut door = Self { name, path: path.to_owned(), changed, bundle, journal, warned: None };
        eprintln!("{}, {}: {} let in so far", door.bundle.title, door.name, door.journal.used.len());
        door.warn();
        Ok(door)
    }

    /// Once in a while, as long as there is a reason.
    fn warn(&mut self) {
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
        }
    }

    /// A newer bundle counts; one that is not believed is told of, and the old one goes on.
    fn look_for_newer(&mut self) -> anyhow::Result<()> {
        let now = changed(&self.path);
        if now == self.changed {
            self.warn();
            return Ok(());
        }
        self.changed = now;
        match read_bundle(&self.path, &self.journal) {
            Ok((bundle, key)) => {
                self.journal.write(Line::Bundle { event_id: bundle.event_id.clone(), key, seq: bundle.seq })?;
                self.bundle = bundle;
            }
            Err(error) => eprintln!("warning: {error:#}; going on with the bundle of position {}", self.bundle.seq),
        }
        Ok(())
    }

    fn check(&self, code: &str, now: DateTime<Utc>) -> anyhow::Result<Result<TicketPayload, Refusal>> {
        let verifier = self.bundle.verifier()?;
        let (min_rev, revoked) = self.bundle.lists()?;
        let gate = Gate {
            verifier: &verifier,
            event: self.bundle.event,
            categories: None,
            min_rev: &min_rev,
            revoked: &revoked,
            event_rotation_key: None,
            rotation_tolerance_seconds: gate::ROTATION_TOLERANCE_SECONDS,
        };
        let now = u64::try_from(now.timestamp()).unwrap_or(0);
        Ok(match gate.check(code, now) {
            // The show was moved since the ticket was issued: all else is looked at by the ticket's own last second.
            Err(Refusal::Expired) if now <= self.bundle.tickets_until => {
                let own = verifier.verify(code).map(|ticket| u64::from(ticket.payload.expires));
                own.map_err(Refusal::from).and_then(|last| gate.check(code, last))
            }
            checked => checked,
        })
    }

    fn scan(&mut self, code: &str) -> anyhow::Result<Said> {
        self.look_for_newer()?;
        let now = Utc::now();
        let payload = match self.check(code, now)? {
            Ok(payload) => payload,
            Err(refusal) => return Ok(Said { outcome: outcome(refusal), what: refusal.to_string() }),
        };
        if let Some((at, gate)) = self.journal.used.get(&payload.ticket) {
            let what = format!("used at {}, {gate}", at.format("%H:%M:%S"));
            return Ok(Said { outcome: "ALREADY_USED", what });
        }
        self.journal.write(Line::Admitted {
            scan_id: Uuid::new_v4(),
            ticket: payload.ticket.to_string(),
            code: code.to_owned(),
            gate: self.name.clone(),
            scanned_at: now,
        })?;
        Ok(Said { outcome: "ADMITTED", what: format!("{} let in", self.journal.used.len()) })
    }

    /// Until the scanner is taken away.
    fn work(mut self, json: bool) -> anyhow::Result<()> {
        let mut out = std::io::stdout();
        let mut scanner = std::io::stdin().lock();
        let mut line = Vec::new();
        while {
            line.clear();
            scanner.read_until(b'\n', &mut line).context("the scanner")?
        } > 0
        {
            // What is no text is no ticket.
            let text = String::from_utf8_lossy(&line);
            let code = text.trim();
            if code.is_empty() {
                continue;
            }
            let Said { outcome, what } = self.scan(code)?;
            if json {
                writeln!(out, "{}", json!({"outcome": outcome, "message": what}))?;
            } else {
                writeln!(out, "{outcome:<13} {what}")?;
            }
            out.flush()?;
        }
        Ok(())
    }
}

const MERGE: &str =
    "mutation($input: MergeScansInput!) { mergeScans(input: $input) { scanId outcome admission { at gate } } }";

async fn merge(config: &Config, api: &str, path: &Path) -> anyhow::Result<ExitCode> {
    anyhow::ensure!(path.exists(), "there is no journal at {}", path.display());
    let journal = Journal::look(path).with_context(|| format!("{}", path.display()))?;
    let (event_id, ..) = journal.bundle.as_ref().context("the journal has no bundle: nobody was let in by it")?;
    let http = reqwest::Client::new();
    let url = format!("{}/graphql", api.trim_end_matches('/'));
    let (mut taken, mut conflicts) = (0_usize, 0_usize);
    for page in journal.admitted.chunks(SCANS_AT_A_TIME) {
        let mut by_gate: std::collections::BTreeMap<&str, Vec<Value>> = std::collections::BTreeMap::new();
        for line in page {
            if let Line::Admitted { scan_id, code, gate, scanned_at, .. } = line {
                let scan = json!({"scanId": scan_id, "code": code, "scannedAt": scanned_at});
                by_gate.entry(gate).or_default().push(scan);
            }
        }
        for (gate, scans) in by_gate {
            let variables = json!({"input": {"eventId": event_id, "gate": gate, "scans": scans}});
            let body = json!({"query": MERGE, "variables": variables});
            let answer: Value = http
                .post(&url)
                .bearer_auth(token(config)?)
                .json(&body)
                .send()
                .await?
                .json()
                .await
                .context("the API")?;
            let outcomes = answer["data"]["mergeScans"].as_array();
            let outcomes = outcomes.with_context(|| format!("the API refused: {}", answer["errors"][0]["message"]))?;
            for outcome in outcomes {
                taken += 1;
                if outcome["outcome"] != "ADMITTED" {
                    conflicts += 1;
                    println!("{outcome}");
                }
            }
        }
    }
    println!("{taken} scans handed in, {conflicts} of them should not have been let in");
    Ok(if conflicts == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use tickiz_tickets::{Flags, KeyRing, TicketSigner};

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
            let payload = TicketPayload { kid: 1, event: 7, ticket, category: 0, rev: 0, flags, not_before, expires };
            let revoked: BTreeSet<String> = if revoked { [ticket.to_string()].into() } else { BTreeSet::new() };
            (ring.sign(&payload).expect("a code"), revoked)
        };
        let check = |(code, revoked): (String, BTreeSet<String>), now: i64| {
            let bundle = Bundle {
                event: 7,
                event_id: "e".to_owned(),
                title: String::new(),
                seq: 1,
                created: 0,
                valid_until: u64::MAX,
                tickets_until: 50_000,
                keys: Bundle::keys_of(&ring),
                min_rev: BTreeMap::new(),
                revoked,
            };
            let journal = Journal::open(&folder.join(Uuid::new_v4().to_string())).expect("a journal");
            let (name, path) = ("North".to_owned(), folder.clone());
            let door = Door { name, path, changed: None, bundle, journal, warned: None };
            door.check(&code, DateTime::from_timestamp(now, 0).expect("a time")).expect("a good bundle")
        };
        assert!(check(of(1, false), 1_500).is_ok());
        assert!(check(of(1, false), 40_000).is_ok(), "the show was moved");
        assert_eq!(check(of(1, false), 60_000), Err(Refusal::Expired));
        assert_eq!(check(of(2, true), 40_000), Err(Refusal::Revoked), "what was given back stays so");
        std::fs::remove_dir_all(&folder).expect("it is ours");
    }

    #[test]
    fn a_journal_is_of_one_gate_alone() {
        let path = std::env::temp_dir().join(format!("tickiz-journal-{}", Uuid::new_v4()));
        let first = Journal::open(&path).expect("a journal");
        assert!(Journal::open(&path).is_err(), "another gate has it");
        Journal::look(&path).expect("who only looks may");
        drop(first);
        Journal::open(&path).expect("it is free");
        std::fs::remove_file(&path).expect("it is ours");
    }

    #[test]
    fn a_gates_name_is_one_that_can_be_handed_in() {
        assert_eq!(gate_name(" Cổng Bắc "), Ok("Cổng Bắc".to_owned()));
        for wrong in ["", "a\nb", &"x".repeat(65)] {
            assert!(gate_name(wrong).is_err(), "{wrong:?}");
        }
    }
}
