//! What people write: cancel, resume, mark, compensate.

use super::*;
use crate::record::{Intervention, Reason};

/// `fence = :seen AND status = PARKED`, and the step where the write is about one.
fn parked_guard(step: Option<&str>) -> Guard {
    Guard {
        fence: Some(Fence(3)),
        status: vec![Status::Parked],
        step: step.into_iter().map(str::to_owned).collect(),
        ..Guard::default()
    }
}

#[test]
fn an_order_can_be_cancelled_before_its_shipment_and_the_condition_says_the_same() {
    let workflow = workflow();
    let asked = cancel(&workflow, &held(Status::InProgress, CHARGE), "support", NOW).unwrap();
    for record in every_record() {
        let before_shipment = record.as_ref().is_some_and(|record| {
            record.status == Status::InProgress && [RESERVE, CHARGE].contains(&record.step.as_str())
        });
        assert_eq!(asked.guard.holds(record.as_ref()), before_shipment, "{record:?}");
        let Some(record) = record else { continue };
        match cancel(&workflow, &record, "an operator", NOW) {
            Ok(write) => {
                assert!(before_shipment, "{record:?}");
                let changed: &[&str] = &["cancel_requested", "updated_at_ms"];
                changes(&write, &record, changed);
                assert_eq!(write.after.cancel_requested.as_deref(), Some("an operator"));
            }
            Err(error) => {
                assert!(!before_shipment, "{record:?}");
                let Record { status, step, .. } = record;
                assert_eq!(error, NotAllowed::TooLate { status, step });
            }
        }
    }
}

#[test]
fn a_parked_order_goes_back_to_where_it_was_parked_and_keeps_its_message_until_a_worker_holds_it() {
    for (from, step) in [(Status::InProgress, CHARGE), (Status::Compensating, REFUND)] {
        let seen = Record { settled_step: Some(step.to_owned()), ..parked_at(from, step) };
        let write = resume(&seen, NOW).unwrap().expect("a write");
        assert_eq!(write.guard, parked_guard(None));
        let changed = [
            "fence",
            "lease_until_ms",
            "parked_from",
            "parked_reason",
            "settled_step",
            "status",
            "updated_at_ms",
        ];
        changes(&write, &seen, &changed);
        assert_eq!((write.after.status, write.after.fence), (from, Fence(4)));
        assert_eq!(write.after.lease_until_ms, Some(UnixMillis(0)), "the message's next delivery takes over");
        assert_eq!(write.after.order.as_deref(), Some("{the message}"));
    }
}

#[test]
fn a_resumed_order_whose_message_was_not_sent_is_resumed_again_without_a_write() {
    for status in Status::UNFINISHED {
        for lease in [None, Some(UnixMillis(0)), Some(NOW)] {
            let seen = Record { lease_until_ms: lease, ..held(status, CHARGE) };
            assert_eq!(resume(&seen, NOW), Ok(None), "{status}, {lease:?}");
        }
    }
}

#[test]
fn the_message_of_an_erased_order_is_kept_by_the_write_that_resumes_it() {
    let erased = Record { order: None, ..parked_at(Status::InProgress, CHARGE) };
    let resumed = resume(&erased, NOW).unwrap().unwrap();
    let with = resume_with(&erased, "{the order}", NOW).unwrap().unwrap();
    assert_eq!(with.after, Record { order: Some("{the order}".to_owned()), ..resumed.after });
    assert_eq!((with.guard, with.before), (resumed.guard, resumed.before));
    assert_eq!(resume_with(&with.after, "{the order}", NOW), Ok(None), "only the sending is left");
    assert_eq!(
        resume_with(&held(Status::Completed, TELL), "", NOW),
        resume(&held(Status::Completed, TELL), NOW)
    );
}

#[test]
fn an_owned_or_finished_order_cannot_be_resumed() {
    let until = UnixMillis(NOW.0 + 1);
    for status in Status::UNFINISHED {
        let seen = Record { lease_until_ms: Some(until), ..held(status, CHARGE) };
        assert_eq!(resume(&seen, NOW), Err(NotAllowed::Owned(until)));
    }
    for status in [Status::Completed, Status::Rejected] {
        assert_eq!(resume(&held(status, TELL), NOW), Err(NotAllowed::NotParked(status)));
    }
}

