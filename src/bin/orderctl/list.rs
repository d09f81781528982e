//! `orderctl list`: the orders in the table.

use std::fmt::Write as _;

use anyhow::Result;
use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use order_processor::clock::{Clock, UnixMillis};
use order_processor::record::{Record, Status};
use serde_json::{Value, json};

use crate::get;
use crate::report::{Report, coloured, columns};
use crate::table::Table;

/// List orders; reads the table until there are enough
#[derive(Debug, Args)]
pub struct List {
    /// Only those of this status
    #[arg(long, value_parser = status())]
    status: Option<Status>,
    /// What is not finished: since when, at which step, whether somebody is at work on it
    #[arg(long, conflicts_with = "status")]
    unfinished: bool,
    /// At most so many
    #[arg(long, value_name = "N", default_value_t = 50)]
    limit: usize,
}

const STATUSES: [Status; 5] =
    [Status::InProgress, Status::Compensating, Status::Completed, Status::Rejected, Status::Parked];

fn status() -> impl TypedValueParser<Value = Status> {
    PossibleValuesParser::new(STATUSES.map(Status::as_str)).map(|name| {
        let status = STATUSES.into_iter().find(|status| status.as_str() == name);
        status.expect("the parser lets nothing else through")
    })
}

impl List {
    /// Reads the table.
    pub async fn run(&self, table: &Table) -> Result<Report> {
        let statuses: &[Status] = if self.unfinished { &UNFINISHED } else { self.status.as_slice() };
        let (mut records, more) = table.orders(statuses, self.limit).await?;
        records.sort_by_key(|record| (record.claimed_at_ms, record.pk.clone()));
        let now = Clock::system().now();
        let orders: Vec<Value> = records.iter().map(|record| document(record, now)).collect();
        let text = if self.unfinished { unfinished(&records, now) } else { text(&records) };
        let report = Report::new(json!({ "orders": orders, "more": more }), text);
        Ok(if more { report.and_next(format!("orderctl list --limit {}", self.limit * 10)) } else { report })
    }
}

const UNFINISHED: [Status; 3] = [Status::InProgress, Status::Compensating, Status::Parked];

/// The order, and how it stands with its lease.
fn document(record: &Record, now: UnixMillis) -> Value {
    let mut document = get::document(record);
    if !record.status.is_finished() {
        document["lease_over"] = json!(record.lease_until_ms.is_none_or(|until| until <= now));
        document["unchanged_ms"] = json!(now.since(record.updated_at_ms).as_millis());
    }
    document
}

fn unfinished(records: &[Record], now: UnixMillis) -> String {
    let rows = records.iter().map(|record| {
        let waits_for = match (&record.parked_reason, record.lease_until_ms) {
            (Some(reason), _) => format!("a person: {reason}"),
            (None, Some(until)) if until > now => format!("its worker, until {}", until.to_rfc3339()),
            (None, _) => "the next delivery of its message; the lease is over".to_owned(),
        };
        vec![
            record.order_id().to_owned(),
            coloured(record.status),
            record.step.clone(),
            format!("for {} s", now.since(record.updated_at_ms).as_secs()),
            format!("attempt {}", record.attempts),
            format!("waits for {waits_for}"),
        ]
    });
    let rows: Vec<_> = rows.collect();
    if rows.is_empty() { "nothing is unfinished".to_owned() } else { columns(&rows) }
}

fn text(records: &[Record]) -> String {
    if records.is_empty() {
        return "no orders".to_owned();
    }
    let widest = records.iter().map(|record| record.order_id().len()).max().unwrap_or(0);
    let mut text = String::new();
    for record in records {
        // Padded before it is coloured: an escape sequence has no width.
        let gap = " ".repeat("COMPENSATING".len() - record.status.as_str().len());
        let (id, status) = (record.order_id(), coloured(record.status));
        let detail = match (&record.parked_reason, record.outcomes.refusal()) {
            (Some(reason), _) => reason.clone(),
            (None, Some(refusal)) => refusal.reason.as_str().to_owned(),
            (None, None) if record.status.is_finished() => String::new(),
            (None, None) => record.step.clone(),
        };
        let _ =
            writeln!(text, "{id:<widest$}  {status}{gap}  {}  {detail}", record.claimed_at_ms.to_rfc3339());
    }
    text
}
