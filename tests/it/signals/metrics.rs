//! Every line of metrics is of the embedded metric format, and together they are what `metrics.rs` lists.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use order_processor::budget::Budget;
use order_processor::clock::UnixMillis;
use order_processor::local::faults::{Fault, Faults};
use order_processor::metrics::{
    DIMENSIONS, MAX_VALUES, METRICS, NAMESPACE, VERSION_DIMENSIONS, VERSION_METRICS, latency_of,
};
use order_processor::record::Record;
use order_processor::services;
use serde_json::{Value, json};

use super::panic_at_the_charge;
use crate::world::warehouse::RefusingWarehouse;
use crate::world::{Message, World, message, order_json, raw};

/// What the format demands (CloudWatch's Embedded Metric Format Specification), of lines with one directive.
fn schema() -> jsonschema::Validator {
    let text = json!({ "type": "string", "minLength": 1, "maxLength": 1024 });
    let metric = json!({
        "type": "object",
        "required": ["Name", "Unit"],
        "properties": { "Name": text, "Unit": { "enum": ["Count", "Milliseconds"] } },
    });
    let directive = json!({
        "type": "object",
        "required": ["Namespace", "Dimensions", "Metrics"],
        "properties": {
            "Namespace": { "type": "string", "minLength": 1, "maxLength": 256, "pattern": "^[^:]" },
            "Dimensions": {
                "type": "array", "minItems": 1,
                "items": { "type": "array", "maxItems": 30, "items": text },
            },
            "Metrics": { "type": "array", "minItems": 1, "maxItems": 100, "items": metric },
        },
    });
    let counts =
        json!({ "type": "array", "minItems": 1, "maxItems": MAX_VALUES, "items": { "type": "number" } });
    let values = json!({
        "anyOf": [
            { "type": "number" },
            counts,
            { "type": "object", "required": ["Values", "Counts"], "properties": { "Values": counts, "Counts": counts } },
        ],
    });
    let schema = json!({
        "type": "object",
        "required": ["_aws", "service", "environment"],
        "properties": {
            "_aws": {
                "type": "object",
                "required": ["Timestamp", "CloudWatchMetrics"],
                "properties": {
                    "Timestamp": { "type": "integer", "minimum": 1 },
                    "CloudWatchMetrics": { "type": "array", "minItems": 1, "maxItems": 1, "items": directive },
                },
            },
            "service": text,
            "environment": text,
        },
        "additionalProperties": values,
    });
    jsonschema::validator_for(&schema).unwrap()
}

/// The metrics of a line: unit and value by name. Everything at the top is one, or a dimension.
fn read(line: &str) -> BTreeMap<String, (String, Value)> {
    assert!(line.ends_with('\n') && line.lines().count() == 1, "one line: {line:?}");
    let line: Value = serde_json::from_str(line).unwrap();
    if let Err(error) = schema().validate(&line) {
        panic!("{error}: {line}");
    }
    let directive = &line["_aws"]["CloudWatchMetrics"][0];
    assert_eq!(
        (&directive["Namespace"], &directive["Dimensions"]),
        (&json!(NAMESPACE), &json!([DIMENSIONS]))
    );
    let metrics = directive["Metrics"].as_array().unwrap().iter().map(|metric| {
        let name = metric["Name"].as_str().unwrap().to_owned();
        let value = line[&name].clone();
        (name, (metric["Unit"].as_str().unwrap().to_owned(), value))
    });
    let metrics: BTreeMap<_, _> = metrics.collect();
    let top: BTreeSet<&str> = line.as_object().unwrap().keys().map(String::as_str).collect();
    let named = metrics.keys().map(String::as_str).chain(DIMENSIONS).chain(["_aws"]).collect();
    assert_eq!(top, named, "{line}");
    metrics
}

fn total(value: &Value) -> f64 {
    match value {
        Value::Number(number) => number.as_f64().unwrap(),
        Value::Array(values) => values.iter().map(total).sum(),
        histogram => {
            let pairs =
                histogram["Values"].as_array().unwrap().iter().zip(histogram["Counts"].as_array().unwrap());
            pairs.map(|(value, count)| total(value) * total(count)).sum()
        }
    }
}

