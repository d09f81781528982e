//! The rules of the deployed resources. Pure.

mod code;
pub mod rights;
mod times;
mod waiting;
mod watch;

use order_processor::config::{Config, descriptors, name};
use order_processor::record::TTL_ATTRIBUTE;
use serde::Serialize;
use serde_json::Value;

use super::facts::{Attributes, Facts, Unread};
use code::{account_concurrency, alias, live};
use rights::{keys, role};
use times::{age, batch_in_time, dead_letters_outlive, given_up_in_time, lease, retention, visibility};
use waiting::{dead_letters_wait, oldest_messages};
use watch::{alarms, ringing, subscribers};

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    Ok,
    /// It could not be read.
    Unknown,
    Warning,
    Error,
}

/// A rule, and how it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    pub rule: &'static str,
    pub level: Level,
    pub what: String,
    pub fix: Option<String>,
}

/// Whether a rule is kept; `None` if what it is about could not be read.
type Rule = fn(&Facts) -> Option<Verdict>;

struct Verdict {
    level: Level,
    what: String,
    fix: &'static str,
}

/// `what` is so; if `kept`, that is fine, else `fix` is what to do.
fn verdict(kept: bool, what: String, fix: &'static str) -> Option<Verdict> {
    Some(Verdict { level: if kept { Level::Ok } else { Level::Error }, what, fix })
}

/// The same, where it is no danger yet.
fn advice(kept: bool, what: String, fix: &'static str) -> Option<Verdict> {
    Some(Verdict { level: if kept { Level::Ok } else { Level::Warning }, what, fix })
}

/// It was looked for, and `what` is why nobody knows.
fn unknown(what: impl Into<String>) -> Option<Verdict> {
    Some(Verdict { level: Level::Unknown, what: what.into(), fix: "" })
}

/// As `advice`, where nobody's orders are real; in production, as `verdict`.
fn by_environment(facts: &Facts, kept: bool, what: String, fix: &'static str) -> Option<Verdict> {
    let judge = if facts.variable(name::ENVIRONMENT) == Some("prod") { verdict } else { advice };
    judge(kept, what, fix)
}

const RULES: [(&str, Rule); 33] = [
    ("dead-letter queue", has_dead_letter_queue),
    ("receives", receives),
    ("given up in time", given_up_in_time),
    ("dead letters are kept longer", dead_letters_outlive),
    ("dead letters come from here", redrive_allowed),
    ("TLS only", tls_only),
    ("no public sender", no_public_sender),
    ("visibility", visibility),
    ("partial responses", partial_responses),
    ("batch", batch),
    ("batch in time", batch_in_time),
    ("one way to scale", one_scaling),
    ("concurrency", concurrency),
    ("orders in flight", orders_in_flight),
    ("no filter", no_filter),
    ("lease", lease),
    ("retention", retention),
    ("order age", age),
    ("TTL", ttl),
    ("configuration", configuration),
    ("table", table),
    ("mapping", mapping_is_on),
    ("live version", live),
    ("alias", alias),
    ("account", account_concurrency),
    ("outgoing queues", outgoing_have_dead_letter_queues),
    ("oldest messages", oldest_messages),
    ("dead letters", dead_letters_wait),
    ("role", role),
    ("keys", keys),
    ("alarms", alarms),
    ("ringing", ringing),
    ("subscribers", subscribers),
];

const UNREAD: &str = "what it is about could not be read (see access), or no --stack names it";

/// Every rule, then the clock and what could not be read.
pub fn findings(facts: &Facts) -> Vec<Finding> {
    let judged = RULES.iter().map(|(rule, judge)| match judge(facts) {
        Some(Verdict { level, what, fix }) => {
            Finding { rule, level, what, fix: (level > Level::Unknown).then(|| fix.to_owned()) }
        }
        None => Finding { rule, level: Level::Unknown, what: UNREAD.to_owned(), fix: None },
    });
    let clock = facts.clock_ahead_ms.and_then(clock).map(|Verdict { level, what, fix }| Finding {
        rule: "clock",
        level,
        what,
        fix: (level != Level::Ok).then(|| fix.to_owned()),
    });
    // Without the queue and the table, nothing is known.
    let blind = facts.source.is_none() && facts.ttl_attribute.is_none();
    let level = if blind { Level::Error } else { Level::Unknown };
    judged.chain(clock).chain(facts.unread.iter().map(|unread| access(unread, level))).collect()
}

