//! The payment provider, by its own documentation.

mod lists;
mod refunds;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use aws_smithy_runtime_api::client::http::{HttpConnector, SharedHttpConnector};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_types::body::SdkBody;
use order_processor::clock::{Clock, UnixMillis};
use order_processor::local::payment_provider::{PaymentProvider, PaymentStatus, Scripted, Shown};
use serde_json::{Value, json};
use tokio::net::TcpListener;

const CHARGE: &str = "amount=2598&currency=usd&payment_method=pm_card_visa&payment_method_types[]=card\
    &confirm=true&error_on_requires_action=true&metadata[order_id]=ord-1";

/// A provider with a clock that the test turns, and a client of it.
struct World {
    provider: PaymentProvider,
    client: SharedHttpConnector,
    base: String,
    now: Arc<AtomicU64>,
}

#[derive(Debug)]
struct Response {
    status: u16,
    replayed: bool,
    body: Value,
}

impl World {
    fn new() -> World {
        World::with(|provider| provider)
    }

    fn with(adjust: impl FnOnce(PaymentProvider) -> PaymentProvider) -> World {
        let now = Arc::new(AtomicU64::new(1_795_482_000_000));
        let reading = Arc::clone(&now);
        let clock = Clock::from_fn(move || UnixMillis(reading.load(Ordering::Relaxed)));
        let provider = adjust(PaymentProvider::new(clock));
        World { client: provider.connector(), provider, base: "http://provider".to_owned(), now }
    }

    /// The same world behind a port, with a real HTTP client.
    async fn served(self) -> World {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(self.provider.clone().serve(listener, std::future::pending()));
        let client = SharedHttpConnector::new(aws_smithy_http_client::Connector::builder().build_http());
        World { base, client, ..self }
    }

    fn pass(&self, time: Duration) {
        self.now.fetch_add(u64::try_from(time.as_millis()).unwrap(), Ordering::Relaxed);
    }

    async fn charge(&self, key: &str, form: &str) -> Response {
        self.post("/v1/payment_intents", key, form).await.unwrap()
    }

    async fn refund(&self, key: &str, payment_id: &str) -> Response {
        let form = format!("payment_intent={payment_id}&metadata[order_id]=ord-1");
        self.post("/v1/refunds", key, &form).await.unwrap()
    }

    async fn search(&self, order_id: &str) -> Response {
        let query = form_urlencoded::byte_serialize(format!("metadata['order_id']:'{order_id}'").as_bytes())
            .collect::<String>();
        let path = format!("/v1/payment_intents/search?query={query}");
        self.send(HttpRequest::get(format!("{}{path}", self.base)).unwrap()).await.unwrap()
    }

    async fn get(&self, path: &str) -> Response {
        self.send(HttpRequest::get(format!("{}{path}", self.base)).unwrap()).await.unwrap()
    }

    async fn cancel(&self, payment_id: &str) -> Response {
        let mut request = HttpRequest::new(SdkBody::empty());
        request.set_method("POST").unwrap();
        request.set_uri(format!("{}/v1/payment_intents/{payment_id}/cancel", self.base)).unwrap();
        self.send(request).await.unwrap()
    }

    async fn post(&self, path: &str, key: &str, form: &str) -> Option<Response> {
        let mut request = HttpRequest::new(SdkBody::from(form));
        request.set_method("POST").unwrap();
        request.set_uri(format!("{}{path}", self.base)).unwrap();
        request.headers_mut().insert("idempotency-key", key.to_owned());
        request.headers_mut().insert("content-type", "application/x-www-form-urlencoded");
        self.send(request).await
    }

    /// `None` if the connection broke.
    async fn send(&self, mut request: HttpRequest) -> Option<Response> {
        request.headers_mut().insert("authorization", "Bearer sk_test_local");
        let response = self.client.call(request).await.ok()?;
        let (status, replayed) =
            (response.status().as_u16(), response.headers().get("idempotent-replayed") == Some("true"));
        let body =
            aws_smithy_types::byte_stream::ByteStream::new(response.into_body()).collect().await.unwrap();
        Some(Response { status, replayed, body: serde_json::from_slice(&body.to_vec()).unwrap() })
    }
}

