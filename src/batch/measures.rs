//! What the records of a batch count as in the metrics.

use super::Verdict;
use super::message::Message;
use crate::clock::UnixMillis;
use crate::delivery::{Disposition, Rules};
use crate::metrics::{MAX_VALUES, Tally, latency_of};

/// What is told of the invocation as a whole.
pub(super) struct Invocation {
    /// Whether it is the first of its environment.
    pub(super) cold: bool,
    pub(super) write_units: f64,
}

/// Of an invocation that only counts parked orders.
pub(super) fn parked(orders: u64, cold: bool) -> Tally {
    let mut tally = Tally::default();
    // More than 2^32 of them wait no worse.
    tally.count("ParkedOrders", u32::try_from(orders).unwrap_or(u32::MAX));
    tally.count("ColdStart", u8::from(cold));
    tally
}

/// Of all records of the invocation, what its version is judged by.
pub(super) fn by_version<'r>(records: impl Iterator<Item = (&'r Message<'r>, &'r Verdict)>) -> Tally {
    let mut tally = Tally::default();
    for (message, verdict) in records {
        tally.count("OrdersReceived", 1);
        tally.count("Faults", u8::from(is_fault(message, verdict)));
    }
    tally
}

fn is_fault(message: &Message<'_>, verdict: &Verdict) -> bool {
    let failed = verdict.again.is_some() && verdict.outcome != "in_progress";
    verdict.is_dead_letter() || failed || was_parked(message, verdict)
}

/// Not with every duplicate of an order that waits; but a worker may have died before it could tell.
fn was_parked(message: &Message<'_>, verdict: &Verdict) -> bool {
    let disposition = verdict.run.as_ref().map(|run| &run.handled.disposition);
    matches!(disposition, Some(Disposition::Parked { reason: Some(_) }))
        || verdict.outcome == "parked" && message.receive_count > 1
}

/// A record has one value of a metric at most, so a tally of so many fits on a line.
pub(super) fn tallies(
    records: Vec<(&Message<'_>, &Verdict)>,
    invocation: &Invocation,
    rules: &Rules,
    now: UnixMillis,
) -> Vec<Tally> {
    let chunks = records.chunks(MAX_VALUES);
    let mut tallies: Vec<Tally> = chunks
        .map(|records| {
            let mut tally = Tally::default();
            records.iter().for_each(|(message, verdict)| add(&mut tally, message, verdict, rules, now));
            tally
        })
        .collect();
    if let Some(first) = tallies.first_mut() {
        first.count("ColdStart", u8::from(invocation.cold));
        first.count("WriteUnits", invocation.write_units);
    }
    tallies
}

fn add(tally: &mut Tally, message: &Message<'_>, verdict: &Verdict, rules: &Rules, now: UnixMillis) {
    let mut count = |name, does: bool| tally.count(name, u8::from(does));
    let is = |outcome| verdict.outcome == outcome;
    let handled = verdict.run.as_ref().map(|run| &run.handled);
    let finished = is("completed") || is("rejected");
    count("OrdersReceived", true);
    count("OrdersCompleted", is("completed"));
    count("OrdersRejected", is("rejected"));
    // What comes again is a redelivery, even if its order was finished meanwhile: the producer sent it once.
    count("Duplicates", is("duplicate") && message.receive_count == 1);
    count("InProgress", is("in_progress"));
    count("Conflicts", is("conflict"));
    count("Invalid", is("invalid"));
    count("Stale", is("stale") || is("future"));
    count("Retries", is("retry"));
    count("Parked", was_parked(message, verdict));
    count("Panics", is("panic"));
    count("Deferred", is("deferred"));
    count("BatchItemFailures", verdict.again.is_some());
    count("Redeliveries", message.receive_count > 1);
    count("LastAttempt", rules.is_last(message.receive_count));
    count("LeaseTakeovers", handled.is_some_and(|handled| handled.took_over));
    count("LeaseLost", handled.is_some_and(|handled| handled.lost_lease));
    tally.time("ProcessingLatency", verdict.took);
    if let (true, Some(sent_at)) = (finished, message.sent_at) {
        tally.time("EndToEndLatency", now.since(sent_at));
    }
    for (step, took) in verdict.run.iter().flat_map(|run| &run.steps) {
        tally.time(latency_of(step), *took);
    }
}
