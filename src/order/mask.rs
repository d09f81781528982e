//! How card numbers are made unreadable in what people will look at.

use std::collections::BTreeSet;
use std::ops::Range;

use serde::de::IgnoredAny;

use super::card::{MOST_DIGITS, is_card_number, is_given_out};
use super::named::{quotes, values};

/// What says which order is meant. It is never masked: a message that does not say it is of no use to anybody.
const NAMES: [&str; 3] = ["order_id", "customer_id", "sku"];
/// So many digits of a card number may be shown (PCI DSS 3.4.1), so that its owner can be asked about it.
const SHOWN: usize = 4;

/// `text` with the digits of every card number in it replaced by `*`, except the last four.
///
/// A card number is a whole run of digits, or several with one space or one dash between them. Digits within a longer
/// run are none: they are somebody's order number.
pub fn mask_card_numbers(text: &str) -> String {
    let mut characters = characters(text);
    mask_runs(&mut characters);
    written(text, &characters, &BTreeSet::new())
}

/// The same for the body of a message that is no valid order. The values of `order_id`, `customer_id` and `sku` stay
/// as they are, byte for byte; a `payment_method` that is refused as a card number is masked whoever issued it.
///
/// JSON stays JSON: a number that is masked becomes a string.
pub fn mask_message(body: &str) -> String {
    let mut characters = characters(body);
    for place in values(body, &NAMES) {
        let named = within(&characters, &place);
        characters[named].iter_mut().for_each(|character| character.means = OTHER);
    }
    mask_runs(&mut characters);
    for place in values(body, &["payment_method"]) {
        let token = within(&characters, &place);
        mask_token(&mut characters, token);
    }
    written(body, &characters, &quotes_for_numbers(body, &characters))
}

/// A character as it is written: `4`, or `\u0034`.
struct Character {
    place: Range<usize>,
    means: u8,
    /// What is written in its place, if it is part of a card number.
    instead: Option<u8>,
}

/// Stands for a digit.
const HIDDEN: u8 = b'*';
/// Of a character that is part of no number.
const OTHER: u8 = 0;

fn characters(text: &str) -> Vec<Character> {
    let (bytes, mut at, mut characters) = (text.as_bytes(), 0, Vec::with_capacity(text.len()));
    while at < bytes.len() {
        let backslashes = bytes[at..].iter().take_while(|byte| **byte == b'\\').count();
        let (means, length) = match escaped(&bytes[at + backslashes..]).filter(|_| backslashes > 0) {
            Some(means) => (means, backslashes + ESCAPE.len()),
            // Backslashes that mean nothing are passed over at once: each would count the others again.
            None => (bytes[at], backslashes.max(1)),
        };
        characters.push(Character { place: at..at + length, means, instead: None });
        at += length;
    }
    characters
}

/// What follows the backslash of an escape, or the backslashes of one that is in JSON within a JSON string.
const ESCAPE: &str = "u0000";

/// What an escape means whose backslashes were read, if a number may consist of it.
fn escaped(bytes: &[u8]) -> Option<u8> {
    let code = bytes.get(..ESCAPE.len())?.strip_prefix(b"u00")?;
    let means = u8::from_str_radix(std::str::from_utf8(code).ok()?, 16).ok()?;
    matches!(means, b'0'..=b'9' | b' ' | b'-').then_some(means)
}

/// Which characters stand within `place`.
fn within(characters: &[Character], place: &Range<usize>) -> Range<usize> {
    let before = |end: usize| characters.partition_point(|character| character.place.start < end);
    before(place.start)..before(place.end)
}

/// Masks every card number.
fn mask_runs(characters: &mut [Character]) {
    let runs = runs(characters);
    for (first, _) in runs.iter().enumerate() {
        let mut digits: Vec<usize> = Vec::new();
        for run in runs[first..].iter() {
            let continues = digits.last().is_none_or(|last| is_next(characters, *last, run.start));
            if !continues || digits.len() + run.len() > MOST_DIGITS {
                break;
            }
            digits.extend(run.clone());
            let number: Vec<u8> = digits.iter().map(|digit| characters[*digit].means).collect();
            if is_given_out(&number) {
                hide(characters, &digits);
            }
        }
    }
}

