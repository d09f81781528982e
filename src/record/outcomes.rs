//! What came of the steps so far, as it stands on the record.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Refusal;
use crate::clock::UnixMillis;
use crate::order::{MAX_QUANTITY, Sku};

/// A value in an outcome.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Fact {
    /// An ID, a reason.
    Text(String),
    /// A time.
    Number(u64),
    /// Stock that was reserved, SKU -> quantity: apart from the times, because a SKU can have any of their names.
    Quantities(BTreeMap<String, u64>),
}

/// The small result of one step.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Outcome(BTreeMap<String, Fact>);

/// When a step was done, in Unix milliseconds, beside the facts of its outcome.
const AT: &str = "at_ms";
/// Where the quantities of a reservation are.
const QUANTITIES: &str = "quantities";

/// The fact of an outcome that says who did the step, where it is somebody by name: nobody else can undo it.
pub const PROVIDER: &str = "provider";

impl Outcome {
    /// Done, and there is nothing to remember or to undo.
    pub fn nothing() -> Self {
        Outcome::default()
    }

    /// Done, and this is what came of it.
    pub fn of(name: &str, text: impl Into<String>) -> Self {
        Outcome::default().and(name, text)
    }

    /// The same with one more fact.
    pub fn and(mut self, name: &str, text: impl Into<String>) -> Self {
        self.0.insert(name.to_owned(), Fact::Text(text.into()));
        self
    }

    /// Stock that was reserved.
    pub fn reserved(lines: impl IntoIterator<Item = (Sku, u32)>) -> Self {
        let quantities = lines.into_iter().map(|(sku, n)| (sku.to_string(), n.into())).collect();
        Outcome(BTreeMap::from([(QUANTITIES.to_owned(), Fact::Quantities(quantities))]))
    }

    /// The same, done at `now`.
    pub fn at(mut self, now: UnixMillis) -> Self {
        self.0.insert(AT.to_owned(), Fact::Number(now.0));
        self
    }

    /// When the step was done.
    pub fn done_at(&self) -> Option<UnixMillis> {
        match self.0.get(AT) {
            Some(Fact::Number(millis)) => Some(UnixMillis(*millis)),
            _ => None,
        }
    }

    /// The fact of this name, if it is a text.
    pub fn text(&self, name: &str) -> Option<&str> {
        match self.0.get(name) {
            Some(Fact::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// The outcome of a reservation, read back.
    ///
    /// Older records have the quantities beside the time. No quantity is as large as a time: an order line has at most
    /// [`MAX_QUANTITY`].
    pub fn quantities(&self) -> Vec<(Sku, u64)> {
        let quantity = |(sku, quantity): (&String, &u64)| Some((sku.parse().ok()?, *quantity));
        if let Some(Fact::Quantities(quantities)) = self.0.get(QUANTITIES) {
            return quantities.iter().filter_map(quantity).collect();
        }
        let beside_the_time = self.0.iter().filter_map(|(sku, fact)| match fact {
            Fact::Number(number) if *number <= u64::from(MAX_QUANTITY) => quantity((sku, number)),
            Fact::Number(_) | Fact::Text(_) | Fact::Quantities(_) => None,
        });
        beside_the_time.collect()
    }
}

/// The outcomes of an order, by the name of the step.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Outcomes(BTreeMap<String, Outcome>);

/// The key in [`Outcomes`] under which the refusal stands. No step has this name.
pub const REFUSAL: &str = "refusal";

impl Outcomes {
    /// The outcome of a step or undo.
    pub fn get(&self, step: &str) -> Option<&Outcome> {
        self.0.get(step)
    }

    /// The same with one more outcome.
    pub fn with(&self, step: &str, outcome: Outcome) -> Self {
        let mut outcomes = self.clone();
        outcomes.0.insert(step.to_owned(), outcome);
        outcomes
    }

    /// The same without the outcome of this step.
    pub fn without(&self, step: &str) -> Self {
        let mut outcomes = self.clone();
        outcomes.0.remove(step);
        outcomes
    }

    /// Every outcome with its name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Outcome)> {
        self.0.iter().map(|(name, outcome)| (name.as_str(), outcome))
    }

    /// Whether the step was done and did something.
    pub fn left_something(&self, step: &str) -> bool {
        self.get(step).is_some_and(|outcome| outcome.0.keys().any(|name| name != AT))
    }

    /// The text `name` in whichever outcome has it: `payment_id`, `shipment_id`.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.values().find_map(|outcome| outcome.text(name))
    }

    /// Why the order is refused, if it is.
    pub fn refusal(&self) -> Option<Refusal> {
        let outcome = self.get(REFUSAL)?;
        let reason = serde_json::from_value(Value::from(outcome.text("reason")?)).ok()?;
        Some(Refusal { reason, detail: outcome.text("detail").unwrap_or_default().to_owned() })
    }
}
