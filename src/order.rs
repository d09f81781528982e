//! The order message: its fields as types, its parser and its fingerprint.
//!
//! An [`Order`] exists only if the message was valid; nothing after [`Order::parse`] checks a field again.

mod card;
mod fingerprint;
mod json;
mod mask;
mod named;
mod parse;

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

pub use fingerprint::Fingerprint;
pub(crate) use fingerprint::hex;
pub use mask::{mask_card_numbers, mask_message};
pub use named::named_orders;
pub use parse::{MAX_BODY_BYTES, MAX_DEPTH, MAX_ITEMS, MAX_QUANTITY};

use crate::clock::UnixMillis;

/// What a customer ordered, as the producer's message says it.
#[derive(Clone, PartialEq, Eq)]
pub struct Order {
    /// The idempotency key: whatever arrives under the same ID is the same order, or a conflict.
    pub id: OrderId,
    /// Who ordered.
    pub customer_id: CustomerId,
    /// When the customer placed the order (not when a message about it was sent).
    pub placed_at: UnixMillis,
    /// The currency of every price.
    pub currency: Currency,
    /// One line per SKU, sorted by SKU, whatever the order in the message.
    pub items: Vec<Item>,
    /// The payment provider's token.
    pub payment_method: PaymentMethod,
    /// Carried along; decides nothing.
    pub metadata: BTreeMap<String, String>,
}

/// One line of an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Item {
    /// What is bought.
    pub sku: Sku,
    /// How many, 1-10,000.
    pub quantity: u32,
    /// The price of one, in minor units of the order's currency.
    pub unit_price: u64,
}

/// An amount in minor units (cents) of a currency.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Money {
    /// How much, in minor units.
    pub minor: u64,
    /// Of which currency.
    pub currency: Currency,
}

impl Order {
    /// Reads the body of an SQS message.
    ///
    /// # Errors
    /// [`Invalid`] names the first field that breaks a rule, and the rule; it never quotes a value.
    pub fn parse(body: &str) -> Result<Order, Invalid> {
        parse::order(body)
    }

    /// What the order costs: at most 5 * 10^14 minor units, as the limits of its fields have it.
    pub fn total(&self) -> Money {
        let minor = self.items.iter().map(|item| u64::from(item.quantity) * item.unit_price).sum();
        Money { minor, currency: self.currency.clone() }
    }
}

impl fmt::Debug for Order {
    /// Only the ID: the rest of an order belongs to its customer.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Order").field("id", &self.id).finish_non_exhaustive()
    }
}

/// Why a message is no valid order. Neither part ever quotes a value of the message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct Invalid {
    /// Which order the message meant, where that much could be read.
    pub order_id: Option<OrderId>,
    /// The field, as a path: `items[2].quantity`.
    pub field: String,
    /// What was found and what is accepted.
    pub problem: String,
}

impl Invalid {
    fn new(field: impl Into<String>, problem: impl Into<String>) -> Self {
        Invalid { order_id: None, field: field.into(), problem: problem.into() }
    }

    /// The field's name if it is one of ours. Any other name is the producer's own text, and not for the log.
    pub fn known_place(&self) -> &str {
        let known = parse::is_known_field(&self.field);
        if known { &self.field } else { "a field that is not known" }
    }
}

macro_rules! text_type {
    ($(#[$doc:meta])* $name:ident, $most:literal, $extra:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The text itself.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, String> {
                characters(text, $most, $extra)?;
                Ok($name(text.to_owned()))
            }
        }

        impl TryFrom<String> for $name {
            type Error = String;

            fn try_from(text: String) -> Result<Self, String> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> String {
                value.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

text_type!(
    /// Names an order, for ever: 1-128 of `[A-Za-z0-9._:-]`.
    OrderId, 128, "._:-"
);
text_type!(
    /// Names a customer: 1-128 of `[A-Za-z0-9._:-]`.
    CustomerId, 128, "._:-"
);
text_type!(
    /// Names something in stock: 1-64 of `[A-Za-z0-9._-]`.
    Sku, 64, "._-"
);

fn characters(text: &str, most: usize, extra: &str) -> Result<(), String> {
    let fits = text.chars().all(|c| c.is_ascii_alphanumeric() || extra.contains(c));
    if fits && (1..=most).contains(&text.len()) {
        return Ok(());
    }
    let found = if fits { format!("{} found", text.len()) } else { "other characters found".to_owned() };
    Err(format!("1-{most} of [A-Za-z0-9{extra}] are accepted, {found}"))
}

/// Three upper-case letters, as ISO 4217 has them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Currency(String);

impl Currency {
    /// The letters.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Currency {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_uppercase()) {
            return Ok(Currency(text.to_owned()));
        }
        Err("three upper-case letters (ISO 4217) are accepted, such as USD".to_owned())
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A payment provider's token: 1-128 of `[A-Za-z0-9_-]`, and never a card number.
#[derive(Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct PaymentMethod(String);

impl PaymentMethod {
    /// The token. It goes to the payment provider and into the fingerprint, nowhere else.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for PaymentMethod {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        characters(text, 128, "_-")?;
        if card::is_card_number(text) {
            return Err("a token is accepted, never a card number".to_owned());
        }
        Ok(PaymentMethod(text.to_owned()))
    }
}

impl fmt::Debug for PaymentMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PaymentMethod(..)")
    }
}

#[cfg(test)]
mod tests;
