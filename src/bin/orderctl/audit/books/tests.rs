//! Books that balance, and each way in which they may not.

use serde_json::json;

use super::*;

const NOW: UnixMillis = UnixMillis(1_795_482_000_000);

fn record(id: &str, status: Status, outcomes: Value, result: Option<Value>) -> Record {
    let mut record = json!({
        "pk": format!("ORDER#{id}"), "status": status, "fence": 1, "owner": "me", "step": "notify_customer",
        "outcomes": outcomes, "fingerprint": "v1:0", "workflow_version": 1, "claimed_at_ms": NOW.0,
    });
    if let Some(result) = result {
        record["result"] = json!(result.to_string());
        record["expires_at"] = json!(1_798_074_004_u64);
    }
    serde_json::from_value(record).unwrap()
}

fn completed(id: &str) -> Record {
    let outcomes = json!({
        "reserve_inventory": { "mug": 2 }, "charge_payment": { "payment_id": format!("pi_{id}") },
        "dispatch_shipment": { "shipment_id": format!("shp_{id}") },
    });
    record(id, Status::Completed, outcomes, Some(json!({ "total": 5 })))
}

fn rejected(id: &str) -> Record {
    let outcomes = json!({
        "reserve_inventory": { "mug": 7 }, "charge_payment": { "payment_id": format!("pi_{id}") },
        "refund_payment": { "refund_id": "re_1" },
    });
    record(id, Status::Rejected, outcomes, Some(json!({ "reason": "cancelled" })))
}

fn unfinished(id: &str) -> Record {
    record(id, Status::InProgress, json!({ "reserve_inventory": { "mug": 3 } }), None)
}

fn without(record: &Record, outcome: &str) -> Record {
    Record { outcomes: record.outcomes.without(outcome), ..record.clone() }
}

fn found(records: &[Record]) -> Vec<String> {
    let stock = BTreeMap::from([("mug".to_owned(), 1)]);
    let books = Books { records, unreadable: &[], stock: &stock, charges: None, listed: None };
    examine(&books, NOW).into_iter().map(|one| format!("{} {}", one.subject, one.what)).collect()
}

#[test]
fn books_that_balance_show_what_is_available_reserved_and_sold() {
    let records = [completed("a"), completed("b"), rejected("c"), unfinished("d")];
    assert_eq!(found(&records), Vec::<String>::new());
    let stock = BTreeMap::from([("mug".to_owned(), 1), ("cap".to_owned(), 0)]);
    let books = Books { records: &records, unreadable: &[], stock: &stock, charges: None, listed: None };
    let lines = super::stock(&books);
    assert_eq!(lines["mug"], StockLine { available: Some(1), reserved: 3, sold: 4 });
    assert_eq!(lines["cap"], StockLine { available: Some(0), ..StockLine::default() });
}

#[test]
fn each_contradiction_is_found() {
    let free = Some(json!({ "total": 0 }).to_string());
    let leased = |millis| Record { lease_until_ms: Some(UnixMillis(millis)), ..unfinished("a") };
    for (bad, what) in [
        (without(&completed("a"), "charge_payment"), "not paid"),
        (Record { result: free, ..completed("a") }, "costs nothing, but is paid"),
        (without(&completed("a"), "dispatch_shipment"), "not shipped"),
        (without(&completed("a"), "reserve_inventory"), "without a reservation"),
        (Record { result: None, ..rejected("a") }, "without an answer"),
        (without(&rejected("a"), "refund_payment"), "charged and not refunded"),
        (
            Record { status: Status::Rejected, ..without(&completed("a"), "charge_payment") },
            "rejected, but shipped",
        ),
        (Record { result: Some("{}".into()), ..unfinished("a") }, "not finished, but answered"),
        (Record { expires_at: completed("a").expires_at, ..unfinished("a") }, "could run a second time"),
        (Record { expires_at: None, ..completed("a") }, "never expires"),
        (Record { lease_until_ms: Some(NOW), ..completed("a") }, "COMPLETED, but leased"),
        (leased(NOW.0 + 1_800_001), "longer than any worker can run"),
    ] {
        let found = found(std::slice::from_ref(&bad));
        assert_eq!(found.len(), 1, "{what}: {found:?}");
        assert!(found[0].starts_with("a ") && found[0].contains(what), "{found:?}");
    }
    assert_eq!(found(&[leased(NOW.0 + 1_800_000)]), Vec::<String>::new());
}

