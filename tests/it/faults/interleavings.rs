//! Interleavings in which somebody else acts between a crash and the next delivery.

use futures_util::future::join_all;
use order_processor::local::faults::{Fault, Landing};
use order_processor::protocol;
use serde_json::{Value, json};

use super::branch::Branch;
use super::case::Case;
use super::check::check;
use super::doubles::{ATTEMPTS, given_up, in_front_of_each_later_request};
use super::paths::{HAPPY, OUT_OF_STOCK, Path, REFUND};
use super::play::{Play, messages};
use super::sweep::{self, in_paused_time};
use crate::world::{Message, message, order_json, raw};

/// A crash after each request of the path.
fn crashes(path: Path) -> Vec<Case> {
    let calm = Case::calm(path);
    let requests = sweep::play(&calm).unwrap().requests.len();
    (1..=requests).map(|number| calm.and(number, number, Fault::CrashAfter)).collect()
}

async fn must_be_well(case: &Case, play: &mut Play, what: &str) {
    let wrong = check(case, play).await;
    assert!(wrong.is_empty(), "{what}, {case}: {wrong:#?}");
}

#[test]
fn an_order_refused_and_told_is_not_revived_by_new_stock() {
    let crashes = crashes(OUT_OF_STOCK);
    let refused = crashes.iter().filter(|case| in_paused_time(restocked_after(case))).count();
    assert!(0 < refused && refused < crashes.len(), "{refused} of {}", crashes.len());
}

/// Whether the order was refused before the stock came.
async fn restocked_after(crash: &Case) -> bool {
    let (mut case, mut play) = (crash.clone(), Play::of(crash).await);
    let again = play.deliver(messages(&case)).await;
    let told = play.world.faults.log().iter().any(|passage| passage.operation == "SQS SendMessage");
    let refused = play.watch.look(play.world.aws(), "ord-1") != "IN_PROGRESS";
    assert!(!told || refused, "{case}: told before it was written down");
    if !refused {
        case.path.ends = HAPPY.ends;
    }
    play.world.stock("mug", 20).await;
    play.mugs = 20;
    play.go_on_with(&case, again).await;
    must_be_well(&case, &mut play, "restocked").await;
    refused
}

#[test]
fn a_message_rebuilt_by_its_producer_resumes_the_order() {
    for case in [crashes(HAPPY), crashes(REFUND)].concat() {
        in_paused_time(async {
            let mut play = Play::of(&case).await;
            play.deliver(messages(&case)).await;
            let mut rebuilt = order_json("ord-1");
            rebuilt["placed_at"] = json!("2026-11-24T01:00:01.5Z");
            rebuilt["metadata"] = json!({ "attempt": "2" });
            play.go_on_with(&case, vec![message("m2", &rebuilt)]).await;
            must_be_well(&case, &mut play, "rebuilt").await;
        });
    }
}

#[test]
fn a_finish_that_is_under_way_while_its_owner_gives_up_is_the_one_answer() {
    for path in [HAPPY, REFUND] {
        let calm = Case::calm(path);
        let finish = sweep::play(&calm).unwrap().requests.len();
        let in_flight = given_up(&calm.and(finish, finish, Fault::LandLate(Landing::OnRelease)));
        let at_the_end = sweep::play(&in_flight).unwrap();
        let before_the_look = finish + ATTEMPTS;
        for (number, case) in (before_the_look..).zip(in_front_of_each_later_request(&at_the_end)) {
            let played = sweep::play(&case).unwrap_or_else(|wrong| panic!("{wrong}"));
            assert!(played.branches.contains(&Branch::LookedUp), "{case}");
            // What the look shows is the end of it; what it does not show is given up.
            assert_eq!(played.deliveries == 1, number == before_the_look, "{case}");
        }
    }
}

/// A worker dies; its successor's takeover is applied, sent again by the SDK, and the successor dies as well. What was
/// sent again lands in front of every request of the one after that.
#[test]
fn a_takeover_that_lands_once_more_takes_nothing_from_the_next_owner() {
    let overtaken: Case =
        "happy 1:CrashAfter 3:LoseResponse 4:LandLate@end 5:Hang 7:CrashBefore".parse().unwrap();
    let played = sweep::play(&overtaken).unwrap();
    assert_eq!((played.deliveries, played.requests.len()), (3, 16));
    for number in 8..=played.requests.len() {
        let mut case = overtaken.clone();
        case.strikes[2].fault = Fault::LandLate(Landing::Before(number));
        let played = sweep::play(&case).unwrap_or_else(|wrong| panic!("{wrong}"));
        assert_eq!(played.deliveries, 3, "{case}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_resume_that_crashed_before_it_sent_the_message_loses_nothing() {
    let case: Case = "last-receive 3:LoseResponse".parse().unwrap();
    for redriven in [true, false] {
        for repeated in [true, false] {
            let mut play = Play::of(&case).await;
            assert!(play.deliver(messages(&case)).await.is_empty(), "it is parked");
            let written = play.write_resume("ord-1").await;
            let mut arrives: Vec<Message> = Vec::new();
            if redriven {
                arrives.push(messages(&case).remove(0).received(1));
            }
            if repeated || !redriven {
                let record = play.world.record("ord-1").await.unwrap();
                assert_eq!(
                    protocol::resume(&record, play.world.clock.now()),
                    Ok(None),
                    "only to be sent again"
                );
                assert_eq!(record.order.as_ref(), Some(&written));
                arrives.push(raw("resumed", &written));
            }
            play.go_on_with(&case, arrives).await;
            must_be_well(&case, &mut play, "resumed").await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn ten_workers_race_for_one_order_and_one_runs_it() {
    let case = Case::calm(HAPPY);
    let mut play = Play::of(&case).await;
    let world = play.world.clone();
    let workers: Vec<_> = (0..10).map(|_| world.worker()).collect();
    let order: Value = order_json("ord-1");
    let messages: Vec<_> = (0..10).map(|n| [message(&format!("m{n}"), &order)]).collect();
    let races = workers.iter().zip(&messages).map(|(worker, messages)| world.deliver_to(worker, messages));
    let outcomes = join_all(races).await;
    assert!(outcomes.iter().any(|outcome| outcome.failed.is_empty()), "{outcomes:?}");
    must_be_well(&case, &mut play, "race").await;
    assert_eq!(world.record("ord-1").await.unwrap().attempts, 1);
}
