//! T29: every alarm is what its row says, and every row has its alarm.

use std::collections::BTreeMap;

use serde_json::Value;

use super::Findings;
use super::resolve::text;
use super::rows::{Above, Metric, Of, Row, Tells, When, rows};
use super::stack::{Stack, list};

/// An alarm as named fields, so that a difference has a name.
type Fields = BTreeMap<String, String>;

const ALARM: &str = "AWS::CloudWatch::Alarm";
/// As `resolve` names the number of the version.
pub const VERSION: &str = "stack-OrderProcessor.Version.Version";

pub fn t29_every_alarm_is_as_its_row_says(stack: &Stack) -> Findings {
    let alarms: BTreeMap<&str, &Value> = stack.of(ALARM).collect();
    let rows: Vec<Row> = rows().into_iter().filter(|row| is_due(stack, row)).collect();
    let mut found = Findings::new();
    for (id, _) in alarms.iter().filter(|(id, _)| rows.iter().all(|row| row.alarm != **id)) {
        found.push(((*id).to_owned(), "a row among the expected ones".into()));
    }
    for row in rows {
        let Some(alarm) = alarms.get(row.alarm) else {
            found.push(("the stack".into(), format!("the alarm {}", row.alarm)));
            continue;
        };
        let (wanted, is) = (expected(stack, &row), read(alarm));
        let mut names: Vec<&String> = wanted.keys().chain(is.keys()).collect();
        names.sort();
        names.dedup();
        for name in names.into_iter().filter(|name| wanted.get(*name) != is.get(*name)) {
            let shown = |fields: &Fields| fields.get(name).cloned().unwrap_or_else(|| "nothing".into());
            found.push((row.alarm.into(), format!("{name} to be {}, not {}", shown(&wanted), shown(&is))));
        }
    }
    found
}

/// What together is "orders are not processed": each of these warns, and the composite alarm calls somebody.
const NOT_PROCESSED: [&str; 5] =
    ["function-errors", "function-throttles", "batch-item-failure-rate", "retry-rate", "oldest-message"];

pub fn t30_one_cause_calls_once(stack: &Stack) -> Findings {
    if stack.parameters["Monitoring"] != "true" {
        return Findings::new();
    }
    let mut composed = stack.of("AWS::CloudWatch::CompositeAlarm");
    let (Some((id, alarm)), None) = (composed.next(), composed.next()) else {
        return vec![("the stack".into(), "a composite alarm, one".into())];
    };
    let children = NOT_PROCESSED.map(|name| format!("ALARM(\"stack-{name}\")"));
    let (wanted, is) = (children.join(" OR "), text(&alarm["AlarmRule"]));
    let told = topic(stack, "AlarmTopicArn", "alarms");
    let mut found = Findings::new();
    if is.split_whitespace().ne(wanted.split_whitespace()) {
        found.push((id.into(), format!("AlarmRule to be {wanted}, not {is}")));
    }
    if list(&alarm["AlarmActions"]).into_iter().map(text).collect::<Vec<_>>() != [told.clone()] {
        found.push((id.into(), format!("AlarmActions to be {told}")));
    }
    found
}

fn is_due(stack: &Stack, row: &Row) -> bool {
    let is = |name: &str, value: &str| stack.parameters[name] == value;
    let due = match row.when {
        When::Always => true,
        When::Capped => !is("MaximumConcurrency", "0"),
    };
    due && is("Monitoring", "true")
}

/// What the row says, with the stack's parameters.
fn expected(stack: &Stack, row: &Row) -> Fields {
    let parameter = |name: &str| stack.parameters[name].clone();
    let threshold = match row.above {
        Above::Number(number) => number.to_string(),
        Above::Parameter(name) => parameter(name),
        Above::PercentOfTimeout(percent) => {
            (parameter("FunctionTimeout").parse::<i64>().expect("seconds") * 10 * percent).to_string()
        }
    };
    let expression = filled(stack, row.expression);
    let [most, of] = row.periods;
    let told = match row.tells {
        Tells::Pages => topic(stack, "AlarmTopicArn", "alarms"),
        Tells::Warns => topic(stack, "WarningTopicArn", "warnings"),
    };
    let mut fields: Fields = [
        ("AlarmName", format!("stack-{}", row.name)),
        ("page", row.page.to_owned()),
        ("Threshold", threshold),
        ("ComparisonOperator", "GreaterThanThreshold".into()),
        ("DatapointsToAlarm", most.to_string()),
        ("EvaluationPeriods", of.to_string()),
        ("TreatMissingData", "notBreaching".into()),
        ("AlarmActions", told),
        ("Expression", expression),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into();
    for metric in &row.metrics {
        fields.extend(gathered(stack, metric));
    }
    fields
}

/// With the values of the parameters that it names in braces.
fn filled(stack: &Stack, pattern: &str) -> String {
    let mut parts = pattern.split('{');
    let mut whole = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (name, rest) = part.split_once('}').expect("a closing brace");
        whole.push_str(&stack.parameters[name]);
        whole.push_str(rest);
    }
    whole
}

/// The topic that a parameter names, or the stack's own.
fn topic(stack: &Stack, parameter: &str, own: &str) -> String {
    let given = &stack.parameters[parameter];
    let own = format!("arn:aws:sns:us-east-1:123456789012:stack-{own}");
    if given.is_empty() { own } else { given.clone() }
}

