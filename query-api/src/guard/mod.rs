//! What stands between the outside and the resolvers: a request is read, measured, checked and coerced here, and what is wrong
//! with it is told with a documented code and the way to the wrong value, before anything is executed.
//!
//! In order: [`json`] reads the body, [`parser`] (with [`lexer`]) the document, [`shape`] measures it, [`bake`] (with
//! [`coerce`]) checks it against the schema ([`model`]) and puts every value in its place, [`cost`] adds up what it asks for.
//! Nothing here allocates more than a small multiple of what came in, and no recursion is deeper than a named limit.

mod bake;
mod coerce;
mod cost;
pub mod fault;
pub mod json;
mod lexer;
mod model;
mod parser;
mod shape;
#[cfg(test)]
mod tests;

use async_graphql::Positioned;
use async_graphql::parser::types::{DocumentOperations, ExecutableDocument, OperationDefinition};

pub use bake::Baked;
pub use coerce::JsonStore;
pub use fault::Fault;
pub use json::RawRequest;
use model::Model;

/// Admits requests to one schema.
#[derive(Debug)]
pub struct Guard {
    model: Model,
    introspection: bool,
}

impl Guard {
    /// The guard of the schema with that SDL.
    #[must_use]
    pub fn new(sdl: &str, introspection: bool) -> Self {
        Self { model: Model::of_sdl(sdl), introspection }
    }

    /// Whether the schema may be asked for.
    pub const fn introspection(&self) -> bool {
        self.introspection
    }

    /// The operation that a request asks for, complete and checked.
    ///
    /// # Errors
    /// Every fault that was found.
    pub fn admit(&self, request: RawRequest) -> Result<Baked, Vec<Fault>> {
        let one = |fault| vec![fault];
        let document = parser::parse(&request.query).map_err(one)?;
        shape::check_document(&document).map_err(one)?;
        let (operation, document) = select(document, request.operation_name.as_deref()).map_err(one)?;
        shape::check_operation(&operation.node, &document.fragments).map_err(one)?;
        let baked = bake::bake(&self.model, operation, document.fragments, request.variables, self.introspection)?;
        if let DocumentOperations::Single(operation) = &baked.document.operations {
            cost::check(&self.model, &operation.node, &baked.document.fragments).map_err(one)?;
        }
        Ok(baked)
    }
}

/// `GetOperation` of the specification. Where a document has several operations, its fragments may belong to the others.
fn select(
    mut document: ExecutableDocument,
    name: Option<&str>,
) -> Result<(Positioned<OperationDefinition>, ExecutableDocument), Fault> {
    let empty = DocumentOperations::Multiple(std::collections::HashMap::new());
    let operations = std::mem::replace(&mut document.operations, empty);
    let operation = match (operations, name) {
        (DocumentOperations::Single(operation), None) => Some(operation),
        (DocumentOperations::Single(_), Some(_)) => None,
        (DocumentOperations::Multiple(mut operations), Some(name)) => {
            let operation = operations.remove(name);
            if !operations.is_empty() {
                shape::keep_reachable(&mut document.fragments, operation.as_ref().map(|o| &o.node));
            }
            operation
        }
        (DocumentOperations::Multiple(operations), None) if operations.len() == 1 => operations.into_values().next(),
        (DocumentOperations::Multiple(_), None) => {
            return Err(Fault::invalid("the document has several operations: say which by \"operationName\"")
                .on(&["operationName".into()]));
        }
    };
    let Some(operation) = operation else {
        let message = format!("the document has no operation {:?}", lexer::excerpt(name.unwrap_or_default()));
        return Err(Fault::invalid(message).on(&["operationName".into()]));
    };
    Ok((operation, document))
}
