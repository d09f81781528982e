//! Refunds of the payment provider.

use order_processor::local::payment_provider::{REFUND_TAKES, RefundStatus};

use super::*;

#[tokio::test]
async fn a_charge_is_refunded_once_whatever_the_key() {
    let world = World::new();
    let payment_id = world.charge("charge", CHARGE).await.body["id"].as_str().unwrap().to_owned();
    let refunded = world.refund("refund", &payment_id).await;
    assert_eq!(refunded.body["status"], "succeeded");
    assert!(world.refund("refund", &payment_id).await.replayed);
    let again = world.refund("another key", &payment_id).await;
    assert_eq!((again.status, &again.body["error"]["code"]), (400, &json!("charge_already_refunded")));
    assert_eq!(world.provider.ledger().refunds_of("ord-1").len(), 1);
    let missing = world.refund("third key", "pi_none").await;
    assert_eq!(missing.body["error"]["code"], "resource_missing");
}

/// A charge with this card and its refund, under the key `refund`.
async fn refunded(world: &World, card: &str) -> (String, Response) {
    let charged = world.charge("charge", &with("payment_method", card)).await;
    let payment_id = charged.body["id"].as_str().unwrap().to_owned();
    let refund = world.refund("refund", &payment_id).await;
    (payment_id, refund)
}

#[tokio::test]
async fn a_refund_is_settled_by_and_by_and_its_key_repeats_the_old_answer() {
    use RefundStatus::{Failed, Succeeded};
    for (card, at_first, in_the_end) in [
        ("pm_card_visa", "succeeded", Succeeded),
        ("pm_card_pendingRefund", "pending", Succeeded),
        ("pm_card_pendingRefundFail", "pending", Failed),
        ("pm_card_refundFail", "succeeded", Failed),
    ] {
        let world = World::new();
        let (payment_id, refund) = refunded(&world, card).await;
        let id = refund.body["id"].as_str().unwrap();
        assert_eq!((refund.status, &refund.body["status"]), (200, &json!(at_first)), "{card}");
        world.pass(REFUND_TAKES - Duration::from_millis(1));
        assert_eq!(world.get(&format!("/v1/refunds/{id}")).await.body["status"], at_first, "{card}");
        world.pass(Duration::from_millis(1));
        assert_eq!(world.get(&format!("/v1/refunds/{id}")).await.body["status"], json!(in_the_end), "{card}");
        assert_eq!(world.refund("refund", &payment_id).await.body["status"], at_first, "{card}");
        let settled = usize::from(in_the_end == Succeeded);
        assert_eq!(world.provider.ledger().settled_refunds_of("ord-1").len(), settled, "{card}");
    }
}

#[tokio::test]
async fn a_charge_whose_refund_failed_can_be_refunded_again_and_the_list_has_both() {
    let world = World::new();
    let (payment_id, _) = refunded(&world, "pm_card_pendingRefundFail").await;
    let again = world.refund("another key", &payment_id).await;
    assert_eq!(again.body["error"]["code"], "charge_already_refunded");
    world.pass(REFUND_TAKES);
    let by_hand = world.provider.refund_by_hand(&payment_id).unwrap();
    let list = world.get(&format!("/v1/refunds?payment_intent={payment_id}")).await.body;
    let statuses: Vec<&Value> = list["data"].as_array().unwrap().iter().map(|one| &one["status"]).collect();
    assert_eq!(
        (&list["data"][0]["id"], statuses),
        (&json!(by_hand), vec![&json!("succeeded"), &json!("failed")])
    );
    assert_eq!(world.get("/v1/refunds/re_none").await.status, 404);
    assert_eq!(world.get("/v1/refunds?payment_intent=pi_none").await.status, 400);
    assert_eq!(world.get("/v1/refunds").await.status, 400);
}
