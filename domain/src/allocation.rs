//! Best available: which free seats a group gets that leaves the choice to us.
//!
//! In this order of importance:
//!
//! 1. **Together**: neighbours in one row, as the plan lists them.
//! 2. **No orphan**: no single free seat is left between two taken ones, since nobody buys it.
//! 3. No aisle within the group.
//! 4. No single free seat is left at the end of a row or beside an aisle.
//! 5. **Near the front, in the middle**: the shortest way from the group's middle to the point in front of the room. Plans say
//!    nothing of a stage; as people draw them it is above the first row, so the point is the middle of all eligible seats'
//!    width, at the height of the foremost.
//!
//! A group that fits in no row in one piece is split over as few rows as possible, that follow each other in one section where
//! they can; in these rows into as few pieces as possible; and among such choices by rules 2 and 5. So a group is turned away
//! only where fewer seats are free than it has people.
//!
//! # Many at once
//!
//! A hundred buyers who ask in the same moment would all be told the same best seats, and ninety-nine would lose them. So a
//! caller gives each a `spread`. 0 is the very best choice; any other number picks, always the same for that number, among the
//! best of the choices that are equally good by rules 1 to 4: at most [`MAX_SPREAD`] of them and at most the nearest quarter of
//! what there is, so that nobody is sent to the back. No two of these choices share a seat or leave one seat between them.
//!
//! Everything here is a pure function: the same plan, seats and spread give the same answer on every machine.

use std::ops::Range;

use crate::seating_plan::SeatingPlan;

/// Among how many choices buyers who come at once are spread. More would send some of them noticeably further back; fewer would
/// make more of them collide.
pub const MAX_SPREAD: usize = 32;
/// Buyers are spread over one in so many of the choices that there are, the nearest ones.
const SPREAD_SHARE: usize = 4;
/// Among how many groups of rows a group that must be split is placed. Each is laid out in full, so this bounds the work when a
/// house is nearly sold out.
const MAX_ROW_GROUPS: usize = 64;

/// Chooses `quantity` seats that are `free` and `eligible` (of a right category); their indexes in plan order. `None` when there
/// are fewer. Each closure is called at most once per seat.
pub fn best_available(
    plan: &SeatingPlan,
    eligible: impl Fn(usize) -> bool,
    free: impl Fn(usize) -> bool,
    quantity: usize,
    spread: u64,
) -> Option<Vec<usize>> {
    if quantity == 0 {
        return Some(Vec::new());
    }
    let house = House::new(plan, eligible, free);
    if house.open_before(house.len()) < quantity {
        return None;
    }
    house.together(quantity, spread).or_else(|| house.split(quantity, spread))
}

/// The room at one moment, with running sums so that any stretch of seats is judged in constant time.
struct House<'a> {
    plan: &'a SeatingPlan,
    /// Whether somebody may still sit there, whatever the category: an orphan is a matter of any seat.
    free: Vec<bool>,
    /// Free and eligible.
    open: Vec<bool>,
    /// Up to each seat: how many are open, how many open a block, and the coordinates' sums.
    opens: Vec<usize>,
    blocks: Vec<usize>,
    x: Vec<f64>,
    y: Vec<f64>,
    /// The point in front of the room.
    front: (f64, f64),
}

/// A stretch of open seats in one row that a group could have.
#[derive(Clone, Copy)]
struct Window {
    start: usize,
    /// Rules 2, 3 and 4 in this order; less is better.
    harm: (usize, usize, usize),
    distance: f64,
}

impl<'a> House<'a> {
    fn new(plan: &'a SeatingPlan, eligible: impl Fn(usize) -> bool, free: impl Fn(usize) -> bool) -> Self {
        let count = plan.len();
        let mut house = House {
            plan,
            free: (0..count).map(free).collect(),
            open: Vec::with_capacity(count),
            opens: vec![0],
            blocks: vec![0],
            x: vec![0.0],
            y: vec![0.0],
            front: (0.0, 0.0),
        };
        let (mut left, mut right, mut foremost) = (f64::INFINITY, f64::NEG_INFINITY, f64::INFINITY);
        for index in 0..count {
            let (seat, is_eligible) = (plan.seat(index), eligible(index));
            if is_eligible {
                left = left.min(seat.x);
                right = right.max(seat.x);
                foremost = foremost.min(seat.y);
            }
            let is_open = is_eligible && house.free[index];
            house.open.push(is_open);
            house.opens.push(house.opens[index] + usize::from(is_open));
            house.blocks.push(house.blocks[index] + usize::from(plan.opens_block(index)));
            house.x.push(house.x[index] + seat.x);
            house.y.push(house.y[index] + seat.y);
        }
        if left <= right {
            house.front = (f64::midpoint(left, right), foremost);
        }
        house
    }

