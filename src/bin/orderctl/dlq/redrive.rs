//! `orderctl dlq redrive`: back to the source queue, knowing what each message will come to.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Result;
use clap::Args;
use order_processor::clock::{Clock, UnixMillis};
use order_processor::config::name;
use order_processor::order::Order;
use order_processor::processor::MAX_FUTURE;
use order_processor::protocol::{Existing, on_existing};
use order_processor::record::{Owner, Record};
use serde::Serialize;
use serde_json::json;

use super::Filter;
use super::letter::Letter;
use super::mailbox::Mailbox;
use crate::environment::variable;
use crate::outbox::{self, Message};
use crate::pace::Pace;
use crate::report::{Report, columns};
use crate::table::Table;
use crate::target::Target;

/// Send dead-lettered messages to the queue of orders again, and delete what was sent
#[derive(Debug, Args)]
pub struct Redrive {
    #[command(flatten)]
    filter: Filter,
    /// Also those that cannot end otherwise: invalid, conflict, stale
    #[arg(long)]
    even_hopeless: bool,
    /// Say what each would come to, and send nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    pace: Pace,
}

/// What a message would come to now, given the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Prospect {
    Invalid,
    AnsweredAlready,
    Parked,
    InProgress(UnixMillis),
    UnknownVersion(u32),
    Resume { step: String },
    Conflict,
    Stale,
    Future,
    Run,
}

impl Prospect {
    /// What it means for `order` that `found` is there, as the function decides it.
    pub fn of(order: Option<&Order>, found: Option<Record>, max_age: Duration, now: UnixMillis) -> Prospect {
        let Some(order) = order else { return Prospect::Invalid };
        let nobody = Owner(String::new());
        match found.map(|found| on_existing(found, &nobody, &order.fingerprint(), now)) {
            Some(Existing::Conflict { .. }) => Prospect::Conflict,
            Some(Existing::Finished { .. }) => Prospect::AnsweredAlready,
            Some(Existing::Parked) => Prospect::Parked,
            Some(Existing::Busy { until }) => Prospect::InProgress(until),
            Some(Existing::UnknownVersion(version)) => Prospect::UnknownVersion(version),
            Some(Existing::Mine(record) | Existing::Lapsed(record)) => Prospect::Resume { step: record.step },
            None if now.since(order.placed_at) > max_age => Prospect::Stale,
            None if order.placed_at.since(now) > MAX_FUTURE => Prospect::Future,
            None => Prospect::Run,
        }
    }

    /// For programs.
    pub fn name(&self) -> &'static str {
        match self {
            Prospect::Invalid => "invalid",
            Prospect::AnsweredAlready => "answered_already",
            Prospect::Parked => "parked",
            Prospect::InProgress(_) => "in_progress",
            Prospect::UnknownVersion(_) => "unknown_version",
            Prospect::Resume { .. } => "resume",
            Prospect::Conflict => "conflict",
            Prospect::Stale => "stale",
            Prospect::Future => "future",
            Prospect::Run => "run",
        }
    }

    /// What more there is to say.
    pub fn detail(&self) -> Option<String> {
        match self {
            Prospect::InProgress(until) => Some(until.to_rfc3339()),
            Prospect::UnknownVersion(version) => Some(version.to_string()),
            Prospect::Resume { step } => Some(step.clone()),
            _ => None,
        }
    }

    /// For people.
    pub fn sentence(&self) -> String {
        match self {
            Prospect::Invalid => "come back: it is no valid order".to_owned(),
            Prospect::AnsweredAlready => "get the stored answer: nothing runs".to_owned(),
            Prospect::Parked => {
                "be deleted: the order is parked, and the record keeps its message".to_owned()
            }
            Prospect::InProgress(until) => {
                format!("wait: a worker owns the order until {}", until.to_rfc3339())
            }
            Prospect::UnknownVersion(version) => format!("wait: the order is of workflow version {version}"),
            Prospect::Resume { step } => format!("go on at {step}"),
            Prospect::Conflict => "come back: another order has this ID".to_owned(),
            Prospect::Stale => "come back: it was placed too long ago".to_owned(),
            Prospect::Future => "come back: it is placed in the future".to_owned(),
            Prospect::Run => "run as a new order".to_owned(),
        }
    }

    /// Whether the message would only come back.
    fn is_hopeless(&self) -> bool {
        matches!(self, Prospect::Invalid | Prospect::Conflict | Prospect::Stale | Prospect::Future)
    }
}

