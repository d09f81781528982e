//! `GET /v1/payment_intents`: by when they were made, a page at a time.

use super::*;

fn ids(list: &Response) -> Vec<String> {
    assert_eq!(list.status, 200, "{list:?}");
    let data = list.body["data"].as_array().unwrap().iter();
    data.map(|payment| payment["id"].as_str().unwrap().to_owned()).collect()
}

/// A provider with so many payments, an hour apart, and the moment of the first in seconds.
async fn with_payments(count: usize) -> (World, u64) {
    let world = World::new();
    let first = world.now.load(Ordering::Relaxed) / 1000;
    for number in 1..=count {
        assert_eq!(world.charge(&format!("key-{number}"), CHARGE).await.status, 200);
        world.pass(Duration::from_secs(3600));
    }
    (world, first)
}

#[tokio::test]
async fn payments_are_listed_newest_first_from_a_moment_on() {
    let (world, first) = with_payments(4).await;
    let named = |number: usize| format!("pi_{number:024}");
    assert_eq!(ids(&world.get("/v1/payment_intents").await), [4, 3, 2, 1].map(named));
    for (from, expected) in [(first, 4), (first + 1, 3), (first + 3600, 3), (first + 4 * 3600, 0)] {
        let list = world.get(&format!("/v1/payment_intents?created[gte]={from}")).await;
        assert_eq!(ids(&list), [4, 3, 2, 1].map(named)[..expected], "{from}");
        assert_eq!(list.body["has_more"], false);
    }
}

#[tokio::test]
async fn a_page_says_whether_there_are_more_and_the_next_begins_after_its_last() {
    let (world, first) = with_payments(5).await;
    let (mut seen, mut after, mut pages) = (Vec::new(), String::new(), 0);
    loop {
        let list = world.get(&format!("/v1/payment_intents?created[gte]={first}&limit=2{after}")).await;
        let page = ids(&list);
        pages += 1;
        after = format!("&starting_after={}", page.last().unwrap());
        seen.extend(page);
        if list.body["has_more"] == false {
            break;
        }
    }
    assert_eq!(pages, 3);
    assert_eq!(seen, [5, 4, 3, 2, 1].map(|number| format!("pi_{number:024}")));
    let (world, _) = with_payments(11).await;
    let usual = world.get("/v1/payment_intents").await;
    assert_eq!((ids(&usual).len(), &usual.body["has_more"]), (10, &json!(true)));
}

#[tokio::test]
async fn what_no_list_can_be_made_of_is_refused() {
    let (world, _) = with_payments(1).await;
    for query in ["limit=0", "limit=101", "limit=a", "created[gte]=a", "starting_after=pi_9", "order=ord-1"] {
        let list = world.get(&format!("/v1/payment_intents?{query}")).await;
        assert_eq!(list.status, 400, "{query}: {list:?}");
    }
}
