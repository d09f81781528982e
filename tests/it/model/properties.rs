//! What must hold in every state.

use order_processor::record::{Record, Status};
use stateright::Property;

use super::Model;
use super::codes::Duty;
use super::table::SKUS;
use super::world::World;

/// A law and what the state looks like that breaks it.
type Law = (&'static str, fn(&Model, &World) -> bool);

const LAWS: [Law; 14] = [
    ("charged at most once", |_, world| world.callees.charges <= 1),
    ("a completed order is charged once, shipped once, and not refunded", |_, world| {
        let callees = &world.callees;
        !is(world, Status::Completed)
            || (callees.charges == 1 && callees.refunds == 0 && callees.shipments.len() == 1)
    }),
    ("of a rejected order nothing is left: refunded if charged, and not shipped", |_, world| {
        let callees = &world.callees;
        !is(world, Status::Rejected) || (callees.charges == callees.refunds && callees.shipments.is_empty())
    }),
    ("refunded at most once, and only after a charge", |_, world| {
        world.callees.refunds <= world.callees.charges.min(1)
    }),
    ("shipped under one key with one content", |_, world| world.callees.shipments.len() <= 1),
    ("the customer is told one thing", |_, world| world.callees.told.len() <= 1),
    ("the customer is told how the order really ends", |_, world| {
        let completed = is(world, Status::Completed);
        let wrong = if completed { "\"status\":\"rejected\"" } else { "\"status\":\"completed\"" };
        !world.is_finished() || !world.callees.told.iter().any(|(_, body)| body.contains(wrong))
    }),
    ("after the shipment the order only goes forward", |_, world| {
        let turned = world.record.as_ref().is_some_and(|record| {
            [Some(record.status), record.parked_from].contains(&Some(Status::Compensating))
        });
        !turned || world.callees.shipments.is_empty()
    }),
    ("stock before = available + reserved", stock_is_conserved),
    ("all get one answer, and it is the stored one", |_, world| {
        world.answers.iter().all(|answer| {
            world.finished.as_ref().is_some_and(|record| record.result.as_ref() == Some(&**answer))
        })
    }),
    ("a charged order is not forgotten", |_, world| {
        world.record.is_some() || world.is_finished() || world.callees.charges == 0
    }),
    ("a cancellation that was written down is kept", |_, world| {
        let cancelled = world.finished.as_ref().is_some_and(|record| record.cancel_requested.is_some());
        !(cancelled && is(world, Status::Completed))
    }),
    ("every other step is done once, and undone once if the order is rejected", others_are_undone),
    ("nothing happens that must not", |_, world| world.broken.is_none()),
];

/// All of them, for the checker.
pub fn all() -> Vec<Property<Model>> {
    LAWS.iter().map(|(name, law)| Property::always(name, *law)).collect()
}

/// How the order ended.
fn is(world: &World, status: Status) -> bool {
    world.finished.as_ref().is_some_and(|record| record.status == status)
}

/// But for the steps that a migration led orders away from.
fn others_are_undone(model: &Model, world: &World) -> bool {
    let callees = &world.callees;
    let codes = &model.scene.codes;
    let once = callees.others.values().all(|count| *count == 1);
    once && codes.newest().steps().all(|(_, step)| {
        let counts = codes.duty(step.name) == Duty::Other && !codes.is_left(step.name);
        let Some(undo) = step.undo.filter(|_| counts) else { return true };
        match world.finished.as_ref().map(|record| record.status) {
            Some(Status::Rejected) => callees.other(step.name) == callees.other(undo),
            Some(_) => callees.other(undo) == 0,
            None => callees.other(undo) <= callees.other(step.name),
        }
    })
}

fn stock_is_conserved(model: &Model, world: &World) -> bool {
    let record = world.record.as_ref().or(world.finished.as_ref());
    let reserved = |sku: &str| record.map_or(0, |record| reserved_of(record, sku));
    (0..model.scene.stock.len())
        .all(|index| world.supplied[index] == world.stock[index] + reserved(SKUS[index]))
}

fn reserved_of(record: &Record, sku: &str) -> u64 {
    if record.status == Status::Rejected {
        return 0;
    }
    let outcome = record.outcomes.get("reserve_inventory");
    outcome.map_or(0, |outcome| {
        outcome
            .quantities()
            .into_iter()
            .filter(|(reserved, _)| reserved.to_string() == sku)
            .map(|(_, n)| n)
            .sum()
    })
}
