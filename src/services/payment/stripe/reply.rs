//! What Stripe's answers mean. Pure.

use serde::Deserialize;

use crate::services::payment::Charge;

/// An answer, by what to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Reply {
    /// A payment intent or a refund.
    Object { id: String, status: String },
    /// The result of a search.
    List(Vec<Payment>),
    /// The customer's bank, or Stripe for it, says no.
    Declined(String),
    /// Not now: ask again later, under the same key.
    Later(String),
    /// A stored error: this key will never give another answer.
    SameErrorForEver,
    /// Our request is wrong.
    Error { status: u16, code: String },
}

/// A payment that a search found.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Payment {
    id: String,
    status: String,
    amount: Option<u64>,
    currency: Option<String>,
    #[serde(default)]
    metadata: Metadata,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
struct Metadata {
    order_id: Option<String>,
}

impl Payment {
    /// Stripe's search does not tell upper from lower case (Stripe Docs, "Search"), and an account may serve more
    /// than one system.
    fn is_of(&self, charge: &Charge<'_>) -> bool {
        let currency = charge.amount.currency.as_str();
        self.metadata.order_id.as_deref().is_none_or(|id| id == charge.order_id.as_str())
            && self.amount.is_none_or(|amount| amount == charge.amount.minor)
            && self.currency.as_deref().is_none_or(|found| found.eq_ignore_ascii_case(currency))
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Body {
    Error { error: Error },
    List { data: Vec<Payment> },
    Object { id: String, status: String },
}

#[derive(Deserialize)]
struct Error {
    #[serde(rename = "type")]
    kind: String,
    code: Option<String>,
    decline_code: Option<String>,
}

pub(super) fn read(status: u16, replayed: bool, body: &[u8]) -> Reply {
    match (status, serde_json::from_slice(body)) {
        (200..=299, Ok(Body::Object { id, status })) => Reply::Object { id, status },
        (200..=299, Ok(Body::List { data })) => Reply::List(data),
        (402, Ok(Body::Error { error })) if error.kind == "card_error" => {
            let code = short(error.code.as_deref().unwrap_or("declined"));
            Reply::Declined(error.decline_code.map_or(code.clone(), |why| format!("{code}: {}", short(&why))))
        }
        (500.., _) if replayed => Reply::SameErrorForEver,
        (409 | 429 | 500.., _) => Reply::Later(format!("the payment provider answered {status}")),
        (400..=499, Ok(Body::Error { error })) => {
            Reply::Error { status, code: short(&error.code.unwrap_or(error.kind)) }
        }
        (400..=499, _) => Reply::Error { status, code: "unknown".to_owned() },
        _ => Reply::Later(format!("the payment provider's answer cannot be read (status {status})")),
    }
}

/// A code as it goes into results and logs. Stripe's are short words with underscores; anything else may quote what
/// was sent, and is not repeated.
fn short(code: &str) -> String {
    let is_word = code.starts_with(|c: char| c.is_ascii_alphabetic())
        && code.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        && code.len() <= 64;
    if is_word { code.to_owned() } else { "unknown".to_owned() }
}

/// Whether a payment intent of this status will never be paid.
pub(super) fn is_decline(status: &str) -> bool {
    matches!(status, "canceled" | "requires_payment_method")
}

/// What a search says of an order's payment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Found {
    Paid(String),
    Declined,
    Undecided,
    /// No answer at all: the search lags behind.
    Nothing,
}

pub(super) fn settle(payments: &[Payment], charge: &Charge<'_>) -> Found {
    let payments: Vec<&Payment> = payments.iter().filter(|payment| payment.is_of(charge)).collect();
    let paid = payments.iter().find(|payment| payment.status == "succeeded");
    match (paid, &payments[..]) {
        (Some(payment), _) => Found::Paid(payment.id.clone()),
        (None, []) => Found::Nothing,
        (None, all) if all.iter().all(|payment| is_decline(&payment.status)) => Found::Declined,
        (None, _) => Found::Undecided,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_a_word_of_at_most_64_characters_or_unknown() {
        let longest = "a".repeat(64);
        for code in ["card_declined", "Generic2", &longest] {
            assert_eq!(short(code), code);
        }
        for other in ["", "4242424242424242", "me@example.com", "two words", &"a".repeat(65)] {
            assert_eq!(short(other), "unknown");
        }
    }
}
