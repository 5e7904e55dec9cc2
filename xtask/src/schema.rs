//! `cargo xtask schema`: writes the stored shapes, as the program knows them, into `schemas/`; or checks that they are
//! what is there.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Args;

use crate::process::{self, Interrupts, OnInterrupt};

/// Where they are kept, below the top of the repository.
const FOLDER: &str = "schemas";

/// Options of `cargo xtask schema`.
#[derive(Args)]
pub struct SchemaArgs {
    /// Change nothing; print the differences, and fail if there are any.
    #[arg(long)]
    check: bool,
}

/// Writes or compares, and returns the code of what failed.
pub fn run(args: &SchemaArgs, interrupts: &Interrupts) -> Result<ExitCode> {
    if !args.check {
        return write_to(Path::new(FOLDER), interrupts);
    }
    let fresh = tempfile::tempdir().context("cannot create a temporary folder")?;
    let written = write_to(fresh.path(), interrupts)?;
    if written != ExitCode::SUCCESS {
        return Ok(written);
    }
    let mut diff = process::command("diff");
    diff.args(["--recursive", "--unified", "--new-file", FOLDER]).arg(fresh.path()).current_dir(process::top());
    let status = process::run(&mut diff, interrupts, OnInterrupt::Stop)?;
    if !status.success() {
        eprintln!("xtask: {FOLDER}/ is not what the program stores; see to it with `cargo xtask schema`");
    }
    Ok(ExitCode::from(process::exit_code(status)))
}

fn write_to(folder: &Path, interrupts: &Interrupts) -> Result<ExitCode> {
    let mut command = process::cargo();
    command.args(["run", "--quiet", "--locked", "--package", "tickiz", "--", "schema", "--out"]).arg(folder);
    let status = process::run(&mut command, interrupts, OnInterrupt::Stop)?;
    Ok(ExitCode::from(process::exit_code(status)))
}
