//! What makes two messages the same order.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{Currency, CustomerId, Item, Order, PaymentMethod};

/// `v1:` and the hex SHA-256 of the canonical JSON (RFC 8785) of what is bought and who pays.
///
/// White space, the order of fields and lines, `placed_at` and `metadata` do not change it: a producer that
/// rebuilds a message on retry makes a duplicate, not a conflict.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Fingerprint(String);

#[derive(Serialize)]
struct Canonical<'o> {
    customer_id: &'o CustomerId,
    currency: &'o Currency,
    items: &'o [Item],
    payment_method: &'o PaymentMethod,
}

impl Order {
    /// What this order has in common with its duplicates, and with nothing else.
    pub fn fingerprint(&self) -> Fingerprint {
        let canonical = Canonical {
            customer_id: &self.customer_id,
            currency: &self.currency,
            items: &self.items,
            payment_method: &self.payment_method,
        };
        let bytes = serde_json_canonicalizer::to_vec(&canonical)
            .expect("strings and integers below 2^53 always have a canonical form");
        Fingerprint(format!("v1:{}", hex(&Sha256::digest(bytes))))
    }
}

impl Fingerprint {
    /// A fingerprint as it was stored.
    pub fn stored(text: impl Into<String>) -> Self {
        Fingerprint(text.into())
    }

    /// Whether the two were made in the same way, so that different ones are of different orders.
    pub fn is_comparable(&self, other: &Fingerprint) -> bool {
        let scheme = |print: &str| print.split(':').next().map(str::to_owned);
        scheme(&self.0) == scheme(&other.0)
    }

    /// The text, `v1:` included.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
