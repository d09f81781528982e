//! The parser of order messages.

use fastrand::Rng;
use order_processor::order::{Invalid, Order, mask_card_numbers, mask_message, named_orders};
use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;
use serde_json::{Value, json};

use super::input::{changed_bytes, changed_json};
use super::respelling::respelled;
use super::rules::{broken, is_card, is_given_out, is_plain_moment};
use super::{Reached, corpus, fuzz};

/// A body, and whether it was written from a tree, in which no field is named twice.
#[derive(Clone, Debug)]
struct Body {
    text: String,
    is_tree: bool,
}

/// By which words of ours a rejection is known, and what it is called here. The first that fits counts.
const KINDS: [(&str, &str); 18] = [
    ("unknown field", "unknown field"),
    ("named twice, at", "field named twice"),
    ("named once", "SKU named twice"),
    ("required, but missing", "missing"),
    ("at most 65536", "too large"),
    ("nested deeper", "too deep"),
    ("not one JSON object", "no JSON"),
    ("other characters", "characters"),
    ("of [A-Za-z0-9", "length"),
    ("card number", "card number"),
    ("a string is accepted", "no string"),
    ("a list is accepted", "no list"),
    ("an object is accepted", "no object"),
    ("an integer from", "no such integer"),
    ("lines are accepted", "number of lines"),
    ("RFC 3339", "no RFC 3339"),
    ("ISO 4217", "no currency"),
    ("strings are accepted", "number of strings"),
];

/// Every kind of rejection that there is.
const BRANCHES: [&str; 31] = [
    "accepted",
    "body: no JSON",
    "body: no object",
    "body: too deep",
    "body: too large",
    "currency: no currency",
    "currency: no string",
    "customer_id: characters",
    "customer_id: length",
    "field named twice",
    "items: no list",
    "items: number of lines",
    "items[]: no object",
    "items[].quantity: no such integer",
    "items[].sku: SKU named twice",
    "items[].sku: characters",
    "items[].sku: length",
    "items[].unit_price: no such integer",
    "metadata: bytes",
    "metadata: no object",
    "metadata: number of strings",
    "metadata.*: bytes",
    "metadata.*: no string",
    "missing",
    "order_id: characters",
    "order_id: length",
    "order_id: no string",
    "payment_method: card number",
    "payment_method: characters",
    "placed_at: no RFC 3339",
    "unknown field",
];

