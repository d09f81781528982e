//! The law, pair by pair, against a table that was written down without it.

use std::panic;

use super::*;
use crate::record::Outcome;
use crate::services::workflow;

const ALL_EVENTS: [Event; 3] = [Event::Done, Event::Refused, Event::Cancelled];
const ALL_STATUS: [Status; 5] =
    [Status::InProgress, Status::Compensating, Status::Completed, Status::Rejected, Status::Parked];

fn id(workflow: &Workflow, name: &str) -> StepId {
    let found = workflow.steps().find(|(_, step)| step.name == name);
    found.unwrap_or_else(|| panic!("no step {name}")).0
}

/// Outcomes in which each of these steps left something, and every other step is not done.
fn left(steps: &[&str]) -> Outcomes {
    let some = |outcomes: Outcomes, step: &&str| outcomes.with(step, Outcome::of("id", "1"));
    steps.iter().fold(Outcomes::default(), some)
}

fn every_subset<'a>(names: &[&'a str]) -> Vec<Vec<&'a str>> {
    let subset = |bits: usize| {
        let chosen = names.iter().enumerate().filter(move |(index, _)| bits & (1 << index) != 0);
        chosen.map(|(_, name)| *name).collect()
    };
    (0..1 << names.len()).map(subset).collect()
}

/// A move with the step's name in the place of its ID.
fn named(workflow: &Workflow, to: Move) -> String {
    let name = |id| workflow.step(id).name;
    match to {
        Move::Advance(id) => format!("advance {}", name(id)),
        Move::Compensate(id) => format!("compensate {}", name(id)),
        Move::Retreat(id) => format!("retreat {}", name(id)),
        Move::Complete => "complete".to_owned(),
        Move::Reject => "reject".to_owned(),
    }
}

/// What the shipped table says. `?` stands for the undo that is due first: the charge's if it left something,
/// else the telling.
const EXPECTED: [(&str, &str, Event, &str); 15] = [
    ("forward", "reserve_inventory", Event::Done, "advance charge_payment"),
    ("forward", "reserve_inventory", Event::Refused, "compensate ?"),
    ("forward", "reserve_inventory", Event::Cancelled, "compensate ?"),
    ("forward", "charge_payment", Event::Done, "advance dispatch_shipment"),
    ("forward", "charge_payment", Event::Refused, "compensate ?"),
    ("forward", "charge_payment", Event::Cancelled, "compensate ?"),
    ("forward", "dispatch_shipment", Event::Done, "advance notify_customer"),
    ("forward", "dispatch_shipment", Event::Refused, "compensate ?"),
    ("forward", "dispatch_shipment", Event::Cancelled, "compensate ? unless shipped"),
    ("forward", "notify_customer", Event::Done, "complete"),
    ("forward", "notify_customer", Event::Refused, "illegal"),
    ("forward", "notify_customer", Event::Cancelled, "compensate ? unless shipped"),
    ("backward", "reserve_inventory", Event::Done, "retreat ?"),
    ("backward", "charge_payment", Event::Done, "retreat notify_customer"),
    ("backward", "notify_customer", Event::Done, "reject"),
    // Every other pair on the way back is illegal: an undo cannot be refused or cancelled.
];

fn expected(position: Position, step: &str, event: Event, done: &[&str]) -> String {
    let direction = if matches!(position, Position::Forward(_)) { "forward" } else { "backward" };
    let row = EXPECTED.iter().find(|row| (row.0, row.1, row.2) == (direction, step, event));
    let undo = if done.contains(&"charge_payment") { "charge_payment" } else { "notify_customer" };
    let expected = row.map_or("illegal", |row| row.3);
    match expected.strip_suffix(" unless shipped") {
        Some(_) if done.contains(&"dispatch_shipment") => "illegal".to_owned(),
        unshipped => unshipped.unwrap_or(expected).replace('?', undo),
    }
}

#[test]
fn every_pair_of_position_and_event_is_as_the_table_says_whatever_was_done_before() {
    let workflow = workflow();
    let names: Vec<&str> = workflow.steps().map(|(_, step)| step.name).collect();
    let (mut legal, mut illegal) = (0, 0);
    for (id, step) in workflow.steps() {
        for position in [Position::Forward(id), Position::Backward(id)] {
            for event in ALL_EVENTS {
                for done in every_subset(&names) {
                    let expected = expected(position, step.name, event, &done);
                    let place = format!("{event:?} at {position:?} after {done:?}");
                    let undone =
                        Some(workflow.due(position)).filter(|_| matches!(position, Position::Backward(_)));
                    let known: Vec<_> = done.iter().copied().chain(undone).collect();
                    match workflow.next(position, event, &left(&known)) {
                        Ok(to) => {
                            legal += 1;
                            assert_eq!(named(&workflow, to), expected, "{place}");
                        }
                        Err(error) => {
                            illegal += 1;
                            assert_eq!(expected, "illegal", "{place}");
                            let due = workflow.due(position);
                            assert_eq!(error.to_string(), format!("{event:?} cannot happen at {due}"));
                        }
                    }
                }
            }
        }
    }
    assert_eq!((legal, illegal), (12 * 16 + 2 * 8, 10 * 16 + 2 * 8), "24 pairs, after each of 16 histories");
}

