//! An order message before it is one: whatever a producer might write, valid or not.

use std::collections::BTreeMap;

use anyhow::Result;
use order_processor::clock::UnixMillis;
use serde::Serialize;
use serde_json::{Value, json};

/// The fields of an order message, unchecked.
#[derive(Debug, Clone, Serialize)]
pub struct Draft {
    pub order_id: String,
    pub customer_id: String,
    pub placed_at: String,
    pub currency: String,
    pub items: Vec<Line>,
    pub payment_method: String,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
}

/// One line of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Line {
    pub sku: String,
    pub quantity: u64,
    pub unit_price: u64,
}

impl std::str::FromStr for Line {
    type Err = String;

    /// `SKU:QUANTITY:UNIT_PRICE`, the price in minor units.
    fn from_str(text: &str) -> Result<Self, String> {
        let problem = || format!("SKU:QUANTITY:UNIT_PRICE is accepted, as in mug:2:1299, {text:?} found");
        let mut parts = text.splitn(3, ':');
        let (Some(sku), Some(quantity), Some(price)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(problem());
        };
        let number = |text: &str| text.parse().map_err(|_| problem());
        Ok(Line { sku: sku.to_owned(), quantity: number(quantity)?, unit_price: number(price)? })
    }
}

impl Draft {
    /// The message, in the order of the documentation.
    pub fn body(&self) -> String {
        serde_json::to_string(self).expect("strings and integers are always JSON")
    }

    /// The same order as a producer builds it anew after a restart: another time, other white space, other order
    /// of fields and lines, metadata. A duplicate, not a conflict.
    pub fn rebuilt(&self, placed_at: UnixMillis) -> String {
        let mut again = self.clone();
        again.items.reverse();
        again.placed_at = placed_at.to_rfc3339();
        again.metadata.insert("retry".to_owned(), "yes".to_owned());
        // A JSON value keeps its fields in another order than the struct, and is printed on several lines.
        let value: Value = json!(again);
        format!("{value:#}")
    }

    /// Another order under the same ID.
    pub fn contradicted(&self) -> Draft {
        let mut other = self.clone();
        for line in &mut other.items {
            line.quantity += 1;
        }
        other
    }
}

#[cfg(test)]
mod tests {
    use order_processor::order::Order;

    use super::*;

    fn draft() -> Draft {
        Draft {
            order_id: "ord-1".into(),
            customer_id: "cus-1".into(),
            placed_at: "2026-11-24T01:00:00Z".into(),
            currency: "USD".into(),
            items: vec!["mug:2:1299".parse().unwrap(), "cap:1:500".parse().unwrap()],
            payment_method: "pm_card_visa".into(),
            metadata: BTreeMap::new(),
        }
    }

    #[test]
    fn a_rebuilt_message_is_other_bytes_and_the_same_order() {
        let (first, again) = (draft().body(), draft().rebuilt(UnixMillis(1_795_482_002_000)));
        assert_ne!(first, again);
        let read = |body: &str| Order::parse(body).unwrap().fingerprint();
        assert_eq!(read(&first), read(&again));
        assert_ne!(read(&first), read(&draft().contradicted().body()));
    }

    #[test]
    fn a_line_that_is_none_says_what_is_accepted() {
        for bad in ["mug", "mug:1", "mug:one:2", "mug:1:2:3", "mug:-1:5"] {
            assert!(bad.parse::<Line>().unwrap_err().contains("mug:2:1299"), "{bad}");
        }
    }
}
