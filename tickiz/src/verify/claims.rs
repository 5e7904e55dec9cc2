//! The claims replayed, by a model that shares no code with the log's writer: maps and additions, one change at a time.

use std::collections::BTreeMap;

use tickiz_domain::claim::ClaimChange;
use tickiz_event_log::record::Position;

use super::report::{Promise, Report};

/// One resource as it ought to stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expected {
    /// A unique resource that somebody holds.
    Held {
        /// By whom.
        holder: String,
        /// The position of the taking.
        fence: Position,
    },
    /// A counter.
    Counted {
        /// What is used.
        used: i64,
        /// The limit in its row.
        limit: i64,
    },
}

/// Every resource as it ought to stand, by its text.
#[derive(Default)]
pub struct Replay {
    /// By resource.
    pub rows: BTreeMap<String, Expected>,
}

impl Replay {
    /// Applies one change of the domain event at that position.
    pub fn apply(&mut self, change: &ClaimChange, position: Position, report: &mut Report) {
        let resource = change.resource().to_string();
        match change {
            ClaimChange::Take { holder, .. } => self.take(resource, holder.to_string(), position, report),
            ClaimChange::Release { holder, .. } => self.release(&resource, &holder.to_string(), position, report),
            ClaimChange::SetLimit { limit, .. } => {
                let used = self.used(&resource);
                if used > *limit {
                    report.find(
                        Promise::P1,
                        position,
                        &resource,
                        format!("the limit sank to {limit}, {used} are used"),
                    );
                }
                self.rows.insert(resource, Expected::Counted { used, limit: *limit });
            }
            ClaimChange::Use { amount, limit, .. } => {
                let used = self.used(&resource) + amount;
                let limit = limit.unwrap_or_else(|| self.limit(&resource));
                if used > limit {
                    report.find(Promise::P1, position, &resource, format!("{used} are used of {limit}"));
                }
                self.rows.insert(resource, Expected::Counted { used, limit });
            }
            ClaimChange::Return { amount, .. } => {
                let used = self.used(&resource) - amount;
                if used < 0 {
                    report.find(Promise::P2, position, &resource, format!("{amount} came back, more than was used"));
                }
                let limit = self.limit(&resource);
                self.rows.insert(resource, Expected::Counted { used, limit });
            }
        }
    }

    fn take(&mut self, resource: String, holder: String, position: Position, report: &mut Report) {
        if let Some(Expected::Held { holder: other, fence }) = self.rows.get(&resource) {
            let what = format!("taken by {holder} while {other} holds it since position {fence}");
            report.find(Promise::P1, position, &resource, what);
        }
        self.rows.insert(resource, Expected::Held { holder, fence: position });
    }

    fn release(&mut self, resource: &str, holder: &str, position: Position, report: &mut Report) {
        match self.rows.remove(resource) {
            Some(Expected::Held { holder: actual, .. }) if actual == holder => {}
            other => {
                let what = format!("given back by {holder}, but it stood at {other:?}");
                report.find(Promise::P12, position, resource, what);
            }
        }
    }

    fn used(&self, resource: &str) -> i64 {
        match self.rows.get(resource) {
            Some(Expected::Counted { used, .. }) => *used,
            _ => 0,
        }
    }

    fn limit(&self, resource: &str) -> i64 {
        match self.rows.get(resource) {
            Some(Expected::Counted { limit, .. }) => *limit,
            _ => 0,
        }
    }
}
