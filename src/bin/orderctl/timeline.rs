//! `orderctl timeline`: what happened to an order, and when.

use std::fmt::Write as _;

use anyhow::Result;
use clap::Args;
use order_processor::clock::UnixMillis;
use order_processor::order::OrderId;
use order_processor::record::{Intervention, Outcome, REFUSAL, Record, Status};
use order_processor::services::inventory;
use order_processor::services::payment::PAYMENT_ID;
use serde_json::{Value, json};

use crate::get;
use crate::log_line::{self, RecordLine};
use crate::report::{Report, coloured};
use crate::send;
use crate::table::Table;

/// Show what happened to an order, and when
#[derive(Debug, Args)]
pub struct Timeline {
    /// Which order
    #[arg(value_name = "ORDER")]
    order_id: OrderId,
    /// The function's log, as JSON lines: what became of each delivery; - is standard input
    #[arg(long, value_name = "FILE")]
    log: Option<String>,
}

/// Something that happened.
#[derive(Debug, PartialEq, Eq)]
struct Event {
    at: Option<UnixMillis>,
    what: String,
    detail: String,
}

impl Timeline {
    /// Reads the order and tells its story.
    pub async fn run(&self, table: &Table) -> Result<Report> {
        let Some(record) = table.order(&self.order_id).await? else {
            return Err(get::missing(&self.order_id));
        };
        let told = match &self.log {
            Some(file) => log_line::of_order(&send::read(file)?, record.order_id()),
            None => Vec::new(),
        };
        Ok(Report::new(document(&record, &told), text(&record, &told)))
    }
}

/// The story as programs see it.
pub fn document(record: &Record, log: &[RecordLine]) -> Value {
    let events = events(record, log).into_iter().map(|event| {
        json!({ "at": event.at.map(UnixMillis::to_rfc3339), "what": event.what, "detail": event.detail })
    });
    json!({
        "order_id": record.order_id(),
        "status": record.status,
        "attempts": record.attempts,
        "takeovers": takeovers(record),
        "events": events.collect::<Vec<_>>(),
    })
}

/// The story as people see it: times count from the claim.
pub fn text(record: &Record, log: &[RecordLine]) -> String {
    let mut text = format!("{}  {}\n", record.order_id(), coloured(record.status));
    for Event { at, what, detail } in events(record, log) {
        let at = match at {
            Some(at) => format!("+{:>8.3} s", at.since(record.claimed_at_ms).as_secs_f64()),
            None => " ".repeat(11),
        };
        let _ = writeln!(text, "  {at}  {what:<20} {detail}");
    }
    text
}

/// How often a worker continued what another had begun.
pub fn takeovers(record: &Record) -> u64 {
    record.attempts.saturating_sub(1)
}

fn events(record: &Record, log: &[RecordLine]) -> Vec<Event> {
    let claimed = Event {
        at: Some(record.claimed_at_ms),
        what: "claimed".to_owned(),
        detail: record.claimed_at_ms.to_rfc3339(),
    };
    let mut steps: Vec<Event> =
        record.outcomes.iter().map(|(name, outcome)| step(record, name, outcome)).collect();
    steps.extend(record.operator_log.iter().map(intervention));
    steps.extend(log.iter().map(delivery));
    steps.sort_by_key(|event| event.at);
    let mut events = vec![claimed];
    // The record keeps how often, not when: it is between the claim and the last step.
    if takeovers(record) > 0 {
        let times = match takeovers(record) {
            1 => "once".to_owned(),
            times => format!("{times} times"),
        };
        let detail = format!("{times}, because the worker before had not finished it");
        events.push(Event { at: None, what: "taken over".to_owned(), detail });
    }
    events.extend(steps);
    events.extend(last(record));
    events
}

fn intervention(by: &Intervention) -> Event {
    Event { at: Some(by.at_ms), what: by.what.clone(), detail: format!("{}: {}", by.who, by.why) }
}

/// What the function said of one delivery of a message.
fn delivery(line: &RecordLine) -> Event {
    let receive = line.receive_count.map(|count| format!("receive {count}"));
    let took_over = line.took_over.then(|| "took it over".to_owned());
    let details = [receive, took_over, line.detail.clone()];
    let detail = details.into_iter().flatten().collect::<Vec<_>>().join(", ");
    Event { at: line.at(), what: format!("log: {}", line.outcome), detail }
}

fn step(record: &Record, name: &str, outcome: &Outcome) -> Event {
    let reserved = name == inventory::STEP.name;
    let at = if reserved { record.reserved_at_ms } else { outcome.done_at() };
    let detail = if name == REFUSAL {
        let refusal = record.outcomes.refusal();
        refusal.map(|refusal| format!("{}: {}", refusal.reason.as_str(), refusal.detail)).unwrap_or_default()
    } else if reserved {
        let lines: Vec<String> = outcome.quantities().iter().map(|(sku, n)| format!("{n} x {sku}")).collect();
        lines.join(", ")
    } else {
        let ids = [PAYMENT_ID, "refund_id", "shipment_id"].into_iter().find_map(|id| outcome.text(id));
        ids.unwrap_or_default().to_owned()
    };
    let what = if name == REFUSAL { "refused" } else { name };
    Event { at, what: what.to_owned(), detail }
}

/// The end, or what it is waiting for.
fn last(record: &Record) -> Option<Event> {
    let event = |what: &str, detail: String| {
        Some(Event { at: Some(record.updated_at_ms), what: what.to_owned(), detail })
    };
    match record.status {
        Status::Completed => event("completed", record.result.clone().unwrap_or_default()),
        Status::Rejected => event("rejected", record.result.clone().unwrap_or_default()),
        Status::Parked => event("parked", record.parked_reason.clone().unwrap_or_default()),
        Status::InProgress | Status::Compensating => {
            let lease = get::leased_until(record).map(|until| format!("leased until {}", until.to_rfc3339()));
            let lease = lease.unwrap_or_else(|| "nobody is at work on it".to_owned());
            let detail = format!("{} is due; {lease}", record.step);
            Some(Event { at: None, what: "unfinished".to_owned(), detail })
        }
    }
}