#[test]
fn a_step_that_was_done_and_did_nothing_is_not_undone() {
    let workflow = workflow();
    let nothing = Outcome::nothing().at(crate::clock::UnixMillis(1));
    let outcomes = left(&["reserve_inventory"]).with("charge_payment", nothing);
    for (step, event) in [
        ("charge_payment", Event::Cancelled),
        ("charge_payment", Event::Refused),
        ("dispatch_shipment", Event::Refused),
    ] {
        let to = workflow.next(Position::Forward(id(&workflow, step)), event, &outcomes).unwrap();
        assert_eq!(named(&workflow, to), "compensate notify_customer", "{event:?} at {step}");
    }
}

#[test]
fn a_status_and_a_step_name_are_a_position_only_if_the_workflow_has_them() {
    let workflow = workflow();
    let forward = ["reserve_inventory", "charge_payment", "dispatch_shipment", "notify_customer"];
    let backward = [("refund_payment", "charge_payment"), ("notify_customer", "notify_customer")];
    let names = forward.into_iter().chain(["release_inventory", "refund_payment", "refusal", "other", ""]);
    for name in names {
        for status in ALL_STATUS {
            let expected = match status {
                Status::InProgress if forward.contains(&name) => Some(Position::Forward(id(&workflow, name))),
                Status::Compensating => {
                    let undone = backward.iter().find(|(undo, _)| *undo == name);
                    undone.map(|(_, step)| Position::Backward(id(&workflow, step)))
                }
                _ => None,
            };
            match workflow.position(status, name) {
                Ok(position) => {
                    assert_eq!(Some(position), expected, "{status} at {name}");
                    assert_eq!(workflow.due(position), name);
                }
                Err(error) => {
                    assert_eq!(expected, None, "{status} at {name}");
                    assert_eq!(error.to_string(), format!("no step {name:?} while {status}"));
                }
            }
        }
    }
}

#[test]
fn an_order_can_be_cancelled_at_the_steps_before_the_point_of_no_return() {
    assert_eq!(workflow().cancellable(), ["reserve_inventory", "charge_payment"]);
    assert_eq!(longer().cancellable(), ["reserve", "redeem", "charge"]);
}

#[test]
fn the_workflow_is_shown_as_its_steps_in_order() {
    assert_eq!(
        workflow().to_string(),
        "reserve_inventory -> charge_payment -> dispatch_shipment -> notify_customer"
    );
    assert_eq!(workflow().first(), id(&workflow(), "reserve_inventory"));
    assert_eq!(workflow().steps().map(|(id, _)| id.index()).collect::<Vec<_>>(), [0, 1, 2, 3]);
}

const fn step(name: &'static str, undo: Option<&'static str>, effect: Effect, place: Place) -> StepDef {
    StepDef { name, undo, effect, place }
}

const RESERVE: StepDef = step("reserve", Some("release"), Effect::Stock, Place::Revocable);
const REDEEM: StepDef = step("redeem", Some("restore"), Effect::Call, Place::Revocable);
const CHARGE: StepDef = step("charge", Some("refund"), Effect::Call, Place::Revocable);
const SHIP: StepDef = step("ship", None, Effect::Call, Place::PointOfNoReturn);
const INVOICE: StepDef = step("invoice", None, Effect::Call, Place::Forward);
const TELL: StepDef = step("tell", None, Effect::Call, Place::Tell);

/// Two steps more than the shipped table: one that is undone, and one after the point of no return.
fn longer() -> Workflow {
    Workflow::new(vec![RESERVE, REDEEM, CHARGE, SHIP, INVOICE, TELL])
}

/// The names of what is due, from `at` until the order is rejected.
fn way_back(workflow: &Workflow, mut at: StepId, outcomes: &Outcomes) -> Vec<&'static str> {
    let (mut names, mut outcomes) = (Vec::new(), outcomes.clone());
    loop {
        let position = Position::Backward(at);
        names.push(workflow.due(position));
        outcomes = outcomes.with(workflow.due(position), Outcome::nothing());
        assert!(names.len() < 10, "the way back has no end: {names:?}");
        match workflow.next(position, Event::Done, &outcomes).unwrap() {
            Move::Retreat(to) => at = to,
            Move::Reject => return names,
            other => panic!("{other:?} on the way back"),
        }
    }
}

