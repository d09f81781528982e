//! `orderctl demo`: a thousand orders, retried, repeated, contradicted, their workers killed, and the books after.

mod account;
mod journal;
mod progress;
mod run;
mod traffic;

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, bail};
use clap::Args;

use crate::report::Report;
use crate::{duration, local};
use journal::Journal;
use run::Plan;

/// Show that no order runs twice: duplicates, conflicts, poison and kill -9, then the ledger check
#[derive(Debug, Args)]
pub struct Demo {
    /// How many orders; there are about 1.6 messages for each
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    orders: u64,
    /// What decides the messages [default: another every time]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// How often a process of the function is killed; 0s for never
    #[arg(long, value_name = "DURATION", default_value = "1500ms", value_parser = duration::parse)]
    kill_every: Duration,
}

/// More than there are cores: some of them wait for slow cards.
const ENVIRONMENTS: usize = 4;

impl Demo {
    /// Starts a stack of its own, runs, stops it, and tells.
    pub async fn run(&self) -> Result<Report> {
        let plan = Plan {
            orders: self.orders,
            seed: self.seed.unwrap_or_else(|| fastrand::u64(1..100_000)),
            kill_every: (!self.kill_every.is_zero()).then_some(self.kill_every),
        };
        let journal = Arc::new(Journal::default());
        let noted = Arc::clone(&journal);
        let stack =
            local::start(|options| options.environments = ENVIRONMENTS, move |line| noted.note(&line.line))
                .await?;
        eprintln!(
            "{} orders, seed {}, on a stack in this process: {ENVIRONMENTS} processes of the function, {}; \
             what a killed worker had received comes back when its visibility ends",
            plan.orders,
            plan.seed,
            local::times()
        );
        let outcome = tokio::select! {
            outcome = run::run(&plan, &stack, &journal) => outcome,
            asked = local::asked_to_end() => asked.and_then(|()| bail!("interrupted")),
        };
        stack.shutdown().await;
        Ok(account::account(&plan, &outcome?))
    }
}
