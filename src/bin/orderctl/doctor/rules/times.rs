//! The rules of times: what must be shorter than what.

use std::time::Duration;

use order_processor::batch::Redelivery;
use order_processor::budget::CALL_MAX;
use order_processor::config::name;

use super::{Verdict, advice, max_receive_count, number, variable, verdict};
use crate::doctor::facts::Facts;

/// AWS's own advice for a queue with a Lambda consumer: six times the timeout, and the batching window.
pub(super) fn visibility(facts: &Facts) -> Option<Verdict> {
    let visible = number(facts.source.as_ref()?, "VisibilityTimeout")?;
    let window =
        facts.mapping.as_ref().and_then(|mapping| mapping["MaximumBatchingWindowInSeconds"].as_u64());
    let timeout = timeout(facts)?;
    let least = timeout * 6 + window.unwrap_or(0);
    let what = format!("{visible} s, with a function timeout of {timeout} s");
    verdict(
        visible >= least,
        what,
        "at least 6 times the function's timeout and the batching window, or a message comes again while its worker lives",
    )
}

pub(super) fn lease(facts: &Facts) -> Option<Verdict> {
    let visible = number(facts.source.as_ref()?, "VisibilityTimeout")?;
    let lease = timeout(facts)? * 1000 + variable(facts, name::LEASE_GRACE_MS, 5000)?;
    let what = format!("{lease} ms against a visibility of {visible} s");
    verdict(
        lease < visible * 1000,
        what,
        "timeout and LEASE_GRACE_MS together below the visibility, or a crash is taken over late",
    )
}

/// SQS drops a message without a word once its retention is over, however often it was received.
pub(super) fn given_up_in_time(facts: &Facts) -> Option<Verdict> {
    let source = facts.source.as_ref()?;
    let redelivery = Redelivery {
        timeout: Duration::from_secs(timeout(facts)?),
        lease_grace: Duration::from_millis(variable(facts, name::LEASE_GRACE_MS, 5000)?),
        visibility: Duration::from_secs(number(source, "VisibilityTimeout")?),
        max_receive_count: u32::try_from(max_receive_count(source)?).unwrap_or(u32::MAX),
    };
    let kept = number(source, "MessageRetentionPeriod")?;
    let (receives, longest) = (redelivery.max_receive_count, redelivery.longest().as_secs());
    let wait = redelivery.longest_wait().as_secs();
    let what = format!(
        "{receives} receives, up to {wait} s apart, take up to {longest} s of the {kept} s that a message is kept"
    );
    let fix = "fewer receives, or a shorter timeout and visibility: a message that expires first is neither parked nor dead-lettered (keeping it longer takes as much from the dead letters, whose age counts from the first sending)";
    verdict(longest < kept, what, fix)
}

/// A standard queue keeps the time of the first sending when it moves a message.
pub(super) fn dead_letters_outlive(facts: &Facts) -> Option<Verdict> {
    let source = number(facts.source.as_ref()?, "MessageRetentionPeriod")?;
    let dead = number(facts.dead_letters.as_ref()?, "MessageRetentionPeriod")?;
    let what = format!("{} days against {}", days(dead), days(source));
    verdict(dead > source, what, "keep dead letters 14 days: a message's age counts from its first sending")
}

/// How late a duplicate can arrive, in seconds: queue, dead-letter queue, and the queue again after a redrive.
fn late(facts: &Facts) -> Option<u64> {
    let source = number(facts.source.as_ref()?, "MessageRetentionPeriod")?;
    let dead = number(facts.dead_letters.as_ref()?, "MessageRetentionPeriod")?;
    Some(source + dead + source)
}

/// An answer is kept for as long as a duplicate can arrive.
pub(super) fn retention(facts: &Facts) -> Option<Verdict> {
    let longest = late(facts)?;
    let kept_days = variable(facts, name::RETENTION_DAYS, 30)?;
    let age = variable(facts, name::MAX_ORDER_AGE_DAYS, 21)?;
    let what = format!(
        "answers {kept_days} days, orders up to {age} days old, a duplicate up to {} days late",
        days(longest)
    );
    let fix = "RETENTION_DAYS at least the queue's, the dead-letter queue's and the queue's retention again, and more than MAX_ORDER_AGE_DAYS";
    verdict(kept_days * 86_400 >= longest && age < kept_days, what, fix)
}

/// What a batch has no time for is given back untried, and each time that is a receive nearer to the last.
pub(super) fn batch_in_time(facts: &Facts) -> Option<Verdict> {
    let size = facts.mapping.as_ref()?["BatchSize"].as_u64()?;
    let at_once = variable(facts, name::ORDER_CONCURRENCY, 64)?.max(1);
    let (rounds, timeout) = (size.div_ceil(at_once), timeout(facts)?);
    let longest = rounds * CALL_MAX.as_secs().min(timeout);
    let what = format!(
        "{size} orders, {at_once} at a time, take up to {longest} s while the payment provider is slow, of {timeout} s"
    );
    let fix = "a smaller batch, more orders at a time, or a longer timeout: what is left of a batch comes again untried, and uses up its receives";
    advice(longest <= timeout, what, fix)
}

/// `RETENTION_DAYS` may have been smaller before, but never below what the rule above wants; what finished then is
/// forgotten by what it was then.
pub(super) fn age(facts: &Facts) -> Option<Verdict> {
    let longest = late(facts)?;
    let age = variable(facts, name::MAX_ORDER_AGE_DAYS, 21)?;
    let what = format!(
        "orders up to {age} days old are run as new; the least that answers may be kept is {} days",
        days(longest)
    );
    let fix = "MAX_ORDER_AGE_DAYS below what RETENTION_DAYS was in every earlier deployment: raise RETENTION_DAYS alone, and MAX_ORDER_AGE_DAYS only when a day more than it shall allow has gone by, or orders that finished before run again";
    advice(age * 86_400 < longest, what, fix)
}

fn days(seconds: u64) -> String {
    match seconds % 86_400 {
        0 => (seconds / 86_400).to_string(),
        _ => format!("{}.{}", seconds / 86_400, seconds % 86_400 * 10 / 86_400),
    }
}

fn timeout(facts: &Facts) -> Option<u64> {
    facts.function.as_ref()?["Timeout"].as_u64()
}
