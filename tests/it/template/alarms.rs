//! T18, T19, T25 and T27: who is told of what.

use std::collections::BTreeSet;
use std::path::Path;

use order_processor::metrics::{DIMENSIONS, METRICS, NAMESPACE, VERSION_DIMENSIONS, VERSION_METRICS};
use serde_json::{Value, json};

use super::Findings;
use super::expected::VERSION;
use super::queues::retention;
use super::stack::{Stack, list, number, object, truth, variable};

const RUNBOOKS: &str = "docs/runbooks";

/// Runbooks for what people do of their own accord. No alarm names them, so the folder's README must.
const PROCEDURES: [&str; 2] = ["payment-key", "restore"];

/// The names of the runbooks, without their ending.
fn runbooks() -> BTreeSet<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(RUNBOOKS);
    let files = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    files.map(|file| file.file_stem().unwrap().to_str().unwrap().to_owned()).collect()
}

pub fn t18_every_alarm_is_heard_and_explained(stack: &Stack) -> Findings {
    let mut found = Findings::new();
    let pages = runbooks();
    let mut unused = pages.clone();
    unused.remove("README");
    let readme = include_str!("../../../docs/runbooks/README.md");
    for page in PROCEDURES.iter().filter(|page| readme.contains(&format!("]({page}.md)"))) {
        unused.remove(*page);
    }
    let composed = stack.of("AWS::CloudWatch::CompositeAlarm");
    for (id, alarm) in stack.of("AWS::CloudWatch::Alarm").chain(composed) {
        let mut want = |holds: bool, wanted: &str| {
            if !holds {
                found.push((id.into(), wanted.into()));
            }
        };
        let actions = list(&alarm["AlarmActions"]);
        let heard = actions.iter().any(|action| action.as_str().is_some_and(|arn| arn.starts_with("arn:")));
        want(heard && alarm.get("ActionsEnabled").is_none_or(truth), "AlarmActions");
        let composed = alarm.get("AlarmRule").is_some();
        want(composed || alarm["TreatMissingData"] == "notBreaching", "TreatMissingData: notBreaching");
        let book = alarm["AlarmDescription"].as_str().and_then(runbook);
        let known = book.is_some_and(|book| pages.contains(book));
        want(known, "an AlarmDescription that links a runbook, docs/runbooks/NAME.md");
        unused.remove(book.unwrap_or_default());
    }
    // The concurrency alarm has nothing to compare with unless there is a cap.
    let capped = |mapping: &super::stack::Mapping| mapping.properties.get("ScalingConfig").is_some();
    if !stack.mappings.iter().any(capped) {
        unused.remove("concurrency");
    }
    found.extend(unused.into_iter().map(|book| ("the stack".into(), format!("an alarm for {book}.md"))));
    found
}

fn runbook(description: &str) -> Option<&str> {
    let (_, rest) = description.split_once("docs/runbooks/")?;
    rest.split_once(".md").map(|(name, _)| name)
}

/// What is measured must be able to pass the threshold, and while something can still be done.
pub fn t25_every_alarm_can_ring_in_time(stack: &Stack) -> Findings {
    let mut found = Findings::new();
    for (id, alarm) in stack.of("AWS::CloudWatch::Alarm") {
        let threshold = number(&alarm["Threshold"]);
        let most = most(stack, alarm);
        if threshold.is_none() || most.is_some_and(|most| threshold >= Some(most)) {
            found.push((id.into(), format!("a Threshold below {most:?}, not {threshold:?}")));
        }
    }
    found
}

/// The value from which a threshold is too high, for what has one.
fn most(stack: &Stack, alarm: &Value) -> Option<i64> {
    let metrics = list(&alarm["Metrics"]);
    let expression = metrics.into_iter().find_map(|one| one["Expression"].as_str()).unwrap_or_default();
    if expression.contains("100 * ") {
        return Some(100); // a share of a whole
    }
    if expression.ends_with(", 1, 0)") {
        return Some(1); // yes or no
    }
    match alarm["MetricName"].as_str() {
        // No invocation takes longer than the timeout.
        Some("Duration") => {
            stack.functions().filter_map(|(_, it)| number(&it["Timeout"])).min().map(|s| s * 1000)
        }
        // Half of its life is left to save a message in.
        Some("ApproximateAgeOfOldestMessage") => {
            let (_, queue) = stack.queue(&alarm["Dimensions"][0]["Value"])?;
            Some(retention(queue) / 2 + 1)
        }
        _ => None,
    }
}