/// Hides the digits of one number but for the last four, which are written plainly.
fn hide(characters: &mut [Character], digits: &[usize]) {
    for (nth, digit) in digits.iter().rev().enumerate() {
        let character = &mut characters[*digit];
        // What another number hides, hidden it stays.
        if character.instead != Some(HIDDEN) {
            character.instead = Some(if nth < SHOWN { character.means } else { HIDDEN });
        }
    }
}

/// The runs of digits with nothing between them.
fn runs(characters: &[Character]) -> Vec<Range<usize>> {
    let mut runs: Vec<Range<usize>> = Vec::new();
    for (place, _) in characters.iter().enumerate().filter(|(_, character)| character.means.is_ascii_digit())
    {
        match runs.last_mut() {
            Some(run) if run.end == place => run.end += 1,
            _ => runs.push(place..place + 1),
        }
    }
    runs
}

fn is_next(characters: &[Character], last: usize, start: usize) -> bool {
    start == last + 2 && matches!(characters[last + 1].means, b' ' | b'-')
}

/// Masks a payment token that the parser refuses as a card number.
fn mask_token(characters: &mut [Character], token: Range<usize>) {
    let text: String =
        characters[token.clone()].iter().map(|character| char::from(character.means)).collect();
    if is_card_number(&text) {
        let digits = token.filter(|place| characters[*place].means.is_ascii_digit());
        let digits: Vec<usize> = digits.collect();
        hide(characters, &digits);
    }
}

/// Where quotes are to be put around what is no number any more, if `body` is JSON.
fn quotes_for_numbers(body: &str, characters: &[Character]) -> BTreeSet<usize> {
    let masked = characters.iter().filter(|character| character.instead.is_some());
    let masked: Vec<usize> = masked.map(|character| character.place.start).collect();
    if masked.is_empty() || serde_json::from_str::<IgnoredAny>(body).is_err() {
        return BTreeSet::new();
    }
    let quotes = quotes(body.as_bytes());
    let is_bare =
        |place: &usize| quotes.binary_search(place).unwrap_or_else(|before| before).is_multiple_of(2);
    let is_outside = |c: char| !(c.is_ascii_digit() || "+-.eE".contains(c));
    let ends = masked.into_iter().filter(is_bare).flat_map(|place| {
        let start = body[..place].rfind(is_outside).map_or(0, |before| before + 1);
        let end = body[place..].find(is_outside).map_or(body.len(), |length| place + length);
        [start, end]
    });
    ends.collect()
}

