//! The schema as the guard needs it: which arguments and input fields there are, of which types, and which fields give lists.
//! Read from the schema's own SDL, so that it cannot differ from what is served.

use std::collections::{HashMap, HashSet};

use async_graphql::{
    Positioned,
    parser::{
        parse_schema,
        types::{
            BaseType, FieldDefinition, InputValueDefinition, OperationType, ServiceDocument, Type, TypeKind,
            TypeSystemDefinition,
        },
    },
};

/// The types of introspection, which no SDL export contains: what the specification's section 4.2 says, as far as arguments
/// and lists go.
const INTROSPECTION: &str = "
    type __Schema { description: String types: [__Type!]! queryType: __Type! mutationType: __Type subscriptionType: __Type directives: [__Directive!]! }
    type __Type {
        kind: String! name: String description: String specifiedByURL: String isOneOf: Boolean ofType: __Type
        fields(includeDeprecated: Boolean = false): [__Field!] interfaces: [__Type!] possibleTypes: [__Type!]
        enumValues(includeDeprecated: Boolean = false): [__EnumValue!] inputFields(includeDeprecated: Boolean = false): [__InputValue!]
    }
    type __Field {
        name: String! description: String args(includeDeprecated: Boolean = false): [__InputValue!]! type: __Type!
        isDeprecated: Boolean! deprecationReason: String
    }
    type __InputValue { name: String! description: String type: __Type! defaultValue: String isDeprecated: Boolean! deprecationReason: String }
    type __EnumValue { name: String! description: String isDeprecated: Boolean! deprecationReason: String }
    type __Directive {
        name: String! description: String isRepeatable: Boolean! locations: [String!]! args(includeDeprecated: Boolean = false): [__InputValue!]!
    }
";

/// The fields that every query root has beside its own.
const META_FIELDS: &str = "type Meta { __schema: __Schema! __type(name: String!): __Type __typename: String! }";

/// An argument, or a field of an input object.
#[derive(Clone, Debug)]
pub struct InputDef {
    /// Its name.
    pub name: String,
    /// Its type.
    pub ty: Type,
    /// Whether it may be left out although it cannot be null.
    pub has_default: bool,
}

impl InputDef {
    /// Whether it has to be given.
    pub const fn required(&self) -> bool {
        !self.ty.nullable && !self.has_default
    }
}

/// A field of an object.
#[derive(Clone, Debug)]
pub struct FieldDef {
    /// What it takes.
    pub arguments: Vec<InputDef>,
    /// What it gives.
    pub ty: Type,
}

impl FieldDef {
    /// The name of what it gives, lists and nullability aside.
    pub fn gives(&self) -> &str {
        base_name(&self.ty)
    }
}

/// A type that can stand in an argument.
#[derive(Clone, Debug)]
pub enum InputKind {
    /// `Int`, `Float`, `String`, `Boolean`, `ID`, or one of ours.
    Scalar,
    /// Its values.
    Enum(HashSet<String>),
    /// Its fields, in order.
    Object(Vec<InputDef>),
}

/// The name at the bottom of a type.
pub fn base_name(ty: &Type) -> &str {
    match &ty.base {
        BaseType::Named(name) => name,
        BaseType::List(inner) => base_name(inner),
    }
}

/// The whole schema.
#[derive(Debug, Default)]
pub struct Model {
    roots: [String; 3],
    fields: HashMap<String, HashMap<String, FieldDef>>,
    inputs: HashMap<String, InputKind>,
}

impl Model {
    /// Reads the SDL that the schema exports.
    ///
    /// # Panics
    /// Where that SDL does not parse, which a test shows to be impossible.
    pub fn of_sdl(sdl: &str) -> Self {
        let mut model = Self { roots: ["Query".into(), "Mutation".into(), "Subscription".into()], ..Self::default() };
        for scalar in ["Int", "Float", "String", "Boolean", "ID"] {
            model.inputs.insert(scalar.to_owned(), InputKind::Scalar);
        }
        for source in [sdl, INTROSPECTION, META_FIELDS] {
            model.add(parse_schema(source).expect("the schema's own SDL parses, as every test of this crate shows"));
        }
        let meta = model.fields.remove("Meta").expect("META_FIELDS was read a line ago");
        for object in model.fields.values_mut() {
            object.insert("__typename".to_owned(), meta["__typename"].clone());
        }
        let query = model.fields.get_mut("Query").expect("a schema has a query root, and ours is called Query");
        query.extend(meta);
        model
    }

    fn add(&mut self, document: ServiceDocument) {
        for definition in document.definitions {
            let TypeSystemDefinition::Type(definition) = definition else { continue };
            let name = definition.node.name.node.to_string();
            match definition.node.kind {
                TypeKind::Scalar => {
                    self.inputs.insert(name, InputKind::Scalar);
                }
                TypeKind::Enum(kind) => {
                    let values = kind.values.into_iter().map(|v| v.node.value.node.to_string()).collect();
                    self.inputs.insert(name, InputKind::Enum(values));
                }
                TypeKind::InputObject(kind) => {
                    let fields = kind.fields.into_iter().map(input_def).collect();
                    self.inputs.insert(name, InputKind::Object(fields));
                }
                TypeKind::Object(kind) => {
                    let fields = kind.fields.into_iter().map(field_def).collect();
                    self.fields.insert(name, fields);
                }
                TypeKind::Interface(_) | TypeKind::Union(_) => {}
            }
        }
    }

    /// The name of an operation's root type.
    pub fn root(&self, operation: OperationType) -> &str {
        &self.roots[match operation {
            OperationType::Query => 0,
            OperationType::Mutation => 1,
            OperationType::Subscription => 2,
        }]
    }

    /// A field of an object; `None` where there is none.
    pub fn field(&self, object: &str, field: &str) -> Option<&FieldDef> {
        self.fields.get(object)?.get(field)
    }

    /// A type that can stand in an argument; `None` where there is none of that name.
    pub fn input(&self, name: &str) -> Option<&InputKind> {
        self.inputs.get(name)
    }
}

fn input_def(definition: Positioned<InputValueDefinition>) -> InputDef {
    let definition = definition.node;
    InputDef {
        name: definition.name.node.to_string(),
        ty: definition.ty.node,
        has_default: definition.default_value.is_some(),
    }
}

fn field_def(definition: Positioned<FieldDefinition>) -> (String, FieldDef) {
    let definition = definition.node;
    let arguments = definition.arguments.into_iter().map(input_def).collect();
    (definition.name.node.to_string(), FieldDef { arguments, ty: definition.ty.node })
}
