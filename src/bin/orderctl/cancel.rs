//! `orderctl cancel`: an order that is not wanted any more.

use anyhow::{Result, bail};
use clap::Args;
use order_processor::clock::Clock;
use order_processor::order::OrderId;
use order_processor::protocol;
use order_processor::record::{Record, Status};
use order_processor::services;
use serde_json::json;

use crate::change::Change;
use crate::get;
use crate::report::Report;
use crate::table::Table;
use crate::target::Target;

/// Ask for an order to be cancelled; possible until its shipment is due
#[derive(Debug, Args)]
pub struct Cancel {
    /// Which order
    #[arg(value_name = "ORDER")]
    order_id: OrderId,
    #[command(flatten)]
    change: Change,
}

impl Cancel {
    /// Asks once: a second cancellation finds the first.
    pub async fn run(&self, target: &Target) -> Result<Report> {
        let id = &self.order_id;
        let found = Table::of(target).order(id).await?.ok_or_else(|| get::missing(id))?;
        if let (Some(who), false) = (&found.cancel_requested, found.status.is_finished()) {
            let text = format!("{id}: {who} has asked for that already");
            let document = json!({ "order_id": id, "action": "cancel", "already_by": who, "meaning": text });
            return Ok(Report::new(document, text));
        }
        if found.status == Status::Parked {
            let next = "say what came of the step that is due, and turn it back: orderctl parked show";
            bail!("{id} is parked: a person decides, and no worker would see a cancellation\n{next} {id}");
        }
        let workflow = services::workflow();
        let decide = |seen: &Record, who: &str, now| protocol::cancel(&workflow, seen, who, now);
        let changed = self.change.make(target, id, "cancel", decide).await?;
        let report = changed.report("cancel", self.change.dry_run, &meaning(&changed.before));
        Ok(report.and_next(format!("orderctl get {id} --wait 30")))
    }
}

/// What follows from it.
fn meaning(seen: &Record) -> String {
    let now = Clock::system().now();
    let worker = match seen.lease_until_ms {
        Some(until) if until > now => "the worker that owns it".to_owned(),
        _ => "the worker that gets its message next".to_owned(),
    };
    let undone = match seen.outcomes.iter().next() {
        Some(_) => "settles the step that is due, refunds what was charged and releases the stock",
        None => "ends it before anything is reserved",
    };
    format!("{worker} {undone}; the customer is told that it is cancelled")
}
