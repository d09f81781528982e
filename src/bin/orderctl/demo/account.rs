//! The account of a run: in text and as one document.

use std::collections::BTreeMap;
use std::fmt::{Display, Write as _};

use order_processor::local::ledger::{Invariant, Violation, check};
use order_processor::record::{Record, Status};
use serde_json::json;

use super::run::{Outcome, Plan};
use crate::report::{Report, paint};
use crate::timeline;

/// The most violations of one invariant that are told one by one.
const TOLD: usize = 5;

/// Tells what happened, and whether it adds up.
pub fn account(plan: &Plan, outcome: &Outcome) -> (Report, bool) {
    let violations = check(&outcome.facts);
    let takeovers: u64 = outcome.facts.records.iter().map(timeline::takeovers).sum();
    let example = example(outcome);
    let document = json!({
        "balanced": violations.is_empty(),
        "violations": violations,
        "seed": plan.seed,
        "orders": outcome.facts.records.len(),
        "messages": outcome.facts.sent.len(),
        "sent": outcome.sent,
        "outcomes": outcome.entries.outcomes,
        "statuses": statuses(&outcome.facts.records),
        "duplicates_absorbed": duplicates(outcome),
        "dead_letters": dead_letters(outcome),
        "kills": outcome.kills,
        "freezes": outcome.freezes,
        "takeovers": takeovers,
        "seconds": seconds(outcome.took),
        "rush": {
            "orders": outcome.rush.0,
            "seconds": seconds(outcome.rush.1),
            "orders_per_second": rate(outcome),
        },
        "timeline": example.map(|record| timeline::document(record, &[])),
    });
    let mut text = String::new();
    told(&mut text, outcome, takeovers);
    balance(&mut text, &violations);
    if let Some(record) = example {
        let _ = write!(text, "\nThe worker of this order was lost, and another went on:\n");
        text += &timeline::text(record, &[]);
    }
    let report = Report::new(document, text).failed(!violations.is_empty());
    let report = if violations.is_empty() {
        let again = format!("orderctl demo --seed {}", plan.seed.wrapping_add(1));
        report.and_next(again).and_next("orderctl dev").and_next("orderctl send --scenario duplicate")
    } else {
        report.and_next(format!("orderctl demo --orders {} --seed {}", plan.orders, plan.seed))
    };
    (report, violations.is_empty())
}

fn told(text: &mut String, outcome: &Outcome, takeovers: u64) {
    section(text, &format!("Sent: {} messages", outcome.facts.sent.len()), &outcome.sent);
    section(
        text,
        "What the function said of each delivery (a killed process says nothing, and its messages come again)",
        &outcome.entries.outcomes,
    );
    let _ = writeln!(text, "\nOrders: {}", outcome.facts.records.len());
    for (status, count) in statuses(&outcome.facts.records) {
        let _ = writeln!(text, "  {count:>6}  {status}");
    }
    let _ = writeln!(text, "  {:>6}  duplicates absorbed", duplicates(outcome));
    let _ = writeln!(text, "  {:>6}  processes killed with kill -9 at work", outcome.kills);
    let frozen = "processes frozen past their deadline with SIGSTOP, and woken";
    let _ = writeln!(text, "  {:>6}  {frozen}", outcome.freezes);
    let _ = writeln!(text, "  {takeovers:>6}  leases taken over");
    let _ = writeln!(
        text,
        "\n{} orders in {:.1} s, before only those of lost workers were left to come back: {:.0} orders a second{}; {:.0} s in all",
        outcome.rush.0,
        outcome.rush.1.as_secs_f64(),
        rate(outcome),
        if cfg!(debug_assertions) { " (unoptimized build, on this machine's cores alone)" } else { "" },
        outcome.took.as_secs_f64()
    );
}

fn section(text: &mut String, title: &str, counts: &BTreeMap<impl Display, u64>) {
    let _ = writeln!(text, "{}{title}", if text.is_empty() { "" } else { "\n" });
    for (name, count) in counts {
        let _ = writeln!(text, "  {count:>6}  {name}");
    }
}

fn balance(text: &mut String, violations: &[Violation]) {
    let _ = writeln!(text, "\nThe ledger");
    for invariant in Invariant::ALL {
        let broken: Vec<_> = violations.iter().filter(|violation| violation.invariant == invariant).collect();
        let mark = if broken.is_empty() { paint("ok", 32) } else { paint("NO", 31) };
        let _ = writeln!(text, "  {mark}  {}", invariant.sentence());
        for Violation { subject, detail, .. } in broken.iter().take(TOLD) {
            let _ = writeln!(text, "        {subject}: {detail}");
        }
        if broken.len() > TOLD {
            let _ = writeln!(text, "        and {} more", broken.len() - TOLD);
        }
    }
    let verdict = if violations.is_empty() { "The ledger balances." } else { "The ledger does NOT balance." };
    let _ = writeln!(text, "{verdict}");
}

/// An order that lost its worker: one that completed, if there is one, and was taken over most often.
fn example(outcome: &Outcome) -> Option<&Record> {
    let records = outcome.facts.records.iter().filter(|record| timeline::takeovers(record) > 0);
    let killed = records.filter(|record| !outcome.entries.given_back.contains(record.order_id()));
    killed.max_by_key(|record| {
        (record.status == Status::Completed, record.attempts, std::cmp::Reverse(record.pk.clone()))
    })
}

fn statuses(records: &[Record]) -> BTreeMap<String, u64> {
    let mut statuses = BTreeMap::new();
    for record in records {
        let name = match record.outcomes.refusal() {
            Some(refusal) => format!("{} {}", record.status, refusal.reason.as_str()),
            None => record.status.to_string(),
        };
        *statuses.entry(name).or_default() += 1;
    }
    statuses
}

fn dead_letters(outcome: &Outcome) -> BTreeMap<&str, u64> {
    let mut reasons = BTreeMap::new();
    for letter in &outcome.facts.dead_letters {
        *reasons.entry(letter.reason.as_str()).or_default() += 1;
    }
    reasons
}

fn duplicates(outcome: &Outcome) -> u64 {
    outcome.entries.outcomes.get("duplicate").copied().unwrap_or(0)
}

#[expect(clippy::cast_precision_loss, reason = "a rate for people")]
fn rate(outcome: &Outcome) -> f64 {
    let (orders, time) = outcome.rush;
    (orders as f64 / time.as_secs_f64().max(0.001) * 10.0).round() / 10.0
}

fn seconds(time: std::time::Duration) -> f64 {
    (time.as_secs_f64() * 10.0).round() / 10.0
}