#[test]
fn a_step_that_is_marked_done_is_a_checkpoint() {
    for (from, step, next) in [
        (Status::InProgress, CHARGE, SHIP),
        (Status::InProgress, SHIP, TELL),
        (Status::Compensating, REFUND, TELL),
    ] {
        let seen = parked_at(from, step);
        let write = mark(&workflow(), &seen, step, Statement::Done(paid()), NOW).unwrap();
        assert_eq!(write.guard, parked_guard(Some(step)));
        changes(&write, &seen, &["fence", "outcomes", "settled_step", "step", "updated_at_ms"]);
        let after = &write.after;
        assert_eq!((after.fence, after.status, after.step.as_str()), (Fence(4), Status::Parked, next));
        assert_eq!(after.outcomes.get(step), Some(&paid().at(NOW)));
        assert_eq!(after.settled_step.as_deref(), Some(next), "what is due now was not called yet");
    }
}

#[test]
fn the_last_step_marked_done_stays_due_so_that_a_worker_finishes_the_order() {
    for from in Status::UNFINISHED {
        let seen = parked_at(from, TELL);
        let write = mark(&workflow(), &seen, TELL, Statement::Done(Outcome::nothing()), NOW).unwrap();
        assert_eq!(write.after.step, TELL);
        assert_eq!(write.after.outcomes.get(TELL), Some(&Outcome::nothing().at(NOW)));
    }
}

#[test]
fn a_step_marked_done_stays_due_while_a_cancellation_waits_so_that_a_worker_turns_back() {
    let seen =
        Record { cancel_requested: Some("support".to_owned()), ..parked_at(Status::InProgress, CHARGE) };
    let write = mark(&workflow(), &seen, CHARGE, Statement::Done(paid()), NOW).unwrap();
    assert_eq!(write.after.step, CHARGE);
    assert_eq!(write.after.outcomes.get(CHARGE), Some(&paid().at(NOW)));
}

#[test]
fn a_step_marked_not_done_is_due_again_with_a_fresh_key() {
    let seen = parked_at(Status::InProgress, CHARGE);
    let write = mark(&workflow(), &seen, CHARGE, Statement::NotDone, NOW).unwrap();
    assert_eq!(write.guard, parked_guard(Some(CHARGE)));
    let changed = ["fence", "key_epoch_ms", "key_generation", "settled_step", "updated_at_ms"];
    changes(&write, &seen, &changed);
    let after = write.after;
    assert_eq!((after.step.as_str(), after.keys_since()), (CHARGE, NOW));
    assert_eq!(after.settled_step.as_deref(), Some(CHARGE));
    let again = mark(&workflow(), &after, CHARGE, Statement::NotDone, NOW).unwrap().after;
    let keys = [&seen, &after, &again].map(|record| record.idempotency_key(CHARGE));
    assert_eq!(keys, ["ord-1:charge_payment", "ord-1:charge_payment:2", "ord-1:charge_payment:3"]);
    assert_eq!(again.idempotency_key(SHIP), "ord-1:dispatch_shipment", "of another step nothing was stated");
}

#[test]
fn the_statement_that_a_step_is_not_done_takes_back_the_one_that_it_is() {
    let workflow = workflow();
    let cancelled = Some("support".to_owned());
    for seen in [
        Record { cancel_requested: cancelled, ..parked_at(Status::InProgress, CHARGE) },
        parked_at(Status::InProgress, TELL),
    ] {
        let wrong = mark(&workflow, &seen, &seen.step, Statement::Done(paid()), NOW).unwrap().after;
        assert_eq!(wrong.step, seen.step);
        let right = mark(&workflow, &wrong, &seen.step, Statement::NotDone, NOW).unwrap().after;
        assert_eq!(right.outcomes, seen.outcomes, "or a worker would go on as if it were done");
    }
}

#[test]
fn a_statement_is_refused_where_it_makes_no_sense() {
    let workflow = workflow();
    let statements = || [Statement::NotDone, Statement::Done(paid())];
    for statement in statements() {
        let seen = parked_at(Status::InProgress, CHARGE);
        let not_due = NotAllowed::NotDue { due: CHARGE.to_owned(), named: SHIP.to_owned() };
        assert_eq!(mark(&workflow, &seen, SHIP, statement, NOW), Err(not_due));
    }
    for statement in statements() {
        let seen = parked_at(Status::InProgress, RESERVE);
        let never = Err(NotAllowed::NeverInDoubt(RESERVE.to_owned()));
        assert_eq!(mark(&workflow, &seen, RESERVE, statement, NOW), never);
    }
    for status in ALL_STATUS.into_iter().filter(|status| *status != Status::Parked) {
        for statement in statements() {
            let not_parked = Err(NotAllowed::NotParked(status));
            assert_eq!(mark(&workflow, &held(status, CHARGE), CHARGE, statement, NOW), not_parked);
        }
    }
    for statement in statements() {
        let seen = Record { step: "wrap_gift".to_owned(), ..parked_at(Status::InProgress, CHARGE) };
        let unknown = Err(NotAllowed::UnknownStep("wrap_gift".to_owned()));
        assert_eq!(mark(&workflow, &seen, "wrap_gift", statement, NOW), unknown);
    }
}

