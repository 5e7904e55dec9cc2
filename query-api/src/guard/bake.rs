//! Makes of an operation with variables one without: every argument's value is checked, coerced and put in its place, and the
//! rules of the GraphQL specification's section 5 that concern arguments, fields, fragments and directives are applied on the
//! way.
//!
//! # Why before the library's own validation
//! That one reports a wrong value as a sentence with a dotted path, takes a variable that was not given for null, where the
//! argument's default should stand, and forgets the defaults of variables in `@include`. What it executes after this has no
//! variables left, so none of it can matter; its validation stays switched on as a second net.

use std::collections::{HashMap, HashSet};

use async_graphql::{
    Name, Pos, Positioned,
    parser::types::{
        BaseType, Directive, DocumentOperations, ExecutableDocument, Field, FragmentDefinition, OperationDefinition,
        OperationType, Selection, SelectionSet, Type,
    },
};
use async_graphql_value::Value;
use serde_json::{Map, Value as Json};
use tickiz_contract::PathSegment;

use super::{
    coerce::{Coercion, JsonStore, Variable},
    fault::Fault,
    lexer::excerpt,
    model::{InputDef, Model, base_name},
};

/// An operation that has everything it needs in itself.
#[derive(Debug)]
pub struct Baked {
    /// One operation, without variables, and the fragments that it uses.
    pub document: ExecutableDocument,
    /// The JSON values of its arguments.
    pub json: JsonStore,
    /// What kind of operation it is.
    pub operation: OperationType,
    /// The fields at its root, in order.
    pub roots: Vec<String>,
}

impl Baked {
    /// The text of an argument of the first field at the root.
    pub fn root_argument(&self, name: &str) -> Option<&str> {
        let DocumentOperations::Single(operation) = &self.document.operations else { return None };
        let first = operation.node.selection_set.node.items.first()?;
        let Selection::Field(field) = &first.node else { return None };
        match &field.node.get_argument(name)?.node {
            Value::String(text) => Some(text),
            _ => None,
        }
    }
}

/// Bakes one operation of a document whose shape was checked.
///
/// # Errors
/// Every fault that was found, at most a limited number.
pub fn bake(
    model: &Model,
    operation: Positioned<OperationDefinition>,
    fragments: HashMap<Name, Positioned<FragmentDefinition>>,
    variables: Map<String, Json>,
    introspection: bool,
) -> Result<Baked, Vec<Fault>> {
    let pos = operation.pos;
    let mut operation = operation.node;
    let mut baker = Baker { walk: Coercion::new(model), introspection, spread: Vec::new() };
    baker.declare(std::mem::take(&mut operation.variable_definitions), variables);
    for directive in &operation.directives {
        baker
            .walk
            .fault(directive.pos, format!("the directive @{} cannot stand on an operation", directive.node.name.node));
    }
    let root = model.root(operation.ty);
    baker.selection(root, &mut operation.selection_set.node);

    let (mut baked, mut fragments) = (HashMap::new(), fragments);
    while let Some((name, parent, pos)) = baker.spread.pop() {
        baker.fragment(&name, &parent, pos, &mut fragments, &mut baked);
    }
    for (name, fragment) in &fragments {
        baker.walk.fault(fragment.pos, format!("the fragment {name:?} is not used"));
    }
    baker.leftover_variables();
    let mut faults = std::mem::take(&mut baker.walk.faults);
    if operation.ty == OperationType::Subscription {
        inline_roots(&mut operation.selection_set.node, &baked);
    }
    let roots = root_names(&operation.selection_set.node, &baked);
    if operation.ty == OperationType::Subscription && roots.len() != 1 && faults.is_empty() {
        faults.push(Fault::invalid("a subscription has exactly one field at its root").at(pos));
    }
    if !faults.is_empty() {
        return Err(faults);
    }
    let kind = operation.ty;
    let document = ExecutableDocument {
        operations: DocumentOperations::Single(Positioned::new(operation, pos)),
        fragments: baked,
    };
    Ok(Baked { document, json: std::mem::take(&mut baker.walk.json), operation: kind, roots })
}

struct Baker<'m> {
    walk: Coercion<'m>,
    introspection: bool,
    /// Fragments that are spread, with the type that they are spread in, not yet looked at.
    spread: Vec<(Name, String, Pos)>,
}

