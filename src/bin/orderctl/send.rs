//! `orderctl send`: order messages, good ones and bad ones.

mod scenario;

use std::collections::BTreeSet;
use std::fmt::Write as _;

use anyhow::{Context, Result, anyhow};
use clap::Args;
use order_processor::clock::Clock;
use order_processor::order::Order;
use serde_json::json;

use crate::draft::{Draft, Line};
use crate::outbox::{self, Message};
use crate::report::{Report, order_or_none};
use crate::target::Target;
use scenario::Scenario;
pub use scenario::poison;

/// Send order messages: from flags, a file, standard input, or a scenario
///
/// With nothing else given, an order for one mug under a new ID.
#[derive(Debug, Args)]
pub struct Send {
    /// Send this file's content; - is standard input
    #[arg(value_name = "FILE", conflicts_with_all = ["Flags", "scenario"])]
    file: Option<String>,
    /// Send every message so many times
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    copies: u32,
    /// Send the messages of a known situation instead
    #[arg(long, value_enum)]
    scenario: Option<Scenario>,
    /// How many orders the scenario has [default: 1, burst: 100]
    #[arg(long, value_name = "N", requires = "scenario", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    count: Option<u32>,
    /// Send a message that is no valid order as it is
    #[arg(long)]
    no_check: bool,
    #[command(flatten)]
    flags: Flags,
}

/// The fields of the order.
#[derive(Debug, Args)]
#[group(multiple = true)]
#[command(next_help_heading = "Order")]
struct Flags {
    /// The idempotency key [default: a new one]
    #[arg(long, value_name = "ID")]
    order_id: Option<String>,
    /// SKU, quantity and unit price in minor units; may be repeated [default: mug:1:1299]
    #[arg(long = "item", value_name = "SKU:QTY:PRICE")]
    items: Vec<Line>,
    /// Who orders [default: cus-1]
    #[arg(long, value_name = "ID")]
    customer: Option<String>,
    /// The payment provider's token [default: pm_card_visa]
    #[arg(long, value_name = "TOKEN")]
    payment_method: Option<String>,
    /// Of the prices [default: USD]
    #[arg(long, value_name = "ISO")]
    currency: Option<String>,
    /// When the customer ordered, RFC 3339 [default: now]
    #[arg(long, value_name = "TIME")]
    placed_at: Option<String>,
}

/// The most messages that are listed one by one.
const LISTED: usize = 20;

impl Send {
    /// Checks, sends, and says what to look at next.
    pub async fn run(&self, target: &Target) -> Result<Report> {
        let messages = self.messages()?;
        let queue_url = target.orders_queue().await?;
        let ids = outbox::send(&target.sqs(), &queue_url, &messages).await?;
        Ok(report(&queue_url, &messages, &ids))
    }

    fn messages(&self) -> Result<Vec<Message>> {
        let now = Clock::system().now();
        let messages = match (&self.file, self.scenario) {
            (Some(file), _) => vec![Message::new("the order", read(file)?)],
            (None, Some(scenario)) => scenario.messages(&self.draft(now.to_rfc3339()), self.count, now),
            (None, None) => vec![Message::new("the order", self.draft(now.to_rfc3339()).body())],
        };
        if !self.no_check && self.scenario != Some(Scenario::Poison) {
            for message in &messages {
                check(&message.body)?;
            }
        }
        let copies = messages.into_iter().flat_map(|message| {
            let copy = Message { what: "an exact copy", ..message.clone() };
            std::iter::once(message).chain(std::iter::repeat_n(copy, self.copies as usize - 1))
        });
        Ok(copies.collect())
    }

    fn draft(&self, now: String) -> Draft {
        let Flags { order_id, items, customer, payment_method, currency, placed_at } = &self.flags;
        let or = |given: &Option<String>, unset: &str| given.clone().unwrap_or_else(|| unset.to_owned());
        let mug = || vec![Line { sku: "mug".to_owned(), quantity: 1, unit_price: 1299 }];
        Draft {
            order_id: order_id.clone().unwrap_or_else(|| format!("ord-{:08x}", fastrand::u32(..))),
            customer_id: or(customer, "cus-1"),
            placed_at: placed_at.clone().unwrap_or(now),
            currency: or(currency, "USD"),
            items: if items.is_empty() { mug() } else { items.clone() },
            payment_method: or(payment_method, "pm_card_visa"),
            metadata: [("channel".to_owned(), "orderctl".to_owned())].into(),
        }
    }
}

/// What stands in `file`; `-` is standard input.
pub fn read(file: &str) -> Result<String> {
    if file == "-" {
        return std::io::read_to_string(std::io::stdin()).context("reading standard input");
    }
    std::fs::read_to_string(file).with_context(|| format!("reading {file}"))
}

/// The function would dead-letter it, so it is refused here, in the same words.
fn check(body: &str) -> Result<()> {
    match Order::parse(body) {
        Ok(_) => Ok(()),
        Err(invalid) => Err(anyhow!(
            "not a valid order: {invalid}\nnothing was sent; --no-check sends it all the same, \
             and the function dead-letters it as invalid"
        )),
    }
}

fn report(queue_url: &str, messages: &[Message], ids: &[String]) -> Report {
    let sent = messages
        .iter()
        .zip(ids)
        .map(|(message, id)| json!({ "message_id": id, "order_id": message.order_id, "what": message.what }));
    let document = json!({ "queue_url": queue_url, "sent": sent.collect::<Vec<_>>() });
    let plural = if ids.len() == 1 { "message" } else { "messages" };
    let mut text = format!("sent {} {plural} to {queue_url}\n", ids.len());
    for (message, id) in messages.iter().zip(ids).take(LISTED) {
        let order_id = order_or_none(message.order_id.as_deref());
        let _ = writeln!(text, "  {id}  {order_id}  {}", message.what);
    }
    if ids.len() > LISTED {
        let _ = writeln!(text, "  and {} more", ids.len() - LISTED);
    }
    let orders: BTreeSet<&str> = messages.iter().filter_map(|message| message.order_id.as_deref()).collect();
    let report = Report::new(document, text);
    match (orders.first(), orders.len()) {
        (Some(order), 1) => report.and_next(format!("orderctl get {order} --wait 30")),
        (Some(order), _) => report.and_next("orderctl list").and_next(format!("orderctl get {order}")),
        (None, _) => report,
    }
}
