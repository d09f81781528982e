//! T07 to T12, T14, T15 and T24: how the queue is polled, and how long things are remembered.

use std::time::Duration;

use order_processor::batch::Redelivery;
use serde_json::Value;

use super::Findings;
use super::queues::retention;
use super::stack::{Mapping, Stack, list, number, object, truth, variable};

/// One finding per mapping for which `wanted` says something; a stack without one has that for a finding.
fn each(stack: &Stack, wanted: impl Fn(&Mapping, &Value, bool) -> Option<String>) -> Findings {
    if stack.mappings.is_empty() {
        return vec![("the stack".into(), "an event source mapping of a queue".into())];
    }
    let unknown = || Some("a queue of this stack as its source".to_owned());
    let found = stack.mappings.iter().filter_map(|mapping| {
        let wanted = match stack.source(mapping) {
            Some((_, queue)) => wanted(mapping, queue, truth(&queue["FifoQueue"])),
            None => unknown(),
        };
        Some((mapping.id.clone(), wanted?))
    });
    found.collect()
}

/// In seconds; the defaults are the services' own.
fn visibility(queue: &Value) -> i64 {
    number(&queue["VisibilityTimeout"]).unwrap_or(30)
}

fn timeout(mapping: &Mapping) -> i64 {
    number(&mapping.function["Timeout"]).unwrap_or(3)
}

fn window(mapping: &Mapping) -> i64 {
    number(&mapping.properties["MaximumBatchingWindowInSeconds"]).unwrap_or(0)
}

pub fn t07_nothing_is_redelivered_while_its_worker_lives(stack: &Stack) -> Findings {
    each(stack, |mapping, queue, _| {
        let (is, least) = (visibility(queue), 6 * timeout(mapping) + window(mapping));
        (is < least).then(|| format!("a VisibilityTimeout of at least {least} s, not {is} s"))
    })
}

pub fn t08_only_failed_records_come_back(stack: &Stack) -> Findings {
    each(stack, |mapping, _, _| {
        let types = list(&mapping.properties["FunctionResponseTypes"]);
        let partial = types.iter().any(|one| **one == "ReportBatchItemFailures");
        (!partial).then(|| "FunctionResponseTypes: [ReportBatchItemFailures]".into())
    })
}

pub fn t09_a_large_batch_has_a_window(stack: &Stack) -> Findings {
    each(stack, |mapping, _, fifo| {
        let size = number(&mapping.properties["BatchSize"]).unwrap_or(10);
        let most = if fifo { 10 } else { 10_000 };
        if !(1..=most).contains(&size) {
            return Some(format!("a BatchSize from 1 to {most}, not {size}"));
        }
        if fifo && window(mapping) > 0 {
            return Some("no batching window on a FIFO queue".into());
        }
        (size > 10 && window(mapping) < 1).then(|| format!("a batching window for a BatchSize of {size}"))
    })
}

pub fn t10_one_way_of_scaling(stack: &Stack) -> Findings {
    each(stack, |mapping, _, _| {
        let both =
            ["ScalingConfig", "ProvisionedPollerConfig"].map(|key| mapping.properties.get(key).is_some());
        if both == [true, true] {
            return Some("ScalingConfig or ProvisionedPollerConfig, not both".into());
        }
        let pollers = mapping.properties.pointer("/ProvisionedPollerConfig/MinimumPollers").map(number);
        let out = pollers.filter(|pollers| !pollers.is_some_and(|pollers| (2..=200).contains(&pollers)));
        out.map(|pollers| format!("MinimumPollers from 2 to 200, not {pollers:?}"))
    })
}

/// And nothing is reserved without a cap: the poller would go past it, and every throttle is a receive.
pub fn t11_the_poller_asks_for_no_more_than_is_reserved(stack: &Stack) -> Findings {
    each(stack, |mapping, _, _| {
        let cap = mapping.properties.pointer("/ScalingConfig/MaximumConcurrency");
        let reserved = mapping.function.get("ReservedConcurrentExecutions").and_then(number);
        match (cap.map(number), reserved) {
            (Some(cap), _) if !cap.is_some_and(|cap| (2..=1000).contains(&cap)) => {
                Some(format!("a MaximumConcurrency from 2 to 1000, not {cap:?}"))
            }
            (cap, Some(reserved)) if cap.flatten().is_none_or(|cap| cap > reserved) => {
                Some(format!("a MaximumConcurrency of at most {reserved}, which is reserved"))
            }
            _ => None,
        }
    })
}

pub fn t12_no_message_is_filtered_away(stack: &Stack) -> Findings {
    each(stack, |mapping, _, _| {
        let filter = mapping.properties.get("FilterCriteria").is_some();
        filter.then(|| "no FilterCriteria: it deletes what it does not match".into())
    })
}

pub fn t14_the_lease_ends_before_the_redelivery(stack: &Stack) -> Findings {
    each(stack, |mapping, queue, _| {
        let grace = variable(&mapping.function, "LEASE_GRACE_MS").map_or(Some(5000), number);
        let Some(grace) = grace else { return Some("LEASE_GRACE_MS to be a number".into()) };
        let (lease, hidden) = (timeout(mapping) * 1000 + grace, visibility(queue) * 1000);
        (lease >= hidden).then(|| format!("a lease, {lease} ms, below the VisibilityTimeout, {hidden} ms"))
    })
}

pub fn t15_an_order_is_remembered_longer_than_its_messages(stack: &Stack) -> Findings {
    each(stack, |mapping, queue, _| {
        let days = |name, unset| variable(&mapping.function, name).map_or(Some(unset), number);
        let (Some(kept), Some(age)) = (days("RETENTION_DAYS", 30), days("MAX_ORDER_AGE_DAYS", 21)) else {
            return Some("RETENTION_DAYS and MAX_ORDER_AGE_DAYS to be numbers".into());
        };
        let letters = stack.queue(&object(&queue["RedrivePolicy"])["deadLetterTargetArn"]);
        let letters = letters.map_or(0, |(_, letters)| retention(letters));
        let least = (2 * retention(queue) + letters + 86_399) / 86_400;
        if kept < least {
            return Some(format!("RETENTION_DAYS of at least {least}, not {kept}"));
        }
        (age >= kept).then(|| format!("MAX_ORDER_AGE_DAYS, {age}, below RETENTION_DAYS, {kept}"))
    })
}

/// SQS drops a message without a word once its retention is over, however often it was received.
pub fn t24_a_message_is_given_up_before_it_expires(stack: &Stack) -> Findings {
    each(stack, |mapping, queue, _| {
        let receives = number(&object(&queue["RedrivePolicy"])["maxReceiveCount"]);
        let grace = variable(&mapping.function, "LEASE_GRACE_MS").map_or(Some(5000), number);
        let (Some(receives), Some(grace)) = (receives, grace) else {
            return Some("a maxReceiveCount and LEASE_GRACE_MS that are numbers".into());
        };
        let seconds = |count: i64| Duration::from_secs(count.unsigned_abs());
        let redelivery = Redelivery {
            timeout: seconds(timeout(mapping)),
            lease_grace: Duration::from_millis(grace.unsigned_abs()),
            visibility: seconds(visibility(queue)),
            max_receive_count: u32::try_from(receives).unwrap_or(u32::MAX),
        };
        let (most, kept) = (redelivery.longest(), seconds(retention(queue)));
        let wanted = || format!("{receives} receives within {kept:?}, but they may take {most:?}");
        (most >= kept).then(wanted)
    })
}
