//! T01 to T06 and T28: what the queues must be, so that no order is lost or forged.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::Findings;
use super::alarms::metrics_of;
use super::stack::{Stack, list, number, object, truth, variable};

/// SQS's own default: 4 days.
pub const DEFAULT_RETENTION: i64 = 345_600;
const OUTPUTS: [&str; 2] = ["WAREHOUSE_QUEUE_URL", "NOTIFICATIONS_QUEUE_URL"];

/// Logical ID and properties of every queue that somebody consumes.
fn consumed(stack: &Stack) -> Vec<(&str, &Value)> {
    let sources = stack.mappings.iter().filter_map(|mapping| stack.source(mapping));
    let outputs = stack.functions().flat_map(|(_, function)| OUTPUTS.map(|name| variable(function, name)));
    let outputs = outputs.flatten().filter_map(|address| stack.queue(address));
    sources.chain(outputs).collect::<BTreeMap<_, _>>().into_iter().collect()
}

fn dead_letters<'a>(stack: &'a Stack, queue: &Value) -> Option<(&'a str, &'a Value)> {
    stack.queue(&object(&queue["RedrivePolicy"])["deadLetterTargetArn"])
}

pub fn t01_whatever_is_consumed_has_dead_letters(stack: &Stack) -> Findings {
    let mut found = Findings::new();
    let consumed = consumed(stack);
    if consumed.len() < 3 {
        found.push(("the stack".into(), "an event source, a warehouse and a notifications queue".into()));
    }
    for (id, queue) in &consumed {
        match dead_letters(stack, queue) {
            None => found.push(((*id).into(), "a RedrivePolicy to a dead-letter queue of this stack".into())),
            Some((letters, _)) if consumed.iter().any(|(other, _)| *other == letters) => {
                found
                    .push(((*id).into(), format!("a dead-letter queue that nobody consumes, not {letters}")));
            }
            Some(_) => {}
        }
    }
    for mapping in &stack.mappings {
        let source = stack.source(mapping).and_then(|(_, queue)| dead_letters(stack, queue));
        let own = variable(&mapping.function, "DEAD_LETTER_QUEUE_URL").and_then(|url| stack.queue(url));
        if own.map(|(id, _)| id) != source.map(|(id, _)| id) {
            let wanted = "DEAD_LETTER_QUEUE_URL to be the dead-letter queue of the event source";
            found.push((mapping.id.clone(), wanted.into()));
        }
    }
    found
}

pub fn t02_the_function_knows_the_receive_count(stack: &Stack) -> Findings {
    let mut found = Findings::new();
    for (id, queue) in consumed(stack) {
        let count = number(&object(&queue["RedrivePolicy"])["maxReceiveCount"]);
        if count.is_none_or(|count| !(5..=1000).contains(&count)) {
            found.push((id.into(), format!("a maxReceiveCount from 5 to 1000, not {count:?}")));
        }
    }
    for mapping in &stack.mappings {
        let Some((id, queue)) = stack.source(mapping) else { continue };
        let queues = number(&object(&queue["RedrivePolicy"])["maxReceiveCount"]);
        let functions = variable(&mapping.function, "MAX_RECEIVE_COUNT").and_then(number);
        if queues != functions {
            let wanted = format!("maxReceiveCount {queues:?} to equal MAX_RECEIVE_COUNT, {functions:?}");
            found.push((id.into(), wanted));
        }
    }
    found
}

pub fn retention(queue: &Value) -> i64 {
    number(&queue["MessageRetentionPeriod"]).unwrap_or(DEFAULT_RETENTION)
}

/// SQS keeps no message longer: 14 days.
pub const LONGEST_RETENTION: i64 = 1_209_600;

