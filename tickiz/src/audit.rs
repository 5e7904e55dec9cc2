//! `tickiz audit`: the log as a public Merkle tree, its proofs, and their check.
//!
//! `publish`, `prove`, `grown` and `export` work where the log is. `verify` and `verify-proof` are for whoever does not trust us: they
//! need the files and the public key, open no store and read no settings of one.

use std::{
    fs,
    io::{BufRead, BufReader, BufWriter, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, ensure};
use base64::{Engine, engine::general_purpose::STANDARD};
use clap::{Args, Subcommand};
use serde::{Deserialize, Serialize};
use tickiz_audit::{
    checkpoint::{Checkpoint, SignerKey, VerifierKey},
    merkle::{Hash, leaf_hash},
    proof::{ConsistencyProof, InclusionProof},
    tiles::{CHECKPOINT_PATH, Directory, LogWriter, WritableDirectory},
    verify::{Comparison, Report, verify_directory},
};
use tickiz_event_log::{EventLog, leaf_entry, record::Position};

use crate::{config::Config, stores};

/// Domain events read at a time.
const PAGE: usize = 1_000;
/// A checkpoint after so many entries while a long log is published for the first time: a run that is killed goes on from there.
const PUBLISH_EVERY: u64 = 100_000;

/// Options of `tickiz audit`; without a command it publishes.
#[derive(Args)]
pub struct AuditArguments {
    /// Where the tree is.
    #[arg(long, global = true, default_value = "audit", value_name = "FOLDER")]
    dir: PathBuf,
    #[command(subcommand)]
    command: Option<AuditCommand>,
}

#[derive(Subcommand)]
enum AuditCommand {
    /// Brings the tree up to the log's end and signs a checkpoint; goes on where it was.
    Publish,
    /// Prints the public key by which checkpoints are checked. Give it to auditors by another way than the tree.
    Key,
    /// Proves that a position is in the log, as a text that `verify-proof` checks (C2SP tlog-proof).
    Prove {
        /// The public key, as `tickiz audit key` prints it: no proof is given that it would not accept.
        #[arg(long, value_name = "KEY")]
        key: VerifierKey,
        /// The position.
        #[arg(long, value_name = "N")]
        position: u64,
    },
    /// Proves that the log has only grown since an older checkpoint.
    Grown {
        /// The public key, as `tickiz audit key` prints it: no proof is given that it would not accept.
        #[arg(long, value_name = "KEY")]
        key: VerifierKey,
        /// The older checkpoint, as somebody has kept it.
        #[arg(long, value_name = "FILE")]
        older: PathBuf,
    },
    /// Writes the log's entries as they are hashed, a JSON line each, for an auditor to keep.
    Export {
        /// The file; standard output without it.
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Checks the tree, and with it an export or the log; exit code 1 where anything is wrong, with its position.
    Verify {
        /// The public key, as `tickiz audit key` prints it.
        #[arg(long, value_name = "KEY")]
        key: VerifierKey,
        /// Compares this export with the tree.
        #[arg(long, value_name = "FILE", conflicts_with = "log")]
        export: Option<PathBuf>,
        /// Compares the configured log with the tree; everything is hashed anew.
        #[arg(long)]
        log: bool,
        /// One JSON document instead of text.
        #[arg(long)]
        json: bool,
    },
    /// Checks a proof by the public key alone; exit code 1 where it proves nothing.
    VerifyProof {
        /// The public key, as `tickiz audit key` prints it.
        #[arg(long, value_name = "KEY")]
        key: VerifierKey,
        /// The proof's text.
        #[arg(long, value_name = "FILE")]
        proof: PathBuf,
        /// What is proven to be there: the entry's leaf hash, hexadecimal, as the log has it.
        #[arg(long, value_name = "HASH", conflicts_with = "older", required_unless_present = "older")]
        leaf: Option<String>,
        /// From what the log is proven to have grown: an older checkpoint.
        #[arg(long, value_name = "FILE")]
        older: Option<PathBuf>,
    },
}

/// A line of an export.
#[derive(Serialize, Deserialize)]
struct Exported {
    position: u64,
    /// Base64 of the bytes that are hashed behind RFC 6962's prefix.
    entry: String,
}

/// Runs the command.
///
/// # Errors
/// When something cannot be opened, read or written, or what is there is not this log's.
pub async fn run(config: &Config, arguments: AuditArguments) -> anyhow::Result<ExitCode> {
    let AuditArguments { dir, command } = arguments;
    match command.unwrap_or(AuditCommand::Publish) {
        AuditCommand::Publish => publish(config, &dir).await?,
        AuditCommand::Key => {
            let stores = stores::open_to_read(config).await?;
            println!("{}", key(&stores.log)?.verifier());
            stores.log_service.shutdown().await;
        }
        AuditCommand::Prove { key, position } => {
            print!("{}", InclusionProof::make(&Directory::new(&dir), &key, position)?);
        }
        AuditCommand::Grown { key, older } => {
            print!("{}", ConsistencyProof::make(&Directory::new(&dir), &key, &kept(&older, &key)?)?);
        }
        AuditCommand::Export { out } => export(config, out.as_deref()).await?,
        AuditCommand::Verify { key, export, log, json } => {
            let tree = Directory::new(&dir);
            let mut reports = vec![verify_directory(&tree, &key)?];
            if let Some(export) = export {
                reports.push(compare_export(&tree, &key, &export)?);
            }
            if log {
                reports.push(compare_log(config, &tree, &key).await?);
            }
            return tell(&reports, json);
        }
        AuditCommand::VerifyProof { key, proof, leaf, older } => return verify_proof(&key, &proof, leaf, older),
    }
    Ok(ExitCode::SUCCESS)
}

/// The key that signs checkpoints. Its name is the tree's origin, of this installation and no other.
fn key(log: &EventLog) -> anyhow::Result<SignerKey> {
    let secrets = log.secrets();
    let name = format!("tickiz/{}", hex::encode(&secrets.derive("audit-origin")[..8]));
    Ok(SignerKey::from_seed(&name, &secrets.derive("audit-checkpoints"))?)
}

async fn publish(config: &Config, dir: &Path) -> anyhow::Result<()> {
    let stores = stores::open_to_read(config).await?;
    let key = key(&stores.log)?;
    let verifier = key.verifier().to_string();
    let store = WritableDirectory::open(dir).with_context(|| format!("{}", dir.display()))?;
    let mut writer = LogWriter::open(store, key)?;
    let before = writer.size();
    let head = stores.log.head().await?;
    loop {
        let after = Position::try_from(writer.size()).context("a position")?;
        let page = stores.log.read(after, PAGE).await?;
        if page.is_empty() {
            break;
        }
        for recorded in &page {
            let entry = leaf_entry(recorded);
            let position = u64::try_from(recorded.position).context("a position")?;
            let leaf = writer.append(position, &entry)?;
            ensure!(
                leaf.as_bytes() == &recorded.leaf_hash,
                "position {position} says something else than its leaf hash; `tickiz verify` names everything that is wrong"
            );
            if writer.size().is_multiple_of(PUBLISH_EVERY) {
                writer.publish()?;
                eprintln!("{} of {head}", writer.size());
            }
        }
    }
    let checkpoint = writer.publish()?;
    stores.log_service.shutdown().await;
    eprintln!("{} entries, {} of them new, in {}", checkpoint.size(), checkpoint.size() - before, dir.display());
    eprintln!("to be checked by: tickiz audit verify --dir {} --key {verifier}", dir.display());
    print!("{}", fs::read_to_string(dir.join(CHECKPOINT_PATH)).context("the checkpoint")?);
    Ok(())
}

/// An older checkpoint that somebody has kept, believed if it is signed.
fn kept(path: &Path, key: &VerifierKey) -> anyhow::Result<Checkpoint> {
    let text = fs::read_to_string(path).with_context(|| format!("{}", path.display()))?;
    Ok(Checkpoint::open(&text, key.name(), key)?)
}

async fn export(config: &Config, out: Option<&Path>) -> anyhow::Result<()> {
    let stores = stores::open_to_read(config).await?;
    let mut out: Box<dyn Write + Send> = match out {
        Some(path) => Box::new(BufWriter::new(fs::File::create(path).with_context(|| format!("{}", path.display()))?)),
        None => Box::new(BufWriter::new(std::io::stdout())),
    };
    let mut after = 0;
    loop {
        let page = stores.log.read(after, PAGE).await?;
        let Some(last) = page.last() else { break };
        after = last.position;
        for recorded in &page {
            let position = u64::try_from(recorded.position).context("a position")?;
            let line = Exported { position, entry: STANDARD.encode(leaf_entry(recorded)) };
            serde_json::to_writer(&mut out, &line)?;
            out.write_all(b"\n")?;
        }
    }
    out.flush()?;
    stores.log_service.shutdown().await;
    Ok(())
}

fn compare_export(tree: &Directory, key: &VerifierKey, export: &Path) -> anyhow::Result<Report> {
    let file = fs::File::open(export).with_context(|| format!("{}", export.display()))?;
    let mut comparison = Comparison::begin(tree, key)?;
    for (number, line) in BufReader::new(file).lines().enumerate() {
        let at = || format!("{} line {}", export.display(), number + 1);
        let line: Exported = serde_json::from_str(&line.with_context(at)?).with_context(at)?;
        comparison.observe(line.position, &STANDARD.decode(line.entry).with_context(at)?)?;
    }
    Ok(comparison.finish()?)
}

async fn compare_log(config: &Config, tree: &Directory, key: &VerifierKey) -> anyhow::Result<Report> {
    let stores = stores::open_to_read(config).await?;
    let mut comparison = Comparison::begin(tree, key)?;
    let mut filter = tickiz_event_log::LogFilter::default();
    loop {
        // By the auditors' query, which takes what is there: a gap is to be found, not to end the reading.
        let page = stores.log.query(&filter, PAGE).await?;
        let Some(last) = page.last() else { break };
        filter.after = last.position;
        for recorded in &page {
            let position = u64::try_from(recorded.position).context("a position")?;
            comparison.observe_hash(position, leaf_hash(&leaf_entry(recorded)))?;
        }
    }
    stores.log_service.shutdown().await;
    Ok(comparison.finish()?)
}

fn tell(reports: &[Report], json: bool) -> anyhow::Result<ExitCode> {
    let is_clean = reports.iter().all(Report::is_clean);
    if json {
        println!("{}", serde_json::to_string_pretty(reports)?);
    } else {
        for report in reports {
            print!("{report}");
        }
        println!("{}", if is_clean { "nothing is wrong" } else { "SOMETHING IS WRONG" });
    }
    Ok(if is_clean { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn verify_proof(
    key: &VerifierKey,
    proof: &Path,
    leaf: Option<String>,
    older: Option<PathBuf>,
) -> anyhow::Result<ExitCode> {
    let read = |path: &Path| fs::read_to_string(path).with_context(|| format!("{}", path.display()));
    let text = read(proof)?;
    let proven = match (leaf, older) {
        (Some(leaf), _) => {
            let bytes = hex::decode(leaf.trim()).ok().and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
            let leaf = Hash::from(bytes.context("--leaf is 64 hexadecimal digits")?);
            let proof: InclusionProof = text.parse()?;
            let position = proof.index + 1;
            proof.verify(&leaf, key).map(|checkpoint| format!("position {position} of {}", checkpoint.size()))
        }
        (None, Some(older)) => {
            let older = kept(&older, key)?;
            let proof: ConsistencyProof = text.parse()?;
            proof.verify(&older, key).map(|newer| format!("{} entries became {}", older.size(), newer.size()))
        }
        (None, None) => anyhow::bail!("--leaf or --older says what is to be proven"),
    };
    match proven {
        Ok(what) => {
            println!("proven: {what}");
            Ok(ExitCode::SUCCESS)
        }
        Err(error) => {
            println!("NOT PROVEN: {error}");
            Ok(ExitCode::FAILURE)
        }
    }
}
