//! A writer that dies at any step leaves the published log whole, and the next one goes on from it.

mod common;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use common::{ORIGIN, entry, grow, key, vkey};
use tickiz_audit::checkpoint::Checkpoint;
use tickiz_audit::merkle::verify_consistency;
use tickiz_audit::tiles::{Directory, LogWriter, Resources, Store, TileReader, WritableDirectory, WriteError};
use tickiz_audit::verify::verify_directory;

/// A store that fails at a given step and at every one after it, as if the process had been killed there. A put has three steps:
/// nothing yet, half of the temporary file, and everything done but unknown to the caller.
struct Dying<'a> {
    inner: WritableDirectory,
    root: &'a Path,
    steps_left: Cell<usize>,
}

impl Dying<'_> {
    fn step(&self) -> io::Result<()> {
        let left = self.steps_left.get().checked_sub(1).ok_or_else(|| io::Error::other("killed"))?;
        self.steps_left.set(left);
        Ok(())
    }
}

impl Resources for Dying<'_> {
    fn read(&self, path: &str, limit: usize) -> io::Result<Option<Vec<u8>>> {
        self.inner.read(path, limit)
    }
}

impl Store for Dying<'_> {
    fn put(&self, path: &str, bytes: &[u8]) -> io::Result<()> {
        self.step()?;
        if let Err(killed) = self.step() {
            fs::write(self.root.join(".tickiz-audit.tmp"), &bytes[..bytes.len() / 2])?;
            return Err(killed);
        }
        self.inner.put(path, bytes)?;
        self.step()
    }

    fn sync(&self) -> io::Result<()> {
        self.step()?;
        self.inner.sync()
    }

    fn remove_below(&self, path: &str) -> io::Result<()> {
        self.step()?;
        self.inner.remove_below(path)
    }
}

/// Every resource of a directory, by path.
fn files(root: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut directories = vec![root.to_owned()];
    while let Some(directory) = directories.pop() {
        for file in fs::read_dir(directory).unwrap() {
            let path = file.unwrap().path();
            if path.is_dir() {
                directories.push(path);
            } else {
                let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
                files.insert(name, fs::read(&path).unwrap());
            }
        }
    }
    files
}

fn published(root: &Path) -> Option<Checkpoint> {
    let note = fs::read_to_string(root.join("checkpoint")).ok()?;
    Some(Checkpoint::open(&note, ORIGIN, &vkey()).unwrap())
}

fn append_and_publish<S: Store>(store: S, size: u64) -> Result<Checkpoint, WriteError> {
    let mut writer = LogWriter::open(store, key())?;
    for position in writer.size() + 1..=size {
        writer.append(position, &entry(position))?;
    }
    writer.publish()
}

/// Kills a run from `from` to `to` at each of its steps, and answers how many there were.
fn kill_everywhere(from: u64, to: u64) -> usize {
    let undisturbed = tempfile::tempdir().unwrap();
    if from > 0 {
        grow(undisturbed.path(), from);
    }
    grow(undisturbed.path(), to);
    for steps in 0.. {
        let place = tempfile::tempdir().unwrap();
        let before = (from > 0).then(|| grow(place.path(), from));
        let inner = WritableDirectory::open(place.path()).unwrap();
        let store = Dying { inner, root: place.path(), steps_left: Cell::new(steps) };
        let outcome = append_and_publish(&store, to);
        let alive = store.step().is_ok();
        drop(store);

        let now = published(place.path());
        assert!(now == before || now.as_ref().is_some_and(|now| now.size() == to), "killed after {steps} steps");
        assert!(outcome.is_err() || now.as_ref().is_some_and(|now| now.size() == to), "killed after {steps} steps");
        if now.is_some() {
            let report = verify_directory(&Directory::new(place.path()), &vkey()).unwrap();
            assert!(report.is_clean(), "killed after {steps} steps: {report}");
        }

        let after = append_and_publish(WritableDirectory::open(place.path()).unwrap(), to).unwrap();
        let report = verify_directory(&Directory::new(place.path()), &vkey()).unwrap();
        assert!(report.is_clean() && report.size == Some(to), "killed after {steps} steps: {report}");
        if let Some(before) = before {
            let path = TileReader::new(Directory::new(place.path()), to).consistency_proof(from).unwrap();
            verify_consistency(from, &before.root(), to, &after.root(), &path).unwrap();
        }
        let (found, wanted) = (files(place.path()), files(undisturbed.path()));
        for (path, content) in &wanted {
            assert_eq!(found.get(path).or(path.starts_with('.').then_some(content)), Some(content), "{steps}: {path}");
        }
        if alive {
            return steps;
        }
    }
    unreachable!("some number of steps is enough")
}

#[test]
fn the_first_run_may_be_killed_anywhere() {
    assert!(kill_everywhere(0, 300) > 15);
}

#[test]
fn a_later_run_may_be_killed_anywhere() {
    assert!(kill_everywhere(200, 600) > 15);
    kill_everywhere(255, 256);
    kill_everywhere(256, 257);
    kill_everywhere(512, 1_024);
}

/// A store that checks, when the checkpoint is written, that everything before it was made durable.
struct Ordered {
    inner: WritableDirectory,
    unsynced: Cell<usize>,
    checkpoints: Cell<usize>,
}

impl Resources for Ordered {
    fn read(&self, path: &str, limit: usize) -> io::Result<Option<Vec<u8>>> {
        self.inner.read(path, limit)
    }
}

impl Store for Ordered {
    fn put(&self, path: &str, bytes: &[u8]) -> io::Result<()> {
        if path == "checkpoint" {
            assert_eq!(self.unsynced.get(), 0, "the checkpoint vouches for what a power cut could take");
            self.checkpoints.set(self.checkpoints.get() + 1);
        }
        self.unsynced.set(self.unsynced.get() + 1);
        self.inner.put(path, bytes)
    }

    fn sync(&self) -> io::Result<()> {
        self.unsynced.set(0);
        self.inner.sync()
    }

    fn remove_below(&self, path: &str) -> io::Result<()> {
        assert_eq!(self.unsynced.get(), 0, "a partial tile is removed before its full one is published");
        self.inner.remove_below(path)
    }
}

#[test]
fn nothing_is_vouched_for_before_it_is_durable() {
    let place = tempfile::tempdir().unwrap();
    let inner = WritableDirectory::open(place.path()).unwrap();
    let store = Ordered { inner, unsynced: Cell::new(0), checkpoints: Cell::new(0) };
    for size in [0, 1, 255, 256, 257, 700] {
        append_and_publish(&store, size).unwrap();
        assert_eq!(store.unsynced.get(), 0, "a publication returned before it was durable");
    }
    assert_eq!(store.checkpoints.get(), 6);
    append_and_publish(&store, 700).unwrap();
    assert_eq!(store.checkpoints.get(), 6, "a checkpoint was made anew without anything new");
}
