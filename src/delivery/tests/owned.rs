//! An owned order, from checkpoint to checkpoint.

use super::*;
use crate::workflow::Migration;

/// The record with a wish to cancel.
fn cancelled(record: Record) -> Record {
    Record { cancel_requested: Some("support".to_owned()), ..record }
}

#[track_caller]
fn turns_back(play: &Play<'_>, reason: Reason) {
    let after = &play.write().after;
    assert_eq!(after.status, Status::Compensating);
    assert_eq!(after.outcomes.refusal().map(|refusal| refusal.reason), Some(reason));
}

#[test]
fn a_step_that_an_owner_before_may_have_called_has_the_age_of_the_claim_and_later_ones_are_new() {
    let scene = Scene::new();
    let play = scene.resuming(scene.left_at(Status::InProgress, CHARGE));
    assert_eq!(play.due().key_age, Duration::from_millis(CLAIMED_AGO));
    let play = play.called(Ending::Done(paid())).applied();
    assert_eq!((play.due().key.as_str(), play.due().key_age), ("ord-1:dispatch_shipment", Duration::ZERO));
}

#[test]
fn an_operators_word_makes_a_key_new() {
    let scene = Scene::new();
    let epoch = Some(UnixMillis(NOW.0 - 7));
    let left = Record { key_epoch_ms: epoch, ..scene.left_at(Status::InProgress, CHARGE) };
    assert_eq!(scene.resuming(left).due().key_age, Duration::from_millis(7));
}

#[test]
fn an_outcome_that_an_operator_stated_is_concluded_without_a_call() {
    let scene = Scene::new();
    let left = scene.left_at(Status::InProgress, CHARGE);
    let stated = Record { outcomes: left.outcomes.with(CHARGE, paid()), ..left };
    let play = scene.resuming(stated.clone());
    assert_eq!(play.write().after.step, SHIP);
    turns_back(&scene.resuming(cancelled(stated)), Reason::Cancelled);
}

#[test]
fn an_order_that_somebody_finished_meanwhile_is_answered_with_the_result() {
    let scene = Scene::new();
    let (status, result) = (Status::Rejected, Some("{the answer}".to_owned()));
    let finished = Record { status, result, ..scene.left_at(Status::InProgress, CHARGE) };
    let play = scene.begin().then(applied(finished.clone()));
    let answer = "{the answer}".to_owned();
    play.ends_with(&Disposition::Finished { now: Some(Status::Rejected), result: answer.clone() });
    let overtaken = scene.begin().applied().refused(finished);
    overtaken.ends_with(&Disposition::Finished { now: None, result: answer });
}

#[test]
fn too_little_in_stock_turns_the_order_back_to_its_customer() {
    let scene = Scene::new();
    let shortage = protocol::Shortage { sku: "mug".parse().unwrap(), wanted: 2, left: Some(1) };
    let play = scene.begin().applied().then(Event::Written(Written::Short(shortage)));
    turns_back(&play, Reason::OutOfStock);
    let play = play.applied();
    assert_eq!((play.due().key.as_str(), play.due().key_age), ("ord-1:notify_customer", Duration::ZERO));
}

#[test]
fn a_refused_payment_is_written_down_and_told_before_the_stock_goes_back() {
    let scene = Scene::new();
    let play = scene.resuming(scene.left_at(Status::InProgress, CHARGE));
    let play = play.called(Ending::Refused(declined()));
    turns_back(&play, Reason::PaymentDeclined);
    let play = play.applied();
    assert_eq!(play.due().key, "ord-1:notify_customer");
    assert_eq!(play.due().refusal, Some(declined()));
    let play = play.called(Ending::Done(Outcome::nothing()));
    assert_eq!((play.write().after.status, play.write().stock.len()), (Status::Rejected, 1));
    let result = play.write().after.result.clone().unwrap();
    play.applied().ends_with(&Disposition::Finished { now: Some(Status::Rejected), result });
}

#[test]
fn an_order_that_is_to_be_cancelled_reserves_nothing() {
    let scene = Scene::new();
    let play = scene.resuming(cancelled(scene.left_at(Status::InProgress, RESERVE)));
    turns_back(&play, Reason::Cancelled);
    assert!(play.write().stock.is_empty());
}