#[test]
fn an_unfinished_order_that_nobody_has_worked_on_for_long_has_lost_its_message() {
    let wait = 2 * 3_600_000;
    for status in [Status::InProgress, Status::Compensating] {
        let idle = |claimed: u64, updated: u64, lease: Option<u64>| Record {
            status,
            claimed_at_ms: UnixMillis(claimed),
            updated_at_ms: UnixMillis(updated),
            lease_until_ms: lease.map(UnixMillis),
            ..unfinished("a")
        };
        let long_ago = NOW.0 - wait - 1;
        for (claimed, updated, lease) in
            [(long_ago, 0, Some(0)), (1, long_ago, None), (1, 1, Some(long_ago)), (1, 1, Some(0))]
        {
            let found = found(&[idle(claimed, updated, lease)]);
            assert!(found.len() == 1 && found[0].contains("nobody brings it any more"), "{found:?}");
            for (claimed, updated, lease) in [
                (claimed.max(NOW.0 - wait), updated, lease),
                (claimed, updated.max(NOW.0 - wait), lease),
                (claimed, updated, Some(NOW.0 - wait)),
            ] {
                assert_eq!(self::found(&[idle(claimed, updated, lease)]), Vec::<String>::new());
            }
        }
    }
    for waits in [Status::Parked, Status::Completed] {
        let old = Record { claimed_at_ms: UnixMillis(1), status: waits, ..completed("a") };
        assert!(!found(&[old]).iter().any(|one| one.contains("nobody brings it")));
    }
}

#[test]
fn a_payment_of_an_order_without_a_record_says_what_to_do_about_it() {
    let hour = 3_600_000;
    let listed = |id: &str, hours: u64, status: &str, charge: Charge| Listed {
        order_id: id.to_owned(),
        created: UnixMillis(NOW.0 - hours * hour),
        status: status.to_owned(),
        charge,
    };
    let told = |payment: Listed| {
        let stock = BTreeMap::from([("mug".to_owned(), 1)]);
        let unreadable = [("ORDER#odd".to_owned(), "is odd".to_owned())];
        let (records, payments) = ([completed("a")], [payment]);
        let books = Books {
            records: &records,
            unreadable: &unreadable,
            stock: &stock,
            charges: None,
            listed: Some(&payments),
        };
        let found = examine(&books, NOW).into_iter().filter(|one| one.subject != "ORDER#odd");
        found.map(|one| format!("{} {}", one.subject, one.what)).collect::<Vec<_>>()
    };
    let paid = || charge("pi_b", true);
    assert_eq!(
        told(listed("b", 17, "succeeded", paid())),
        [
            "b is charged by pi_b, and the table has no record: send its message again before 2026-11-24T02:00:00.000Z"
        ]
    );
    let late = told(listed("b", 18, "succeeded", paid()));
    assert!(late.len() == 1 && late[0].contains("do NOT send its message again"), "{late:?}");
    let waits = told(listed("b", 1, "processing", charge("pi_b", false)));
    assert!(
        waits.len() == 1 && waits[0].starts_with("b may be charged by pi_b, which is processing"),
        "{waits:?}"
    );
    for hours in [1, 100] {
        let back = told(listed("b", hours, "succeeded", refunded("pi_b", "succeeded")));
        assert!(back.len() == 1 && back[0].contains("has the money back"), "{back:?}");
    }
    for kept in ["pending", "failed"] {
        let kept = told(listed("b", 1, "succeeded", refunded("pi_b", kept)));
        assert!(kept[0].starts_with("b is charged by pi_b"), "{kept:?}");
    }
    let none = Vec::<String>::new();
    assert_eq!(told(listed("b", 1, "requires_payment_method", charge("pi_b", false))), none);
    assert_eq!(told(listed("b", 1, "canceled", charge("pi_b", false))), none);
    assert_eq!(told(listed("a", 1, "succeeded", charge("pi_a", true))), none, "the record is there");
    assert_eq!(told(listed("odd", 1, "succeeded", paid())), none, "something is there");
    assert_eq!(told(listed("A", 1, "succeeded", paid())).len(), 1, "another order");
}

#[test]
fn a_payment_or_shipment_of_two_orders_is_found_and_so_is_a_sku_that_is_no_stock_item() {
    let again = Record { pk: "ORDER#b".into(), ..completed("a") };
    let both = ["pi_a is the payment_id of a and b", "shp_a is the shipment_id of a and b"];
    assert_eq!(found(&[completed("a"), again]), both);
    let cap = record("a", Status::InProgress, json!({ "reserve_inventory": { "cap": 1 } }), None);
    assert_eq!(found(&[cap]), ["cap is reserved or sold, but is no stock item"]);
}

fn charge(id: &str, succeeded: bool) -> Charge {
    Charge { payment_id: id.to_owned(), succeeded, amount: 5, refunds: Vec::new() }
}

fn refund(id: &str, status: &str, amount: u64) -> Refund {
    Refund { refund_id: id.to_owned(), status: status.to_owned(), amount, is_of_order: true }
}

/// A charge of 5 with a refund of 5.
fn refunded(id: &str, status: &str) -> Charge {
    Charge { refunds: vec![refund("re_1", status, 5)], ..charge(id, true) }
}

