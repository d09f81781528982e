//! The order item: one DynamoDB item carries the claim, the lease, the checkpoints and the answer. Pure.
//!
//! The names of the attributes are the names of [`Record`]'s fields, here and nowhere else.

mod key;
mod outcomes;

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::clock::{UnixMillis, UnixSeconds};
use crate::order::{Fingerprint, OrderId, Sku};
pub use key::IdempotencyKey;
pub use outcomes::{Fact, Outcome, Outcomes, PROVIDER, REFUSAL};

/// The attribute that DynamoDB's TTL looks at.
pub const TTL_ATTRIBUTE: &str = "expires_at";
/// The table's partition key.
pub const KEY_ATTRIBUTE: &str = "pk";
/// When an item was written last, whoever wrote it.
pub const UPDATED_ATTRIBUTE: &str = "updated_at_ms";
/// How many of an item are free to be reserved.
pub const AVAILABLE_ATTRIBUTE: &str = "available";

/// The key of an order's item.
pub fn order_key(id: &OrderId) -> String {
    format!("ORDER#{id}")
}

/// The key of a stock item.
pub fn stock_key(sku: &Sku) -> String {
    format!("STOCK#{sku}")
}

/// How far an order is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Status {
    /// Going forward.
    InProgress,
    /// Refused or cancelled, and being undone.
    Compensating,
    /// Finished: everything took effect.
    Completed,
    /// Finished: nothing is left of it.
    Rejected,
    /// An operator has to decide.
    Parked,
}

impl Status {
    /// Those in which a worker may own the order.
    pub const UNFINISHED: [Status; 2] = [Status::InProgress, Status::Compensating];

    /// Whether the result is stored.
    pub fn is_finished(self) -> bool {
        matches!(self, Status::Completed | Status::Rejected)
    }

    /// The name on the record.
    pub fn as_str(self) -> &'static str {
        match self {
            Status::InProgress => "IN_PROGRESS",
            Status::Compensating => "COMPENSATING",
            Status::Completed => "COMPLETED",
            Status::Rejected => "REJECTED",
            Status::Parked => "PARKED",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Grows by one whenever the owner changes; a write of an earlier owner no longer fits its condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Fence(pub u64);

impl Fence {
    /// The fence of the next owner.
    pub fn next(self) -> Fence {
        Fence(self.0 + 1)
    }
}

/// Names one attempt to own an order. Made before the call that claims it, so that a claim whose response was
/// lost is recognised as one's own.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Owner(pub String);

/// Where the lease of an order ends that its owner gave up: long ago, so that anybody may go on with it.
pub const RELEASED: UnixMillis = UnixMillis(0);

/// Why an order is rejected.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Refusal {
    /// The reason, as the result has it.
    pub reason: Reason,
    /// What exactly.
    pub detail: String,
}

impl Refusal {
    /// Somebody asked to cancel. Who it was stays on the record: the customer is told of the refusal.
    pub fn cancelled() -> Self {
        Refusal { reason: Reason::Cancelled, detail: "cancelled before the shipment".to_owned() }
    }

    /// The refusal as it stands among the outcomes.
    pub fn to_outcome(&self) -> Outcome {
        Outcome::of("reason", self.reason.as_str()).and("detail", self.detail.clone())
    }
}

/// The reasons for which an order is rejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// Less in stock than wanted.
    OutOfStock,
    /// Nothing of that name was ever in stock.
    UnknownSku,
    /// The payment provider said no.
    PaymentDeclined,
    /// The warehouse said no.
    ShipmentRefused,
    /// Somebody cancelled it.
    Cancelled,
}

impl Reason {
    /// The name in the result.
    pub fn as_str(self) -> &'static str {
        match self {
            Reason::OutOfStock => "out_of_stock",
            Reason::UnknownSku => "unknown_sku",
            Reason::PaymentDeclined => "payment_declined",
            Reason::ShipmentRefused => "shipment_refused",
            Reason::Cancelled => "cancelled",
        }
    }
}

