//! `orderctl stock`: what can be sold. No write of it loses a reservation that happens meanwhile.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::{Context, Result, bail};
use aws_config::retry::RetryConfig;
use aws_sdk_dynamodb::config::Config;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use clap::{Args, Subcommand};
use order_processor::order::Sku;
use order_processor::random::Random;
use order_processor::store::StockStatement;
use serde_json::json;

use crate::failure;
use crate::report::Report;
use crate::table::{Table, quantity};

/// Show and change what is available
#[derive(Debug, Args)]
pub struct Stock {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Every SKU
    List,
    /// One SKU
    Get {
        /// Which
        sku: Sku,
    },
    /// Add so many, or take so many away; never below zero
    Add {
        /// Which; a new one is created
        sku: Sku,
        /// How many, as in 5 or -2
        #[arg(value_name = "±N", allow_negative_numbers = true)]
        change: i64,
    },
    /// Set to so many; refused if it changes meanwhile, because that was a reservation
    Set {
        /// Which; a new one is created
        sku: Sku,
        /// How many
        #[arg(value_name = "N")]
        available: u64,
        /// Refuse unless this many are available now: the number you decided by
        #[arg(long, value_name = "N")]
        seen: Option<u64>,
    },
}

/// A conditional write that was refused, with how many there are.
struct Refused(Option<u64>);

impl Stock {
    /// Reads or writes stock.
    pub async fn run(&self, table: &Table) -> Result<Report> {
        match &self.command {
            Command::List => Ok(list(&table.stock().await?)),
            Command::Get { sku } => match table.available(sku).await? {
                Some(available) => Ok(one(sku, available)),
                None => Err(unknown(sku)),
            },
            Command::Add { sku, change } => add(table, sku, *change).await,
            Command::Set { sku, available, seen } => set(table, sku, *available, *seen).await,
        }
    }
}

async fn add(table: &Table, sku: &Sku, change: i64) -> Result<Report> {
    // An ADD that was applied and whose answer was lost must not be sent again.
    let written = write(table, sku, &StockStatement::Moved(change), RetryConfig::disabled()).await;
    let written = written.with_context(|| format!("perhaps it was applied: orderctl stock get {sku}"))?;
    match written {
        Ok(available) => Ok(one(sku, available)),
        Err(Refused(None)) => Err(unknown(sku)),
        Err(Refused(Some(left))) => {
            let taken = change.unsigned_abs();
            bail!(
                "{taken} {sku} cannot be taken away: only {left} are available\nall of them: orderctl stock add {sku} -{left}"
            )
        }
    }
}

/// On condition that nobody changed it since it was read.
async fn set(table: &Table, sku: &Sku, available: u64, seen: Option<u64>) -> Result<Report> {
    let seen = match seen {
        Some(seen) => Some(seen),
        None => table.available(sku).await?,
    };
    let statement = StockStatement::Counted { available, seen, name: Random::from_system().name() };
    match write(table, sku, &statement, RetryConfig::standard()).await? {
        Ok(available) => Ok(one(sku, available)),
        Err(Refused(now)) => {
            let say = |number: Option<u64>| number.map_or("none".to_owned(), |number| number.to_string());
            bail!(
                "{sku} was not set: {} were seen, {} are there now, so somebody reserved or added some meanwhile\n\
                 add or take away instead, which cannot lose a reservation: orderctl stock add {sku} ±N",
                say(seen),
                say(now)
            )
        }
    }
}

/// How many are available after the write, or why it was refused.
async fn write(
    table: &Table,
    sku: &Sku,
    statement: &StockStatement,
    retries: RetryConfig,
) -> Result<Result<u64, Refused>> {
    let update = statement.update(table.client(), table.name(), sku);
    let retries = Config::builder().retry_config(retries);
    match update.customize().config_override(retries).send().await {
        Ok(answer) => Ok(Ok(answer.attributes.as_ref().map_or(0, quantity))),
        Err(error) => match error.as_service_error() {
            Some(UpdateItemError::ConditionalCheckFailedException(refused)) => Ok(match &refused.item {
                Some(item) if statement.stands_in(item) => Ok(quantity(item)),
                item => Err(Refused(item.as_ref().map(quantity))),
            }),
            _ => Err(failure::aws(format!("writing to the table {}", table.name()), error)),
        },
    }
}

fn unknown(sku: &Sku) -> anyhow::Error {
    let next = format!("what there is: orderctl stock list; create it: orderctl stock set {sku} 10");
    failure::not_found(format!("there is no stock item {sku}"), next)
}

fn one(sku: &Sku, available: u64) -> Report {
    Report::new(json!({ "sku": sku, "available": available }), format!("{sku}  {available}"))
}

fn list(stock: &BTreeMap<String, u64>) -> Report {
    let document = stock.iter().map(|(sku, available)| json!({ "sku": sku, "available": available }));
    let document = json!({ "stock": document.collect::<Vec<_>>() });
    let widest = stock.keys().map(String::len).max().unwrap_or(0);
    let mut text = String::new();
    for (sku, available) in stock {
        let _ = writeln!(text, "{sku:<widest$}  {available}");
    }
    if stock.is_empty() {
        return Report::new(document, "no stock").and_next("orderctl stock set mug 100");
    }
    Report::new(document, text)
}
