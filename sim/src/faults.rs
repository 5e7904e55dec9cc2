//! Scripted faults of the gateways' own answers.

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use crate::settings::Gateway;

/// More would be a mistake of the script.
const FAULTS: usize = 1_000;

/// What goes wrong, where and how often.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Fault {
    pub(crate) gateway: Gateway,
    /// The path's beginning after the gateway's name; left out, every path.
    #[serde(default)]
    pub(crate) route: String,
    /// The method, left out: any.
    #[serde(default)]
    pub(crate) method: Option<String>,
    /// Answers with this status.
    #[serde(default)]
    pub(crate) status: Option<u16>,
    /// Never answers.
    #[serde(default)]
    pub(crate) timeout: bool,
    /// Breaks the connection.
    #[serde(default)]
    pub(crate) reset: bool,
    /// Answers truly, but this many milliseconds of real time late.
    #[serde(default)]
    pub(crate) hold_ms: u64,
    /// How many calls it meets.
    #[serde(default = "once")]
    pub(crate) count: u32,
    /// Does what was asked first.
    #[serde(default)]
    pub(crate) after_commit: bool,
}

const fn once() -> u32 {
    1
}

#[derive(Default)]
pub(crate) struct Faults(Mutex<Vec<Fault>>);

impl Faults {
    /// Adds one; false when there are too many.
    pub(crate) fn add(&self, fault: Fault) -> bool {
        let mut faults = self.0.lock();
        let room = faults.len() < FAULTS;
        if room {
            faults.push(fault);
        }
        room
    }

    /// The first fault that meets this call, which uses it up by one.
    pub(crate) fn meet(&self, gateway: Gateway, method: &str, path: &str) -> Option<Fault> {
        let mut faults = self.0.lock();
        let place = faults.iter().position(|fault| {
            fault.gateway == gateway
                && path.starts_with(&fault.route)
                && fault.method.as_ref().is_none_or(|wanted| wanted.eq_ignore_ascii_case(method))
        })?;
        let met = faults[place].clone();
        faults[place].count = met.count.saturating_sub(1);
        if faults[place].count == 0 {
            faults.remove(place);
        }
        Some(met)
    }

    pub(crate) fn clear(&self) {
        self.0.lock().clear();
    }
}
