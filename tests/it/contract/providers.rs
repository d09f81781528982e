//! The payment provider is changed while an order is under way: who was asked is not forgotten, and nobody else is asked.

use order_processor::protocol;

use super::*;
use crate::world::warehouse::RefusingWarehouse;

impl World {
    /// A world whose warehouse refuses every shipment.
    async fn refusing() -> World {
        let mut world = World::new().await;
        world.warehouse = Some(RefusingWarehouse::default());
        world
    }

    /// Workers that start from now on have this payment provider.
    fn switched_to(&mut self, provider: &str) {
        self.variables.insert("PAYMENT_PROVIDER", provider.to_owned());
    }

    async fn is_parked(&self, order: &Value, because: &str) {
        let outcome = self.deliver(&[message("m", order)]).await;
        assert_eq!((outcome.outcomes(), outcome.failed.len()), (vec!["parked"], 0), "{:?}", outcome.lines);
        let record = self.record("ord-1").await.unwrap();
        assert_eq!((record.status, record.parked_reason.as_deref()), (Status::Parked, Some(because)));
    }

    /// What `orderctl parked resume` leaves.
    async fn resumed(&self) {
        let parked = self.record("ord-1").await.unwrap();
        let resumed = protocol::resume(&parked, self.clock.now()).unwrap().expect("it is parked").after;
        self.put(&resumed).await;
    }
}

/// The worker dies with the provider's answer in its hands, and the one after it finds another provider.
#[tokio::test(start_paused = true)]
async fn an_order_whose_charge_was_under_way_is_not_charged_by_the_next_provider() {
    let mut world = World::new().await;
    let order = order_json("ord-1");
    let crashing = Faults::on_first("POST /v1/payment_intents", Fault::CrashAfter);
    world.dies_under(&crashing, &[message("m0", &order)]).await;
    assert_eq!(world.payments.ledger().charges_of("ord-1").len(), 1);
    tokio::time::advance(Duration::from_secs(60)).await;

    world.switched_to("sandbox");
    world.is_parked(&order, "stripe may have been asked for charge_payment: sandbox cannot know").await;
    world.resumed().await;
    world.is_parked(&order, "stripe may have been asked for charge_payment: sandbox cannot know").await;

    world.switched_to("stripe");
    world.resumed().await;
    let outcome = world.deliver(&[message("m1", &order)]).await;
    assert_eq!(outcome.outcomes(), ["completed"], "{:?}", outcome.lines);
    let ledger = world.payments.ledger();
    assert_eq!((ledger.charges_of("ord-1").len(), ledger.refunds_of("ord-1").len()), (1, 0));
    let charged = world.record("ord-1").await.unwrap().outcomes;
    assert_eq!(charged.get("charge_payment").unwrap().text("provider"), Some("stripe"));
}

/// Charged by one provider, and refused by the warehouse under another.
#[tokio::test(start_paused = true)]
async fn a_charge_is_refunded_by_who_charged_and_the_order_waits_for_them() {
    let mut world = World::refusing().await;
    let mut slow = order_json("ord-1");
    slow["payment_method"] = json!("pm_card_slow");
    let outcome =
        world.deliver_within(&world.worker(), &[message("m0", &slow)], Duration::from_secs(3)).await;
    assert_eq!(outcome.outcomes(), ["deferred"]);
    let record = world.record("ord-1").await.unwrap();
    assert_eq!(record.step, "dispatch_shipment", "it is charged");
    let payment_id = record.outcomes.text("payment_id").unwrap().to_owned();

    world.switched_to("sandbox");
    let because = format!("stripe charged {payment_id}: sandbox cannot refund it");
    world.is_parked(&slow, &because).await;
    let record = world.record("ord-1").await.unwrap();
    assert_eq!((record.parked_from, &*record.step), (Some(Status::Compensating), "refund_payment"));
    assert_eq!(world.payments.ledger().refunds_of("ord-1").len(), 0);
    world.resumed().await;
    world.is_parked(&slow, &because).await;

    world.switched_to("stripe");
    world.resumed().await;
    let outcome = world.deliver(&[message("m1", &slow)]).await;
    assert_eq!(outcome.outcomes(), ["rejected"], "{:?}", outcome.lines);
    let ledger = world.payments.ledger();
    assert_eq!(
        (ledger.charges_of("ord-1").len(), ledger.settled_refunds_of("ord-1").len()),
        (1, 1),
        "{ledger:?}"
    );
    assert_eq!(world.available("mug").await, 10);
}

/// Who refused to refund what another charged has not touched it, and a return to the other loses nothing.
#[tokio::test(start_paused = true)]
async fn a_charge_of_the_sandbox_is_not_refunded_by_stripe() {
    let mut world = World::refusing().await;
    world.switched_to("sandbox");
    let order = order_json("ord-1");
    let crashing = Faults::on_first("POST /warehouse/shipments", Fault::CrashBefore);
    world.dies_under(&crashing, &[message("m0", &order)]).await;
    tokio::time::advance(Duration::from_secs(60)).await;
    let payment_id = world.record("ord-1").await.unwrap().outcomes.text("payment_id").unwrap().to_owned();

    world.switched_to("stripe");
    world.is_parked(&order, &format!("sandbox charged {payment_id}: stripe cannot refund it")).await;
    assert_eq!(world.payments.ledger().calls.len(), 0, "Stripe is not asked for what it does not know");

    world.switched_to("sandbox");
    world.resumed().await;
    let outcome = world.deliver(&[message("m1", &order)]).await;
    assert_eq!(outcome.outcomes(), ["rejected"], "{:?}", outcome.lines);
}
