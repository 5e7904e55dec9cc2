//! What an operation may cost: the number of values that it can ask for, worked out from its tree once all arguments are
//! known. A list counts as often as `first` says, or by a usual size where the schema has no such argument.

use std::collections::HashMap;

use async_graphql::{
    Name, Positioned,
    parser::types::{Field, FragmentDefinition, OperationDefinition, Selection, SelectionSet},
};
use async_graphql_value::Value;

use super::{fault::Fault, model::Model};
use crate::limits::MAX_COMPLEXITY;

/// Usual sizes of lists, and fields that cost more than a value. A field that is not here counts 1, its content once.
const WEIGHTS: &[(&str, &str, u64, u64)] = &[
    // object, field, its own cost, how often its content counts
    ("Query", "events", 10, 20),
    ("Query", "log", 10, 100),
    ("Query", "seatMap", 50, 1),
    ("Query", "salesReport", 100, 1),
    ("SalesReport", "rows", 1, 50),
    ("Query", "gateReport", 200, 1),
    ("GateReport", "conflicts", 1, 50),
    ("Event", "ticketTypes", 1, 5),
    ("SeatMap", "sections", 100, 10),
    ("SeatSection", "rows", 1, 10),
    ("SeatRow", "seats", 1, 10),
    ("SeatAvailability", "changes", 1, 10),
    ("SeatAvailability", "ticketTypes", 1, 5),
    ("Booking", "tickets", 1, 10),
    ("Booking", "payments", 1, 3),
    ("Mutation", "mergeScans", 10, 50),
    // Drawn anew each time.
    ("Ticket", "qr", 20, 1),
];

/// Refuses an operation that asks for too much.
///
/// # Errors
/// `LIMIT_EXCEEDED`.
pub fn check(
    model: &Model,
    operation: &OperationDefinition,
    fragments: &HashMap<Name, Positioned<FragmentDefinition>>,
) -> Result<(), Fault> {
    let mut costs = Costs { model, fragments, known: HashMap::new() };
    let cost = costs.selection(model.root(operation.ty), &operation.selection_set.node);
    if cost <= MAX_COMPLEXITY {
        return Ok(());
    }
    Err(Fault::limit(format!(
        "the operation may ask for {cost} values; at most {MAX_COMPLEXITY} are allowed: select fewer fields, or a smaller page"
    )))
}

struct Costs<'a> {
    model: &'a Model,
    fragments: &'a HashMap<Name, Positioned<FragmentDefinition>>,
    known: HashMap<&'a str, u64>,
}

impl<'a> Costs<'a> {
    fn selection(&mut self, object: &'a str, selection: &'a SelectionSet) -> u64 {
        let mut total = 0_u64;
        for item in &selection.items {
            let cost = match &item.node {
                Selection::Field(field) => self.field(object, &field.node),
                Selection::InlineFragment(fragment) => self.selection(object, &fragment.node.selection_set.node),
                Selection::FragmentSpread(spread) => self.fragment(&spread.node.fragment_name.node),
            };
            total = total.saturating_add(cost);
        }
        total
    }

    /// Circles were refused before, so this ends.
    fn fragment(&mut self, name: &'a Name) -> u64 {
        if let Some(cost) = self.known.get(name.as_str()) {
            return *cost;
        }
        let Some(fragment) = self.fragments.get(name) else { return 0 };
        let cost = self.selection(&fragment.node.type_condition.node.on.node, &fragment.node.selection_set.node);
        self.known.insert(name, cost);
        cost
    }

    fn field(&mut self, object: &'a str, field: &'a Field) -> u64 {
        let name = field.name.node.as_str();
        let weight = WEIGHTS.iter().find(|(of, called, ..)| *of == object && *called == name);
        let (own, usual) = weight.map_or((1, 1), |(.., own, usual)| (*own, *usual));
        let first = field.get_argument("first").and_then(|value| match &value.node {
            Value::Number(number) => number.as_u64(),
            _ => None,
        });
        let inner =
            self.model.field(object, name).map_or(0, |def| self.selection(def.gives(), &field.selection_set.node));
        own.saturating_add(inner.saturating_mul(first.unwrap_or(usual).max(1)))
    }
}
