//! The rules of an order message, written a second time, from their description and not from the parser.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

/// The rule that `body` breaks. It does not see a field that is named twice, as no reader into a map does.
pub fn broken(body: &str) -> Option<&'static str> {
    if body.len() > 65_536 {
        return Some("too large");
    }
    let Ok(json) = serde_json::from_str::<Value>(body) else { return Some("no JSON") };
    let Value::Object(order) = &json else { return Some("no object") };
    let fields = ["order_id", "customer_id", "placed_at", "currency", "items", "payment_method", "metadata"];
    let rules = [
        ("too deep", depth(&json) <= 16),
        ("unknown field", order.keys().all(|name| fields.contains(&name.as_str()))),
        ("order_id", named(order, "order_id", 128, "._:-")),
        ("customer_id", named(order, "customer_id", 128, "._:-")),
        ("placed_at", order.get("placed_at").and_then(Value::as_str).is_some_and(is_rfc_3339)),
        ("currency", order.get("currency").and_then(Value::as_str).is_some_and(is_currency)),
        ("items", order.get("items").and_then(Value::as_array).is_some_and(|items| are_items(items))),
        ("payment_method", named(order, "payment_method", 128, "_-") && !is_card(&order["payment_method"])),
        ("metadata", order.get("metadata").is_none_or(is_metadata)),
    ];
    rules.into_iter().find(|(_, holds)| !holds).map(|(rule, _)| rule)
}

/// Whether every RFC 3339 reader takes this moment: no leap second, no 31st.
pub fn is_plain_moment(text: &str) -> bool {
    let number = |from: usize, to: usize| text[from..to].parse::<u8>().unwrap();
    let offset_fits = match text.rfind(['+', '-']).filter(|place| *place > 10) {
        Some(place) => number(place + 1, place + 3) < 24 && number(place + 4, place + 6) < 60,
        None => true,
    };
    (1..=12).contains(&number(5, 7))
        && (1..=28).contains(&number(8, 10))
        && number(11, 13) < 24
        && number(14, 16) < 60
        && number(17, 19) < 60
        && offset_fits
        && !text.starts_with("0000")
        && !text.starts_with("9999")
}

fn depth(json: &Value) -> usize {
    match json {
        Value::Array(list) => 1 + list.iter().map(depth).max().unwrap_or(0),
        Value::Object(fields) => 1 + fields.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

fn named(fields: &Map<String, Value>, name: &str, most: usize, extra: &str) -> bool {
    let text = fields.get(name).and_then(Value::as_str);
    text.is_some_and(|text| {
        let fits = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || extra.as_bytes().contains(&byte));
        fits && !text.is_empty() && text.len() <= most
    })
}

/// `2026-11-24T01:00:00.123Z`, or with an offset.
fn is_rfc_3339(text: &str) -> bool {
    let shape = |text: &str, shape: &str| {
        text.len() == shape.len()
            && text.bytes().zip(shape.bytes()).all(|(byte, wanted)| match wanted {
                b'0' => byte.is_ascii_digit(),
                wanted => byte.eq_ignore_ascii_case(&wanted),
            })
    };
    let Some((start, rest)) = text.split_at_checked(19) else { return false };
    let fraction = rest
        .strip_prefix('.')
        .map(|rest| rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len());
    let offset = match fraction {
        Some(0) => return false,
        Some(digits) => &rest[1 + digits..],
        None => rest,
    };
    shape(start, "0000-00-00T00:00:00")
        && (shape(offset, "Z") || shape(offset, "+00:00") || shape(offset, "-00:00"))
}

fn is_currency(text: &str) -> bool {
    text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_uppercase())
}

fn are_items(items: &[Value]) -> bool {
    let skus: BTreeSet<_> = items.iter().filter_map(|item| item["sku"].as_str()).collect();
    (1..=50).contains(&items.len()) && skus.len() == items.len() && items.iter().all(is_item)
}

fn is_item(item: &Value) -> bool {
    let Value::Object(fields) = item else { return false };
    fields.len() == 3
        && named(fields, "sku", 64, "._-")
        && item["quantity"].as_u64().is_some_and(|quantity| (1..=10_000).contains(&quantity))
        && item["unit_price"].as_u64().is_some_and(|price| price <= 1_000_000_000)
}

/// 13-19 digits, dashes between them or not, that pass the Luhn check.
pub fn is_card(token: &Value) -> bool {
    let text = token.as_str().unwrap_or_default().replace('-', "");
    text.bytes().all(|byte| byte.is_ascii_digit()) && has_luhn(&text)
}

fn has_luhn(digits: &str) -> bool {
    let doubled = |digit: u32| [0, 2, 4, 6, 8, 1, 3, 5, 7, 9][digit as usize];
    let digits: Vec<u32> = digits.bytes().rev().map(|byte| u32::from(byte - b'0')).collect();
    let sum: u32 = digits.iter().step_by(2).sum();
    let other: u32 = digits.iter().skip(1).step_by(2).map(|digit| doubled(*digit)).sum();
    (13..=19).contains(&digits.len()) && (sum + other).is_multiple_of(10)
}

/// Whether these digits are a card number of one of the large networks, as their own pages describe it.
pub fn is_given_out(digits: &str) -> bool {
    let starts = |prefixes: &[&str]| prefixes.iter().any(|prefix| digits.starts_with(prefix));
    let network = match digits.len() {
        14 => starts(&["36", "38", "39"]),
        15 => starts(&["34", "37"]),
        13 | 19 => starts(&["4"]),
        16 => {
            starts(&["4", "51", "52", "53", "54", "55", "6011", "65", "35", "62"])
                && !starts(&["350", "351", "359"])
        }
        _ => false,
    };
    network && has_luhn(digits)
}

fn is_metadata(metadata: &Value) -> bool {
    let Value::Object(fields) = metadata else { return false };
    fields.len() <= 20
        && fields.iter().all(|(key, value)| {
            (1..=64).contains(&key.len()) && value.as_str().is_some_and(|value| value.len() <= 256)
        })
}
