use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn sample() -> Value {
    json!({
        "order_id": "ord-1001",
        "customer_id": "cus-42",
        "placed_at": "2026-11-24T01:00:00Z",
        "currency": "USD",
        "items": [{ "sku": "mug", "quantity": 2, "unit_price": 1299 }],
        "payment_method": "pm_card_visa",
        "metadata": { "channel": "web" }
    })
}

fn with(path: &str, value: Value) -> String {
    let mut order = sample();
    *order.pointer_mut(path).expect("a path of the sample") = value;
    order.to_string()
}

#[track_caller]
fn accepted(body: &str) -> Order {
    Order::parse(body).unwrap_or_else(|invalid| panic!("refused: {invalid}"))
}

#[track_caller]
fn refused(body: &str, field: &str) -> Invalid {
    let invalid = Order::parse(body).expect_err("accepted");
    assert_eq!(invalid.field, field, "{invalid}");
    invalid
}

#[test]
fn the_sample_order_is_read_whole() {
    let order = accepted(&sample().to_string());
    assert_eq!(order.id.as_str(), "ord-1001");
    assert_eq!(order.placed_at.to_rfc3339(), "2026-11-24T01:00:00.000Z");
    assert_eq!((order.total().minor, order.total().currency.as_str()), (2598, "USD"));
    assert_eq!(order.metadata["channel"], "web");
}

#[test]
fn every_text_is_accepted_at_its_limit_and_refused_one_past_it() {
    for (path, field, most) in [
        ("/order_id", "order_id", 128),
        ("/customer_id", "customer_id", 128),
        ("/items/0/sku", "items[0].sku", 64),
        ("/payment_method", "payment_method", 128),
    ] {
        accepted(&with(path, json!("a")));
        accepted(&with(path, json!("a".repeat(most))));
        refused(&with(path, json!("a".repeat(most + 1))), field);
        refused(&with(path, json!("")), field);
        refused(&with(path, json!("ä")), field);
        refused(&with(path, json!("a b")), field);
        refused(&with(path, json!(7)), field);
        refused(&with(path, Value::Null), field);
    }
    accepted(&with("/order_id", json!("aZ0._:-")));
    accepted(&with("/items/0/sku", json!("aZ0._-")));
    refused(&with("/items/0/sku", json!("a:b")), "items[0].sku");
    accepted(&with("/payment_method", json!("aZ0_-")));
    refused(&with("/payment_method", json!("a.b")), "payment_method");
}

#[test]
fn every_number_is_accepted_at_its_limit_and_refused_one_past_it() {
    for (field, least, most) in [("quantity", 1_i64, 10_000_i64), ("unit_price", 0, 1_000_000_000)] {
        let (path, name) = (format!("/items/0/{field}"), format!("items[0].{field}"));
        accepted(&with(&path, json!(least)));
        accepted(&with(&path, json!(most)));
        refused(&with(&path, json!(least - 1)), &name);
        refused(&with(&path, json!(most + 1)), &name);
        for spelled in ["2.0", "2e0", "-0", "\"2\"", "true", "1e400", "99999999999999999999999"] {
            let body = with(&path, json!("@")).replace("\"@\"", spelled);
            assert!(Order::parse(&body).is_err(), "{field} = {spelled} was accepted");
        }
    }
}

#[test]
fn an_order_has_1_to_50_lines_and_names_a_sku_once() {
    let lines = |count: usize| -> Value {
        (0..count).map(|n| json!({"sku": format!("s{n}"), "quantity": 1, "unit_price": 1})).collect()
    };
    accepted(&with("/items", lines(1)));
    accepted(&with("/items", lines(50)));
    refused(&with("/items", lines(51)), "items");
    refused(&with("/items", json!([])), "items");
    refused(&with("/items", json!({})), "items");
    let mug = json!({"sku": "mug", "quantity": 1, "unit_price": 1});
    refused(&with("/items", json!([mug, mug])), "items[1].sku");
}

#[test]
fn metadata_is_at_most_20_short_strings() {
    let entries = |count: usize| -> Value {
        (0..count).map(|n| (n.to_string(), json!("x"))).collect::<serde_json::Map<_, _>>().into()
    };
    accepted(&with("/metadata", entries(20)));
    refused(&with("/metadata", entries(21)), "metadata");
    accepted(&with("/metadata", json!({ "k".repeat(64): "v".repeat(256) })));
    refused(&with("/metadata", json!({ "k".repeat(65): "v" })), "metadata");
    refused(&with("/metadata", json!({ "": "v" })), "metadata");
    refused(&with("/metadata", json!({ "k": "v".repeat(257) })), "metadata.k");
    refused(&with("/metadata", json!({ "k": "é".repeat(129) })), "metadata.k");
    refused(&with("/metadata", json!({ "k": 1 })), "metadata.k");
    refused(&with("/metadata", json!([])), "metadata");
    let mut without = sample();
    without.as_object_mut().unwrap().remove("metadata");
    accepted(&without.to_string());
}

