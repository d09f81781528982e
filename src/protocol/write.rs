//! One conditional write, and what can come of it.

use crate::order::Sku;
use crate::record::{Fence, Owner, Reason, Record, Refusal, Status, UPDATED_ATTRIBUTE};

/// The condition of a write: all that is said here must hold, or nothing is written.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Guard {
    /// There is no such item.
    pub absent: bool,
    /// The fence is this one.
    pub fence: Option<Fence>,
    /// The owner is this one.
    pub owner: Option<Owner>,
    /// The status is one of these; empty: any.
    pub status: Vec<Status>,
    /// The step is one of these; empty: any.
    pub step: Vec<String>,
    /// Nobody has asked to cancel.
    pub not_cancelled: bool,
}

impl Guard {
    /// Whether the condition holds on `item`: the same as DynamoDB's answer.
    pub fn holds(&self, item: Option<&Record>) -> bool {
        let Some(item) = item else {
            // An attribute that is not there equals nothing.
            let Guard { fence, owner, status, step, .. } = self;
            return fence.is_none() && owner.is_none() && status.is_empty() && step.is_empty();
        };
        !self.absent
            && self.fence.is_none_or(|fence| fence == item.fence)
            && self.owner.as_ref().is_none_or(|owner| *owner == item.owner)
            && (self.status.is_empty() || self.status.contains(&item.status))
            && (self.step.is_empty() || self.step.contains(&item.step))
            && !(self.not_cancelled && item.cancel_requested.is_some())
    }
}

/// A change of a stock item, in the same transaction as the write of the order.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum StockMove {
    /// `available - quantity`, if that many are available.
    Reserve(Sku, u64),
    /// `available + quantity`.
    Release(Sku, u64),
}

impl StockMove {
    /// Of what.
    pub fn sku(&self) -> &Sku {
        match self {
            StockMove::Reserve(sku, _) | StockMove::Release(sku, _) => sku,
        }
    }
}

/// What there is not enough of.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Shortage {
    /// Of what.
    pub sku: Sku,
    /// How many were wanted.
    pub wanted: u64,
    /// How many are available; `None` if there is no such stock item at all.
    pub left: Option<u64>,
}

impl Shortage {
    /// Why an order is rejected that wants what is not there.
    pub fn refusal(&self) -> Refusal {
        let Shortage { sku, wanted, left } = self;
        match left {
            Some(left) => Refusal {
                reason: Reason::OutOfStock,
                detail: format!("sku {sku}: {wanted} wanted, {left} left"),
            },
            None => Refusal { reason: Reason::UnknownSku, detail: format!("sku {sku} is not in stock") },
        }
    }
}

/// One conditional write of an order's item: every attribute in which `after` differs from `before`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Write {
    /// The condition.
    pub guard: Guard,
    /// The item as its writer knows it; `None` for a claim.
    pub before: Option<Record>,
    /// The item as it is to be.
    pub after: Record,
    /// Stock that moves with it.
    pub stock: Vec<StockMove>,
}

impl Write {
    /// Whether stock is reserved with it.
    pub fn reserves(&self) -> bool {
        self.stock.iter().any(|stock| matches!(stock, StockMove::Reserve(..)))
    }

    /// Whether `found` is what this write writes: then it was applied and only its response was lost. Attributes
    /// that the write does not touch may have been changed by others since, and with them the time of change.
    pub fn shows_in(&self, found: &Record) -> bool {
        let Some(before) = &self.before else { return self.after.owner == found.owner };
        let same_owner = found.fence == self.after.fence && found.owner == self.after.owner;
        let found = found.attributes();
        let mut changes = before.changes_to(&self.after);
        changes.remove(UPDATED_ATTRIBUTE);
        same_owner && changes.iter().all(|(name, value)| found.get(name) == value.as_ref())
    }
}

/// What came of a write.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Written {
    /// It was written. The item as it is now, with what others changed of it meanwhile.
    Applied(Box<Record>),
    /// The condition did not hold; nothing was written. The item that is there, if there is one.
    Refused(Option<Box<Record>>),
    /// The order's condition held, but there is not enough of something; nothing was written.
    Short(Shortage),
}
