//! What Stripe's answers mean. Pure.

use serde::Deserialize;
use serde_json::Value;

use crate::order::OrderId;
use crate::services::payment::Charge;

/// An answer, by what to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Reply {
    /// A payment intent or a refund.
    Object(Object),
    /// The result of a search or a list: its first page.
    List { data: Vec<Object>, has_more: bool },
    /// The customer's bank, or Stripe for it, says no; or Stripe does not charge this amount.
    Declined(String),
    /// Not now: ask again later, under the same key.
    Later(String),
    /// This key will never give another answer, and this one does not tell what became of the payment, which it may
    /// name.
    Undecided { payment_id: Option<String> },
    /// Our request is wrong.
    Error { status: u16, code: String },
}

/// A payment intent or a refund.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Object {
    pub(super) id: String,
    pub(super) status: String,
    amount: Option<u64>,
    currency: Option<String>,
    #[serde(default)]
    metadata: Metadata,
    /// Whether the key has given this answer before: it says what was so then.
    #[serde(skip)]
    pub(super) replayed: bool,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
struct Metadata {
    order_id: Option<String>,
}

impl Object {
    /// Whether it says that it was made for this order.
    pub(super) fn names(&self, order_id: &OrderId) -> bool {
        self.metadata.order_id.as_deref() == Some(order_id.as_str())
    }