/// A standard queue keeps the time at which a message was first sent when it moves it: an order that is given up late must
/// still be there for a while. What the function sends may stand in its queue for as long as SQS allows: a shorter time in
/// front of the same dead-letter queue would lose it sooner, and keep none longer.
pub fn t03_messages_are_kept_until_somebody_can_act(stack: &Stack) -> Findings {
    let sources: Vec<_> = stack.mappings.iter().filter_map(|mapping| stack.source(mapping)).collect();
    let mut found = Findings::new();
    for (id, queue) in consumed(stack) {
        let Some((letters, target)) = dead_letters(stack, queue) else { continue };
        if sources.iter().any(|(source, _)| *source == id) {
            if retention(target) <= retention(queue) {
                found.push((letters.into(), format!("a longer MessageRetentionPeriod than {id}'s")));
            }
            continue;
        }
        for (id, queue) in [(id, queue), (letters, target)] {
            let kept = retention(queue);
            if kept != LONGEST_RETENTION {
                found.push((
                    id.into(),
                    format!("a MessageRetentionPeriod of {LONGEST_RETENTION}, not {kept}"),
                ));
            }
        }
    }
    found
}

/// SQS drops what nobody takes without a word, so somebody is told long before. The age says nothing of what was received
/// three times or more, so for what the function sends there is another alarm, on messages of which none is deleted.
pub fn t28_what_nobody_takes_is_told_of(stack: &Stack) -> Findings {
    if stack.of("AWS::CloudWatch::Alarm").next().is_none() {
        return Findings::new();
    }
    let sources: Vec<&str> =
        stack.mappings.iter().filter_map(|mapping| stack.source(mapping)).map(|(id, _)| id).collect();
    let mut found = Findings::new();
    for (id, _) in consumed(stack) {
        let mut wanted = vec!["ApproximateAgeOfOldestMessage"];
        if !sources.contains(&id) {
            wanted.push("NumberOfMessagesDeleted");
        }
        let is_of =
            |metric: &Value| stack.queue(&metric["Dimensions"][0]["Value"]).is_some_and(|(of, _)| of == id);
        for name in wanted {
            let looks = |alarm: &Value| {
                metrics_of(alarm).into_iter().any(|metric| metric["MetricName"] == name && is_of(metric))
            };
            if !stack.of("AWS::CloudWatch::Alarm").any(|(_, alarm)| looks(alarm)) {
                found.push((id.into(), format!("an alarm on its {name}")));
            }
        }
    }
    found
}

pub fn t04_a_dead_letter_queue_takes_from_its_source_alone(stack: &Stack) -> Findings {
    let mut found = Findings::new();
    for (id, queue) in consumed(stack) {
        let Some((letters, target)) = dead_letters(stack, queue) else { continue };
        let allow = object(&target["RedriveAllowPolicy"]);
        let sources: Vec<_> = list(&allow["sourceQueueArns"]).into_iter().cloned().collect();
        let own = stack.queues().find(|(other, _)| *other == id).and_then(|(_, own)| arn(stack, id, own));
        if allow["redrivePermission"] != "byQueue" || sources != Vec::from_iter(own) {
            found.push((letters.into(), format!("a RedriveAllowPolicy byQueue that names {id} alone")));
        }
    }
    found
}

fn arn(stack: &Stack, id: &str, queue: &Value) -> Option<Value> {
    let name = queue["QueueName"].as_str().map_or_else(|| format!("stack-{id}"), str::to_owned);
    stack.queue_arn(&json!(name)).map(Value::String)
}

/// Every statement of the policies of queues and topics, with the policy's ID and what it is attached to.
fn statements(stack: &Stack) -> Vec<(&str, Vec<&Value>, &Value)> {
    let policies = [
        ("AWS::SQS::QueuePolicy", "Queues"),
        ("AWS::SNS::TopicPolicy", "Topics"),
        ("AWS::SQS::QueueInlinePolicy", "Queue"),
        ("AWS::SNS::TopicInlinePolicy", "TopicArn"),
    ];
    let all = policies.into_iter().flat_map(|(kind, targets)| {
        stack.of(kind).map(move |(id, policy)| (id, list(&policy[targets]), policy))
    });
    all.flat_map(|(id, targets, policy)| {
        let statements = list(&policy["PolicyDocument"]["Statement"]).into_iter();
        statements.map(move |statement| (id, targets.clone(), statement))
    })
    .collect()
}

