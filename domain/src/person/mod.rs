//! The person: only that somebody was erased. Who it was is not in the log.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{claim::ClaimChange, domain_events, stream::StreamType, timer::Timer};

domain_events! {
    /// What can have happened to a person's data.
    pub enum PersonDomainEvent for StreamType::Person;
    /// The data key was deleted, in the same transaction.
    PersonErased = 1,
}

/// The person's data key was deleted: every field sealed with it is unreadable from here on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PersonErased {}

fn claims_of(_: &PersonDomainEvent, _: Uuid) -> Vec<ClaimChange> {
    Vec::new()
}

fn timers_of(_: &PersonDomainEvent, _: Uuid, _: DateTime<Utc>) -> Vec<Timer> {
    Vec::new()
}
