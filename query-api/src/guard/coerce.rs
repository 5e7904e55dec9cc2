//! Values of arguments: what the schema wants at a place, and what came, as a literal or in a variable.
//!
//! The rules are those of the GraphQL specification (section 6.4.1 and "Input Coercion" of each type). Each fault is found here,
//! with its way from the argument's name on, and the walk goes on behind it, so that a person sees all of them at once.
//!
//! JSON values do not go into the tree: a seating plan of 20 MB would be copied several times on its way to the resolver.
//! They are put aside ([`JsonStore`]), and the tree has their number.

use std::collections::HashMap;

use async_graphql::{
    Name, Number, Pos, Value as ConstValue,
    indexmap::IndexMap,
    parser::types::{BaseType, Type},
};
use async_graphql_value::Value;
use serde_json::Value as Json;
use tickiz_contract::PathSegment;

use super::{
    fault::Fault,
    lexer::excerpt,
    model::{InputDef, InputKind, Model, base_name},
};
use crate::limits::MAX_FAULTS;

/// The JSON values of one request, by number, each with how often the tree has it.
#[derive(Debug, Default)]
pub struct JsonStore(Vec<(Json, usize)>);

impl JsonStore {
    fn put(&mut self, json: Json) -> Value {
        self.0.push((json, 1));
        ConstValue::Number(Number::from(self.0.len() - 1)).into_value()
    }

    /// The value of that number; moved out where it is the last use.
    pub fn take(&mut self, number: usize) -> Option<Json> {
        let (json, uses) = self.0.get_mut(number)?;
        *uses = uses.checked_sub(1)?;
        Some(if *uses == 0 { std::mem::take(json) } else { json.clone() })
    }
}

/// A variable of the operation.
pub struct Variable {
    /// Its declared type.
    pub ty: Type,
    /// What it stands for where nothing was given.
    pub default: Option<ConstValue>,
    /// What was given.
    pub given: Option<Json>,
    /// Where it is declared.
    pub pos: Pos,
    /// Whether anything uses it.
    pub used: bool,
    /// What its first use made of it, and which JSON values that put aside.
    pub coerced: Option<(Came, std::ops::Range<usize>)>,
}

/// What came at a place.
#[derive(Clone, Debug, PartialEq)]
pub enum Came {
    /// A value of the type that is wanted.
    Value(Value),
    /// Nothing: a variable that was not given.
    Nothing,
    /// Something wrong; the fault is noted.
    Fault,
}

/// Walks the values of one operation.
pub struct Coercion<'m> {
    /// The schema.
    pub model: &'m Model,
    /// The operation's variables.
    pub variables: HashMap<Name, Variable>,
    /// What was put aside.
    pub json: JsonStore,
    /// What was found wrong.
    pub faults: Vec<Fault>,
    /// The way to the value that is looked at.
    pub path: Vec<PathSegment>,
}

impl<'m> Coercion<'m> {
    /// Nothing walked yet.
    pub fn new(model: &'m Model) -> Self {
        Self { model, variables: HashMap::new(), json: JsonStore::default(), faults: Vec::new(), path: Vec::new() }
    }

    /// Notes a fault at this place.
    pub fn fault(&mut self, pos: Pos, message: impl Into<String>) -> Came {
        if self.faults.len() < MAX_FAULTS {
            self.faults.push(Fault::invalid(message).at(pos).on(&self.path));
        }
        Came::Fault
    }

    /// One argument or field of an input object. `given` is `None` where the name does not stand there at all.
    pub fn input(&mut self, def: &InputDef, given: Option<Value>, pos: Pos) -> Option<Value> {
        self.path.push(PathSegment::from(def.name.as_str()));
        let came = match given {
            Some(value) => self.literal(&def.ty, value, def.has_default, pos),
            None => Came::Nothing,
        };
        let value = self.settle(def, came, pos);
        self.path.pop();
        value
    }

    /// What an argument gets: nothing where nothing came and it may be left out.
    fn settle(&mut self, def: &InputDef, came: Came, pos: Pos) -> Option<Value> {
        match came {
            // To leave it out and to say null are the same where there is a default.
            Came::Value(Value::Null) if def.has_default => None,
            Came::Value(value) => Some(value),
            Came::Nothing if def.required() => {
                self.fault(pos, format!("{:?} is required: {}", def.name, wanted(&def.ty)));
                None
            }
            Came::Nothing | Came::Fault => None,
        }
    }

