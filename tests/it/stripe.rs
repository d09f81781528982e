//! The shipped client of Stripe over real HTTP, row by row of what the contract says about Stripe's answers.

mod charges;
mod given_back;
mod look_ups;
mod payments;
mod providers;
mod refunds;
mod rotation;
mod transport;

use std::collections::BTreeMap;
use std::future::pending;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Bytes;
use order_processor::function::connector;
use order_processor::local::payment_provider::{PaymentStatus, Scripted, Shown};
use order_processor::local::server;
use order_processor::order::Order;
use order_processor::record::{Outcome, Outcomes, Reason};
use order_processor::services::payment::{ChargePayment, Payment, Sandbox, Stripe, StripeKey};
use order_processor::services::{Call, Ending, Service};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::world::{World, order_json};

const CHARGE_KEY: &str = "ord-1:charge_payment";
const REFUND_KEY: &str = "ord-1:refund_payment";
const LONG: Duration = Duration::from_secs(10);
/// For answers that never come.
const SHORT: Duration = Duration::from_millis(200);
const FRESH: Duration = Duration::ZERO;

/// The payment that the provider makes first.
const PAYMENT: &str = "pi_000000000000000000000001";
const POST: &str = "POST /v1/payment_intents";
const SEARCH: &str = "GET /v1/payment_intents/search";
const GET: &str = "GET /v1/payment_intents/pi_000000000000000000000001";
/// What a charge of an earlier request has come to.
const REFUNDS: &str = "GET /v1/refunds";
const CANCEL: &str = "POST /v1/payment_intents/pi_000000000000000000000001/cancel";

/// What an unpaid payment can be that may be given up, and Stripe's name for it.
const OPEN: [(PaymentStatus, &str); 4] = [
    (PaymentStatus::RequiresPaymentMethod, "requires_payment_method"),
    (PaymentStatus::RequiresConfirmation, "requires_confirmation"),
    (PaymentStatus::RequiresAction, "requires_action"),
    (PaymentStatus::RequiresCapture, "requires_capture"),
];
/// Stripe's names for whatever is not paid.
const UNPAID: [&str; 6] = [
    "requires_payment_method",
    "requires_confirmation",
    "requires_action",
    "requires_capture",
    "processing",
    "canceled",
];
const STATUSES: [PaymentStatus; 7] = [
    PaymentStatus::Succeeded,
    PaymentStatus::RequiresPaymentMethod,
    PaymentStatus::RequiresConfirmation,
    PaymentStatus::RequiresAction,
    PaymentStatus::RequiresCapture,
    PaymentStatus::Processing,
    PaymentStatus::Canceled,
];

fn memory() -> Duration {
    Stripe::KEY_MEMORY.unwrap()
}

/// A provider behind a port, everything it was asked, and the client.
struct Shop {
    world: World,
    stripe: Stripe,
    asked: Arc<Mutex<Vec<http::Request<Bytes>>>>,
}

/// A call under a key that is new, with all the time it may want.
fn call<'a>(order: &'a Order, outcomes: &'a Outcomes, key: &'a str) -> Call<'a> {
    Call { order, outcomes, refusal: None, key, key_age: FRESH, timeout: LONG, trace: None }
}

impl Shop {
    async fn open() -> Self {
        let world = World::new().await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}/", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (provider, book) = (world.payments.clone(), Arc::clone(&asked));
        tokio::spawn(server::serve(listener, pending(), move |request| {
            book.lock().unwrap().push(request.clone());
            let provider = provider.clone();
            async move { provider.answer(request).await }
        }));
        let stripe = Stripe::new(connector(), &base, StripeKey("sk_test_1".to_owned()));
        Shop { world, stripe, asked }
    }

    /// The charge of `order`, whose key was first used this long ago at most.
    async fn charge_order(&self, order: &Order, key_age: Duration, timeout: Duration) -> Ending {
        let outcomes = Outcomes::default();
        let key = format!("{}:charge_payment", order.id);
        ChargePayment(self.stripe.clone())
            .call(&Call { key_age, timeout, ..call(order, &outcomes, &key) })
            .await
    }

    async fn charge(&self) -> Ending {
        self.charge_order(&order(), FRESH, LONG).await
    }

    async fn refund(&self, payment_id: &str) -> Ending {
        self.refund_within(payment_id, LONG).await
    }

    async fn refund_within(&self, payment_id: &str, timeout: Duration) -> Ending {
        let charged = Outcome::of("payment_id", payment_id);
        let outcomes = Outcomes::default().with("charge_payment", charged);
        let (order, key) = (&order(), REFUND_KEY.to_owned());
        let call = Call { timeout, ..call(order, &outcomes, &key) };
        ChargePayment(self.stripe.clone()).undo(&call).await
    }

    fn script(&self, subject: &str, script: Scripted) {
        self.world.payments.answer_next(subject, script);
    }

    /// How often the customer was charged, refunds aside.
    fn charges(&self) -> usize {
        self.world.payments.ledger().charges_of("ord-1").len()
    }

    fn refunds(&self) -> usize {
        self.world.payments.ledger().refunds_of("ord-1").len()
    }

    /// Method and path of everything that was asked.
    fn asked(&self) -> Vec<String> {
        let asked = self.asked.lock().unwrap();
        asked.iter().map(|request| format!("{} {}", request.method(), request.uri().path())).collect()
    }

    fn request(&self, number: usize) -> http::Request<Bytes> {
        self.asked.lock().unwrap()[number].clone()
    }
}

/// A shop whose key for the charge will answer 500 for ever, after the payment itself was made.
async fn stuck_after_payment() -> Shop {
    let shop = Shop::open().await;
    shop.script(CHARGE_KEY, Scripted::status(500).applied().stored());
    unavailable(&shop.charge().await);
    shop
}

fn order() -> Order {
    order_with("pm_card_visa")
}

fn order_with(payment_method: &str) -> Order {
    let mut order = order_json("ord-1");
    order["payment_method"] = json!(payment_method);
    Order::parse(&order.to_string()).unwrap()
}

fn form(body: &[u8]) -> BTreeMap<String, String> {
    form_urlencoded::parse(body).into_owned().collect()
}

/// The ID of the payment that was made.
#[track_caller]
fn paid(ending: &Ending) -> String {
    let Ending::Done(outcome) = ending else { panic!("{ending:?}") };
    outcome.text("payment_id").expect("a payment ID").to_owned()
}

#[track_caller]
fn declined(ending: &Ending) -> String {
    let Ending::Refused(refusal) = ending else { panic!("{ending:?}") };
    assert_eq!(refusal.reason, Reason::PaymentDeclined);
    refusal.detail.clone()
}

#[track_caller]
fn unavailable(ending: &Ending) -> String {
    let Ending::Unavailable(why) = ending else { panic!("{ending:?}") };
    assert!(!why.contains("sk_test_1") && !why.contains("pm_card"), "{why}");
    why.clone()
}

#[track_caller]
fn unknown(ending: &Ending) -> String {
    let Ending::Unknown(why) = ending else { panic!("{ending:?}") };
    why.clone()
}

fn error(kind: &str, code: &str) -> Value {
    json!({ "error": { "type": kind, "code": code, "message": "in Stripe's words" } })
}