fn is_everybody(principal: &Value) -> bool {
    *principal == "*" || list(&principal["AWS"]).iter().any(|one| **one == "*")
}

fn refuses_plain_text(statement: &Value, service: &str, target: &str) -> bool {
    let all = [json!("*"), json!(format!("{service}:*"))];
    let covers = list(&statement["Resource"]).iter().any(|one| **one == "*" || **one == target);
    let condition = statement["Condition"].as_object();
    // A second condition would have to hold as well: it makes the refusal smaller.
    let plain = condition
        .filter(|condition| condition.len() == 1)
        .and_then(|condition| condition.get("Bool").or_else(|| condition.get("BoolIfExists")));
    let plain = plain.and_then(Value::as_object).filter(|keys| keys.len() == 1);
    let plain = plain.and_then(|keys| keys.iter().next());
    statement["Effect"] == "Deny"
        && is_everybody(&statement["Principal"])
        && list(&statement["Action"]).iter().any(|action| all.contains(action))
        && covers
        && plain.is_some_and(|(key, value)| {
            key.eq_ignore_ascii_case("aws:SecureTransport") && !truth(value) && !value.is_null()
        })
}

pub fn t05_queues_refuse_requests_without_tls(stack: &Stack) -> Findings {
    let mut found = Findings::new();
    for (id, queue) in stack.queues() {
        let own = arn(stack, id, queue).unwrap_or_default();
        let attached = statements(stack).into_iter().filter(|(_, targets, _)| {
            targets.iter().any(|target| stack.queue(target).is_some_and(|(attached, _)| attached == id))
        });
        let attached: Vec<_> = attached.collect();
        let refuses = |statement| refuses_plain_text(statement, "sqs", own.as_str().unwrap_or_default());
        if !attached.iter().any(|(_, _, statement)| refuses(statement)) {
            found.push((id.into(), "a policy that denies sqs:* to * without aws:SecureTransport".into()));
        }
        // SQS keeps one policy: of two resources the later one would win.
        let mut policies: Vec<_> = attached.iter().map(|(policy, _, _)| *policy).collect();
        policies.dedup();
        if policies.len() > 1 {
            found.push((id.into(), format!("one policy, not {}", policies.join(" and "))));
        }
    }
    found
}

/// Whether a condition lets in what belongs to certain accounts, topics or rules alone, by their whole names.
fn names_its_source(condition: &Value) -> bool {
    let operators = ["StringEquals", "ArnEquals"].into_iter();
    let tests = operators.filter_map(|operator| condition[operator].as_object()).flatten();
    let mut sources = tests.filter(|(key, _)| {
        ["aws:sourceaccount", "aws:sourcearn"].contains(&key.to_ascii_lowercase().as_str())
    });
    sources.any(|(_, named)| {
        let named = list(named);
        let is_whole = |name: &str| !name.is_empty() && !name.contains(['*', '?']);
        !named.is_empty() && named.iter().all(|name| name.as_str().is_some_and(is_whole))
    })
}

pub fn t06_only_named_principals_are_allowed(stack: &Stack) -> Findings {
    let mut found = Findings::new();
    for (id, _, statement) in statements(stack) {
        if statement["Effect"] != "Allow" {
            continue;
        }
        let principal = &statement["Principal"];
        let names = principal.as_object().into_iter().flat_map(|kinds| kinds.values().flat_map(list));
        let named = names.clone().count() > 0
            && names
                .clone()
                .all(|name| name.as_str().is_some_and(|name| !name.is_empty() && !name.contains('*')));
        if !named || is_everybody(principal) || statement.get("NotPrincipal").is_some() {
            found.push((id.into(), "principals by name in every Allow".into()));
        }
        // A service acts for every account that uses it.
        if !principal["Service"].is_null() && !names_its_source(&statement["Condition"]) {
            found.push((id.into(), "aws:SourceAccount or aws:SourceArn with a service as principal".into()));
        }
        if list(&statement["Action"]).iter().any(|action| action.as_str().is_none_or(|it| it.contains('*'))) {
            found.push((id.into(), "actions without wildcards in every Allow".into()));
        }
    }
    found
}
