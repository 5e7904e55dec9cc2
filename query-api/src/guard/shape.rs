//! How deep and how wide a document is, before anything else looks at its tree.
//!
//! A fragment's size is worked out once and added wherever it is spread, so a document whose fragments double each other a
//! hundred times costs as much to refuse as it has words. Sums saturate.

use std::collections::{HashMap, HashSet};

use async_graphql::{
    Name, Positioned,
    parser::types::{ExecutableDocument, FragmentDefinition, OperationDefinition, Selection, SelectionSet},
};

use super::fault::Fault;
use crate::limits::{
    MAX_ALIASES, MAX_DEPTH, MAX_DIRECTIVES, MAX_FIELDS, MAX_FRAGMENTS, MAX_INTROSPECTION_LISTS,
    MAX_OPERATIONS_IN_DOCUMENT, MAX_ROOT_FIELDS, MAX_VARIABLES,
};

/// The lists of introspection through which a type leads to types again.
const CIRCULAR: [&str; 4] = ["fields", "inputFields", "interfaces", "possibleTypes"];

/// The size of a selection, fragments followed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Size {
    /// Fields at its top.
    roots: u64,
    fields: u64,
    aliases: u64,
    directives: u64,
    depth: usize,
    /// Circular lists within each other.
    circles: usize,
}

impl Size {
    const fn with(self, other: Self) -> Self {
        Self {
            roots: self.roots.saturating_add(other.roots),
            fields: self.fields.saturating_add(other.fields),
            aliases: self.aliases.saturating_add(other.aliases),
            directives: self.directives.saturating_add(other.directives),
            depth: if self.depth > other.depth { self.depth } else { other.depth },
            circles: if self.circles > other.circles { self.circles } else { other.circles },
        }
    }
}

/// Refuses a document with too many parts.
///
/// # Errors
/// `LIMIT_EXCEEDED`.
pub fn check_document(document: &ExecutableDocument) -> Result<(), Fault> {
    let operations = document.operations.iter().len();
    bound("operations", operations as u64, MAX_OPERATIONS_IN_DOCUMENT as u64)?;
    bound("fragments", document.fragments.len() as u64, MAX_FRAGMENTS as u64)?;
    let variables = document.operations.iter().map(|(_, operation)| operation.node.variable_definitions.len()).max();
    bound("variables", variables.unwrap_or(0) as u64, MAX_VARIABLES as u64)
}

/// Refuses an operation that is too deep or too wide, or whose fragments lead in a circle.
///
/// # Errors
/// `LIMIT_EXCEEDED`; `INVALID_INPUT` for a circle, and for a fragment that is not there.
pub fn check_operation(
    operation: &OperationDefinition,
    fragments: &HashMap<Name, Positioned<FragmentDefinition>>,
) -> Result<(), Fault> {
    let mut measure = Measure { fragments, known: HashMap::new(), under_way: HashSet::new() };
    let size = measure.selection(&operation.selection_set.node)?;
    bound("levels of fields", size.depth as u64, MAX_DEPTH as u64)?;
    bound("lists of introspection within each other", size.circles as u64, MAX_INTROSPECTION_LISTS as u64)?;
    bound("aliases", size.aliases, MAX_ALIASES)?;
    bound("fields at its root", size.roots, MAX_ROOT_FIELDS)?;
    bound("directives", size.directives.saturating_add(operation.directives.len() as u64), MAX_DIRECTIVES)?;
    bound("fields", size.fields, MAX_FIELDS)
}

fn bound(what: &str, found: u64, most: u64) -> Result<(), Fault> {
    if found <= most {
        return Ok(());
    }
    Err(Fault::limit(format!("the document has {found} {what}; at most {most} are allowed")))
}

struct Measure<'a> {
    fragments: &'a HashMap<Name, Positioned<FragmentDefinition>>,
    known: HashMap<&'a str, Size>,
    under_way: HashSet<&'a str>,
}

impl<'a> Measure<'a> {
    fn selection(&mut self, selection: &'a SelectionSet) -> Result<Size, Fault> {
        let mut total = Size::default();
        for item in &selection.items {
            let size = match &item.node {
                Selection::Field(field) => {
                    let inner = self.selection(&field.node.selection_set.node)?;
                    let circular = CIRCULAR.contains(&field.node.name.node.as_str());
                    Size {
                        roots: 1,
                        fields: inner.fields.saturating_add(1),
                        aliases: inner.aliases.saturating_add(u64::from(field.node.alias.is_some())),
                        directives: inner.directives.saturating_add(field.node.directives.len() as u64),
                        depth: inner.depth.saturating_add(1),
                        circles: inner.circles + usize::from(circular),
                    }
                }
                Selection::InlineFragment(fragment) => {
                    let inner = self.selection(&fragment.node.selection_set.node)?;
                    Size { directives: inner.directives.saturating_add(fragment.node.directives.len() as u64), ..inner }
                }
                Selection::FragmentSpread(spread) => {
                    let inner = self.fragment(&spread.node.fragment_name)?;
                    Size { directives: inner.directives.saturating_add(spread.node.directives.len() as u64), ..inner }
                }
            };
            total = total.with(size);
        }
        Ok(total)
    }

    fn fragment(&mut self, name: &'a Positioned<Name>) -> Result<Size, Fault> {
        let key = name.node.as_str();
        if let Some(size) = self.known.get(key) {
            return Ok(*size);
        }
        let Some(fragment) = self.fragments.get(&name.node) else {
            return Err(Fault::invalid(format!("there is no fragment {key:?}")).at(name.pos));
        };
        if !self.under_way.insert(key) {
            return Err(Fault::invalid(format!("the fragment {key:?} leads back to itself")).at(name.pos));
        }
        let size = self.selection(&fragment.node.selection_set.node)?;
        self.under_way.remove(key);
        self.known.insert(key, size);
        Ok(size)
    }
}

/// Drops the fragments that an operation does not reach: they belong to other operations of its document.
pub fn keep_reachable(
    fragments: &mut HashMap<Name, Positioned<FragmentDefinition>>,
    operation: Option<&OperationDefinition>,
) {
    fn spreads(selection: &SelectionSet, found: &mut Vec<Name>) {
        for item in &selection.items {
            match &item.node {
                Selection::Field(field) => spreads(&field.node.selection_set.node, found),
                Selection::InlineFragment(fragment) => spreads(&fragment.node.selection_set.node, found),
                Selection::FragmentSpread(spread) => found.push(spread.node.fragment_name.node.clone()),
            }
        }
    }
    let (mut left, mut reached) = (Vec::new(), HashSet::new());
    if let Some(operation) = operation {
        spreads(&operation.selection_set.node, &mut left);
    }
    while let Some(name) = left.pop() {
        if let Some(fragment) = fragments.get(&name)
            && reached.insert(name)
        {
            spreads(&fragment.node.selection_set.node, &mut left);
        }
    }
    fragments.retain(|name, _| reached.contains(name));
}
