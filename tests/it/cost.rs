//! What an order costs: measured on each path of the shipped code, priced, and held against `docs/cost.md`.
//!
//! `make cost` writes the tables of that page; every other run compares them.

mod page;
mod prices;
mod usage;

use crate::template::cases::{Overrides, everything, template};
use crate::template::stack::Stack;
use page::{Page, Table};
use prices::{Invocations, idle, of_million};
use usage::{PATHS, Usage};

/// Messages in one invocation.
const BATCHES: [usize; 3] = [1, 10, 100];

/// Which paths take how much, in batches of ten.
async fn usage_by_path() -> Table {
    let mut table = Table::new(&[
        "what became of the message",
        "write units",
        "read units",
        "SQS requests of the function",
        "log bytes",
        "of them metrics",
    ]);
    for path in &PATHS {
        let Usage { write_units, read_units, sqs_requests, record_bytes, metric_bytes, .. } =
            usage::of(path, 10).await.each(10);
        let number = |amount: f64| format!("{amount:.1}");
        let bytes = |amount: f64| format!("{amount:.0}");
        table.row([
            path.name.to_owned(),
            number(write_units),
            number(read_units),
            number(sqs_requests),
            bytes(record_bytes + metric_bytes),
            bytes(metric_bytes),
        ]);
    }
    table
}

/// The parts of a bill, and all of it.
fn dollars(bill: [f64; 5]) -> impl Iterator<Item = String> {
    let together = bill.iter().sum();
    // A sum of nothing is -0.
    bill.into_iter().chain([together]).map(|dollars: f64| format!("${:.2}", dollars + 0.0))
}

/// What a million messages on a path cost, by the size of a batch.
async fn dollars_by_batch() -> Table {
    let parts = ["DynamoDB", "SQS", "Lambda", "logs", "storage", "together"];
    let mut table = Table::new(&[&["a million messages, in batches of", ""][..], &parts].concat());
    for path in PATHS.iter().filter(|path| path.is_priced) {
        for batch in BATCHES {
            let divided =
                Invocations { batch, rounds: path.rounds(batch), leaves_records: path.leaves_record };
            let bill = of_million(&usage::of(path, batch).await, divided);
            table.row([path.name.to_owned(), batch.to_string()].into_iter().chain(dollars(bill)));
        }
    }
    table
}

/// What a stack costs in a month without any order.
fn dollars_when_idle() -> Table {
    let mut table =
        Table::new(&["parameters", "alarms", "metrics", "dashboard", "polling", "counting", "together"]);
    let plain = Overrides::from([("Monitoring".to_owned(), "false".to_owned())]);
    for (name, overrides) in [
        ("defaults", Overrides::new()),
        ("everything that can be given", everything()),
        ("`Monitoring=false`", plain),
    ] {
        let bill = idle(&Stack::new(&template(), &overrides));
        table.row([name.to_owned()].into_iter().chain(dollars(bill)));
    }
    table
}

#[tokio::test(start_paused = true)]
async fn the_page_says_what_is_measured() {
    let page = Page::read();
    page.holds("by path", &usage_by_path().await);
    page.holds("by batch", &dollars_by_batch().await);
    page.holds("when idle", &dollars_when_idle());
    page.end();
}
