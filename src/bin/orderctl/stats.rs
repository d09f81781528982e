//! `orderctl stats`: how many orders and messages are where.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Result;
use aws_sdk_sqs::types::QueueAttributeName;
use clap::Args;
use order_processor::clock::{Clock, UnixMillis};
use order_processor::record::{Record, Status};
use serde::Serialize;
use serde_json::json;

use crate::log_line::RecordLine;
use crate::report::{Report, columns, print_text};
use crate::table::Table;
use crate::target::Target;
use crate::{failure, local, send, timeline};

/// Count orders and messages; reads the whole table
#[derive(Debug, Args)]
pub struct Stats {
    /// Again and again, until Ctrl-C
    #[arg(long)]
    pub watch: bool,
    /// The function's log, as JSON lines: for the rates of duplicates and retries; - is standard input
    #[arg(long, value_name = "FILE", conflicts_with = "watch")]
    log: Option<String>,
}

/// Between two counts; each reads the whole table.
const EVERY: Duration = Duration::from_secs(2);

#[derive(Debug, Default, Serialize)]
struct Orders {
    total: usize,
    by_status: BTreeMap<&'static str, u64>,
    rejected_by_reason: BTreeMap<&'static str, u64>,
    taken_over: u64,
    oldest_unfinished: Option<Oldest>,
}

#[derive(Debug, Serialize)]
struct Oldest {
    order_id: String,
    status: Status,
    step: String,
    seconds: u64,
}

/// What a queue holds, as SQS counts it.
#[derive(Debug, Default, Serialize)]
struct Depth {
    visible: u64,
    in_flight: u64,
    delayed: u64,
}

/// What the log says of deliveries.
#[derive(Debug, PartialEq, Serialize)]
struct Deliveries {
    received: u64,
    by_outcome: BTreeMap<String, u64>,
    duplicate_rate: f64,
    /// Of messages that were received before.
    redelivery_rate: f64,
}

impl Stats {
    /// Counts once, or until it is asked to end.
    pub async fn run(&self, target: &Target) -> Result<Report> {
        if !self.watch {
            return self.count(target).await;
        }
        let watching = async {
            loop {
                let report = self.count(target).await?;
                print_text(&format!("{}\n{}", Clock::system().now().to_rfc3339(), report.text()));
                tokio::time::sleep(EVERY).await;
            }
        };
        tokio::select! {
            ended = watching => ended,
            asked = local::asked_to_end() => asked.map(|()| Report::silent()),
        }
    }

    async fn count(&self, target: &Target) -> Result<Report> {
        let (records, _) = Table::of(target).orders(&[], usize::MAX).await?;
        let orders = orders(&records, Clock::system().now());
        let queue = depth(target, &target.orders_queue().await?).await?;
        // Not every queue has one, and doctor says so.
        let dead_letters = match target.dead_letter_queue().await {
            Ok(url) => Some(depth(target, &url).await?),
            Err(_) => None,
        };
        let deliveries = self.log.as_deref().map(send::read).transpose()?.map(|log| deliveries(&log));
        let text = text(&orders, &queue, dead_letters.as_ref(), deliveries.as_ref());
        let document = json!({ "orders": orders, "queue": queue, "dead_letters": dead_letters, "deliveries": deliveries });
        Ok(Report::new(document, text))
    }
}

fn orders(records: &[Record], now: UnixMillis) -> Orders {
    let mut orders = Orders { total: records.len(), ..Orders::default() };
    for record in records {
        *orders.by_status.entry(record.status.as_str()).or_default() += 1;
        orders.taken_over += u64::from(timeline::takeovers(record) > 0);
        if let (Status::Rejected, Some(refusal)) = (record.status, record.outcomes.refusal()) {
            *orders.rejected_by_reason.entry(refusal.reason.as_str()).or_default() += 1;
        }
    }
    let unfinished = records.iter().filter(|record| !record.status.is_finished());
    orders.oldest_unfinished = unfinished.min_by_key(|record| record.claimed_at_ms).map(|record| Oldest {
        order_id: record.order_id().to_owned(),
        status: record.status,
        step: record.step.clone(),
        seconds: now.since(record.claimed_at_ms).as_secs(),
    });
    orders
}

