//! A directory of files as a log's public resources.
//!
//! A name appears only with its whole content: each file is written under one temporary name, flushed to the disk, and renamed.
//! A rename becomes durable with its directory, so [`Store::sync`] flushes every directory that changed since the last time, and
//! whoever publishes calls it between the tiles and the checkpoint. The temporary name is always the same, so what a killed run
//! left there is overwritten and nothing piles up; one writer at a time is ensured by a lock that the system drops with the
//! process.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::path::{Path, PathBuf};

/// Where a log's resources are read from, by their paths in C2SP tlog-tiles.
pub trait Resources {
    /// The content of `path`, or none where there is no such resource.
    ///
    /// # Errors
    ///
    /// What the store says, and [`ErrorKind::FileTooLarge`] for a resource over `limit` bytes: the store may be anybody's.
    fn read(&self, path: &str, limit: usize) -> io::Result<Option<Vec<u8>>>;
}

/// Where a log's resources are written to.
pub trait Store: Resources {
    /// Writes a resource whole or not at all.
    ///
    /// # Errors
    ///
    /// What the store says; then the resource is the old one or the new one.
    fn put(&self, path: &str, bytes: &[u8]) -> io::Result<()>;

    /// Returns when everything that was put before is durable.
    ///
    /// # Errors
    ///
    /// What the store says.
    fn sync(&self) -> io::Result<()>;

    /// Removes every resource below `path`, if there is any.
    ///
    /// # Errors
    ///
    /// What the store says.
    fn remove_below(&self, path: &str) -> io::Result<()>;
}

impl<R: Resources + ?Sized> Resources for &R {
    fn read(&self, path: &str, limit: usize) -> io::Result<Option<Vec<u8>>> {
        (**self).read(path, limit)
    }
}

impl<S: Store + ?Sized> Store for &S {
    fn put(&self, path: &str, bytes: &[u8]) -> io::Result<()> {
        (**self).put(path, bytes)
    }

    fn sync(&self) -> io::Result<()> {
        (**self).sync()
    }

    fn remove_below(&self, path: &str) -> io::Result<()> {
        (**self).remove_below(path)
    }
}

/// The temporary name, at the top so that it is never taken for a resource.
const TEMPORARY: &str = ".tickiz-audit.tmp";
/// The file whose lock the one writer holds.
const LOCK: &str = ".tickiz-audit.lock";

/// A directory that is only read, as an auditor got it.
#[derive(Debug)]
pub struct Directory {
    root: PathBuf,
}

impl Directory {
    /// The directory `root`, which need not exist: then it has no resources.
    #[must_use]
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }
}

impl Resources for Directory {
    fn read(&self, path: &str, limit: usize) -> io::Result<Option<Vec<u8>>> {
        read_file(&self.root.join(path), limit)
    }
}

/// A directory that this process alone writes to.
#[derive(Debug)]
pub struct WritableDirectory {
    root: PathBuf,
    /// Directories with names that may not be durable yet.
    unsynced: RefCell<BTreeSet<PathBuf>>,
    /// Held while the value lives.
    _lock: File,
}

impl WritableDirectory {
    /// Opens `root`, makes it where it is missing, and keeps every other writer out.
    ///
    /// # Errors
    ///
    /// What the file system says, and [`ErrorKind::ResourceBusy`] where another process writes there.
    pub fn open(root: impl Into<PathBuf>) -> io::Result<Self> {
        let root = root.into();
        fs::create_dir_all(&root)?;
        let lock = OpenOptions::new().create(true).truncate(false).write(true).open(root.join(LOCK))?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => io::Error::new(ErrorKind::ResourceBusy, "another process writes this log"),
            TryLockError::Error(error) => error,
        })?;
        Ok(Self { root, unsynced: RefCell::default(), _lock: lock })
    }

    /// Remembers `directory` and those above it, whose names may be new, up to the top.
    fn remember(&self, directory: &Path) {
        let mut unsynced = self.unsynced.borrow_mut();
        for directory in directory.ancestors().take_while(|directory| directory.starts_with(&self.root)) {
            if !unsynced.insert(directory.to_owned()) {
                break;
            }
        }
    }
}

impl Resources for WritableDirectory {
    fn read(&self, path: &str, limit: usize) -> io::Result<Option<Vec<u8>>> {
        read_file(&self.root.join(path), limit)
    }
}

impl Store for WritableDirectory {
    fn put(&self, path: &str, bytes: &[u8]) -> io::Result<()> {
        let target = self.root.join(path);
        let directory = target.parent().ok_or(ErrorKind::InvalidInput)?;
        fs::create_dir_all(directory)?;
        let temporary = self.root.join(TEMPORARY);
        let mut file = File::create(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&temporary, &target)?;
        self.remember(directory);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let mut unsynced = self.unsynced.borrow_mut();
        for directory in unsynced.iter() {
            File::open(directory)?.sync_all()?;
        }
        unsynced.clear();
        Ok(())
    }

    fn remove_below(&self, path: &str) -> io::Result<()> {
        match fs::remove_dir_all(self.root.join(path)) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            _ => {
                // What is gone need not be flushed, and could not be.
                self.unsynced.borrow_mut().retain(|directory| !directory.starts_with(self.root.join(path)));
                Ok(())
            }
        }
    }
}

fn read_file(path: &Path, limit: usize) -> io::Result<Option<Vec<u8>>> {
    let file = match File::open(path) {
        Ok(file) => file,
        // A file where a directory should be, or the other way round, is no resource either.
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(None),
        Err(error) => return Err(error),
    };
    if file.metadata()?.is_dir() {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    file.take(limit as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > limit {
        return Err(io::Error::new(ErrorKind::FileTooLarge, format!("{} is over {limit} bytes", path.display())));
    }
    Ok(Some(bytes))
}
