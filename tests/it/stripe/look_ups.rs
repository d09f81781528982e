//! `GET /v1/payment_intents/search`: when the key is forgotten, or will answer an error for ever.

use super::*;

fn memory() -> Duration {
    Stripe::KEY_MEMORY.unwrap()
}

const POST: &str = "POST /v1/payment_intents";
const SEARCH: &str = "GET /v1/payment_intents/search";

/// A shop whose key for the charge will answer 500 for ever.
async fn stuck() -> Shop {
    let shop = Shop::open().await;
    shop.script(CHARGE_KEY, Scripted::status(500).stored());
    unavailable(&shop.charge().await);
    shop
}

/// The same, after the payment itself was made.
async fn stuck_after_payment() -> Shop {
    let shop = Shop::open().await;
    shop.script(CHARGE_KEY, Scripted::status(500).applied().stored());
    unavailable(&shop.charge().await);
    shop
}

#[tokio::test]
async fn a_key_is_trusted_up_to_the_limit_and_looked_up_from_it_on() {
    let day = Duration::from_secs(24 * 3600);
    assert!(memory() < day, "a request may be under way for a while");
    for (key_age, asked) in [
        (FRESH, POST),
        (memory() - Duration::from_millis(1), POST),
        (memory(), SEARCH),
        (memory() + Duration::from_millis(1), SEARCH),
        (day * 20, SEARCH),
    ] {
        let shop = Shop::open().await;
        shop.charge_order(&order(), key_age, LONG).await;
        assert_eq!(shop.asked(), [asked], "{key_age:?}");
        assert_eq!(shop.charges(), usize::from(asked == POST));
    }
}

#[tokio::test]
async fn a_look_up_asks_for_the_payments_of_the_order() {
    let shop = Shop::open().await;
    unknown(&shop.charge_order(&order(), memory(), LONG).await);
    let request = shop.request(0);
    let query = form(request.uri().query().unwrap().as_bytes());
    assert_eq!(query, [("query".into(), "metadata['order_id']:'ord-1'".into())].into());
    assert_eq!(request.headers()["authorization"], "Bearer sk_test_1");
    assert_eq!(request.headers()["stripe-version"], "2025-03-31.basil");
    assert_eq!((request.headers().get("idempotency-key"), request.body().len()), (None, 0));
}

#[tokio::test]
async fn every_character_of_an_order_id_is_looked_up_as_it_is() {
    let shop = Shop::open().await;
    let mut order = order_json("Az09._:-");
    order["payment_method"] = json!("pm_card_visa");
    let order = Order::parse(&order.to_string()).unwrap();
    unknown(&shop.charge_order(&order, memory(), LONG).await);
    let query = form(shop.request(0).uri().query().unwrap().as_bytes());
    assert_eq!(query["query"], "metadata['order_id']:'Az09._:-'");
}

#[tokio::test]
async fn what_a_look_up_finds_decides_however_it_came_to_it() {
    type Expected = fn(&Ending) -> String;
    let rows: [(PaymentStatus, Expected); 5] = [
        (PaymentStatus::Succeeded, paid),
        (PaymentStatus::Canceled, declined),
        (PaymentStatus::RequiresPaymentMethod, declined),
        (PaymentStatus::Processing, unavailable),
        (PaymentStatus::RequiresConfirmation, unavailable),
    ];
    for (status, expected) in rows {
        let forgotten = Shop::open().await;
        forgotten.charge().await;
        forgotten.world.payments.set_status("ord-1", status);
        expected(&forgotten.charge_order(&order(), memory(), LONG).await);
        assert_eq!(forgotten.asked(), [POST, SEARCH], "{status:?}");

        let stuck = stuck_after_payment().await;
        stuck.world.payments.set_status("ord-1", status);
        expected(&stuck.charge().await);
        assert_eq!(stuck.asked(), [POST, POST, SEARCH], "{status:?}");
    }
}

#[tokio::test]
async fn the_payment_that_a_look_up_finds_is_the_one_that_was_made() {
    let shop = stuck_after_payment().await;
    let id = paid(&shop.charge().await);
    assert_eq!(shop.world.payments.ledger().charges_of("ord-1")[0].payment_id, id);
    assert_eq!(shop.charges(), 1);
}

#[tokio::test]
async fn a_look_up_that_finds_nothing_is_no_answer() {
    let shop = stuck().await;
    assert_eq!(unknown(&shop.charge().await), "the payment provider finds no payment");
    unknown(&shop.charge_order(&order(), memory(), LONG).await);
    assert_eq!(shop.charges(), 0);
}

#[tokio::test]
async fn a_payment_that_the_search_does_not_show_yet_is_no_decline() {
    let mut shop = stuck_after_payment().await;
    shop.world.payments = shop.world.payments.clone().with_search_lag(Duration::from_secs(60));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(shop.world.payments.clone().serve(listener, pending()));
    shop.stripe = Stripe::new(connector(), &base, StripeKey("sk_test_1".into()));
    unknown(&shop.charge().await);
}

