//! Where chance comes from: owners' names and jitter.

use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, PoisonError};

/// Random numbers. Cloning is cheap, and all clones draw from one sequence.
///
/// The function draws from the operating system's; tests and simulations own a seed.
#[derive(Clone, Debug)]
pub struct Random(Arc<Mutex<fastrand::Rng>>);

impl Random {
    /// Seeded by the operating system. `fastrand`'s own seed is made of the time and the thread, which two environments
    /// of the function may share, and then their owners would have one name.
    pub fn from_system() -> Self {
        Random::from_seed(RandomState::new().hash_one(std::process::id()))
    }

    /// The same seed gives the same sequence.
    pub fn from_seed(seed: u64) -> Self {
        Random(Arc::new(Mutex::new(fastrand::Rng::with_seed(seed))))
    }

    /// A name that nobody else has: 128 bits in hexadecimal.
    pub fn name(&self) -> String {
        format!("{:032x}", self.lock().u128(..))
    }

    /// From 0 to just below 1.
    pub fn fraction(&self) -> f64 {
        self.lock().f64()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, fastrand::Rng> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
