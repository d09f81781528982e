//! `orderctl parked resume`: parked orders back to the workers.

use anyhow::{Result, bail};
use clap::Args;
use order_processor::clock::Clock;
use order_processor::order::{Order, OrderId};
use order_processor::protocol::{self, signed};
use order_processor::record::Record;
use serde::Serialize;
use serde_json::json;

use crate::change::{Change, moved};
use crate::get;
use crate::outbox::{self, Message};
use crate::pace::Pace;
use crate::report::{Report, columns};
use crate::send;
use crate::table::{Table, Written};
use crate::target::Target;

/// Give parked orders back to the workers: they go on where they were
///
/// First the record, and with it the message, then the message to the queue. If this is interrupted in between, do it again:
/// what was written is only sent once more.
#[derive(Debug, Args)]
pub struct Resume {
    /// Which orders
    #[arg(value_name = "ORDER", required_unless_present_any = ["all", "reason"])]
    orders: Vec<OrderId>,
    /// Every parked order whose reason contains this
    #[arg(long, value_name = "TEXT", conflicts_with = "orders")]
    reason: Option<String>,
    /// Every parked order
    #[arg(long, conflicts_with_all = ["orders", "reason", "seen"])]
    all: bool,
    /// For one order whose message was erased: its message, as the producer has it; - is standard input
    #[arg(long, value_name = "FILE", requires = "orders", conflicts_with_all = ["all", "reason"])]
    message: Option<String>,
    #[command(flatten)]
    pace: Pace,
    #[command(flatten)]
    change: Change,
}

/// What became of one order.
#[derive(Debug, Serialize)]
struct Line {
    order_id: String,
    /// `resumed`, `sent` (it was resumed before), `skipped`, `not_sent`, `failed`.
    outcome: &'static str,
    detail: String,
}

impl Line {
    fn new(record: &Record, outcome: &'static str, detail: impl Into<String>) -> Self {
        Line { order_id: record.order_id().to_owned(), outcome, detail: detail.into() }
    }

    fn is_done(&self) -> bool {
        matches!(self.outcome, "resumed" | "sent")
    }
}

struct Resumption<'a> {
    command: &'a Resume,
    table: Table,
    sqs: aws_sdk_sqs::Client,
    queue_url: String,
    who: String,
    message: Option<String>,
}

impl Resume {
    /// One after the other, at the rate that was asked for.
    pub async fn run(&self, target: &Target) -> Result<Report> {
        if self.orders.len() > 1 && (self.change.seen.is_some() || self.message.is_some()) {
            bail!("--seen and --message are about one order");
        }
        let table = Table::of(target);
        let records = self.records(&table).await?;
        let resumption = Resumption {
            command: self,
            table,
            sqs: target.sqs(),
            queue_url: target.orders_queue().await?,
            who: self.change.signature.who(target).await?,
            message: self.message.as_deref().map(send::read).transpose()?,
        };
        let mut ticks = self.pace.ticks();
        let mut lines = Vec::with_capacity(records.len());
        for record in &records {
            if !self.change.dry_run {
                ticks.tick().await;
            }
            let line = resumption.one(record).await;
            lines.push(line.unwrap_or_else(|error| Line::new(record, "failed", format!("{error:#}"))));
            if records.len() > 1 {
                eprintln!(
                    "{} of {}: {} {}",
                    lines.len(),
                    records.len(),
                    record.order_id(),
                    lines[lines.len() - 1].outcome
                );
            }
        }
        Ok(report(&lines, self.change.dry_run))
    }

    async fn records(&self, table: &Table) -> Result<Vec<Record>> {
        if self.orders.is_empty() {
            return super::waiting(table, self.reason.as_deref()).await;
        }
        let mut records = Vec::new();
        for id in &self.orders {
            let Some(record) = table.order(id).await? else { return Err(get::missing(id)) };
            self.change.check(&record)?;
            records.push(record);
        }
        Ok(records)
    }
}

impl Resumption<'_> {
    async fn one(&self, seen: &Record) -> Result<Line> {
        let now = Clock::system().now();
        if let Err(refused) = protocol::resume(seen, now) {
            return Ok(Line::new(seen, "skipped", refused.to_string()));
        }
        let body = match self.body(seen) {
            Ok(body) => body,
            Err(problem) => return Ok(Line::new(seen, "skipped", problem)),
        };
        let write = protocol::resume_with(seen, &body, now)?;
        let outcome = if write.is_some() { "resumed" } else { "sent" };
        if self.command.change.dry_run {
            return Ok(Line::new(seen, outcome, format!("goes on at {}", seen.step)));
        }
        if let Some(write) = write {
            let signature = &self.command.change.signature;
            let write = signed(write, &signature.entry(&self.who, "resume", now));
            if let Written::Moved(found) = self.table.write(&write).await? {
                return Ok(Line::new(seen, "skipped", moved(found.as_deref())));
            }
        }
        let message = Message::new("a resumed order", body);
        Ok(match outbox::send(&self.sqs, &self.queue_url, &[message]).await {
            Ok(_) => Line::new(seen, outcome, format!("goes on at {}", seen.step)),
            Err(error) => Line::new(
                seen,
                "not_sent",
                format!("the record is resumed, but its message was not sent: {error:#}; do it again"),
            ),
        })
    }

    /// The message to be sent: of this very order, whoever kept it.
    fn body(&self, seen: &Record) -> Result<String, String> {
        let Some(body) = &self.message else {
            return seen.order.clone().ok_or_else(|| match seen.parked_from {
                Some(_) => "its message was erased: give it by --message FILE".to_owned(),
                None => "it is not parked, and its message is in the queue still".to_owned(),
            });
        };
        let order = Order::parse(body).map_err(|invalid| format!("--message: {invalid}"))?;
        match order.id.as_str() == seen.order_id() && order.fingerprint() == seen.fingerprint {
            true => Ok(body.clone()),
            false => Err("--message: this is another order".to_owned()),
        }
    }
}

fn report(lines: &[Line], dry_run: bool) -> Report {
    let done = lines.iter().filter(|line| line.is_done()).count();
    let document = json!({ "dry_run": dry_run, "resumed": done, "orders": lines });
    let rows: Vec<_> = lines
        .iter()
        .map(|line| vec![line.order_id.clone(), line.outcome.to_owned(), line.detail.clone()])
        .collect();
    let would = if dry_run { "would be " } else { "" };
    let text = format!("{}{done} of {} {would}resumed", columns(&rows), lines.len());
    let report = Report::new(document, text).failed(done < lines.len());
    match lines.first() {
        Some(line) if !dry_run => report.and_next(format!("orderctl get {} --wait 30", line.order_id)),
        _ => report,
    }
}