fn with(name: &str, value: &str) -> String {
    let pairs = form_urlencoded::parse(CHARGE.as_bytes()).into_owned();
    let changed =
        pairs.map(|(known, old)| if known == name { (known, value.to_owned()) } else { (known, old) });
    form_urlencoded::Serializer::new(String::new()).extend_pairs(changed).finish()
}

fn without(name: &str) -> String {
    let pairs = form_urlencoded::parse(CHARGE.as_bytes()).filter(|(known, _)| known != name);
    form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}

#[tokio::test]
async fn a_repeated_charge_gets_the_first_answer_and_is_charged_once() {
    for world in [World::new(), World::new().served().await] {
        let first = world.charge("ord-1:charge_payment", CHARGE).await;
        assert_eq!((first.status, first.replayed), (200, false));
        assert_eq!(first.body["status"], "succeeded");
        let second = world.charge("ord-1:charge_payment", CHARGE).await;
        assert_eq!((second.status, second.replayed), (200, true));
        assert_eq!(second.body, first.body);
        let ledger = world.provider.ledger();
        assert_eq!(ledger.charges_of("ord-1").len(), 1);
        assert_eq!(ledger.charges_of("ord-1")[0].amount, 2598);
        assert_eq!(ledger.calls_under("ord-1:charge_payment"), 2);
    }
}

#[tokio::test]
async fn a_key_with_other_parameters_is_an_idempotency_error() {
    let world = World::new();
    world.charge("key", CHARGE).await;
    let other = world.charge("key", &with("amount", "1")).await;
    assert_eq!(other.status, 400);
    assert_eq!(other.body["error"]["type"], "idempotency_error");
    let elsewhere = world.refund("key", "pi_000000000000000000000001").await;
    assert_eq!(elsewhere.body["error"]["type"], "idempotency_error");
    assert_eq!(world.provider.ledger().payments.len(), 1);
}

