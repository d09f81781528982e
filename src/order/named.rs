//! What a message says of an order though it may be no JSON at all: every `"name": value` in it, wherever it stands.

use std::ops::Range;

use super::OrderId;

/// The orders that `body` names, as far as their IDs are valid: those of a field named twice, and of a body that is cut
/// off, too.
pub fn named_orders(body: &str) -> Vec<OrderId> {
    let values = values(body, &["order_id"]).into_iter();
    let ids = values.filter_map(|place| decoded(&body[place])?.parse().ok());
    let mut ids: Vec<OrderId> = ids.collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}

/// Where the values of these fields stand: the inside of a string, or another scalar.
///
/// A text that is no JSON has no structure to go by, so each pair of neighbouring quotes is taken for a name.
pub(super) fn values(text: &str, names: &[&str]) -> Vec<Range<usize>> {
    let quotes = quotes(text.as_bytes());
    let pairs = quotes.windows(2).enumerate();
    let found = pairs.filter_map(|(nth, pair)| {
        let after = pair[1] + 1;
        let colon = after + skipped(&text[after..]);
        let value = colon + 1 + skipped(text[colon..].strip_prefix(':')?);
        let name = decoded(&text[pair[0] + 1..pair[1]])?;
        names.contains(&name.as_str()).then(|| value_at(text, value, quotes.get(nth + 3).copied()))
    });
    found.collect()
}

/// The value that begins at `start`. A string ends at `quote`; one that has no end in its line, where an ID would.
fn value_at(text: &str, start: usize, quote: Option<usize>) -> Range<usize> {
    let rest = &text[start..];
    if !rest.starts_with('"') {
        let is_end = |c: char| c.is_whitespace() || ",[]{}\"".contains(c);
        return start..start + rest.find(is_end).unwrap_or(rest.len());
    }
    let start = start + 1;
    let ended = quote.filter(|quote| !text[start..*quote].contains(['\n', '\r']));
    let is_in_an_id = |c: char| c.is_ascii_alphanumeric() || "._:-\\".contains(c);
    start..ended.unwrap_or_else(|| text.len() - text[start..].trim_start_matches(is_in_an_id).len())
}

/// The quotes that are not escaped.
pub(super) fn quotes(text: &[u8]) -> Vec<usize> {
    let mut escaped = false;
    let mut quotes = Vec::new();
    for (place, byte) in text.iter().enumerate() {
        if *byte == b'"' && !escaped {
            quotes.push(place);
        }
        escaped = *byte == b'\\' && !escaped;
    }
    quotes
}

/// How many bytes of white space `text` begins with.
fn skipped(text: &str) -> usize {
    text.len() - text.trim_start_matches([' ', '\t', '\n', '\r']).len()
}

/// The inside of a JSON string, read.
fn decoded(inside: &str) -> Option<String> {
    if !inside.contains('\\') {
        return Some(inside.to_owned());
    }
    serde_json::from_str(&format!("\"{inside}\"")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(body: &str) -> Vec<String> {
        named_orders(body).into_iter().map(String::from).collect()
    }

    #[test]
    fn an_order_is_named_in_whatever_is_left_of_a_message() {
        for body in [
            r#"{"order_id":"ord-1"}"#,
            r#"{"items":[{"order_id" : "ord-1"}]"#,
            "{\"order_id\"\r\n\t:\r\n\t\"ord-1\"}",
            r#"{"order_id":"ord-1","order_id":"a b"}"#,
            r#""a","order_id":"ord-1"#,
            r#"{"note:"x","order_id":"ord-1"}"#,
            r#"{"order_id":"ord-1, "x":1}"#,
            r#"{"order\u005fid":"ord\u002d1"}"#,
            r#"{"order_id":ord-1,"#,
            "\"order_id\":\"ord-1\n",
        ] {
            let expected: &[&str] = if body.contains("ord-1, ") { &[] } else { &["ord-1"] };
            assert_eq!(named(body), expected, "{body}");
        }
        assert_eq!(named(r#"{"order_id":"b","order_id":"a","order_id":"b"}"#), ["a", "b"]);
        assert_eq!(named(r#"{"order_id":17}"#), ["17"]);
    }

    #[test]
    fn what_is_no_field_names_nothing() {
        for body in
            ["", "\"", "order_id: ord-1", r#"["order_id","ord-1"]"#, r#"{"id":"ord-1"}"#, r#"{"order_id":"#]
        {
            assert!(named(body).is_empty(), "{body}");
        }
        assert!(named(r#"{"note":"\"order_id\":\"ord-1\""}"#).is_empty(), "the text of another field");
    }

    #[test]
    fn a_value_without_an_end_ends_where_an_id_would() {
        let value = |text: &str| text[values(text, &["sku"])[0].clone()].to_owned();
        assert_eq!(value(r#"{"sku":"a b","#), "a b");
        assert_eq!(value(r#"{"sku":"mug-1 4242"#), "mug-1");
        assert_eq!(value("{\"sku\":\"mug\n4242\"}"), "mug");
        assert_eq!(value(r#"{"sku":4242}"#), "4242");
        assert_eq!(value(r#"{"sku":"\u0034","#), r"\u0034");
        for no_scalar in [r#"{"sku":[4242]}"#, r#"{"sku":{"a":4242}}"#, r#"{"sku":[["4242"]]}"#] {
            assert_eq!(value(no_scalar), "", "{no_scalar}");
        }
    }
}
