//! Seating plans, as domain events name them: by the hash of an attachment of the log.

use std::sync::Arc;

use tickiz_domain::seating_plan::SeatingPlan;
use tickiz_event_log::record::StoreError;
use tickiz_read_models::plans::PlanCache;

use crate::stream::LogSource;

/// Why a plan is not to be had.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// The log failed. May be tried again.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The log has no such attachment, or what it has is not a plan. Trying again does not help.
    #[error("seating plan {hash}: {what}")]
    Unusable {
        /// The plan's hash as the domain event names it.
        hash: String,
        /// What is wrong.
        what: String,
    },
}

/// Plans out of the log's attachments, parsed ones kept.
pub struct PlanSource {
    log: Arc<dyn LogSource>,
    cache: PlanCache,
}

impl PlanSource {
    /// Plans of a log.
    #[must_use]
    pub fn new(log: Arc<dyn LogSource>) -> Self {
        Self { log, cache: PlanCache::default() }
    }

    /// The packed bytes of a plan, as they are served.
    ///
    /// # Errors
    /// [`PlanError`].
    pub async fn packed(&self, hash: &str) -> Result<Arc<[u8]>, PlanError> {
        let unusable = |what: &str| PlanError::Unusable { hash: hash.to_owned(), what: what.to_owned() };
        let mut bytes = [0; 32];
        hex_into(hash, &mut bytes).ok_or_else(|| unusable("its name is no SHA-256"))?;
        self.log.attachment(bytes).await?.ok_or_else(|| unusable("the log has no attachment of that hash"))
    }

    /// A plan.
    ///
    /// # Errors
    /// [`PlanError`].
    pub async fn plan(&self, hash: &str) -> Result<Arc<SeatingPlan>, PlanError> {
        if let Some(plan) = self.cache.get(hash) {
            return Ok(plan);
        }
        let packed = self.packed(hash).await?;
        let plan = SeatingPlan::from_packed_json(&packed)
            .map_err(|error| PlanError::Unusable { hash: hash.to_owned(), what: error.to_string() })?;
        Ok(self.cache.keep(hash, Arc::new(plan)))
    }
}

fn hex_into(text: &str, bytes: &mut [u8; 32]) -> Option<()> {
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    for (byte, at) in bytes.iter_mut().zip((0..64).step_by(2)) {
        *byte = u8::from_str_radix(&text[at..at + 2], 16).ok()?;
    }
    Some(())
}
