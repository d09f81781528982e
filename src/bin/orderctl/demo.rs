//! `orderctl demo`: a thousand orders, retried, repeated, contradicted, their workers killed, and the books after.

mod account;
mod journal;
mod mischief;
mod progress;
mod run;
mod traffic;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, bail};
use clap::Args;
use order_processor::local::function_host::OutputLine;
use order_processor::local::stack::StackOptions;

use crate::local::{self, LogFile};
use crate::report::Report;
use crate::{duration, environment, failure};
use journal::Journal;
use run::Plan;

/// Show that no order runs twice: duplicates, conflicts, poison and kill -9, then the ledger check
///
/// Everything is embedded. Only the table may be elsewhere: on the DynamoDB that `AWS_ENDPOINT_URL_DYNAMODB` names,
/// such as DynamoDB Local. It is a table of the run's own there, which is deleted if the ledger balances.
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
    /// How often one is frozen (SIGSTOP) past its deadline and woken, which takes up to 25 s; 0s for never
    #[arg(long, value_name = "DURATION", default_value = "0s", value_parser = duration::parse)]
    freeze_every: Duration,
    /// When to give up if orders are left [default: 2m, and 50ms more for each message]
    #[arg(long, value_name = "DURATION", value_parser = duration::parse)]
    within: Option<Duration>,
    /// Write what the function says to this file, as the JSON lines they are: for timeline and stats --log
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
}

/// More than there are cores: some of them wait for slow cards.
const ENVIRONMENTS: usize = 4;

impl Demo {
    /// Starts a stack of its own, runs, stops it, and tells.
    pub async fn run(&self) -> Result<Report> {
        let plan = Plan {
            orders: self.orders,
            seed: self.seed.unwrap_or_else(|| fastrand::u64(1..100_000)),
            kill_every: unless_never(self.kill_every),
            freeze_every: unless_never(self.freeze_every),
            within: self.within,
        };
        let journal = Arc::new(Journal::default());
        let noted = Arc::clone(&journal);
        let log = LogFile::open(self.log.as_deref())?;
        let told = move |line: OutputLine| {
            noted.note(&line.line);
            log.write(&line.line);
        };
        let stack = local::start(adjust, told).await?;
        eprintln!(
            "{} orders, seed {}, on a stack in this process: {ENVIRONMENTS} processes of the function, {}; \
             what a lost worker had received comes back when its visibility ends",
            plan.orders,
            plan.seed,
            local::times()
        );
        let elsewhere = table_endpoint();
        if let Some(endpoint) = &elsewhere {
            eprintln!("the table is {}, on the DynamoDB at {endpoint}", stack.table());
        }
        let outcome = tokio::select! {
            outcome = run::run(&plan, &stack, &journal) => outcome,
            asked = local::asked_to_end() => asked.and_then(|()| bail!("interrupted")),
        };
        let dynamodb = stack.dynamodb().clone();
        let table = stack.table().to_owned();
        stack.shutdown().await;
        let (report, balanced) = account::account(&plan, &outcome?);
        if elsewhere.is_some() && balanced {
            let deleted = dynamodb.delete_table().table_name(table).send().await;
            deleted.map_err(|error| failure::aws("deleting the table of this run", error))?;
        }
        Ok(report)
    }
}

fn unless_never(every: Duration) -> Option<Duration> {
    (!every.is_zero()).then_some(every)
}

fn table_endpoint() -> Option<String> {
    environment::variable("AWS_ENDPOINT_URL_DYNAMODB")
}

/// What is elsewhere is not alone there, and has a name of its own.
fn adjust(options: &mut StackOptions) {
    options.environments = ENVIRONMENTS;
    options.table_endpoint = table_endpoint();
    if options.table_endpoint.is_some() {
        options.table = format!("demo-{:016x}", fastrand::u64(..));
    }
}
