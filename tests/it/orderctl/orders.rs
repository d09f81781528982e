//! `orderctl get`, `timeline`, `list`.

use order_processor::clock::UnixMillis;
use order_processor::record::{Record, Status};
use serde_json::{Value, json};

use super::World;
use crate::local_world::TABLE;

/// An order that was taken over once.
pub fn completed(id: &str) -> Record {
    let record = json!({
        "pk": format!("ORDER#{id}"), "status": "COMPLETED", "fence": 2, "owner": "me", "step": "notify_customer",
        "outcomes": {
            "reserve_inventory": { "mug": 2 },
            "charge_payment": { "payment_id": "pi_1", "at_ms": 1_795_482_002_000_u64 },
            "dispatch_shipment": { "shipment_id": "shp_1", "at_ms": 1_795_482_003_000_u64 },
            "notify_customer": { "at_ms": 1_795_482_003_500_u64 },
        },
        "fingerprint": "v1:0", "workflow_version": 1,
        "claimed_at_ms": 1_795_482_001_000_u64, "updated_at_ms": 1_795_482_003_500_u64, "attempts": 2,
        "reserved_at_ms": 1_795_482_001_500_u64,
        "result": json!({ "order_id": id, "status": "completed", "total": 2598, "payment_id": "pi_1" }).to_string(),
        "expires_at": 1_798_074_004_u64,
    });
    serde_json::from_value(record).unwrap()
}

pub fn parked(id: &str) -> Record {
    Record {
        status: Status::Parked,
        parked_from: Some(Status::InProgress),
        parked_reason: Some("retries_exhausted".into()),
        step: "charge_payment".into(),
        result: None,
        expires_at: None,
        ..completed(id)
    }
}

impl World {
    pub async fn put(&self, record: &Record) {
        let item = serde_dynamo::to_item(record).unwrap();
        self.table.put_item().table_name(TABLE).set_item(Some(item)).send().await.unwrap();
    }
}

#[tokio::test]
async fn an_order_that_is_not_there_is_exit_code_3() {
    let world = World::new().await;
    for command in ["get", "timeline"] {
        let run = world.run(&[command, "ord-1"]).await;
        assert_eq!((run.code, run.out.as_str()), (3, ""), "{run:?}");
        assert!(run.err.contains("ord-1") && run.err.contains("dead-letter"), "{}", run.err);
        let run = world.run(&[command, "ord-1", "--json"]).await;
        assert_eq!((run.code, &run.document()["error"]["kind"]), (3, &json!("not_found")));
    }
}

#[tokio::test]
async fn get_prints_one_document_with_the_result_as_json() {
    let world = World::new().await;
    world.put(&completed("ord-1")).await;
    let order = world.json(&["get", "ord-1"]).await;
    assert_eq!(order["order_id"], "ord-1");
    assert_eq!(order["status"], "COMPLETED");
    assert_eq!(order["step"], "notify_customer");
    assert_eq!((order["attempts"].as_u64(), order["fence"].as_u64()), (Some(2), Some(2)));
    assert_eq!(order["result"]["payment_id"], "pi_1");
    assert_eq!(order["claimed_at"], "2026-11-24T01:00:01.000Z");
    assert_eq!(order["updated_at"], "2026-11-24T01:00:03.500Z");
    assert_eq!(order["expires_at"], "2026-12-24T01:00:04.000Z");
    assert_eq!(order["parked_reason"], Value::Null);
}

#[tokio::test]
async fn waiting_ends_at_a_finished_order_and_fails_at_one_that_is_not() {
    let world = World::new().await;
    world.put(&completed("ord-1")).await;
    world.put(&parked("ord-2")).await;
    assert_eq!(world.run(&["get", "ord-1", "--wait", "60"]).await.code, 0);
    let run = world.run(&["get", "ord-2", "--wait", "60"]).await;
    assert_eq!(run.code, 1, "a parked order waits for an operator: {run:?}");
    assert!(run.out.contains("retries_exhausted") && run.err.contains(" timeline ord-2"), "{run:?}");
}

#[tokio::test]
async fn waiting_sees_an_order_that_finishes_meanwhile() {
    let world = World::new().await;
    let (run, ()) = tokio::join!(world.run(&["get", "ord-1", "--wait", "60"]), async {
        world.put(&Record { status: Status::InProgress, result: None, ..completed("ord-1") }).await;
        world.put(&completed("ord-1")).await;
    });
    assert_eq!(run.code, 0, "{run:?}");
    assert!(run.out.contains("COMPLETED"), "{run:?}");
}