    fn len(&self) -> usize {
        self.open.len()
    }

    /// How many seats before `end` are open.
    fn open_before(&self, end: usize) -> usize {
        self.opens[end]
    }

    fn open_in(&self, range: Range<usize>) -> usize {
        self.opens[range.end] - self.opens[range.start]
    }

    /// How far the middle of a stretch is from the front, in pixels.
    fn distance(&self, range: Range<usize>) -> f64 {
        let count = (range.end - range.start) as f64;
        let x = (self.x[range.end] - self.x[range.start]) / count - self.front.0;
        let y = (self.y[range.end] - self.y[range.start]) / count - self.front.1;
        x.hypot(y)
    }

    /// What taking a stretch of one row would do to others, by rules 2, 3 and 4.
    fn harm(&self, range: Range<usize>) -> (usize, usize, usize) {
        let row = self.plan.row_seats(self.plan.seat(range.start).row);
        let is_taken = |index: usize| !self.free[index];
        let (mut orphans, mut lonely) = (0, 0);
        if range.start > row.start && self.free[range.start - 1] {
            let single = range.start - 1;
            if single > row.start && is_taken(single - 1) {
                orphans += 1;
            } else if !self.plan.opens_block(range.start) && self.plan.opens_block(single) {
                lonely += 1;
            }
        }
        if range.end < row.end && self.free[range.end] {
            let single = range.end;
            if single + 1 < row.end && is_taken(single + 1) {
                orphans += 1;
            } else if !self.plan.opens_block(single) && (single + 1 == row.end || self.plan.opens_block(single + 1)) {
                lonely += 1;
            }
        }
        let aisles = self.blocks[range.end] - self.blocks[range.start + 1];
        (orphans, aisles, lonely)
    }

    /// The runs of open seats of a row, none of them empty.
    fn runs(&self, row: usize) -> impl Iterator<Item = Range<usize>> {
        let seats = self.plan.row_seats(row);
        let mut at = seats.start;
        std::iter::from_fn(move || {
            let start = (at..seats.end).find(|index| self.open[*index])?;
            let end = (start..seats.end).find(|index| !self.open[*index]).unwrap_or(seats.end);
            at = end;
            Some(start..end)
        })
    }

    fn windows(&self, run: Range<usize>, quantity: usize) -> impl Iterator<Item = Window> {
        (run.start..(run.end + 1).saturating_sub(quantity)).map(move |start| Window {
            start,
            harm: self.harm(start..start + quantity),
            distance: self.distance(start..start + quantity),
        })
    }

    /// Rules 1 to 5 for a group that fits in one row.
    fn together(&self, quantity: usize, spread: u64) -> Option<Vec<usize>> {
        let rows = 0..self.plan.rows().len();
        let runs = rows.flat_map(|row| self.runs(row)).filter(|run| run.len() >= quantity);
        let mut windows: Vec<Window> = runs.flat_map(|run| self.windows(run, quantity)).collect();
        let least = windows.iter().map(|window| window.harm).min()?;
        windows.retain(|window| window.harm == least);
        let nearer = |a: &Window, b: &Window| a.distance.total_cmp(&b.distance).then(a.start.cmp(&b.start));
        // A choice rules out at most 2 * quantity + 1 windows, itself included. So the nearest of these many hold all the choices
        // that a buyer can be given, and an empty stadium is not sorted for each of them.
        let enough = SPREAD_SHARE * MAX_SPREAD * (2 * quantity + 1);
        if windows.len() > enough {
            windows.select_nth_unstable_by(enough, nearer);
            windows.truncate(enough);
        }
        windows.sort_unstable_by(nearer);
        // Of these, as many as are apart from each other, nearest first.
        let mut used = vec![false; self.len()];
        let mut apart: Vec<usize> = Vec::new();
        for Window { start, .. } in windows {
            let row = self.plan.row_seats(self.plan.seat(start).row);
            let end = start + quantity;
            let (before, after) = (start.saturating_sub(2).max(row.start), (end + 2).min(row.end));
            let shares = used[start..end].iter().any(|used| *used);
            // Two free seats or none between two choices, never one.
            let one_before = start - before == 2 && used[before] && !used[before + 1];
            let one_after = after - end == 2 && used[after - 1] && !used[end];
            if !shares && !one_before && !one_after {
                used[start..end].fill(true);
                apart.push(start);
            }
        }
        let start = apart[pick(apart.len(), spread)];
        Some((start..start + quantity).collect())
    }

