//! What a worker writes.

use std::time::Duration;

use super::*;
use crate::clock::UnixSeconds;
use crate::order::Sku;
use crate::record::Reason;

const DAY: Duration = Duration::from_secs(86_400);

#[test]
fn a_claim_puts_a_fresh_record_where_there_is_none() {
    let write = claim(&workflow(), &order(), &claimant("me"), NOW);
    assert_eq!(write.guard, Guard { absent: true, ..Guard::default() });
    assert_eq!((&write.before, write.stock.len()), (&None, 0));
    let expected = serde_json::json!({
        "pk": "ORDER#ord-1", "status": "IN_PROGRESS", "fence": 1, "owner": "me",
        "lease_until_ms": 1_015_000, "step": "reserve_inventory", "outcomes": {},
        "fingerprint": order().fingerprint(), "workflow_version": 1,
        "claimed_at_ms": 1_000_000, "updated_at_ms": 1_000_000, "attempts": 1,
    });
    assert_eq!(serde_json::Value::from(write.after.attributes()), expected, "and no expires_at");
}

#[test]
fn a_claim_holds_only_where_there_is_no_record() {
    let guard = claim(&workflow(), &order(), &claimant("me"), NOW).guard;
    for record in every_record() {
        assert_eq!(guard.holds(record.as_ref()), record.is_none());
    }
}

#[test]
fn a_takeover_moves_the_fence_the_owner_and_the_lease_and_nothing_of_the_order() {
    for (status, step) in [(Status::InProgress, CHARGE), (Status::Compensating, REFUND)] {
        let seen = Record { order: Some("{the message}".to_owned()), ..held(status, step) };
        let write = take_over(&workflow(), &seen, &claimant("other"), NOW);
        changes(&write, &seen, &["attempts", "fence", "lease_until_ms", "order", "owner", "updated_at_ms"]);
        let after = &write.after;
        assert_eq!((after.fence, after.attempts, &after.owner), (Fence(4), 4, &owner("other")));
        assert_eq!((after.lease_until_ms, &after.order), (Some(UnixMillis(1_015_000)), &None));
        assert_eq!(write.stock, []);
    }
}

#[test]
fn a_takeover_holds_on_any_unfinished_record_of_the_fence_that_was_seen_and_on_no_other() {
    let guard = take_over(&workflow(), &held(Status::InProgress, CHARGE), &claimant("other"), NOW).guard;
    for record in every_record() {
        let expected = record.as_ref().is_some_and(|record| {
            record.fence == Fence(3) && [Status::InProgress, Status::Compensating].contains(&record.status)
        });
        assert_eq!(guard.holds(record.as_ref()), expected, "{record:?}");
    }
}

#[test]
fn a_checkpoint_writes_the_outcome_and_the_next_step() {
    let before = held(Status::InProgress, CHARGE);
    let write = checkpoint(&workflow(), &before, paid(), Position::Forward(step(SHIP)), NOW);
    changes(&write, &before, &["outcomes", "step", "updated_at_ms"]);
    assert_eq!((write.after.step.as_str(), write.after.updated_at_ms), (SHIP, NOW));
    let outcome = write.after.outcomes.get(CHARGE).unwrap();
    assert_eq!((outcome.text("payment_id"), outcome.done_at()), (Some("pi_1"), Some(NOW)));
    assert_eq!(write.stock, []);
}

