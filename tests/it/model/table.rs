//! DynamoDB as the model has it: applies a write if its condition holds, and remembers client tokens.

use order_processor::protocol::{Shortage, StockMove, Write, Written};
use order_processor::record::{Record, Status};

use super::Model;
use super::guards::Removed;
use super::world::{Kept, World};

/// The SKUs of the model's order.
pub const SKUS: [&str; 2] = ["cup", "mug"];

impl Model {
    /// Sends `write`, as the removed guard bends it.
    pub fn write(&self, world: &mut World, write: &Write) -> Written {
        let removed = self.removed;
        let write = &*Removed::bent(removed, write);
        let token =
            (write.before.as_ref().map(|before| before.step.clone()).unwrap_or_default(), write.after.fence);
        if !write.stock.is_empty() && world.tokens.contains(&token) {
            return Written::Applied(Box::new(write.after.clone()));
        }
        let found = world.record.clone();
        if !write.guard.holds(found.as_deref()) {
            return Written::Refused(world.found());
        }
        match shortage(world, &write.stock) {
            Some(_) if removed == Some(Removed::EnoughInStock) => {
                world.break_with("more was reserved than there was");
                return Written::Refused(world.found());
            }
            Some(shortage) => return Written::Short(shortage),
            None => {}
        }
        move_stock(world, &write.stock);
        let after = self.merged(write, found.as_ref());
        put(world, after.clone());
        match write.before.is_some() && write.stock.is_empty() {
            true => Written::Applied(Box::new((*after).clone())),
            false => {
                let remembers = !matches!(removed, Some(Removed::ClientToken | Removed::OwnersStepAndToken));
                if remembers && !write.stock.is_empty() {
                    world.tokens.push(token);
                }
                Written::Applied(Box::new(write.after.clone()))
            }
        }
    }

    /// The item after an update: what the write changes, on what others have changed meanwhile.
    fn merged(&self, write: &Write, found: Option<&Kept<Record>>) -> Kept<Record> {
        match (&write.before, found) {
            (Some(before), Some(found)) if *before != **found => {
                self.merged.recall(&(before, &write.after, found), || changed(found, before, &write.after))
            }
            _ => Kept::new(write.after.clone()),
        }
    }
}

/// What is `found`, with the changes from `before` to `after`.
fn changed(found: &Record, before: &Record, after: &Record) -> Kept<Record> {
    let mut item = found.attributes();
    for (name, value) in before.changes_to(after) {
        match value {
            Some(value) => item.insert(name, value),
            None => item.remove(&name),
        };
    }
    Kept::new(serde_json::from_value(item.into()).expect("a record with attributes of records is a record"))
}

/// What is missing of the first that there is not enough of.
pub fn shortage(world: &World, moves: &[StockMove]) -> Option<Shortage> {
    moves.iter().find_map(|change| {
        let StockMove::Reserve(sku, wanted) = change else { return None };
        let left = world.stock[index(change)];
        (left < *wanted).then(|| Shortage { sku: sku.clone(), wanted: *wanted, left: Some(left) })
    })
}

pub fn move_stock(world: &mut World, moves: &[StockMove]) {
    for change in moves {
        let available = &mut world.stock[index(change)];
        match change {
            StockMove::Reserve(_, quantity) => *available -= quantity,
            StockMove::Release(_, quantity) => *available += quantity,
        }
    }
}

fn index(change: &StockMove) -> usize {
    SKUS.iter().position(|sku| *sku == change.sku().to_string()).expect("a SKU of the model's order")
}

fn put(world: &mut World, after: Kept<Record>) {
    if let Some(before) = &world.record {
        let (decreased, rewritten) =
            (after.fence < before.fence, before.status.is_finished() && *before != after);
        if decreased {
            world.break_with("a fence decreased");
        }
        if rewritten {
            world.break_with("a finished record changed");
        }
    }
    if matches!(after.status, Status::Completed | Status::Rejected) && world.finished.is_none() {
        world.finished = Some(after.clone());
    }
    world.record = Some(after);
}