/// Says what messages would come to.
pub struct Judge {
    table: Table,
    max_age: Duration,
}

/// The function's own default.
const MAX_ORDER_AGE_DAYS: u64 = 21;

impl Judge {
    /// By the table of `target`, and the age that `MAX_ORDER_AGE_DAYS` names here as for the function.
    pub fn new(target: &Target) -> Judge {
        let days = variable(name::MAX_ORDER_AGE_DAYS).and_then(|days| days.parse().ok());
        let max_age = Duration::from_secs(days.unwrap_or(MAX_ORDER_AGE_DAYS) * 86_400);
        Judge { table: Table::of(target), max_age }
    }

    /// By one consistent read.
    pub async fn prospect(&self, letter: &Letter) -> Result<Prospect> {
        let found = match &letter.order {
            Some(order) => self.table.order(&order.id).await?,
            None => None,
        };
        Ok(Prospect::of(letter.order.as_ref(), found, self.max_age, Clock::system().now()))
    }
}

/// What became of one message.
#[derive(Debug, Serialize)]
struct Line {
    message_id: String,
    order_id: Option<String>,
    reason: &'static str,
    would: &'static str,
    /// `redriven`, `left` (hopeless), `sent_not_deleted`, `failed`.
    outcome: &'static str,
    detail: String,
}

impl Redrive {
    /// One after the other, at the rate that was asked for. Whatever is not sent is given back.
    pub async fn run(&self, target: &Target) -> Result<Report> {
        let mut mailbox = Mailbox::open(target).await?;
        let redriven = self.through(target, &mut mailbox).await;
        mailbox.give_back().await;
        Ok(report(&redriven?, self.dry_run))
    }

    async fn through(&self, target: &Target, mailbox: &mut Mailbox) -> Result<Vec<Line>> {
        let (judge, sqs, queue_url) = (Judge::new(target), target.sqs(), target.orders_queue().await?);
        let now = Clock::system().now();
        let letters = mailbox.take(|letter| self.filter.takes(letter, now.since(letter.sent_at))).await?;
        let mut ticks = self.pace.ticks();
        let mut lines = Vec::with_capacity(letters.len());
        for letter in &letters {
            let prospect = judge.prospect(letter).await?;
            let left = !self.even_hopeless && (letter.reason.is_hopeless() || prospect.is_hopeless());
            let outcome = if left {
                ("left", None)
            } else if self.dry_run {
                ("redriven", None)
            } else if mailbox.is_overdue() {
                ("failed", Some("it was held too long: run this again".to_owned()))
            } else {
                ticks.tick().await;
                one(&sqs, &queue_url, mailbox, letter).await
            };
            lines.push(line(letter, &prospect, outcome));
            eprintln!("{} of {}: {} {}", lines.len(), letters.len(), letter.message_id, outcome_name(&lines));
        }
        Ok(lines)
    }
}

fn outcome_name(lines: &[Line]) -> &'static str {
    lines.last().map_or("", |line| line.outcome)
}

/// Deleted only once the queue of orders has it: a crash in between leaves a duplicate, which is harmless.
async fn one(
    sqs: &aws_sdk_sqs::Client,
    queue_url: &str,
    mailbox: &mut Mailbox,
    letter: &Letter,
) -> (&'static str, Option<String>) {
    let message = Message::new("a redriven message", &letter.body).with(letter.own_attributes());
    if let Err(error) = outbox::send(sqs, queue_url, &[message]).await {
        return ("failed", Some(format!("{error:#}")));
    }
    match mailbox.delete(letter).await {
        Ok(()) => ("redriven", None),
        Err(error) => ("sent_not_deleted", Some(format!("{error:#}"))),
    }
}

