//! Stock moves with its order's checkpoint, or not at all.

use order_processor::protocol::Shortage;
use order_processor::protocol::StockMove;
use serde_json::Value;

use super::*;

/// A table in which my order is about to reserve.
async fn reserving() -> Table {
    let table = Table::new().await;
    table.put(&held(Status::InProgress, RESERVE)).await;
    table
}

fn short(sku: &str, wanted: u64, left: Option<u64>) -> Written {
    Written::Short(Shortage { sku: sku.parse().unwrap(), wanted, left })
}

/// The tokens of the transactions that passed.
fn tokens(table: &Table) -> Vec<String> {
    let transactions = table.faults.log().into_iter();
    let transactions = transactions.filter(|passage| passage.operation == "DynamoDB TransactWriteItems");
    let bodies = transactions.map(|passage| serde_json::from_slice::<Value>(&passage.body).unwrap());
    bodies.map(|body| body["ClientRequestToken"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(start_paused = true)]
async fn the_last_of_the_stock_can_be_reserved_and_one_more_cannot() {
    let table = reserving().await;
    table.stock("mug", 2).await;
    table.stock("cup", 3).await;
    let written = table.write(&reserve()).await.unwrap();
    assert_eq!(written, Written::Applied(Box::new(reserve().after)));
    assert_eq!(table.both().await, (0, 0));

    let table = reserving().await;
    table.stock("mug", 1).await;
    assert_eq!(table.write(&reserve()).await.unwrap(), short("mug", 2, Some(1)));
    assert_eq!(table.both().await, (1, 10), "of the cups, none is gone");
    assert_eq!(table.record().await, reserve().before);
}

#[tokio::test(start_paused = true)]
async fn of_several_shortages_the_first_in_the_order_of_the_lines_is_told() {
    let table = reserving().await;
    table.stock("mug", 0).await;
    table.stock("cup", 2).await;
    assert_eq!(table.write(&reserve()).await.unwrap(), short("cup", 3, Some(2)));
}

#[tokio::test(start_paused = true)]
async fn of_what_was_never_in_stock_nothing_is_left_to_tell() {
    let table = reserving().await;
    let request = table.observer.delete_item().table_name(&table.name).key("pk", s("STOCK#cup"));
    request.send().await.unwrap();
    assert_eq!(table.write(&reserve()).await.unwrap(), short("cup", 3, None));
    assert_eq!(table.available("mug").await, 10);
}

#[tokio::test(start_paused = true)]
async fn a_shortage_is_told_only_to_the_owner_of_an_order_that_is_not_cancelled() {
    let mine = held(Status::InProgress, RESERVE);
    for found in [
        Record { fence: Fence(4), ..mine.clone() },
        Record { owner: Owner("other".to_owned()), ..mine.clone() },
        Record { cancel_requested: Some("support".to_owned()), ..mine.clone() },
        Record { step: CHARGE.to_owned(), ..mine.clone() },
        Record { status: Status::Parked, ..mine.clone() },
    ] {
        let table = Table::new().await;
        table.put(&found).await;
        table.stock("mug", 0).await;
        assert_eq!(table.write(&reserve()).await.unwrap(), Written::Refused(Some(Box::new(found))));
    }
    let table = Table::new().await;
    table.stock("mug", 0).await;
    assert_eq!(table.write(&reserve()).await.unwrap(), Written::Refused(None));
}

#[tokio::test(start_paused = true)]
async fn a_zombie_moves_no_stock() {
    for write in [reserve(), release()] {
        let table = Table::new().await;
        let successor =
            protocol::take_over(&workflow(), write.before.as_ref().unwrap(), &claimant("successor"), NOW)
                .after;
        table.put(&successor).await;
        let written = table.write(&write).await.unwrap();
        assert_eq!(written, Written::Refused(Some(Box::new(successor.clone()))));
        assert_eq!((table.both().await, table.record().await), ((10, 10), Some(successor)));
    }
}

#[tokio::test(start_paused = true)]
async fn the_same_transaction_sent_twice_moves_stock_once_under_one_token() {
    for (write, stock) in [(reserve(), (8, 7)), (release(), (12, 13))] {
        let table = Table::new().await;
        table.put(write.before.as_ref().unwrap()).await;
        for _ in 0..3 {
            let written = table.write(&write).await.unwrap();
            assert_eq!(written, Written::Applied(Box::new(write.after.clone())));
        }
        assert_eq!(table.both().await, stock);
        let tokens = tokens(&table);
        assert!(tokens.iter().all(|token| *token == tokens[0]), "{tokens:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn other_content_under_the_same_token_is_looked_up_and_moves_nothing() {
    let table = reserving().await;
    table.write(&reserve()).await.unwrap();
    let mut other = reserve();
    other.stock = vec![StockMove::Reserve("mug".parse().unwrap(), 1)];
    let written = table.write(&other).await.unwrap();
    assert_eq!(written, Written::Refused(Some(Box::new(reserve().after))));
    assert_eq!(table.both().await, (8, 7));
    assert_eq!(table.requests(), ["TransactWriteItems", "TransactWriteItems", "GetItem"]);
}

#[tokio::test(start_paused = true)]
async fn every_order_step_and_fence_has_a_token_of_its_own_within_dynamodbs_limit() {
    let table = Table::new().await;
    let longest = "o".repeat(128);
    let of = |pk: &str, step: &str, fence: u64| {
        let mut write = reserve();
        for record in [write.before.as_mut().unwrap(), &mut write.after] {
            record.pk = format!("ORDER#{pk}");
            record.fence = Fence(fence);
        }
        write.before.as_mut().unwrap().step = step.to_owned();
        write
    };
    let writes = [
        of("ord-1", RESERVE, 1),
        of("ord-2", RESERVE, 1),
        of("ord-1", TELL, 1),
        of("ord-1", RESERVE, 2),
        of("ord-1", RESERVE, u64::MAX),
        of(&longest, RESERVE, 1),
    ];
    for write in &writes {
        table.write(write).await.unwrap();
    }
    let mut tokens = tokens(&table);
    assert!(tokens.iter().all(|token| (1..=36).contains(&token.len())), "{tokens:?}");
    tokens.sort();
    tokens.dedup();
    assert_eq!(tokens.len(), writes.len());
}
