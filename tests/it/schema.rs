//! The JSON Schema that producers get says what the parser says, in both directions.

use std::path::Path;

use jsonschema::Validator;
use order_processor::order::Order;
use serde_json::{Value, json};

use crate::world::order_json;

fn infra(file: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("infra").join(file)).unwrap()
}

fn schema() -> Validator {
    let schema: Value = serde_json::from_str(&infra("order.schema.json")).unwrap();
    jsonschema::options().should_validate_formats(false).build(&schema).unwrap()
}

/// Values at and around every limit, for any field.
fn values() -> Vec<Value> {
    let text = |n: usize| json!("a".repeat(n));
    let lines = |n: usize| -> Value {
        (0..n).map(|n| json!({ "sku": format!("s{n}"), "quantity": 1, "unit_price": 0 })).collect()
    };
    let entries =
        |n: usize| -> Value { Value::Object((0..n).map(|n| (n.to_string(), json!("x"))).collect()) };
    let mut values: Vec<Value> = [0, 1, 64, 65, 128, 129, 256, 257].map(text).into();
    values.extend([0, 1, 50, 51].map(lines));
    values.extend([0, 20, 21].map(entries));
    values.extend([0, -1, 1, 10_000, 10_001, 1_000_000_000, 1_000_000_001].map(|n| json!(n)));
    values.extend([
        json!(null),
        json!(true),
        json!(1.5),
        json!([1]),
        json!({}),
        json!(["a"]),
        json!({ "a": 1 }),
    ]);
    values.extend([
        json!({ "k".repeat(64): "v" }),
        json!({ "k".repeat(65): "v" }),
        json!({ "": "v" }),
        json!({ "k": "v".repeat(257) }),
    ]);
    values.extend(
        ["USD", "usd", "USDX", "a b", "a:b", "a.b", "a_b", "a-b", "ä", "a\n", "pm_card_visa"]
            .map(|text| json!(text)),
    );
    values.extend(
        [
            "2026-11-24T01:00:00Z",
            "2026-11-24t01:00:00z",
            "2026-11-24T01:00:00.123456789+14:00",
            "2026-11-24",
            "2026-11-24T01:00:00",
            "2026-11-24 01:00:00Z",
            "2026-13-24T01:00:00Z",
            "2026-11-24T24:00:00Z",
            "2026-11-24T01:60:00Z",
            "2026-11-24T01:00Z",
            "2026-11-24T01:00:00+0100",
            "1795482000",
        ]
        .map(|text| json!(text)),
    );
    values
}

#[test]
fn the_schema_and_the_parser_accept_the_same_orders() {
    let (schema, mut accepted, mut refused) = (schema(), 0, 0);
    let mut compare = |order: &Value| {
        let parsed = Order::parse(&order.to_string());
        let valid = schema.is_valid(order);
        assert_eq!(valid, parsed.is_ok(), "{order}: {parsed:?}");
        if valid { accepted += 1 } else { refused += 1 }
    };
    let mut sample = order_json("ord-1");
    sample["metadata"] = json!({ "channel": "web" });
    compare(&sample);
    let fields = ["order_id", "customer_id", "placed_at", "currency", "items", "payment_method", "metadata"];
    let fields = fields.map(|name| ("", name)).into_iter();
    let lines = ["sku", "quantity", "unit_price"].map(|name| ("/items/0", name));
    for (object, name) in fields.chain(lines) {
        for value in values() {
            let mut order = sample.clone();
            order.pointer_mut(object).unwrap()[name] = value;
            compare(&order);
        }
        let mut without = sample.clone();
        without.pointer_mut(object).unwrap().as_object_mut().unwrap().remove(name);
        compare(&without);
    }
    for object in ["", "/items/0"] {
        let mut more = sample.clone();
        more.pointer_mut(object).unwrap()["more"] = json!(1);
        compare(&more);
    }
    for not_an_order in values() {
        compare(&not_an_order);
    }
    assert!(accepted > 30 && refused > 300, "{accepted} accepted, {refused} refused");
}

#[test]
fn the_parser_alone_knows_the_rules_that_the_schema_names_in_its_comment() {
    let schema = schema();
    let mut card = order_json("ord-1");
    card["payment_method"] = json!("4242424242424242");
    let mut twice = order_json("ord-1");
    twice["items"] = json!([{ "sku": "a", "quantity": 1, "unit_price": 0 }, { "sku": "a", "quantity": 2, "unit_price": 0 }]);
    let mut no_date = order_json("ord-1");
    no_date["placed_at"] = json!("2026-02-30T01:00:00Z");
    for order in [card, twice, no_date] {
        assert!(schema.is_valid(&order) && Order::parse(&order.to_string()).is_err(), "{order}");
    }
}

#[test]
fn the_examples_of_the_schema_are_orders() {
    let schema: Value = serde_json::from_str(&infra("order.schema.json")).unwrap();
    for example in schema["examples"].as_array().unwrap() {
        Order::parse(&example.to_string()).unwrap();
    }
}