#[tokio::test]
async fn a_payment_that_is_known_to_be_under_way_is_asked_for_again_even_if_the_search_lags() {
    let shop = Shop::open().await;
    let under_way = json!({ "id": "pi_1", "object": "payment_intent", "status": "processing" });
    shop.script(CHARGE_KEY, Scripted::status(200).body(under_way));
    unavailable(&shop.charge().await);
    assert_eq!(shop.asked(), [POST, SEARCH]);
}

#[tokio::test]
async fn the_payment_of_another_order_is_never_taken_for_this_one() {
    let shop = Shop::open().await;
    paid(&shop.charge_order(&Order::parse(&order_json("ORD-1").to_string()).unwrap(), FRESH, LONG).await);
    let found = |change: &dyn Fn(&mut Value)| {
        let mut payment = json!({
            "id": "pi_1", "status": "succeeded", "amount": 2598, "currency": "usd", "metadata": { "order_id": "ord-1" },
        });
        change(&mut payment);
        shop.script(
            "ord-1",
            Scripted::status(200).body(json!({ "object": "search_result", "data": [payment] })),
        );
        shop.charge_order_forgotten()
    };
    assert_eq!(paid(&found(&|_| {}).await), "pi_1");
    unknown(&found(&|payment| payment["metadata"]["order_id"] = json!("ORD-1")).await);
    unknown(&found(&|payment| payment["amount"] = json!(2599)).await);
    unknown(&found(&|payment| payment["currency"] = json!("eur")).await);
    unknown(&shop.charge_order_forgotten().await);
}

#[tokio::test]
async fn among_several_payments_the_one_that_succeeded_counts_and_any_open_one_is_asked_for_again() {
    let payment = |id: &str, status: &str| json!({ "id": id, "status": status });
    let (canceled, open) = (payment("pi_1", "canceled"), payment("pi_2", "requires_action"));
    let succeeded = payment("pi_3", "succeeded");
    let shop = Shop::open().await;
    let finds = |payments: &[&Value]| {
        shop.script(
            "ord-1",
            Scripted::status(200).body(json!({ "object": "search_result", "data": payments })),
        );
        shop.charge_order_forgotten()
    };
    assert_eq!(paid(&finds(&[&canceled, &open, &succeeded]).await), "pi_3");
    unavailable(&finds(&[&canceled, &open]).await);
    declined(&finds(&[&canceled, &canceled]).await);
    unknown(&finds(&[]).await);
}

impl Shop {
    async fn charge_order_forgotten(&self) -> Ending {
        self.charge_order(&order(), memory(), LONG).await
    }
}

#[tokio::test]
async fn a_look_up_without_an_answer_is_made_again_later() {
    for script in [
        Scripted::status(429),
        Scripted::status(500),
        Scripted::status(500).header("idempotent-replayed", "true"),
        Scripted::status(401),
        Scripted::status(402).body(error("card_error", "card_declined")),
        Scripted::cut(),
        Scripted::hang(),
        Scripted::status(200).body(json!({ "id": "pi_1", "status": "succeeded" })),
    ] {
        let shop = Shop::open().await;
        paid(&shop.charge().await);
        shop.script("ord-1", script.clone());
        unavailable(&shop.charge_order(&order(), memory(), SHORT).await);
        paid(&shop.charge_order(&order(), memory(), LONG).await);
        assert_eq!(shop.charges(), 1, "{script:?}");
    }
}

#[tokio::test]
async fn a_payment_intent_of_another_status_is_looked_up_because_its_key_will_not_change_its_mind() {
    let shop = stuck_after_payment().await;
    for status in ["processing", "requires_action", "requires_capture", "requires_confirmation"] {
        shop.script(CHARGE_KEY, Scripted::status(200).body(json!({ "id": "pi_1", "status": status })));
        paid(&shop.charge().await);
        assert_eq!(shop.asked().last().unwrap(), SEARCH, "{status}");
    }
}

#[tokio::test]
async fn only_a_5xx_that_says_it_is_a_replay_is_looked_up() {
    for (script, asked) in [
        (Scripted::status(500), vec![POST]),
        (Scripted::status(500).header("idempotent-replayed", "false"), vec![POST]),
        (Scripted::status(500).header("idempotent-replayed", "true"), vec![POST, SEARCH]),
        (Scripted::status(503).header("idempotent-replayed", "true"), vec![POST, SEARCH]),
        (Scripted::status(429).header("idempotent-replayed", "true"), vec![POST]),
    ] {
        let shop = Shop::open().await;
        shop.script(CHARGE_KEY, script.clone());
        shop.charge().await;
        assert_eq!(shop.asked(), asked, "{script:?}");
    }
}
