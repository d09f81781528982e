//! The function's settings, which are changed while orders run: how long answers are kept, how old an order may be, how
//! often a message is received, the timeout, the grace and the payment provider. All of them within the template's bounds.
//!
//! A new environment has the settings of its moment. Those that are there live on for a while with the ones before.

use std::collections::BTreeSet;
use std::time::Duration;

use super::queue::MAX_RECEIVE_COUNT;
use super::traffic;
use super::world::{FAULTY_EDGES, World, is_faulty};
use super::{DAY, START};
use crate::config::name;

/// The least age in days beyond which an order without a record is not run.
pub(super) const LEAST_ORDER_AGE_DAYS: u32 = 7;
/// What the template accepts: the least retention is longer than the highest age.
const RETENTION_DAYS: [u32; 4] = [22, 30, 60, 3650];
const MAX_ORDER_AGE_DAYS: [u32; 3] = [LEAST_ORDER_AGE_DAYS, 14, 21];
/// The queue's own is one of them: a deployment changes the two one after the other.
const RECEIVES: [u32; 3] = [MAX_RECEIVE_COUNT, 7, 20];
const TIMEOUTS: [Duration; 3] = [Duration::from_secs(5), Duration::from_secs(10), Duration::from_secs(15)];
const GRACES_MS: [u32; 2] = [1000, 5000];
/// In this one, the payment provider is the sandbox.
const SANDBOX: usize = 3;

/// What an environment is started with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Settings {
    period: usize,
    pub(super) timeout: Duration,
    pub(super) sandbox: bool,
    retention_days: u32,
    max_order_age_days: u32,
    receives: u32,
    grace_ms: u32,
}

impl Settings {
    /// Before the first change.
    const FIRST: Settings = Settings {
        period: 0,
        timeout: TIMEOUTS[1],
        sandbox: false,
        retention_days: RETENTION_DAYS[1],
        max_order_age_days: 21,
        receives: MAX_RECEIVE_COUNT,
        grace_ms: GRACES_MS[0],
    };

    /// Those of the moment.
    pub(super) fn present(world: &World) -> Settings {
        let since = world.now().since(START);
        let begun = world.schedule().iter().take_while(|(from, _)| *from <= since);
        begun.last().map_or(Settings::FIRST, |(_, settings)| settings.clone())
    }

    /// Those of a period that are changed, each in its turn, so that a few periods have all of them.
    fn changed(period: usize, turn: usize, faulty: bool) -> Settings {
        let chosen = Settings {
            retention_days: RETENTION_DAYS[turn % RETENTION_DAYS.len()],
            max_order_age_days: MAX_ORDER_AGE_DAYS[turn % MAX_ORDER_AGE_DAYS.len()],
            ..Settings { period, ..Settings::FIRST }
        };
        if !faulty {
            return chosen;
        }
        Settings {
            timeout: TIMEOUTS[turn % TIMEOUTS.len()],
            receives: RECEIVES[(turn / 2) % RECEIVES.len()],
            grace_ms: GRACES_MS[turn % GRACES_MS.len()],
            sandbox: period == SANDBOX,
            ..chosen
        }
    }

    /// Whether an environment with these is given events still.
    pub(super) fn live_on(&self, present: &Settings) -> bool {
        self == present || self.period + 1 == present.period && !self.sandbox && !present.sandbox
    }

    /// The variable's value, where it is one of the settings.
    pub(super) fn value(&self, variable: &str) -> Option<String> {
        let number = match variable {
            name::RETENTION_DAYS => self.retention_days,
            name::MAX_ORDER_AGE_DAYS => self.max_order_age_days,
            name::MAX_RECEIVE_COUNT => self.receives,
            name::LEASE_GRACE_MS => self.grace_ms,
            _ => return None,
        };
        Some(number.to_string())
    }

    /// What is other than before the first change, for the journal.
    pub(super) fn changes(&self) -> impl Iterator<Item = &'static str> {
        let first = Settings::FIRST;
        let changes = [
            ("setting retention", self.retention_days != first.retention_days),
            ("setting order age", self.max_order_age_days != first.max_order_age_days),
            ("setting receives", self.receives != first.receives),
            ("setting timeout", self.timeout != first.timeout),
            ("setting grace", self.grace_ms != first.grace_ms),
            ("setting provider", self.sandbox != first.sandbox),
        ];
        changes.into_iter().filter(|(_, changed)| *changed).map(|(name, _)| name)
    }
}

