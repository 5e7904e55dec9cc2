//! A gate's loop: codes from the scanner, one after the other, and beside it what the network has to say.
//!
//! Nobody at the door waits for the network longer than one answer may take. What changed is asked for beside the scanner and counts
//! when it comes. Online each code is asked of the API; where that does not answer, the gate decides by its bundle, goes on by itself
//! for a while, and hands in whom it let in when the API is heard again.

use std::{
    io::{BufRead, Write},
    time::{Duration, Instant},
};

use anyhow::Context;
use serde_json::{Value, json};
use tickiz_tickets::SignedBundle;
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
};
use uuid::Uuid;

use super::{
    door::{Door, Said},
    journal::Line,
    network::Api,
};

/// What may wait to be looked at: a scanner is slower, and the network says one thing at a time.
const QUEUE: usize = 16;
/// How long an API that did not answer is not asked at the door, unless it is heard of before.
const ASK_AGAIN: Duration = Duration::from_secs(10);

/// The network, where the gate has one.
pub struct Link {
    /// Where the API is.
    pub api: Api,
    /// Whether each code is asked of it.
    pub online: bool,
    /// How often it is asked what changed.
    pub every: Duration,
}

/// What a gate hears.
enum Heard {
    /// What the scanner typed.
    Typed(Vec<u8>),
    /// The scanner was taken away, or fails.
    Ended(std::io::Result<()>),
    /// What changed since the gate's bundle.
    Changed(Box<SignedBundle>),
    /// What became of scans that were handed in.
    HandedIn(anyhow::Result<Vec<Value>>),
    /// The API does not answer.
    Lost(anyhow::Error),
}

/// Reads the scanner on a thread of its own, which ends with the scanner or with the program: nothing else can wake it.
fn scanner(heard: mpsc::Sender<Heard>) {
    std::thread::spawn(move || {
        let mut scanner = std::io::stdin().lock();
        loop {
            let mut line = Vec::new();
            let news = match scanner.read_until(b'\n', &mut line) {
                Ok(0) => Heard::Ended(Ok(())),
                Ok(_) => Heard::Typed(line),
                Err(error) => Heard::Ended(Err(error)),
            };
            let is_over = matches!(news, Heard::Ended(_));
            if heard.blocking_send(news).is_err() || is_over {
                return;
            }
        }
    });
}

/// Asks what changed, again and again.
async fn follow(api: Api, event: String, every: Duration, since: watch::Receiver<i64>, heard: mpsc::Sender<Heard>) {
    loop {
        let known = *since.borrow();
        let news = match api.revocations(&event, known).await {
            Ok(signed) => Heard::Changed(Box::new(signed)),
            Err(error) => Heard::Lost(error),
        };
        if heard.send(news).await.is_err() {
            return;
        }
        tokio::time::sleep(every).await;
    }
}

/// A gate at work.
pub struct Work {
    door: Door,
    link: Option<Link>,
    json: bool,
    /// When the API did not answer last, as long as it is not asked again.
    silent_since: Option<Instant>,
    is_handing_in: bool,
}

impl Work {
    /// A gate, with a network or without.
    pub const fn new(door: Door, link: Option<Link>, json: bool) -> Self {
        Self { door, link, json, silent_since: None, is_handing_in: false }
    }

    /// Until the scanner is taken away.
    ///
    /// # Errors
    /// When the scanner or a file fails.
    pub async fn run(mut self) -> anyhow::Result<()> {
        let (heard, mut news) = mpsc::channel(QUEUE);
        let (known, since) = watch::channel(self.door.seq());
        let mut beside = JoinSet::new();
        scanner(heard.clone());
        if let Some(Link { api, every, .. }) = &self.link {
            beside.spawn(follow(api.clone(), self.door.event_id().to_owned(), *every, since, heard.clone()));
        }
        while let Some(next) = news.recv().await {
            match next {
                Heard::Typed(line) => self.typed(&line).await?,
                Heard::Ended(why) => {
                    why.context("the scanner")?;
                    break;
                }
                Heard::Changed(signed) => {
                    match self.door.learn(*signed) {
                        Ok(()) => drop(known.send_replace(self.door.seq())),
                        Err(error) => eprintln!("warning: {error:#}; going on with what is known"),
                    }
                    self.silent_since = None;
                    self.hand_in(&mut beside, &heard);
                }
                Heard::HandedIn(outcomes) => {
                    self.is_handing_in = false;
                    self.handed_in(outcomes)?;
                }
                Heard::Lost(error) => self.lost(&error),
            }
        }
        // What was asked of the network is given up; what was let in is in the journal.
        beside.shutdown().await;
        self.end().await
    }

