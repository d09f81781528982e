//! Card numbers have no business in a queue: how to recognise one.

use std::ops::RangeInclusive;

/// The lengths a card number has (ISO/IEC 7812-1).
const CARD_DIGITS: RangeInclusive<usize> = 13..=MOST_DIGITS;
/// The most of them.
pub(super) const MOST_DIGITS: usize = 19;

/// What the numbers of an issuer begin with, from and to, and how many digits they have. A number that begins
/// otherwise was given out by nobody: most order numbers that pass the Luhn check are told apart by that.
/// (Wikipedia, "Payment card number", and the networks' own lists of ranges.)
const ISSUERS: [(&str, &str, RangeInclusive<usize>); 27] = [
    ("1", "1", 15..=15),       // UATP
    ("1800", "1800", 15..=15), // JCB
    ("2131", "2131", 15..=15), // JCB
    ("2200", "2205", 16..=19), // Mir, Borica
    ("2221", "2720", 16..=16), // Mastercard
    ("300", "305", 14..=19),   // Diners Club
    ("3095", "3095", 14..=19), // Diners Club
    ("34", "34", 15..=15),     // American Express
    ("3528", "3589", 16..=19), // JCB
    ("36", "36", 14..=19),     // Diners Club
    ("37", "37", 15..=15),     // American Express
    ("38", "39", 14..=19),     // Diners Club
    ("4", "4", 13..=13),       // Visa
    ("4", "4", 16..=16),       // Visa
    ("4", "4", 19..=19),       // Visa
    ("50", "50", 13..=19),     // Maestro, Dankort, Elo, Verve
    ("51", "55", 16..=16),     // Mastercard
    ("56", "58", 13..=19),     // Maestro
    ("60", "60", 16..=19),     // Discover, RuPay
    ("62", "62", 16..=19),     // UnionPay
    ("63", "63", 13..=19),     // Maestro, InterPayment, InstaPayment
    ("644", "659", 16..=19),   // Discover, RuPay, Elo, Troy
    ("67", "67", 13..=19),     // Maestro
    ("81", "82", 16..=19),     // UnionPay, RuPay
    ("8600", "8600", 16..=16), // Uzcard
    ("97", "97", 16..=19),     // Napas, Troy
    ("9860", "9860", 16..=16), // Humo
];

/// Whether `text` is a card number: 13-19 digits that pass the Luhn check, dashes between them or not.
pub(super) fn is_card_number(text: &str) -> bool {
    let digits: Vec<u8> = text.bytes().filter(|byte| *byte != b'-').collect();
    digits.iter().all(u8::is_ascii_digit) && has_check_digit(&digits)
}

/// Whether some issuer may have given out the number of these ASCII digits.
pub(super) fn is_given_out(digits: &[u8]) -> bool {
    has_check_digit(digits) && ISSUERS.iter().any(|issuer| begins(digits, issuer))
}

fn begins(digits: &[u8], (from, to, lengths): &(&str, &str, RangeInclusive<usize>)) -> bool {
    let start = &digits[..from.len()];
    lengths.contains(&digits.len()) && (from.as_bytes()..=to.as_bytes()).contains(&start)
}

/// 13-19 digits, the last of which is the check digit of the others.
fn has_check_digit(digits: &[u8]) -> bool {
    CARD_DIGITS.contains(&digits.len()) && passes_luhn(digits)
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
            "0000000000000000",
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

    /// A number that begins so, has so many digits, and passes the Luhn check.
    fn number(start: &str, length: usize) -> Vec<u8> {
        let zeros = "0".repeat(length - start.len() - 1);
        let numbers = (0..=9).map(|check| format!("{start}{zeros}{check}").into_bytes());
        numbers.into_iter().find(|digits| passes_luhn(digits)).unwrap()
    }

    #[test]
    fn what_an_issuer_gives_out_begins_and_is_as_long_as_its_numbers_are() {
        for (from, to, lengths) in &ISSUERS {
            assert!(from.len() == to.len() && from <= to, "{from}");
            for length in [lengths.start(), lengths.end()] {
                assert!(is_given_out(&number(from, *length)) && is_given_out(&number(to, *length)), "{from}");
            }
        }
        for (start, length) in
            [("0", 16), ("7", 16), ("9", 16), ("4", 15), ("51", 15), ("34", 16), ("2721", 16)]
        {
            assert!(!is_given_out(&number(start, length)), "{start}, {length} digits");
        }
        assert!(!is_given_out(b"4242424242424241") && !is_given_out(b"4"));
    }
}