#[test]
fn whatever_is_accepted_satisfies_every_rule_in_every_spelling() {
    let reached = Reached::default();
    let files = corpus("order");
    for (name, bytes) in &files {
        let text = String::from_utf8_lossy(bytes).into_owned();
        let accepted = Order::parse(&text).is_ok();
        assert_eq!(accepted, name.starts_with("valid"), "{name}: {:?}", Order::parse(&text));
        check(&Body { text, is_tree: false }, 0, &reached).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
    let trees: Vec<Value> =
        files.iter().filter_map(|(_, bytes)| serde_json::from_slice(bytes).ok()).collect();
    let bytes = changed_bytes(files.into_iter().map(|(_, bytes)| bytes).collect())
        .prop_map(|bytes| Body { text: String::from_utf8_lossy(&bytes).into_owned(), is_tree: false });
    let names = &["order_id", "items", "metadata", "sku", "quantity", "unit_price", "note", "", "Order_ID"];
    let trees =
        changed_json(trees, names, values()).prop_map(|tree| Body { text: tree.to_string(), is_tree: true });
    let bodies = (prop_oneof![1 => bytes, 2 => trees], any::<u64>());
    fuzz("order", 2000, &bodies, &BRANCHES, reached, |(body, seed), reached| check(&body, seed, reached));
}

/// Values at and around every limit.
fn values() -> Vec<Value> {
    let lines = |count: usize| -> Value {
        (0..count).map(|n| json!({ "sku": format!("s{n}"), "quantity": 1, "unit_price": 0 })).collect()
    };
    let strings = |count: usize| -> Value {
        (0..count).map(|n| (n.to_string(), json!("x"))).collect::<serde_json::Map<_, _>>().into()
    };
    let nested = |depth: usize| (1..depth).fold(json!([]), |inner, _| json!([inner]));
    let mut values: Vec<Value> = [1, 64, 65, 128, 129, 256, 257, 65_536].map(|n| json!("a".repeat(n))).into();
    values.extend([0, 1, 50, 51].map(lines));
    values.extend([0, 20, 21].map(strings));
    values.extend([13, 14, 15, 16, 17].map(nested));
    values.extend(
        [0_u64, 1, 10_000, 10_001, 1_000_000_000, 1_000_000_001, 5_555_555_555_554_444, u64::MAX]
            .map(|n| json!(n)),
    );
    values.extend([json!(-1), json!(2.0), json!(null), json!(true), json!({}), json!([]), json!("")]);
    values.extend(
        [
            "USD",
            "usd",
            "a b",
            "a:b",
            "a.b",
            "a_b",
            "ä",
            "a\n",
            "4242424242424242",
            "4242-4242-4242-4242",
            "4242424242424241",
            "9999999999999995",
            "942424242424242424",
            "card 378282246310005 12/27",
            "2026-11-24T01:00:00Z",
            "2026-11-24t23:59:60z",
            "2026-02-30T00:00:00+01:00",
            "2026-11-24 01:00:00Z",
            "1969-12-31T23:59:59.999999999-23:59",
        ]
        .map(|text| json!(text)),
    );
    values.extend([json!({ "k".repeat(64): "v" }), json!({ "k".repeat(65): "v" }), json!({ "": "v" })]);
    values
}

fn check(body: &Body, seed: u64, reached: &Reached) -> TestCaseResult {
    let text = body.text.as_str();
    masked(text)?;
    match Order::parse(text) {
        Ok(order) => {
            reached.count("accepted");
            prop_assert_eq!(broken(text), None, "accepted all the same");
            let json: Value = serde_json::from_str(text).unwrap();
            says(&order, &json)?;
            let other = respelled(&json, &mut Rng::with_seed(seed));
            if other.len() <= 65_536 {
                let again = Order::parse(&other);
                prop_assert_eq!(again.as_ref(), Ok(&order), "spelled {}", other);
                prop_assert_eq!(again.unwrap().fingerprint(), order.fingerprint());
            }
        }
        Err(invalid) => {
            reached.count(kind(&invalid));
            prop_assert!(is_refused_rightly(body), "refused though it breaks no rule: {}", invalid);
        }
    }
    Ok(())
}

/// What breaks no rule may be refused only where the second writing of the rules is blind.
fn is_refused_rightly(body: &Body) -> bool {
    let odd_moment = || {
        let json: Value = serde_json::from_str(&body.text).unwrap();
        !is_plain_moment(json["placed_at"].as_str().unwrap())
    };
    broken(&body.text).is_some() || !body.is_tree || odd_moment()
}

/// Nothing is lost or changed on the way from the message to the order.
fn says(order: &Order, json: &Value) -> TestCaseResult {
    let read = json!({
        "order_id": order.id, "customer_id": order.customer_id, "currency": order.currency, "items": order.items,
        "payment_method": order.payment_method, "metadata": order.metadata, "placed_at": json["placed_at"],
    });
    let mut written = json.clone();
    written["items"].as_array_mut().unwrap().sort_by(|a, b| a["sku"].as_str().cmp(&b["sku"].as_str()));
    written.as_object_mut().unwrap().entry("metadata").or_insert(json!({}));
    prop_assert_eq!(read, written);
    Ok(())
}

/// A body that was masked names the same order, has no card number beside what names it, and is otherwise what it was.
fn masked(text: &str) -> TestCaseResult {
    let masked = mask_message(text);
    prop_assert_eq!(named_orders(&masked), named_orders(text));
    match (serde_json::from_str::<Value>(text), serde_json::from_str::<Value>(&masked)) {
        (Ok(was), Ok(now)) => {
            let named = |body: &str| Order::parse(body).err().and_then(|invalid| invalid.order_id);
            if Order::parse(&masked).is_err() && Order::parse(text).is_err() {
                prop_assert_eq!(named(&masked), named(text), "masked: {}", masked);
            }
            only_cards_are_hidden("", &was, &now)?;
        }
        (Ok(_), Err(_)) => prop_assert!(false, "no JSON any more: {}", masked),
        (Err(_), _) => {
            prop_assert_eq!(masked.len(), text.len(), "masked: {}", masked);
            let same = masked.bytes().zip(text.bytes()).all(|(now, was)| now == was || now == b'*');
            prop_assert!(same, "masked: {}", masked);
        }
    }
    let plain = mask_card_numbers(text);
    let left = plain.split(|c: char| !c.is_ascii_digit()).find(|run| is_given_out(run));
    prop_assert!(left.is_none(), "a card number is left: {}", plain);
    Ok(())
}

/// In the field `name`: what names an order is the same, and anything else is without its card numbers.
fn only_cards_are_hidden(name: &str, was: &Value, now: &Value) -> TestCaseResult {
    let names_an_order = ["order_id", "customer_id", "sku"].contains(&name);
    match (was, now) {
        (Value::Object(was), Value::Object(now)) => {
            for name in now.keys() {
                no_card(name)?;
            }
            for (name, was) in was {
                now.get(name).map_or(Ok(()), |now| only_cards_are_hidden(name, was, now))?;
            }
        }
        (Value::Array(was), Value::Array(now)) => {
            for (was, now) in was.iter().zip(now) {
                only_cards_are_hidden("", was, now)?;
            }
        }
        (was, now) if names_an_order => prop_assert_eq!(was, now),
        (Value::String(was), Value::String(now)) => {
            no_card(now)?;
            let refused = name == "payment_method" && is_card(&json!(was));
            prop_assert!(!refused || now != was, "a refused payment method is left: {}", now);
            let cards = was.split(|c: char| !c.is_ascii_digit()).any(is_given_out);
            let may_be_joined = was.contains([' ', '-']);
            prop_assert!(cards || refused || may_be_joined || was == now, "hidden without need: {}", now);
        }
        (was, now) => {
            no_card(&now.to_string())?;
            prop_assert!(now.is_string() || was == now, "changed: {}", now);
        }
    }
    Ok(())
}

fn no_card(text: &str) -> TestCaseResult {
    let left = text.split(|c: char| !c.is_ascii_digit()).find(|run| is_given_out(run));
    prop_assert!(left.is_none(), "a card number is left: {}", text);
    Ok(())
}

fn kind(invalid: &Invalid) -> String {
    let known = KINDS.iter().find(|(words, _)| invalid.problem.contains(words));
    let kind = known.map_or("bytes", |(_, kind)| kind);
    if ["unknown field", "field named twice", "missing"].contains(&kind) {
        return kind.to_owned();
    }
    let field = invalid.field.replace(|c: char| c.is_ascii_digit(), "");
    let field = if field.starts_with("metadata.") { "metadata.*" } else { &field };
    format!("{field}: {kind}")
}