/// What could not be read, and why; it is no fault of what is deployed.
fn access(Unread { what, why, missing }: &Unread, level: Level) -> Finding {
    let (what, fix) = match missing {
        Some(right) => (
            format!("{what} could not be read, for want of the right {right}: {why}"),
            format!(
                "give whoever asks the right {right}: infra/policies/operator-read.json has all that this takes"
            ),
        ),
        None => (
            format!("{what} could not be read: {why}"),
            "name what is deployed, with --stack NAME, and use credentials that may read it".to_owned(),
        ),
    };
    Finding { rule: "access", level, what, fix: Some(fix) }
}

fn number(attributes: &Attributes, name: &str) -> Option<u64> {
    attributes.get(name)?.parse().ok()
}

fn json(attributes: &Attributes, name: &str) -> Value {
    attributes.get(name).and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
}

/// SQS takes the number as a text as well.
fn max_receive_count(source: &Attributes) -> Option<u64> {
    let count = &json(source, "RedrivePolicy")["maxReceiveCount"];
    count.as_u64().or_else(|| count.as_str()?.parse().ok())
}

/// A variable of the function; its default if it is not set.
fn variable(facts: &Facts, name: &str, unset: u64) -> Option<u64> {
    match &facts.function.as_ref()?["Environment"]["Variables"][name] {
        Value::String(text) => text.parse().ok(),
        _ => Some(unset),
    }
}

fn is_fifo(attributes: &Attributes) -> bool {
    attributes.get("FifoQueue").is_some_and(|fifo| fifo == "true")
}

fn has_dead_letter_queue(facts: &Facts) -> Option<Verdict> {
    let target = json(facts.source.as_ref()?, "RedrivePolicy")["deadLetterTargetArn"].clone();
    let what = target.as_str().map_or("the queue of orders has none".to_owned(), str::to_owned);
    verdict(
        target.is_string(),
        what,
        "give the queue of orders a RedrivePolicy: what fails too often is lost without",
    )
}

/// Throttles count as receives, and the last receive parks.
fn receives(facts: &Facts) -> Option<Verdict> {
    let count = max_receive_count(facts.source.as_ref()?)?;
    let told = variable(facts, name::MAX_RECEIVE_COUNT, 20);
    let what = match told {
        Some(told) => format!("maxReceiveCount {count}, MAX_RECEIVE_COUNT {told}"),
        None => format!("maxReceiveCount {count}"),
    };
    let fix =
        "at least 5, and the same number in maxReceiveCount and MAX_RECEIVE_COUNT, or nothing is parked";
    verdict(count >= 5 && told.is_none_or(|told| told == count), what, fix)
}

