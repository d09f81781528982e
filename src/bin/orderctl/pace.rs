//! So many a second, so that what follows from a command does not arrive all at once.

use std::time::Duration;

use clap::Args;
use tokio::time::{Interval, MissedTickBehavior, interval};

/// Goes with every command that sends many messages.
#[derive(Debug, Clone, Args)]
pub struct Pace {
    /// At most so many a second
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=1000))]
    rate: u32,
}

impl Pace {
    /// Ticks so often; the first time at once.
    pub fn ticks(&self) -> Interval {
        let mut ticks = interval(Duration::from_secs(1) / self.rate);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        ticks
    }
}