#[tokio::test]
async fn a_key_is_forgotten_after_24_hours_and_then_charges_again() {
    let world = World::new();
    world.charge("key", CHARGE).await;
    world.pass(Duration::from_secs(24 * 3600 - 1));
    assert!(world.charge("key", CHARGE).await.replayed);
    world.pass(Duration::from_secs(2));
    assert!(!world.charge("key", CHARGE).await.replayed);
    assert_eq!(world.provider.ledger().charges_of("ord-1").len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_slow_card_takes_two_seconds_and_its_key_is_in_use_meanwhile() {
    let world = World::new();
    let form = with("payment_method", "pm_card_slow");
    let start = tokio::time::Instant::now();
    let (first, second) = tokio::join!(world.charge("key", &form), async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        world.charge("key", &form).await
    });
    assert_eq!(start.elapsed(), Duration::from_secs(2));
    assert_eq!((first.status, second.status), (200, 409));
    assert_eq!(second.body["error"]["code"], "idempotency_key_in_use");
    assert!(world.charge("key", &form).await.replayed);
    assert_eq!(world.provider.ledger().charges_of("ord-1").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_gives_up_on_a_slow_card_is_charged_all_the_same() {
    let world = World::new();
    let form = with("payment_method", "pm_card_slow");
    let given_up = tokio::time::timeout(Duration::from_secs(1), world.charge("key", &form)).await;
    assert!(given_up.is_err());
    assert_eq!(world.provider.ledger().charges_of("ord-1").len(), 1);
}

#[tokio::test]
async fn declined_cards_answer_402_and_a_repeat_is_declined_again() {
    let world = World::new();
    for (token, decline_code) in [
        ("pm_card_declined", "generic_decline"),
        ("pm_card_chargeDeclined", "generic_decline"),
        ("pm_card_chargeDeclinedInsufficientFunds", "insufficient_funds"),
    ] {
        let form = with("payment_method", token);
        let declined = world.charge(token, &form).await;
        assert_eq!(declined.status, 402);
        assert_eq!(declined.body["error"]["type"], "card_error");
        assert_eq!(declined.body["error"]["code"], "card_declined");
        assert_eq!(declined.body["error"]["decline_code"], decline_code);
        assert!(world.charge(token, &form).await.replayed);
    }
    assert!(world.provider.ledger().charges_of("ord-1").is_empty());
    assert_eq!(world.search("ord-1").await.body["data"][0]["status"], "requires_payment_method");
}

#[tokio::test]
async fn an_unavailable_card_is_503_every_time_and_never_stored() {
    let world = World::new();
    let form = with("payment_method", "pm_card_unavailable");
    for _ in 0..2 {
        let answer = world.charge("key", &form).await;
        assert_eq!((answer.status, answer.replayed), (503, false));
    }
    assert!(world.provider.ledger().payments.is_empty());
}

#[tokio::test]
async fn a_malformed_charge_is_refused_by_parameter_and_not_stored() {
    let world = World::new();
    for (form, parameter) in [
        (without("amount"), "amount"),
        (with("amount", "0"), "amount"),
        (with("amount", "-5"), "amount"),
        (with("amount", "25.98"), "amount"),
        (with("amount", "100000000"), "amount"),
        (without("currency"), "currency"),
        (without("payment_method"), "payment_method"),
        (with("confirm", "yes"), "confirm"),
        (format!("{CHARGE}&surprise=1"), "surprise"),
        (with("metadata[order_id]", &"x".repeat(501)), "metadata[order_id]"),
    ] {
        let refused = world.charge("key", &form).await;
        assert_eq!(refused.status, 400, "{form}");
        assert_eq!(refused.body["error"]["type"], "invalid_request_error", "{form}");
        assert_eq!(refused.body["error"]["param"], parameter, "{form}");
    }
    assert_eq!(world.charge("key", &with("currency", "USD")).await.status, 400);
    assert_eq!(world.charge("key", CHARGE).await.status, 200, "the key is free");
}

#[tokio::test]
async fn a_request_without_a_key_is_401_and_an_unknown_url_404() {
    let world = World::new();
    let mut request = HttpRequest::new(SdkBody::from(CHARGE));
    request.set_method("POST").unwrap();
    request.set_uri("http://provider/v1/payment_intents").unwrap();
    assert_eq!(world.client.call(request).await.unwrap().status().as_u16(), 401);
    let unknown = world.send(HttpRequest::get("http://provider/v1/customers").unwrap()).await.unwrap();
    assert_eq!(unknown.status, 404);
}

#[tokio::test]
async fn a_search_finds_the_payments_of_an_order_when_the_index_has_caught_up() {
    let world = World::with(|provider| provider.with_search_lag(Duration::from_secs(60)));
    world.charge("key", CHARGE).await;
    assert_eq!(world.search("ord-1").await.body["data"], json!([]));
    world.pass(Duration::from_secs(60));
    let found = world.search("ord-1").await.body;
    assert_eq!(found["data"][0]["status"], "succeeded");
    assert_eq!(found["data"][0]["metadata"]["order_id"], "ord-1");
    assert_eq!(world.search("ord-2").await.body["data"], json!([]));
    world.provider.set_status("ord-1", PaymentStatus::Processing);
    assert_eq!(world.search("ord-1").await.body["data"][0]["status"], "processing");
}

#[tokio::test]
async fn a_search_may_show_the_past_and_the_payment_itself_is_as_it_is() {
    let world = World::new();
    let id = world.charge("key", CHARGE).await.body["id"].as_str().unwrap().to_owned();
    world.provider.search_shows(|_, _| Shown::As(PaymentStatus::RequiresPaymentMethod));
    assert_eq!(world.search("ord-1").await.body["data"][0]["status"], "requires_payment_method");
    let itself = world.get(&format!("/v1/payment_intents/{id}")).await;
    assert_eq!((itself.status, &itself.body["status"]), (200, &json!("succeeded")));
    assert_eq!(itself.body["metadata"]["order_id"], "ord-1");
    let missing = world.get("/v1/payment_intents/pi_none").await;
    assert_eq!((missing.status, &missing.body["error"]["code"]), (404, &json!("resource_missing")));
}

#[tokio::test]
async fn a_payment_is_canceled_unless_it_is_decided() {
    use PaymentStatus::{Canceled, Processing, RequiresAction, RequiresPaymentMethod, Succeeded};
    for (status, can) in [
        (RequiresPaymentMethod, true),
        (RequiresAction, true),
        (Succeeded, false),
        (Processing, false),
        (Canceled, false),
    ] {
        let world = World::new();
        let id = world.charge("key", CHARGE).await.body["id"].as_str().unwrap().to_owned();
        world.provider.set_status("ord-1", status);
        let answer = world.cancel(&id).await;
        match can {
            true => assert_eq!((answer.status, &answer.body["status"]), (200, &json!("canceled"))),
            false => {
                assert_eq!((answer.status, &answer.body["error"]["payment_intent"]["id"]), (400, &json!(id)));
                assert_eq!(answer.body["error"]["code"], "payment_intent_unexpected_state");
            }
        }
        let now = if can { Canceled } else { status };
        assert_eq!(world.provider.ledger().payments[0].status, now);
    }
    assert_eq!(World::new().cancel("pi_none").await.status, 404);
}

#[tokio::test]
async fn a_charge_comes_to_what_a_script_says_and_later_to_something_else() {
    let world = World::new();
    let minute = Duration::from_secs(60);
    let script = Scripted::comes_to(PaymentStatus::Processing).and_later(minute, PaymentStatus::Succeeded);
    world.provider.answer_next("key", script);
    let first = world.charge("key", CHARGE).await;
    assert_eq!((first.status, &first.body["status"]), (200, &json!("processing")));
    assert!(world.provider.ledger().charges_of("ord-1").is_empty());
    world.pass(minute);
    let repeat = world.charge("key", CHARGE).await;
    assert_eq!((repeat.replayed, &repeat.body["status"]), (true, &json!("processing")));
    let itself = world.get(&format!("/v1/payment_intents/{}", first.body["id"].as_str().unwrap())).await;
    assert_eq!(itself.body["status"], "succeeded");
    assert_eq!(world.provider.ledger().charges_of("ord-1").len(), 1);
}

#[tokio::test]
async fn a_revoked_key_is_401_and_another_is_as_good_as_before() {
    let world = World::new();
    world.provider.revoke("sk_test_other");
    assert_eq!(world.charge("key", CHARGE).await.status, 200);
    world.provider.revoke("sk_test_local");
    let refused = world.charge("key", CHARGE).await;
    assert_eq!((refused.status, &refused.body["error"]["code"]), (401, &json!("api_key_expired")));
}

#[tokio::test]
async fn a_stored_500_stays_the_answer_and_the_search_tells_what_happened() {
    let world = World::new();
    world.provider.answer_next("key", Scripted::status(500).stored().applied());
    let first = world.charge("key", CHARGE).await;
    assert_eq!((first.status, first.replayed), (500, false));
    let repeat = world.charge("key", CHARGE).await;
    assert_eq!((repeat.status, repeat.replayed), (500, true));
    assert_eq!(world.search("ord-1").await.body["data"][0]["status"], "succeeded");
    assert_eq!(world.provider.ledger().charges_of("ord-1").len(), 1);
}

#[tokio::test]
async fn a_script_answers_once_by_key_or_by_order() {
    let world = World::new();
    world.provider.answer_next("ord-1", Scripted::status(429).header("retry-after", "1"));
    world.provider.answer_next("key", Scripted::status(401));
    assert_eq!(world.charge("key", CHARGE).await.status, 401);
    assert_eq!(world.charge("key", CHARGE).await.status, 429);
    assert_eq!(world.charge("key", CHARGE).await.status, 200);
}

#[tokio::test]
async fn a_cut_connection_leaves_the_client_without_a_response() {
    for world in [World::new(), World::new().served().await] {
        world.provider.answer_next("key", Scripted::cut());
        assert!(world.post("/v1/payment_intents", "key", CHARGE).await.is_none());
        assert!(world.provider.ledger().payments.is_empty());
        world.provider.answer_next("key", Scripted::cut().applied());
        assert!(world.post("/v1/payment_intents", "key", CHARGE).await.is_none());
        assert!(world.charge("key", CHARGE).await.replayed);
        assert_eq!(world.provider.ledger().charges_of("ord-1").len(), 1);
    }
}

#[tokio::test]
async fn the_ledger_is_readable_over_http() {
    let world = World::new().served().await;
    world.charge("key", CHARGE).await;
    let ledger = world.send(HttpRequest::get(format!("{}/_ledger", world.base)).unwrap()).await.unwrap().body;
    assert_eq!(ledger["payments"][0]["order_id"], "ord-1");
    assert_eq!(ledger["payments"][0]["status"], "succeeded");
    assert_eq!(ledger["calls"]["key"], 1);
}
