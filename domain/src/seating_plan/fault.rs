//! Where a plan is wrong, and how.

use std::fmt;

/// The most faults that are reported of one plan: a file made by a faulty program has the same fault at each seat, and nobody
/// reads more than this.
pub const MAX_FAULTS: usize = 50;

/// A step on the way to a value in a JSON document.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum PathSegment {
    /// A member of an object.
    Key(String),
    /// An element of an array, counted from 0.
    Index(usize),
}

/// One fault of a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanFault {
    /// Where it is; empty for the whole plan. A missing value has the path that it would have.
    pub path: Vec<PathSegment>,
    /// What is wrong and what is allowed.
    pub message: String,
}

impl fmt::Display for PlanFault {
    /// Writes `zones[0].rows[2].seats[5].category: …`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() {
            return write!(f, "the plan: {}", self.message);
        }
        for (at, segment) in self.path.iter().enumerate() {
            match segment {
                PathSegment::Key(key) if at == 0 => write!(f, "{key}")?,
                PathSegment::Key(key) => write!(f, ".{key}")?,
                PathSegment::Index(index) => write!(f, "[{index}]")?,
            }
        }
        write!(f, ": {}", self.message)
    }
}

/// A step on the way to the value that is being looked at. Costs nothing until a fault makes a [`PathSegment`] of it.
#[derive(Clone, Copy)]
pub(super) enum Step {
    Key(&'static str),
    Index(usize),
}

/// The faults found so far, and where the reader stands.
#[derive(Default)]
pub(super) struct Faults {
    found: Vec<PlanFault>,
    path: Vec<Step>,
}

impl Faults {
    /// Looks at a member or an element: `look` runs with the path one step longer.
    pub(super) fn at<T>(&mut self, step: Step, look: impl FnOnce(&mut Self) -> T) -> T {
        self.enter(step);
        let result = look(self);
        self.leave();
        result
    }

    pub(super) fn enter(&mut self, step: Step) {
        self.path.push(step);
    }

    pub(super) fn leave(&mut self) {
        self.path.pop();
    }

    /// Records a fault here.
    pub(super) fn report(&mut self, message: impl Into<String>) {
        if self.is_full() {
            return;
        }
        let path = self.path.iter().map(|step| match step {
            Step::Key(key) => PathSegment::Key((*key).to_owned()),
            Step::Index(index) => PathSegment::Index(*index),
        });
        self.found.push(PlanFault { path: path.collect(), message: message.into() });
    }

    /// Whether [`MAX_FAULTS`] are found, so that looking further is in vain.
    pub(super) fn is_full(&self) -> bool {
        self.found.len() >= MAX_FAULTS
    }

    /// How many are found.
    pub(super) fn count(&self) -> usize {
        self.found.len()
    }

    pub(super) fn into_result(self) -> Result<(), Vec<PlanFault>> {
        if self.found.is_empty() { Ok(()) } else { Err(self.found) }
    }
}
