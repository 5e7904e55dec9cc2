//! From a document's text to its tree, within limits, by recursive descent.
//!
//! # Why not the GraphQL library's own parser
//! It panics on strings that the grammar allows or half allows (a lone or paired surrogate escape), takes the last of two equal
//! keys without a word, and cannot say in which argument a fault stands. The tree is the library's, so everything after this
//! is too. Every recursion here passes [`Parser::nested`], which bounds the depth of the stack.

use std::collections::{HashMap, HashSet};

use async_graphql::{
    Name, Number, Pos, Positioned, Value as ConstValue,
    parser::types::{
        Directive, DocumentOperations, ExecutableDocument, Field, FragmentDefinition, FragmentSpread, InlineFragment,
        OperationDefinition, OperationType, Selection, SelectionSet, Type, TypeCondition, VariableDefinition,
    },
};
use async_graphql_value::Value;
use tickiz_contract::PathSegment;

use super::{
    fault::Fault,
    lexer::{Lexer, Token},
};
use crate::limits::{MAX_DOCUMENT_BYTES, MAX_DOCUMENT_NESTING, MAX_DOCUMENT_TOKENS};

type Parsed<T> = Result<T, Fault>;

/// Reads a document of queries, mutations, subscriptions and fragments.
///
/// # Errors
/// `LIMIT_EXCEEDED` where it is too long or too deep, else `INVALID_INPUT`, with the way to the value where the fault stands
/// in an argument.
pub fn parse(source: &str) -> Parsed<ExecutableDocument> {
    if source.len() > MAX_DOCUMENT_BYTES {
        return Err(Fault::limit(format!(
            "the document has {} bytes; at most {MAX_DOCUMENT_BYTES} are allowed",
            source.len()
        )));
    }
    let mut parser = Parser {
        lexer: Lexer::new(source),
        token: Token::End,
        pos: Pos { line: 1, column: 1 },
        tokens: 0,
        depth: 0,
        path: Vec::new(),
    };
    parser.advance()?;
    parser.document()
}

struct Parser<'a> {
    lexer: Lexer<'a>,
    /// The word that is looked at, and its place.
    token: Token<'a>,
    pos: Pos,
    tokens: usize,
    depth: usize,
    /// The way to the argument's value that is being read; empty outside of arguments.
    path: Vec<PathSegment>,
}

impl<'a> Parser<'a> {
    fn fault(&self, message: impl Into<String>) -> Fault {
        Fault::invalid(message).at(self.pos).on(&self.path)
    }

    fn unexpected<T>(&self, wanted: &str) -> Parsed<T> {
        Err(self.fault(format!("syntax: found {} where {wanted} is expected", self.token.describe())))
    }

    /// Takes the word that is looked at, and looks at the next.
    fn advance(&mut self) -> Parsed<(Token<'a>, Pos)> {
        let next = self
            .lexer
            .next()
            .map_err(|fault| Fault::invalid(format!("syntax: {}", fault.message)).at(fault.pos).on(&self.path))?;
        self.tokens += 1;
        if self.tokens > MAX_DOCUMENT_TOKENS {
            return Err(Fault::limit(format!("the document has more than {MAX_DOCUMENT_TOKENS} words")).at(self.pos));
        }
        let token = std::mem::replace(&mut self.token, next.0);
        let pos = std::mem::replace(&mut self.pos, next.1);
        Ok((token, pos))
    }

    fn looks_at(&self, punctuator: u8) -> bool {
        self.token == Token::Punctuator(punctuator)
    }

    fn skip(&mut self, punctuator: u8) -> Parsed<bool> {
        let found = self.looks_at(punctuator);
        if found {
            self.advance()?;
        }
        Ok(found)
    }

    fn expect(&mut self, punctuator: u8) -> Parsed<Pos> {
        if self.looks_at(punctuator) {
            return Ok(self.advance()?.1);
        }
        self.unexpected(&format!("\"{}\"", char::from(punctuator)))
    }

    fn name(&mut self, what: &str) -> Parsed<Positioned<Name>> {
        let Token::Name(name) = self.token else { return self.unexpected(what) };
        let (_, pos) = self.advance()?;
        Ok(Positioned::new(Name::new(name), pos))
    }

    /// Runs `read` one level deeper.
    fn nested<T>(&mut self, read: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        if self.depth == MAX_DOCUMENT_NESTING {
            let message = format!("the document is nested deeper than {MAX_DOCUMENT_NESTING} brackets");
            return Err(Fault::limit(message).at(self.pos).on(&self.path));
        }
        self.depth += 1;
        let result = read(self);
        self.depth -= 1;
        result
    }