fn paid_by(id: &str, token: &str) -> Value {
    let mut order = order_json(id);
    order["payment_method"] = json!(token);
    order
}

/// A batch in which most things happen, and what it is to count.
fn batch() -> (Vec<Message>, BTreeMap<&'static str, f64>) {
    let [mut other, mut old, mut early, mut much] = ["ord-1", "ord-2", "ord-3", "ord-4"].map(order_json);
    other["currency"] = json!("EUR");
    old["placed_at"] = json!("2020-01-01T00:00:00Z");
    early["placed_at"] = json!("2030-01-01T00:00:00Z");
    much["items"][0]["quantity"] = json!(1000);
    let down = paid_by("ord-5", "pm_card_unavailable");
    let messages = vec![
        message("m1", &order_json("ord-1")),
        message("m2", &order_json("ord-1")),
        message("m3", &other),
        message("m4", &old),
        message("m5", &early),
        message("m6", &much),
        message("m7", &down).received(3),
        message("m8", &paid_by("ord-6", "pm_card_unavailable")).received(20),
        raw("m9", "{}"),
        message("n1", &paid_by("ord-7", "pm_card_declined")),
    ];
    let counts = [
        ("OrdersReceived", 10.0),
        ("OrdersCompleted", 1.0),
        ("OrdersRejected", 2.0),
        ("Duplicates", 1.0),
        ("Conflicts", 1.0),
        ("Stale", 2.0),
        ("Invalid", 1.0),
        ("Retries", 1.0),
        ("Parked", 1.0),
        ("LastAttempt", 1.0),
        ("Redeliveries", 2.0),
        ("BatchItemFailures", 1.0),
        ("InProgress", 0.0),
        ("Panics", 0.0),
        ("Deferred", 0.0),
        ("LeaseTakeovers", 0.0),
        ("LeaseLost", 0.0),
        ("ColdStart", 1.0),
    ];
    (messages, counts.into())
}

#[tokio::test(start_paused = true)]
async fn a_batch_counts_as_what_became_of_its_messages() {
    let world = World::new().await;
    let worker = world.worker();
    let (messages, expected) = batch();
    world.deliver_to(&worker, &messages).await;
    let line = read(&world.metrics()[0]);
    for (name, count) in expected {
        assert_eq!(total(&line[name].1), count, "{name} in {line:?}");
    }
    assert!(total(&line["WriteUnits"].1) >= 20.0, "{line:?}");

    world.deliver_to(&worker, &[message("m1", &order_json("ord-1"))]).await;
    let again = read(&world.metrics()[1]);
    let of = |name: &str| total(&again[name].1);
    assert_eq!(
        (of("OrdersReceived"), of("Duplicates"), of("ColdStart"), of("WriteUnits")),
        (1.0, 1.0, 0.0, 0.0)
    );
}

#[tokio::test(start_paused = true)]
async fn a_version_is_judged_by_what_it_refuses_parks_or_fails_and_not_by_what_others_have() {
    let mut world = World::new().await;
    world.version = Some("17".to_owned());
    let worker = world.worker();
    let (mut messages, _) = batch();
    // Another worker has this order.
    let claim = claimed_elsewhere(&world, "ord-9").await;
    messages.push(claim);
    world.deliver_to(&worker, &messages).await;
    let lines = world.metrics();
    let of_version: Vec<Value> = lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of_version: Vec<&Value> = of_version.iter().filter(|line| !line["version"].is_null()).collect();
    assert_eq!(of_version.len(), 1, "one line a batch");
    let directive = &of_version[0]["_aws"]["CloudWatchMetrics"][0];
    assert_eq!(directive["Dimensions"], json!([VERSION_DIMENSIONS]));
    let named: BTreeSet<&str> =
        directive["Metrics"].as_array().unwrap().iter().map(|one| one["Name"].as_str().unwrap()).collect();
    assert_eq!(named, VERSION_METRICS.iter().map(|metric| metric.name).collect());
    // Conflict, stale, future, retry, parked and invalid; neither the rejections nor the duplicate nor the one at work.
    let told = |name: &str| of_version[0][name].as_f64().unwrap();
    assert_eq!(
        (of_version[0]["version"].as_str(), told("OrdersReceived"), told("Faults")),
        (Some("17"), 11.0, 6.0)
    );
}

