//! `GET /v1/payment_intents/:id` and `POST /v1/payment_intents/:id/cancel`: what became of a payment, and how one that
//! has not succeeded is given up.

use super::*;

/// The payment that the provider makes first, as an answer names it.
fn named(status: &str) -> Value {
    json!({ "id": PAYMENT, "object": "payment_intent", "status": status })
}

/// A shop whose key for the charge answers with a payment that had this status when it was made, and has `status` now.
async fn answered(then: &str, status: PaymentStatus) -> Shop {
    let shop = Shop::open().await;
    shop.script(CHARGE_KEY, Scripted::status(200).body(named(then)).applied());
    shop.world.payments.search_shows(|_, _| Shown::Nothing);
    shop.script(PAYMENT, Scripted::status(500));
    unavailable(&shop.charge().await);
    shop.world.payments.set_status("ord-1", status);
    shop.asked.lock().unwrap().clear();
    shop.script(CHARGE_KEY, Scripted::status(200).body(named(then)));
    shop
}

#[tokio::test]
async fn a_payment_that_the_answer_names_is_asked_for_and_not_searched() {
    for then in UNPAID {
        let shop = answered(then, PaymentStatus::Succeeded).await;
        assert_eq!(paid(&shop.charge().await), PAYMENT, "{then}");
        assert_eq!(shop.asked(), [POST, GET, REFUNDS], "{then}");
        assert_eq!(shop.charges(), 1);
    }
}

#[tokio::test]
async fn a_payment_that_is_processing_is_asked_for_again_and_stays_as_it_is() {
    for then in UNPAID {
        let shop = answered(then, PaymentStatus::Processing).await;
        assert_eq!(unavailable(&shop.charge().await), "the payment is processing", "{then}");
        assert_eq!(shop.asked(), [POST, GET], "{then}");
    }
}

#[tokio::test]
async fn a_payment_that_was_canceled_is_a_decline() {
    for then in UNPAID {
        let shop = answered(then, PaymentStatus::Canceled).await;
        assert_eq!(declined(&shop.charge().await), "canceled", "{then}");
        assert_eq!(shop.asked(), [POST, GET], "{then}");
    }
}

#[tokio::test]
async fn a_payment_that_has_not_succeeded_is_given_up_before_it_is_a_decline() {
    for (status, detail) in OPEN {
        let shop = answered(detail, status).await;
        assert_eq!(declined(&shop.charge().await), detail);
        assert_eq!(shop.asked(), [POST, GET, CANCEL], "{detail}");
        let cancel = shop.request(2);
        assert!(cancel.headers().get("idempotency-key").is_none(), "the key is the charge's");
        assert_eq!(cancel.headers()["authorization"], "Bearer sk_test_1");
        assert_eq!(shop.world.payments.ledger().payments[0].status, PaymentStatus::Canceled);
    }
}

#[tokio::test]
async fn a_payment_of_an_unknown_status_is_neither_paid_nor_given_up() {
    let shop = answered("processing", PaymentStatus::RequiresAction).await;
    shop.script(PAYMENT, Scripted::status(200).body(named("under_review")));
    unavailable(&shop.charge().await);
    assert_eq!(shop.asked(), [POST, GET]);
}

#[tokio::test]
async fn a_payment_that_succeeds_before_it_is_given_up_is_paid() {
    let shop = answered("requires_action", PaymentStatus::Succeeded).await;
    shop.script(PAYMENT, Scripted::status(200).body(named("requires_action")));
    unavailable(&shop.charge().await);
    assert_eq!(shop.asked(), [POST, GET, CANCEL]);
    shop.script(CHARGE_KEY, Scripted::status(200).body(named("requires_action")));
    assert_eq!(paid(&shop.charge().await), PAYMENT);
    assert_eq!(shop.charges(), 1);
}

#[tokio::test]
async fn what_has_not_surely_been_given_up_is_no_decline_yet() {
    let now = json!({ "id": PAYMENT, "object": "payment_intent", "status": "requires_action" });
    for (script, status) in [
        (Scripted::status(500), PaymentStatus::RequiresAction),
        (Scripted::status(409), PaymentStatus::RequiresAction),
        (Scripted::cut(), PaymentStatus::RequiresAction),
        (Scripted::cut().applied(), PaymentStatus::Canceled),
        (Scripted::hang().applied(), PaymentStatus::Canceled),
        (Scripted::status(200).body(named("processing")), PaymentStatus::RequiresAction),
        (Scripted::status(200).body(named("succeeded")), PaymentStatus::RequiresAction),
    ] {
        let shop = answered("requires_action", PaymentStatus::RequiresAction).await;
        shop.script(PAYMENT, Scripted::status(200).body(now.clone()));
        shop.script(PAYMENT, script.clone());
        unavailable(&shop.charge_order(&order(), FRESH, SHORT).await);
        assert_eq!(shop.asked(), [POST, GET, CANCEL], "{script:?}");
        assert_eq!(shop.world.payments.ledger().payments[0].status, status, "{script:?}");
        shop.script(CHARGE_KEY, Scripted::status(200).body(now.clone()));
        declined(&shop.charge().await);
    }
}

#[tokio::test]
async fn a_stored_error_that_names_its_payment_needs_no_search() {
    let shop = stuck_after_payment().await;
    let mut body = error("api_error", "lock_timeout");
    body["error"]["payment_intent"] = named("processing");
    shop.script(CHARGE_KEY, Scripted::status(500).body(body).header("idempotent-replayed", "true"));
    assert_eq!(paid(&shop.charge().await), PAYMENT);
    assert_eq!(shop.asked(), [POST, POST, GET, REFUNDS]);
}

#[tokio::test]
async fn a_card_error_is_a_decline_without_another_request_unless_its_payment_may_have_been_paid() {
    for (status, asked) in [
        ("requires_payment_method", vec![POST]),
        ("canceled", vec![POST]),
        ("succeeded", vec![POST, GET, REFUNDS]),
        ("processing", vec![POST, GET, REFUNDS]),
        ("requires_capture", vec![POST, GET, REFUNDS]),
    ] {
        let shop = Shop::open().await;
        let mut body = error("card_error", "card_declined");
        body["error"]["payment_intent"] = named(status);
        shop.script(CHARGE_KEY, Scripted::status(402).body(body).applied());
        match (shop.charge().await, asked.len()) {
            (ending, 1) => assert_eq!(declined(&ending), "card_declined"),
            (ending, _) => assert_eq!(paid(&ending), PAYMENT),
        }
        assert_eq!(shop.asked(), asked, "{status}");
    }
}
