//! Chance from a seed: a generator for each purpose and subject, so that what happens to one order does not depend on
//! whether another one is there. That is what makes a failure shrink.

use std::time::Duration;

use fastrand::Rng;
use sha2::{Digest, Sha256};

use crate::random::Random;

/// All chance of one run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Chance(pub(super) u64);

impl Chance {
    /// The generator for this purpose and subject: the same whenever it is asked for.
    pub(super) fn of(self, purpose: &str, subject: &str) -> Rng {
        Rng::with_seed(self.number(purpose, subject))
    }

    /// The same as the function's own source of chance.
    pub(super) fn random(self, purpose: &str, subject: &str) -> Random {
        Random::from_seed(self.number(purpose, subject))
    }

    /// Hashed with SHA-256, as the standard library's hashes may differ from one release to the next.
    pub(super) fn number(self, purpose: &str, subject: &str) -> u64 {
        let hash = Sha256::digest(format!("{}|{purpose}|{subject}", self.0));
        hash.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
    }
}

/// Between `least` and `most`, in whole milliseconds as tokio's timers have them.
pub(super) fn between(random: &mut Rng, least: Duration, most: Duration) -> Duration {
    Duration::from_millis(random.u64(millis(least)..=millis(most)))
}

pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_purpose_and_subject_has_numbers_of_its_own_and_always_the_same() {
        let number = |seed, purpose, subject| Chance(seed).of(purpose, subject).u64(..);
        assert_eq!(number(1, "a", "b"), number(1, "a", "b"));
        assert_ne!(number(1, "a", "b"), number(2, "a", "b"));
        assert_ne!(number(1, "a", "b"), number(1, "a", "c"));
        assert_ne!(number(1, "a", "b"), number(1, "c", "b"));
    }
}
