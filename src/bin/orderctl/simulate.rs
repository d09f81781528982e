//! `orderctl simulate`: the function under faults at random, in virtual time, repeatable by its seed.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Args;
use order_processor::local::ledger::Invariant;
use order_processor::local::simulation::{self, Outcome, Plan, Shrunk};
use serde_json::{Value, json};

use crate::failure;
use crate::report::{Report, paint, print_text};

/// Run the function under faults at random, in virtual time: the same seed gives the same run
///
/// Several workers with clocks that differ meet duplicates, conflicts, poison, declined cards, a payment provider that
/// gives trouble, sold-out SKUs, cancellations, crashes, freezes, lost requests and answers, lost deletions, dead
/// letters, redrives, a deployment that was a mistake, parked orders that are marked, placed, turned back and resumed,
/// stock that is counted, pauses, and records that expire: seven weeks in a minute. Every write is checked as it is
/// applied, and the books at the end. A failure is repeated with less and less of it, and told as one command.
#[derive(Debug, Args)]
pub struct Simulate {
    /// What decides everything [default: another every time]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// How many orders, 1-100000; there are about 1.7 messages for each
    #[arg(long, value_name = "N", default_value_t = 300, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    orders: u32,
    /// How many environments of the function, 1-64
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=64))]
    workers: u32,
    /// The probability that a request meets a fault, 0-1
    #[arg(long, value_name = "P", default_value_t = 0.05, value_parser = probability)]
    faults: f64,
    /// Of the orders, only these, by number
    #[arg(long, value_name = "N,..", value_delimiter = ',', value_parser = clap::value_parser!(u32).range(1..=100_000))]
    only_orders: Option<Vec<u32>>,
    /// Of the faults, only these, by the names in the log; `none` for none
    #[arg(long, value_name = "NAME,..", value_delimiter = ',')]
    only_faults: Option<Vec<String>>,
    /// Write the log there, one line for each event; `-` for standard output
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
}

/// The last events that are told of an order.
const LAST_EVENTS: usize = 30;
/// The most violations that are told one by one.
const TOLD: usize = 10;

fn probability(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|number| (0.0..=1.0).contains(number));
    number.ok_or_else(|| "a number from 0 to 1 is accepted, such as 0.05".to_owned())
}

impl Simulate {
    /// Runs, and shrinks what fails.
    pub async fn run(&self) -> Result<Report> {
        if let Some(number) = self.only_orders.iter().flatten().find(|number| **number > self.orders) {
            return Err(failure::usage(format!(
                "--only-orders {number}: there are orders 1 to {}",
                self.orders
            )));
        }
        let plan = self.plan();
        let workers = plan.workers;
        eprintln!("{} orders, {workers} workers, faults {}, seed {}", plan.orders, plan.faults, plan.seed);
        let task = tokio::task::spawn_blocking(move || {
            let outcome = simulation::run(&plan);
            if !outcome.violations.is_empty() {
                eprintln!("it fails; looking for a smaller case");
            }
            let shrunk = simulation::shrink(&plan, &outcome);
            (plan, outcome, shrunk)
        });
        let (plan, outcome, shrunk) = task.await.context("the simulation itself failed")?;
        self.write(&outcome)?;
        Ok(account(&plan, &outcome, shrunk.as_ref()))
    }

    fn plan(&self) -> Plan {
        let seed = self.seed.unwrap_or_else(|| fastrand::u64(1..1_000_000));
        let faults = self.only_faults.iter().flatten().filter(|name| *name != "none").cloned();
        Plan {
            only_orders: self.only_orders.as_ref().map(|only| only.iter().copied().collect()),
            only_faults: self.only_faults.as_ref().map(|_| faults.collect::<BTreeSet<_>>()),
            log: self.log.is_some(),
            ..Plan::new(seed, self.orders, self.workers, self.faults)
        }
    }

    fn write(&self, outcome: &Outcome) -> Result<()> {
        let Some(path) = &self.log else { return Ok(()) };
        let log = outcome.log.join("\n");
        if path.as_os_str() == "-" {
            print_text(&log);
            return Ok(());
        }
        std::fs::write(path, log + "\n").with_context(|| format!("writing the log to {}", path.display()))
    }
}

fn account(plan: &Plan, outcome: &Outcome, shrunk: Option<&Shrunk>) -> Report {
    let unreached = if plan.is_large() { outcome.unreached() } else { Vec::new() };
    let document = json!({
        "holds": outcome.violations.is_empty() && unreached.is_empty(),
        "command": plan.command(),
        "seed": plan.seed,
        "orders": plan.orders,
        "workers": plan.workers,
        "faults": plan.faults,
        "virtual_seconds": outcome.took.as_secs(),
        "counts": outcome.counts,
        "unreached": unreached,
        "violations": outcome.violations,
        "shrunk": shrunk.map(shrunk_document),
    });
    let failed = !(outcome.violations.is_empty() && unreached.is_empty());
    Report::new(document, text(plan, outcome, &unreached, shrunk)).failed(failed)
}

fn shrunk_document(shrunk: &Shrunk) -> Value {
    json!({
        "command": shrunk.plan.command(),
        "violations": shrunk.outcome.violations,
        "runs": shrunk.runs,
        "last_events": shrunk.outcome.last_events(LAST_EVENTS),
    })
}

fn text(plan: &Plan, outcome: &Outcome, unreached: &[&str], shrunk: Option<&Shrunk>) -> String {
    let mut text = format!("Seed {}: {} days of virtual time\n", plan.seed, outcome.took.as_secs() / 86_400);
    for (what, times) in &outcome.counts {
        let _ = writeln!(text, "{times:>8}  {what}");
    }
    text.push('\n');
    for invariant in Invariant::ALL.into_iter().chain(Invariant::THROUGHOUT) {
        let broken = outcome.violations.iter().any(|violation| violation.invariant == invariant);
        let mark = if broken { paint("NO", 31) } else { paint("ok", 32) };
        let _ = writeln!(text, "  {mark}  {}", invariant.sentence());
    }
    for violation in outcome.violations.iter().take(TOLD) {
        let _ = writeln!(text, "{violation}");
    }
    if !unreached.is_empty() {
        let _ = writeln!(text, "\nNever reached, so this run shows too little: {}", unreached.join(", "));
    }
    if let Some(Shrunk { plan, outcome, .. }) = shrunk {
        let _ = writeln!(text, "\nThe same in small: {}", plan.command());
        outcome.violations.iter().take(TOLD).for_each(|violation| text += &format!("{violation}\n"));
        outcome.last_events(LAST_EVENTS).iter().for_each(|line| text += &format!("  {line}\n"));
    }
    text
}
