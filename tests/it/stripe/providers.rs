//! Who charged refunds, and nobody else: the provider may have been changed while orders were in flight.

use super::refunds::refunded;
use super::*;

/// A shop in which the order was charged, and the payment's ID.
async fn charged() -> (Shop, String) {
    let shop = Shop::open().await;
    let payment_id = paid(&shop.charge().await);
    (shop, payment_id)
}

#[tokio::test]
async fn who_did_not_charge_does_not_refund_and_a_person_is_told_both_providers() {
    let (shop, payment_id) = charged().await;
    let Ending::Done(charge) = shop.charge().await else { panic!("it was charged") };
    assert_eq!((charge.text("provider"), charge.text("payment_id")), (Some("stripe"), Some(&*payment_id)));
    let (order, key) = (order(), REFUND_KEY.to_owned());
    let charged = Outcomes::default().with("charge_payment", charge);
    let by_sandbox = ChargePayment(Sandbox).undo(&call(&order, &charged, &key)).await;
    assert_eq!(unknown(&by_sandbox), format!("stripe charged {payment_id}: sandbox cannot refund it"));

    let outcomes = Outcomes::default();
    let charge_key = CHARGE_KEY.to_owned();
    let by_sandbox = ChargePayment(Sandbox).call(&call(&order, &outcomes, &charge_key)).await;
    let Ending::Done(charge) = by_sandbox else { panic!("{by_sandbox:?}") };
    let charged = Outcomes::default().with("charge_payment", charge.clone());
    shop.asked.lock().unwrap().clear();
    let by_stripe = ChargePayment(shop.stripe.clone()).undo(&call(&order, &charged, &key)).await;
    let why = unknown(&by_stripe);
    assert!(why.starts_with("sandbox charged pi_") && why.ends_with(": stripe cannot refund it"), "{why}");
    assert_eq!(shop.asked(), [""; 0]);
    refunded(&ChargePayment(Sandbox).undo(&call(&order, &charged, &key)).await);
}

/// Outcomes of before the provider stood on the record, and those that a person stated.
#[tokio::test]
async fn a_charge_of_nobody_knows_which_provider_is_refunded_by_the_one_that_knows_its_payment() {
    let (shop, payment_id) = charged().await;
    let (order, key, charge_key) = (order(), REFUND_KEY.to_owned(), CHARGE_KEY.to_owned());
    let of = |id: &str| Outcomes::default().with("charge_payment", Outcome::of("payment_id", id));
    let by_sandbox = ChargePayment(Sandbox).undo(&call(&order, &of(&payment_id), &key)).await;
    let why = unknown(&by_sandbox);
    assert!(why.contains(&payment_id) && why.contains("sandbox"), "{why}");
    refunded(&ChargePayment(shop.stripe.clone()).undo(&call(&order, &of(&payment_id), &key)).await);

    let outcomes = Outcomes::default();
    let own = paid(&ChargePayment(Sandbox).call(&call(&order, &outcomes, &charge_key)).await);
    refunded(&ChargePayment(Sandbox).undo(&call(&order, &of(&own), &key)).await);
    unavailable(&ChargePayment(shop.stripe.clone()).undo(&call(&order, &of(&own), "another")).await);
}