#[test]
fn only_checkpoints_at_which_the_order_can_be_cancelled_mind_a_cancellation() {
    let workflow = workflow();
    let forward = |due, to| {
        let write =
            checkpoint(&workflow, &held(Status::InProgress, due), paid(), Position::Forward(step(to)), NOW);
        (write.guard, mine_at(Status::InProgress, due))
    };
    let (charge, expected) = forward(CHARGE, SHIP);
    assert_eq!(charge, Guard { not_cancelled: true, ..expected });
    let (ship, expected) = forward(SHIP, TELL);
    assert_eq!(ship, expected);

    let before = held(Status::InProgress, RESERVE);
    let reserve = reserve(&workflow, &before, &order(), step(CHARGE), NOW);
    assert_eq!(reserve.guard, Guard { not_cancelled: true, ..mine_at(Status::InProgress, RESERVE) });

    let before = held(Status::Compensating, REFUND);
    let undo = checkpoint(&workflow, &before, Outcome::nothing(), Position::Backward(step(TELL)), NOW);
    assert_eq!(undo.guard, mine_at(Status::Compensating, REFUND));
    assert_eq!(undo.after.step, TELL);
}

#[test]
fn a_checkpoint_holds_only_for_the_owner_at_the_step_it_is_about() {
    let before = held(Status::InProgress, CHARGE);
    let guard = checkpoint(&workflow(), &before, paid(), Position::Forward(step(SHIP)), NOW).guard;
    for record in every_record() {
        let expected = record.as_ref().is_some_and(|record| {
            (record.fence, record.owner.0.as_str()) == (Fence(3), "me")
                && (record.status, record.step.as_str()) == (Status::InProgress, CHARGE)
                && record.cancel_requested.is_none()
        });
        assert_eq!(guard.holds(record.as_ref()), expected, "{record:?}");
    }
}

#[test]
fn a_reservation_moves_every_line_of_the_order_with_its_checkpoint() {
    let before = held(Status::InProgress, RESERVE);
    let write = reserve(&workflow(), &before, &order(), step(CHARGE), NOW);
    changes(&write, &before, &["outcomes", "reserved_at_ms", "step", "updated_at_ms"]);
    let (cup, mug): (Sku, Sku) = ("cup".parse().unwrap(), "mug".parse().unwrap());
    assert_eq!(write.stock, [StockMove::Reserve(cup.clone(), 3), StockMove::Reserve(mug.clone(), 2)]);
    assert!(write.reserves());
    let outcome = write.after.outcomes.get(RESERVE).unwrap();
    assert_eq!(outcome.quantities(), [(cup, 3), (mug, 2)], "and no time among them");
    assert_eq!((write.after.reserved_at_ms, write.after.step.as_str()), (Some(NOW), CHARGE));
}

fn ending(status: Status, placed_at: UnixMillis) -> Ending {
    Ending { status, result: "{the answer}".to_owned(), retention: 30 * DAY, placed_at }
}

#[test]
fn a_completed_order_keeps_its_stock_and_loses_its_lease() {
    let before = held(Status::InProgress, TELL);
    let ending = ending(Status::Completed, UnixMillis(600_000));
    let write = finish(&workflow(), &before, Outcome::nothing(), &ending, NOW);
    let changed = ["expires_at", "lease_until_ms", "outcomes", "result", "status", "updated_at_ms"];
    changes(&write, &before, &changed);
    assert_eq!(write.guard, mine_at(Status::InProgress, TELL));
    assert_eq!(write.stock, []);
    let after = &write.after;
    assert_eq!((after.status, after.result.as_deref()), (Status::Completed, Some("{the answer}")));
    assert_eq!((after.lease_until_ms, after.step.as_str()), (None, TELL));
    assert_eq!(after.outcomes.get(TELL).unwrap().done_at(), Some(NOW));
    let asked = Record { callee: Some("stripe".to_owned()), ..before };
    let after = finish(&workflow(), &asked, Outcome::nothing(), &ending, NOW).after;
    assert_eq!(after.callee, None, "nobody is asked any more");
}

#[test]
fn a_rejected_order_releases_what_it_reserved_in_the_write_that_ends_it() {
    let before = held(Status::Compensating, TELL);
    let ending = ending(Status::Rejected, UnixMillis(600_000));
    let write = finish(&workflow(), &before, Outcome::nothing(), &ending, NOW);
    assert_eq!(write.guard, mine_at(Status::Compensating, TELL));
    let released = [("cup", 3), ("mug", 2)].map(|(sku, n)| StockMove::Release(sku.parse().unwrap(), n));
    assert_eq!(write.stock, released);
    assert!(!write.reserves());

    let before = Record { outcomes: Outcomes::default(), ..before };
    let write = finish(&workflow(), &before, Outcome::nothing(), &ending, NOW);
    assert_eq!(write.stock, [], "nothing was reserved");
}