fn redrive_allowed(facts: &Facts) -> Option<Verdict> {
    let ours = facts.source.as_ref()?.get("QueueArn")?;
    let policy = json(facts.dead_letters.as_ref()?, "RedriveAllowPolicy");
    let sources: Vec<&str> =
        policy["sourceQueueArns"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let what = if policy.is_null() { "any queue may use it".to_owned() } else { sources.join(", ") };
    advice(sources == [ours], what, "RedriveAllowPolicy byQueue, with the ARN of the queue of orders alone")
}

fn statements(attributes: &Attributes) -> Vec<Value> {
    match &json(attributes, "Policy")["Statement"] {
        Value::Array(statements) => statements.clone(),
        Value::Null => Vec::new(),
        one => vec![one.clone()],
    }
}

fn tls_only(facts: &Facts) -> Option<Verdict> {
    let denies = |attributes: &Attributes| {
        statements(attributes).iter().any(|statement| {
            let insecure = &statement["Condition"]["Bool"]["aws:SecureTransport"];
            statement["Effect"] == "Deny" && (*insecure == "false" || *insecure == false)
        })
    };
    let kept = denies(facts.source.as_ref()?) && denies(facts.dead_letters.as_ref()?);
    let what = if kept { "both queues refuse anything else" } else { "a queue takes requests without TLS" };
    advice(
        kept,
        what.to_owned(),
        "deny sqs:* where aws:SecureTransport is false, in the policy of both queues",
    )
}

fn no_public_sender(facts: &Facts) -> Option<Verdict> {
    let is_public = |statement: &Value| {
        let principal = &statement["Principal"];
        let among = |names: &Value| names.as_array().into_iter().flatten().any(|name| name == "*");
        let everybody = *principal == "*" || principal["AWS"] == "*" || among(&principal["AWS"]);
        statement["Effect"] == "Allow" && everybody
    };
    let kept = !statements(facts.source.as_ref()?).iter().any(is_public);
    let what = if kept { "only named principals may send" } else { "anybody may use the queue of orders" };
    verdict(
        kept,
        what.to_owned(),
        "name the principals that may send: whoever can send makes the shop charge and ship",
    )
}

fn partial_responses(facts: &Facts) -> Option<Verdict> {
    let types = facts.mapping.as_ref()?["FunctionResponseTypes"].as_array().cloned().unwrap_or_default();
    let kept = types.iter().any(|kind| kind == "ReportBatchItemFailures");
    let what = if kept { "ReportBatchItemFailures" } else { "off: what failed is deleted with what is done" };
    verdict(
        kept,
        what.to_owned(),
        "FunctionResponseTypes: [ReportBatchItemFailures], at once: orders are lost",
    )
}

fn batch(facts: &Facts) -> Option<Verdict> {
    let mapping = facts.mapping.as_ref()?;
    let size = mapping["BatchSize"].as_u64()?;
    let window = mapping["MaximumBatchingWindowInSeconds"].as_u64().unwrap_or(0);
    let fifo = is_fifo(facts.source.as_ref()?);
    let kept = size <= 10 || (window > 0 && !fifo);
    verdict(
        kept,
        format!("{size} messages, window {window} s"),
        "at most 10 without a batching window, and for FIFO queues",
    )
}

fn one_scaling(facts: &Facts) -> Option<Verdict> {
    let mapping = facts.mapping.as_ref()?;
    let both = !mapping["ScalingConfig"].is_null() && !mapping["ProvisionedPollerConfig"].is_null();
    let what = if both { "ScalingConfig and ProvisionedPollerConfig" } else { "at most one setting" };
    verdict(!both, what.to_owned(), "take one of ScalingConfig and ProvisionedPollerConfig away")
}

/// What polls more than the function may run throttles, and every throttle counts as a receive.
fn concurrency(facts: &Facts) -> Option<Verdict> {
    let (mapping, reserved) = (facts.mapping.as_ref()?, facts.concurrency.as_ref()?);
    let most = mapping["ScalingConfig"]["MaximumConcurrency"].as_u64();
    let reserved = reserved["ReservedConcurrentExecutions"].as_u64();
    let kept = reserved.is_none_or(|reserved| most.is_some_and(|most| most <= reserved));
    let say = |number: Option<u64>| number.map_or("none".to_owned(), |number| number.to_string());
    let what = format!("MaximumConcurrency {}, reserved {}", say(most), say(reserved));
    verdict(
        kept,
        what,
        "MaximumConcurrency at most what is reserved, or good orders end among the dead letters",
    )
}

fn orders_in_flight(facts: &Facts) -> Option<Verdict> {
    let asked = usize::try_from(variable(facts, name::ORDER_CONCURRENCY, 64)?).unwrap_or(usize::MAX);
    let most = descriptors::most_orders(descriptors::ON_LAMBDA);
    let what = format!("{asked} of one batch, of {most} for which a function may open files");
    advice(
        asked <= most,
        what,
        "ORDER_CONCURRENCY at most that: the function takes no more, whatever it is told",
    )
}

fn no_filter(facts: &Facts) -> Option<Verdict> {
    let filters = facts.mapping.as_ref()?["FilterCriteria"]["Filters"].as_array().map_or(0, Vec::len);
    verdict(
        filters == 0,
        format!("{filters} filters"),
        "take FilterCriteria away: it deletes what it does not match",
    )
}

fn ttl(facts: &Facts) -> Option<Verdict> {
    let attribute = facts.ttl_attribute.as_ref()?;
    let what = if attribute.is_empty() { "off" } else { attribute };
    let fix = "TTL on expires_at: on another attribute unfinished orders could expire, and without any nothing ever does";
    match attribute.as_str() {
        "" => advice(false, what.to_owned(), fix),
        attribute => verdict(attribute == TTL_ATTRIBUTE, what.to_owned(), fix),
    }
}

/// As the function itself reads it at its start.
fn configuration(facts: &Facts) -> Option<Verdict> {
    let variables = &facts.function.as_ref()?["Environment"]["Variables"];
    match Config::read(&|name| variables[name].as_str().map(str::to_owned)) {
        Ok(_) => verdict(true, "the function accepts its variables".to_owned(), ""),
        Err(error) => {
            verdict(false, error.to_string(), "set the variable of the function: it does not start")
        }
    }
}

fn table(facts: &Facts) -> Option<Verdict> {
    let (restorable, protected) = (facts.restorable?, facts.deletion_protected?);
    let say = |on| if on { "on" } else { "off" };
    let what = format!("point-in-time recovery {}, deletion protection {}", say(restorable), say(protected));
    advice(
        restorable && protected,
        what,
        "switch both on where the orders are real: without the table, orders run again",
    )
}

fn mapping_is_on(facts: &Facts) -> Option<Verdict> {
    let mapping = facts.mapping.as_ref()?;
    let state = mapping["State"].as_str()?;
    let on = matches!(state, "Enabled" | "Enabling" | "Updating" | "Creating");
    let reason = mapping["StateTransitionReason"].as_str().filter(|_| !on);
    let what = format!("{state}{}", reason.map_or(String::new(), |reason| format!(" ({reason})")));
    verdict(on, what, "orderctl unpause: nothing is processed, and a message that waits too long is dropped")
}

/// What a receiver fails on too often is lost without.
fn outgoing_have_dead_letter_queues(facts: &Facts) -> Option<Verdict> {
    let without = facts.outgoing.iter().filter(|(_, queue)| json(queue, "RedrivePolicy").is_null());
    let without: Vec<&str> = without.map(|(variable, _)| *variable).collect();
    let what = match (facts.outgoing.is_empty(), without.is_empty()) {
        (true, _) => return None,
        (_, true) => "shipments and notifications have dead-letter queues".to_owned(),
        (_, false) => format!("no dead-letter queue behind {}", without.join(", ")),
    };
    let fix = "give the queue a RedrivePolicy: what its receiver fails on is lost when it expires";
    verdict(without.is_empty(), what, fix)
}

/// A lease that a clock far off judges is taken over early or late; requests beyond 5 minutes are refused by AWS.
fn clock(ahead_ms: i64) -> Option<Verdict> {
    let off = ahead_ms.unsigned_abs();
    // The server tells whole seconds, and the answer takes its time.
    let what = format!("{} s off the server's", off / 1000);
    let fix = "set this machine's clock: leases look over, or live, that are not";
    match off {
        0..=30_000 => verdict(true, what, fix),
        30_001..=240_000 => advice(false, what, fix),
        _ => verdict(false, what, fix),
    }
}

#[cfg(test)]
mod tests;
