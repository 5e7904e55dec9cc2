//! Seating plans: as they are served, and parsed.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use parking_lot::Mutex;
use tickiz_domain::seating_plan::SeatingPlan;

use crate::{ReadError, store::ReadStore};

/// The most seats of all parsed plans that are kept: some 100 bytes each, so 50 MB at worst, and a few MB for a handful of halls.
const MAX_CACHED_SEATS: usize = 500_000;

/// Parsed plans by hash. What was parsed first goes first: a plan never changes, and parsing one again costs milliseconds.
#[derive(Debug, Default)]
pub struct PlanCache(Mutex<Cached>);

#[derive(Debug, Default)]
struct Cached {
    plans: HashMap<String, Arc<SeatingPlan>>,
    order: VecDeque<String>,
    seats: usize,
}

impl PlanCache {
    /// A plan that was parsed before.
    #[must_use]
    pub fn get(&self, hash: &str) -> Option<Arc<SeatingPlan>> {
        self.0.lock().plans.get(hash).cloned()
    }

    /// Keeps a plan; of two that were parsed at once the first stays.
    pub fn keep(&self, hash: &str, plan: Arc<SeatingPlan>) -> Arc<SeatingPlan> {
        let mut cached = self.0.lock();
        if let Some(known) = cached.plans.get(hash) {
            return known.clone();
        }
        cached.seats += plan.len();
        cached.plans.insert(hash.to_owned(), plan.clone());
        cached.order.push_back(hash.to_owned());
        while cached.seats > MAX_CACHED_SEATS && cached.order.len() > 1 {
            let oldest = cached.order.pop_front().expect("the loop runs only while there is more than one");
            let gone = cached.plans.remove(&oldest).expect("every hash in the order names a plan that is kept");
            cached.seats -= gone.len();
        }
        plan
    }
}

const READ_PLAN: &str = "SELECT packed FROM rm_seat_plans WHERE hash = ?";

impl ReadStore {
    /// A seating plan by its hash, packed, as it is served.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn plan_bytes(&self, hash: &str) -> Result<Option<Vec<u8>>, ReadError> {
        let rows = self.inner.pools.reader().await?.rows(READ_PLAN, vec![hash.to_owned().into()]).await?;
        Ok(rows.first().map(|row| row.bytes(0)).transpose()?)
    }

    /// A seating plan by its hash, parsed and cached.
    ///
    /// # Errors
    /// When the store fails or the plan in it is damaged.
    pub async fn plan(&self, hash: &str) -> Result<Option<Arc<SeatingPlan>>, ReadError> {
        if let Some(plan) = self.inner.plans.get(hash) {
            return Ok(Some(plan));
        }
        let Some(packed) = self.plan_bytes(hash).await? else { return Ok(None) };
        let plan = SeatingPlan::from_packed_json(&packed)
            .map_err(|error| ReadError::Damaged { table: "rm_seat_plans", what: format!("{hash}: {error}") })?;
        Ok(Some(self.inner.plans.keep(hash, Arc::new(plan))))
    }
}