#[test]
fn undos_run_in_reverse_order_and_only_those_of_steps_that_left_something() {
    let workflow = longer();
    for refused in ["reserve", "redeem", "charge", "ship"] {
        let before: Vec<&str> =
            workflow.steps().map(|(_, step)| step.name).take_while(|name| *name != refused).collect();
        for done in every_subset(&before) {
            let outcomes = left(&done);
            let at = Position::Forward(id(&workflow, refused));
            let Ok(Move::Compensate(first)) = workflow.next(at, Event::Refused, &outcomes) else {
                panic!("{refused} cannot be refused");
            };
            let mut expected = Vec::new();
            if done.contains(&"charge") {
                expected.push("refund");
            }
            if done.contains(&"redeem") {
                expected.push("restore");
            }
            expected.push("tell");
            assert_eq!(way_back(&workflow, first, &outcomes), expected, "{refused} refused after {done:?}");
        }
    }
}

#[test]
fn wherever_a_migration_led_an_order_whatever_was_done_is_undone_once() {
    let workflow = longer();
    for at in ["reserve", "redeem", "charge", "ship"] {
        let at = Position::Forward(id(&workflow, at));
        let Ok(Move::Compensate(first)) = workflow.next(at, Event::Refused, &left(&["redeem", "charge"]))
        else {
            panic!("{at:?} cannot be refused");
        };
        assert_eq!(way_back(&workflow, first, &left(&["redeem", "charge"])), ["refund", "restore", "tell"]);
    }
    let undone = left(&["redeem", "charge", "restore"]);
    let first = id(&workflow, "redeem");
    assert_eq!(
        way_back(&workflow, first, &undone),
        ["restore", "refund", "tell"],
        "another order of the steps"
    );
}

#[test]
fn a_step_that_took_effect_before_the_cancellation_was_seen_is_undone_too() {
    let workflow = longer();
    let outcomes = left(&["reserve", "redeem", "charge"]);
    let at = Position::Forward(id(&workflow, "charge"));
    let Ok(Move::Compensate(first)) = workflow.next(at, Event::Cancelled, &outcomes) else { panic!() };
    assert_eq!(way_back(&workflow, first, &outcomes), ["refund", "restore", "tell"]);
}

#[test]
fn after_the_point_of_no_return_an_order_only_goes_forward() {
    let workflow = longer();
    let outcomes = left(&["reserve", "redeem", "charge", "ship"]);
    for (name, to) in [("ship", "advance invoice"), ("invoice", "advance tell"), ("tell", "complete")] {
        let at = Position::Forward(id(&workflow, name));
        assert_eq!(named(&workflow, workflow.next(at, Event::Done, &outcomes).unwrap()), to);
    }
    for (name, event) in [
        ("ship", Event::Cancelled),
        ("invoice", Event::Refused),
        ("invoice", Event::Cancelled),
        ("tell", Event::Refused),
        ("tell", Event::Cancelled),
    ] {
        let at = Position::Forward(id(&workflow, name));
        let error = workflow.next(at, event, &outcomes).unwrap_err();
        assert_eq!(error, Illegal { position: name.to_owned(), event });
    }
}

#[test]
fn a_revocable_step_without_an_undo_is_never_due_on_the_way_back() {
    let workflow = Workflow::new(vec![StepDef { undo: None, ..REDEEM }, SHIP, TELL]);
    let outcomes = left(&["redeem"]);
    let refused = workflow.next(Position::Forward(id(&workflow, "ship")), Event::Refused, &outcomes);
    assert_eq!(named(&workflow, refused.unwrap()), "compensate tell");
    workflow.position(Status::Compensating, "redeem").expect_err("it would be called on the way back");
}

#[test]
fn what_has_no_undo_has_no_way_back() {
    let workflow = longer();
    for name in ["ship", "invoice"] {
        workflow.position(Status::Compensating, name).expect_err(name);
        let at = Position::Backward(id(&workflow, name));
        for event in ALL_EVENTS {
            workflow.next(at, event, &left(&["charge"])).expect_err(name);
        }
    }
}

