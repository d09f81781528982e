//! Which requests meet which fault. A fault is named after what it happens to, `ord-17/PutItem/2`: so it stays the
//! same fault when other orders, other faults and other workers are left out.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::Value;

use super::chance::{Chance, between};
use super::queue::MAX_RECEIVE_COUNT;
use crate::local::faults::{Fault, Landing, Passage};
use crate::record::IdempotencyKey;

/// Plans faults and remembers those that happened.
pub(super) struct Mischief {
    chance: Chance,
    probability: f64,
    only: Option<BTreeSet<String>>,
    seen: BTreeMap<String, u32>,
    happened: Vec<String>,
}

/// What goes wrong with an order again and again, until its message has been received too often.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Curse {
    None,
    /// Whoever claims it dies: SQS has the last word.
    DeadlyClaim,
    /// Its charge does not get through: it is parked.
    ChargeLost,
}

impl Mischief {
    pub(super) fn new(chance: Chance, probability: f64, only: Option<BTreeSet<String>>) -> Self {
        Mischief { chance, probability, only, seen: BTreeMap::new(), happened: Vec::new() }
    }

    /// The names of the faults that happened.
    pub(super) fn happened(&self) -> Vec<String> {
        self.happened.clone()
    }

    /// The fault's name, if this happens to `subject` now.
    pub(super) fn strikes(&mut self, subject: &str, what: &str) -> Option<String> {
        let name = self.name(subject, what);
        let hit = self.chance.of("strike", &name).f64() < self.probability;
        (hit && self.happens(&name)).then_some(name)
    }

    /// Whether this happens, which happens in every run with faults.
    pub(super) fn surely(&mut self, subject: &str, what: &str) -> bool {
        let name = self.name(subject, what);
        self.happens(&name)
    }

    /// The fault that this request meets. `payer` is the order that a payment's own path stands for.
    pub(super) fn decide(
        &mut self,
        passage: &Passage,
        payer: Option<String>,
        faulty: bool,
    ) -> Option<(String, Fault)> {
        let (subject, what) = (payer.unwrap_or_else(|| subject(passage)), short(&passage.operation));
        let name = self.name(&subject, what);
        let fault = self.fault(&subject, what, &name).filter(|fault| fault.applies_to(&passage.operation))?;
        (faulty && self.happens(&name)).then_some((name, fault))
    }

    fn fault(&self, subject: &str, what: &str, name: &str) -> Option<Fault> {
        let early =
            self.seen.get(&format!("{subject}/{what}")).is_some_and(|seen| *seen <= MAX_RECEIVE_COUNT);
        match (self.curse(subject), what) {
            (Curse::DeadlyClaim, "PutItem") if early => return Some(Fault::CrashBefore),
            (Curse::ChargeLost, "charge") if early => return Some(Fault::LoseRequest),
            _ => {}
        }
        let random = &mut self.chance.of("fault", name);
        if random.f64() >= self.probability {
            return None;
        }
        match random.choice(Fault::ALL)? {
            Fault::LandLate(_) => {
                let late = between(random, Duration::ZERO, Duration::from_secs(30));
                Some(Fault::LandLate(Landing::AfterGivingUp(late)))
            }
            fault => Some(fault),
        }
    }

    fn curse(&self, subject: &str) -> Curse {
        if self.probability == 0.0 || !subject.starts_with("ord-") {
            return Curse::None;
        }
        match self.chance.of("curse", subject).u32(0..100) {
            0..3 => Curse::DeadlyClaim,
            3..8 => Curse::ChargeLost,
            _ => Curse::None,
        }
    }

    fn name(&mut self, subject: &str, what: &str) -> String {
        let kind = format!("{subject}/{what}");
        let seen = self.seen.entry(kind.clone()).or_default();
        *seen += 1;
        format!("{kind}/{seen}")
    }

    fn happens(&mut self, name: &str) -> bool {
        let wanted = self.only.as_ref().is_none_or(|only| only.contains(name));
        if wanted {
            self.happened.push(name.to_owned());
        }
        wanted
    }
}

/// The fault's name in counts.
pub(super) fn kind(fault: Fault) -> &'static str {
    match fault {
        Fault::CrashBefore => "crash before",
        Fault::CrashAfter => "crash after",
        Fault::LoseRequest => "request lost",
        Fault::LoseResponse => "response lost",
        Fault::Hang => "hang",
        Fault::LandLate(_) => "landed late",
        Fault::Throttle => "throttle",
        Fault::TransactionConflict => "transaction conflict",
        Fault::Freeze => "freeze",
    }
}

fn short(operation: &str) -> &str {
    match operation {
        "POST /v1/payment_intents" => "charge",
        "POST /v1/refunds" => "refund",
        "GET /v1/payment_intents/search" => "search",
        "GET /v1/refunds" => "refunds",
        other if other.ends_with("/cancel") => "cancel",
        other if other.starts_with("GET /v1/payment_intents/") => "payment",
        other if other.starts_with("GET /v1/refunds/") => "refunded",
        other => other.rsplit(' ').next().unwrap_or(other),
    }
}

/// What the request is about: an order, a message, or nothing in particular.
fn subject(passage: &Passage) -> String {
    let body: Value = match serde_json::from_slice(&passage.body) {
        Ok(body) => body,
        Err(_) => return of_form(&passage.body),
    };
    let key = |path: &str| body.pointer(path)?.as_str()?.strip_prefix("ORDER#").map(str::to_owned);
    let text = |path: &str| body.pointer(path)?.as_str().map(str::to_owned);
    let order = ["/Key/pk/S", "/Item/pk/S", "/TransactItems/0/Update/Key/pk/S"].into_iter().find_map(key);
    let keyed = || {
        let key = text("/MessageAttributes/idempotency_key/StringValue")?;
        IdempotencyKey::parse(&key).map(|key| key.order_id.to_owned())
    };
    let letter = || text("/MessageAttributes/source_message_id/StringValue");
    let receipt = || text("/ReceiptHandle")?.split('#').next().map(str::to_owned);
    order.or_else(keyed).or_else(letter).or_else(receipt).unwrap_or_else(|| "any".to_owned())
}

fn of_form(body: &[u8]) -> String {
    let mut fields = form_urlencoded::parse(body);
    let order = fields.find(|(name, _)| name == "metadata[order_id]").map(|(_, value)| value.into_owned());
    order.unwrap_or_else(|| "any".to_owned())
}
