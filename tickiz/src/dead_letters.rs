//! `tickiz dead-letters`: the mails that the mail server refused for good.

use std::process::ExitCode;

use anyhow::Context;
use tickiz_command_api::workers::mails::sink::{DeadLetter, DeadLetters, Smtp};

use crate::{
    config::{Config, ConfigError},
    serve::roles,
};

/// What `tickiz dead-letters` is asked.
#[derive(clap::Args)]
pub struct DeadLettersArguments {
    /// Sends them once more, to whom `to` of their `.json` names; what is taken is kept no longer.
    #[arg(long)]
    send_again: bool,
    /// Only this one, by its id; may be given several times.
    #[arg(long, value_name = "ID")]
    id: Vec<String>,
    /// Another address, for one that was mistyped; with `--send-again` and one `--id`.
    #[arg(long, value_name = "ADDRESS", requires = "send_again")]
    to: Option<String>,
    /// JSON lines instead of text.
    #[arg(long)]
    json: bool,
}

/// Shows or sends them. Exit code 1 where one was not taken.
///
/// # Errors
/// When there is none of an id that was asked for, the folder cannot be read, or there is no mail server to send by.
pub async fn run(config: &Config, arguments: &DeadLettersArguments) -> anyhow::Result<ExitCode> {
    let folder = roles::dead_letters(config);
    let dead = DeadLetters::open(&folder).await.with_context(|| format!("{}", folder.display()))?;
    let mut letters = dead.list().await.with_context(|| format!("{}", folder.display()))?;
    for id in &arguments.id {
        anyhow::ensure!(letters.iter().any(|letter| letter.id == *id), "--id: there is no dead letter {id:?}");
    }
    if !arguments.id.is_empty() {
        letters.retain(|letter| arguments.id.contains(&letter.id));
    }
    if let Some(to) = &arguments.to {
        let [letter] = letters.as_mut_slice() else {
            anyhow::bail!("--to is for one mail, and these are {}; choose it with --id", letters.len());
        };
        letter.to.clone_from(to);
    }
    if !arguments.send_again {
        for letter in &letters {
            show(letter, None, arguments.json)?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    let url = config
        .smtp_url
        .as_ref()
        .ok_or(ConfigError::Missing { name: "TICKIZ_SMTP_URL", why: "dead letters are sent again by a mail server" })?;
    let server = Smtp::at(url)?;
    let mut all_taken = true;
    for letter in &letters {
        let sent = dead.send_again(letter, &server).await.map_err(|error| error.to_string());
        all_taken &= sent.is_ok();
        show(letter, Some(sent), arguments.json)?;
    }
    Ok(if all_taken { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn show(letter: &DeadLetter, sent: Option<Result<(), String>>, json: bool) -> anyhow::Result<()> {
    if json {
        let mut row = serde_json::to_value(letter)?;
        if let Some(sent) = sent {
            row["sent"] = sent.is_ok().into();
            row["error"] = sent.err().into();
        }
        println!("{row}");
        return Ok(());
    }
    let DeadLetter { id, to, date, reason, .. } = letter;
    let what = match sent {
        None => reason.clone(),
        Some(Ok(())) => "sent".to_owned(),
        Some(Err(error)) => format!("not sent: {error}"),
    };
    println!("{}  {id}  {to}  {what}", date.to_rfc3339());
    Ok(())
}