fn written(text: &str, characters: &[Character], quotes: &BTreeSet<usize>) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    for Character { place, instead, .. } in characters {
        if quotes.contains(&place.start) {
            bytes.push(b'"');
        }
        match instead {
            Some(byte) => bytes.push(*byte),
            None => bytes.extend_from_slice(&text.as_bytes()[place.clone()]),
        }
    }
    if quotes.contains(&text.len()) {
        bytes.push(b'"');
    }
    // Only digits and escapes of digits, all of them ASCII, were replaced.
    String::from_utf8(bytes).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_masked_card_number_keeps_its_last_four_digits() {
        assert_eq!(mask_card_numbers(r#"{"pan":"4242424242424242"}"#), r#"{"pan":"************4242"}"#);
        assert_eq!(mask_card_numbers("4242 4242-4242 4242 é"), "**** ****-**** 4242 é");
        assert_eq!(mask_card_numbers("card 4242424242424242 12/27"), "card ************4242 12/27");
        assert_eq!(mask_card_numbers("2 4242424242424242"), "2 ************4242");
        assert_eq!(mask_card_numbers("6304000000000000000"), "***************0000");
        assert_eq!(mask_card_numbers("63 04000000000000000"), "** *************0000");
        assert_eq!(
            mask_card_numbers("4242424242424242-5555555555554444"),
            "************4242-************4444"
        );
    }

    #[test]
    fn digits_within_a_longer_run_are_no_card_number() {
        for other in ["94242424242424242", "42424242424242429", "4242424242424242-1", "order 1234567890123"] {
            let masked = mask_card_numbers(other);
            assert_eq!(masked == other, !other.contains('-'), "{masked}");
        }
        let twenty = "4".repeat(20);
        assert_eq!(mask_card_numbers(&twenty), twenty);
    }

    #[test]
    fn digits_are_one_number_only_if_nothing_or_one_space_or_dash_stands_between_them() {
        for apart in ["42424242  42424242", "42424242x42424242", "42424242 x42424242", "42424242- 42424242"] {
            assert_eq!(mask_card_numbers(apart), apart);
        }
    }

    #[test]
    fn a_number_that_nobody_gives_out_is_masked_only_as_a_payment_method() {
        for other in ["9999999999999995", "0000000000000000"] {
            assert_eq!(mask_card_numbers(other), other);
            let body = |token: &str, note: &str| format!(r#"{{"note":"{note}","payment_method":"{token}"}}"#);
            let masked = format!("************{}", &other[12..]);
            assert_eq!(mask_message(&body(other, other)), body(&masked, other));
        }
        let odd = r#"{"payment_method":"-99999--99999-9-9-9-99-5"}"#;
        assert_eq!(mask_message(odd), r#"{"payment_method":"-*****--*****-*-*-9-99-5"}"#);
        let token = r#"{"payment_method":"pm_9999999999999995"}"#;
        assert_eq!(mask_message(token), token);
    }

    #[test]
    fn what_names_an_order_is_never_masked() {
        let card = "4242424242424242";
        for name in ["order_id", "customer_id", "sku", "order\\u005fid"] {
            for value in [format!("\"{card}\""), card.to_owned(), "\"4242 4242\\u00204242 4242\"".to_owned()]
            {
                let body = format!(r#"{{"{name}": {value}, "x": ["{card}"]}}"#);
                assert_eq!(mask_message(&body), body.replace("[\"424242424242", "[\"************"));
            }
        }
        let list = format!(r#"{{"customer_id":[{card}.5,"{card}"]}}"#);
        assert_eq!(mask_message(&list), r#"{"customer_id":["************4242.5","************4242"]}"#);
        let cut = format!(r#"{{"order_id":"{card}"#);
        assert_eq!(mask_message(&cut), cut);
        let lost = format!(r#"{{"order_id":"ord-1 {card}"#);
        assert_eq!(mask_message(&lost), lost.replace("424242424242", "************"));
    }

    #[test]
    fn a_digit_or_a_dash_spelled_as_an_escape_is_one_all_the_same() {
        let body = r#"{"pan":"\u003424242424242\u00342\u0034\u0032"}"#;
        assert_eq!(mask_message(body), r#"{"pan":"************4242"}"#);
        let dashes = r#"{"pan":"4242\u002d4242\u002D4242\u00204242"}"#;
        assert_eq!(mask_message(dashes), r#"{"pan":"****\u002d****\u002D****\u00204242"}"#);
        let nested = r#"{"note":"{\"pan\":\"\\u0034242424242424242\"}"}"#;
        assert_eq!(mask_message(nested), r#"{"note":"{\"pan\":\"************4242\"}"}"#);
        let many = r"\".repeat(1 << 20);
        assert_eq!(mask_message(&many), many);
        for innocent in [r#"{"name":"\u0034"}"#, r"4242424242424242\u003", "u0034242424242424242", r"\u00"] {
            let expected = innocent.replace("4242424242424242\\", "************4242\\");
            assert_eq!(mask_message(innocent), expected);
        }
    }

    #[test]
    fn json_stays_json() {
        let body =
            r#"{"é":"\"","quantity":4242424242424242,"x":[-4242424242424242.5e1, "4242424242424242"]}"#;
        let masked = concat!(
            r#"{"é":"\"","quantity":"************4242","x":["-************4242.5e1", "#,
            r#""************4242"]}"#
        );
        assert_eq!(mask_message(body), masked);
        assert_eq!(mask_message("4242424242424242"), r#""************4242""#);
        assert_eq!(mask_message("card 4242424242424242"), "card ************4242");
    }
}
