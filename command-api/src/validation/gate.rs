//! `checkIn` and `mergeScans`. A code that is none is not a fault of the input: saying so is what a gate is for.

use chrono::{DateTime, Utc};
use tickiz_contract::{
    Refusals,
    request::{CheckIn, MergeScans},
};
use tickiz_domain::ids::{EventId, ScanId};

use super::{
    Faults,
    fields::{id, line},
    limits::{MAX_GATE_CHARS, MAX_SCANNED_CHARS, MAX_SCANS_PER_MERGE},
};

/// A checked scan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scan {
    /// The gate's own id of it.
    pub id: ScanId,
    /// What the scanner read, without the blanks and line ends that scanners add.
    pub code: String,
    /// The gate, as the house calls it.
    pub gate: String,
    /// When.
    pub at: DateTime<Utc>,
}

fn code(faults: &mut Faults, given: &str) -> Option<String> {
    let code = given.trim();
    if code.chars().count() > MAX_SCANNED_CHARS {
        faults.report("code", format!("longer than {MAX_SCANNED_CHARS} characters; a ticket has 149 or 169"));
        return None;
    }
    Some(code.to_owned())
}

/// Reads a `checkIn`, of now.
///
/// # Errors
/// Every fault with its path.
pub fn check_scan(request: &CheckIn, now: DateTime<Utc>) -> Result<(EventId, Scan), Refusals> {
    let mut faults = Faults::default();
    let checked = faults.within("input", |faults| {
        let event_id = id(faults, "eventId", &request.event_id);
        let code = code(faults, &request.code);
        let gate = line(faults, "gate", &request.gate, MAX_GATE_CHARS);
        let scan_id = id(faults, "scanId", &request.scan_id);
        Some((event_id?, Scan { id: scan_id?, code: code?, gate: gate?, at: now }))
    });
    faults.finish(checked)
}

/// Reads a `mergeScans`.
///
/// # Errors
/// Every fault with its path.
pub fn check_merge(request: &MergeScans, now: DateTime<Utc>) -> Result<(EventId, Vec<Scan>), Refusals> {
    let mut faults = Faults::default();
    let checked = faults.within("input", |faults| {
        let event_id = id(faults, "eventId", &request.event_id);
        let gate = line(faults, "gate", &request.gate, MAX_GATE_CHARS);
        if request.scans.is_empty() || request.scans.len() > MAX_SCANS_PER_MERGE {
            faults.report(
                "scans",
                format!("{} scans; 1 to {MAX_SCANS_PER_MERGE} are taken at a time", request.scans.len()),
            );
            return None;
        }
        let (event_id, gate) = (event_id?, gate?);
        let scans: Option<Vec<Scan>> = faults.within("scans", |faults| {
            let mut scans = Vec::with_capacity(request.scans.len());
            for (index, given) in request.scans.iter().enumerate() {
                let scan = faults.within(index, |faults| {
                    let (id, code) = (id(faults, "scanId", &given.scan_id), code(faults, &given.code));
                    let at = scanned_at(faults, &given.scanned_at, now);
                    Some(Scan { id: id?, code: code?, gate: gate.clone(), at: at? })
                });
                scans.push(scan);
            }
            scans.into_iter().collect()
        });
        Some((event_id, scans?))
    });
    faults.finish(checked)
}

fn scanned_at(faults: &mut Faults, given: &str, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let Ok(at) = DateTime::parse_from_rfc3339(given) else {
        faults.report("scannedAt", "not an instant by RFC 3339, such as 2027-05-01T19:30:00Z".to_owned());
        return None;
    };
    // A scan of the future is of a clock that is ahead; it cannot have been later than now.
    Some(at.to_utc().min(now))
}
