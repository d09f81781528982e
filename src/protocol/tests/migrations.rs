//! Orders of an earlier version of the workflow.

use super::*;
use crate::workflow::Migration;

#[test]
fn a_takeover_brings_an_order_of_an_earlier_workflow_to_the_present_one() {
    let migrated = workflow().migrated_by(&[Migration { moves: &[("score", CHARGE)] }]);
    let take_over = |version, step: &str| {
        let seen = Record { workflow_version: version, ..held(Status::InProgress, step) };
        let after = take_over(&migrated, &seen, &claimant("other"), NOW).after;
        (after.workflow_version, after.step)
    };
    assert_eq!(take_over(1, "score"), (2, CHARGE.to_owned()));
    assert_eq!(take_over(1, SHIP), (2, SHIP.to_owned()));
    assert_eq!(take_over(2, SHIP), (2, SHIP.to_owned()));
    assert_eq!(take_over(3, SHIP), (3, SHIP.to_owned()), "a version that is not known is left as it is");
}

#[test]
fn a_takeover_across_a_migration_holds_only_at_the_status_and_step_that_were_seen() {
    let moving = workflow().migrated_by(&[Migration { moves: &[(CHARGE, SHIP), (REFUND, TELL)] }]);
    let staying = workflow().migrated_by(&[Migration { moves: &[] }]);
    for (status, step) in [(Status::InProgress, CHARGE), (Status::Compensating, REFUND)] {
        for (cancel_requested, moves) in [(None, true), (Some("support".to_owned()), true), (None, false)] {
            let minds_cancellation = moves && cancel_requested.is_none();
            let seen = Record { cancel_requested, ..held(status, step) };
            let workflow = if moves { &moving } else { &staying };
            let guard = take_over(workflow, &seen, &claimant("other"), NOW).guard;
            for record in every_record() {
                let expected = record.as_ref().is_some_and(|record| {
                    (record.fence, record.status, record.step.as_str()) == (Fence(3), status, step)
                        && !(minds_cancellation && record.cancel_requested.is_some())
                });
                assert_eq!(guard.holds(record.as_ref()), expected, "{record:?}");
            }
        }
    }
}

#[test]
fn an_order_of_an_earlier_version_can_be_cancelled_at_a_step_that_leads_to_a_revocable_one() {
    let workflow = of_version_2();
    let old = held(Status::InProgress, "score");
    let write = cancel(&workflow, &old, "support", NOW).unwrap();
    assert!(write.guard.holds(Some(&old)) && !write.guard.holds(Some(&held(Status::InProgress, SHIP))));
    let shipped = Record { outcomes: old.outcomes.with(SHIP, Outcome::of("shipment_id", "shp_1")), ..old };
    let too_late = NotAllowed::TooLate { status: Status::InProgress, step: "score".to_owned() };
    assert_eq!(cancel(&workflow, &shipped, "support", NOW), Err(too_late));
    for workflow_version in [0, 3] {
        let other = Record { workflow_version, ..held(Status::InProgress, CHARGE) };
        let unknown = Err(NotAllowed::UnknownVersion(workflow_version));
        assert_eq!(cancel(&workflow, &other, "support", NOW), unknown);
    }
}

fn of_version_2() -> Workflow {
    let moves = &[("score", CHARGE)];
    workflow().migrated_by(&[Migration { moves }])
}

#[test]
fn an_operator_decides_on_an_order_of_an_older_version_as_one_of_the_present() {
    let workflow = of_version_2();
    let seen = parked_at(Status::InProgress, CHARGE);
    let marked = mark(&workflow, &seen, CHARGE, Statement::NotDone, NOW).unwrap().after;
    assert_eq!((marked.step.as_str(), marked.workflow_version), (CHARGE, 2));
    let settled = Record { settled_step: Some(CHARGE.to_owned()), ..seen };
    assert_eq!(settled.workflow_version, 1);
    let back = compensate_parked(&workflow, &settled, "me", NOW).unwrap().after;
    assert_eq!((back.step.as_str(), back.workflow_version), (TELL, 2));
}

#[test]
fn nothing_is_stated_about_a_step_that_is_no_more_or_an_order_of_a_version_to_come() {
    let workflow = of_version_2();
    let gone = parked_at(Status::InProgress, "score");
    let moved = NotAllowed::Moved { step: "score".to_owned(), to: CHARGE.to_owned() };
    assert_eq!(mark(&workflow, &gone, "score", Statement::NotDone, NOW), Err(moved.clone()));
    assert_eq!(compensate_parked(&workflow, &gone, "me", NOW), Err(moved));
    for workflow_version in [0, 3] {
        let other = Record { workflow_version, ..parked_at(Status::InProgress, CHARGE) };
        let unknown = Err(NotAllowed::UnknownVersion(workflow_version));
        assert_eq!(mark(&workflow, &other, CHARGE, Statement::NotDone, NOW), unknown);
        assert_eq!(compensate_parked(&workflow, &other, "me", NOW), unknown);
    }
}

#[test]
fn a_key_counts_as_fresh_from_the_takeover_that_moved_the_order_to_its_step() {
    let workflow = of_version_2();
    let moved = take_over(&workflow, &held(Status::InProgress, "score"), &claimant("me"), NOW).after;
    assert_eq!((moved.step.as_str(), moved.workflow_version, moved.key_epoch_ms), (CHARGE, 2, Some(NOW)));
    let stays = take_over(&workflow, &held(Status::InProgress, CHARGE), &claimant("me"), NOW).after;
    assert_eq!((stays.step.as_str(), stays.workflow_version, stays.key_epoch_ms), (CHARGE, 2, None));
}

#[test]
fn on_the_way_back_a_migration_leads_to_whatever_is_to_be_undone_next() {
    let workflow = workflow().migrated_by(&[Migration { moves: &[("unpack", REFUND)] }]);
    let old = |outcomes: Outcomes| {
        let outcomes = outcomes.with(REFUSAL, refusal().to_outcome());
        Record { step: "unpack".to_owned(), outcomes, ..held(Status::Compensating, REFUND) }
    };
    let charged = held(Status::Compensating, REFUND).outcomes;
    let free = charged.with(CHARGE, Outcome::nothing().at(NOW));
    let refunded = charged.with(REFUND, Outcome::of("refund_id", "re_1"));
    for (outcomes, next) in [(charged, REFUND), (free, TELL), (refunded, TELL)] {
        assert_eq!(take_over(&workflow, &old(outcomes), &claimant("me"), NOW).after.step, next);
    }
}

#[test]
fn an_order_is_not_placed_where_a_migration_leads_it_on() {
    let moved = parked_at(Status::InProgress, "score");
    let placed = place(&of_version_2(), &moved, Position::Forward(step(SHIP)), "me", NOW);
    assert_eq!(placed, Err(NotAllowed::NotStranded(CHARGE.to_owned())));
}

/// Such a record is parked by whoever takes it, and a person finds the step by its present name.
#[test]
fn an_order_that_turns_back_at_a_step_that_only_goes_forward_is_moved_there_all_the_same() {
    let seen = Record { step: "score".to_owned(), ..held(Status::Compensating, CHARGE) };
    let after = take_over(&of_version_2(), &seen, &claimant("me"), NOW).after;
    assert_eq!(
        (after.status, after.step.as_str(), after.workflow_version),
        (Status::Compensating, CHARGE, 2)
    );
}
