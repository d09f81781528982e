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

#[test]
fn quantities_are_read_from_their_own_place_whatever_a_sku_is_called() {
    let lines = [("at_ms", 3), ("quantities", 2), ("mug", 10_000)];
    let reserved = Outcome::reserved(lines.map(|(sku, quantity)| (sku.parse().unwrap(), quantity)));
    let expected = lines.map(|(sku, quantity)| (sku.parse().unwrap(), u64::from(quantity)));
    let read_back = |outcome: &Outcome| -> BTreeMap<Sku, u64> {
        let stored = serde_json::to_value(outcome).unwrap();
        serde_json::from_value::<Outcome>(stored).unwrap().quantities().into_iter().collect()
    };
    assert_eq!(read_back(&reserved), expected.clone().into());
    assert_eq!(read_back(&reserved.at(UnixMillis(1_795_482_001_123))), expected.into());
}

#[test]
fn records_that_have_the_quantities_beside_the_time_are_still_read() {
    let old: Outcome = serde_json::from_value(serde_json::json!({
        "mug": 10_000, "quantities": 2, "at_ms": 1_795_482_001_123_u64, "note": "text",
    }))
    .unwrap();
    let expected = [("mug", 10_000), ("quantities", 2)].map(|(sku, n)| (sku.parse().unwrap(), n));
    assert_eq!(old.quantities(), expected);
    let a_sku_of_that_name: Outcome = serde_json::from_value(serde_json::json!({ "at_ms": 3 })).unwrap();
    assert_eq!(a_sku_of_that_name.quantities(), [("at_ms".parse().unwrap(), 3)]);
}

#[test]
fn a_key_is_read_back_as_it_was_written_whatever_the_order_is_called() {
    for order_id in ["ord-1", "a:b", "a:charge_payment", "a:charge_payment:2", "2", ":"] {
        for generation in [None, Some(2), Some(u32::MAX)] {
            let key = IdempotencyKey { order_id, step: "charge_payment", generation };
            assert_eq!(IdempotencyKey::parse(&key.to_string()), Some(key));
        }
    }
}

#[test]
fn what_no_step_of_an_order_is_called_with_is_no_key() {
    for text in ["", "ord-1", "charge_payment", ":charge_payment", "ord-1:", "ord-1:2", "a:charge_payment:"] {
        assert_eq!(IdempotencyKey::parse(text), None, "{text}");
    }
    // The first generation has no number, and a number is written in one way.
    for number in ["0", "1", "02", "+2", "4294967296", "two"] {
        let text = format!("a:charge_payment:{number}");
        let read = IdempotencyKey::parse(&text);
        assert!(read.is_none_or(|key| key.step != "charge_payment"), "{text}: {read:?}");
    }
}
