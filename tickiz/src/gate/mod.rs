//! `tickiz gate`: a door with or without a network, with a scanner that types.
//!
//! `fetch` gets a show's signed bundle while there is a network, `run` reads a code a line and says whether to let its bearer in, `merge`
//! hands in later what was let in, and tells of those who should not have been. docs/gate.md has the whole evening.
//!
//! # Layout
//!
//! * [`door`]: what a gate decides by itself; [`journal`]: whom it let in, on the disk before he is.
//! * [`network`]: what it asks of the API; [`work`]: the loop over both.

mod door;
mod journal;
mod network;
mod work;

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use anyhow::Context;
use tickiz_command_api::validation::limits::MAX_GATE_CHARS;
use tickiz_tickets::SignedBundle;

use self::{
    door::Door,
    journal::Journal,
    network::Api,
    work::{Link, Work},
};
use crate::config::Config;

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
    /// Reads codes, one a line, and says of each whether to let its bearer in. Needs no network, and uses one where it is given.
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
        /// Only tickets of that type come in here; may be repeated. Left out: all.
        #[arg(long, value_name = "TICKET TYPE")]
        only: Vec<String>,
        /// Where Tickiz is: it is asked again and again which tickets are no longer valid, as long as it answers.
        #[arg(long, value_name = "URL")]
        api: Option<String>,
        /// Ask the API for each code, and decide by the bundle only where it does not answer.
        #[arg(long, requires = "api")]
        online: bool,
        /// How often it is asked which tickets are no longer valid.
        #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=900), requires = "api")]
        refresh: u64,
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
        GateCommand::Fetch { api, event, bundle } => fetch(&Api::new(&api, token(config)?), &event, &bundle).await,
        GateCommand::Run { bundle, journal, gate, only, api, online, refresh, json } => {
            let link = |url: String| -> anyhow::Result<Link> {
                Ok(Link { api: Api::new(&url, token(config)?), online, every: Duration::from_secs(refresh) })
            };
            let link = api.map(link).transpose()?;
            let door = Door::open(&bundle, &journal, gate, only)?;
            Work::new(door, link, json).run().await.map(|()| ExitCode::SUCCESS)
        }
        GateCommand::Merge { api, journal } => merge(&Api::new(&api, token(config)?), &journal).await,
    }
}

fn token(config: &Config) -> anyhow::Result<&str> {
    let token = config.gate_token.as_deref().or(config.organizer_token.as_deref());
    token.context("neither TICKIZ_GATE_TOKEN nor TICKIZ_ORGANIZER_TOKEN is set; the API is asked with it")
}

async fn fetch(api: &Api, event: &str, path: &Path) -> anyhow::Result<ExitCode> {
    let text = api.bundle(event).await?;
    let signed: SignedBundle = serde_json::from_str(&text).context("what came is no bundle")?;
    let bundle = signed.open(None)?;
    let beside = path.with_extension("tmp");
    std::fs::write(&beside, &text).with_context(|| format!("{}", beside.display()))?;
    std::fs::rename(&beside, path).with_context(|| format!("{}", path.display()))?;
    println!("{}: up to position {}, {} tickets no longer valid", bundle.title, bundle.seq, bundle.revoked.len());
    Ok(ExitCode::SUCCESS)
}

async fn merge(api: &Api, path: &Path) -> anyhow::Result<ExitCode> {
    anyhow::ensure!(path.exists(), "there is no journal at {}", path.display());
    let journal = Journal::look(path).with_context(|| format!("{}", path.display()))?;
    let (event_id, ..) = journal.bundle.as_ref().context("the journal has no bundle: nobody was let in by it")?;
    let outcomes = api.hand_in(event_id, &journal.admitted).await?;
    let conflicts: Vec<_> = outcomes.iter().filter(|outcome| outcome["outcome"] != "ADMITTED").collect();
    for conflict in &conflicts {
        println!("{conflict}");
    }
    println!("{} scans handed in, {} of them should not have been let in", outcomes.len(), conflicts.len());
    Ok(if conflicts.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

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
