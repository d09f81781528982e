//! The time an invocation has: every budget is a share of what is left before Lambda's deadline.

use std::sync::Once;
use std::time::Duration;

use crate::clock::{Clock, UnixMillis};

/// The longest that one attempt of a write may take: DynamoDB answers in milliseconds, so a second is a fault.
const WRITE_ATTEMPT_MAX: Duration = Duration::from_secs(1);
/// The longest that a call may take: Stripe answers card payments within a few seconds.
pub const CALL_MAX: Duration = Duration::from_secs(10);
/// With less than this, or a quarter of the invocation if that is less, no call is started.
const CALL_MIN: Duration = Duration::from_secs(1);

/// What an invocation has that comes without a deadline.
const WITHOUT_DEADLINE: Duration = Duration::from_secs(30);
/// The longest that a function can run (AWS Lambda Developer Guide, "Quotas").
const LONGEST: Duration = Duration::from_secs(900);
/// That an invocation has no deadline is said once: it is the same with every one.
static SAID: Once = Once::new();

/// How long one write may take.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// One attempt, from connecting to the last byte of the answer.
    pub attempt: Duration,
    /// All attempts together.
    pub total: Duration,
}

/// The time of one invocation.
#[derive(Debug, Clone)]
pub struct Budget {
    deadline: UnixMillis,
    total: Duration,
    clock: Clock,
}

impl Budget {
    /// The time of an invocation that Lambda ends at `deadline`. A deadline that has passed already is none, as
    /// `cargo lambda watch` sends 1970.
    pub fn for_invocation(deadline: UnixMillis, clock: Clock) -> Self {
        let now = clock.now();
        if deadline > now {
            // A lease follows from the deadline, and no order may be owned for longer than a function can run.
            return Budget::until(deadline.min(now + LONGEST), clock);
        }
        SAID.call_once(|| tracing::warn!("the deadline of the invocation has passed: taking 30 s instead"));
        Budget::until(now + WITHOUT_DEADLINE, clock)
    }

    /// Until `deadline`, from now on.
    pub fn until(deadline: UnixMillis, clock: Clock) -> Self {
        let total = deadline.since(clock.now());
        Budget { deadline, total, clock }
    }

    /// When Lambda ends this worker.
    pub fn deadline(&self) -> UnixMillis {
        self.deadline
    }

    /// What is left.
    pub fn left(&self) -> Duration {
        self.deadline.since(self.clock.now())
    }

    fn write_attempt(&self) -> Duration {
        (self.total / 10).min(WRITE_ATTEMPT_MAX)
    }

    /// One write: three attempts, as far as the time goes.
    pub fn write(&self) -> Patience {
        let attempt = self.write_attempt();
        Patience { attempt, total: (attempt * 3).min(self.left().saturating_sub(attempt)).max(attempt) }
    }

    /// The last thing said to a queue about a record: a dead letter, a visibility.
    pub fn message(&self) -> Duration {
        (self.write_attempt() * 2).min(self.left().saturating_sub(self.write_attempt() / 4))
    }

    /// Whether there is time to own an order at all: the claim, a call and its two writes.
    pub fn is_enough(&self) -> bool {
        self.call().is_some()
    }

    /// How long a call may take, if one may start: two writes must fit behind it.
    pub fn call(&self) -> Option<Duration> {
        let left = self.left().saturating_sub(self.write_attempt() * 2);
        (left >= CALL_MIN.min(self.total / 4)).then(|| left.min(CALL_MAX))
    }

    /// How long work on one record may go on before it is dropped, as a crash would drop it, so that its message
    /// can still be given back.
    pub fn work(&self) -> Duration {
        self.left().saturating_sub(self.write_attempt())
    }

    /// When the response must be on its way.
    pub fn respond(&self) -> Duration {
        self.left().saturating_sub(self.write_attempt() / 4)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn budget(total: u64, spent: u64) -> Budget {
        let clock = Clock::from_fn(move || UnixMillis(1_000_000 + spent));
        Budget { deadline: UnixMillis(1_000_000 + total), total: Duration::from_millis(total), clock }
    }

    #[test]
    fn a_function_of_3_seconds_can_wait_2_seconds_for_a_payment() {
        assert!(budget(3_000, 300).call().unwrap() >= Duration::from_secs(2));
        assert!(budget(3_000, 300).write().total < Duration::from_secs(1));
    }

    #[test]
    fn a_call_is_bounded_and_leaves_time_for_two_writes() {
        assert_eq!(budget(60_000, 0).call(), Some(Duration::from_secs(10)));
        assert_eq!(budget(60_000, 56_000).call(), Some(Duration::from_secs(2)));
        assert_eq!(budget(60_000, 57_001).call(), None);
    }

    #[test]
    fn a_call_is_not_started_one_millisecond_too_late() {
        assert_eq!(budget(3_000, 1_650).call(), Some(Duration::from_millis(750)));
        assert_eq!(budget(3_000, 1_651).call(), None);
    }

    #[test]
    fn a_deadline_in_the_past_is_none() {
        let clock = || Clock::from_fn(|| UnixMillis(1_000));
        assert_eq!(Budget::for_invocation(UnixMillis(1_000), clock()).left(), Duration::from_secs(30));
        assert_eq!(Budget::for_invocation(UnixMillis(0), clock()).left(), Duration::from_secs(30));
        assert_eq!(Budget::for_invocation(UnixMillis(1_001), clock()).left(), Duration::from_millis(1));
    }

    #[test]
    fn a_write_takes_at_most_a_second_an_attempt() {
        assert_eq!(budget(900_000, 0).write().attempt, Duration::from_secs(1));
        assert_eq!(budget(3_000, 2_999).write().total, Duration::from_millis(300));
    }
}