    /// Stripe's search does not tell upper from lower case (Stripe Docs, "Search"), and an account may serve more
    /// than one system.
    pub(super) fn is_of(&self, charge: &Charge<'_>) -> bool {
        let currency = charge.amount.currency.as_str();
        self.metadata.order_id.as_deref().is_none_or(|id| id == charge.order_id.as_str())
            && self.amount.is_none_or(|amount| amount == charge.amount.minor)
            && self.currency.as_deref().is_none_or(|found| found.eq_ignore_ascii_case(currency))
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Body {
    Error {
        error: Error,
    },
    List {
        data: Vec<Object>,
        #[serde(default)]
        has_more: bool,
    },
    Object(Object),
}

#[derive(Deserialize)]
struct Error {
    #[serde(rename = "type")]
    kind: String,
    code: Option<String>,
    decline_code: Option<String>,
    #[serde(default)]
    payment_intent: Value,
}

impl Error {
    fn payment_id(&self) -> Option<String> {
        self.payment_intent["id"].as_str().map(str::to_owned)
    }

    /// A card error is about one attempt. The payment that it names may have been paid by another, or hold the money.
    fn may_be_paid(&self) -> bool {
        matches!(
            self.payment_intent["status"].as_str(),
            Some("succeeded" | "processing" | "requires_capture")
        )
    }

    /// Nobody's error: Stripe does not charge so little, or so much, in this currency.
    fn is_about_the_amount(&self) -> bool {
        self.kind == "invalid_request_error"
            && matches!(self.code.as_deref(), Some("amount_too_small" | "amount_too_large"))
    }

    fn decline(&self) -> String {
        let code = short(self.code.as_deref().unwrap_or("declined"));
        match &self.decline_code {
            Some(why) => format!("{code}: {}", short(why)),
            None => code,
        }
    }
}

pub(super) fn read(status: u16, replayed: bool, body: &[u8]) -> Reply {
    match (status, serde_json::from_slice(body)) {
        (200..=299, Ok(Body::Object(object))) => Reply::Object(Object { replayed, ..object }),
        (200..=299, Ok(Body::List { data, has_more })) => Reply::List { data, has_more },
        (402, Ok(Body::Error { error })) if error.kind == "card_error" => match error.may_be_paid() {
            true => Reply::Undecided { payment_id: error.payment_id() },
            false => Reply::Declined(error.decline()),
        },
        (400, Ok(Body::Error { error })) if error.is_about_the_amount() => Reply::Declined(error.decline()),
        (500.., Ok(Body::Error { error })) if replayed => Reply::Undecided { payment_id: error.payment_id() },
        (500.., _) if replayed => Reply::Undecided { payment_id: None },
        (409 | 429 | 500.., _) => Reply::Later(format!("the payment provider answered {status}")),
        (400..=499, Ok(Body::Error { error })) => {
            Reply::Error { status, code: short(&error.code.unwrap_or(error.kind)) }
        }
        (400..=499, _) => Reply::Error { status, code: "unknown".to_owned() },
        _ => Reply::Later(format!("the payment provider's answer cannot be read (status {status})")),
    }
}

/// A word of Stripe's as it goes into results and logs: codes, statuses and IDs are short, with underscores. Anything
/// else may quote what was sent, and is not repeated.
pub(super) fn short(word: &str) -> String {
    let is_word = word.starts_with(|c: char| c.is_ascii_alphabetic())
        && word.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        && word.len() <= 64;
    if is_word { word.to_owned() } else { "unknown".to_owned() }
}

/// What an order's payments, as they are, say together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict<'a> {
    /// This one has succeeded, and no other.
    Paid(&'a Object),
    /// These have, and they are too many.
    PaidTwice(&'a Object, &'a Object),
    /// None has, and this one may on its own.
    Wait(&'a Object),
    /// None has. `open` are those that somebody could still confirm.
    Unpaid { open: Vec<&'a Object> },
}

pub(super) fn verdict(payments: &[Object]) -> Verdict<'_> {
    let mut paid = payments.iter().filter(|payment| payment.status == "succeeded");
    match (paid.next(), paid.next()) {
        (Some(one), Some(two)) => return Verdict::PaidTwice(one, two),
        (Some(payment), None) => return Verdict::Paid(payment),
        (None, _) => {}
    }
    match payments.iter().find(|payment| payment.status != "canceled" && !is_open(payment)) {
        Some(payment) => Verdict::Wait(payment),
        None => Verdict::Unpaid { open: payments.iter().filter(|payment| is_open(payment)).collect() },
    }
}

/// What became of the money of a payment that has succeeded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Whereabouts<'a> {
    /// It is here, or all but what the shop gave back by hand.
    Kept,
    /// The customer has it back.
    GivenBack,
    /// It is on its way back.
    OnItsWay(&'a Object),
    /// It was to go back because the order turned back, and did not.
    ComeBack(&'a Object),
}

/// By the refunds of a payment of this amount: a refund that names the order is of the whole.
pub(super) fn whereabouts<'a>(refunds: &'a [Object], order_id: &OrderId, amount: u64) -> Whereabouts<'a> {
    let has_failed = |refund: &&Object| matches!(refund.status.as_str(), "failed" | "canceled");
    let (failed, held): (Vec<_>, Vec<_>) = refunds.iter().partition(has_failed);
    let of_the_order = |refund: &&&Object| refund.names(order_id);
    let given: u64 = held.iter().filter_map(|refund| refund.amount).fold(0, u64::saturating_add);
    let wholly = given >= amount || held.iter().any(|refund| refund.names(order_id));
    let on_its_way = held.iter().find(|refund| refund.status != "succeeded");
    match (wholly, on_its_way, failed.iter().find(of_the_order)) {
        (true, None, _) => Whereabouts::GivenBack,
        (true, Some(refund), _) => Whereabouts::OnItsWay(refund),
        (false, _, Some(refund)) => Whereabouts::ComeBack(refund),
        (false, _, None) => Whereabouts::Kept,
    }
}

/// Whether it can be canceled: <https://docs.stripe.com/api/payment_intents/cancel>. One that is processing mostly
/// cannot, and decides itself.
fn is_open(payment: &Object) -> bool {
    matches!(
        payment.status.as_str(),
        "requires_payment_method" | "requires_confirmation" | "requires_action" | "requires_capture"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_has_at_most_64_characters_or_is_unknown() {
        let longest = "a".repeat(64);
        for word in ["card_declined", "Generic2", "pi_1", &longest] {
            assert_eq!(short(word), word);
        }
        for other in ["", "4242424242424242", "me@example.com", "two words", &"a".repeat(65)] {
            assert_eq!(short(other), "unknown");
        }
    }

    fn payments(statuses: &[&str]) -> Vec<Object> {
        let payment = |status: &&str| Object {
            id: format!("pi_{status}"),
            status: (*status).to_owned(),
            amount: None,
            currency: None,
            metadata: Metadata::default(),
            replayed: false,
        };
        statuses.iter().map(payment).collect()
    }

    /// Every set of up to three refunds, by status, amount and whether the order is named.
    #[test]
    fn a_payment_is_kept_unless_the_order_or_the_whole_of_it_was_given_back() {
        let order_id: OrderId = "ord-1".parse().unwrap();
        let mut each = Vec::new();
        for status in ["succeeded", "pending", "requires_action", "failed", "canceled", "another"] {
            for (amount, order) in [(Some(3), false), (Some(5), false), (Some(5), true), (None, true)] {
                let order_id = order.then(|| "ord-1".to_owned());
                let (id, status) = ("re_1".to_owned(), status.to_owned());
                let metadata = Metadata { order_id };
                each.push(Object { id, status, amount, currency: None, metadata, replayed: false });
            }
        }
        let mut sets: Vec<Vec<&Object>> = vec![Vec::new()];
        for _ in 0..3 {
            let longer = sets.iter().flat_map(|set| each.iter().map(|one| [&set[..], &[one]].concat()));
            sets = sets.iter().cloned().chain(longer).collect();
        }
        for set in &sets {
            let refunds: Vec<Object> = set.iter().map(|refund| (*refund).clone()).collect();
            let gone = |refund: &&Object| !["failed", "canceled"].contains(&refund.status.as_str());
            let of_order = |refund: &&Object| refund.metadata.order_id.is_some();
            let gone: Vec<&Object> = refunds.iter().filter(gone).collect();
            let whole = gone.iter().filter_map(|refund| refund.amount).sum::<u64>() >= 5;
            let expected = match whole || gone.iter().any(&of_order) {
                true if gone.iter().all(|refund| refund.status == "succeeded") => "given back",
                true => "on its way",
                false if refunds.iter().any(|refund| of_order(&refund)) => "come back",
                false => "kept",
            };
            let told = match whereabouts(&refunds, &order_id, 5) {
                Whereabouts::Kept => "kept",
                Whereabouts::GivenBack => "given back",
                Whereabouts::OnItsWay(refund) if gone.contains(&refund) => "on its way",
                Whereabouts::ComeBack(refund) if !gone.contains(&refund) => "come back",
                other => panic!("{set:?}: {other:?}"),
            };
            assert_eq!(told, expected, "{set:?}");
        }
    }

    /// Every set of up to three payments of each status that Stripe has, and of one that it may have some day.
    #[test]
    fn an_order_is_unpaid_only_if_no_payment_is_paid_or_may_be() {
        let open =
            ["requires_payment_method", "requires_confirmation", "requires_action", "requires_capture"];
        let all = [&open[..], &["processing", "succeeded", "canceled", "another"]].concat();
        let mut sets: Vec<Vec<&str>> = all.iter().map(|status| vec![*status]).collect();
        for _ in 0..2 {
            let longer = sets.iter().flat_map(|set| all.iter().map(|one| [&set[..], &[*one]].concat()));
            sets = sets.iter().cloned().chain(longer).collect();
        }
        for set in &sets {
            let found = payments(set);
            let count = |statuses: &[&str]| set.iter().filter(|status| statuses.contains(status)).count();
            let expected = match (count(&["succeeded"]), count(&["processing", "another"]), count(&open)) {
                (0, 0, open) => (0, false, Some(open)),
                (0, _, _) => (0, true, None),
                (1, _, _) => (1, false, None),
                _ => (2, false, None),
            };
            let told = match verdict(&found) {
                Verdict::Paid(payment) => (usize::from(payment.status == "succeeded"), false, None),
                Verdict::PaidTwice(one, two) => (
                    usize::from(one.status == "succeeded") + usize::from(two.status == "succeeded"),
                    false,
                    None,
                ),
                Verdict::Wait(payment) => (0, !open.contains(&payment.status.as_str()), None),
                Verdict::Unpaid { open } => (0, false, Some(open.len())),
            };
            assert_eq!(told, expected, "{set:?}");
        }
    }
}
