//! `dispatch_shipment`: one message to the warehouse's queue per shipment, at least once. The point of no return.

use futures_util::future::{BoxFuture, FutureExt};
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::{Call, Ending, Service};
use crate::order::{CustomerId, Item, Order, OrderId, hex};
use crate::queue::{Outgoing, Queue, keyed};
use crate::record::Outcome;
use crate::workflow::{Effect, Place, StepDef};

/// The step. A queue takes every shipment; a warehouse that can refuse one answers
/// [`Ending::Refused`] with `shipment_refused` in its own adapter.
pub const STEP: StepDef =
    StepDef { name: "dispatch_shipment", undo: None, effect: Effect::Call, place: Place::PointOfNoReturn };

/// Sends shipments to the warehouse's queue.
pub struct DispatchShipment(pub Queue);

/// The body: the order's own facts, so that every repeat is the same bytes.
#[derive(Serialize)]
struct Shipment<'a> {
    order_id: &'a OrderId,
    shipment_id: &'a str,
    customer_id: &'a CustomerId,
    items: &'a [Item],
}

/// What the warehouse is asked for.
pub fn shipment(order: &Order, key: &str) -> Outgoing {
    let shipment = Shipment {
        order_id: &order.id,
        shipment_id: &shipment_id(key),
        customer_id: &order.customer_id,
        items: &order.items,
    };
    keyed(&order.id, key, &shipment)
}

impl Service for DispatchShipment {
    fn call<'a>(&'a self, call: &'a Call<'a>) -> BoxFuture<'a, Ending> {
        async move {
            match self.0.send(&shipment(call.order, call.key), call.trace, call.timeout).await {
                Ok(()) => Ending::Done(Outcome::of("shipment_id", shipment_id(call.key))),
                Err(error) => Ending::Unavailable(error.to_string()),
            }
        }
        .boxed()
    }
}

/// A function of the key, so that every repeat means the same shipment.
pub fn shipment_id(key: &str) -> String {
    format!("shp_{}", hex(&Sha256::digest(key)[..12]))
}
