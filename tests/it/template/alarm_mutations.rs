//! Every field of every alarm, changed: the row of the alarm tells which.

use serde_json::{Value, json};

use super::cases::{everything, template};
use super::expected::t29_every_alarm_is_as_its_row_says;
use super::stack::{Stack, number};

/// A field as the rows name it, and the alarm with another value there.
type Changed = (String, Value);

fn with(properties: &Value, path: &str, value: Value) -> Value {
    let mut changed = properties.clone();
    let (parent, last) = path.rsplit_once('/').expect("a path");
    let parent = changed.pointer_mut(parent).unwrap_or_else(|| panic!("{path} of {properties}"));
    match parent {
        Value::Object(entries) => drop(entries.insert(last.into(), value)),
        Value::Array(entries) => entries[last.parse::<usize>().expect("an index")] = value,
        other => panic!("{other} has no {last}"),
    }
    changed
}

fn without(properties: &Value, name: &str) -> Value {
    let mut changed = properties.clone();
    changed.as_object_mut().expect("properties").remove(name);
    changed
}

/// One more than a number; of what a parameter gives, a number that no parameter has.
fn other_number(value: &Value) -> Value {
    json!(number(value).map_or(31_337, |it| it + 1))
}

/// What every alarm has.
fn changes_of_any(alarm: &Value) -> Vec<Changed> {
    let mut all = vec![
        ("Threshold", with(alarm, "/Threshold", other_number(&alarm["Threshold"]))),
        ("ComparisonOperator", with(alarm, "/ComparisonOperator", json!("LessThanThreshold"))),
        ("ComparisonOperator", with(alarm, "/ComparisonOperator", json!("GreaterThanOrEqualToThreshold"))),
        ("EvaluationPeriods", with(alarm, "/EvaluationPeriods", other_number(&alarm["EvaluationPeriods"]))),
        ("DatapointsToAlarm", with(alarm, "/DatapointsToAlarm", json!(99))),
        ("TreatMissingData", without(alarm, "TreatMissingData")),
        ("AlarmName", with(alarm, "/AlarmName", json!("other"))),
        ("page", with(alarm, "/AlarmDescription", json!("docs/runbooks/other.md"))),
        ("AlarmActions", with(alarm, "/AlarmActions", json!([]))),
        ("AlarmActions", with(alarm, "/AlarmActions", json!(["arn:aws:sns:us-east-1:123456789012:other"]))),
        ("ActionsEnabled", with(alarm, "/ActionsEnabled", json!(false))),
        ("Unit", with(alarm, "/Unit", json!("Percent"))),
        (
            "EvaluateLowSampleCountPercentile",
            with(alarm, "/EvaluateLowSampleCountPercentile", json!("ignore")),
        ),
    ];
    for missing in ["breaching", "missing", "ignore"] {
        all.push(("TreatMissingData", with(alarm, "/TreatMissingData", json!(missing))));
    }
    all.into_iter().map(|(field, changed)| (field.to_owned(), changed)).collect()
}

/// What is gathered, at `place` of the alarm: `id` is the metric's in an expression.
fn changes_of_metric(alarm: &Value, id: &str, metric: &str, gathered: &str) -> Vec<Changed> {
    let mut all = Vec::new();
    let mut change = |field: &str, path: String, value: Value| {
        all.push((format!("{field} {id}").trim().to_owned(), with(alarm, &path, value)));
    };
    let at = |path: &str| alarm.pointer(path).cloned().unwrap_or_default();
    change("Metric", format!("{metric}/MetricName"), json!("Other"));
    change("Metric", format!("{metric}/Namespace"), json!("Other"));
    let dimensions = at(&format!("{metric}/Dimensions"));
    for place in 0..dimensions.as_array().expect("dimensions").len() {
        change("Dimensions", format!("{metric}/Dimensions/{place}/Name"), json!("Other"));
        change("Dimensions", format!("{metric}/Dimensions/{place}/Value"), json!("other"));
    }
    let names = ["Stat", "Statistic", "ExtendedStatistic"];
    let statistic = names.iter().find(|name| alarm.pointer(&format!("{gathered}/{name}")).is_some());
    let statistic = format!("{gathered}/{}", statistic.expect("a statistic"));
    for other in ["Sum", "Maximum", "Minimum", "Average", "SampleCount", "p50"] {
        if at(&statistic) != other {
            change("Statistic", statistic.clone(), json!(other));
        }
    }
    let period = format!("{gathered}/Period");
    let doubled = number(&at(&period)).expect("a period") * 2;
    change("Period", period, json!(doubled));
    all
}

/// The expression, and what it computes with.
fn changes_of_expression(alarm: &Value) -> Vec<Changed> {
    let mut all = Vec::new();
    let metrics = alarm["Metrics"].as_array().into_iter().flatten().enumerate();
    for (place, one) in metrics {
        let (id, at) = (one["Id"].as_str().expect("an ID"), format!("/Metrics/{place}"));
        if one.get("MetricStat").is_some() {
            all.extend(changes_of_metric(
                alarm,
                id,
                &format!("{at}/MetricStat/Metric"),
                &format!("{at}/MetricStat"),
            ));
            all.push((format!("ReturnData {id}"), with(alarm, &format!("{at}/ReturnData"), json!(true))));
            continue;
        }
        let path = format!("{at}/Expression");
        let expression = &one["Expression"];
        let own = expression.as_str().or_else(|| expression["Fn::Sub"].as_str()).expect("a text");
        let swapped = own.replace("FILL(", "MIN(").replace(" / ", " * ").replace(" + ", " - ");
        for other in [swapped, own.replace("0)", "1)"), format!("{own} + 0")] {
            if other != own {
                all.push(("Expression".into(), with(alarm, &path, json!({ "Fn::Sub": other }))));
            }
        }
        all.push((format!("ReturnData {id}"), with(alarm, &format!("{at}/ReturnData"), json!(false))));
    }
    all
}

fn changes(alarm: &Value) -> Vec<Changed> {
    let own = match alarm.get("MetricName") {
        Some(_) => changes_of_metric(alarm, "", "", ""),
        None => changes_of_expression(alarm),
    };
    changes_of_any(alarm).into_iter().chain(own).collect()
}

#[test]
fn no_field_of_an_alarm_changes_unnoticed_and_the_row_names_it() {
    let template = template();
    let alarms = template["Resources"].as_object().expect("resources").iter();
    let alarms = alarms.filter(|(_, resource)| resource["Type"] == "AWS::CloudWatch::Alarm");
    let (mut tried, mut missed) = (0, Vec::new());
    for (id, alarm) in alarms {
        let mut changed = template.clone();
        for (field, properties) in changes(&alarm["Properties"]) {
            changed["Resources"][id]["Properties"] = properties.clone();
            let found = t29_every_alarm_is_as_its_row_says(&Stack::new(&changed, &everything()));
            let names = |wanted: &str| wanted.starts_with(&format!("{field} to be "));
            if !found.iter().any(|(at, wanted)| at == id && names(wanted)) {
                missed.push(format!("{id}: {field} in {properties}, but found {found:?}"));
            }
            tried += 1;
        }
    }
    assert!(missed.is_empty(), "{}", missed.join("\n"));
    assert!(tried > 500, "only {tried} changes");
}
