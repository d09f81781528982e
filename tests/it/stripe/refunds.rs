//! `POST /v1/refunds`.

use super::*;

/// A shop in which the order was charged, and the payment's ID.
async fn charged() -> (Shop, String) {
    let shop = Shop::open().await;
    let payment_id = paid(&shop.charge().await);
    (shop, payment_id)
}

#[track_caller]
pub fn refunded(ending: &Ending) -> Outcome {
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

/// The refund that the provider makes first.
const MADE: &str = "re_000000000000000000000001";
const GET_REFUND: &str = "GET /v1/refunds/re_000000000000000000000001";
const POST_REFUND: &str = "POST /v1/refunds";
const LIST: &str = "GET /v1/refunds";

/// A shop in which the order was charged on this card, and the payment's ID.
async fn charged_on(card: &str) -> (Shop, String) {
    let shop = Shop::open().await;
    let payment_id = paid(&shop.charge_order(&order_with(card), FRESH, LONG).await);
    shop.asked.lock().unwrap().clear();
    (shop, payment_id)
}

fn refund(status: &str) -> Value {
    json!({ "id": MADE, "object": "refund", "status": status, "metadata": { "order_id": "ord-1" } })
}

#[tokio::test]
async fn a_refund_is_done_once_it_is_settled_and_its_outcome_says_so() {
    let (shop, payment_id) = charged().await;
    let outcome = refunded(&shop.refund(&payment_id).await);
    assert_eq!((outcome.text("refund_id"), outcome.text("status")), (Some(MADE), Some("succeeded")));
}

#[tokio::test]
async fn a_pending_refund_is_waited_for_whatever_its_key_repeats() {
    let (shop, payment_id) = charged_on("pm_card_pendingRefund").await;
    shop.script(REFUND_KEY, Scripted::status(200).body(refund("pending")).applied());
    for _ in 0..2 {
        assert_eq!(unavailable(&shop.refund(&payment_id).await), "the refund is pending");
    }
    assert_eq!(shop.asked(), [POST_REFUND, GET_REFUND, POST_REFUND, GET_REFUND]);
    shop.script(MADE, Scripted::status(200).body(refund("requires_action")));
    assert_eq!(unavailable(&shop.refund(&payment_id).await), "the refund is requires_action");
    shop.script(MADE, Scripted::status(200).body(refund("succeeded")));
    let outcome = refunded(&shop.refund(&payment_id).await);
    assert_eq!((outcome.text("refund_id"), outcome.text("status")), (Some(MADE), Some("succeeded")));
    assert_eq!(shop.refunds(), 1);
}

#[tokio::test]
async fn a_refund_that_failed_or_was_called_off_is_for_a_person() {
    for status in ["failed", "canceled"] {
        let (shop, payment_id) = charged().await;
        shop.script(REFUND_KEY, Scripted::status(200).body(refund(status)));
        assert_eq!(unknown(&shop.refund(&payment_id).await), format!("the refund {MADE} is {status}"));
        shop.script(REFUND_KEY, Scripted::status(200).body(refund("pending")));
        shop.script(MADE, Scripted::status(200).body(refund(status)));
        assert_eq!(unknown(&shop.refund(&payment_id).await), format!("the refund {MADE} is {status}"));
    }
}

#[tokio::test]
async fn a_pending_refund_that_cannot_be_asked_for_is_asked_for_again() {
    for script in [
        Scripted::status(500),
        Scripted::status(404),
        Scripted::cut(),
        Scripted::hang(),
        Scripted::status(200).body(json!({ "object": "list", "data": [] })),
        Scripted::status(200).body(refund("of a status that nobody knows")),
    ] {
        let (shop, payment_id) = charged_on("pm_card_pendingRefund").await;
        shop.script(MADE, script);
        unavailable(&shop.refund_within(&payment_id, SHORT).await);
        assert_eq!(shop.asked(), [POST_REFUND, GET_REFUND]);
    }
}

/// The ending of a refund under another key, after the first has become `first`.
async fn refunded_again(first: &str, list: Option<Scripted>) -> (Shop, Ending) {
    let (shop, payment_id) = charged_on("pm_card_visa").await;
    refunded(&shop.refund(&payment_id).await);
    shop.asked.lock().unwrap().clear();
    let body = json!({ "object": "list", "has_more": false, "data": [refund(first)] });
    shop.script("ord-1:by_hand", Scripted::status(400).body(error("invalid_request_error", REFUNDED)));
    shop.world.payments.answer_next(LISTED, list.unwrap_or(Scripted::status(200).body(body)));
    let (order, charge) = (order(), Outcome::of("payment_id", &payment_id));
    let outcomes = Outcomes::default().with("charge_payment", charge);
    let key = "ord-1:by_hand".to_owned();
    let call = call(&order, &outcomes, &key);
    let ending = ChargePayment(shop.stripe.clone()).undo(&call).await;
    (shop, ending)
}

const REFUNDED: &str = "charge_already_refunded";
/// The list of refunds, as a script names it.
const LISTED: &str = "refunds";

#[tokio::test]
async fn a_charge_that_was_refunded_before_is_refunded_once_that_is_settled() {
    let (shop, ending) = refunded_again("succeeded", None).await;
    let outcome = refunded(&ending);
    assert_eq!((outcome.text("refund_id"), outcome.text("status")), (Some(MADE), Some("succeeded")));
    assert_eq!(shop.asked(), [POST_REFUND, LIST]);
    assert_eq!(shop.request(1).uri().query(), Some(format!("payment_intent={PAYMENT}").as_str()));
    for on_its_way in ["pending", "requires_action"] {
        let (_, ending) = refunded_again(on_its_way, None).await;
        assert_eq!(unavailable(&ending), format!("the refund is {on_its_way}"));
    }
}

#[tokio::test]
async fn a_charge_that_was_refunded_before_is_refunded_even_if_its_refunds_cannot_be_read() {
    for list in [
        Scripted::status(403),
        Scripted::status(404),
        Scripted::status(200).body(json!({ "object": "list", "data": [] })),
    ] {
        let (_, ending) = refunded_again("succeeded", Some(list)).await;
        assert_eq!(ending, Ending::Done(Outcome::nothing()));
    }
    for list in [Scripted::status(500), Scripted::status(429), Scripted::cut()] {
        unavailable(&refunded_again("succeeded", Some(list)).await.1);
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
async fn a_refund_whose_key_will_answer_an_error_for_ever_is_read_from_the_list_or_for_a_person() {
    let (shop, payment_id) = charged().await;
    shop.script(REFUND_KEY, Scripted::status(500).stored());
    unavailable(&shop.refund(&payment_id).await);
    unknown(&shop.refund(&payment_id).await);
    assert_eq!(shop.refunds(), 0);

    let (shop, payment_id) = charged().await;
    shop.script(REFUND_KEY, Scripted::status(500).stored().applied());
    unavailable(&shop.refund(&payment_id).await);
    let listed = |status| Scripted::status(200).body(json!({ "object": "list", "data": [refund(status)] }));
    shop.script(LISTED, listed("pending"));
    unavailable(&shop.refund(&payment_id).await);
    shop.script(LISTED, listed("failed"));
    unknown(&shop.refund(&payment_id).await);
    assert_eq!(refunded(&shop.refund(&payment_id).await).text("refund_id"), Some(MADE));
    assert_eq!(shop.refunds(), 1);
}

/// A part that a person gave back at the provider's desk is not the order's refund.
#[tokio::test]
async fn a_refund_that_is_not_the_orders_own_does_not_stand_for_it() {
    let (shop, payment_id) = charged().await;
    shop.script(REFUND_KEY, Scripted::status(500).header("idempotent-replayed", "true"));
    let part =
        json!({ "id": "re_9", "object": "refund", "status": "succeeded", "amount": 1, "metadata": {} });
    shop.script(LISTED, Scripted::status(200).body(json!({ "object": "list", "data": [part] })));
    unknown(&shop.refund(&payment_id).await);
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
