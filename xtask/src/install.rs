//! Puts on the machine what is missing: system packages, and folders of downloads that outlive the build folder.
//!
//! Everything here is skipped where its result is there already. A folder counts as there only with its marker, which is
//! written last, so one that was cut short is thrown away and made anew. One lock serialises all of it between runs.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::process::{self, Interrupts, OnInterrupt};

/// The last file of a finished folder; holds the recipe by which it was made.
const MARKER: &str = ".tickiz-complete";
/// How much of a failed program's output is shown: enough for the error and what led to it.
const LOG_TAIL_LINES: usize = 30;
/// What a removal gets while somebody still writes into the folder: a run that was killed with SIGKILL leaves the last
/// step of its `debootstrap` behind for some seconds.
const REMOVAL_LIMIT: Duration = Duration::from_secs(20);

/// The folder of downloads: `$TICKIZ_CACHE_DIR`, or `tickiz` in the user's cache folder.
pub struct Cache {
    folder: PathBuf,
    interrupts: Interrupts,
}

/// Held while something is being installed; freed when dropped, and by the kernel when we die.
pub struct CacheLock(#[expect(dead_code, reason = "the open file is the lock")] File);

impl Cache {
    /// Opens the cache folder and creates it where it is missing.
    pub fn open(interrupts: &Interrupts) -> Result<Self> {
        let folder = cache_folder(|name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from))
            .context("no folder for downloads: set TICKIZ_CACHE_DIR, or HOME")?;
        std::fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
        let folder = folder.canonicalize().with_context(|| format!("cannot resolve {}", folder.display()))?;
        Ok(Self { folder, interrupts: interrupts.clone() })
    }

    /// One in a folder that exists.
    #[cfg(test)]
    pub fn at(folder: &Path, interrupts: &Interrupts) -> Self {
        Self { folder: folder.to_owned(), interrupts: interrupts.clone() }
    }

    /// A folder of this name in the cache; it may not exist.
    pub fn folder(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Waits until no other run installs anything, and keeps others waiting until the lock is dropped.
    pub fn lock(&self) -> Result<CacheLock> {
        let path = self.folder.join("lock");
        // For reading alone where it exists: it may be root's, who filled the folder for a user.
        let file = File::open(&path)
            .or_else(|_| OpenOptions::new().create(true).truncate(false).write(true).open(&path))
            .with_context(|| format!("cannot open {}", path.display()))?;
        let mut told = false;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(CacheLock(file)),
                Err(TryLockError::WouldBlock) => {
                    if !told {
                        eprintln!("xtask: another run is installing, waiting for it");
                        told = true;
                    }
                    self.interrupts.check()?;
                    std::thread::sleep(process::POLL_INTERVAL);
                }
                Err(TryLockError::Error(error)) => {
                    return Err(error).with_context(|| format!("cannot lock {}", path.display()));
                }
            }
        }
    }

    /// Installs Debian packages unless every one of `programs` is there.
    ///
    /// Only packages without a service may be named: nothing here would keep it from being started.
    pub fn need_programs(&self, programs: &[&str], packages: &[&str]) -> Result<()> {
        self.need(programs, &[], packages)
    }

    /// The same for programs together with libraries to compile against, which go by their names in `pkg-config`.
    pub fn need(&self, programs: &[&str], libraries: &[&str], packages: &[&str]) -> Result<()> {
        let absent = absent(programs, libraries);
        if absent.is_empty() {
            return Ok(());
        }
        let by_hand = format!("apt-get install --no-install-recommends {}", packages.join(" "));
        if process::find_program("apt-get").is_none() {
            bail!(
                "missing: {}. This machine has no apt-get; install what Debian calls {}",
                absent.join(", "),
                packages.join(", ")
            );
        }
        if !process::is_root() {
            bail!("missing: {}. Run this as root, or once as root: {by_hand}", absent.join(", "));
        }
        eprintln!("xtask: {by_hand}");
        let log = self.folder.join("apt.log");
        self.run_logged(apt_get().arg("update"), &log, OnInterrupt::Finish)?;
        let mut install = apt_get();
        install.args(["install", "--no-install-recommends"]).args(packages);
        self.run_logged(&mut install, &log, OnInterrupt::Finish)?;
        let absent = self::absent(programs, libraries);
        if !absent.is_empty() {
            bail!("{} did not bring {}", packages.join(", "), absent.join(", "));
        }
        Ok(())
    }

    /// Runs a long-winded program with its output in a file, of which the end is shown if it fails.
    pub fn run_logged(&self, command: &mut Command, log: &Path, on_interrupt: OnInterrupt) -> Result<()> {
        let file = File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
        command.stdout(file.try_clone().context("cannot share the log file")?).stderr(file);
        let status = process::run(command, &self.interrupts, on_interrupt)?;
        if !status.success() {
            bail!("{} failed ({status}); the end of {}:\n{}", process::describe(command), log.display(), tail(log));
        }
        Ok(())
    }
}

