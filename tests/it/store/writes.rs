//! Every write of the protocol: applied, and refused.

use super::*;

#[tokio::test(start_paused = true)]
async fn every_write_makes_of_the_item_what_it_says_and_nothing_else() {
    for (name, write) in every_write() {
        let table = Table::new().await;
        if let Some(before) = &write.before {
            table.put(before).await;
        }
        let written = table.write(&write).await.unwrap();
        assert_eq!(written, Written::Applied(Box::new(write.after.clone())), "{name}");
        assert_eq!(table.record().await.as_ref(), Some(&write.after), "{name}");
        let stock = match name {
            "reserve" => (8, 7),
            "release and reject" => (12, 13),
            _ => (10, 10),
        };
        assert_eq!(table.both().await, stock, "{name}");
        assert_eq!(table.requests().len(), 1, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_others_changed_of_the_item_meanwhile_stays_as_it_is() {
    for (name, write) in every_write() {
        let Some(before) = &write.before else { continue };
        if write.guard.not_cancelled || !write.stock.is_empty() || name == "cancel" {
            continue;
        }
        let table = Table::new().await;
        let cancelled = Some("support".to_owned());
        table.put(&Record { cancel_requested: cancelled.clone(), ..before.clone() }).await;
        let after = Record { cancel_requested: cancelled, ..write.after.clone() };
        let written = table.write(&write).await.unwrap();
        assert_eq!(written, Written::Applied(Box::new(after.clone())), "{name}: the caller sees it too");
        assert_eq!(table.record().await, Some(after), "{name}");
    }
}

/// The records that a write may find instead of the one its writer knows.
fn changed(known: &Record) -> Vec<Option<Record>> {
    let with = |change: &dyn Fn(&mut Record)| {
        let mut record = known.clone();
        change(&mut record);
        Some(record)
    };
    let mut found = vec![
        None,
        with(&|record| record.fence = record.fence.next()),
        with(&|record| record.owner = Owner("other".to_owned())),
        with(&|record| record.cancel_requested = Some("support".to_owned())),
    ];
    for status in
        [Status::InProgress, Status::Compensating, Status::Completed, Status::Rejected, Status::Parked]
    {
        found.push(with(&|record| record.status = status));
    }
    for step in [RESERVE, CHARGE, SHIP, TELL, REFUND] {
        found.push(with(&|record| record.step = step.to_owned()));
    }
    found
}

#[tokio::test(start_paused = true)]
async fn a_refused_write_changes_nothing_and_brings_back_what_is_there() {
    let mut refused = 0;
    for (name, write) in every_write() {
        let table = Table::new().await;
        for found in changed(write.before.as_ref().unwrap_or(&write.after)) {
            if write.guard.holds(found.as_ref()) {
                continue;
            }
            match &found {
                Some(record) => table.put(record).await,
                None => table.remove().await,
            }
            let written = table.write(&write).await.unwrap();
            assert_eq!(written, Written::Refused(found.clone().map(Box::new)), "{name}");
            assert_eq!(table.record().await, found, "{name}");
            assert_eq!(table.both().await, (10, 10), "{name}");
            refused += 1;
        }
        let requests = table.requests();
        assert!(!requests.contains(&"GetItem".to_owned()), "{name}: a refusal needs no read");
    }
    assert!(refused > 120, "only {refused} refusals");
}

#[tokio::test(start_paused = true)]
async fn a_write_that_is_repeated_as_it_is_changes_nothing_more() {
    for (name, write) in every_write() {
        let table = Table::new().await;
        if let Some(before) = &write.before {
            table.put(before).await;
        }
        table.write(&write).await.unwrap();
        let (record, stock) = (table.record().await, table.both().await);
        let again = table.write(&write).await.unwrap();
        let shows = match &again {
            Written::Applied(record) => **record == write.after,
            Written::Refused(found) => write.shows_in(found.as_ref().unwrap()),
            Written::Short(_) => false,
        };
        assert!(shows, "{name}: {again:?}");
        assert_eq!((table.record().await, table.both().await), (record, stock), "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_record_is_found_as_it_was_written_and_what_is_no_record_is_an_error() {
    let table = Table::new().await;
    let id = order().id;
    assert_eq!(table.store.find(&id, PATIENCE).await.unwrap(), None);
    table.put(&checkpoint().after).await;
    assert_eq!(table.store.find(&id, PATIENCE).await.unwrap(), Some(checkpoint().after));
    let body: serde_json::Value = serde_json::from_slice(&table.faults.log()[0].body).unwrap();
    assert_eq!(body["ConsistentRead"], true);

    let alien =
        table.observer.put_item().table_name(&table.name).item("pk", s("ORDER#ord-1")).item("status", s("?"));
    alien.send().await.unwrap();
    let error = table.store.find(&id, PATIENCE).await.unwrap_err();
    assert!(matches!(error, StoreError::Unreadable), "{error}");
    let error = table.write(&claim()).await.unwrap_err();
    assert!(matches!(error, StoreError::Unreadable), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_table_that_is_not_there_refuses_and_nothing_is_in_doubt() {
    let aws = EmbeddedAws::in_process(a_clock());
    let client = dynamodb::Client::new(&aws.sdk_config(aws.connector()));
    let store = Store::new(client, "nowhere", Random::from_seed(1));
    for (name, write) in every_write() {
        let error = store.write(&write, PATIENCE).await.unwrap_err();
        let expected = "the table refused the request: ResourceNotFoundException";
        assert_eq!(error.to_string(), expected, "{name}");
    }
}
