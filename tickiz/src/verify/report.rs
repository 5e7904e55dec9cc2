//! What was found, for a person and for a program.

use std::fmt;

use serde::Serialize;
use tickiz_event_log::record::Position;

/// The promises of the design, by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum Promise {
    P1,
    P2,
    P3,
    P4,
    P5,
    P6,
    P7,
    P8,
    P10,
    P11,
    P12,
}

impl Promise {
    /// Those that are checked.
    pub const CHECKED: [Self; 11] = [
        Self::P1,
        Self::P2,
        Self::P3,
        Self::P4,
        Self::P5,
        Self::P6,
        Self::P7,
        Self::P8,
        Self::P10,
        Self::P11,
        Self::P12,
    ];

    /// The promise in words.
    #[must_use]
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::P1 => "no seat and no unit of stock is sold twice",
            Self::P2 => "capacity is conserved at every position",
            Self::P3 => "what was acknowledged is durable and unchanged",
            Self::P4 => "no money without a ticket or a refund, no ticket without money or a waiver",
            Self::P5 => "every hold ends within its time plus 5 s",
            Self::P6 => "every read model equals the fold of the log",
            Self::P7 => "one idempotency key, one effect",
            Self::P8 => "positions and sequences have no gap and one order",
            Self::P10 => "no work is lost",
            Self::P11 => "a buyer sees his own hold at once",
            Self::P12 => "a hold that ended never confirms, and fences only rise",
        }
    }
}

/// One promise broken in one place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Which promise.
    pub promise: Promise,
    /// Where in the log, if it is in the log.
    pub position: Option<Position>,
    /// What it is about: a stream, a resource, a row.
    pub subject: String,
    /// What is wrong, with both sides.
    pub what: String,
}

/// Everything that was found.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// The last position that was read.
    pub head: Position,
    /// How many domain events were read.
    pub events: u64,
    /// Each promise broken.
    pub findings: Vec<Finding>,
    /// What an operator should know but breaks nothing.
    pub notes: Vec<String>,
}

impl Report {
    /// Adds one.
    pub fn find(
        &mut self,
        promise: Promise,
        position: impl Into<Option<Position>>,
        subject: impl fmt::Display,
        what: impl Into<String>,
    ) {
        self.findings.push(Finding {
            promise,
            position: position.into(),
            subject: subject.to_string(),
            what: what.into(),
        });
    }

    /// Whether every promise that is checked was kept.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.findings.is_empty()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} domain events up to position {}", self.events, self.head)?;
        for promise in Promise::CHECKED {
            let broken: Vec<&Finding> = self.findings.iter().filter(|finding| finding.promise == promise).collect();
            let verdict = if broken.is_empty() { "kept" } else { "BROKEN" };
            writeln!(f, "{promise:?} {verdict}: {}", promise.meaning())?;
            for finding in broken {
                let at = finding.position.map_or_else(String::new, |position| format!(" at position {position}"));
                writeln!(f, "    {}{at}: {}", finding.subject, finding.what)?;
            }
        }
        for note in &self.notes {
            writeln!(f, "note: {note}")?;
        }
        Ok(())
    }
}