    /// A value as it stands in the document.
    fn literal(&mut self, ty: &Type, value: Value, has_default: bool, pos: Pos) -> Came {
        match (value, &ty.base) {
            (Value::Variable(name), _) => self.variable(&name, ty, has_default, pos),
            (Value::Null, _) => self.null(ty, pos),
            (Value::List(items), BaseType::List(inner)) => {
                self.list(items, inner, pos, |this, item| this.literal(inner, item, false, pos))
            }
            (value, BaseType::List(inner)) => match self.literal(inner, value, false, pos) {
                Came::Value(value) => Came::Value(Value::List(vec![value])),
                other => other,
            },
            (value, BaseType::Named(name)) => self.named_literal(name, value, pos),
        }
    }

    fn null(&mut self, ty: &Type, pos: Pos) -> Came {
        if ty.nullable {
            Came::Value(Value::Null)
        } else {
            self.fault(pos, format!("null cannot stand here: {}", wanted(ty)))
        }
    }

    fn list<T>(&mut self, items: Vec<T>, inner: &Type, pos: Pos, mut each: impl FnMut(&mut Self, T) -> Came) -> Came {
        let (mut values, mut whole) = (Vec::new(), true);
        for (index, item) in items.into_iter().enumerate() {
            self.path.push(PathSegment::Index(index));
            match each(self, item) {
                Came::Value(value) => values.push(value),
                Came::Nothing if inner.nullable => values.push(Value::Null),
                Came::Nothing => {
                    self.fault(pos, format!("a value is required: {}", wanted(inner)));
                    whole = false;
                }
                Came::Fault => whole = false,
            }
            self.path.pop();
        }
        if whole { Came::Value(Value::List(values)) } else { Came::Fault }
    }

    fn named_literal(&mut self, name: &str, value: Value, pos: Pos) -> Came {
        match self.model.input(name) {
            None => self.fault(pos, format!("there is no input type {name}")),
            Some(InputKind::Object(fields)) => match value {
                Value::Object(object) => self.object(name, fields, object, pos, |this, def, value| match value {
                    Some(value) => this.literal(&def.ty, value, def.has_default, pos),
                    None => Came::Nothing,
                }),
                other => self.fault(pos, format!("an object {name} is wanted, not {}", kind_of(&other))),
            },
            Some(InputKind::Enum(values)) => match value {
                Value::Enum(value) if values.contains(value.as_str()) => Came::Value(Value::Enum(value)),
                Value::Enum(value) => {
                    let message = not_in_enum(name, values, &value);
                    self.fault(pos, message)
                }
                Value::String(text) => {
                    let message =
                        format!("{name} is written without quotation marks in a document; {text:?} is a string");
                    self.fault(pos, excerpt_message(&message))
                }
                other => self.fault(pos, format!("a value of {name} is wanted, not {}", kind_of(&other))),
            },
            Some(InputKind::Scalar) if name == "JSON" => match self.plain(value, pos) {
                Some(json) => Came::Value(self.json.put(json)),
                None => Came::Fault,
            },
            Some(InputKind::Scalar) => match value {
                Value::Number(number) => self.number(name, number, false, pos),
                Value::String(text) => self.text(name, text, pos),
                Value::Boolean(flag) if name == "Boolean" => Came::Value(Value::Boolean(flag)),
                other => self.fault(pos, format!("{}, not {}", scalar_wanted(name), kind_of(&other))),
            },
        }
    }

    /// A value given as JSON.
    fn json(&mut self, ty: &Type, value: Json, pos: Pos) -> Came {
        match (value, &ty.base) {
            (Json::Null, _) => self.null(ty, pos),
            (Json::Array(items), BaseType::List(inner)) => {
                self.list(items, inner, pos, |this, item| this.json(inner, item, pos))
            }
            (value, BaseType::List(inner)) => match self.json(inner, value, pos) {
                Came::Value(value) => Came::Value(Value::List(vec![value])),
                other => other,
            },
            (value, BaseType::Named(name)) => self.named_json(name, value, pos),
        }
    }

    fn named_json(&mut self, name: &str, value: Json, pos: Pos) -> Came {
        match self.model.input(name) {
            None => self.fault(pos, format!("there is no input type {name}")),
            Some(InputKind::Object(fields)) => match value {
                Json::Object(object) => self.object(name, fields, object, pos, |this, def, value| match value {
                    Some(value) => this.json(&def.ty, value, pos),
                    None => Came::Nothing,
                }),
                other => self.fault(pos, format!("an object {name} is wanted, not {}", json_kind_of(&other))),
            },
            Some(InputKind::Enum(values)) => match value {
                Json::String(text) if values.contains(&text) => Came::Value(Value::Enum(Name::new(text))),
                Json::String(text) => {
                    let message = not_in_enum(name, values, &text);
                    self.fault(pos, message)
                }
                other => self.fault(pos, format!("a value of {name} is wanted, not {}", json_kind_of(&other))),
            },
            Some(InputKind::Scalar) if name == "JSON" => Came::Value(self.json.put(value)),
            Some(InputKind::Scalar) => match value {
                Json::Number(number) => self.number(name, number, true, pos),
                Json::String(text) => self.text(name, text, pos),
                Json::Bool(flag) if name == "Boolean" => Came::Value(Value::Boolean(flag)),
                other => self.fault(pos, format!("{}, not {}", scalar_wanted(name), json_kind_of(&other))),
            },
        }
    }

