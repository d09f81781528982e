//! Stripe's public API (<https://docs.stripe.com/api>), over the HTTP client that the AWS SDK brings.

mod client;
mod keys;
mod look_up;
mod refunds;
mod reply;

use std::time::Duration;

use aws_smithy_runtime_api::client::http::SharedHttpConnector;
use futures_util::future::BoxFuture;
use tokio::time::Instant;

pub use keys::StripeKey;

use super::{Charge, PAYMENT_ID, Payment, Refund};
use crate::order::{Money, OrderId};
use crate::record::{Outcome, Reason, Refusal};
use crate::services::Ending;
use client::{Ask, Client};
use keys::Keys;
use look_up::SEARCH_LAG;
use reply::Reply;

/// Stripe forgets a key after 24 hours at the earliest ("Idempotent requests"). Ten minutes less, for the time
/// that a request is under way and for clocks that differ.
const KEY_MEMORY: Duration = Duration::from_secs(24 * 3600 - 600);

/// "The amount value supports up to eight digits" (<https://docs.stripe.com/api/payment_intents/create>).
const MAX_AMOUNT: u64 = 99_999_999;
/// Where a unit is worth little, Stripe takes more, twelve digits at most: how many exactly, it says itself
/// (<https://docs.stripe.com/currencies#minimum-and-maximum-charge-amounts>).
const MAX_AMOUNT_OF_SMALL_UNITS: u64 = 999_999_999_999;
const SMALL_UNITS: [&str; 6] = ["COP", "HUF", "IDR", "INR", "JPY", "LBP"];

/// A client of Stripe.
#[derive(Debug, Clone)]
pub struct Stripe(Client);

impl Stripe {
    /// Speaks to the API at `base` (`https://api.stripe.com`) with `key`.
    pub fn new(http: SharedHttpConnector, base: &str, key: StripeKey) -> Self {
        Stripe(Client::new(http, base, Keys::new(key, None)))
    }

    /// The same with a key that `read` reads again when Stripe accepts it no more: at most once a minute, and the request
    /// is then repeated with the other key.
    pub fn reading_again(
        http: SharedHttpConnector,
        base: &str,
        key: StripeKey,
        read: impl Fn() -> BoxFuture<'static, Result<StripeKey, String>> + Send + Sync + 'static,
    ) -> Self {
        Stripe(Client::new(http, base, Keys::new(key, Some(Box::new(read)))))
    }
}

impl Payment for Stripe {
    const NAME: &'static str = "stripe";

    const KEY_MEMORY: Option<Duration> = Some(KEY_MEMORY);

    async fn charge(&self, charge: Charge<'_>, timeout: Duration) -> Ending {
        if is_too_large(charge.amount) {
            return declined(TOO_LARGE);
        }
        let until = Instant::now() + timeout;
        let form = vec![
            ("amount", charge.amount.minor.to_string()),
            ("currency", charge.amount.currency.as_str().to_ascii_lowercase()),
            ("payment_method", charge.method.as_str().to_owned()),
            ("payment_method_types[]", "card".to_owned()),
            ("confirm", "true".to_owned()),
            ("error_on_requires_action", "true".to_owned()),
            ("metadata[order_id]", charge.order_id.to_string()),
        ];
        match self.0.ask(Ask::post("/v1/payment_intents", charge.key, form), until).await {
            Reply::Object(payment) if payment.status == "succeeded" => match payment.replayed {
                true => self.unless_given_back(payment.id, &charge, until).await,
                false => paid(payment.id),
            },
            Reply::Declined(code) => declined(&code),
            // The key will give this answer for ever; what became of the payment, only the payment tells.
            Reply::Object(reply::Object { id, .. }) | Reply::Undecided { payment_id: Some(id) } => {
                self.of_payment(&id, &charge, until).await
            }
            Reply::Undecided { payment_id: None } => self.look_up(&charge, SEARCH_LAG, until).await,
            other => later(other, charge.order_id),
        }
    }

    async fn refund(&self, refund: Refund<'_>, timeout: Duration) -> Ending {
        let until = Instant::now() + timeout;
        let form = vec![
            ("payment_intent", refund.payment_id.to_owned()),
            ("metadata[order_id]", refund.order_id.to_string()),
        ];
        match self.0.ask(Ask::post("/v1/refunds", refund.key, form), until).await {
            Reply::Object(made) => self.of_refund(made, refund.order_id, until).await,
            Reply::Error { code, .. } if code == "charge_already_refunded" => {
                self.refunded(&refund, until).await
            }
            Reply::Undecided { .. } => self.refund_of_order(&refund, until).await,
            other => later(other, refund.order_id),
        }
    }

    /// The last charge may have been made just before its key was taken for forgotten.
    async fn find(&self, charge: Charge<'_>, timeout: Duration) -> Ending {
        if is_too_large(charge.amount) {
            return declined(TOO_LARGE);
        }
        self.look_up(&charge, KEY_MEMORY + SEARCH_LAG, Instant::now() + timeout).await
    }
}

/// Stripe's own word for it.
const TOO_LARGE: &str = "amount_too_large";

/// Whether Stripe has never charged so much.
fn is_too_large(amount: &Money) -> bool {
    let most = match SMALL_UNITS.contains(&amount.currency.as_str()) {
        true => MAX_AMOUNT_OF_SMALL_UNITS,
        false => MAX_AMOUNT,
    };
    amount.minor > most
}

fn paid(payment_id: String) -> Ending {
    Ending::Done(Outcome::of(PAYMENT_ID, payment_id))
}

fn declined(detail: &str) -> Ending {
    Ending::Refused(Refusal { reason: Reason::PaymentDeclined, detail: detail.to_owned() })
}

/// Whatever is no answer: asked again later, under the same key. An error of ours is never the customer's.
fn later(reply: Reply, order_id: &OrderId) -> Ending {
    Ending::Unavailable(match reply {
        Reply::Later(why) => why,
        Reply::Error { status, code } => {
            tracing::error!(%order_id, status, code, "the payment provider does not accept our request");
            format!("the payment provider does not accept our request: {status} {code}")
        }
        _ => "the payment provider gave an answer that does not fit the question".to_owned(),
    })
}