    fn document(&mut self) -> Parsed<ExecutableDocument> {
        let mut anonymous = None;
        let mut named = HashMap::new();
        let mut fragments = HashMap::new();
        while self.token != Token::End {
            // A description may stand before a definition; it says nothing to us.
            if matches!(self.token, Token::Text(_)) {
                self.advance()?;
            }
            let start = self.pos;
            match self.token {
                Token::Name("fragment") => {
                    let (name, fragment) = self.fragment()?;
                    if fragments.insert(name.node.clone(), fragment).is_some() {
                        return Err(Fault::invalid(format!("there are two fragments {:?}", name.node)).at(name.pos));
                    }
                }
                Token::Punctuator(b'{') | Token::Name("query" | "mutation" | "subscription") => {
                    let (name, operation) = self.operation()?;
                    let operation = Positioned::new(operation, start);
                    match name {
                        Some(name) => {
                            if named.insert(name.node.clone(), operation).is_some() {
                                return Err(
                                    Fault::invalid(format!("there are two operations {:?}", name.node)).at(name.pos)
                                );
                            }
                        }
                        None if anonymous.is_none() => anonymous = Some(operation),
                        None => return Err(Fault::invalid("only one operation can be without a name").at(start)),
                    }
                }
                _ => return self.unexpected("a query, mutation, subscription or fragment"),
            }
        }
        let operations = match anonymous {
            Some(_) if !named.is_empty() => {
                return Err(Fault::invalid("an operation without a name must be the only one of its document"));
            }
            Some(operation) => DocumentOperations::Single(operation),
            None if named.is_empty() => return Err(Fault::invalid("the document has no operation")),
            None => DocumentOperations::Multiple(named),
        };
        Ok(ExecutableDocument { operations, fragments })
    }

    fn operation(&mut self) -> Parsed<(Option<Positioned<Name>>, OperationDefinition)> {
        let ty = match self.token {
            Token::Name("query") => OperationType::Query,
            Token::Name("mutation") => OperationType::Mutation,
            Token::Name("subscription") => OperationType::Subscription,
            _ => {
                let selection_set = self.selection_set()?;
                let (variable_definitions, directives) = (Vec::new(), Vec::new());
                return Ok((
                    None,
                    OperationDefinition { ty: OperationType::Query, variable_definitions, directives, selection_set },
                ));
            }
        };
        self.advance()?;
        let name = if matches!(self.token, Token::Name(_)) { Some(self.name("a name")?) } else { None };
        let variable_definitions = self.variable_definitions()?;
        let directives = self.directives()?;
        let selection_set = self.selection_set()?;
        Ok((name, OperationDefinition { ty, variable_definitions, directives, selection_set }))
    }

    fn variable_definitions(&mut self) -> Parsed<Vec<Positioned<VariableDefinition>>> {
        let mut definitions = Vec::new();
        if !self.skip(b'(')? {
            return Ok(definitions);
        }
        let mut seen = HashSet::new();
        while !self.looks_at(b')') {
            let start = self.pos;
            self.expect(b'$')?;
            let name = self.name("a variable's name")?;
            self.path.push(PathSegment::from(name.node.as_str()));
            if !seen.insert(name.node.clone()) {
                return Err(self.fault(format!("the variable ${} is declared twice", name.node)));
            }
            self.expect(b':')?;
            let (text, pos) = (self.type_text()?, self.pos);
            let Some(var_type) = Type::new(&text) else { return self.unexpected("a type") };
            let default_value = if self.skip(b'=')? {
                let (value, pos) = (self.value()?, self.pos);
                let Some(value) = value.into_const() else {
                    return Err(self.fault("a default value cannot be a variable"));
                };
                Some(Positioned::new(value, pos))
            } else {
                None
            };
            let directives = self.directives()?;
            self.path.pop();
            let var_type = Positioned::new(var_type, pos);
            definitions.push(Positioned::new(VariableDefinition { name, var_type, directives, default_value }, start));
        }
        if definitions.is_empty() {
            return self.unexpected("a variable");
        }
        self.expect(b')')?;
        Ok(definitions)
    }

    /// A type as it is written, without blanks.
    fn type_text(&mut self) -> Parsed<String> {
        let mut text = if self.skip(b'[')? {
            let inner = self.nested(Self::type_text)?;
            self.expect(b']')?;
            format!("[{inner}]")
        } else {
            self.name("a type")?.node.to_string()
        };
        if self.skip(b'!')? {
            text.push('!');
        }
        Ok(text)
    }

    fn selection_set(&mut self) -> Parsed<Positioned<SelectionSet>> {
        let pos = self.expect(b'{')?;
        let mut items = Vec::new();
        while !self.looks_at(b'}') {
            items.push(self.nested(Self::selection)?);
        }
        if items.is_empty() {
            return self.unexpected("a field");
        }
        self.expect(b'}')?;
        Ok(Positioned::new(SelectionSet { items }, pos))
    }

    fn selection(&mut self) -> Parsed<Positioned<Selection>> {
        let start = self.pos;
        let selection = if self.token == Token::Spread {
            self.advance()?;
            match self.token {
                Token::Name(name) if name != "on" => {
                    let fragment_name = self.name("a fragment's name")?;
                    let directives = self.directives()?;
                    Selection::FragmentSpread(Positioned::new(FragmentSpread { fragment_name, directives }, start))
                }
                _ => {
                    let type_condition =
                        if matches!(self.token, Token::Name(_)) { Some(self.type_condition()?) } else { None };
                    let directives = self.directives()?;
                    let selection_set = self.selection_set()?;
                    let fragment = InlineFragment { type_condition, directives, selection_set };
                    Selection::InlineFragment(Positioned::new(fragment, start))
                }
            }
        } else {
            Selection::Field(Positioned::new(self.field()?, start))
        };
        Ok(Positioned::new(selection, start))
    }

