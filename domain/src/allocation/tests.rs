use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::seating_plan::tests::hall;

/// A hall as [`hall`] draws it, lower-case letters being taken; asks for `quantity` seats of category `A`.
fn ask(rows: &[&str], quantity: usize, spread: u64) -> Option<Vec<String>> {
    let upper: Vec<String> = rows.iter().map(|row| row.to_uppercase()).collect();
    let plan = hall(&upper.iter().map(String::as_str).collect::<Vec<_>>());
    let free: Vec<bool> =
        rows.iter().flat_map(|row| row.chars()).filter(|c| *c != ' ').map(char::is_uppercase).collect();
    let seats = best_available(&plan, |seat| plan.category_of(seat) == "A", |seat| free[seat], quantity, spread)?;
    Some(seats.into_iter().map(|seat| plan.seat(seat).id.to_owned()).collect())
}

fn best(rows: &[&str], quantity: usize) -> Vec<String> {
    ask(rows, quantity, 0).unwrap()
}

#[test]
fn the_middle_of_the_front_row_is_best() {
    assert_eq!(best(&["AAAAAAAAA", "AAAAAAAAA"], 1), ["1-5"]);
    assert_eq!(best(&["AAAAAAAAA", "AAAAAAAAA"], 3), ["1-4", "1-5", "1-6"]);
    assert_eq!(best(&["BBBBBBBBB", "AAAAAAAAA", "AAAAAAAAA"], 3), ["2-4", "2-5", "2-6"]);
    // The middle of the second row is nearer to the front's middle than the end of the first.
    assert_eq!(best(&["AAaaaaaaa", "AAAAAAAAA"], 2), ["2-4", "2-5"]);
}

#[test]
fn a_group_sits_together_in_one_row_where_any_row_has_room() {
    assert_eq!(best(&["AAAaAAA", "AAAaAAA", "AAaAAAAa"], 4), ["3-4", "3-5", "3-6", "3-7"]);
    // Across an aisle rather than in two rows.
    assert_eq!(best(&["AAA AAA", "AAaAAa"], 4).len(), 4);
    assert!(best(&["AAA AAA", "AAaAAa"], 4).iter().all(|seat| seat.starts_with("1-")));
    // Beside the aisle rather than across it.
    assert_eq!(best(&["AA AAAA"], 4), ["1-3", "1-4", "1-5", "1-6"]);
}

#[test]
fn no_single_seat_is_left_between_taken_ones_where_another_choice_is() {
    // Taking 3 and 4 of row 1 would leave 2 alone.
    assert_eq!(best(&["aAAAaaa", "aaaaaAA"], 2), ["2-6", "2-7"]);
    // A worse row that fits exactly.
    assert_eq!(best(&["aaAAAaa", "aaAAAaa", "AAaaaaa"], 2), ["3-1", "3-2"]);
    // Nowhere avoidable: the group still sits together.
    assert_eq!(best(&["aAAAa"], 2).len(), 2);
    // Nor is one left at a row's end.
    assert_eq!(best(&["AAAAA"], 4), ["1-1", "1-2", "1-3", "1-4"]);
    assert_eq!(best(&["AAAAA", "AAAA"], 4), ["2-1", "2-2", "2-3", "2-4"]);
}

#[test]
fn a_group_too_large_for_any_row_takes_few_rows_that_follow_each_other() {
    assert_eq!(best(&["AAAA", "aaaa", "AAAA", "AAAA"], 6).iter().filter(|seat| seat.starts_with("1-")).count(), 0);
    assert_eq!(best(&["AAaAA", "aaaaa"], 4), ["1-1", "1-2", "1-4", "1-5"]);
    assert_eq!(best(&["AaAaA", "AaAaA"], 5).len(), 5);
    assert_eq!(best(&["AaBaA", "bbbbb", "AaAaA"], 5).len(), 5);
}

#[test]
fn only_too_few_seats_turn_a_group_away() {
    assert_eq!(ask(&["AaA", "BBB"], 3, 0), None);
    assert_eq!(ask(&["aaa"], 1, 0), None);
    assert_eq!(ask(&[], 1, 0), None);
    assert_eq!(ask(&["AAA"], usize::MAX, 0), None);
    assert_eq!(ask(&["aaa"], 0, 0), Some(Vec::new()));
}

#[test]
fn a_hundred_buyers_at_once_are_spread_over_good_seats() {
    let rows = vec!["A".repeat(40); 25];
    let rows: Vec<&str> = rows.iter().map(String::as_str).collect();
    let choices: BTreeSet<Vec<String>> = (1..=100).map(|spread| ask(&rows, 2, spread).unwrap()).collect();
    assert!(choices.len() > MAX_SPREAD / 2 && choices.len() <= MAX_SPREAD, "{} choices", choices.len());
    let all: Vec<&String> = choices.iter().flatten().collect();
    assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len(), "choices share a seat");
    // Nobody is sent to the back.
    assert!(all.iter().all(|seat| seat.split_once('-').unwrap().0.parse::<u32>().unwrap() <= 8));
}