    /// For a group that fits in no row in one piece, and in the house.
    fn split(&self, quantity: usize, spread: u64) -> Option<Vec<usize>> {
        let sections = (0..self.plan.sections().len()).map(|section| self.plan.section_rows(section));
        let mut groups: Vec<Range<usize>> = sections.flat_map(|rows| self.row_groups(rows, quantity)).collect();
        if groups.is_empty() {
            groups = self.row_groups(0..self.plan.rows().len(), quantity);
        }
        let fewest = groups.iter().map(ExactSizeIterator::len).min()?;
        groups.retain(|rows| rows.len() == fewest);
        let mut nearest: Vec<(f64, Range<usize>)> =
            groups.into_iter().map(|rows| (self.distance(self.seats_of(&rows)), rows)).collect();
        nearest.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.start.cmp(&b.1.start)));
        nearest.truncate(MAX_ROW_GROUPS);
        let mut layouts: Vec<Layout> = nearest.into_iter().map(|(_, rows)| self.lay_out(rows, quantity)).collect();
        let least = layouts.iter().map(Layout::harm).min()?;
        layouts.retain(|layout| layout.harm() == least);
        let mut seats = layouts.swap_remove(pick(layouts.len(), spread)).seats;
        seats.sort_unstable();
        Some(seats)
    }

    fn seats_of(&self, rows: &Range<usize>) -> Range<usize> {
        self.plan.row_seats(rows.start).start..self.plan.row_seats(rows.end - 1).end
    }

    /// Every shortest stretch of consecutive rows, from each row that could be its first, with open seats enough.
    fn row_groups(&self, rows: Range<usize>, quantity: usize) -> Vec<Range<usize>> {
        let open: Vec<usize> = rows.clone().map(|row| self.open_in(self.plan.row_seats(row))).collect();
        let mut groups: Vec<Range<usize>> = Vec::new();
        let (mut end, mut sum) = (0, 0);
        for start in 0..open.len() {
            while sum < quantity && end < open.len() {
                sum += open[end];
                end += 1;
            }
            if sum < quantity {
                break;
            }
            // A row without an open seat at either end adds nothing.
            if open[start] > 0 {
                groups.push(rows.start + start..rows.start + end);
            }
            sum -= open[start];
        }
        groups
    }

    /// Seats the group in these rows, in as few pieces as possible: the longest runs whole, and the rest where it does least
    /// harm.
    fn lay_out(&self, rows: Range<usize>, quantity: usize) -> Layout {
        let mut runs: Vec<Range<usize>> = rows.flat_map(|row| self.runs(row)).collect();
        runs.sort_by(|a, b| b.len().cmp(&a.len()).then(a.start.cmp(&b.start)));
        let mut layout = Layout { seats: Vec::with_capacity(quantity), pieces: 0, orphans: 0 };
        for at in 0..runs.len() {
            let left = quantity - layout.seats.len();
            layout.pieces += 1;
            if runs[at].len() >= left {
                let fits = runs[at..].iter().take_while(|run| run.len() >= left).cloned();
                let best = fits
                    .flat_map(|run| self.windows(run, left))
                    .min_by(|a, b| a.harm.cmp(&b.harm).then(a.distance.total_cmp(&b.distance)));
                let Window { start, harm, .. } = best.expect("the run at hand is long enough, so it has a window");
                layout.seats.extend(start..start + left);
                layout.orphans += harm.0;
                return layout;
            }
            layout.seats.extend(runs[at].clone());
        }
        unreachable!("a group of rows was chosen because its open seats are enough")
    }
}

/// A group in several pieces.
struct Layout {
    seats: Vec<usize>,
    pieces: usize,
    orphans: usize,
}

impl Layout {
    fn harm(&self) -> (usize, usize) {
        (self.pieces, self.orphans)
    }
}

/// Which of `count` choices, the best first, a buyer gets. `count` is at least 1.
fn pick(count: usize, spread: u64) -> usize {
    if spread == 0 {
        return 0;
    }
    let among = count.div_ceil(SPREAD_SHARE).min(MAX_SPREAD);
    // The finaliser of SplitMix64: seeds that differ in one bit, such as 1, 2, 3, are scattered.
    let mut mixed = spread.wrapping_add(0x9E37_79B9_7F4A_7C15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^= mixed >> 31;
    usize::try_from(mixed % among as u64).expect("a remainder by a usize is one")
}

#[cfg(test)]
mod tests;
