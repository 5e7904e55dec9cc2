//! Collecting every fault of a request, each with its path.
//!
//! A check never stops at the first fault: a person who fills in a form wants to hear of all of them at once. So a check
//! returns `Option`, where `None` means that a fault was reported, and [`Faults::finish`] turns the whole into a result.

use std::fmt::Display;

use tickiz_contract::{ErrorCode, PathSegment, Refusal, Refusals};

use super::limits::MAX_FAULTS;

/// A step on the way to a value. Costs nothing until a fault makes a [`PathSegment`] of it.
#[derive(Clone, Copy, Debug)]
pub enum Step {
    /// A field or an argument.
    Key(&'static str),
    /// A place in a list.
    Index(usize),
}

impl From<&'static str> for Step {
    fn from(key: &'static str) -> Self {
        Self::Key(key)
    }
}

impl From<usize> for Step {
    fn from(index: usize) -> Self {
        Self::Index(index)
    }
}

impl From<Step> for PathSegment {
    fn from(step: Step) -> Self {
        match step {
            Step::Key(key) => key.into(),
            Step::Index(index) => index.into(),
        }
    }
}

/// The faults found so far, and where the check stands.
#[derive(Debug, Default)]
pub struct Faults {
    found: Vec<Refusal>,
    path: Vec<Step>,
}

impl Faults {
    /// Looks at a field or an element: `look` runs with the path one step longer.
    pub fn within<T>(&mut self, step: impl Into<Step>, look: impl FnOnce(&mut Self) -> T) -> T {
        self.path.push(step.into());
        let result = look(self);
        self.path.pop();
        result
    }

    /// Reports a fault of a field or an element of what is looked at.
    pub fn report(&mut self, step: impl Into<Step>, message: impl Into<String>) {
        self.within(step, |faults| faults.report_here(message));
    }

    /// Reports a fault of what is looked at.
    pub fn report_here(&mut self, message: impl Into<String>) {
        self.refuse_here(ErrorCode::InvalidInput, message, &[]);
    }

    /// Reports a fault by another code than `INVALID_INPUT`.
    pub fn refuse(&mut self, step: impl Into<Step>, code: ErrorCode, message: impl Into<String>) {
        self.within(step, |faults| faults.refuse_here(code, message, &[]));
    }

    /// Reports a fault deeper inside what is looked at, by a path that somebody else has found.
    pub fn refuse_here(&mut self, code: ErrorCode, message: impl Into<String>, deeper: &[PathSegment]) {
        if self.found.len() >= MAX_FAULTS {
            return;
        }
        let path = self.path.iter().copied().map(PathSegment::from).chain(deeper.iter().cloned()).collect();
        self.found.push(Refusal::new(code, message).at(path));
    }

    /// The value, or its error as a fault of that field.
    pub fn take<T, E: Display>(&mut self, step: impl Into<Step>, result: Result<T, E>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(error) => {
                self.report(step, error.to_string());
                None
            }
        }
    }

    /// Whether nothing was found yet.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// The value, if no fault was found.
    ///
    /// # Errors
    /// Every fault found.
    ///
    /// # Panics
    /// When there is neither a value nor a fault: a check returned `None` without a report.
    pub fn finish<T>(self, value: Option<T>) -> Result<T, Refusals> {
        if !self.found.is_empty() {
            return Err(Refusals(self.found));
        }
        Ok(value.expect("a check that returns nothing has reported why"))
    }
}