    fn field(&mut self) -> Parsed<Field> {
        let first = self.name("a field")?;
        let (alias, name) = if self.skip(b':')? { (Some(first), self.name("a field")?) } else { (None, first) };
        let arguments = self.arguments()?;
        let directives = self.directives()?;
        let selection_set = if self.looks_at(b'{') {
            self.selection_set()?
        } else {
            Positioned::new(SelectionSet::default(), self.pos)
        };
        Ok(Field { alias, name, arguments, directives, selection_set })
    }

    fn arguments(&mut self) -> Parsed<Vec<(Positioned<Name>, Positioned<Value>)>> {
        let mut arguments: Vec<(Positioned<Name>, Positioned<Value>)> = Vec::new();
        if !self.skip(b'(')? {
            return Ok(arguments);
        }
        let mut seen = HashSet::new();
        while !self.looks_at(b')') {
            let name = self.name("an argument")?;
            self.path.push(PathSegment::from(name.node.as_str()));
            if !seen.insert(name.node.clone()) {
                return Err(self.fault(format!("the argument {:?} is given twice", name.node)));
            }
            self.expect(b':')?;
            let (pos, value) = (self.pos, self.value()?);
            self.path.pop();
            arguments.push((name, Positioned::new(value, pos)));
        }
        if arguments.is_empty() {
            return self.unexpected("an argument");
        }
        self.expect(b')')?;
        Ok(arguments)
    }

    fn directives(&mut self) -> Parsed<Vec<Positioned<Directive>>> {
        let mut directives = Vec::new();
        while self.looks_at(b'@') {
            let (_, pos) = self.advance()?;
            let name = self.name("a directive's name")?;
            let arguments = self.arguments()?;
            directives.push(Positioned::new(Directive { name, arguments }, pos));
        }
        Ok(directives)
    }

    fn fragment(&mut self) -> Parsed<(Positioned<Name>, Positioned<FragmentDefinition>)> {
        let (_, start) = self.advance()?;
        if self.token == Token::Name("on") {
            return self.unexpected("a fragment's name");
        }
        let name = self.name("a fragment's name")?;
        let type_condition = self.type_condition()?;
        let directives = self.directives()?;
        let selection_set = self.selection_set()?;
        Ok((name, Positioned::new(FragmentDefinition { type_condition, directives, selection_set }, start)))
    }

    fn type_condition(&mut self) -> Parsed<Positioned<TypeCondition>> {
        if self.token != Token::Name("on") {
            return self.unexpected("\"on\"");
        }
        let (_, pos) = self.advance()?;
        let on = self.name("a type")?;
        Ok(Positioned::new(TypeCondition { on }, pos))
    }

    fn value(&mut self) -> Parsed<Value> {
        match self.token {
            Token::Punctuator(b'$') => {
                self.advance()?;
                return Ok(Value::Variable(self.name("a variable's name")?.node));
            }
            Token::Punctuator(b'[') => return self.nested(Self::list),
            Token::Punctuator(b'{') => return self.nested(Self::object),
            _ => {}
        }
        let value = match &self.token {
            Token::Int(text) | Token::Float(text) => match serde_json::from_str::<Number>(text) {
                Ok(number) => ConstValue::Number(number),
                Err(_) => return Err(self.fault("the number is out of range")),
            },
            Token::Text(text) => ConstValue::String(text.clone().into_owned()),
            Token::Name("true") => ConstValue::Boolean(true),
            Token::Name("false") => ConstValue::Boolean(false),
            Token::Name("null") => ConstValue::Null,
            Token::Name(name) => ConstValue::Enum(Name::new(name)),
            _ => return self.unexpected("a value"),
        };
        self.advance()?;
        Ok(value.into_value())
    }

    fn list(&mut self) -> Parsed<Value> {
        self.expect(b'[')?;
        let mut items = Vec::new();
        while !self.looks_at(b']') {
            self.path.push(PathSegment::Index(items.len()));
            items.push(self.value()?);
            self.path.pop();
        }
        self.expect(b']')?;
        Ok(Value::List(items))
    }

    fn object(&mut self) -> Parsed<Value> {
        self.expect(b'{')?;
        let mut fields = async_graphql::indexmap::IndexMap::new();
        while !self.looks_at(b'}') {
            let name = self.name("a field of an input object")?;
            self.path.push(PathSegment::from(name.node.as_str()));
            self.expect(b':')?;
            let value = self.value()?;
            if fields.insert(name.node.clone(), value).is_some() {
                return Err(self.fault(format!("the field {:?} is given twice", name.node)));
            }
            self.path.pop();
        }
        self.expect(b'}')?;
        Ok(Value::Object(fields))
    }
}
