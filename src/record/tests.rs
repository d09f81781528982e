use super::*;

#[test]
fn an_item_is_found_by_what_it_is_of() {
    assert_eq!(order_key(&"ord-1".parse().unwrap()), "ORDER#ord-1");
    assert_eq!(stock_key(&"mug".parse().unwrap()), "STOCK#mug");
}

#[test]
fn the_outcomes_are_told_by_the_name_of_the_step() {
    let outcomes = Outcomes::default()
        .with("charge_payment", Outcome::of("payment_id", "pi_1"))
        .with("notify_customer", Outcome::nothing());
    let told: Vec<(&str, Option<&str>)> =
        outcomes.iter().map(|(step, outcome)| (step, outcome.text("payment_id"))).collect();
    assert_eq!(told, [("charge_payment", Some("pi_1")), ("notify_customer", None)]);
}

#[test]
fn a_record_knows_its_order_by_its_key() {
    let record = |pk: &str| -> Record {
        serde_json::from_value(serde_json::json!({
            "pk": pk, "status": "IN_PROGRESS", "fence": 1, "owner": "me", "step": "reserve_inventory",
            "fingerprint": "v1:00", "workflow_version": 1, "claimed_at_ms": 1,
        }))
        .unwrap()
    };
    assert_eq!(record("ORDER#ord-1").order_id(), "ord-1");
    assert_eq!(record("ord-1").order_id(), "ord-1");
}
