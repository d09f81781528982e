//! Whatever a parked record says, a person has a way out of it.

use super::*;
use crate::protocol::{NotAllowed, Statement, mark, place, resume};

/// Parked records as no worker should leave them, and as some bug, or some person, might.
fn whatever_a_record_says(scene: &Scene) -> Vec<Record> {
    let from = [None, Some(Status::InProgress), Some(Status::Compensating), Some(Status::Completed)];
    let steps = [RESERVE, "release_inventory", CHARGE, REFUND, SHIP, TELL, "wrap_gift"];
    let refusals = [None, Some(declined().to_outcome()), Some(Outcome::of("reason", "who knows"))];
    let wish = [None, Some("the customer".to_owned())];
    let mut records = Vec::new();
    for (parked_from, step) in from.iter().flat_map(|from| steps.map(|step| (*from, step))) {
        for (refusal, wish) in refusals.iter().flat_map(|refusal| wish.each_ref().map(|wish| (refusal, wish)))
        {
            for done in 0..3 {
                for workflow_version in [0, 1] {
                    let mut record = scene.left_at(Status::Parked, step);
                    let done = [(CHARGE, paid()), (SHIP, shipped())].into_iter().take(done);
                    record.outcomes = done.fold(record.outcomes, |all, (step, of)| all.with(step, of));
                    record.outcomes = match refusal {
                        Some(refusal) => record.outcomes.with(REFUSAL, refusal.clone()),
                        None => record.outcomes,
                    };
                    let cancel_requested = wish.clone();
                    records.push(Record { parked_from, cancel_requested, workflow_version, ..record });
                }
            }
        }
    }
    records
}

/// What a person can make of the record, but for giving it back to the workers.
fn decisions(scene: &Scene, seen: &Record) -> Vec<Record> {
    let workflow = &scene.workflow;
    let statements = [Statement::NotDone, Statement::Done(paid())];
    let marks = statements.map(|statement| mark(workflow, seen, &seen.step, statement, NOW));
    let back = [protocol::compensate_parked(workflow, seen, "ann", NOW)];
    let places = workflow.positions().map(|to| place(workflow, seen, to, "ann", NOW));
    marks.into_iter().chain(back).chain(places).filter_map(|write| Some(write.ok()?.after)).collect()
}

/// Whether the worker that takes the order over once it is resumed has something to do but to park it.
fn leads_on(scene: &Scene, seen: &Record) -> bool {
    let Ok(Some(resumed)) = resume(seen, NOW) else { return false };
    let looked = scene.begin().refused(resumed.after);
    match &looked.command {
        Command::Write(_) => match &looked.applied().command {
            Command::Call(_) => true,
            Command::Write(write) => write.after.status != Status::Parked,
            Command::Find | Command::End(_) => false,
        },
        Command::Find | Command::Call(_) | Command::End(_) => false,
    }
}

/// How many decisions lead to a record from which a resumed order goes on.
fn way_out(scene: &Scene, record: &Record) -> Option<usize> {
    let mut reached = vec![record.clone()];
    for decided in 0..3 {
        if reached.iter().any(|record| leads_on(scene, record)) {
            return Some(decided);
        }
        reached = reached.iter().flat_map(|record| decisions(scene, record)).collect();
    }
    None
}

#[test]
fn whatever_a_parked_record_says_a_person_has_a_way_out_of_it() {
    let scene = Scene::new();
    let mut at_once = 0;
    let records = whatever_a_record_says(&scene);
    for record in &records {
        let decided = way_out(&scene, record);
        assert!(decided.is_some(), "{record:?}");
        at_once += usize::from(decided == Some(0));
    }
    assert!((100..records.len() - 100).contains(&at_once), "{at_once} of {}", records.len());
}

#[test]
fn an_order_is_placed_only_if_no_way_leads_on_and_never_against_what_was_shipped_or_refused() {
    let scene = Scene::new();
    let at = |name: &str| {
        let found = scene.workflow.steps().find(|(_, step)| step.name == name);
        found.unwrap_or_else(|| panic!("no step {name}")).0
    };
    let workflow = &scene.workflow;
    let (forward, backward) = (Position::Forward(at(CHARGE)), Position::Backward(at(CHARGE)));
    let parked = |from, step: &str| Record { parked_from: Some(from), ..scene.left_at(Status::Parked, step) };
    let fine = parked(Status::InProgress, CHARGE);
    assert_eq!(place(workflow, &fine, forward, "ann", NOW), Err(NotAllowed::NotStranded(CHARGE.to_owned())));
    let stuck = parked(Status::Compensating, CHARGE);
    assert_eq!(
        place(workflow, &Record { status: Status::InProgress, ..stuck.clone() }, forward, "ann", NOW),
        Err(NotAllowed::NotParked(Status::InProgress))
    );
    let newer = Record { workflow_version: 2, ..stuck.clone() };
    assert_eq!(place(workflow, &newer, forward, "ann", NOW), Err(NotAllowed::UnknownVersion(2)));
    let placed = place(workflow, &stuck, forward, "ann", NOW).unwrap();
    assert_eq!((placed.after.parked_from, placed.after.step.as_str()), (Some(Status::InProgress), CHARGE));
    assert_eq!((placed.guard.fence, &placed.guard.step), (Some(stuck.fence), &vec![CHARGE.to_owned()]));
    let asked = Record { callee: Some("stripe".to_owned()), ..stuck.clone() };
    let placed = place(workflow, &asked, forward, "ann", NOW).unwrap().after;
    assert_eq!(placed.callee, None, "a person has stated what came of whoever was asked");
    let back = place(workflow, &stuck, backward, "ann", NOW).unwrap().after;
    assert_eq!((back.parked_from, back.step.as_str()), (Some(Status::Compensating), REFUND));
    assert_eq!(back.outcomes.get(REFUSAL).and_then(|refusal| refusal.text("by")), Some("ann"));

    let refused = stuck.outcomes.with(REFUSAL, declined().to_outcome());
    let refused = Record { outcomes: refused, ..stuck.clone() };
    let only_back = Err(NotAllowed::Refused("card_declined".to_owned()));
    assert_eq!(place(workflow, &refused, forward, "ann", NOW), only_back);
    let kept = place(workflow, &refused, backward, "ann", NOW).unwrap().after;
    assert_eq!(kept.outcomes.refusal(), Some(declined()));

    let shipped = Record { outcomes: refused.outcomes.with(SHIP, shipped()), ..refused };
    let only_forward = Err(NotAllowed::PastReturn(CHARGE.to_owned()));
    assert_eq!(place(workflow, &shipped, backward, "ann", NOW), only_forward);
    let on = place(workflow, &shipped, Position::Forward(at(TELL)), "ann", NOW).unwrap().after;
    assert_eq!(on.outcomes.refusal(), None, "or the customer of a shipped order would be told of a refusal");
}
