//! `notify_customer`: one message per finished order, at least once. The last step of both directions.

use futures_util::future::{BoxFuture, FutureExt};
use serde::Serialize;

use super::{Call, Ending, Service};
use crate::order::{CustomerId, Order, OrderId};
use crate::queue::{Outgoing, Queue, keyed};
use crate::record::{Outcome, Outcomes, Reason, Refusal};
use crate::workflow::{Effect, Place, StepDef};

/// The step.
pub const STEP: StepDef =
    StepDef { name: "notify_customer", undo: None, effect: Effect::Call, place: Place::Tell };

/// Sends notifications to their queue.
pub struct NotifyCustomer(pub Queue);

/// The body: the order's own facts and stored outcomes, so that every repeat is the same bytes.
#[derive(Serialize)]
#[serde(tag = "status", rename_all = "snake_case")]
enum Notification<'a> {
    Completed {
        order_id: &'a OrderId,
        customer_id: &'a CustomerId,
        total: u64,
        currency: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        payment_id: Option<&'a str>,
        shipment_id: Option<&'a str>,
    },
    Rejected {
        order_id: &'a OrderId,
        customer_id: &'a CustomerId,
        reason: Reason,
        detail: &'a str,
    },
}

/// What the customer is told: of the refusal, if there is one, and else that the order is completed.
pub fn notification(order: &Order, key: &str, outcomes: &Outcomes, refusal: Option<&Refusal>) -> Outgoing {
    let (order_id, customer_id) = (&order.id, &order.customer_id);
    let notification = match refusal {
        Some(refusal) => {
            Notification::Rejected { order_id, customer_id, reason: refusal.reason, detail: &refusal.detail }
        }
        None => Notification::Completed {
            order_id,
            customer_id,
            total: order.total().minor,
            currency: order.currency.as_str(),
            payment_id: outcomes.text("payment_id"),
            shipment_id: outcomes.text("shipment_id"),
        },
    };
    keyed(&order.id, key, &notification)
}

impl Service for NotifyCustomer {
    fn call<'a>(&'a self, call: &'a Call<'a>) -> BoxFuture<'a, Ending> {
        async move {
            let message = notification(call.order, call.key, call.outcomes, call.refusal);
            match self.0.send(&message, call.trace, call.timeout).await {
                Ok(()) => Ending::Done(Outcome::nothing()),
                Err(error) => Ending::Unavailable(error.to_string()),
            }
        }
        .boxed()
    }
}
