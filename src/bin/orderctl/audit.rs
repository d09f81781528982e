//! `orderctl audit`: the table against itself, its stock and, where a key is given, the payment provider.

mod books;
mod charges;

use std::collections::BTreeMap;

use anyhow::Result;
use clap::Args;
use order_processor::clock::Clock;
use serde_json::json;

use crate::report::{Report, columns, paint};
use crate::table::Table;
use crate::target::Target;
use books::{Books, Contradiction, examine};
use charges::Provider;

/// Check every record: its answer, payment, shipment, stock, lease and expiry; reads the whole table
///
/// With STRIPE_API_KEY (and STRIPE_API_BASE) set, every order that came to its payment is compared with the provider's
/// books: one search each, and each payment and its refunds as they are. What the warehouse got is gone from its queue: a shipment is known by the record alone.
#[derive(Debug, Args)]
pub struct Audit {
    /// Leave the payment provider alone even if its key is set
    #[arg(long)]
    table_only: bool,
}

impl Audit {
    /// Reads, compares, tells.
    pub async fn run(&self, target: &Target) -> Result<Report> {
        let table = Table::of(target);
        let (records, unreadable) = table.every_order().await?;
        let stock = table.stock().await?;
        let provider = if self.table_only { None } else { Provider::from_environment() };
        let charges = match &provider {
            Some(provider) => Some(provider.charges(&records).await?),
            None => None,
        };
        let books =
            Books { records: &records, unreadable: &unreadable, stock: &stock, charges: charges.as_ref() };
        Ok(report(&books, &examine(&books, Clock::system().now())))
    }
}

fn report(books: &Books<'_>, contradictions: &[Contradiction]) -> Report {
    let stock = books::stock(books);
    let document = json!({
        "balanced": contradictions.is_empty(),
        "orders": books.records.len() + books.unreadable.len(),
        "charges_compared": books.charges.map(BTreeMap::len),
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
    text += &format!("{} orders, {charges}: {} contradictions", books.records.len(), contradictions.len());
    Report::new(document, text).failed(!contradictions.is_empty())
}
