//! MariaDB, out of the distribution: 10.11 on Debian 12.
//!
//! The `-core` packages hold the programs alone. `mariadb-server` would add a system service, and start it.

use std::process::Command;

use anyhow::{Result, bail};

use super::{Place, Server, sql};
use crate::install::Cache;
use crate::process::{self, Interrupts};

/// The oldest version that the SQL is written for.
const OLDEST_MAJOR: u32 = 10;

/// The module's entry.
pub struct Mariadb;

/// With its full path: `sbin` is not on everybody's `PATH`.
fn program(name: &str) -> Command {
    process::command(process::find_program(name).unwrap_or_else(|| name.into()))
}

impl Server for Mariadb {
    fn name(&self) -> &'static str {
        "mariadb"
    }

    fn variable(&self) -> &'static str {
        "TICKIZ_TEST_MARIADB_URL"
    }

    fn install(&self, cache: &Cache, _interrupts: &Interrupts) -> Result<()> {
        cache.need_programs(
            &["mariadbd", "mariadb-install-db", "mariadb"],
            &["mariadb-server-core", "mariadb-client-core"],
        )
    }

    fn initialise(&self, place: &Place) -> Result<Option<Command>> {
        let mut command = program("mariadb-install-db");
        let mut data = std::ffi::OsString::from("--datadir=");
        data.push(place.data());
        command
            .arg("--no-defaults")
            .args(sql::user_option())
            .arg(data)
            .args(["--auth-root-authentication-method=normal", "--skip-test-db"]);
        Ok(Some(command))
    }

    fn serve(&self, place: &Place) -> Result<Command> {
        let mut command = program("mariadbd");
        command
            .arg("--no-defaults")
            .args(sql::user_option())
            // The binary log is off by default.
            .args(["--log-bin=bin", "--server-id=1"])
            .args(sql::options(place));
        Ok(command)
    }

    fn address(&self, place: &Place) -> String {
        sql::address(place)
    }

    fn version(&self, place: &Place) -> Result<String> {
        sql::version(program("mariadb"), place)
    }

    fn version_at(&self, address: &str) -> Result<String> {
        sql::version_at(address)
    }

    fn check_version(&self, version: &str) -> Result<()> {
        match sql::major(version) {
            Some(major) if major >= OLDEST_MAJOR && sql::is_mariadb(version) => Ok(()),
            _ => bail!("{}: wanted MariaDB {OLDEST_MAJOR} or newer, got {version}", self.variable()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_mariadb_passes_for_mariadb() {
        for good in ["10.11.19-MariaDB-0+deb12u1-log", "11.8.9-MariaDB"] {
            Mariadb.check_version(good).unwrap();
        }
        for bad in ["9.7.4", "10.0.0", "5.5.68-MariaDB", ""] {
            assert!(Mariadb.check_version(bad).is_err(), "{bad}");
        }
    }
}