/// The order item.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Record {
    /// `ORDER#<order_id>`.
    pub pk: String,
    /// How far the order is.
    pub status: Status,
    /// Grows by one whenever the owner changes.
    pub fence: Fence,
    /// Who may write.
    pub owner: Owner,
    /// Until when nobody else tries to. Absent on finished and parked orders.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub lease_until_ms: Option<UnixMillis>,
    /// The name of the next step; of the next undo while compensating.
    pub step: String,
    /// What came of the steps so far.
    #[serde(default)]
    pub outcomes: Outcomes,
    /// What makes a message a duplicate and not a conflict.
    pub fingerprint: Fingerprint,
    /// The workflow under which the order was claimed.
    pub workflow_version: u32,
    /// When it was claimed first.
    pub claimed_at_ms: UnixMillis,
    /// When it was written last.
    #[serde(default)]
    pub updated_at_ms: UnixMillis,
    /// Claims and takeovers.
    #[serde(default)]
    pub attempts: u64,
    /// When the stock was reserved.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reserved_at_ms: Option<UnixMillis>,
    /// Who asked to cancel.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub cancel_requested: Option<String>,
    /// While parked: the status before.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub parked_from: Option<Status>,
    /// While parked: why.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub parked_reason: Option<String>,
    /// The order message, from parking until a worker holds the message again.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub order: Option<String>,
    /// Who was or will be asked for the step that is due, where it is somebody by name: the payment provider. Nobody else
    /// can know what came of it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub callee: Option<String>,
    /// The step of which an operator said that it has not taken effect.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub settled_step: Option<String>,
    /// Since when idempotency keys count as fresh, if later than the claim.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub key_epoch_ms: Option<UnixMillis>,
    /// By the name of the step or undo: which of its idempotency keys is in use, from 2. The first has no number. Only
    /// a person begins the next, by the statement that nothing came of the one before.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub key_generation: BTreeMap<String, u32>,
    /// The answer, when finished.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub result: Option<String>,
    /// When DynamoDB may delete the item. Only on finished orders.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub expires_at: Option<UnixSeconds>,
    /// What people changed, the last of it. Workers carry it along; no customer sees it.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub operator_log: Vec<Intervention>,
}

/// A change of a record by a person.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Intervention {
    /// When.
    pub at_ms: UnixMillis,
    /// Who.
    pub who: String,
    /// What: `cancel`, `resume`, `mark-done charge_payment`.
    pub what: String,
    /// Why.
    pub why: String,
}

impl Record {
    /// The order's ID, from the key.
    pub fn order_id(&self) -> &str {
        self.pk.strip_prefix("ORDER#").unwrap_or(&self.pk)
    }

    /// By what a callee recognises a repeat of a step or undo: `<order_id>:<step>`, and a number if a person stated that
    /// nothing came of the key before. No fence, no attempt, no time: a worker that wakes up late and its successor ask
    /// for one effect.
    pub fn idempotency_key(&self, step: &str) -> String {
        let generation = self.key_generation.get(step).copied();
        IdempotencyKey { order_id: self.order_id(), step, generation }.to_string()
    }

    /// Since when the callees of this order's steps have known its idempotency keys, at most.
    pub fn keys_since(&self) -> UnixMillis {
        self.key_epoch_ms.map_or(self.claimed_at_ms, |epoch| epoch.max(self.claimed_at_ms))
    }

    /// The attributes by name.
    pub fn attributes(&self) -> Map<String, Value> {
        match serde_json::to_value(self) {
            Ok(Value::Object(attributes)) => attributes,
            _ => unreachable!("a record is a struct of strings, numbers and maps"),
        }
    }

    /// What has to be written to make this record into `after`: the new value of each attribute that differs,
    /// or nothing where it goes away.
    pub fn changes_to(&self, after: &Record) -> BTreeMap<String, Option<Value>> {
        let (old, mut new) = (self.attributes(), after.attributes());
        let gone = old.keys().filter(|name| !new.contains_key(*name)).map(|name| (name.clone(), None));
        let gone: Vec<_> = gone.collect();
        new.retain(|name, value| old.get(name) != Some(value));
        new.into_iter().map(|(name, value)| (name, Some(value))).chain(gone).collect()
    }
}

#[cfg(test)]
mod tests;
