//! From an SQS body to an [`Order`]: parsed means valid.

use std::collections::BTreeMap;

use super::json::{Json, NAMED_TWICE};
use super::{Currency, CustomerId, Invalid, Item, Order, OrderId, PaymentMethod, Sku};
use crate::clock::UnixMillis;

/// The largest body that is read, in bytes. An order of 50 lines and 20 metadata strings fits four times.
pub const MAX_BODY_BYTES: usize = 64 * 1024;
/// How deep lists and objects may nest. An order itself nests two levels.
pub const MAX_DEPTH: usize = 16;
/// The most lines an order may have: with the order's own item that is 51 of the 100 that one DynamoDB
/// transaction takes (Amazon DynamoDB Developer Guide, "Quotas").
pub const MAX_ITEMS: usize = 50;
/// The most pieces in one line.
pub const MAX_QUANTITY: u32 = 10_000;
const MAX_UNIT_PRICE: u64 = 1_000_000_000;
const MAX_METADATA: usize = 20;
const MAX_METADATA_KEY_BYTES: usize = 64;
const MAX_METADATA_VALUE_BYTES: usize = 256;

const FIELDS: [&str; 7] =
    ["order_id", "customer_id", "placed_at", "currency", "items", "payment_method", "metadata"];
const ITEM_FIELDS: [&str; 3] = ["sku", "quantity", "unit_price"];

pub(super) fn order(body: &str) -> Result<Order, Invalid> {
    if body.len() > MAX_BODY_BYTES {
        let problem = format!("{} bytes found, at most {MAX_BODY_BYTES} are accepted", body.len());
        return Err(Invalid::new("body", problem));
    }
    if depth(body) > MAX_DEPTH {
        return Err(Invalid::new("body", format!("nested deeper than {MAX_DEPTH} levels")));
    }
    let json: Json = serde_json::from_str(body).map_err(|error| not_json(&error))?;
    // What can be read of the order ID goes into the error: it tells an operator which order is meant.
    let id = json.get("order_id").and_then(|value| text("order_id", value).ok()?.parse::<OrderId>().ok());
    from_json(&json).map_err(|invalid| Invalid { order_id: id, ..invalid })
}

/// Whether `path` consists of names of ours.
pub(super) fn is_known_field(path: &str) -> bool {
    let Some((index, rest)) = path.strip_prefix("items[").and_then(|rest| rest.split_once(']')) else {
        return path == "body" || FIELDS.contains(&path);
    };
    let in_line = rest.is_empty() || rest.strip_prefix('.').is_some_and(|field| ITEM_FIELDS.contains(&field));
    index.len() <= 5 && index.bytes().all(|byte| byte.is_ascii_digit()) && in_line
}