    /// The fields of an input object, of either kind.
    fn object<T, M: FieldsGiven<T>>(
        &mut self,
        name: &str,
        fields: &[InputDef],
        mut given: M,
        pos: Pos,
        mut each: impl FnMut(&mut Self, &InputDef, Option<T>) -> Came,
    ) -> Came {
        let before = self.faults.len();
        let mut values = IndexMap::new();
        for def in fields {
            let value = given.take(&def.name);
            self.path.push(PathSegment::from(def.name.as_str()));
            let came = each(self, def, value);
            let value = self.settle(def, came, pos);
            self.path.pop();
            if let Some(value) = value {
                values.insert(Name::new(&def.name), value);
            }
        }
        for unknown in given.names() {
            self.path.push(PathSegment::Key(excerpt(&unknown)));
            self.fault(pos, format!("{name} has no field {:?}", excerpt(&unknown)));
            self.path.pop();
        }
        if self.faults.len() == before { Came::Value(Value::Object(values)) } else { Came::Fault }
    }

    fn number(&mut self, scalar: &str, number: Number, from_json: bool, pos: Pos) -> Came {
        let whole = number.as_i64().or_else(|| {
            // JSON has one kind of number: 3.0 is 3 there, and not in a document.
            let float = number.as_f64().filter(|float| from_json && float.fract() == 0.0)?;
            let fits = (f64::from(i32::MIN)..=f64::from(i32::MAX)).contains(&float);
            #[expect(clippy::cast_possible_truncation, reason = "whole and within 32 bits, a line above")]
            fits.then_some(float as i64)
        });
        match scalar {
            "Int" => match whole.map(i32::try_from) {
                Some(Ok(value)) => Came::Value(ConstValue::from(value).into_value()),
                Some(Err(_)) => self.fault(pos, "a whole number of 32 bits is wanted: -2147483648 to 2147483647"),
                None => self.fault(pos, "a whole number is wanted: -2147483648 to 2147483647, without a fraction"),
            },
            "Float" => Came::Value(Value::Number(number)),
            "ID" if number.is_i64() || number.is_u64() => Came::Value(Value::String(number.to_string())),
            _ => self.fault(pos, format!("{}, not a number", scalar_wanted(scalar))),
        }
    }

    fn text(&mut self, scalar: &str, text: String, pos: Pos) -> Came {
        match scalar {
            "Int" | "Float" | "Boolean" => self.fault(pos, format!("{}, not a string", scalar_wanted(scalar))),
            _ => Came::Value(Value::String(text)),
        }
    }

    /// A literal inside a JSON value: of any kind, with variables as they were given.
    fn plain(&mut self, value: Value, pos: Pos) -> Option<Json> {
        Some(match value {
            Value::Null => Json::Null,
            Value::Number(number) => Json::Number(number),
            Value::String(text) => Json::String(text),
            Value::Boolean(flag) => Json::Bool(flag),
            Value::Enum(name) => Json::String(name.to_string()),
            Value::List(items) => {
                Json::Array(items.into_iter().map(|item| self.plain(item, pos)).collect::<Option<_>>()?)
            }
            Value::Object(fields) => {
                let fields = fields.into_iter().map(|(key, value)| Some((key.to_string(), self.plain(value, pos)?)));
                Json::Object(fields.collect::<Option<_>>()?)
            }
            Value::Variable(name) => {
                let Some(variable) = self.variables.get_mut(&name) else {
                    self.fault(pos, format!("the variable ${name} is not declared"));
                    return None;
                };
                variable.used = true;
                if variable.coerced.is_some() && variable.given.is_none() {
                    self.fault(pos, format!("the variable ${name} cannot stand both inside of JSON and elsewhere"));
                    return None;
                }
                let default = || variable.default.clone().and_then(|value| value.into_json().ok());
                variable.given.clone().or_else(default).unwrap_or(Json::Null)
            }
            Value::Binary(_) => return None,
        })
    }

