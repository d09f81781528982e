//! Card numbers have no business in a queue: how to recognise one, and how to make it unreadable.

/// The lengths a card number has (ISO/IEC 7812-1).
const CARD_DIGITS: std::ops::RangeInclusive<usize> = 13..=19;

/// Whether `text` is a card number: 13-19 digits that pass the Luhn check, dashes between them or not.
pub(super) fn is_card_number(text: &str) -> bool {
    let digits: Vec<u8> = text.bytes().filter(|byte| *byte != b'-').collect();
    digits.iter().all(u8::is_ascii_digit) && CARD_DIGITS.contains(&digits.len()) && passes_luhn(&digits)
}

/// `text` with the digits of every card number in it replaced by `*`, except the last four.
///
/// Digits count as one number when nothing, one space or one dash stands between them. A run of digits that only
/// contains a card number, or that is longer than any, is masked too: a masked number too many harms nobody.
pub fn mask_card_numbers(text: &str) -> String {
    let mut bytes = text.as_bytes().to_vec();
    for run in digit_runs(text.as_bytes()) {
        let masked =
            if run.len() > *CARD_DIGITS.end() { run.len() - 4 } else { masked_digits(text.as_bytes(), &run) };
        for place in &run[..masked] {
            bytes[*place] = b'*';
        }
    }
    // Only ASCII digits were replaced, by ASCII.
    String::from_utf8(bytes).unwrap_or_default()
}

/// How many digits of a run, from its start, belong to card numbers, but for the last four of the last one.
fn masked_digits(text: &[u8], run: &[usize]) -> usize {
    let digits: Vec<u8> = run.iter().map(|place| text[*place]).collect();
    let ends = CARD_DIGITS.flat_map(|length| {
        let windows = digits.windows(length).enumerate();
        windows.filter(|(_, window)| passes_luhn(window)).map(move |(start, _)| start + length)
    });
    ends.max().map_or(0, |end| end - 4)
}

/// The positions of the digits of each run.
fn digit_runs(text: &[u8]) -> Vec<Vec<usize>> {
    let mut runs: Vec<Vec<usize>> = Vec::new();
    for (place, _) in text.iter().enumerate().filter(|(_, byte)| byte.is_ascii_digit()) {
        match runs.last_mut() {
            Some(run) if continues(text, run.last().copied().unwrap_or_default(), place) => run.push(place),
            _ => runs.push(vec![place]),
        }
    }
    runs
}

fn continues(text: &[u8], last: usize, place: usize) -> bool {
    place == last + 1 || (place == last + 2 && matches!(text[last + 1], b' ' | b'-'))
}

/// The Luhn check (ISO/IEC 7812-1, annex B).
fn passes_luhn(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(index, digit)| {
            let value = u32::from(digit - b'0') * if index % 2 == 1 { 2 } else { 1 };
            if value > 9 { value - 9 } else { value }
        })
        .sum();
    sum.is_multiple_of(10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_card_number_is_13_to_19_digits_that_pass_the_luhn_check() {
        for card in [
            "4242424242424242",
            "4222222222222",
            "6304000000000000000",
            "4242-4242-4242-4242",
            "5555555555554444",
            "6011000990139424",
        ] {
            assert!(is_card_number(card), "{card}");
        }
        for other in [
            "4242424242424241",
            "5555555555554445",
            "424242424242",
            "42424242424242424242",
            "pm_card_visa",
            "pm_4242424242424242",
        ] {
            assert!(!is_card_number(other), "{other}");
        }
    }

    #[test]
    fn a_masked_card_number_keeps_its_last_four_digits() {
        assert_eq!(mask_card_numbers(r#"{"pan":"4242424242424242"}"#), r#"{"pan":"************4242"}"#);
        assert_eq!(mask_card_numbers("4242 4242-4242 4242 é"), "**** ****-**** 4242 é");
        assert_eq!(mask_card_numbers("order 1234567890123"), "order 1234567890123");
        assert!(!mask_card_numbers("94242424242424242").contains("4242424242424242"));
    }

    #[test]
    fn a_run_longer_than_any_card_number_is_masked_whatever_it_contains() {
        let ones = |count| "1".repeat(count);
        assert_eq!(mask_card_numbers(&ones(19)), ones(19), "no card number is in it");
        assert_eq!(mask_card_numbers(&ones(20)), "*".repeat(16) + "1111");
    }

    #[test]
    fn digits_are_one_number_only_if_nothing_or_one_space_or_dash_stands_between_them() {
        for apart in ["42424242  42424242", "42424242x42424242", "42424242 x42424242", "42424242- 42424242"] {
            assert_eq!(mask_card_numbers(apart), apart);
        }
    }
}
