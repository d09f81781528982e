//! Whose the order is.

use super::*;
use crate::order::Fingerprint;

/// The scene of an order that was placed at this moment.
fn placed(at: UnixMillis) -> Scene {
    let scene = Scene::new();
    Scene { order: Order { placed_at: at, ..scene.order.clone() }, ..scene }
}

fn found(play: Play<'_>, record: Option<Record>) -> Play<'_> {
    assert_eq!(play.command, Command::Find);
    play.then(Event::Found(record.map(Box::new)))
}

#[test]
fn an_order_is_claimed_as_new_until_the_end_of_its_age_and_not_a_millisecond_later() {
    let age = whole(Scene::new().rules.max_order_age);
    let last = placed(UnixMillis(NOW.0 - age));
    assert!(last.begin().write().guard.absent);
    let late = placed(UnixMillis(NOW.0 - age - 1));
    found(late.begin(), None).ends_with(&Disposition::Stale);
    found(late.begin(), Some(late.left_at(Status::InProgress, RESERVE))).write();
}

#[test]
fn an_order_is_claimed_as_new_up_to_an_hour_in_the_future_and_not_a_millisecond_more() {
    let last = placed(NOW + MAX_FUTURE);
    assert!(last.begin().write().guard.absent);
    let early = placed(UnixMillis(NOW.0 + whole(MAX_FUTURE) + 1));
    found(early.begin(), None).ends_with(&Disposition::Future);
    found(early.begin(), Some(early.left_at(Status::InProgress, RESERVE))).write();
}

fn whole(duration: Duration) -> u64 {
    crate::clock::whole_millis(duration)
}

#[test]
fn an_order_that_may_not_be_claimed_is_only_looked_for() {
    let scene = Scene { may_claim: false, ..Scene::new() };
    let none = found(scene.begin(), None);
    none.ends_with(&retry("the order has no record"));
    assert_eq!((none.end().attempt, none.end().took_over, none.end().lost_lease), (None, false, false));
    let there = found(scene.begin(), Some(scene.left_at(Status::InProgress, CHARGE)));
    assert_eq!(there.write().after.owner, scene.claimant.owner, "it is taken over");
}

#[test]
fn a_delivery_without_time_for_a_call_does_not_even_begin() {
    let scene = Scene::new();
    scene.begin_at(Moment { now: NOW, call: None }).ends_with(&Disposition::Deferred);
}

#[test]
fn a_record_that_is_there_says_how_the_delivery_ends() {
    let scene = Scene::new();
    let other = scene.left_at(Status::InProgress, CHARGE);
    let stored = Fingerprint::stored("v1:other");
    let result = Some("{the answer}".to_owned());
    for (record, disposition) in [
        (Record { fingerprint: stored.clone(), ..other.clone() }, Disposition::Conflict { stored }),
        (
            Record { status: Status::Completed, result, ..other.clone() },
            Disposition::Finished { now: None, result: "{the answer}".to_owned() },
        ),
        (Record { status: Status::Parked, ..other.clone() }, Disposition::Parked { reason: None }),
        (
            Record { lease_until_ms: Some(UnixMillis(NOW.0 + 1)), ..other.clone() },
            Disposition::Busy { until: UnixMillis(NOW.0 + 1) },
        ),
        (
            Record { workflow_version: 2, ..other.clone() },
            retry("workflow version 2 is not known to this code"),
        ),
    ] {
        let play = scene.begin().refused(record.clone());
        play.ends_with(&disposition);
        assert_eq!((play.end().attempt, play.end().took_over), (None, false));
        let looking = Scene { may_claim: false, ..Scene::new() };
        found(looking.begin(), Some(record.clone())).ends_with(&disposition);
        scene.begin().refused(other.clone()).refused(record).ends_with(&disposition);
    }
}

#[test]
fn a_claim_whose_answer_was_lost_is_gone_on_with() {
    let scene = Scene::new();
    let mine = scene.begin().write().after.clone();
    let play = scene.begin().refused(mine.clone());
    assert_eq!(play.course.held(), Some(&mine));
    assert_eq!(play.write().after.step, CHARGE, "the stock is reserved");
}

#[test]
fn a_lapsed_order_is_taken_over_at_its_step() {
    let scene = Scene::new();
    let left = scene.left_at(Status::InProgress, SHIP);
    let taking_over = scene.begin().refused(left.clone());
    assert_eq!(*taking_over.write(), protocol::take_over(&workflow(), &left, &scene.claimant, NOW));
    assert_eq!(taking_over.course.held(), None);
    let play = taking_over.applied();
    assert_eq!(play.due().key, "ord-1:dispatch_shipment");
    let down = play.called(Ending::Unavailable("down".to_owned())).applied();
    assert_eq!((down.end().attempt, down.end().took_over), (Some(2), true));
}

#[test]
fn a_takeover_is_tried_three_times_against_faster_workers() {
    let scene = Scene::new();
    let left = |fence| Record { fence: Fence(fence), ..scene.left_at(Status::InProgress, CHARGE) };
    let mut play = scene.begin().refused(left(1));
    for race in 1..3 {
        assert_eq!(play.write().guard.fence, Some(Fence(race)));
        play = play.refused(left(race + 1));
    }
    assert_eq!(play.write().guard.fence, Some(Fence(3)));
    play.refused(left(4)).ends_with(&retry("other workers were faster"));
}

#[test]
fn a_table_without_an_answer_and_a_record_that_is_gone_bring_the_message_back() {
    let scene = Scene::new();
    let looking = Scene { may_claim: false, ..Scene::new() };
    let taking_over = || scene.begin().refused(scene.left_at(Status::InProgress, CHARGE));
    for play in [scene.begin(), taking_over(), looking.begin()] {
        play.then(Event::NoAnswer("throttled".to_owned())).ends_with(&retry("throttled"));
    }
    for play in [scene.begin(), taking_over()] {
        let gone = play.then(Event::Written(Written::Refused(None)));
        gone.ends_with(&retry("the order has no record"));
    }
}
