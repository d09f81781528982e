//! Time as types: [`UnixMillis`], [`UnixSeconds`] and the [`Clock`] that is passed to whoever needs to know it.

use std::fmt;
use std::ops::Add;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// Milliseconds since 1970-01-01T00:00:00Z: leases, checkpoints and deadlines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UnixMillis(pub u64);

/// Seconds since 1970-01-01T00:00:00Z: what DynamoDB's TTL attribute wants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UnixSeconds(pub u64);

impl UnixMillis {
    /// The time from `earlier` until this moment; zero if `earlier` is not earlier.
    pub fn since(self, earlier: UnixMillis) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }

    /// The same moment in whole seconds, rounded up, so that nothing expires early.
    pub fn to_seconds(self) -> UnixSeconds {
        UnixSeconds(self.0.div_ceil(1000))
    }

    /// RFC 3339 in UTC with milliseconds: `2026-11-24T01:00:01.123Z`.
    pub fn to_rfc3339(self) -> String {
        let moment = time::OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.0) * 1_000_000)
            .unwrap_or(time::OffsetDateTime::UNIX_EPOCH);
        format!(
            "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z",
            moment.year(),
            u8::from(moment.month()),
            moment.day(),
            moment.hour(),
            moment.minute(),
            moment.second(),
            moment.millisecond()
        )
    }
}

impl Add<Duration> for UnixMillis {
    type Output = UnixMillis;

    fn add(self, duration: Duration) -> UnixMillis {
        UnixMillis(self.0.saturating_add(whole_millis(duration)))
    }
}

/// A duration in whole milliseconds.
pub fn whole_millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Where the time comes from. Cloning is cheap, and all clones tell the same time.
///
/// The function runs on [`Clock::system`]; tests and simulations own a clock of their own.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> UnixMillis + Send + Sync>);

impl Clock {
    /// The clock of this machine.
    #[expect(clippy::disallowed_methods, reason = "the one place that asks the machine for the time")]
    pub fn system() -> Self {
        Clock::from_fn(|| {
            let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            UnixMillis::default() + since_epoch
        })
    }

    /// A clock that says what `now` says.
    pub fn from_fn(now: impl Fn() -> UnixMillis + Send + Sync + 'static) -> Self {
        Clock(Arc::new(now))
    }

    /// The present moment.
    pub fn now(&self) -> UnixMillis {
        (self.0)()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Clock({})", self.now().0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_written_as_rfc_3339_with_milliseconds() {
        assert_eq!(UnixMillis(1_795_482_001_123).to_rfc3339(), "2026-11-24T01:00:01.123Z");
        assert_eq!(UnixMillis(0).to_rfc3339(), "1970-01-01T00:00:00.000Z");
    }

    #[test]
    fn a_clock_tells_the_time_of_whoever_made_it() {
        let clock = Clock::from_fn(|| UnixMillis(7));
        assert_eq!((clock.now(), format!("{clock:?}").as_str()), (UnixMillis(7), "Clock(7)"));
    }

    #[test]
    fn seconds_round_up() {
        assert_eq!(UnixMillis(1000).to_seconds(), UnixSeconds(1));
        assert_eq!(UnixMillis(1001).to_seconds(), UnixSeconds(2));
    }

    #[test]
    fn time_since_a_later_moment_is_zero() {
        assert_eq!(UnixMillis(5).since(UnixMillis(9)), Duration::ZERO);
        assert_eq!(UnixMillis(9).since(UnixMillis(5)), Duration::from_millis(4));
    }
}