fn turn_back(seen: &Record) -> Result<Write, NotAllowed> {
    compensate_parked(&workflow(), seen, "an operator", NOW)
}

#[test]
fn an_order_whose_step_is_in_doubt_is_not_turned_back() {
    for step in [CHARGE, SHIP] {
        for settled_step in [None, Some(RESERVE.to_owned())] {
            let seen = Record { settled_step, ..parked_at(Status::InProgress, step) };
            assert_eq!(turn_back(&seen), Err(NotAllowed::Unsettled(step.to_owned())));
        }
    }
}

#[test]
fn an_order_whose_step_is_settled_is_turned_back_and_rejected_as_cancelled() {
    for (step, charged, first_undo) in
        [(RESERVE, false, TELL), (CHARGE, false, TELL), (CHARGE, true, REFUND), (SHIP, true, REFUND)]
    {
        let parked = parked_at(Status::InProgress, step);
        let outcomes = match charged {
            true => parked.outcomes.with(CHARGE, paid()),
            false => parked.outcomes.clone(),
        };
        let settled_step = (step != RESERVE).then(|| step.to_owned());
        let seen = Record { outcomes, settled_step, ..parked };
        let write = turn_back(&seen).unwrap();
        assert_eq!(write.guard, parked_guard(Some(step)));
        let after = &write.after;
        assert_eq!((after.status, after.fence), (Status::Parked, Fence(4)));
        assert_eq!((after.parked_from, after.step.as_str()), (Some(Status::Compensating), first_undo));
        assert_eq!(after.settled_step, None, "the undo is not settled by that");
        assert_eq!(after.updated_at_ms, NOW);
        let refusal = after.outcomes.refusal().unwrap();
        assert_eq!(
            (refusal.reason, refusal.detail.as_str()),
            (Reason::Cancelled, "cancelled before the shipment")
        );
        let who = after.outcomes.get(REFUSAL).unwrap().text("by");
        assert_eq!(who, Some("an operator"), "who it was stays on the record");
        assert_eq!(write.stock, []);
    }
}

#[test]
fn a_charge_is_not_done_without_its_payment() {
    let parked = parked_at(Status::InProgress, CHARGE);
    let nothing = Statement::Done(Outcome::nothing());
    let refused = mark(&workflow(), &parked, CHARGE, nothing.clone(), NOW);
    assert_eq!(refused, Err(NotAllowed::NothingStated(CHARGE.to_owned())));
    let told = parked_at(Status::InProgress, TELL);
    assert!(mark(&workflow(), &told, TELL, nothing, NOW).is_ok(), "nothing can come of that");
}

#[test]
fn nothing_turns_back_past_the_point_of_no_return() {
    let past = |step: &str| Err(NotAllowed::PastReturn(step.to_owned()));
    let told = Record { settled_step: Some(TELL.to_owned()), ..parked_at(Status::InProgress, TELL) };
    assert_eq!(turn_back(&told), past(TELL));
    let shipped = mark(&workflow(), &parked_at(Status::InProgress, SHIP), SHIP, Statement::Done(paid()), NOW);
    assert_eq!(turn_back(&shipped.unwrap().after), past(TELL));
    for step in [REFUND, TELL] {
        let back = Record { settled_step: Some(step.to_owned()), ..parked_at(Status::Compensating, step) };
        assert_eq!(turn_back(&back), past(step), "it is on its way back already");
    }
    for status in ALL_STATUS.into_iter().filter(|status| *status != Status::Parked) {
        assert_eq!(turn_back(&held(status, CHARGE)), Err(NotAllowed::NotParked(status)));
    }
}

#[test]
fn the_second_of_two_operators_is_refused() {
    let workflow = workflow();
    let seen = Record { settled_step: Some(CHARGE.to_owned()), ..parked_at(Status::InProgress, CHARGE) };
    let writes = [
        resume(&seen, NOW).unwrap().unwrap(),
        mark(&workflow, &seen, CHARGE, Statement::Done(paid()), NOW).unwrap(),
        mark(&workflow, &seen, CHARGE, Statement::NotDone, NOW).unwrap(),
        turn_back(&seen).unwrap(),
    ];
    for first in &writes {
        for second in &writes {
            assert!(first.guard.holds(Some(&seen)));
            assert!(!second.guard.holds(Some(&first.after)), "{second:?} after {first:?}");
        }
    }
}

