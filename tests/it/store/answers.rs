//! Answers that never came: what the SDK repeats, what the store finds out, and what it leaves unknown.

use order_processor::local::faults::Landing;
use order_processor::protocol::{Existing, Refused, on_existing, on_refused};

use super::*;

/// The three kinds of request, with what the table holds before and how the stock is after.
fn each_kind() -> [(&'static str, Write, (u64, u64)); 3] {
    [
        ("PutItem", claim(), (10, 10)),
        ("UpdateItem", checkpoint(), (10, 10)),
        ("TransactWriteItems", reserve(), (8, 7)),
    ]
}

async fn world(write: &Write, faults: Faults) -> Table {
    let table = Table::under(faults).await;
    if let Some(before) = &write.before {
        table.put(before).await;
    }
    table
}

/// That the write is in the table, once, and that its writer can tell.
async fn is_recognised(table: &Table, write: &Write, written: Written, stock: (u64, u64)) {
    let after = write.after.clone();
    assert_eq!(table.record().await.as_ref(), Some(&after));
    assert_eq!(table.both().await, stock);
    match written {
        Written::Applied(record) => assert_eq!(*record, after),
        Written::Refused(found) => {
            let found = *found.expect("the item that refused it");
            assert_eq!(on_refused(write, Some(&found)), Refused::Written);
            let mine = on_existing(&workflow(), found, &after.owner, &after.fingerprint, NOW);
            assert_eq!(mine, Existing::Mine(after));
        }
        Written::Short(shortage) => panic!("{shortage:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_write_whose_response_is_lost_is_repeated_and_recognised() {
    for (request, write, stock) in each_kind() {
        let table = world(&write, Faults::at(1, Fault::LoseResponse)).await;
        let written = table.write(&write).await.unwrap();
        let replayed = matches!(written, Written::Applied(_));
        assert_eq!(replayed, request == "TransactWriteItems", "{request}: only a token tells DynamoDB");
        is_recognised(&table, &write, written, stock).await;
        assert_eq!(table.requests(), [request, request], "the SDK itself repeats it");
    }
}

#[tokio::test(start_paused = true)]
async fn a_write_of_which_no_response_arrives_is_looked_up_and_recognised() {
    for (request, write, stock) in each_kind() {
        let table = world(&write, on_every_write(Fault::LoseResponse)).await;
        let written = table.write(&write).await.unwrap();
        is_recognised(&table, &write, written, stock).await;
        assert_eq!(table.requests(), [request, request, request, "GetItem"]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_write_that_got_lost_on_the_way_or_was_throttled_once_is_repeated() {
    for fault in [Fault::LoseRequest, Fault::Throttle, Fault::Hang, Fault::TransactionConflict] {
        for (request, write, stock) in each_kind() {
            let table = world(&write, Faults::at(1, fault)).await;
            let written = table.write(&write).await.unwrap();
            assert_eq!(written, Written::Applied(Box::new(write.after.clone())), "{fault:?}");
            is_recognised(&table, &write, written, stock).await;
            assert_eq!(table.requests(), [request, request], "{fault:?}");
            let log = table.faults.log();
            assert_eq!(log[0].body, log[1].body, "{fault:?}: the same bytes, under the same token");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_write_that_never_arrives_is_unknown_because_it_may_land_yet() {
    for fault in [Fault::LoseRequest, Fault::Hang] {
        for (request, write, _) in each_kind() {
            let table = world(&write, on_every_write(fault)).await;
            let error = table.write(&write).await.unwrap_err();
            assert!(matches!(error, StoreError::Unknown(_)), "{fault:?} on {request}: {error}");
            assert_eq!(table.record().await, write.before);
            assert_eq!(table.requests().last().unwrap(), "GetItem", "it was looked up");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_write_is_unknown_if_the_look_up_has_no_answer_either() {
    for (_, write, stock) in each_kind() {
        let table = world(&write, Faults::planned_by(|_| Some(Fault::LoseResponse))).await;
        let error = table.write(&write).await.unwrap_err();
        assert!(matches!(error, StoreError::Unknown(_)), "{error}");
        assert_eq!((table.record().await, table.both().await), (Some(write.after), stock), "it was applied");
    }
}

#[tokio::test(start_paused = true)]
async fn a_write_that_lands_late_lands_once() {
    for (_, write, stock) in each_kind() {
        let table = world(&write, on_every_write(Fault::LandLate(Landing::OnRelease))).await;
        let error = table.write(&write).await.unwrap_err();
        assert!(matches!(error, StoreError::Unknown(_)), "{error}");
        assert_eq!((table.record().await, table.both().await), (write.before.clone(), (10, 10)));
        table.faults.settle().await;
        let found = table.record().await;
        is_recognised(&table, &write, Written::Refused(found.map(Box::new)), stock).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_write_that_lands_after_a_takeover_changes_nothing() {
    for write in [checkpoint(), reserve(), release()] {
        let table = world(&write, on_every_write(Fault::LandLate(Landing::OnRelease))).await;
        table.write(&write).await.unwrap_err();
        let seen = table.record().await.unwrap();
        let successor = protocol::take_over(&workflow(), &seen, &claimant("successor"), later()).after;
        table.put(&successor).await;
        table.faults.settle().await;
        assert_eq!((table.record().await, table.both().await), (Some(successor), (10, 10)));
    }
}

#[tokio::test(start_paused = true)]
async fn a_write_that_lands_before_it_is_looked_up_is_recognised() {
    for (request, write, stock) in each_kind() {
        let landing = Fault::LandLate(Landing::AfterGivingUp(Duration::ZERO));
        let faults = Faults::planned_by(move |passage| (passage.number == 1).then_some(landing));
        let table = world(&write, faults).await;
        let written = table.write(&write).await.unwrap();
        table.faults.settle().await;
        is_recognised(&table, &write, written, stock).await;
        assert_eq!(table.requests()[0], request);
    }
}

#[tokio::test(start_paused = true)]
async fn a_throttled_write_is_not_applied_and_needs_no_look_up() {
    for (request, write, _) in each_kind() {
        let table = world(&write, on_every_write(Fault::Throttle)).await;
        let error = table.write(&write).await.unwrap_err();
        assert_eq!(error.to_string(), "the table refused the request: ThrottlingException");
        assert!(matches!(error, StoreError::NotApplied(_)));
        assert_eq!((table.record().await, table.both().await), (write.before, (10, 10)));
        assert_eq!(table.requests(), [request, request, request]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_conflict_without_end_is_given_up_within_the_patience_of_the_write() {
    for (request, write, _) in each_kind() {
        let table = world(&write, on_every_write(Fault::TransactionConflict)).await;
        let started = tokio::time::Instant::now();
        let error = table.write(&write).await.unwrap_err();
        assert!(matches!(error, StoreError::NotApplied(_)), "{error}");
        assert!(error.to_string().contains("TransactionConflict"), "{error}");
        assert!(started.elapsed() < PATIENCE.total, "{:?}", started.elapsed());
        assert_eq!((table.record().await, table.both().await), (write.before, (10, 10)));
        let requests = table.requests();
        assert!(requests.len() > 3 && requests.iter().all(|name| name == request), "{requests:?}");
        let bodies = table.faults.log();
        assert!(bodies.iter().all(|passage| passage.body == bodies[0].body), "the same bytes each time");
    }
}

/// The SDK tells only of its last attempt, so that a refusal is no proof. What follows from it must hold anyway.
#[tokio::test(start_paused = true)]
async fn a_lost_response_and_then_throttling_is_reported_as_a_refusal_though_it_was_applied() {
    for (_, write, stock) in each_kind() {
        let faults = Faults::planned_by(|passage| match passage.number {
            1 => Some(Fault::LoseResponse),
            _ => Some(Fault::Throttle),
        });
        let table = world(&write, faults).await;
        let error = table.write(&write).await.unwrap_err();
        assert!(matches!(error, StoreError::NotApplied(_)), "{error}");
        assert_eq!((table.record().await, table.both().await), (Some(write.after), stock));
    }
}

#[tokio::test(start_paused = true)]
async fn a_write_takes_no_longer_than_its_patience_and_the_look_up() {
    for (_, write, _) in each_kind() {
        let table = world(&write, Faults::planned_by(|_| Some(Fault::Hang))).await;
        let started = tokio::time::Instant::now();
        table.write(&write).await.unwrap_err();
        // Timers fire a moment late where time is not the test's own.
        let late = if server().is_some() { PATIENCE.attempt } else { Duration::ZERO };
        assert!(started.elapsed() <= PATIENCE.total * 2 + late, "{:?}", started.elapsed());
        for (number, passage) in table.faults.log().iter().enumerate() {
            assert_eq!(passage.fault, Some(Fault::Hang), "{number}");
        }
    }
}
