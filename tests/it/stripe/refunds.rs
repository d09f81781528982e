//! `POST /v1/refunds`.

use super::*;

/// A shop in which the order was charged, and the payment's ID.
async fn charged() -> (Shop, String) {
    let shop = Shop::open().await;
    let payment_id = paid(&shop.charge().await);
    (shop, payment_id)
}

#[track_caller]
fn refunded(ending: &Ending) -> Outcome {
    let Ending::Done(outcome) = ending else { panic!("{ending:?}") };
    outcome.clone()
}

#[tokio::test]
async fn a_refund_is_asked_for_exactly_as_the_contract_says() {
    let (shop, payment_id) = charged().await;
    let outcome = refunded(&shop.refund(&payment_id).await);
    let ledger = shop.world.payments.ledger();
    assert_eq!(outcome.text("refund_id"), Some(ledger.refunds_of("ord-1")[0].refund_id.as_str()));
    let request = shop.request(1);
    assert_eq!((request.method().as_str(), request.uri().path()), ("POST", "/v1/refunds"));
    let expected = [("payment_intent", payment_id.as_str()), ("metadata[order_id]", "ord-1")];
    assert_eq!(form(request.body()), expected.map(|(name, value)| (name.into(), value.into())).into());
    assert_eq!(request.headers()["idempotency-key"], REFUND_KEY);
    assert_eq!(request.headers()["authorization"], "Bearer sk_test_1");
    assert_eq!(request.headers()["stripe-version"], "2025-03-31.basil");
}

#[tokio::test]
async fn a_repeated_refund_is_the_same_request_and_one_refund() {
    let (shop, payment_id) = charged().await;
    let first = shop.refund(&payment_id).await;
    assert_eq!(shop.refund(&payment_id).await, first);
    assert_eq!(shop.request(1).body(), shop.request(2).body());
    assert_eq!(shop.refunds(), 1);
}

#[tokio::test]
async fn a_charge_that_was_refunded_under_another_key_is_refunded() {
    let (shop, payment_id) = charged().await;
    refunded(&shop.refund(&payment_id).await);
    let (order, charge) = (order(), Outcome::of("payment_id", &payment_id));
    let outcomes = Outcomes::default().with("charge_payment", charge);
    let key = "ord-1:by_hand".to_owned();
    let call = call(&order, &outcomes, &key);
    let again = ChargePayment(shop.stripe.clone()).undo(&call).await;
    assert_eq!(again, Ending::Done(Outcome::nothing()));
    assert_eq!(shop.refunds(), 1);
}

#[tokio::test]
async fn a_refund_that_is_on_its_way_is_done_and_one_that_failed_is_for_a_person() {
    let (shop, payment_id) = charged().await;
    for status in ["succeeded", "pending", "requires_action"] {
        shop.script(REFUND_KEY, Scripted::status(200).body(json!({ "id": "re_1", "status": status })));
        assert_eq!(refunded(&shop.refund(&payment_id).await).text("refund_id"), Some("re_1"), "{status}");
    }
    for status in ["failed", "canceled"] {
        shop.script(REFUND_KEY, Scripted::status(200).body(json!({ "id": "re_1", "status": status })));
        assert_eq!(unknown(&shop.refund(&payment_id).await), format!("the refund is {status}"));
    }
}

#[tokio::test]
async fn what_will_pass_is_asked_again_under_the_same_key_and_refunded_once() {
    for script in [
        Scripted::status(409),
        Scripted::status(429),
        Scripted::status(500),
        Scripted::status(503).applied(),
        Scripted::cut(),
        Scripted::cut().applied(),
        Scripted::hang(),
        Scripted::hang().applied(),
    ] {
        let (shop, payment_id) = charged().await;
        shop.script(REFUND_KEY, script.clone());
        unavailable(&shop.refund_within(&payment_id, SHORT).await);
        refunded(&shop.refund(&payment_id).await);
        assert_eq!(shop.refunds(), 1, "{script:?}");
    }
}

#[tokio::test]
async fn an_error_of_ours_is_never_a_refund_and_the_log_names_its_code() {
    let (shop, payment_id) = charged().await;
    for (status, kind, code) in [
        (400, "invalid_request_error", "parameter_unknown"),
        (401, "invalid_request_error", "api_key_expired"),
        (402, "card_error", "card_declined"),
        (404, "invalid_request_error", "resource_missing"),
    ] {
        shop.script(REFUND_KEY, Scripted::status(status).body(error(kind, code)));
        unavailable(&shop.refund(&payment_id).await);
        assert!(kind == "card_error" || shop.world.log_text().contains(code), "{code}");
    }
    assert_eq!(shop.refunds(), 0);
    unavailable(&shop.refund("pi_of_somebody_else").await);
}

#[tokio::test]
async fn a_refund_whose_key_will_answer_an_error_for_ever_is_for_a_person() {
    let (shop, payment_id) = charged().await;
    shop.script(REFUND_KEY, Scripted::status(500).stored());
    unavailable(&shop.refund(&payment_id).await);
    unknown(&shop.refund(&payment_id).await);
    assert_eq!(shop.refunds(), 0);
}

#[tokio::test]
async fn without_a_payment_id_nothing_is_asked_and_a_person_decides() {
    let shop = Shop::open().await;
    let (order, outcomes) = (order(), Outcomes::default());
    let key = REFUND_KEY.to_owned();
    let call = call(&order, &outcomes, &key);
    unknown(&ChargePayment(shop.stripe.clone()).undo(&call).await);
    assert_eq!(shop.asked(), [""; 0]);
}
