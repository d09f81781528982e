//! `orderctl dlq redrive`: back to the source queue, knowing what each message will come to.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use clap::Args;
use order_processor::clock::Clock;
use order_processor::letter::{Judgement, Prospect};
use order_processor::order::OrderId;
use serde::Serialize;
use serde_json::json;
use tokio::time::Interval;

use super::Filter;
use super::letter::Letter;
use super::mailbox::Mailbox;
use super::prospect::{Judge, sentence};
use crate::outbox::{self, Message};
use crate::pace::Pace;
use crate::report::{Report, columns, order_or_none};
use crate::target::Target;

/// Send dead-lettered messages to the queue of orders again, and delete what was sent
#[derive(Debug, Args)]
pub struct Redrive {
    #[command(flatten)]
    filter: Filter,
    /// Also those that would only come back: invalid, conflict, stale, and future before its time. Never the only message
    /// of an order whose function would acknowledge it
    #[arg(long)]
    even_hopeless: bool,
    /// Say what each would come to, and send nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    pace: Pace,
}

/// What became of one message.
#[derive(Debug, Serialize)]
struct Line {
    message_id: String,
    order_id: Option<String>,
    reason: &'static str,
    would: &'static str,
    /// `redriven` (on a dry run `would_be_redriven`), `left`, `sent_not_deleted`, `failed`.
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
        let (judge, sqs, queue_url) = (Judge::new(target).await, target.sqs(), target.orders_queue().await?);
        let now = Clock::system().now();
        let letters = mailbox.take(|letter| self.filter.takes(letter, now.since(letter.sent_at))).await?;
        let mut sending = Sending { sqs, queue_url, ticks: self.pace.ticks(), held: Groups::default() };
        let mut lines: Vec<Line> = Vec::with_capacity(letters.len());
        for letter in &letters {
            let line = self.one(letter, &judge, &mut sending, mailbox).await;
            eprintln!("{} of {}: {} {}", lines.len() + 1, letters.len(), line.message_id, line.outcome);
            lines.push(line);
        }
        Ok(lines)
    }

    async fn one(
        &self,
        letter: &Letter,
        judge: &Judge,
        sending: &mut Sending,
        mailbox: &mut Mailbox,
    ) -> Line {
        let mut judgement = judge.judge(letter).await;
        if self.left(&judgement).is_none() && !self.dry_run {
            sending.ticks.tick().await;
            // A record may have changed while this one waited for its turn.
            judgement = judge.judge(letter).await;
        }
        let (outcome, detail) = match self.left(&judgement) {
            _ if sending.held.has(letter) => ("left", Some("an earlier one of its group is left".to_owned())),
            Some(outcome) => (outcome, None),
            None if self.dry_run => ("would_be_redriven", None),
            None => sending.move_on(letter, mailbox).await,
        };
        if outcome == "failed" && sending.queue_url.ends_with(".fifo") {
            sending.held.hold(letter);
        }
        let detail = detail.unwrap_or_else(|| sentence(letter, &judgement));
        line(letter, judgement.prospect.name(), outcome, detail)
    }

    /// What is said of one that is not to be sent.
    fn left(&self, judgement: &Judgement) -> Option<&'static str> {
        match judgement.prospect {
            // One record that cannot be read is no reason to leave the others.
            Prospect::Unknown(_) => Some("failed"),
            _ if !judgement.may_be_sent() => Some("left"),
            _ => (judgement.comes_back && !self.even_hopeless).then_some("left"),
        }
    }
}

/// Where redriven messages go, and how fast.
struct Sending {
    sqs: aws_sdk_sqs::Client,
    queue_url: String,
    ticks: Interval,
    held: Groups,
}

/// The groups of a FIFO queue of which one could not be sent: what stands behind it in its group must not overtake it.
#[derive(Default)]
struct Groups(BTreeSet<String>);

impl Groups {
    fn hold(&mut self, letter: &Letter) {
        self.0.extend(letter.group.clone());
    }

    fn has(&self, letter: &Letter) -> bool {
        letter.group.as_ref().is_some_and(|group| self.0.contains(group))
    }
}

impl Sending {
    /// Deleted only once the queue of orders has it: a crash in between leaves a duplicate, which is harmless.
    async fn move_on(&self, letter: &Letter, mailbox: &mut Mailbox) -> (&'static str, Option<String>) {
        if mailbox.is_overdue() {
            return ("failed", Some("it was held too long: run this again".to_owned()));
        }
        let message = Message::new("a redriven message", &letter.body);
        let message = message.with(letter.producers_attributes(), letter.group.clone());
        if let Err(error) = outbox::send(&self.sqs, &self.queue_url, &[message]).await {
            return ("failed", Some(format!("{error:#}")));
        }
        match mailbox.delete(letter).await {
            Ok(()) => ("redriven", None),
            Err(error) => ("sent_not_deleted", Some(format!("{error:#}"))),
        }
    }
}

fn line(letter: &Letter, would: &'static str, outcome: &'static str, detail: String) -> Line {
    Line {
        message_id: letter.message_id.clone(),
        order_id: letter.order_id().map(OrderId::to_string),
        reason: letter.content.reason.name(),
        would,
        outcome,
        detail,
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
    let redriven =
        ["redriven", "would_be_redriven"].iter().filter_map(|outcome| counts.get(outcome)).sum::<u64>();
    let text = format!("{}{redriven} of {} {would}redriven", columns(&rows), lines.len());
    let bad = lines.iter().any(|line| matches!(line.outcome, "failed" | "sent_not_deleted"));
    Report::new(document, text).failed(bad)
}

fn row(line: &Line) -> Vec<String> {
    vec![
        line.message_id.clone(),
        order_or_none(line.order_id.as_deref()).to_owned(),
        line.reason.to_owned(),
        line.outcome.to_owned(),
        line.detail.clone(),
    ]
}

#[cfg(test)]
mod tests {
    use super::super::letter::tests::conflict;
    use super::*;

    #[test]
    fn what_stands_behind_one_that_was_not_sent_waits_with_it() {
        let of = |group: Option<&str>| Letter { group: group.map(str::to_owned), ..conflict() };
        let mut groups = Groups::default();
        groups.hold(&of(None));
        groups.hold(&of(Some("a")));
        assert!(groups.has(&of(Some("a"))) && !groups.has(&of(Some("b"))) && !groups.has(&of(None)));
    }
}
