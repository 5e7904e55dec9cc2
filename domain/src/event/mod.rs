//! The Event: what is sold. Its plan, ticket types, quotas, sale window and blocks.
//!
//! Files: [`command`] what can be asked of it, [`event`] what can have happened to it, [`state`] the fold, [`error`] the
//! named refusals, [`sale`] whether it sells. `command` opens with the state × command table.

mod claims;
pub mod command;
mod decide;
pub mod error;
#[expect(
    clippy::module_inception,
    reason = "each aggregate's folder has the same files, and this one's name is the field's word"
)]
pub mod event;
pub mod sale;
pub mod state;
mod validate;

pub use claims::{claims_of, timers_of};
pub use command::{ChangeEvent, ChangeTicketType, EventCommand};
pub use error::EventError;
pub use event::*;
pub use sale::NotOnSale;
pub use state::{Event, EventStatus, Show};