/// What is found of a record, given what the provider has of its order.
fn examined(record: Record, of_order: Vec<Charge>) -> Vec<String> {
    let charges = BTreeMap::from([("a".to_owned(), of_order)]);
    let (records, stock) = ([record], BTreeMap::from([("mug".to_owned(), 1)]));
    let books =
        Books { records: &records, unreadable: &[], stock: &stock, charges: Some(&charges), listed: None };
    examine(&books, NOW).into_iter().map(|one| one.what).collect()
}

#[test]
fn a_rejected_order_has_the_whole_charge_back_and_a_completed_one_nothing() {
    let none = Vec::<String>::new();
    assert_eq!(examined(rejected("a"), vec![refunded("pi_a", "succeeded")]), none);
    for (status, what) in [
        ("pending", "is rejected, but pi_a is refunded with 0 of 5: re_1 is pending"),
        ("requires_action", "is rejected, but pi_a is refunded with 0 of 5: re_1 is requires_action"),
        ("failed", "is rejected, but pi_a is refunded with 0 of 5: re_1 is failed"),
    ] {
        assert_eq!(examined(rejected("a"), vec![refunded("pi_a", status)]), [what]);
    }
    assert_eq!(
        examined(rejected("a"), vec![charge("pi_a", true)]),
        ["is rejected, but pi_a is refunded with 0 of 5"]
    );
    let of = |refunds: &[Refund]| vec![Charge { refunds: refunds.to_vec(), ..charge("pi_a", true) }];
    let parts = [refund("re_1", "succeeded", 3), refund("re_2", "succeeded", 1)];
    assert_eq!(
        examined(rejected("a"), of(&parts)),
        ["is rejected, but pi_a is refunded with 4 of 5: re_1 is succeeded, re_2 is succeeded"]
    );
    let again = [refund("re_1", "failed", 5), refund("re_2", "succeeded", 5)];
    assert_eq!(examined(rejected("a"), of(&again)), none);

    assert_eq!(
        examined(completed("a"), vec![refunded("pi_a", "pending")]),
        ["is completed, but refunded by re_1"]
    );
    let by_hand = Refund { is_of_order: false, ..refund("re_1", "succeeded", 5) };
    for harmless in [by_hand, refund("re_1", "failed", 5)] {
        assert_eq!(examined(completed("a"), of(&[harmless])), none);
    }
    let turning = Record { status: Status::Compensating, result: None, expires_at: None, ..rejected("a") };
    assert_eq!(examined(turning, vec![refunded("pi_a", "pending")]), none);
}

#[test]
fn a_charge_of_another_provider_is_not_looked_for_here() {
    let by = |provider: &str| {
        let outcomes = json!({
            "reserve_inventory": { "mug": 2 }, "charge_payment": { "payment_id": "pi_a", "provider": provider },
            "dispatch_shipment": { "shipment_id": "shp_a" },
        });
        record("a", Status::Completed, outcomes, Some(json!({ "total": 5 })))
    };
    assert_eq!(examined(by("sandbox"), vec![]), Vec::<String>::new());
    assert_eq!(examined(by("stripe"), vec![]), ["names the payment pi_a, which the provider has not"]);
    assert_eq!(
        examined(by("sandbox"), vec![charge("pi_z", true)]),
        ["is charged by sandbox, but this provider has pi_z"]
    );
}

#[test]
fn the_provider_has_exactly_the_payment_that_the_record_names() {
    let none = Vec::<String>::new();
    assert_eq!(examined(completed("a"), vec![charge("pi_a", true), charge("pi_declined", false)]), none);
    assert_eq!(
        examined(completed("a"), vec![charge("pi_a", true), charge("pi_z", true)]),
        ["is charged 2 times: pi_a, pi_z"]
    );
    assert_eq!(
        examined(completed("a"), vec![charge("pi_a", false)]),
        ["names the payment pi_a, which the provider has not"]
    );
    let uncharged = |record: &Record| without(&without(record, "charge_payment"), "refund_payment");
    let unnamed = "names no payment, but the provider has pi_z";
    assert_eq!(examined(uncharged(&rejected("a")), vec![charge("pi_z", true)])[0], unnamed);
    assert_eq!(examined(uncharged(&rejected("a")), vec![refunded("pi_z", "pending")])[0], unnamed);
    assert_eq!(
        examined(uncharged(&rejected("a")), vec![refunded("pi_z", "succeeded")]),
        none,
        "it has turned back a second time, in a table that was restored"
    );
    assert!(
        examined(uncharged(&completed("a")), vec![refunded("pi_z", "succeeded")])
            .contains(&unnamed.to_owned())
    );
    assert_eq!(
        examined(unfinished("a"), vec![charge("pi_z", true)]),
        none,
        "its worker may be about to write it down"
    );
}