#[test]
fn erasing_takes_the_message_off_a_parked_order_and_nothing_else() {
    let seen = parked_at(Status::InProgress, CHARGE);
    let write = erase(&seen, NOW).unwrap();
    assert_eq!(write.guard, parked_guard(None));
    changes(&write, &seen, &["fence", "order", "updated_at_ms"]);
    assert_eq!((write.after.order.as_deref(), write.after.fence), (None, Fence(4)));
    assert_eq!(erase(&write.after, NOW), Err(NotAllowed::NoMessage));
    for status in ALL_STATUS.into_iter().filter(|status| *status != Status::Parked) {
        assert_eq!(erase(&held(status, CHARGE), NOW), Err(NotAllowed::NotParked(status)));
    }
}

fn by(who: &str) -> Intervention {
    Intervention {
        at_ms: NOW,
        who: who.to_owned(),
        what: "resume".to_owned(),
        why: "it is up again".to_owned(),
    }
}

#[test]
fn a_signed_write_says_who_when_and_why_and_holds_only_on_the_record_that_was_seen() {
    let seen = parked_at(Status::InProgress, CHARGE);
    let write = signed(resume(&seen, NOW).unwrap().unwrap(), &by("ann"));
    assert_eq!(write.after.operator_log, [by("ann")]);
    assert_eq!(write.guard, parked_guard(None), "a write for parked orders is as strict as before");
    let owned = held(Status::InProgress, CHARGE);
    let asked = signed(cancel(&workflow(), &owned, "ann", NOW).unwrap(), &by("ann"));
    assert!(asked.guard.holds(Some(&owned)));
    let overtaken = Record { fence: owned.fence.next(), ..owned.clone() };
    for other in [&asked.after, &overtaken] {
        assert!(!asked.guard.holds(Some(other)), "the log of {other:?} would be lost");
    }
}

#[test]
fn a_record_remembers_the_last_ten_changes_and_two_hundred_characters_of_each_name_and_reason() {
    let mut record = parked_at(Status::InProgress, CHARGE);
    for number in 0..=10 {
        let statement = mark(&workflow(), &record, CHARGE, Statement::NotDone, NOW).unwrap();
        let by = Intervention { why: "é".repeat(199 + number), ..by(&number.to_string()) };
        record = signed(statement, &by).after;
    }
    let who: Vec<&str> = record.operator_log.iter().map(|by| by.who.as_str()).collect();
    assert_eq!(who, ["1", "2", "3", "4", "5", "6", "7", "8", "9", "10"]);
    assert!(record.operator_log.iter().all(|by| by.why.chars().count() == 200));
    for (length, remembered) in [(200, 200), (201, 200)] {
        let resumed = signed(resume(&record, NOW).unwrap().unwrap(), &by(&"é".repeat(length)));
        assert_eq!(resumed.after.operator_log[9].who.chars().count(), remembered);
    }
}

#[test]
fn a_worker_carries_the_log_along() {
    let parked = parked_at(Status::InProgress, CHARGE);
    let resumed = signed(resume(&parked, NOW).unwrap().unwrap(), &by("ann")).after;
    let owned = take_over(&workflow(), &resumed, &claimant("me"), NOW).after;
    let next = checkpoint(&workflow(), &owned, paid(), Position::Forward(step(SHIP)), NOW);
    assert_eq!(next.after.operator_log, [by("ann")]);
    assert!(!next.before.unwrap().changes_to(&next.after).contains_key("operator_log"));
}

#[test]
fn every_refusal_says_what_is_wrong_and_what_to_do() {
    for (refused, text) in [
        (NotAllowed::NotParked(Status::Completed), "the order is COMPLETED, not PARKED"),
        (NotAllowed::Owned(UnixMillis(1)), "a worker owns the order until 1970-01-01T00:00:00.001Z"),
        (
            NotAllowed::Unsettled(CHARGE.into()),
            "whether charge_payment took effect is not known: mark it first",
        ),
        (
            NotAllowed::NotDue { due: CHARGE.into(), named: SHIP.into() },
            "charge_payment is due, not dispatch_shipment",
        ),
        (
            NotAllowed::TooLate { status: Status::InProgress, step: SHIP.into() },
            "the order is IN_PROGRESS at dispatch_shipment: it can be cancelled only before its shipment",
        ),
    ] {
        assert_eq!(refused.to_string(), text);
    }
}
