//! `cargo xtask schema`: writes what is generated into `schemas/` and `docs/`, pictures too. Each of these files has a test that compares it
//! with the program and that writes it where `TICKIZ_BLESS=1`; so checking needs no command of its own.

use std::process::ExitCode;

use anyhow::Result;

use crate::process::{self, Interrupts, OnInterrupt};

/// The crates whose tests own generated files.
const OWNERS: [&str; 3] = ["tickiz-domain", "tickiz-query-api", "tickiz-kafka"];

/// Writes them, and returns the code of what failed.
pub fn run(interrupts: &Interrupts) -> Result<ExitCode> {
    let mut command = process::cargo();
    command.args(["test", "--quiet", "--locked"]).env("TICKIZ_BLESS", "1");
    for owner in OWNERS {
        command.args(["--package", owner]);
    }
    let status = process::run(&mut command, interrupts, OnInterrupt::Stop)?;
    if !status.success() {
        return Ok(ExitCode::from(process::exit_code(status)));
    }
    // Only those of the program's tests that draw: the others want minutes, and servers.
    let mut command = process::cargo();
    command.args(["test", "--quiet", "--locked", "--package", "tickiz", "--bins", "--test", "layers"]);
    command.args(["the_picture_of"]).env("TICKIZ_BLESS", "1");
    let status = process::run(&mut command, interrupts, OnInterrupt::Stop)?;
    Ok(ExitCode::from(process::exit_code(status)))
}