/// How deep the brackets of `body` nest. Counted before parsing, because the parser recurses.
fn depth(body: &str) -> usize {
    let (mut depth, mut deepest, mut in_text, mut escaped) = (0_usize, 0, false, false);
    for byte in body.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_text => escaped = true,
            b'"' => in_text = !in_text,
            b'{' | b'[' if !in_text => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' if !in_text => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

/// The parser's own words may quote the body, so only the place is taken over, and the name of a field.
fn not_json(error: &serde_json::Error) -> Invalid {
    let words = error.to_string();
    let place = format!("line {} column {}", error.line(), error.column());
    match words.strip_prefix(NAMED_TWICE) {
        Some(rest) => {
            let name = rest.rsplit_once(" at line").map_or(rest, |(name, _)| name);
            Invalid::new(name, format!("named twice, at {place}"))
        }
        None => Invalid::new("body", format!("not one JSON object: error at {place}")),
    }
}

fn from_json(json: &Json) -> Result<Order, Invalid> {
    only_known_fields("", object("body", json)?, &FIELDS)?;
    let placed_at = text("placed_at", required(json, "", "placed_at")?)?;
    Ok(Order {
        id: parsed::<OrderId>(json, "", "order_id")?,
        customer_id: parsed::<CustomerId>(json, "", "customer_id")?,
        placed_at: moment(placed_at)?,
        currency: parsed::<Currency>(json, "", "currency")?,
        items: items(required(json, "", "items")?)?,
        payment_method: parsed::<PaymentMethod>(json, "", "payment_method")?,
        metadata: json.get("metadata").map(metadata).transpose()?.unwrap_or_default(),
    })
}

fn items(json: &Json) -> Result<Vec<Item>, Invalid> {
    let Json::List(lines) = json else {
        return Err(Invalid::new("items", format!("a list is accepted, {} found", json.kind())));
    };
    if lines.is_empty() || lines.len() > MAX_ITEMS {
        let problem = format!("1 to {MAX_ITEMS} lines are accepted, {} found", lines.len());
        return Err(Invalid::new("items", problem));
    }
    let mut items = BTreeMap::new();
    for (index, line) in lines.iter().enumerate() {
        let path = format!("items[{index}]");
        let item = item(&path, line)?;
        if items.insert(item.sku.clone(), item).is_some() {
            return Err(Invalid::new(
                format!("{path}.sku"),
                "a SKU may be named once; add up its quantities",
            ));
        }
    }
    Ok(items.into_values().collect())
}

fn item(path: &str, json: &Json) -> Result<Item, Invalid> {
    let prefix = format!("{path}.");
    only_known_fields(&prefix, object(path, json)?, &ITEM_FIELDS)?;
    let quantity = integer(json, &prefix, "quantity", 1, u64::from(MAX_QUANTITY))?;
    Ok(Item {
        sku: parsed::<Sku>(json, &prefix, "sku")?,
        quantity: u32::try_from(quantity).unwrap_or(MAX_QUANTITY),
        unit_price: integer(json, &prefix, "unit_price", 0, MAX_UNIT_PRICE)?,
    })
}

fn metadata(json: &Json) -> Result<BTreeMap<String, String>, Invalid> {
    let fields = object("metadata", json)?;
    if fields.len() > MAX_METADATA {
        let problem = format!("at most {MAX_METADATA} strings are accepted, {} found", fields.len());
        return Err(Invalid::new("metadata", problem));
    }
    let mut map = BTreeMap::new();
    for (key, value) in fields {
        if key.is_empty() || key.len() > MAX_METADATA_KEY_BYTES {
            let problem =
                format!("keys of 1-{MAX_METADATA_KEY_BYTES} bytes are accepted, {} found", key.len());
            return Err(Invalid::new("metadata", problem));
        }
        let path = format!("metadata.{key}");
        let value = text(&path, value)?;
        if value.len() > MAX_METADATA_VALUE_BYTES {
            let problem =
                format!("at most {MAX_METADATA_VALUE_BYTES} bytes are accepted, {} found", value.len());
            return Err(Invalid::new(path, problem));
        }
        map.insert(key.clone(), value.to_owned());
    }
    Ok(map)
}

fn only_known_fields(prefix: &str, fields: &[(String, Json)], known: &[&str]) -> Result<(), Invalid> {
    match fields.iter().find(|(name, _)| !known.contains(&name.as_str())) {
        None => Ok(()),
        Some((name, _)) => {
            let problem = format!("unknown field; accepted are {}", known.join(", "));
            Err(Invalid::new(format!("{prefix}{name}"), problem))
        }
    }
}

fn object<'j>(path: &str, json: &'j Json) -> Result<&'j [(String, Json)], Invalid> {
    match json {
        Json::Object(fields) => Ok(fields),
        other => Err(Invalid::new(path, format!("an object is accepted, {} found", other.kind()))),
    }
}

fn required<'j>(json: &'j Json, prefix: &str, name: &str) -> Result<&'j Json, Invalid> {
    json.get(name).ok_or_else(|| Invalid::new(format!("{prefix}{name}"), "required, but missing"))
}

fn text<'j>(path: &str, json: &'j Json) -> Result<&'j str, Invalid> {
    match json {
        Json::Text(text) => Ok(text),
        other => Err(Invalid::new(path, format!("a string is accepted, {} found", other.kind()))),
    }
}

fn parsed<T: std::str::FromStr<Err = String>>(json: &Json, prefix: &str, name: &str) -> Result<T, Invalid> {
    let path = format!("{prefix}{name}");
    text(&path, required(json, prefix, name)?)?.parse().map_err(|problem: String| Invalid::new(path, problem))
}

fn integer(json: &Json, prefix: &str, name: &str, least: u64, most: u64) -> Result<u64, Invalid> {
    let path = format!("{prefix}{name}");
    let accepted = format!("an integer from {least} to {most} is accepted");
    match required(json, prefix, name)? {
        Json::Integer(value) => match u64::try_from(*value) {
            Ok(value) if (least..=most).contains(&value) => Ok(value),
            _ => Err(Invalid::new(path, format!("{accepted}, {value} found"))),
        },
        other => Err(Invalid::new(path, format!("{accepted}, {} found", other.kind()))),
    }
}

/// RFC 3339, to the millisecond; a moment before 1970 counts as 1970 (it is stale either way).
fn moment(text: &str) -> Result<UnixMillis, Invalid> {
    use time::format_description::well_known::Rfc3339;
    // The library also takes other characters for the T between date and time.
    let separated = matches!(text.as_bytes().get(10), Some(b'T' | b't'));
    let moment = time::OffsetDateTime::parse(text, &Rfc3339).ok().filter(|_| separated);
    let moment = moment.ok_or_else(|| {
        Invalid::new("placed_at", "an RFC 3339 time is accepted, such as 2026-11-24T01:00:00Z")
    })?;
    Ok(UnixMillis(u64::try_from(moment.unix_timestamp_nanos() / 1_000_000).unwrap_or(0)))
}