#[tokio::test]
async fn a_timeline_tells_steps_in_order_with_takeovers() {
    let world = World::new().await;
    world.put(&completed("ord-1")).await;
    let timeline = world.json(&["timeline", "ord-1"]).await;
    let events = timeline["events"].as_array().unwrap();
    let names: Vec<&str> = events.iter().map(|event| event["what"].as_str().unwrap()).collect();
    let steps = ["reserve_inventory", "charge_payment", "dispatch_shipment", "notify_customer"];
    assert_eq!(names, [&["claimed", "taken over"][..], &steps, &["completed"]].concat());
    assert_eq!(timeline["takeovers"], 1);
    assert_eq!(events[2]["at"], "2026-11-24T01:00:01.500Z");
    assert_eq!(events[2]["detail"], "2 x mug");
    assert_eq!(events[3]["detail"], "pi_1");
    let text = world.run(&["timeline", "ord-1"]).await.out;
    assert!(text.contains("0.500 s  reserve_inventory"), "{text}");
}

#[tokio::test]
async fn a_list_is_filtered_by_status_and_limited() {
    let world = World::new().await;
    for number in 1..=5 {
        world.put(&completed(&format!("ord-{number}"))).await;
    }
    world.put(&parked("ord-6")).await;
    world.run(&["stock", "set", "mug", "5"]).await;
    let all = world.json(&["list"]).await;
    assert_eq!((all["orders"].as_array().unwrap().len(), &all["more"]), (6, &json!(false)));
    let some = world.json(&["list", "--limit", "2"]).await;
    assert_eq!((some["orders"].as_array().unwrap().len(), &some["more"]), (2, &json!(true)));
    let parked = world.json(&["list", "--status", "PARKED"]).await;
    assert_eq!(parked["orders"].as_array().unwrap().len(), 1);
    assert_eq!(parked["orders"][0]["parked_reason"], "retries_exhausted");
    assert!(!world.run(&["list"]).await.out.contains('\u{1b}'), "no colours into a pipe");
}

#[tokio::test]
async fn the_unfinished_say_what_they_wait_for() {
    let world = World::new().await;
    let lease = |until| Some(UnixMillis(until));
    let unfinished =
        |id: &str| Record { status: Status::InProgress, result: None, expires_at: None, ..completed(id) };
    world.put(&completed("ord-1")).await;
    world.put(&parked("ord-2")).await;
    world.put(&Record { lease_until_ms: lease(0), ..unfinished("ord-3") }).await;
    world.put(&Record { lease_until_ms: lease(32_503_680_000_000), ..unfinished("ord-4") }).await;
    let list = world.json(&["list", "--unfinished"]).await;
    let orders = list["orders"].as_array().unwrap().iter();
    let orders: Vec<_> =
        orders.map(|order| (order["order_id"].as_str().unwrap(), &order["lease_over"])).collect();
    assert_eq!(orders, [("ord-2", &json!(true)), ("ord-3", &json!(true)), ("ord-4", &json!(false))]);
    let text = world.run(&["list", "--unfinished"]).await.out;
    let line = |id: &str| text.lines().find(|line| line.starts_with(id)).unwrap().to_owned();
    assert!(line("ord-2").contains("a person: retries_exhausted"), "{text}");
    assert!(line("ord-3").contains("next delivery"), "{text}");
    assert!(line("ord-4").contains("its worker, until 3000"), "{text}");
}

#[tokio::test]
async fn a_timeline_tells_what_people_changed_and_what_the_log_says() {
    let world = World::new().await;
    let by =
        json!({ "at_ms": 1_795_482_002_500_u64, "who": "ann", "what": "resume", "why": "it is up again" });
    let by = serde_json::from_value(by).unwrap();
    world.put(&Record { operator_log: vec![by], ..completed("ord-1") }).await;
    let line = |id: &str, outcome: &str| {
        let line = json!({
            "timestamp": "2026-11-24T01:00:03.750000Z", "outcome": outcome, "order_id": id, "receive_count": 2,
        });
        format!("{line}\n")
    };
    let log = line("ord-1", "duplicate") + "no JSON\n" + &line("ord-2", "conflict");
    let run = world.run_with(&["timeline", "ord-1", "--log", "-", "--json"], &log).await;
    let timeline = run.document();
    let events = timeline["events"].as_array().unwrap().iter();
    let events: Vec<&str> = events.map(|event| event["what"].as_str().unwrap()).collect();
    let after_charge = ["charge_payment", "resume", "dispatch_shipment", "notify_customer", "log: duplicate"];
    assert_eq!(events[3..8], after_charge, "{timeline}");
    assert!(!run.out.contains("conflict"), "of another order: {timeline}");
    assert!(world.run(&["timeline", "ord-1"]).await.out.contains("ann: it is up again"));
}