#[test]
fn a_record_expires_after_the_retention_counted_from_the_later_of_its_end_and_its_placing() {
    let thirty_days = 30 * 86_400;
    for (placed_at_ms, expires_at) in [
        (0, 1_000 + thirty_days),
        (1_000_000, 1_000 + thirty_days),
        (1_000_001, 1_001 + thirty_days),
        (4_600_000, 4_600 + thirty_days),
    ] {
        for (status, from) in
            [(Status::Completed, Status::InProgress), (Status::Rejected, Status::Compensating)]
        {
            let ending = ending(status, UnixMillis(placed_at_ms));
            let write = finish(&workflow(), &held(from, TELL), Outcome::nothing(), &ending, NOW);
            let expected = Some(UnixSeconds(expires_at));
            assert_eq!(write.after.expires_at, expected, "{status}, placed at {placed_at_ms}");
        }
    }
}

#[test]
fn compensation_begins_with_the_refusal_written_down() {
    let before = held(Status::InProgress, CHARGE);
    let write = begin_compensation(&workflow(), &before, None, &refusal(), step(TELL), NOW);
    changes(&write, &before, &["outcomes", "status", "step", "updated_at_ms"]);
    assert_eq!((write.after.status, write.after.step.as_str()), (Status::Compensating, TELL));
    assert_eq!(write.after.outcomes.refusal(), Some(refusal()));
    assert_eq!(write.after.outcomes.get(CHARGE), None, "it took no effect");
    assert_eq!(write.stock, [], "the stock is released by the end");
}

#[test]
fn compensation_after_a_cancellation_records_what_the_step_came_to_and_minds_no_cancellation() {
    let cancelled = Some("support".to_owned());
    let before = Record { cancel_requested: cancelled, ..held(Status::InProgress, CHARGE) };
    let reason = Refusal { reason: Reason::Cancelled, detail: "cancelled by support".to_owned() };
    let write = begin_compensation(&workflow(), &before, Some(paid()), &reason, step(CHARGE), NOW);
    assert_eq!(write.guard, mine_at(Status::InProgress, CHARGE));
    assert!(write.guard.holds(Some(&before)));
    assert_eq!(write.after.step, REFUND);
    assert_eq!(write.after.outcomes.get(CHARGE), Some(&paid().at(NOW)));
    assert_eq!(write.after.outcomes.refusal(), Some(reason));
}

#[test]
fn parking_keeps_the_message_and_where_the_order_was() {
    for (status, step) in [(Status::InProgress, CHARGE), (Status::Compensating, REFUND)] {
        let before = held(status, step);
        let write = park(&before, "outcome unknown", "{the message}", NOW);
        let changed = ["lease_until_ms", "order", "parked_from", "parked_reason", "status", "updated_at_ms"];
        changes(&write, &before, &changed);
        let after = &write.after;
        assert_eq!(
            (after.status, after.parked_from, after.lease_until_ms),
            (Status::Parked, Some(status), None)
        );
        assert_eq!(after.parked_reason.as_deref(), Some("outcome unknown"));
        assert_eq!(after.order.as_deref(), Some("{the message}"));
        assert_eq!(after.expires_at, None, "a parked record never expires");
    }
}

#[test]
fn giving_up_ends_the_lease_and_changes_nothing_else() {
    let before = held(Status::Compensating, REFUND);
    let write = give_up(&before, NOW);
    changes(&write, &before, &["lease_until_ms", "updated_at_ms"]);
    assert_eq!(write.after.lease_until_ms, Some(UnixMillis(0)));
}

