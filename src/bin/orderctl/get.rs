//! `orderctl get`: what is known about an order.

use std::fmt::Write as _;
use std::time::Duration;

use anyhow::Result;
use clap::Args;
use order_processor::clock::UnixMillis;
use order_processor::order::OrderId;
use order_processor::record::{RELEASED, Record, Status};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::failure;
use crate::report::{Report, coloured};
use crate::table::Table;

/// Show an order: how far it is, and its answer
#[derive(Debug, Args)]
pub struct Get {
    /// Which order
    #[arg(value_name = "ORDER")]
    order_id: OrderId,
    /// Wait until it is finished, so many seconds at most
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    wait: u64,
}

/// Between two looks at an order that is not finished. A look costs one read unit.
const POLL: Duration = Duration::from_millis(250);

impl Get {
    /// Reads the order, again and again if it has to wait.
    pub async fn run(&self, table: &Table) -> Result<Report> {
        let end = Instant::now() + Duration::from_secs(self.wait);
        let record = loop {
            let record = table.order(&self.order_id).await?;
            let settled = record.as_ref().is_some_and(is_settled);
            if settled || Instant::now() >= end {
                break record;
            }
            tokio::time::sleep(POLL).await;
        };
        let Some(record) = record else { return Err(missing(&self.order_id)) };
        let unfinished = self.wait > 0 && !record.status.is_finished();
        let report = Report::new(document(&record), text(&record)).failed(unfinished);
        Ok(match record.status {
            Status::Parked => report.and_next(format!("orderctl timeline {}", self.order_id)),
            _ if unfinished => report.and_next(format!("orderctl timeline {}", self.order_id)),
            _ => report,
        })
    }
}

/// Nothing changes any more without an operator.
fn is_settled(record: &Record) -> bool {
    record.status.is_finished() || record.status == Status::Parked
}

/// No record: not sent, not yet processed, or dead-lettered.
pub fn missing(id: &OrderId) -> anyhow::Error {
    let next = "it may still be in the queue (orderctl get ORDER --wait 30), or in the dead-letter queue with its reason";
    failure::not_found(format!("there is no order {id}"), next)
}

/// The order as programs see it.
pub fn document(record: &Record) -> Value {
    json!({
        "order_id": record.order_id(),
        "status": record.status,
        "step": record.step,
        "attempts": record.attempts,
        "result": result(record),
        "fence": record.fence,
        "claimed_at": record.claimed_at_ms.to_rfc3339(),
        "updated_at": record.updated_at_ms.to_rfc3339(),
        "lease_until": leased_until(record).map(UnixMillis::to_rfc3339),
        "expires_at": record.expires_at.map(|seconds| rfc3339(seconds.0)),
        "cancel_requested": record.cancel_requested,
        "parked_from": record.parked_from,
        "parked_reason": record.parked_reason,
        "outcomes": record.outcomes,
        "fingerprint": record.fingerprint,
        "workflow_version": record.workflow_version,
        "key_generation": record.key_generation,
        "changed_by": record.operator_log,
    })
}

fn rfc3339(seconds: u64) -> String {
    order_processor::clock::UnixMillis(seconds.saturating_mul(1000)).to_rfc3339()
}

/// The answer as JSON; as the text it is if it should be none.
pub fn result(record: &Record) -> Option<Value> {
    let text = record.result.as_ref()?;
    Some(serde_json::from_str(text).unwrap_or_else(|_| Value::from(text.as_str())))
}

/// The fields of an answer, in the order in which people read them.
const ANSWER: [&str; 7] =
    ["total", "currency", "payment_id", "shipment_id", "reason", "detail", "finished_at"];

/// The order as people see it.
pub fn text(record: &Record) -> String {
    let mut text = format!("{}  {}\n", record.order_id(), coloured(record.status));
    let mut line = |name: &str, value: &str| {
        let _ = writeln!(text, "  {name:<14} {value}");
    };
    let answer = result(record);
    match answer.as_ref().and_then(Value::as_object) {
        Some(fields) => {
            let known = ANSWER.iter().filter_map(|name| Some((*name, fields.get(*name)?)));
            known.for_each(|(name, value)| line(name, value.as_str().unwrap_or(&value.to_string())));
        }
        None => line("next step", &record.step),
    }
    if let Some(reason) = &record.parked_reason {
        line("parked because", reason);
    }
    if let Some(who) = &record.cancel_requested {
        line("cancelled by", who);
    }
    line("claimed_at", &record.claimed_at_ms.to_rfc3339());
    line("attempts", &record.attempts.to_string());
    line("fence", &record.fence.0.to_string());
    if let Some(until) = leased_until(record) {
        line("leased until", &until.to_rfc3339());
    }
    if let Some(seconds) = record.expires_at {
        line("expires_at", &rfc3339(seconds.0));
    }
    text
}

/// The end of the lease; a lease that was given up is none.
pub fn leased_until(record: &Record) -> Option<UnixMillis> {
    record.lease_until_ms.filter(|until| *until > RELEASED)
}