fn line(letter: &Letter, prospect: &Prospect, (outcome, detail): (&'static str, Option<String>)) -> Line {
    Line {
        message_id: letter.message_id.clone(),
        order_id: letter.order_id.as_ref().map(ToString::to_string),
        reason: letter.reason.name(),
        would: prospect.name(),
        outcome,
        detail: detail.unwrap_or_else(|| prospect.sentence()),
    }
}

fn report(lines: &[Line], dry_run: bool) -> Report {
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    let mut prospects: BTreeMap<&str, u64> = BTreeMap::new();
    for line in lines {
        *counts.entry(line.outcome).or_default() += 1;
        *prospects.entry(line.would).or_default() += 1;
    }
    let document = json!({ "dry_run": dry_run, "counts": counts, "prospects": prospects, "messages": lines });
    let rows: Vec<Vec<String>> = lines.iter().map(row).collect();
    let would = if dry_run { "would be " } else { "" };
    let redriven = counts.get("redriven").copied().unwrap_or(0);
    let text = format!("{}{redriven} of {} {would}redriven", columns(&rows), lines.len());
    let bad = lines.iter().any(|line| matches!(line.outcome, "failed" | "sent_not_deleted"));
    Report::new(document, text).failed(bad)
}

fn row(line: &Line) -> Vec<String> {
    vec![
        line.message_id.clone(),
        line.order_id.clone().unwrap_or_else(|| "(no order ID)".to_owned()),
        line.reason.to_owned(),
        line.outcome.to_owned(),
        line.detail.clone(),
    ]
}

#[cfg(test)]
mod tests {
    use order_processor::protocol::{self, Claimant};
    use order_processor::record::Status;
    use order_processor::services;

    use super::*;

    const AGE: Duration = Duration::from_secs(86_400);

    fn order(placed_at: &str) -> Order {
        let body = json!({
            "order_id": "ord-1", "customer_id": "cus-1", "placed_at": placed_at, "currency": "USD",
            "items": [{ "sku": "mug", "quantity": 1, "unit_price": 1 }], "payment_method": "pm_card_visa",
        });
        Order::parse(&body.to_string()).unwrap()
    }

    #[test]
    fn a_message_without_a_record_runs_within_its_window_and_not_a_millisecond_beyond() {
        let order = order("2026-11-24T01:00:00Z");
        let placed = order.placed_at;
        let of = |now| Prospect::of(Some(&order), None, AGE, now);
        assert_eq!(of(placed + AGE), Prospect::Run);
        assert_eq!(of(placed + AGE + Duration::from_millis(1)), Prospect::Stale);
        let early = UnixMillis(placed.0 - 3_600_000);
        assert_eq!(of(early), Prospect::Run);
        assert_eq!(of(UnixMillis(early.0 - 1)), Prospect::Future);
        assert_eq!(Prospect::of(None, None, AGE, placed), Prospect::Invalid);
    }

    #[test]
    fn a_record_decides_whatever_the_age() {
        let order = order("2020-01-01T00:00:00Z");
        let (now, until) = (UnixMillis(1_795_482_001_000), UnixMillis(1_795_482_001_001));
        let claimant = Claimant { owner: Owner("a worker".into()), lease_until: until };
        let record = protocol::claim(&services::workflow(), &order, &claimant, UnixMillis(0)).after;
        let of = |record: Record, now| Prospect::of(Some(&order), Some(record), AGE, now);
        assert_eq!(of(record.clone(), now), Prospect::InProgress(until));
        assert_eq!(of(record.clone(), until), Prospect::Resume { step: "reserve_inventory".into() });
        assert_eq!(of(Record { status: Status::Parked, ..record.clone() }, now), Prospect::Parked);
        assert_eq!(
            of(Record { status: Status::Completed, ..record.clone() }, now),
            Prospect::AnsweredAlready
        );
        assert_eq!(of(Record { workflow_version: 99, ..record.clone() }, now), Prospect::UnknownVersion(99));
        let other = serde_json::from_value(json!("v1:0")).unwrap();
        assert_eq!(of(Record { fingerprint: other, ..record }, now), Prospect::Conflict);
    }
}