#[test]
fn an_owner_may_give_up_an_unfinished_order_wherever_a_write_of_unknown_outcome_left_it() {
    let guard = give_up(&held(Status::InProgress, CHARGE), NOW).guard;
    for record in every_record() {
        let expected = record.as_ref().is_some_and(|record| {
            (record.fence, record.owner.0.as_str()) == (Fence(3), "me")
                && [Status::InProgress, Status::Compensating].contains(&record.status)
        });
        assert_eq!(guard.holds(record.as_ref()), expected, "{record:?}");
    }
}

/// Otherwise `parked_from` would say IN_PROGRESS of an order whose refusal is written down, and the operator who
/// resumes it would send it forward again.
#[test]
fn an_order_is_parked_only_from_the_status_in_which_its_owner_knows_it() {
    for status in Status::UNFINISHED {
        let guard = park(&held(status, TELL), "retries_exhausted", "{the message}", NOW).guard;
        for record in every_record() {
            let expected = record.as_ref().is_some_and(|record| {
                (record.fence, record.owner.0.as_str()) == (Fence(3), "me") && record.status == status
            });
            assert_eq!(guard.holds(record.as_ref()), expected, "{record:?}");
        }
    }
}

/// Every write of a worker, each for a record that it holds on.
fn every_write() -> Vec<Write> {
    let (workflow, order) = (workflow(), order());
    let going = |step: &str| held(Status::InProgress, step);
    let back = |step: &str| held(Status::Compensating, step);
    let end = |status| ending(status, NOW);
    vec![
        claim(&workflow, &order, &claimant("me"), NOW),
        take_over(&workflow, &going(CHARGE), &claimant("other"), NOW),
        reserve(&workflow, &going(RESERVE), &order, step(CHARGE), NOW),
        checkpoint(&workflow, &going(CHARGE), paid(), Position::Forward(step(SHIP)), NOW),
        checkpoint(&workflow, &back(REFUND), Outcome::nothing(), Position::Backward(step(TELL)), NOW),
        begin_compensation(&workflow, &going(CHARGE), None, &refusal(), step(TELL), NOW),
        finish(&workflow, &going(TELL), Outcome::nothing(), &end(Status::Completed), NOW),
        finish(&workflow, &back(TELL), Outcome::nothing(), &end(Status::Rejected), NOW),
        park(&going(CHARGE), "why", "{the message}", NOW),
        give_up(&going(CHARGE), NOW),
    ]
}

#[test]
fn every_write_holds_on_what_its_writer_knows_and_shows_in_what_it_writes() {
    for write in every_write() {
        assert!(write.guard.holds(write.before.as_ref()), "{write:?}");
        assert!(write.shows_in(&write.after), "{write:?}");
        assert!(!write.before.as_ref().is_some_and(|before| write.shows_in(before)), "{write:?}");
    }
}

#[test]
fn a_record_expires_only_once_it_is_finished() {
    for Write { after, .. } in every_write() {
        assert_eq!(after.expires_at.is_some(), after.status.is_finished(), "{after:?}");
        assert_eq!(after.result.is_some(), after.status.is_finished(), "{after:?}");
    }
}

#[test]
fn a_finished_order_keeps_no_message() {
    let held = Record { order: Some("{the message}".to_owned()), ..held(Status::InProgress, TELL) };
    for status in [Status::Completed, Status::Rejected] {
        let write = finish(&workflow(), &held, Outcome::nothing(), &ending(status, NOW), NOW);
        assert_eq!(write.after.order, None);
    }
}

#[test]
fn no_write_of_a_zombie_holds_after_a_takeover() {
    for write in every_write() {
        let Some(before) = &write.before else { continue };
        let overtaken = take_over(&workflow(), before, &claimant("successor"), NOW).after;
        assert!(!write.guard.holds(Some(&overtaken)), "{write:?}");
        assert!(!write.shows_in(&overtaken), "{write:?}");
    }
}