/// Rows of seats, some taken, some of another category, with aisles.
fn halls() -> impl Strategy<Value = Vec<String>> {
    prop::collection::vec("[AAAAAaaaBb ]{1,14}", 1..7).prop_map(|mut rows| {
        for row in &mut rows {
            *row = row.trim().to_owned();
        }
        rows
    })
}

/// The seats of each row: whether free, whether also eligible.
fn states(rows: &[String]) -> Vec<Vec<(bool, bool)>> {
    let state = |c: char| (c.is_uppercase(), c == 'A');
    rows.iter().map(|row| row.chars().filter(|c| *c != ' ').map(state).collect()).collect()
}

/// How many seats are free with both neighbours of the row taken.
fn orphans(row: &[(bool, bool)], taken: Range<usize>) -> usize {
    let free = |at: usize| row[at].0 && !taken.contains(&at);
    (1..row.len().saturating_sub(1)).filter(|at| free(*at) && !free(at - 1) && !free(at + 1)).count()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, max_global_rejects: 100_000, ..ProptestConfig::default() })]

    #[test]
    fn the_best_available_are_so_many_free_seats_of_the_category(rows in halls(), quantity in 1_usize..12, spread in 0_u64..50) {
        let borrowed: Vec<&str> = rows.iter().map(String::as_str).collect();
        let states = states(&rows);
        let open: Vec<String> = states.iter().enumerate()
            .flat_map(|(r, row)| row.iter().enumerate().filter(|(_, s)| s.1).map(move |(i, _)| format!("{}-{}", r + 1, i + 1)))
            .collect();
        match ask(&borrowed, quantity, spread) {
            None => prop_assert!(open.len() < quantity),
            Some(seats) => {
                prop_assert_eq!(seats.iter().collect::<BTreeSet<_>>().len(), quantity);
                prop_assert!(seats.iter().all(|seat| open.contains(seat)));
                prop_assert_eq!(Some(seats), ask(&borrowed, quantity, spread));
            }
        }
    }

    #[test]
    fn who_can_sit_together_does_and_leaves_no_orphan_where_that_is_avoidable(
        rows in halls(), quantity in 1_usize..8, spread in 0_u64..50,
    ) {
        let states = states(&rows);
        // Every stretch of open seats in one row, and how many orphans it makes.
        let stretches = |row: &[(bool, bool)]| -> Vec<usize> {
            (0..(row.len() + 1).saturating_sub(quantity))
                .filter(|start| row[*start..start + quantity].iter().all(|seat| seat.1))
                .map(|start| orphans(row, start..start + quantity) - orphans(row, 0..0).min(orphans(row, start..start + quantity)))
                .collect()
        };
        let fewest = states.iter().flat_map(|row| stretches(row)).min();
        prop_assume!(fewest.is_some());
        let borrowed: Vec<&str> = rows.iter().map(String::as_str).collect();
        let places: Vec<(usize, usize)> = ask(&borrowed, quantity, spread).unwrap().iter()
            .map(|seat| seat.split_once('-').unwrap())
            .map(|(row, number)| (row.parse::<usize>().unwrap() - 1, number.parse::<usize>().unwrap() - 1))
            .collect();
        let (row, first) = places[0];
        prop_assert!(places.iter().enumerate().all(|(at, place)| *place == (row, first + at)));
        let made = orphans(&states[row], first..first + quantity).saturating_sub(orphans(&states[row], 0..0));
        prop_assert_eq!(Some(made), fewest);
    }

    #[test]
    fn a_group_that_is_split_takes_the_fewest_rows_of_its_section(rows in halls(), quantity in 1_usize..20) {
        let open: Vec<usize> = states(&rows).iter().map(|row| row.iter().filter(|seat| seat.1).count()).collect();
        let fewest = (1..=open.len()).find(|rows| open.windows(*rows).any(|group| group.iter().sum::<usize>() >= quantity));
        let borrowed: Vec<&str> = rows.iter().map(String::as_str).collect();
        let seats = ask(&borrowed, quantity, 0);
        prop_assert_eq!(seats.is_some(), fewest.is_some());
        if let (Some(seats), Some(fewest)) = (seats, fewest) {
            let taken: BTreeSet<usize> = seats.iter().map(|seat| seat.split_once('-').unwrap().0.parse().unwrap()).collect();
            prop_assert!(taken.last().unwrap() - taken.first().unwrap() < fewest);
        }
    }
}