/// Every metric that an alarm looks at: its own, or those of its expression.
pub fn metrics_of(alarm: &Value) -> Vec<&Value> {
    let nested = list(&alarm["Metrics"]).into_iter().filter_map(|one| one["MetricStat"].get("Metric"));
    nested.chain(alarm.get("MetricName").map(|_| alarm)).collect()
}

/// In seconds: the longest that an order may wait before the alarm knows of it.
const COUNT_EVERY: i64 = 300;

/// The number of parked orders is only as true as it is fresh, and there only if somebody asks for it.
pub fn t27_parked_orders_are_counted_while_they_wait(stack: &Stack) -> Findings {
    let mut found = Findings::new();
    let of_parked = |alarm: &Value| alarm["MetricName"] == "ParkedOrders";
    if stack.of("AWS::CloudWatch::Alarm").next().is_some()
        && !stack.of("AWS::CloudWatch::Alarm").any(|(_, alarm)| of_parked(alarm))
    {
        found.push(("the stack".into(), "an alarm on ParkedOrders".into()));
    }
    for (id, alarm) in stack.of("AWS::CloudWatch::Alarm").filter(|(_, alarm)| of_parked(alarm)) {
        let every =
            stack.of("AWS::Events::Rule").filter_map(|(id, rule)| counted_every(stack, id, rule)).min();
        let period = number(&alarm["Period"]).unwrap_or_default();
        let mut want = |holds: bool, wanted: &str| {
            if !holds {
                found.push((id.into(), wanted.into()));
            }
        };
        want(
            every.is_some_and(|every| every <= COUNT_EVERY),
            "a schedule by which the function counts, at least every 5 minutes",
        );
        want(
            every.is_none_or(|every| every <= period) && period <= COUNT_EVERY,
            "a Period that has a count, of at most 5 minutes",
        );
        want(
            alarm["Statistic"] == "Maximum" && alarm["Threshold"] == 0,
            "to ring while the Maximum is above 0",
        );
        want(
            alarm["ComparisonOperator"] == "GreaterThanThreshold" && alarm["EvaluationPeriods"] == 1,
            "to ring at once",
        );
    }
    found
}

/// In seconds, if the rule lets a function count, and may.
fn counted_every(stack: &Stack, id: &str, rule: &Value) -> Option<i64> {
    let expression = rule["ScheduleExpression"].as_str()?;
    let rate = expression.strip_prefix("rate(")?.trim_end_matches("minute)").trim_end_matches("minutes)");
    let targets = list(&rule["Targets"]).into_iter();
    let counts = targets.filter(|target| object(&target["Input"]) == json!({ "count": "parked" }));
    let is_alias =
        |arn: &Value| stack.functions().any(|(function, _)| *arn == format!("stack-{function}.Alias"));
    let mut counting = counts.filter(|target| {
        let may = |permission: &Value| {
            permission["FunctionName"] == target["Arn"]
                && permission["Principal"] == "events.amazonaws.com"
                && permission["Action"] == "lambda:InvokeFunction"
                && permission["SourceArn"] == format!("stack-{id}.Arn")
        };
        is_alias(&target["Arn"]) && stack.of("AWS::Lambda::Permission").any(|(_, permission)| may(permission))
    });
    let on = rule.get("State").is_none_or(|state| state == "ENABLED");
    let minutes: i64 = rate.trim().parse().ok()?;
    (on && counting.next().is_some()).then_some(minutes * 60)
}

/// A metric that something refers to, as it was found.
struct Reference {
    namespace: Value,
    name: Value,
    dimensions: Vec<(Value, Value)>,
}

/// Of AWS's metrics, those that are known to be there.
const AWS_METRICS: [(&str, &str, &[&str]); 3] = [
    (
        "AWS/SQS",
        "QueueName",
        &[
            "ApproximateAgeOfOldestMessage",
            "ApproximateNumberOfMessagesNotVisible",
            "ApproximateNumberOfMessagesVisible",
            "NumberOfMessagesDeleted",
            "NumberOfMessagesReceived",
        ],
    ),
    (
        "AWS/Lambda",
        "FunctionName",
        &["ConcurrentExecutions", "Duration", "Errors", "Invocations", "Throttles"],
    ),
    (
        "AWS/DynamoDB",
        "TableName",
        &["ConsumedWriteCapacityUnits", "ReadThrottleEvents", "TransactionConflict", "WriteThrottleEvents"],
    ),
];