fn gathered(stack: &Stack, metric: &Metric) -> Fields {
    let parameter = |name: &str| &stack.parameters[name];
    let ours = format!("environment={}, service={}", parameter("Environment"), parameter("Service"));
    let (namespace, dimensions) = match metric.of {
        Of::Ours => ("OrderProcessor", ours),
        Of::OurVersion => ("OrderProcessor", format!("{ours}, version={VERSION}")),
        Of::FunctionVersion => (
            "AWS/Lambda",
            format!(
                "ExecutedVersion={VERSION}, FunctionName=stack-OrderProcessor, Resource=stack-OrderProcessor:live"
            ),
        ),
        Of::Queue(name) => ("AWS/SQS", format!("QueueName=stack-{name}")),
        Of::Function => ("AWS/Lambda", "FunctionName=stack-OrderProcessor".into()),
        Of::Table => {
            let given = parameter("ExistingTableName");
            let table = if given.is_empty() { "stack-OrdersTable" } else { given };
            ("AWS/DynamoDB", format!("TableName={table}"))
        }
    };
    let fields = [
        ("Metric", format!("{namespace} {}", metric.name)),
        ("Dimensions", dimensions),
        ("Statistic", metric.statistic.to_owned()),
        ("Period", metric.period.to_string()),
    ];
    fields.map(|(name, value)| (format!("{name} {}", metric.id).trim().to_owned(), value)).into()
}

/// What the template says. A property that no row has a word for is one more field, so that it differs.
fn read(alarm: &Value) -> Fields {
    let mut fields = Fields::new();
    let description = text(&alarm["AlarmDescription"]);
    let page = description.rsplit('/').next().and_then(|page| page.strip_suffix(".md"));
    fields.insert("page".into(), page.unwrap_or_default().to_owned());
    fields.insert("Expression".into(), String::new());
    // One period of one, unless it says more.
    let periods = text(&alarm["EvaluationPeriods"]);
    fields.insert("DatapointsToAlarm".into(), periods);
    for (name, value) in alarm.as_object().into_iter().flatten() {
        match name.as_str() {
            "AlarmDescription" | "Namespace" | "MetricName" | "Dimensions" | "Statistic" | "Period"
            | "ExtendedStatistic" => {}
            "Metrics" => list(value).into_iter().for_each(|one| fields.extend(read_metric(one))),
            "AlarmActions" => {
                let topics: Vec<String> = list(value).into_iter().map(text).collect();
                fields.insert(name.clone(), topics.join(", "));
            }
            _ => drop(fields.insert(name.clone(), text(value))),
        }
    }
    if alarm.get("MetricName").is_some() {
        let statistic = alarm.get("Statistic").or_else(|| alarm.get("ExtendedStatistic"));
        fields.extend(read_gathered("", alarm, statistic, &alarm["Period"]));
    }
    fields
}

/// One of `Metrics`: the expression, or what it computes with.
fn read_metric(one: &Value) -> Fields {
    let id = text(&one["Id"]);
    let returned = one.get("ReturnData").is_none_or(|it| *it != Value::Bool(false));
    let mut fields = match one.get("MetricStat") {
        Some(stat) => read_gathered(&id, &stat["Metric"], stat.get("Stat"), &stat["Period"]),
        None => [("Expression".to_owned(), text(&one["Expression"]))].into(),
    };
    // Exactly the expression is what is compared.
    if returned == one.get("MetricStat").is_some() {
        fields.insert(format!("ReturnData {id}"), returned.to_string());
    }
    fields
}

fn read_gathered(id: &str, metric: &Value, statistic: Option<&Value>, period: &Value) -> Fields {
    let mut dimensions: Vec<String> = list(&metric["Dimensions"])
        .into_iter()
        .map(|one| format!("{}={}", text(&one["Name"]), text(&one["Value"])))
        .collect();
    dimensions.sort();
    let fields = [
        ("Metric", format!("{} {}", text(&metric["Namespace"]), text(&metric["MetricName"]))),
        ("Dimensions", dimensions.join(", ")),
        ("Statistic", statistic.map(text).unwrap_or_default()),
        ("Period", text(period)),
    ];
    fields.map(|(name, value)| (format!("{name} {id}").trim().to_owned(), value)).into()
}

/// CodeDeploy sees an alarm when CloudWatch has evaluated it: a minute for the metric to come, one for both to look.
const MINUTES_TO_BE_SEEN: i64 = 2;

/// How many orders a bad version gets before it is rolled back, as the runbook tells it.
#[test]
fn a_canary_is_rolled_back_as_soon_as_its_page_says() {
    let stack = Stack::new(&super::cases::template(), &super::cases::everything());
    let (_, function) = stack.functions().next().expect("a function");
    let preference = text(&function["DeploymentPreference"]["Type"]);
    let canary = preference.strip_prefix("Canary").and_then(|it| it.strip_suffix("Minutes"));
    let (percent, minutes) = canary.and_then(|it| it.split_once("Percent")).expect("a canary");
    let (percent, minutes): (i64, i64) = (percent.parse().unwrap(), minutes.parse().unwrap());
    let judges = rows().into_iter().filter(|row| row.page == "rollback");
    let longest = judges.map(|row| row.periods[1] * row.metrics[0].period / 60).max().expect("two alarms");
    let seen_after = longest + MINUTES_TO_BE_SEEN;
    assert!(seen_after < minutes, "the canary of {minutes} minutes is over before it is judged");
    let page = include_str!("../../../docs/runbooks/rollback.md");
    assert_eq!(percent, 10, "the page speaks of a tenth");
    let told = format!(
        "a tenth of the orders of {seen_after} minutes went to the new version: of 1,000 orders a minute {}",
        1000 * percent / 100 * seen_after
    );
    assert!(page.contains(&told), "docs/runbooks/rollback.md is to say: {told}");
}