impl Baker<'_> {
    fn declare(
        &mut self,
        definitions: Vec<Positioned<async_graphql::parser::types::VariableDefinition>>,
        mut given: Map<String, Json>,
    ) {
        for definition in definitions {
            let (pos, definition) = (definition.pos, definition.node);
            let name = definition.name.node;
            let ty = definition.var_type.node;
            self.walk.path = vec![PathSegment::from(name.as_str())];
            if self.walk.model.input(base_name(&ty)).is_none() {
                self.walk.fault(pos, format!("there is no input type {:?}", excerpt(base_name(&ty))));
            }
            for directive in &definition.directives {
                let message = format!("the directive @{} cannot stand on a variable", directive.node.name.node);
                self.walk.fault(directive.pos, message);
            }
            self.walk.path.clear();
            let given = given.remove(name.as_str());
            let default = definition.default_value.map(|value| value.node);
            self.walk.variables.insert(name, Variable { ty, default, given, pos, used: false, coerced: None });
        }
    }

    fn leftover_variables(&mut self) {
        let mut unused: Vec<(Name, Pos)> =
            self.walk.variables.iter().filter(|(_, v)| !v.used).map(|(name, v)| (name.clone(), v.pos)).collect();
        unused.sort_by(|a, b| a.0.as_str().cmp(b.0.as_str()));
        for (name, pos) in unused {
            self.walk.path = vec![PathSegment::from(name.as_str())];
            self.walk.fault(pos, format!("the variable ${name} is declared and not used"));
            self.walk.path.clear();
        }
    }

    fn selection(&mut self, object: &str, selection: &mut SelectionSet) {
        for item in &mut selection.items {
            let pos = item.pos;
            match &mut item.node {
                Selection::Field(field) => {
                    self.directives(&mut field.node.directives);
                    self.field(object, &mut field.node, pos);
                }
                Selection::FragmentSpread(spread) => {
                    self.directives(&mut spread.node.directives);
                    self.spread.push((spread.node.fragment_name.node.clone(), object.to_owned(), pos));
                }
                Selection::InlineFragment(fragment) => {
                    self.directives(&mut fragment.node.directives);
                    if let Some(condition) = &fragment.node.type_condition {
                        self.same_type(condition.node.on.node.as_str(), object, pos);
                    }
                    self.selection(object, &mut fragment.node.selection_set.node);
                }
            }
        }
    }

    /// All composite types of this schema are objects, so a fragment fits where it is on the very same type.
    fn same_type(&mut self, on: &str, object: &str, pos: Pos) -> bool {
        if on != object {
            self.walk.fault(pos, format!("a fragment on {:?} cannot stand in {object}", excerpt(on)));
        }
        on == object
    }

    fn fragment(
        &mut self,
        name: &Name,
        parent: &str,
        pos: Pos,
        fragments: &mut HashMap<Name, Positioned<FragmentDefinition>>,
        baked: &mut HashMap<Name, Positioned<FragmentDefinition>>,
    ) {
        if let Some(done) = baked.get(name) {
            let on = done.node.type_condition.node.on.node.clone();
            self.same_type(&on, parent, pos);
            return;
        }
        let Some(mut fragment) = fragments.remove(name) else { return };
        for directive in std::mem::take(&mut fragment.node.directives) {
            let message = format!("the directive @{} cannot stand on a fragment", directive.node.name.node);
            self.walk.fault(directive.pos, message);
        }
        let on = fragment.node.type_condition.node.on.node.clone();
        if self.same_type(&on, parent, pos) {
            self.selection(&on, &mut fragment.node.selection_set.node);
        }
        baked.insert(name.clone(), fragment);
    }

    fn field(&mut self, object: &str, field: &mut Field, pos: Pos) {
        let name = field.name.node.to_string();
        let model = self.walk.model;
        let Some(def) = model.field(object, &name) else {
            self.walk.fault(pos, format!("{object} has no field {:?}", excerpt(&name)));
            return;
        };
        if !self.introspection && (name == "__schema" || name == "__type") {
            self.walk.fault(pos, "introspection is switched off here; the schema is in the documentation");
            return;
        }
        field.arguments = self.arguments(&name, &def.arguments, std::mem::take(&mut field.arguments), pos);
        let inner = &mut field.selection_set.node;
        let composite = model.input(def.gives()).is_none();
        match (composite, inner.items.is_empty()) {
            (true, true) => {
                self.walk.fault(pos, format!("{name:?} gives {}: say which of its fields", def.gives()));
            }
            (false, false) => {
                self.walk.fault(pos, format!("{name:?} gives {}, which has no fields", def.gives()));
            }
            _ => self.selection(def.gives(), inner),
        }
    }

    fn arguments(
        &mut self,
        of: &str,
        defs: &[InputDef],
        given: Vec<(Positioned<Name>, Positioned<Value>)>,
        pos: Pos,
    ) -> Vec<(Positioned<Name>, Positioned<Value>)> {
        let mut baked = Vec::with_capacity(given.len());
        let mut left: HashMap<Name, (Pos, Positioned<Value>)> =
            given.into_iter().map(|(name, value)| (name.node, (name.pos, value))).collect();
        for def in defs {
            let (name_pos, pos, value) = match left.remove(def.name.as_str()) {
                Some((name_pos, value)) => (name_pos, value.pos, Some(value.node)),
                None => (pos, pos, None),
            };
            if let Some(value) = self.walk.input(def, value, pos) {
                baked.push((Positioned::new(Name::new(&def.name), name_pos), Positioned::new(value, pos)));
            }
        }
        for (name, (pos, _)) in left {
            self.walk.path = vec![PathSegment::Key(excerpt(&name))];
            self.walk.fault(pos, format!("{of:?} has no argument {:?}", excerpt(&name)));
            self.walk.path.clear();
        }
        baked
    }

    /// `@include` and `@skip` are all that can stand in a selection; each once, each with its condition.
    fn directives(&mut self, directives: &mut Vec<Positioned<Directive>>) {
        let condition = InputDef {
            name: "if".to_owned(),
            ty: Type { base: BaseType::Named(Name::new("Boolean")), nullable: false },
            has_default: false,
        };
        let mut seen = HashSet::new();
        for directive in directives {
            let (pos, name) = (directive.pos, directive.node.name.node.to_string());
            if name != "include" && name != "skip" {
                self.walk
                    .fault(pos, format!("there is no directive @{} here; only @include and @skip", excerpt(&name)));
            } else if !seen.insert(name.clone()) {
                self.walk.fault(pos, format!("the directive @{name} stands twice"));
            } else {
                let given = std::mem::take(&mut directive.node.arguments);
                directive.node.arguments =
                    self.arguments(&format!("@{name}"), std::slice::from_ref(&condition), given, pos);
            }
        }
    }
}

