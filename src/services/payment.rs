//! `charge_payment` and its undo `refund_payment`, through a payment provider.

mod sandbox;
mod stripe;

use std::future::Future;
use std::time::Duration;

use futures_util::future::{BoxFuture, FutureExt};

pub use crate::record::PROVIDER;
pub use sandbox::Sandbox;
pub use stripe::{Stripe, StripeKey};

use super::{Call, Ending, Service};
use crate::order::{Money, OrderId, PaymentMethod};
use crate::record::Outcome;
use crate::workflow::{Effect, Place, StepDef};

/// The step.
pub const STEP: StepDef = StepDef {
    name: "charge_payment",
    undo: Some("refund_payment"),
    effect: Effect::Call,
    place: Place::Revocable,
};

/// The fact by which a charge is known: in outcomes, results and messages.
pub const PAYMENT_ID: &str = "payment_id";

/// A charge. Every repeat under the same key has the same parameters.
#[derive(Debug, Clone, Copy)]
pub struct Charge<'a> {
    /// The idempotency key.
    pub key: &'a str,
    /// For which order.
    pub order_id: &'a OrderId,
    /// How much; never 0.
    pub amount: &'a Money,
    /// From whom.
    pub method: &'a PaymentMethod,
    /// How long ago the provider may have seen the key for the first time.
    pub key_age: Duration,
}

/// A refund of the whole charge. Every repeat under the same key has the same parameters.
#[derive(Debug, Clone, Copy)]
pub struct Refund<'a> {
    /// The idempotency key.
    pub key: &'a str,
    /// For which order.
    pub order_id: &'a OrderId,
    /// Of which charge.
    pub payment_id: &'a str,
    /// Whether this provider is known to have made it. The outcomes of earlier versions do not say who has, nor do those
    /// that a person stated.
    pub is_own: bool,
}

/// A payment provider: it must recognise a repeated key, and answer it as it did the first time.
pub trait Payment: Clone + Send + Sync + 'static {
    /// By this name a charge is known to be this provider's. Never changed: it is on the records.
    const NAME: &'static str;

    /// How long the provider surely remembers a key; `None`: for ever.
    const KEY_MEMORY: Option<Duration>;

    /// Charges once per key. `Done` carries [`PAYMENT_ID`].
    fn charge(&self, charge: Charge<'_>, timeout: Duration) -> impl Future<Output = Ending> + Send;

    /// Refunds once per key, and is done once the customer has the money back, by whatever refund. `Done` carries the
    /// refund's ID and status, as far as they are known.
    fn refund(&self, refund: Refund<'_>, timeout: Duration) -> impl Future<Output = Ending> + Send;

    /// How a charge ended whose key may be forgotten. `Unknown` if that cannot be said.
    fn find(&self, charge: Charge<'_>, timeout: Duration) -> impl Future<Output = Ending> + Send;
}

/// Whether a provider may have forgotten a key that it was called with so long ago.
pub fn is_forgotten(memory: Option<Duration>, key_age: Duration) -> bool {
    memory.is_some_and(|memory| key_age >= memory)
}

/// Charges orders through a [`Payment`].
pub struct ChargePayment<P>(pub P);

impl<P: Payment> Service for ChargePayment<P> {
    fn callee(&self) -> Option<&'static str> {
        Some(P::NAME)
    }

    fn call<'a>(&'a self, call: &'a Call<'a>) -> BoxFuture<'a, Ending> {
        async move {
            let amount = call.order.total();
            if amount.minor == 0 {
                return Ending::Done(Outcome::nothing());
            }
            let charge = Charge {
                key: call.key,
                order_id: &call.order.id,
                amount: &amount,
                method: &call.order.payment_method,
                key_age: call.key_age,
            };
            let ending = match is_forgotten(P::KEY_MEMORY, call.key_age) {
                true => self.0.find(charge, call.timeout).await,
                false => self.0.charge(charge, call.timeout).await,
            };
            match ending {
                Ending::Done(outcome) => Ending::Done(outcome.and(PROVIDER, P::NAME)),
                other => other,
            }
        }
        .boxed()
    }

    fn undo<'a>(&'a self, call: &'a Call<'a>) -> BoxFuture<'a, Ending> {
        async move {
            let charged = call.outcomes.get(STEP.name);
            let fact = |name: &str| charged.and_then(|outcome| outcome.text(name));
            let Some(payment_id) = fact(PAYMENT_ID) else {
                return Ending::Unknown("the charge has no payment ID to refund".to_owned());
            };
            match fact(PROVIDER) {
                Some(other) if other != P::NAME => {
                    Ending::Unknown(format!("{other} charged {payment_id}: {} cannot refund it", P::NAME))
                }
                provider => {
                    let (key, order_id, is_own) = (call.key, &call.order.id, provider.is_some());
                    self.0.refund(Refund { key, order_id, payment_id, is_own }, call.timeout).await
                }
            }
        }
        .boxed()
    }
}