/// A message of an order that another worker has at the moment.
async fn claimed_elsewhere(world: &World, id: &str) -> Message {
    let message = message("n2", &order_json(id));
    let faults = Faults::on_first("DynamoDB TransactWriteItems", Fault::CrashBefore);
    world.dies_under(&faults, std::slice::from_ref(&message)).await;
    message
}

#[tokio::test(start_paused = true)]
async fn latencies_are_in_milliseconds_of_the_step_and_of_the_message() {
    let world = World::new().await;
    tokio::time::advance(Duration::from_secs(60)).await;
    world.deliver(&[message("m1", &paid_by("ord-1", "pm_card_slow"))]).await;
    let line = read(&world.metrics()[0]);
    for (name, least, most) in [
        ("ChargePaymentLatency", 2000.0, 2100.0),
        ("ReserveInventoryLatency", 0.0, 100.0),
        ("ProcessingLatency", 2000.0, 2200.0),
        ("EndToEndLatency", 62_000.0, 62_200.0),
    ] {
        let (unit, value) = &line[name];
        assert!(unit == "Milliseconds" && (least..=most).contains(&total(value)), "{name}: {unit} {value}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_hundred_messages_are_one_line_and_one_more_is_another() {
    let world = World::new().await;
    let many = |count: usize| -> Vec<Message> { (0..count).map(|it| raw(&format!("m{it}"), "{}")).collect() };
    world.deliver(&many(MAX_VALUES)).await;
    assert_eq!(world.metrics().len(), 1);
    world.deliver(&many(MAX_VALUES + 1)).await;
    let received: Vec<f64> =
        world.metrics().iter().map(|line| total(&read(line)["OrdersReceived"].1)).collect();
    assert_eq!(received, [100.0, 100.0, 1.0]);
    world.deliver(&[]).await;
    assert_eq!(world.metrics().len(), 3, "nothing is told of nothing");
}

#[tokio::test(start_paused = true)]
async fn what_comes_again_is_no_duplicate_and_a_park_that_was_not_told_is_told() {
    let world = World::new().await;
    let down = paid_by("ord-2", "pm_card_unavailable");
    world.deliver(&[message("m1", &order_json("ord-1")), message("m2", &down).received(20)]).await;
    let duplicates = [message("m1", &order_json("ord-1")).received(2), message("m3", &order_json("ord-1"))];
    let parked = [message("m2", &down).received(21), message("m4", &down)];
    world.deliver(&[duplicates, parked].concat()).await;
    let line = read(&world.metrics()[1]);
    assert_eq!((total(&line["Duplicates"].1), total(&line["Parked"].1)), (1.0, 1.0), "{line:?}");
}

#[tokio::test(start_paused = true)]
async fn an_order_that_its_worker_released_is_not_taken_over() {
    let world = World::new().await;
    let slow = message("m1", &paid_by("ord-1", "pm_card_slow"));
    world.deliver_within(&world.worker(), std::slice::from_ref(&slow), Duration::from_secs(3)).await;
    world.deliver(&[slow]).await;
    let line = read(&world.metrics()[1]);
    assert_eq!((total(&line["OrdersCompleted"].1), total(&line["LeaseTakeovers"].1)), (1.0, 0.0), "{line:?}");
}

async fn count_parked(world: &World) -> u64 {
    let budget = Budget::until(world.clock.now() + Duration::from_secs(3), world.clock.clone());
    world.worker().count_parked(&budget).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn the_number_of_parked_orders_is_told_also_when_there_is_none() {
    let world = World::new().await;
    let down = message("m1", &paid_by("ord-1", "pm_card_unavailable"));
    let mut told = Vec::new();
    for receive_count in [1, 20] {
        assert_eq!(count_parked(&world).await, 0);
        told.push(total(&read(world.metrics().last().unwrap())["ParkedOrders"].1));
        world.deliver(&[down.clone().received(receive_count)]).await;
    }
    assert_eq!(count_parked(&world).await, 1);
    told.push(total(&read(world.metrics().last().unwrap())["ParkedOrders"].1));
    // A metric of how many there are is no sum: the one that waits is told again.
    assert_eq!(count_parked(&world).await, 1);
    told.push(total(&read(world.metrics().last().unwrap())["ParkedOrders"].1));
    assert_eq!(told, [0.0, 0.0, 1.0, 1.0]);
}

/// Worlds in which everything happens that is counted.
async fn everything() -> Vec<String> {
    let mut lines = Vec::new();
    let world = World::new().await;
    world.deliver(&batch().0).await;
    world
        .deliver_within(
            &world.worker(),
            &[message("m1", &paid_by("ord-8", "pm_card_slow"))],
            Duration::from_secs(3),
        )
        .await;
    world.deliver(&[message("m1", &order_json("ord-8"))]).await;
    count_parked(&world).await;
    lines.extend(world.metrics());

    let mut refusing = World::new().await;
    refusing.warehouse = Some(RefusingWarehouse::default());
    refusing.deliver(&[message("m1", &order_json("ord-1"))]).await;
    lines.extend(refusing.metrics());

    let world = World::new().await.under(panic_at_the_charge());
    world.deliver(&[message("m1", &order_json("ord-1"))]).await;
    world.deliver(&[message("m2", &order_json("ord-1"))]).await;
    lines.extend(world.metrics());

    let world = World::new().await.under(Faults::on_first("POST /v1/payment_intents", Fault::Freeze));
    let (sleeper, messages) = (world.worker(), [message("m1", &order_json("ord-1"))]);
    let wakes_late = async {
        world.faults.frozen().await;
        let successor = world.worker_under(&Faults::none());
        let record = world.record("ord-1").await.unwrap();
        world.put(&Record { lease_until_ms: Some(UnixMillis(1)), ..record }).await;
        world.deliver_to(&successor, &messages).await;
        world.faults.thaw();
    };
    tokio::join!(world.deliver_to(&sleeper, &messages), wakes_late);
    lines.extend(world.metrics());
    lines
}

#[tokio::test(start_paused = true)]
async fn the_function_emits_every_metric_of_its_list_and_no_other() {
    let mut seen: BTreeMap<String, (String, f64)> = BTreeMap::new();
    for line in everything().await {
        for (name, (unit, value)) in read(&line) {
            let more = total(&value);
            seen.entry(name).and_modify(|(_, sum)| *sum += more).or_insert((unit, more));
        }
    }
    let listed: BTreeSet<(&str, &str)> =
        METRICS.iter().map(|metric| (metric.name, metric.unit.as_str())).collect();
    let emitted: BTreeSet<(&str, &str)> =
        seen.iter().map(|(name, (unit, _))| (name.as_str(), unit.as_str())).collect();
    assert_eq!(emitted, listed);
    let never: Vec<_> = seen.iter().filter(|(_, (unit, sum))| unit == "Count" && *sum == 0.0).collect();
    assert!(never.is_empty(), "never more than none: {never:?}");
}

#[test]
fn every_step_and_undo_has_its_latency_in_the_list() {
    let steps = services::steps::<services::payment::Sandbox>();
    let undone =
        steps.iter().filter(|(step, _)| step.name != "reserve_inventory").filter_map(|(step, _)| step.undo);
    for step in steps.iter().map(|(step, _)| step.name).chain(undone) {
        let name = latency_of(step);
        assert!(METRICS.iter().any(|metric| metric.name == name), "{name}");
    }
}