#[test]
fn a_wish_to_cancel_that_the_reservation_meets_turns_the_order_back() {
    let scene = Scene::new();
    let reserving = scene.begin().applied();
    let held = reserving.course.held().cloned().unwrap();
    let play = reserving.refused(cancelled(held));
    turns_back(&play, Reason::Cancelled);
    assert_eq!(play.write().after.outcomes.get(RESERVE), None, "nothing was reserved");
}

#[test]
fn a_wish_to_cancel_lets_the_payment_settle_and_then_turns_the_order_back() {
    let scene = Scene::new();
    let left = scene.left_at(Status::InProgress, CHARGE);
    let known_before = scene.resuming(cancelled(left.clone())).called(Ending::Done(paid()));
    let paying = scene.resuming(left);
    let held = paying.course.held().cloned().unwrap();
    let seen_after = paying.called(Ending::Done(paid())).refused(cancelled(held));
    for play in [known_before, seen_after] {
        turns_back(&play, Reason::Cancelled);
        assert_eq!(play.write().after.outcomes.get(CHARGE), Some(&paid().at(NOW)), "to be refunded");
        assert_eq!(play.applied().due().key, "ord-1:refund_payment");
    }
}

#[test]
fn a_wish_to_cancel_changes_nothing_after_the_point_of_no_return_or_on_the_way_back() {
    let scene = Scene::new();
    let left_at = |status, step| cancelled(scene.left_at(status, step));
    let shipping = left_at(Status::InProgress, TELL);
    let shipping = Record { outcomes: shipping.outcomes.with(SHIP, shipped().at(NOW)), ..shipping };
    let told = scene.resuming(shipping).called(Ending::Done(Outcome::nothing()));
    assert_eq!(told.write().after.status, Status::Completed);
    let refunded = scene.resuming(left_at(Status::Compensating, REFUND)).called(Ending::Done(shipped()));
    let after = &refunded.write().after;
    assert_eq!((after.status, after.step.as_str()), (Status::Compensating, TELL));
    assert_eq!(after.outcomes.get(REFUND), Some(&shipped().at(NOW)));
}

#[test]
fn an_order_that_was_cancelled_and_may_have_been_shipped_waits_for_a_person() {
    let scene = Scene::new();
    let play = scene.resuming(cancelled(scene.left_at(Status::InProgress, SHIP)));
    let reason = "somebody asked to cancel at dispatch_shipment, where it is too late under this workflow";
    assert_eq!(play.write().after.parked_reason.as_deref(), Some(reason));
}

#[test]
fn an_order_that_was_cancelled_turns_back_wherever_a_migration_leads_it() {
    for to in [RESERVE, CHARGE, SHIP, TELL] {
        let migration = Migration { moves: Box::leak(Box::new([("pack_order", to)])) };
        let scene = Scene { workflow: workflow().migrated_by(&[migration]), ..Scene::new() };
        let left = scene.left_at(Status::InProgress, SHIP);
        let left = Record { step: "pack_order".to_owned(), workflow_version: 1, ..left };
        let looked = scene.begin().refused(left.clone());
        assert_eq!(looked.write().after.step, to);
        // Somebody cancels between the look and the takeover.
        let play = looked.refused(cancelled(left));
        let after = &play.write().after;
        assert_eq!((after.status, after.step.as_str()), (Status::Compensating, REFUND), "{to}");
        assert_eq!(after.outcomes.refusal(), Some(Refusal::cancelled()));
        assert_eq!(play.applied().due().key, "ord-1:refund_payment");
    }
}

#[test]
fn a_refusal_that_the_table_cannot_mean_brings_the_message_back() {
    let scene = Scene::new();
    let shortage = protocol::Shortage { sku: "mug".parse().unwrap(), wanted: 2, left: None };
    let play = scene.resuming(scene.left_at(Status::InProgress, CHARGE)).called(Ending::Done(paid()));
    let play = play.then(Event::Written(Written::Short(shortage)));
    assert_eq!(play.write().after.lease_until_ms, Some(UnixMillis(0)), "the order is given up");
    play.applied().ends_with(&retry("the table refused a write for no reason that it can have"));
}