async fn depth(target: &Target, url: &str) -> Result<Depth> {
    let request = target.sqs().get_queue_attributes().queue_url(url).attribute_names(QueueAttributeName::All);
    let found = request.send().await.map_err(|error| failure::aws(format!("counting {url}"), error))?;
    let attributes = found.attributes.unwrap_or_default();
    let count = |name| attributes.get(&name).and_then(|value| value.parse().ok()).unwrap_or_default();
    Ok(Depth {
        visible: count(QueueAttributeName::ApproximateNumberOfMessages),
        in_flight: count(QueueAttributeName::ApproximateNumberOfMessagesNotVisible),
        delayed: count(QueueAttributeName::ApproximateNumberOfMessagesDelayed),
    })
}

#[expect(clippy::cast_precision_loss, reason = "a rate for people")]
fn deliveries(log: &str) -> Deliveries {
    let (mut by_outcome, mut received, mut again) = (BTreeMap::new(), 0, 0);
    for line in log.lines().filter_map(RecordLine::read) {
        received += 1;
        again += u64::from(line.receive_count > Some(1));
        *by_outcome.entry(line.outcome).or_default() += 1;
    }
    let duplicates = by_outcome.get("duplicate").copied().unwrap_or(0);
    let rate = |part: u64| if received == 0 { 0.0 } else { part as f64 / received as f64 };
    Deliveries { received, duplicate_rate: rate(duplicates), redelivery_rate: rate(again), by_outcome }
}

fn text(orders: &Orders, queue: &Depth, dead: Option<&Depth>, deliveries: Option<&Deliveries>) -> String {
    let mut rows = vec![vec!["orders".to_owned(), orders.total.to_string()]];
    let mut row = |name: &str, value: String| rows.push(vec![format!("  {name}"), value]);
    orders.by_status.iter().for_each(|(status, count)| row(status, count.to_string()));
    orders.rejected_by_reason.iter().for_each(|(reason, count)| row(reason, count.to_string()));
    row("taken over", orders.taken_over.to_string());
    if let Some(Oldest { order_id, status, step, seconds }) = &orders.oldest_unfinished {
        row("oldest unfinished", format!("{order_id}, {status} at {step} for {seconds} s"));
    }
    let of = |depth: &Depth| {
        format!("{} visible, {} in flight, {} delayed", depth.visible, depth.in_flight, depth.delayed)
    };
    rows.push(vec!["queue".to_owned(), of(queue)]);
    rows.push(vec!["dead letters".to_owned(), dead.map_or("no such queue".to_owned(), of)]);
    if let Some(deliveries) = deliveries {
        rows.push(vec!["deliveries in the log".to_owned(), deliveries.received.to_string()]);
        let outcomes = deliveries.by_outcome.iter();
        rows.extend(outcomes.map(|(outcome, count)| vec![format!("  {outcome}"), count.to_string()]));
        let percent = |rate: f64| format!("{:.1} %", rate * 100.0);
        rows.push(vec!["  duplicate rate".to_owned(), percent(deliveries.duplicate_rate)]);
        rows.push(vec!["  redelivery rate".to_owned(), percent(deliveries.redelivery_rate)]);
    }
    columns(&rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_of_what_was_received() {
        let line =
            |outcome: &str, count: u64| json!({ "outcome": outcome, "receive_count": count }).to_string();
        let log =
            [line("completed", 1), line("completed", 3), line("duplicate", 1), line("retry", 2)].join("\n");
        let Deliveries { received, by_outcome, duplicate_rate, redelivery_rate } = deliveries(&log);
        assert_eq!((received, by_outcome["completed"]), (4, 2));
        assert_eq!((duplicate_rate, redelivery_rate), (0.25, 0.5));
        assert_eq!(deliveries("no JSON\n").duplicate_rate, 0.0);
    }
}