fn absent<'a>(programs: &[&'a str], libraries: &[&'a str]) -> Vec<&'a str> {
    let programs = programs.iter().filter(|name| process::find_program(name).is_none());
    programs.chain(libraries.iter().filter(|name| !is_library(name))).copied().collect()
}

/// True if a library's headers are there. Without `pkg-config` none is found.
fn is_library(name: &str) -> bool {
    let Some(program) = process::find_program("pkg-config") else { return false };
    process::command(program).args(["--exists", name]).status().is_ok_and(|status| status.success())
}

fn apt_get() -> Command {
    let mut command = process::command("apt-get");
    // Another apt on the machine, such as the nightly upgrade, holds dpkg's lock for minutes, not hours.
    command.env("DEBIAN_FRONTEND", "noninteractive").args(["-y", "-q", "-o", "DPkg::Lock::Timeout=300"]);
    command
}

/// The XDG base directory rule, with our own variable before it.
fn cache_folder(variable: impl Fn(&str) -> Option<PathBuf>) -> Option<PathBuf> {
    variable("TICKIZ_CACHE_DIR")
        .or_else(|| variable("XDG_CACHE_HOME").map(|folder| folder.join("tickiz")))
        .or_else(|| variable("HOME").map(|folder| folder.join(".cache").join("tickiz")))
}

/// True if `folder` was made to its end by this very recipe.
pub fn is_complete(folder: &Path, recipe: &str) -> bool {
    std::fs::read_to_string(folder.join(MARKER)).is_ok_and(|made_by| made_by == recipe)
}

/// The last step of making a folder.
pub fn mark_complete(folder: &Path, recipe: &str) -> Result<()> {
    std::fs::write(folder.join(MARKER), recipe).with_context(|| format!("cannot mark {}", folder.display()))
}

/// Removes a folder that was cut short or made by an older recipe, after whatever is still mounted in it.
pub fn clear(folder: &Path, interrupts: &Interrupts) -> Result<()> {
    if !folder.exists() {
        return Ok(());
    }
    // The marker goes first, so that a removal that is cut short does not leave a folder that looks whole.
    match std::fs::remove_file(folder.join(MARKER)) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            return Err(error).with_context(|| format!("cannot unmark {}", folder.display()));
        }
        _ => {}
    }
    let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    for mounted in mounts_below(&mounts, folder) {
        let status = process::run(process::command("umount").arg(&mounted), interrupts, OnInterrupt::Finish)?;
        if !status.success() {
            bail!("cannot unmount {}; unmount it and remove {}", mounted.display(), folder.display());
        }
    }
    let started = Instant::now();
    loop {
        match std::fs::remove_dir_all(folder) {
            Err(error) if error.kind() == ErrorKind::DirectoryNotEmpty && started.elapsed() < REMOVAL_LIMIT => {
                interrupts.check()?;
                std::thread::sleep(process::POLL_INTERVAL);
            }
            result => return result.with_context(|| format!("cannot remove {}", folder.display())),
        }
    }
}

/// The mount points below `folder`, innermost first, out of the text of `/proc/self/mounts`.
fn mounts_below(mounts: &str, folder: &Path) -> Vec<PathBuf> {
    let mut below: Vec<PathBuf> = mounts
        .lines()
        .filter_map(|line| line.split(' ').nth(1))
        // proc(5): spaces stand in octal.
        .map(|point| PathBuf::from(point.replace("\\040", " ")))
        .filter(|point| point.starts_with(folder))
        .collect();
    below.reverse();
    below
}

/// The last lines of a log file, or why it cannot be shown.
pub fn tail(log: &Path) -> String {
    match std::fs::read(log) {
        Ok(bytes) => {
            let text = String::from_utf8_lossy(&bytes);
            let lines: Vec<&str> = text.lines().collect();
            lines[lines.len().saturating_sub(LOG_TAIL_LINES)..].join("\n")
        }
        Err(error) => format!("({}: {error})", log.display()),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::AtomicUsize;

    use super::*;

    #[test]
    fn the_users_own_cache_folder_wins() {
        let set = |pairs: &'static [(&str, &str)]| {
            cache_folder(move |name| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| PathBuf::from(value)))
        };
        let all = &[("TICKIZ_CACHE_DIR", "/a"), ("XDG_CACHE_HOME", "/b"), ("HOME", "/c")];
        assert_eq!(set(all), Some(PathBuf::from("/a")));
        assert_eq!(set(&[("XDG_CACHE_HOME", "/b"), ("HOME", "/c")]), Some(PathBuf::from("/b/tickiz")));
        assert_eq!(set(&[("HOME", "/c")]), Some(PathBuf::from("/c/.cache/tickiz")));
        assert_eq!(set(&[]), None);
    }

    #[test]
    fn a_folder_is_complete_only_by_the_recipe_that_finished_it() {
        let folder = tempfile::tempdir().unwrap();
        assert!(!is_complete(folder.path(), "one"), "cut short");
        mark_complete(folder.path(), "one").unwrap();
        assert!(is_complete(folder.path(), "one"));
        assert!(!is_complete(folder.path(), "two"), "an older recipe");
    }

    #[test]
    fn a_cleared_folder_is_gone_and_clearing_again_is_no_error() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("root");
        let interrupts = Interrupts::for_tests(Arc::new(AtomicUsize::new(0)));
        std::fs::create_dir_all(folder.join("usr/lib")).unwrap();
        mark_complete(&folder, "one").unwrap();
        clear(&folder, &interrupts).unwrap();
        assert!(!folder.exists());
        clear(&folder, &interrupts).unwrap();
    }

    #[test]
    fn mounts_are_found_innermost_first_and_only_below_the_folder() {
        let mounts = "proc /proc proc rw 0 0\nproc /c/root/proc proc rw 0 0\nx /c/root/proc/sys/fs y rw 0 0\n\
                      z /c/root2 z rw 0 0\nw /c/root/with\\040space w rw 0 0\n";
        let expected = ["/c/root/with space", "/c/root/proc/sys/fs", "/c/root/proc"].map(PathBuf::from);
        assert_eq!(mounts_below(mounts, Path::new("/c/root")), expected);
    }

    #[test]
    fn the_tail_of_a_log_is_its_last_lines() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        let lines: Vec<String> = (0..100).map(|line| line.to_string()).collect();
        std::fs::write(&log, lines.join("\n")).unwrap();
        assert_eq!(tail(&log), lines[100 - LOG_TAIL_LINES..].join("\n"));
        assert!(tail(&folder.path().join("none")).contains("none"));
    }
}