#[test]
fn an_owners_write_whose_answer_was_lost_is_gone_on_with() {
    let scene = Scene::new();
    for play in [
        scene.begin().applied(),
        scene.resuming(scene.left_at(Status::InProgress, CHARGE)).called(Ending::Done(paid())),
    ] {
        let mine = play.write().after.clone();
        let play = play.refused(mine.clone());
        assert_eq!(play.course.held(), Some(&mine));
        assert_eq!(play.due().held, mine);
    }
}

#[test]
fn a_worker_that_lost_its_lease_writes_and_calls_nothing_more() {
    let scene = Scene::new();
    let other = |until| {
        let successor = Claimant { owner: Owner("successor".to_owned()), lease_until: until };
        protocol::take_over(&workflow(), &scene.left_at(Status::InProgress, CHARGE), &successor, NOW).after
    };
    let (live, over) = (UnixMillis(NOW.0 + 1), NOW);
    let lost = || retry("the lease is lost");
    let parked = Record { lease_until_ms: None, status: Status::Parked, ..other(live) };
    for (found, disposition) in
        [(other(live), Disposition::Busy { until: live }), (other(over), lost()), (parked, lost())]
    {
        let reserving = scene.begin().applied();
        let paying = || scene.begin().applied().applied();
        let concluding = paying().called(Ending::Done(paid()));
        let parking = paying().called(Ending::Unknown("who knows".to_owned()));
        for play in [reserving, concluding, parking] {
            let play = play.refused(found.clone());
            play.ends_with(&disposition);
            assert_eq!((play.end().attempt, play.end().lost_lease), (Some(1), true));
        }
    }
    let gone = scene.begin().applied().then(Event::Written(Written::Refused(None)));
    gone.ends_with(&lost());
    assert!(gone.end().lost_lease);
}

/// A scene whose payments are asked of `provider`.
fn paying(provider: &'static str) -> Scene {
    let workflow = workflow();
    let callees = workflow.steps().map(|(_, step)| Some(provider).filter(|_| step.name == CHARGE)).collect();
    Scene { workflow: workflow.asking(callees), ..Scene::new() }
}

#[test]
fn an_order_that_may_have_been_with_another_callee_waits_for_a_person() {
    let (before, now) = (paying("stripe"), paying("sandbox"));
    let reserved = before.begin().applied().write().after.clone();
    assert_eq!((reserved.step.as_str(), reserved.callee.as_deref()), (CHARGE, Some("stripe")));
    let lapsed = Record { lease_until_ms: Some(NOW), owner: Owner("other".to_owned()), ..reserved };
    let parked = now.resuming(lapsed.clone());
    let reason = "stripe may have been asked for charge_payment: sandbox cannot know";
    assert_eq!(parked.write().after.parked_reason.as_deref(), Some(reason));
    let charged = before.resuming(lapsed.clone()).called(Ending::Done(paid()));
    assert_eq!(charged.write().after.callee, None, "whoever ships has no name");
    let unnamed = now.resuming(Record { callee: None, ..lapsed.clone() });
    assert_eq!(
        unnamed.due().held.callee.as_deref(),
        Some("sandbox"),
        "from the takeover on, it is written down"
    );

    let stated =
        protocol::mark(&now.workflow, &parked.write().after, CHARGE, protocol::Statement::NotDone, NOW);
    let resumed = protocol::resume(&stated.unwrap().after, NOW).unwrap().expect("it is parked").after;
    let resumed = Record { owner: Owner("other".to_owned()), ..resumed };
    assert_eq!(now.resuming(resumed).due().key, "ord-1:charge_payment:2");
}

/// Who charged is on the charge, and whoever else was asked to refund it has refused.
#[test]
fn a_step_is_undone_by_who_did_it_whoever_refused_to_meanwhile() {
    let scene = paying("stripe");
    let turned = |charge: Outcome| {
        let left = scene.left_at(Status::Compensating, REFUND);
        Record { outcomes: left.outcomes.with(CHARGE, charge), callee: Some("sandbox".to_owned()), ..left }
    };
    let known = scene.resuming(turned(paid().and("provider", "stripe")));
    assert_eq!(known.due().key, "ord-1:refund_payment");
    let unknown = scene.resuming(turned(paid()));
    let reason = "sandbox may have been asked for refund_payment: stripe cannot know";
    assert_eq!(unknown.write().after.parked_reason.as_deref(), Some(reason));
}
