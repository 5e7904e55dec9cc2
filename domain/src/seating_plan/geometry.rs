//! Which seats of a row have an aisle between them.
//!
//! A plan says where seats are and which row they belong to, but not where one has to get up to reach the next seat. A gap says
//! it: in a row of evenly spaced seats, a distance well above the usual one is an aisle, a pillar or a missing seat.

use std::ops::Range;

/// How many times the row's usual distance is still the same block. Seats stand evenly to within a fifth even in curved rows,
/// a wheelchair place has half as much room again, and one missing seat makes twice the distance.
const MAX_SPACING: f64 = 1.75;

/// For each seat, whether it is the first of a block: its row's first, or the first behind an aisle. A row whose seats all
/// stand at one point, as in a plan that nobody drew, is one block.
pub(super) fn block_openings(row_ranges: &[Range<usize>], x: &[f64], y: &[f64]) -> Vec<bool> {
    let mut opens = vec![false; x.len()];
    let mut distances = Vec::new();
    let mut sorted = Vec::new();
    for range in row_ranges.iter().filter(|range| !range.is_empty()) {
        opens[range.start] = true;
        distances.clear();
        distances.extend((range.start + 1..range.end).map(|i| (x[i] - x[i - 1]).hypot(y[i] - y[i - 1])));
        sorted.clear();
        sorted.extend(distances.iter().copied().filter(|distance| *distance > 0.0));
        sorted.sort_unstable_by(f64::total_cmp);
        // The lower median: in a row of three with one aisle it is the distance of the two that sit together.
        let Some(usual) = sorted.get(sorted.len().saturating_sub(1) / 2) else { continue };
        for (at, distance) in distances.iter().enumerate() {
            opens[range.start + 1 + at] = *distance > usual * MAX_SPACING;
        }
    }
    opens
}
