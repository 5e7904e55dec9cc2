//! What comes from outside: time and chance. Nothing in the core asks the machine's clock or draws a random number by itself, or a
//! simulation could not repeat a run. Tasks are spawned on tokio's runtime, which is such a trait's implementation already: a test
//! runs it on one thread, with its time standing still.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use chrono::{DateTime, Utc};
use uuid::{Builder, Uuid};

/// A clock.
pub trait Clock: Send + Sync + 'static {
    /// The time it shows.
    fn now(&self) -> DateTime<Utc>;
}

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> DateTime<Utc> {
        Utc::now()
    }
}

/// Where random bytes come from.
pub trait Entropy: Send + Sync + 'static {
    /// Fills the bytes.
    fn fill(&self, bytes: &mut [u8]);
}

/// The operating system's randomness, stretched by a cryptographic generator (`rand`'s `ThreadRng`).
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    fn fill(&self, bytes: &mut [u8]) {
        rand::fill(bytes);
    }
}

/// So many random bytes.
#[must_use]
pub fn random<const N: usize>(entropy: &dyn Entropy) -> [u8; N] {
    let mut bytes = [0; N];
    entropy.fill(&mut bytes);
    bytes
}

/// An id that says nothing (UUIDv4, RFC 9562 section 5.4).
#[must_use]
pub fn random_id(entropy: &dyn Entropy) -> Uuid {
    Builder::from_random_bytes(random(entropy)).into_uuid()
}

/// What the log gets from outside, all together. Cheap to clone.
#[derive(Clone)]
pub struct Runtime {
    /// The machine's clock, or a simulation's. A server has its own; a file has none, and takes this one for it.
    pub clock: Arc<dyn Clock>,
    /// The machine's chance, or a simulation's.
    pub entropy: Arc<dyn Entropy>,
}

impl Default for Runtime {
    fn default() -> Self {
        Self { clock: Arc::new(SystemClock), entropy: Arc::new(SystemEntropy) }
    }
}

impl Runtime {
    /// With another clock.
    #[must_use]
    pub fn at(clock: impl Clock) -> Self {
        Self { clock: Arc::new(clock), ..Self::default() }
    }
}

/// A clock that stands until somebody moves it.
#[derive(Debug)]
pub struct ManualClock(AtomicI64);

impl ManualClock {
    /// Stands at that time.
    #[must_use]
    pub fn new(at: DateTime<Utc>) -> Self {
        Self(AtomicI64::new(at.timestamp_micros()))
    }

    /// Moves it on.
    pub fn advance(&self, by: chrono::Duration) {
        self.0.fetch_add(by.num_microseconds().unwrap_or(0), Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> DateTime<Utc> {
        from_micros(self.0.load(Ordering::SeqCst))
    }
}

impl<C: Clock> Clock for Arc<C> {
    fn now(&self) -> DateTime<Utc> {
        (**self).now()
    }
}

/// Microseconds since 1970 as an instant; what no calendar holds becomes its nearest end.
#[must_use]
pub fn from_micros(micros: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_micros(micros).unwrap_or(if micros < 0 {
        DateTime::<Utc>::MIN_UTC
    } else {
        DateTime::<Utc>::MAX_UTC
    })
}

/// The store's clock as this process knows it: the machine's clock plus what the store was ahead of it when last asked.
/// Deadlines are judged by it, so that two machines whose clocks differ agree on when a hold ends.
#[derive(Clone)]
pub struct StoreClock {
    clock: Arc<dyn Clock>,
    ahead_micros: Arc<AtomicI64>,
}

impl StoreClock {
    /// Knows nothing of the store yet and shows `clock`.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, ahead_micros: Arc::default() }
    }

    /// Learns what the store's clock showed just now.
    pub fn learn(&self, store: DateTime<Utc>) {
        self.ahead_micros.store(store.timestamp_micros() - self.clock.now().timestamp_micros(), Ordering::Relaxed);
    }

    /// The store's time.
    #[must_use]
    pub fn now(&self) -> DateTime<Utc> {
        from_micros(self.clock.now().timestamp_micros() + self.ahead_micros.load(Ordering::Relaxed))
    }
}