/// Puts what fragments select at a subscription's root there itself: the executor looks for fields only.
fn inline_roots(selection: &mut SelectionSet, fragments: &HashMap<Name, Positioned<FragmentDefinition>>) {
    let mut fields = Vec::new();
    for item in std::mem::take(&mut selection.items) {
        let inner = match &item.node {
            Selection::Field(_) => {
                fields.push(item);
                continue;
            }
            Selection::InlineFragment(fragment) => Some(&fragment.node.selection_set.node),
            Selection::FragmentSpread(spread) => {
                fragments.get(&spread.node.fragment_name.node).map(|fragment| &fragment.node.selection_set.node)
            }
        };
        let mut inner = inner.cloned().unwrap_or_default();
        inline_roots(&mut inner, fragments);
        fields.append(&mut inner.items);
    }
    selection.items = fields;
}

fn root_names(selection: &SelectionSet, fragments: &HashMap<Name, Positioned<FragmentDefinition>>) -> Vec<String> {
    let mut names = Vec::new();
    for item in &selection.items {
        match &item.node {
            Selection::Field(field) => names.push(field.node.name.node.to_string()),
            Selection::InlineFragment(fragment) => {
                names.append(&mut root_names(&fragment.node.selection_set.node, fragments));
            }
            Selection::FragmentSpread(spread) => {
                if let Some(fragment) = fragments.get(&spread.node.fragment_name.node) {
                    names.append(&mut root_names(&fragment.node.selection_set.node, fragments));
                }
            }
        }
    }
    names
}