#[test]
fn no_order_runs_on_a_broken_table() {
    let renamed = |step: StepDef, name| StepDef { name, ..step };
    let undone = |step: StepDef| StepDef { undo: Some("undo"), ..step };
    let stock = |step: StepDef| StepDef { effect: Effect::Stock, ..step };
    for (steps, why) in [
        (vec![], "has a point of no return"),
        (vec![RESERVE, CHARGE, TELL], "has a point of no return"),
        (vec![RESERVE, SHIP, renamed(SHIP, "again"), TELL], "again cannot stand at place 2"),
        (vec![RESERVE, undone(SHIP), TELL], "ship cannot stand at place 1"),
        (vec![RESERVE, SHIP, undone(INVOICE), TELL], "invoice cannot stand at place 2"),
        (vec![RESERVE, SHIP, undone(TELL)], "tell cannot stand at place 2"),
        (vec![RESERVE, SHIP, CHARGE, TELL], "charge cannot stand at place 2"),
        (vec![RESERVE, INVOICE, SHIP, TELL], "invoice cannot stand at place 1"),
        (vec![TELL, RESERVE, SHIP], "tell cannot stand at place 0"),
        (vec![RESERVE, SHIP, TELL, INVOICE], "tell cannot stand at place 2"),
        (vec![RESERVE, SHIP, TELL, renamed(TELL, "again")], "tell cannot stand at place 2"),
        (vec![RESERVE, SHIP, INVOICE], "invoice cannot stand at place 2"),
        (vec![RESERVE, CHARGE, SHIP], "the last step tells"),
        (vec![RESERVE, RESERVE, SHIP, TELL], "every name stands once"),
        (vec![RESERVE, renamed(CHARGE, "release"), SHIP, TELL], "every name stands once"),
        (vec![RESERVE, renamed(CHARGE, "refund"), SHIP, TELL], "every name stands once"),
        (vec![RESERVE, renamed(CHARGE, "refusal"), SHIP, TELL], "every name stands once"),
        (vec![RESERVE, stock(SHIP), TELL], "ship moves stock"),
        (vec![RESERVE, SHIP, stock(INVOICE), TELL], "invoice moves stock"),
        (vec![RESERVE, SHIP, stock(TELL)], "tell moves stock"),
    ] {
        let broken = panic::catch_unwind(|| Workflow::new(steps.clone()));
        let message = *broken.expect_err(why).downcast::<String>().unwrap_or_else(|other| {
            Box::new(other.downcast::<&str>().map_or(String::new(), |text| (*text).to_owned()))
        });
        assert!(message.contains(why), "{why:?} expected, {message:?} found");
    }
}

#[test]
fn the_shortest_workflow_has_two_steps() {
    let workflow = Workflow::new(vec![SHIP, TELL]);
    let to = workflow.next(Position::Forward(workflow.first()), Event::Refused, &Outcomes::default());
    assert_eq!(named(&workflow, to.unwrap()), "compensate tell");
}

const MIGRATIONS: [Migration; 2] = [
    Migration { moves: &[("score", "check"), ("unscore", "tell")] },
    Migration { moves: &[("check", "charge")] },
];

fn migrated() -> Workflow {
    Workflow::new(vec![RESERVE, CHARGE, SHIP, TELL]).migrated_by(&MIGRATIONS)
}

#[test]
fn a_step_that_is_no_more_leads_through_every_migration_since_its_version() {
    let workflow = migrated();
    assert_eq!(workflow.version(), 3);
    for (version, step, to) in [
        (1, "score", "charge"),
        (1, "unscore", "tell"),
        (1, "check", "charge"),
        (2, "check", "charge"),
        (2, "score", "score"),
        (3, "check", "check"),
        (1, "ship", "ship"),
    ] {
        assert_eq!(workflow.at_present(version, step), Some(to), "{step} of {version}");
    }
}

#[test]
fn only_versions_up_to_the_present_one_are_known() {
    let workflow = migrated();
    assert_eq!([0, 4, u32::MAX].map(|version| workflow.at_present(version, "ship")), [None; 3]);
    let first = Workflow::new(vec![SHIP, TELL]);
    assert_eq!((first.version(), first.at_present(1, "ship")), (1, Some("ship")));
    assert_eq!([0, 2].map(|version| first.at_present(version, "ship")), [None; 2]);
}

#[test]
fn a_migration_that_leads_nowhere_is_refused() {
    for (moves, why) in [
        (&[("score", "check")][..], "version 1 moves score to no step"),
        (&[("score", "charge"), ("old", "")][..], "version 1 moves old to no step"),
    ] {
        let workflow = Workflow::new(vec![RESERVE, CHARGE, SHIP, TELL]);
        let broken = panic::catch_unwind(|| workflow.migrated_by(&[Migration { moves }]));
        let message = *broken.expect_err(why).downcast::<String>().expect("a message");
        assert!(message.contains(why), "{message}");
    }
    let to_an_undo = &[Migration { moves: &[("unscore", "refund")] }];
    assert_eq!(Workflow::new(vec![RESERVE, CHARGE, SHIP, TELL]).migrated_by(to_an_undo).version(), 2);
}