    fn variable(&mut self, name: &Name, ty: &Type, has_default: bool, pos: Pos) -> Came {
        let Some(variable) = self.variables.get_mut(name) else {
            return self.fault(pos, format!("the variable ${name} is not declared"));
        };
        variable.used = true;
        let declared = variable.ty.clone();
        let default_given = variable.default.as_ref().is_some_and(|value| *value != ConstValue::Null);
        if !fits(&declared, default_given, ty, has_default) {
            return self.fault(pos, format!("the variable ${name} is declared as {declared}, where {ty} is wanted"));
        }
        let came = match variable.coerced.clone() {
            Some((came, put_aside)) => {
                for (_, uses) in &mut self.json.0[put_aside] {
                    *uses += 1;
                }
                came
            }
            None => {
                let (given, default) = (variable.given.take(), variable.default.clone());
                let before = self.json.0.len();
                let came = match (given, default) {
                    (Some(json), _) => self.json(&declared, json, pos),
                    (None, Some(default)) => self.literal(&declared, default.into_value(), false, pos),
                    (None, None) if declared.nullable => Came::Nothing,
                    (None, None) => self.fault(pos, format!("the variable ${name} is required: {}", wanted(&declared))),
                };
                let put_aside = before..self.json.0.len();
                if let Some(variable) = self.variables.get_mut(name) {
                    variable.coerced = Some((came.clone(), put_aside));
                }
                came
            }
        };
        match came {
            Came::Value(Value::Null) => self.null(ty, pos),
            other => other,
        }
    }
}

/// What is given for the fields of an input object.
trait FieldsGiven<T> {
    fn take(&mut self, name: &str) -> Option<T>;
    /// What was not taken.
    fn names(self) -> Vec<String>;
}

impl FieldsGiven<Value> for IndexMap<Name, Value> {
    fn take(&mut self, name: &str) -> Option<Value> {
        self.swap_remove(name)
    }
    fn names(self) -> Vec<String> {
        self.into_keys().map(|name| name.to_string()).collect()
    }
}

impl FieldsGiven<Json> for serde_json::Map<String, Json> {
    fn take(&mut self, name: &str) -> Option<Json> {
        self.remove(name)
    }
    fn names(self) -> Vec<String> {
        self.into_iter().map(|(name, _)| name).collect()
    }
}

/// Whether a variable may stand at a place ("All Variable Usages Are Allowed", section 5.8.5).
fn fits(declared: &Type, default_given: bool, wanted: &Type, has_default: bool) -> bool {
    fn compatible(declared: &Type, wanted: &Type) -> bool {
        (wanted.nullable || !declared.nullable)
            && match (&declared.base, &wanted.base) {
                (BaseType::Named(a), BaseType::Named(b)) => a == b,
                (BaseType::List(a), BaseType::List(b)) => compatible(a, b),
                _ => false,
            }
    }
    if !wanted.nullable && declared.nullable {
        let relaxed = Type { nullable: true, base: wanted.base.clone() };
        return (default_given || has_default) && compatible(declared, &relaxed);
    }
    compatible(declared, wanted)
}

fn wanted(ty: &Type) -> String {
    match &ty.base {
        BaseType::List(_) => format!("a list of {} is wanted", base_name(ty)),
        BaseType::Named(name) => scalar_wanted(name),
    }
}

fn scalar_wanted(name: &str) -> String {
    match name {
        "Int" => "a whole number is wanted".to_owned(),
        "Float" => "a number is wanted".to_owned(),
        "Boolean" => "true or false is wanted".to_owned(),
        "String" => "a string is wanted".to_owned(),
        "ID" => "an id, as a string, is wanted".to_owned(),
        "Decimal" => {
            "a decimal number as a string is wanted, such as \"450000\" for VND or \"50.00\" for USD".to_owned()
        }
        "DateTime" => "an RFC 3339 instant as a string is wanted, such as \"2027-05-01T12:30:00Z\"".to_owned(),
        "LocalDateTime" => "a local date and time as a string is wanted, such as \"2027-05-01T19:30:00\"".to_owned(),
        "Position" => "a position as a string is wanted, as an answer gave it".to_owned(),
        other => format!("a value of {other} is wanted"),
    }
}

fn not_in_enum(name: &str, values: &std::collections::HashSet<String>, found: &str) -> String {
    let mut allowed: Vec<&str> = values.iter().map(String::as_str).collect();
    allowed.sort_unstable();
    format!("{:?} is not one of {name}: {}", excerpt(found), allowed.join(", "))
}

fn excerpt_message(message: &str) -> String {
    message.chars().take(200).collect()
}

const fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Boolean(_) => "a boolean",
        Value::Enum(_) => "a name without quotation marks",
        Value::List(_) => "a list",
        Value::Object(_) => "an object",
        Value::Variable(_) | Value::Binary(_) => "that",
    }
}

const fn json_kind_of(value: &Json) -> &'static str {
    match value {
        Json::Null => "null",
        Json::Number(_) => "a number",
        Json::String(_) => "a string",
        Json::Bool(_) => "a boolean",
        Json::Array(_) => "a list",
        Json::Object(_) => "an object",
    }
}
