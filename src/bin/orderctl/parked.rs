//! `orderctl parked`: the orders that wait for a person.

mod place;
mod resume;
mod statement;

use anyhow::Result;
use clap::{Args, Subcommand};
use order_processor::clock::{Clock, UnixMillis};
use order_processor::order::OrderId;
use order_processor::protocol;
use order_processor::record::{Record, Status};
use order_processor::services;
use serde_json::{Value, json};

use crate::change::Change;
use crate::failure;
use crate::get;
use crate::report::{Report, columns};
use crate::table::Table;
use crate::target::Target;
use crate::timeline;
use place::Place;
use resume::Resume;
use statement::{MarkDone, MarkNotDone};

/// List, show and decide the orders that wait for a person
#[derive(Debug, Args)]
pub struct Parked {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Every parked order, the oldest first, and those whose message no worker has taken up since they were resumed
    List {
        /// Only those whose reason contains this
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
    },
    /// One order: why it waits, what is known, and what can be done
    Show {
        /// Which order
        #[arg(value_name = "ORDER")]
        order_id: OrderId,
    },
    Resume(Resume),
    MarkDone(MarkDone),
    MarkNotDone(MarkNotDone),
    Place(Place),
    /// Turn the order back: once resumed, what was done is undone, and it is rejected as cancelled
    Compensate {
        /// Which order
        #[arg(value_name = "ORDER")]
        order_id: OrderId,
        #[command(flatten)]
        change: Change,
    },
}

impl Parked {
    /// Does what was asked for.
    pub async fn run(&self, target: &Target) -> Result<Report> {
        match &self.command {
            Command::List { reason } => list(&Table::of(target), reason.as_deref()).await,
            Command::Show { order_id } => show(&Table::of(target), order_id).await,
            Command::Resume(resume) => resume.run(target).await,
            Command::MarkDone(mark) => mark.run(target).await,
            Command::MarkNotDone(mark) => mark.run(target).await,
            Command::Place(place) => place.run(target).await,
            Command::Compensate { order_id, change } => compensate(target, order_id, change).await,
        }
    }
}

/// The orders that wait, the longest first: parked for a reason that has `reason` in it, or resumed without a worker
/// that has taken their message up. Those are there whatever the reason was: their sending may have failed.
pub async fn waiting(table: &Table, reason: Option<&str>) -> Result<Vec<Record>> {
    let unfinished = [Status::Parked, Status::InProgress, Status::Compensating];
    let (mut records, _) = table.orders(&unfinished, usize::MAX).await?;
    records.retain(|record| match (record.status, reason) {
        (Status::Parked, Some(text)) => {
            record.parked_reason.as_ref().is_some_and(|reason| reason.contains(text))
        }
        (Status::Parked, None) => true,
        _ => record.order.is_some(),
    });
    records.sort_by_key(|record| (record.updated_at_ms, record.pk.clone()));
    Ok(records)
}

async fn list(table: &Table, reason: Option<&str>) -> Result<Report> {
    let records = waiting(table, reason).await?;
    let document = json!({ "parked": records.iter().map(document).collect::<Vec<_>>() });
    if records.is_empty() {
        return Ok(Report::new(document, "no parked orders"));
    }
    let rows = records.iter().map(|record| {
        let reason = record.parked_reason.as_deref().unwrap_or("resumed; no worker has it yet");
        vec![
            record.order_id().to_owned(),
            record.updated_at_ms.to_rfc3339(),
            record.step.clone(),
            reason.to_owned(),
        ]
    });
    let report = Report::new(document, columns(&rows.collect::<Vec<_>>()));
    Ok(report.and_next(format!("orderctl parked show {}", records[0].order_id())))
}

/// The order as programs see it, with what can be done.
fn document(record: &Record) -> Value {
    let mut document = get::document(record);
    document["idempotency_key"] = json!(record.idempotency_key(&record.step));
    document["message_kept"] = json!(record.order.is_some());
    document["possible"] = json!(possible(record, Clock::system().now()));
    document
}

async fn show(table: &Table, id: &OrderId) -> Result<Report> {
    let Some(record) = table.order(id).await? else { return Err(get::missing(id)) };
    let waits = record.status == Status::Parked || record.order.is_some();
    if !waits {
        let what = format!("{id} is not parked: it is {}", record.status);
        return Err(failure::not_found(what, format!("orderctl get {id}")));
    }
    let possible = possible(&record, Clock::system().now());
    let mut text = get::text(&record) + &timeline::text(&record, &[]);
    text += &format!("  {} is called under the key {}\n", record.step, record.idempotency_key(&record.step));
    if record.order.is_none() {
        text += "  its message was erased: a worker needs it again\n";
    }
    text += "what can be done:\n";
    possible.iter().for_each(|command| text += &format!("  {command}\n"));
    Ok(Report::new(document(&record), text))
}

/// The commands that the protocol accepts for this record.
fn possible(record: &Record, now: UnixMillis) -> Vec<String> {
    let (workflow, id, step) = (services::workflow(), record.order_id(), &record.step);
    let (seen, why) = (format!("--seen {}", record.fence.0), "--why TEXT");
    let mut commands = Vec::new();
    if protocol::resume(record, now).is_ok() {
        let message = if record.order.is_some() { "" } else { " --message FILE" };
        commands.push(format!("orderctl parked resume {id} {seen}{message} {why}"));
    }
    if protocol::mark(&workflow, record, step, protocol::Statement::NotDone, now).is_ok() {
        let outcome =
            statement::expected(step).map_or(String::new(), |name| format!(" --outcome {name}=..."));
        commands.push(format!("orderctl parked mark-done {id} {step}{outcome} {seen} {why}"));
        commands.push(format!("orderctl parked mark-not-done {id} {step} {seen} {why}"));
    }
    if protocol::compensate_parked(&workflow, record, "", now).is_ok() {
        commands.push(format!("orderctl parked compensate {id} {seen} {why}"));
    }
    commands.extend(place::possible(&workflow, record));
    commands
}

async fn compensate(target: &Target, id: &OrderId, change: &Change) -> Result<Report> {
    let workflow = services::workflow();
    let decide = |seen: &Record, who: &str, now| protocol::compensate_parked(&workflow, seen, who, now);
    let changed = change.make(target, id, "compensate", decide).await?;
    let meaning =
        format!("once resumed, it goes back from {} and is rejected as cancelled", changed.after.step);
    let report = changed.report("compensate", change.dry_run, &meaning);
    Ok(report.and_next(format!("orderctl parked resume {id} --why TEXT")))
}