pub fn t19_only_metrics_that_exist_are_referred_to(stack: &Stack) -> Findings {
    let mut found = Findings::new();
    for (id, alarm) in stack.of("AWS::CloudWatch::Alarm") {
        let all: Vec<Reference> = metrics_of(alarm).into_iter().map(of_alarm).collect();
        if all.is_empty() {
            found.push((id.into(), "a metric".into()));
        }
        found.extend(all.iter().filter_map(|one| Some((id.to_owned(), wrong(stack, one)?))));
    }
    for (id, dashboard) in stack.of("AWS::CloudWatch::Dashboard") {
        let body = object(&dashboard["DashboardBody"]);
        let Some(widgets) = body["widgets"].as_array() else {
            found.push((id.into(), "a DashboardBody that is JSON with widgets".into()));
            continue;
        };
        for widget in widgets {
            let all = of_widget(&widget["properties"]["metrics"]);
            found.extend(all.iter().filter_map(|one| Some((id.to_owned(), wrong(stack, one)?))));
        }
    }
    found
}

fn of_alarm(metric: &Value) -> Reference {
    let dimensions = list(&metric["Dimensions"]).into_iter();
    Reference {
        namespace: metric["Namespace"].clone(),
        name: metric["MetricName"].clone(),
        dimensions: dimensions.map(|one| (one["Name"].clone(), one["Value"].clone())).collect(),
    }
}

/// In a widget, "." stands for what the row above has in that place.
fn of_widget(rows: &Value) -> Vec<Reference> {
    let mut above: Vec<Value> = Vec::new();
    let mut found = Vec::new();
    for row in list(rows) {
        let cells: Vec<&Value> = list(row).into_iter().filter(|cell| cell.is_string()).collect();
        let filled = cells.iter().enumerate().map(|(place, cell)| match **cell == "." {
            true => above.get(place).cloned().unwrap_or_default(),
            false => (*cell).clone(),
        });
        let filled: Vec<Value> = filled.collect();
        if let [namespace, name, dimensions @ ..] = &filled[..] {
            let dimensions = dimensions.chunks(2).map(|pair| (pair[0].clone(), pair[pair.len() - 1].clone()));
            let (namespace, name) = (namespace.clone(), name.clone());
            found.push(Reference { namespace, name, dimensions: dimensions.collect() });
        }
        above = filled;
    }
    found
}

fn wrong(stack: &Stack, metric: &Reference) -> Option<String> {
    let Reference { namespace, name, dimensions } = metric;
    let shown = format!("{namespace} {name} {dimensions:?}");
    if namespace == NAMESPACE {
        let function = stack.functions().next().map(|(_, function)| function)?;
        let values = ["SERVICE", "ENVIRONMENT"].map(|it| variable(function, it).cloned().unwrap_or_default());
        let mut own: Vec<(Value, Value)> = DIMENSIONS.map(|it| json!(it)).into_iter().zip(values).collect();
        let mut listed = &METRICS[..];
        if dimensions.len() > DIMENSIONS.len() {
            own.push((json!(VERSION_DIMENSIONS[2]), json!(VERSION)));
            listed = &VERSION_METRICS;
        }
        let known = listed.iter().any(|metric| name == metric.name);
        return (!known || *dimensions != own)
            .then(|| format!("a metric of the code with the dimensions {DIMENSIONS:?} as the function has them, not {shown}"));
    }
    let known =
        AWS_METRICS.iter().find(|(space, _, names)| namespace == space && names.iter().any(|it| name == it));
    let of_ours = known.is_some_and(|(_, dimension, _)| match &dimensions[..] {
        [(key, value)] => key == dimension && is_of_the_stack(stack, value),
        [(key, value), (resource, _), (version, _)] => {
            key == "FunctionName"
                && is_of_the_stack(stack, value)
                && (resource, version) == (&json!("Resource"), &json!("ExecutedVersion"))
        }
        _ => false,
    });
    (!of_ours).then(|| format!("a metric that AWS has of a resource of this stack, not {shown}"))
}

fn is_of_the_stack(stack: &Stack, name: &Value) -> bool {
    let ids = stack.functions().chain(stack.of("AWS::DynamoDB::Table")).map(|(id, _)| format!("stack-{id}"));
    let used = stack.functions().any(|(_, function)| variable(function, "ORDERS_TABLE") == Some(name));
    used || stack.queue(name).is_some() || ids.into_iter().any(|id| *name == json!(id))
}