/// What the settings are, from when on.
pub(super) type Schedule = Vec<(Duration, Settings)>;

/// When the settings change, by number from 1: while the orders come in and are worked off, and then as the weeks pass.
fn changes(world: &World) -> Vec<(usize, Duration)> {
    let rush = traffic::SPACING * world.plan.orders;
    let (early, half) = (rush / 5, rush / 2);
    // Once the provider's key is renewed, and while repeats and retries are under way.
    let sandbox = [600, 660].map(|seconds| half + Duration::from_secs(seconds));
    let soon = [early, half, sandbox[0], sandbox[1]];
    let later = [1, 9, 21, 29, 37].map(|day| DAY * day);
    (1..).zip(soon.into_iter().chain(later)).collect()
}

/// Which of the changes happen, and what they come to, once and for all.
pub(super) fn plan(world: &World) -> Schedule {
    if world.plan.faults == 0.0 {
        return Schedule::new();
    }
    let changes = changes(world);
    let happens = |(number, _): &&(usize, Duration)| world.mischief().surely("settings", &number.to_string());
    let happening: BTreeSet<usize> = changes.iter().filter(happens).map(|(number, _)| *number).collect();
    // The seed decides which of the settings is the first to change.
    let first = world.chance.of("settings", "turn").usize(0..12);
    let mut edges: Vec<Duration> = changes.iter().map(|(_, at)| *at).chain(FAULTY_EDGES).collect();
    edges.sort_unstable();
    let settings = |from: Duration| {
        let period = changes.iter().filter(|(_, at)| *at <= from).count();
        match happening.contains(&period) {
            true => Settings::changed(period, period + first, is_faulty(from)),
            false => Settings { period, ..Settings::FIRST },
        }
    };
    edges.into_iter().map(|from| (from, settings(from))).collect()
}

#[cfg(test)]
mod tests {
    use super::super::Plan;
    use super::*;
    use crate::config::Config;

    #[test]
    fn the_function_and_the_template_accept_every_pair_of_settings() {
        let template = include_str!("../../../template.yaml");
        let bounds = |parameter: &str| {
            let from = template.find(&format!("\n  {parameter}:\n")).expect("the parameter");
            let number = |name: &str| -> u32 {
                let text = &template[from + template[from..].find(name).expect("a bound") + name.len()..];
                text.lines().next().and_then(|line| line.trim().parse().ok()).expect("a number")
            };
            number("MinValue:")..=number("MaxValue:")
        };
        for retention_days in RETENTION_DAYS {
            assert!(bounds("RetentionDays").contains(&retention_days));
            for max_order_age_days in MAX_ORDER_AGE_DAYS {
                assert!(bounds("MaxOrderAgeDays").contains(&max_order_age_days));
                let settings = Settings { retention_days, max_order_age_days, ..Settings::FIRST };
                let url =
                    |name: &str| Some("http://queues.invalid/q".to_owned()).filter(|_| name.ends_with("URL"));
                let lookup = |name: &str| match name {
                    name::ORDERS_TABLE => Some("orders".to_owned()),
                    name::PAYMENT_PROVIDER => Some("sandbox".to_owned()),
                    name => settings.value(name).or_else(|| url(name)),
                };
                Config::read(&lookup).unwrap();
            }
        }
        assert!(RECEIVES.iter().all(|receives| bounds("MaxReceiveCount").contains(receives)));
    }

    #[test]
    fn the_settings_change_when_they_are_due_and_when_the_faults_begin_and_end() {
        let world = World::new(Plan::new(1, 1000, 4, 0.05));
        let schedule = plan(&world);
        assert!(schedule.is_sorted_by_key(|(from, _)| *from));
        let periods: BTreeSet<usize> = schedule.iter().map(|(_, settings)| settings.period).collect();
        assert_eq!(periods, (1..=changes(&world).len()).collect());
        for (from, settings) in &schedule {
            let calm = !is_faulty(*from);
            let of_the_faults = (settings.timeout, settings.receives, settings.grace_ms, settings.sandbox);
            let first = Settings::FIRST;
            let before = (first.timeout, first.receives, first.grace_ms, first.sandbox);
            assert!(!calm || of_the_faults == before, "{from:?}: {settings:?}");
            assert_eq!(settings.sandbox, settings.period == SANDBOX, "{from:?}: {settings:?}");
        }
        assert_eq!(plan(&World::new(Plan::new(1, 1000, 4, 0.0))), []);
    }
}