    /// Said once, until it is heard again.
    fn lost(&mut self, error: &anyhow::Error) {
        if self.silent_since.is_none() {
            eprintln!("warning: {error:#}; going on by the bundle of position {}", self.door.seq());
        }
        self.silent_since = Some(Instant::now());
    }

    async fn typed(&mut self, line: &[u8]) -> anyhow::Result<()> {
        // What is no text is no ticket.
        let text = String::from_utf8_lossy(line);
        let code = text.trim();
        if code.is_empty() {
            return Ok(());
        }
        let Said { outcome, what, online } = self.scan(code).await?;
        let mut out = std::io::stdout();
        if self.json {
            writeln!(out, "{}", json!({"outcome": outcome, "message": what, "online": online}))?;
        } else {
            writeln!(out, "{outcome:<13} {what}")?;
        }
        Ok(out.flush()?)
    }

    async fn scan(&mut self, code: &str) -> anyhow::Result<Said> {
        let scan_id = Uuid::new_v4();
        let is_silent = self.silent_since.is_some_and(|since| since.elapsed() < ASK_AGAIN);
        let Some(Link { api, .. }) = self.link.as_ref().filter(|link| link.online && !is_silent) else {
            return self.door.scan(code, scan_id);
        };
        if let Some(said) = self.door.says_first(code)? {
            return Ok(said);
        }
        match api.check_in(self.door.event_id(), code, &self.door.name, scan_id).await {
            Ok(told) => {
                if told.outcome == "ADMITTED" {
                    self.door.admit(code, scan_id, true)?;
                }
                self.silent_since = None;
                Ok(Said { outcome: told.outcome, what: told.what, online: true })
            }
            Err(error) => {
                self.lost(&error);
                // Under the same id: had it been recorded after all, handing it in says so.
                self.door.scan(code, scan_id)
            }
        }
    }

    /// Hands in beside the scanner whom the API does not know of yet.
    fn hand_in(&mut self, beside: &mut JoinSet<()>, heard: &mpsc::Sender<Heard>) {
        let Some(Link { api, online: true, .. }) = &self.link else { return };
        let pending = self.door.journal.pending();
        if self.is_handing_in || pending.is_empty() {
            return;
        }
        self.is_handing_in = true;
        let (api, event, heard) = (api.clone(), self.door.event_id().to_owned(), heard.clone());
        beside.spawn(async move {
            let outcomes = api.hand_in(&event, &pending).await;
            // Nobody listens any more where the gate has ended.
            let _ = heard.send(Heard::HandedIn(outcomes)).await;
        });
    }

    fn handed_in(&mut self, outcomes: anyhow::Result<Vec<Value>>) -> anyhow::Result<()> {
        let outcomes = match outcomes {
            Ok(outcomes) => outcomes,
            Err(error) => {
                self.lost(&error);
                return Ok(());
            }
        };
        for outcome in outcomes.iter().filter(|outcome| outcome["outcome"] != "ADMITTED") {
            eprintln!("should not have been let in: {outcome}");
        }
        let ids = outcomes.iter().filter_map(|outcome| outcome["scanId"].as_str()?.parse().ok()).collect();
        eprintln!("{} scans handed in", outcomes.len());
        self.door.journal.write(Line::HandedIn { scan_ids: ids })
    }

    /// Hands in what is left, where there is a network by now.
    async fn end(mut self) -> anyhow::Result<()> {
        let Some(Link { api, online: true, .. }) = &self.link else { return Ok(()) };
        let pending = self.door.journal.pending();
        if pending.is_empty() {
            return Ok(());
        }
        let outcomes = api.hand_in(self.door.event_id(), &pending).await;
        if outcomes.is_err() {
            eprintln!("{} scans are still to be handed in, by `tickiz gate merge`", pending.len());
        }
        self.handed_in(outcomes)
    }
}
