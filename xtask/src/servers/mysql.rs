//! MySQL 9, out of Debian's `sid`, whose files run on an older Debian too.
//!
//! Debian 12 has no MySQL server. `debootstrap` makes a folder with sid's `mysql-server-core` and every library that it
//! needs, down to the C library, and the programs in it are started by that folder's own dynamic loader. Nothing of it
//! touches the system, and no container is involved. It takes 560 MB and most of a minute, once.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, bail};

use super::{Place, Server, sql};
use crate::apt_sources;
use crate::install::{self, Cache};
use crate::process::{self, Interrupts, OnInterrupt};

/// What the folder is made by. A change here makes it anew on every machine.
const RECIPE: &str = "sid minbase mysql-server-core,mysql-client-core";
/// The oldest version that the distributed form supports.
const OLDEST_MAJOR: u32 = 9;

/// The module's entry.
pub struct Mysql {
    root: PathBuf,
}

impl Mysql {
    /// Knows where the files are, or will be.
    pub fn new(cache: &Cache) -> Self {
        Self { root: cache.folder("mysql-sid") }
    }

    /// A program of the folder, started by the folder's own loader.
    fn program(&self, path: &str) -> Result<Command> {
        let (loader, libraries) = match std::env::consts::ARCH {
            "x86_64" => ("lib64/ld-linux-x86-64.so.2", "usr/lib/x86_64-linux-gnu"),
            "aarch64" => ("lib/ld-linux-aarch64.so.1", "usr/lib/aarch64-linux-gnu"),
            other => bail!("no way to run a private MySQL on {other}; name one of your own in {}", self.variable()),
        };
        let mut command = process::command(self.root.join(loader));
        command.arg("--library-path").arg(self.root.join(libraries)).arg(self.root.join(path));
        Ok(command)
    }

    fn daemon(&self) -> Result<Command> {
        let mut command = self.program("usr/sbin/mysqld")?;
        let mut base = std::ffi::OsString::from("--basedir=");
        base.push(self.root.join("usr"));
        command.arg("--no-defaults").args(sql::user_option()).arg(base);
        Ok(command)
    }
}

impl Server for Mysql {
    fn name(&self) -> &'static str {
        "mysql"
    }

    fn variable(&self) -> &'static str {
        "TICKIZ_TEST_MYSQL_URL"
    }

    fn install(&self, cache: &Cache, interrupts: &Interrupts) -> Result<()> {
        if install::is_complete(&self.root, RECIPE) {
            return Ok(());
        }
        if !process::is_root() {
            bail!(
                "MySQL is not in {} yet, and only root can put it there: run this once as root with \
                 TICKIZ_CACHE_DIR={}, or name a server of your own in {}",
                self.root.display(),
                cache.folder("").display(),
                self.variable()
            );
        }
        cache.need_programs(&["debootstrap"], &["debootstrap"])?;
        install::clear(&self.root, interrupts)?;
        eprintln!("xtask: making {} with debootstrap (560 MB, about a minute)", self.root.display());
        let mut debootstrap = process::command("debootstrap");
        debootstrap
            .args(["--variant=minbase", "--include=mysql-server-core,mysql-client-core", "sid"])
            .arg(&self.root)
            // Without any, debootstrap takes its own default.
            .args(apt_sources::debian_mirror(Path::new("/etc/apt")));
        cache.run_logged(&mut debootstrap, &cache.folder("mysql-sid.log"), OnInterrupt::Stop)?;
        install::mark_complete(&self.root, RECIPE)
    }

    fn initialise(&self, place: &Place) -> Result<Option<Command>> {
        let mut command = self.daemon()?;
        command.arg("--initialize-insecure").args(sql::options(place));
        Ok(Some(command))
    }

    fn serve(&self, place: &Place) -> Result<Command> {
        let mut command = self.daemon()?;
        // The binary log is on by default.
        command.args(["--secure-file-priv=NULL", "--mysqlx=OFF", "--performance-schema=OFF"]).args(sql::options(place));
        Ok(command)
    }

    fn address(&self, place: &Place) -> String {
        sql::address(place)
    }

    fn version(&self, place: &Place) -> Result<String> {
        sql::version(self.program("usr/bin/mysql")?, place)
    }

    fn version_at(&self, address: &str) -> Result<String> {
        sql::version_at(address)
    }

    fn check_version(&self, version: &str) -> Result<()> {
        match sql::major(version) {
            Some(major) if major >= OLDEST_MAJOR && !sql::is_mariadb(version) => Ok(()),
            _ => bail!("{}: wanted MySQL {OLDEST_MAJOR} or newer, got {version}", self.variable()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_new_mysql_passes_for_mysql() {
        let mysql = Mysql { root: PathBuf::from("/nowhere") };
        for good in ["9.7.4", "9.7.4-1+b1", "10.0.0"] {
            mysql.check_version(good).unwrap();
        }
        for bad in ["8.4.6", "10.11.19-MariaDB-0+deb12u1-log", "11.8.9-MariaDB", ""] {
            assert!(mysql.check_version(bad).is_err(), "{bad}");
        }
    }
}