#[test]
fn every_field_but_metadata_is_required() {
    for field in ["order_id", "customer_id", "placed_at", "currency", "items", "payment_method"] {
        let mut order = sample();
        order.as_object_mut().unwrap().remove(field);
        refused(&order.to_string(), field);
    }
    for field in ["sku", "quantity", "unit_price"] {
        let mut order = sample();
        order["items"][0].as_object_mut().unwrap().remove(field);
        refused(&order.to_string(), &format!("items[0].{field}"));
    }
}

#[test]
fn unknown_fields_and_fields_named_twice_are_refused_at_every_level() {
    let body = sample().to_string();
    let mut unknown = sample();
    unknown["coupon"] = json!(1);
    refused(&unknown.to_string(), "coupon");
    refused(&with("/items/0", json!({"sku": "a", "quantity": 1, "unit_price": 1, "tax": 1})), "items[0].tax");
    refused(&body.replacen('{', r#"{"currency":"USD","#, 1), "currency");
    refused(&body.replace(r#""sku":"#, r#""sku":"x","sku":"#), "sku");
    refused(&body.replace(r#"{"channel":"#, r#"{"channel":"x","channel":"#), "channel");
}

#[test]
fn a_body_is_one_json_object_and_nothing_else() {
    let body = sample().to_string();
    for poison in ["", " ", "null", "[]", "\"x\"", "7", "{", "not json", "\u{feff}{}"] {
        refused(poison, "body");
    }
    refused(&format!("{body}x"), "body");
    refused(&format!("{body}{body}"), "body");
    accepted(&format!(" \n{body}\t "));
}

#[test]
fn a_body_is_at_most_64_kib() {
    let body = sample().to_string();
    accepted(&format!("{body}{}", " ".repeat(MAX_BODY_BYTES - body.len())));
    refused(&format!("{body}{}", " ".repeat(MAX_BODY_BYTES - body.len() + 1)), "body");
}

#[test]
fn a_body_nests_at_most_16_levels() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert!(refused(&nested(16), "body").problem.contains("object"));
    assert!(refused(&nested(17), "body").problem.contains("deeper than 16"));
    refused(&"[".repeat(60_000), "body");
    accepted(&with("/metadata", json!({ "brackets": "[".repeat(40) + "\\\"{" })));
    accepted(&with("/metadata", json!({ "brackets": "\\\"".to_owned() + &"[".repeat(40) })));
    accepted(&with("/metadata", json!({ "brackets": "\"".to_owned() + &"[".repeat(40) })));
    for before in ["\\", "\"]]]]\""] {
        let invalid = refused(&format!("[{before}{}]", nested(16)), "body");
        assert!(invalid.problem.contains("deeper than 16"), "{before}: {invalid}");
    }
}

#[test]
fn what_was_found_is_told_by_its_kind_and_never_quoted() {
    for (value, kind) in [
        ("null", "null"),
        ("true", "a boolean"),
        ("4711", "an integer"),
        ("47.11", "a number with a fraction or exponent"),
        ("[4711]", "a list"),
        ("{\"4711\":1}", "an object"),
    ] {
        let body = with("/order_id", json!("@")).replace("\"@\"", value);
        assert_eq!(refused(&body, "order_id").problem, format!("a string is accepted, {kind} found"));
    }
    let problem = refused(&with("/items", json!("4711")), "items").problem;
    assert_eq!(problem, "a list is accepted, a string found");
}

#[test]
fn only_a_field_of_ours_is_named_in_the_log() {
    let place = |field: &str| Invalid::new(field, "no").known_place().to_owned();
    for field in ["body", "order_id", "metadata", "items", "items[7]", "items[12345]", "items[49].sku"] {
        assert_eq!(place(field), field);
    }
    for field in [
        "coupon",
        "metadata.4242",
        "sku",
        "items[123456]",
        "items[4x]",
        "items[0].4242",
        "items[0].4242]",
        "items[0]4242]",
        "items[0]sku",
        "items[0",
    ] {
        assert_eq!(place(field), "a field that is not known", "{field}");
    }
}

#[test]
fn an_order_is_shown_by_its_id_alone() {
    let order = accepted(&sample().to_string());
    assert_eq!(format!("{order:?}"), "Order { id: OrderId(\"ord-1001\"), .. }");
    assert_eq!(format!("{:?}", order.payment_method), "PaymentMethod(..)");
    assert_eq!((order.payment_method.as_str(), order.currency.to_string().as_str()), ("pm_card_visa", "USD"));
    assert_eq!(order.fingerprint().to_string(), order.fingerprint().as_str());
}

#[test]
fn placed_at_is_rfc_3339() {
    for good in ["2026-11-24T01:00:00Z", "2026-11-24T02:00:00.5+01:00", "1969-01-01T00:00:00Z"] {
        accepted(&with("/placed_at", json!(good)));
    }
    for bad in ["", "2026-11-24", "2026-11-24T01:00:00", "yesterday", "1795482000", "2026-02-30T00:00:00Z"] {
        refused(&with("/placed_at", json!(bad)), "placed_at");
    }
    refused(&with("/placed_at", json!(1_795_482_000)), "placed_at");
}

#[test]
fn a_currency_is_three_upper_case_letters() {
    for bad in ["usd", "US", "USDX", "U$D", ""] {
        refused(&with("/currency", json!(bad)), "currency");
    }
}

#[test]
fn a_card_number_is_no_payment_method_and_is_never_repeated() {
    let invalid = refused(&with("/payment_method", json!("4242424242424242")), "payment_method");
    assert!(!invalid.to_string().contains("4242"), "{invalid}");
    assert_eq!(invalid.order_id.as_ref().map(OrderId::as_str), Some("ord-1001"));
    assert!(!format!("{:?}", accepted(&sample().to_string())).contains("pm_card"));
}

#[test]
fn the_order_id_of_an_invalid_message_is_told_only_if_it_is_a_valid_one() {
    assert!(refused(&with("/currency", json!("x")), "currency").order_id.is_some());
    assert!(refused(&with("/order_id", json!("a b")), "order_id").order_id.is_none());
    assert!(refused("nothing", "body").order_id.is_none());
}

#[test]
fn the_fingerprint_is_the_hash_of_the_canonical_json() {
    let canonical = concat!(
        r#"{"currency":"USD","customer_id":"cus-42","items":[{"quantity":2,"sku":"mug","unit_price":1299}],"#,
        r#""payment_method":"pm_card_visa"}"#
    );
    use sha2::Digest;
    let expected = format!("v1:{}", fingerprint::hex(&sha2::Sha256::digest(canonical)));
    assert_eq!(accepted(&sample().to_string()).fingerprint().as_str(), expected);
}

fn any_order() -> impl Strategy<Value = Value> {
    let line = ("[A-Za-z0-9._-]{1,8}", 1..=10_000_u32, 0..=1_000_000_000_u64);
    let lines = prop::collection::btree_map(line.0, (line.1, line.2), 1..6);
    ("[A-Za-z0-9._:-]{1,20}", "[A-Z]{3}", lines, "pm_[a-z]{1,10}").prop_map(
        |(customer, currency, lines, pm)| {
            let items: Vec<Value> = lines
                .into_iter()
                .map(
                    |(sku, (quantity, price))| json!({"sku": sku, "quantity": quantity, "unit_price": price}),
                )
                .collect();
            json!({"order_id": "o", "customer_id": customer, "placed_at": "2026-11-24T01:00:00Z",
               "currency": currency, "items": items, "payment_method": pm})
        },
    )
}

/// The same JSON with its fields in reverse order and white space everywhere.
fn respelled(json: &Value) -> String {
    match json {
        Value::Object(fields) => {
            let fields: Vec<String> = fields
                .iter()
                .rev()
                .map(|(name, value)| format!("\n {} :\t{}", json!(name), respelled(value)))
                .collect();
            format!("{{ {} }}", fields.join(" , "))
        }
        Value::Array(list) => {
            format!("[ {} ]", list.iter().rev().map(respelled).collect::<Vec<_>>().join(" , "))
        }
        other => other.to_string(),
    }
}

proptest! {
    #[test]
    fn any_respelling_has_the_same_fingerprint(order in any_order(), hour in 0..24_u32, note in "\\PC{0,20}") {
        let mut rebuilt = order.clone();
        rebuilt["placed_at"] = json!(format!("2026-11-25T{hour:02}:00:00Z"));
        rebuilt["metadata"] = json!({ "note": note });
        let (one, two) = (accepted(&order.to_string()), accepted(&respelled(&rebuilt)));
        prop_assert_eq!(one.fingerprint(), two.fingerprint());
        prop_assert_eq!(one.items, two.items);
    }

    #[test]
    fn any_change_of_what_is_bought_or_who_pays_has_another_fingerprint(order in any_order(), which in 0..6_u8) {
        let mut changed = order.clone();
        match which {
            0 => changed["customer_id"] = json!(format!("{}x", order["customer_id"].as_str().unwrap())),
            1 => changed["currency"] = json!(if order["currency"] == "EUR" { "USD" } else { "EUR" }),
            2 => changed["payment_method"] = json!(format!("{}x", order["payment_method"].as_str().unwrap())),
            3 => changed["items"][0]["quantity"] = json!(order["items"][0]["quantity"].as_u64().unwrap() % 10_000 + 1),
            4 => changed["items"][0]["unit_price"] = json!((order["items"][0]["unit_price"].as_u64().unwrap() + 1) % 1_000_000_001),
            _ => changed["items"].as_array_mut().unwrap().push(json!({"sku": "another-one", "quantity": 1, "unit_price": 0})),
        }
        prop_assert_ne!(accepted(&order.to_string()).fingerprint(), accepted(&changed.to_string()).fingerprint());
    }

    #[test]
    fn no_body_makes_the_parser_panic(body in "\\PC{0,200}") {
        let _ = Order::parse(&body);
    }
}
