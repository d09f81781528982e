//! `orderctl audit`: the table against itself, its stock and, where a key is given, the payment provider.

mod books;
mod charges;
mod moment;

use std::collections::BTreeMap;

use anyhow::Result;
use clap::Args;
use order_processor::clock::{Clock, UnixMillis};
use serde_json::json;

use crate::failure;
use crate::report::{Report, columns, paint};
use crate::table::Table;
use crate::target::Target;
use books::{Books, Contradiction, Listed, examine};
use charges::Provider;

/// Check every record: its answer, payment, shipment, stock, lease and expiry; reads the whole table
///
/// With STRIPE_API_KEY (and STRIPE_API_BASE) set, every order that came to its payment is compared with the provider's
/// books: one search each, and each payment and its refunds as they are. An order that no worker has come back to for hours
/// is told, too. What the warehouse got is gone from its queue: a shipment is known by the record alone.
#[derive(Debug, Args)]
pub struct Audit {
    /// Leave the payment provider alone even if its key is set
    #[arg(long)]
    table_only: bool,
    /// Compare the other way round, too: each payment that the provider made since this moment (RFC 3339) has a record.
    /// For a table that was restored; needs STRIPE_API_KEY
    #[arg(long, value_name = "MOMENT", value_parser = moment::parse, conflicts_with = "table_only")]
    since: Option<UnixMillis>,
}

impl Audit {
    /// Reads, compares, tells.
    pub async fn run(&self, target: &Target) -> Result<Report> {
        let table = Table::of(target);
        let provider = if self.table_only { None } else { Provider::from_environment() };
        // Before the table is read: an order is known before it is charged.
        let listed = self.listed(provider.as_ref()).await?;
        let (records, unreadable) = table.every_order().await?;
        let stock = table.stock().await?;
        let charges = match &provider {
            Some(provider) => Some(provider.charges(&records).await?),
            None => None,
        };
        let books = Books {
            records: &records,
            unreadable: &unreadable,
            stock: &stock,
            charges: charges.as_ref(),
            listed: listed.as_deref(),
        };
        Ok(report(&books, &examine(&books, Clock::system().now())))
    }

    async fn listed(&self, provider: Option<&Provider>) -> Result<Option<Vec<Listed>>> {
        match (self.since, provider) {
            (None, _) => Ok(None),
            (Some(moment), Some(provider)) => provider.since(moment).await.map(Some),
            (Some(_), None) => Err(failure::usage(
                "--since compares with the payment provider's books\ngive its key: STRIPE_API_KEY",
            )),
        }
    }
}

fn report(books: &Books<'_>, contradictions: &[Contradiction]) -> Report {
    let stock = books::stock(books);
    let document = json!({
        "balanced": contradictions.is_empty(),
        "orders": books.records.len() + books.unreadable.len(),
        "charges_compared": books.charges.map(BTreeMap::len),
        "payments_listed": books.listed.map(<[Listed]>::len),
        "contradictions": contradictions,
        "stock": stock,
    });
    let mut rows = vec![["SKU", "available", "reserved by unfinished", "sold"].map(str::to_owned).to_vec()];
    rows.extend(stock.iter().map(|(sku, line)| {
        let available = line.available.map_or("no stock item".to_owned(), |number| number.to_string());
        vec![sku.clone(), available, line.reserved.to_string(), line.sold.to_string()]
    }));
    let mut text = columns(&rows);
    let found = contradictions
        .iter()
        .map(|Contradiction { subject, what }| vec![paint("NO", 31), subject.clone(), what.clone()]);
    text += &columns(&found.collect::<Vec<_>>());
    let charges = match books.charges {
        Some(charges) => format!("{} of them compared with the payment provider", charges.len()),
        None => "payments by the records alone".to_owned(),
    };
    let listed = books.listed.map_or(String::new(), |listed| format!(", {} payments listed", listed.len()));
    text += &format!(
        "{} orders, {charges}{listed}: {} contradictions",
        books.records.len(),
        contradictions.len()
    );
    Report::new(document, text).failed(!contradictions.is_empty())
}
