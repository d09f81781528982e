//! `POST /v1/payment_intents`.

use super::*;

#[tokio::test]
async fn a_charge_is_asked_for_exactly_as_the_contract_says() {
    let shop = Shop::open().await;
    paid(&shop.charge().await);
    let request = shop.request(0);
    assert_eq!(
        (request.method().as_str(), request.uri().to_string().as_str()),
        ("POST", "/v1/payment_intents")
    );
    let expected = [
        ("amount", "2598"),
        ("currency", "usd"),
        ("payment_method", "pm_card_visa"),
        ("payment_method_types[]", "card"),
        ("confirm", "true"),
        ("error_on_requires_action", "true"),
        ("metadata[order_id]", "ord-1"),
    ];
    assert_eq!(form(request.body()), expected.map(|(name, value)| (name.into(), value.into())).into());
    for (name, value) in [
        ("idempotency-key", CHARGE_KEY),
        ("authorization", "Bearer sk_test_1"),
        ("stripe-version", "2025-03-31.basil"),
        ("content-type", "application/x-www-form-urlencoded"),
        ("content-length", &request.body().len().to_string()),
    ] {
        let values: Vec<_> = request.headers().get_all(name).iter().collect();
        assert_eq!(values, [value], "{name}");
    }
}

#[tokio::test]
async fn every_repeat_of_a_charge_is_the_same_request_and_has_the_same_answer() {
    let shop = Shop::open().await;
    let first = shop.charge().await;
    let almost_forgotten = Stripe::KEY_MEMORY.unwrap() - Duration::from_millis(1);
    assert_eq!(shop.charge_order(&order(), almost_forgotten, SHORT * 10).await, first);
    assert_eq!(shop.request(0).body(), shop.request(1).body());
    assert_eq!(shop.request(0).headers(), shop.request(1).headers());
    assert_eq!(shop.charges(), 1);
}

#[tokio::test]
async fn a_payment_that_succeeded_is_done_with_its_id() {
    let shop = Shop::open().await;
    let id = paid(&shop.charge().await);
    assert_eq!(shop.world.payments.ledger().charges_of("ord-1")[0].payment_id, id);
}

#[tokio::test]
async fn an_order_that_costs_nothing_makes_no_call() {
    let shop = Shop::open().await;
    let mut free = order_json("ord-1");
    free["items"][0]["unit_price"] = json!(0);
    let free = Order::parse(&free.to_string()).unwrap();
    for key_age in [FRESH, Duration::from_secs(90_000)] {
        let ending = shop.charge_order(&free, key_age, LONG).await;
        assert_eq!(ending, Ending::Done(Outcome::nothing()));
    }
    assert_eq!(shop.asked(), [""; 0]);
}

#[tokio::test]
async fn a_card_error_is_a_decline_that_says_why_and_stays_one() {
    for (card, detail) in [
        ("pm_card_declined", "card_declined: generic_decline"),
        ("pm_card_chargeDeclinedInsufficientFunds", "card_declined: insufficient_funds"),
        ("pm_card_authenticationRequired", "authentication_required: authentication_required"),
    ] {
        let shop = Shop::open().await;
        let order = order_with(card);
        for _ in 0..2 {
            assert_eq!(declined(&shop.charge_order(&order, FRESH, LONG).await), detail);
        }
        assert_eq!(shop.charges(), 0);
    }
}

#[tokio::test]
async fn a_card_error_without_a_decline_code_or_any_code_is_a_decline_too() {
    let shop = Shop::open().await;
    for (body, detail) in [
        (error("card_error", "expired_card"), "expired_card"),
        (json!({ "error": { "type": "card_error" } }), "declined"),
    ] {
        shop.script(CHARGE_KEY, Scripted::status(402).body(body));
        assert_eq!(declined(&shop.charge().await), detail);
    }
}

#[tokio::test]
async fn what_will_pass_is_asked_again_under_the_same_key_and_charged_once() {
    for script in [
        Scripted::status(409),
        Scripted::status(429),
        Scripted::status(500),
        Scripted::status(502),
        Scripted::status(503),
        Scripted::status(500).applied(),
        Scripted::cut(),
        Scripted::cut().applied(),
    ] {
        let shop = Shop::open().await;
        shop.script(CHARGE_KEY, script.clone());
        unavailable(&shop.charge().await);
        paid(&shop.charge().await);
        assert_eq!(shop.charges(), 1, "{script:?}");
        // A payment that is there already is looked at; the client itself repeats nothing.
        let asked = shop.asked();
        assert!(asked == [POST, POST] || asked == [POST, POST, REFUNDS], "{script:?}: {asked:?}");
    }
}

#[tokio::test]
async fn an_answer_that_does_not_come_in_time_is_asked_for_again_and_charged_once() {
    for script in [Scripted::hang(), Scripted::hang().applied()] {
        let shop = Shop::open().await;
        shop.script(CHARGE_KEY, script);
        let why = unavailable(&shop.charge_order(&order(), FRESH, SHORT).await);
        assert_eq!(why, "the payment provider gave no answer in time");
        paid(&shop.charge().await);
        assert_eq!(shop.charges(), 1);
    }
}

#[tokio::test]
async fn while_the_first_request_still_runs_a_repeat_is_asked_again_later() {
    let shop = Shop::open().await;
    let slow = order_with("pm_card_slow");
    unavailable(&shop.charge_order(&slow, FRESH, SHORT).await);
    let why = unavailable(&shop.charge_order(&slow, FRESH, SHORT).await);
    assert_eq!(why, "the payment provider answered 409");
    assert_eq!(shop.charges(), 1);
}

