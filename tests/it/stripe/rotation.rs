//! A key that the provider accepts no more: the secret is read again, at most once a minute, and the call is repeated.

use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::future::join_all;
use order_processor::config::KeySource;
use order_processor::function;
use order_processor::local::connector::connector as in_process;
use order_processor::local::payment_provider::PaymentProvider;

use super::*;

const ARN: &str = "arn:aws:secretsmanager:us-east-1:000000000000:secret:stripe";
const MINUTE: Duration = Duration::from_secs(60);

/// A secret: its string, how long reading it takes, and how often it was read.
struct Secret {
    text: Mutex<String>,
    takes: Mutex<Duration>,
    reads: AtomicUsize,
}

/// The function's client of a provider, with a secret in between.
struct Rotation {
    world: World,
    secret: Arc<Secret>,
    stripe: Stripe,
}

impl Rotation {
    /// The secret and the client's key are `sk_1`.
    async fn new() -> Self {
        Rotation::with(KeySource::Secret(ARN.to_owned())).await
    }

    async fn with(key: KeySource) -> Self {
        let world = World::new().await;
        let secret = Arc::new(Secret {
            text: Mutex::new("sk_1".to_owned()),
            takes: Mutex::default(),
            reads: AtomicUsize::new(0),
        });
        let (provider, read) = (world.payments.clone(), Arc::clone(&secret));
        let outside = in_process(move |request| answer(provider.clone(), Arc::clone(&read), request));
        let sdk = world.aws().sdk_config(outside.clone());
        let stripe = function::stripe(&sdk, outside, "http://payments.invalid", key).await.unwrap();
        secret.reads.store(0, Ordering::Relaxed);
        Rotation { world, secret, stripe }
    }

    fn revoke(&self, key: &str) {
        self.world.payments.revoke(key);
    }

    fn write(&self, text: &str) {
        *self.secret.text.lock().unwrap() = text.to_owned();
    }

    fn takes(&self, time: Duration) {
        *self.secret.takes.lock().unwrap() = time;
    }

    fn reads(&self) -> usize {
        self.secret.reads.load(Ordering::Relaxed)
    }

    async fn charge(&self, id: &str) -> Ending {
        self.charge_within(id, LONG).await
    }

    async fn charge_within(&self, id: &str, timeout: Duration) -> Ending {
        let order = Order::parse(&order_json(id).to_string()).unwrap();
        let (outcomes, key) = (Outcomes::default(), format!("{id}:charge_payment"));
        let call = Call { timeout, ..call(&order, &outcomes, &key) };
        ChargePayment(self.stripe.clone()).call(&call).await
    }
}

async fn answer(
    provider: PaymentProvider,
    secret: Arc<Secret>,
    request: http::Request<Bytes>,
) -> server::Answer {
    let target = request.headers().get("x-amz-target").and_then(|target| target.to_str().ok());
    if target != Some("secretsmanager.GetSecretValue") {
        return provider.answer(request).await;
    }
    secret.reads.fetch_add(1, Ordering::Relaxed);
    let (text, takes) = (secret.text.lock().unwrap().clone(), *secret.takes.lock().unwrap());
    tokio::time::sleep(takes).await;
    Ok(http::Response::new(json!({ "ARN": ARN, "Name": "stripe", "SecretString": text }).to_string().into()))
}

#[tokio::test(start_paused = true)]
async fn after_a_rotation_no_order_has_to_wait() {
    let rotation = Rotation::new().await;
    paid(&rotation.charge("ord-1").await);
    assert_eq!(rotation.reads(), 0, "a key that is accepted is not read again");
    rotation.revoke("sk_1");
    rotation.write("sk_2");
    let id = paid(&rotation.charge("ord-2").await);
    paid(&rotation.charge("ord-3").await);
    assert_eq!(rotation.reads(), 1);
    let ledger = rotation.world.payments.ledger();
    assert_eq!((ledger.payments.len(), ledger.calls_under("ord-2:charge_payment")), (3, 2));

    rotation.revoke("sk_2");
    rotation.write("sk_3");
    tokio::time::advance(MINUTE).await;
    let charged = Outcomes::default().with("charge_payment", Outcome::of("payment_id", id));
    let (order, key) = (Order::parse(&order_json("ord-2").to_string()).unwrap(), "refund".to_owned());
    let undone = ChargePayment(rotation.stripe.clone()).undo(&call(&order, &charged, &key)).await;
    assert!(matches!(undone, Ending::Done(_)), "{undone:?}");
    let log = rotation.world.log_text();
    assert!(["sk_1", "sk_2", "sk_3"].iter().all(|key| !log.contains(key)), "{log}");
}

#[tokio::test(start_paused = true)]
async fn while_there_is_no_other_key_the_secret_is_read_once_a_minute() {
    let rotation = Rotation::new().await;
    rotation.revoke("sk_1");
    let why = unavailable(&rotation.charge("ord-1").await);
    assert!(why.ends_with("401 api_key_expired"), "{why}");
    rotation.write("sk_2");
    tokio::time::advance(MINUTE - Duration::from_secs(1)).await;
    unavailable(&rotation.charge("ord-1").await);
    assert_eq!(rotation.reads(), 1);
    tokio::time::advance(Duration::from_secs(1)).await;
    paid(&rotation.charge("ord-1").await);
    assert_eq!(rotation.reads(), 2);
}

#[tokio::test(start_paused = true)]
async fn orders_side_by_side_read_the_secret_once_and_all_are_charged() {
    let rotation = Rotation::new().await;
    rotation.revoke("sk_1");
    rotation.write("sk_2");
    rotation.takes(Duration::from_millis(100));
    let ids: Vec<String> = (1..=8).map(|number| format!("ord-{number}")).collect();
    let endings = join_all(ids.iter().map(|id| rotation.charge(id))).await;
    endings.iter().for_each(|ending| drop(paid(ending)));
    assert_eq!(rotation.reads(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_secret_that_cannot_be_read_in_time_is_read_again_later() {
    let rotation = Rotation::new().await;
    rotation.revoke("sk_1");
    rotation.write("sk_2");
    rotation.takes(Duration::from_secs(3));
    let short = Duration::from_secs(1);
    let why = unavailable(&rotation.charge_within("ord-1", short).await);
    assert_eq!(why, "the payment provider gave no answer in time");
    tokio::time::advance(MINUTE).await;
    rotation.takes(Duration::ZERO);
    paid(&rotation.charge("ord-1").await);
}

#[tokio::test(start_paused = true)]
async fn a_secret_that_is_no_key_changes_nothing_and_is_not_shown() {
    let rotation = Rotation::new().await;
    rotation.revoke("sk_1");
    rotation.write(r#"{"key":"sk_2"}"#);
    unavailable(&rotation.charge("ord-1").await);
    assert!(!rotation.world.log_text().contains("sk_2"));
    assert!(rotation.world.log_text().contains("the API key and nothing else"));
    rotation.write("sk_2");
    tokio::time::advance(MINUTE).await;
    paid(&rotation.charge("ord-1").await);
}

#[tokio::test(start_paused = true)]
async fn a_key_from_the_environment_is_not_read_again() {
    let rotation = Rotation::with(KeySource::Plain(StripeKey("sk_1".to_owned()))).await;
    rotation.revoke("sk_1");
    rotation.write("sk_2");
    unavailable(&rotation.charge("ord-1").await);
    assert_eq!((rotation.reads(), rotation.world.payments.ledger().calls.values().sum()), (0, 1));
}
