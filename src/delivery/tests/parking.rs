//! When an owned order cannot go on: it is given up for the next delivery, or parked for a person.

use super::*;

/// A delivery whose payment is due.
fn paying(scene: &Scene) -> Play<'_> {
    scene.resuming(scene.left_at(Status::InProgress, CHARGE))
}

#[track_caller]
fn parks(play: Play<'_>, reason: &str) {
    parks_and_tells(play, reason, reason);
}

/// With `reason` on the record, and `why` in the log.
#[track_caller]
fn parks_and_tells(play: Play<'_>, reason: &str, why: &str) {
    let held = play.course.held().cloned().unwrap();
    assert_eq!(*play.write(), protocol::park(&held, reason, "{the message}", NOW));
    let play = play.applied();
    play.ends_with(&Disposition::Parked { reason: Some(why.to_owned()) });
    assert_eq!((play.end().attempt, play.end().took_over), (Some(2), true));
}

#[track_caller]
fn gives_up(play: Play<'_>, disposition: &Disposition) {
    let held = play.course.held().cloned().unwrap();
    assert_eq!(*play.write(), protocol::give_up(&held, NOW));
    let play = play.applied();
    play.ends_with(disposition);
    assert!(!play.end().lost_lease);
}

#[test]
fn the_last_receive_is_that_of_the_queues_limit() {
    let rules = Scene::new().rules;
    assert!(!rules.is_last(19));
    assert!(rules.is_last(20));
    assert!(rules.is_last(21));
}

#[test]
fn a_callee_that_is_down_brings_the_message_back_until_its_last_receive_and_then_the_order_is_parked() {
    let before_last = Scene { receive_count: 19, ..Scene::new() };
    let down = || Ending::Unavailable("down".to_owned());
    gives_up(paying(&before_last).called(down()), &retry("down"));
    let last = Scene { receive_count: 20, ..Scene::new() };
    parks_and_tells(paying(&last).called(down()), "retries_exhausted", "retries_exhausted: down");
}

#[test]
fn a_table_that_does_not_answer_an_owners_write_counts_as_down() {
    let no_answer = || Event::NoAnswer("throttled".to_owned());
    let before_last = Scene { receive_count: 19, ..Scene::new() };
    gives_up(before_last.begin().applied().then(no_answer()), &retry("throttled"));
    let concluding = paying(&before_last).called(Ending::Done(paid()));
    gives_up(concluding.then(no_answer()), &retry("throttled"));
    let last = Scene { receive_count: 20, ..Scene::new() };
    let unanswered = paying(&last).called(Ending::Done(paid())).then(no_answer());
    parks_and_tells(unanswered, "retries_exhausted", "retries_exhausted: throttled");
}

#[test]
fn a_delivery_that_runs_out_of_time_stops_at_its_checkpoint() {
    let before_last = Scene { receive_count: 19, ..Scene::new() };
    let late = paying(&before_last).called(Ending::Done(paid())).out_of_time().applied();
    assert_eq!(late.course.held().map(|held| held.step.as_str()), Some(SHIP));
    gives_up(late, &Disposition::Deferred);
    let unanswered = paying(&before_last).called(Ending::Done(paid())).out_of_time().applied();
    unanswered.then(Event::NoAnswer("throttled".to_owned())).ends_with(&Disposition::Deferred);
    let last = Scene { receive_count: 20, ..Scene::new() };
    let late = paying(&last).called(Ending::Done(paid())).out_of_time().applied();
    parks_and_tells(late, "retries_exhausted", "retries_exhausted: no time left");
}

#[test]
fn an_outcome_that_cannot_be_known_parks_the_order_on_any_receive() {
    let scene = Scene::new();
    parks(paying(&scene).called(Ending::Unknown("no payment found".to_owned())), "no payment found");
}

#[test]
fn what_the_law_forbids_parks_the_order() {
    let scene = Scene::new();
    let refunding = scene.resuming(scene.left_at(Status::Compensating, REFUND));
    assert_eq!(refunding.due().refusal, Some(declined()));
    parks(refunding.called(Ending::Refused(declined())), "Refused cannot happen at refund_payment");
    let unknown = scene.left_at(Status::InProgress, "a step of another version");
    parks(scene.resuming(unknown), "no step \"a step of another version\" while IN_PROGRESS");
}

#[test]
fn an_order_that_turned_back_for_no_known_reason_is_parked_before_anything_is_undone() {
    let scene = Scene::new();
    let left = scene.left_at(Status::Compensating, REFUND);
    let unreadable = Record { outcomes: left.outcomes.without(REFUSAL), ..left };
    parks(scene.resuming(unreadable), "the order turned back for a reason that cannot be read");
}

#[test]
fn parking_that_fails_brings_the_message_back() {
    let scene = Scene::new();
    let parking = || paying(&scene).called(Ending::Unknown("who knows".to_owned()));
    let shortage = protocol::Shortage { sku: "mug".parse().unwrap(), wanted: 2, left: None };
    for event in [Event::NoAnswer("throttled".to_owned()), Event::Written(Written::Short(shortage))] {
        let failed = parking().then(event);
        failed.ends_with(&retry("parking failed (who knows)"));
        assert!(!failed.end().lost_lease);
    }
}

#[test]
fn parking_that_meets_a_finished_order_is_answered_with_its_result() {
    let scene = Scene::new();
    let parking = paying(&scene).called(Ending::Unknown("who knows".to_owned()));
    let (status, result) = (Status::Completed, Some("{the answer}".to_owned()));
    let finished = Record { status, result, ..scene.left_at(Status::InProgress, TELL) };
    let answered = parking.refused(finished);
    answered.ends_with(&Disposition::Finished { now: None, result: "{the answer}".to_owned() });
}
