//! The GraphQL schema: names and shapes of the public contract, resolved from the read models, the write side and the log.

pub mod booking;
pub mod enums;
pub mod event;
mod filter;
pub mod gate;
mod inputs;
mod log;
mod mutation;
pub mod query;
pub mod report;
pub mod scalars;
pub mod seat_map;
pub mod subscription;

use std::sync::Arc;

use async_graphql::{Context, dataloader::DataLoader};
use tickiz_contract::Caller;

use self::{booking::ShowLoader, mutation::Mutation, query::Query, subscription::Subscription};
use crate::app::{App, Session};

/// The whole schema.
pub type Schema = async_graphql::Schema<Query, Mutation, Subscription>;

/// The schema over a role's ports.
pub fn build(app: Arc<App>, introspection: bool) -> Schema {
    let builder = Schema::build(Query, Mutation, Subscription).data(app);
    // The guard tells names where they help; the library's guesses would tell what production hides.
    let builder = if introspection { builder } else { builder.disable_introspection().disable_suggestions() };
    builder.finish()
}

/// The SDL of the schema, which needs no ports.
#[must_use]
pub fn sdl() -> String {
    let options = async_graphql::SDLExportOptions::new().prefer_single_line_descriptions().use_space_ident();
    Schema::new(Query, Mutation, Subscription).sdl_with_options(options)
}

/// The ports.
fn app_of<'a>(ctx: &Context<'a>) -> &'a Arc<App> {
    ctx.data_unchecked()
}

/// The request's own data.
fn session_of<'a>(ctx: &Context<'a>) -> &'a Session {
    ctx.data_unchecked()
}

fn caller_of<'a>(ctx: &Context<'a>) -> &'a Caller {
    &session_of(ctx).context.caller
}

/// The loader that a request's data needs.
pub fn loader(app: &Arc<App>) -> DataLoader<ShowLoader> {
    DataLoader::new(ShowLoader(Arc::clone(app)), tokio::spawn)
}