#[tokio::test]
async fn a_provider_that_is_down_or_not_there_is_unavailable() {
    let shop = Shop::open().await;
    unavailable(&shop.charge_order(&order_with("pm_card_unavailable"), FRESH, LONG).await);
    let free_port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let nobody = Stripe::new(connector(), &format!("http://{free_port}"), StripeKey("sk_test_1".into()));
    let shop = Shop { stripe: nobody, ..shop };
    let why = unavailable(&shop.charge().await);
    assert!(why.starts_with("no connection"), "{why}");
}

#[tokio::test]
async fn an_error_of_ours_is_retried_never_refused_and_the_log_names_its_code() {
    for (status, kind, code) in [
        (400, "invalid_request_error", "parameter_unknown"),
        (401, "invalid_request_error", "api_key_expired"),
        (402, "invalid_request_error", "account_invalid"),
        (403, "invalid_request_error", "secret_key_required"),
        (404, "invalid_request_error", "resource_missing"),
        (400, "idempotency_error", "idempotency_key_reused"),
        (400, "card_error", "card_declined"),
    ] {
        let shop = Shop::open().await;
        shop.script(CHARGE_KEY, Scripted::status(status).body(error(kind, code)));
        let why = unavailable(&shop.charge().await);
        assert!(why.ends_with(&format!("{status} {code}")), "{why}");
        let log = shop.world.log_text();
        assert!(log.contains(code) && log.contains(&format!("\"status\":{status}")), "{log}");
        assert!(!log.contains("sk_test_1") && !log.contains("pm_card"), "{log}");
        paid(&shop.charge().await);
        assert_eq!(shop.charges(), 1);
    }
}

fn order_of(currency: &str, unit_price: u64) -> Order {
    let mut order = order_json("ord-1");
    order["currency"] = json!(currency);
    order["items"] = json!([{ "sku": "mug", "quantity": 1, "unit_price": unit_price }]);
    Order::parse(&order.to_string()).unwrap()
}

#[tokio::test]
async fn an_amount_of_more_than_eight_digits_is_declined_as_what_it_is_and_not_asked_for() {
    let shop = Shop::open().await;
    for key_age in [FRESH, memory(), memory() * 20] {
        let ending = shop.charge_order(&order_of("USD", 100_000_000), key_age, LONG).await;
        assert_eq!(declined(&ending), "amount_too_large");
    }
    assert_eq!(shop.asked(), [""; 0]);
    paid(&shop.charge_order(&order_of("USD", 99_999_999), FRESH, LONG).await);
}

/// A million rupiah, which is some 60 dollars, is nine digits.
#[tokio::test]
async fn an_amount_of_small_units_may_be_longer_and_the_provider_says_how_long() {
    let shop = Shop::open().await;
    let paid_for = json!({ "id": "pi_1", "status": "succeeded" });
    shop.script(CHARGE_KEY, Scripted::status(200).body(paid_for));
    let order = order_of("IDR", 100_000_000);
    assert_eq!(paid(&shop.charge_order(&order, FRESH, LONG).await), "pi_1");
    let mut order = order_json("ord-1");
    order["currency"] = json!("IDR");
    order["items"] = json!([{ "sku": "mug", "quantity": 1000, "unit_price": 1_000_000_000 }]);
    let order = Order::parse(&order.to_string()).unwrap();
    assert_eq!(declined(&shop.charge_order(&order, FRESH, LONG).await), "amount_too_large");
    assert_eq!(shop.asked(), [POST]);
}

/// What the least amount is, depends on the currency, and changes: only Stripe knows.
#[tokio::test]
async fn an_amount_that_the_provider_does_not_take_is_declined_as_what_it_is() {
    for code in ["amount_too_small", "amount_too_large"] {
        let shop = Shop::open().await;
        shop.script(CHARGE_KEY, Scripted::status(400).body(error("invalid_request_error", code)));
        assert_eq!(declined(&shop.charge().await), code);
        assert_eq!(shop.asked(), [POST], "{code}");
        assert_eq!(shop.world.log_text(), "", "{code}: no error of ours");
    }
}

#[tokio::test]
async fn an_amount_is_declined_by_a_400_alone() {
    for (status, kind) in [(401, "invalid_request_error"), (409, "invalid_request_error"), (400, "api_error")]
    {
        let shop = Shop::open().await;
        shop.script(CHARGE_KEY, Scripted::status(status).body(error(kind, "amount_too_small")));
        unavailable(&shop.charge().await);
    }
}

#[tokio::test]
async fn an_error_without_a_code_is_named_by_its_type() {
    let shop = Shop::open().await;
    let body = json!({ "error": { "type": "idempotency_error", "message": "other parameters" } });
    shop.script(CHARGE_KEY, Scripted::status(400).body(body));
    assert!(unavailable(&shop.charge().await).ends_with("400 idempotency_error"));
    shop.script(CHARGE_KEY, Scripted::status(400).body(json!("Bad Request")));
    assert!(unavailable(&shop.charge().await).ends_with("400 unknown"));
    assert!(shop.world.log_text().contains("idempotency_error"));
}

#[tokio::test]
async fn other_content_under_the_same_key_is_an_error_of_ours_and_charges_nothing_more() {
    let shop = Shop::open().await;
    paid(&shop.charge().await);
    let mut other = order_json("ord-1");
    other["items"][0]["quantity"] = json!(3);
    let other = Order::parse(&other.to_string()).unwrap();
    let why = unavailable(&shop.charge_order(&other, FRESH, LONG).await);
    assert!(why.ends_with("400 idempotency_error"), "{why}");
    assert_eq!(shop.charges(), 1);
}
