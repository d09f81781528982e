//! What the record means that is there already, and what a refused write means to its writer.

use super::*;

/// What [`on_existing`] says, in one word, from a table written down without it: `mine` is whether the owner is
/// me, `same` whether the fingerprint is that of my message.
fn meaning(
    status: Status,
    mine: bool,
    same: bool,
    lease_is_live: bool,
    version_is_known: bool,
) -> &'static str {
    match (status, mine, same) {
        (_, _, false) => "conflict",
        (Status::InProgress | Status::Compensating, true, _) => "mine",
        (Status::Completed | Status::Rejected, ..) => "finished",
        (Status::Parked, ..) => "parked",
        (_, false, true) if !version_is_known => "unknown version",
        (_, false, true) if lease_is_live => "busy",
        (_, false, true) => "lapsed",
    }
}

#[test]
fn every_record_that_can_be_there_has_one_meaning_for_a_message() {
    let (ours, another) = (order().fingerprint(), Fingerprint::stored("v1:another"));
    let workflow = workflow();
    for status in ALL_STATUS {
        let held = held(status, CHARGE);
        for name in ["me", "other"] {
            for fingerprint in [ours.clone(), another.clone()] {
                for lease in [None, Some(0), Some(NOW.0 - 1), Some(NOW.0), Some(NOW.0 + 1)] {
                    for workflow_version in [0, 1, 2] {
                        let found = Record {
                            owner: owner(name),
                            fingerprint: fingerprint.clone(),
                            lease_until_ms: lease.map(UnixMillis),
                            workflow_version,
                            result: status.is_finished().then(|| "{the answer}".to_owned()),
                            ..held.clone()
                        };
                        let live = lease.is_some_and(|until| until > NOW.0);
                        let same = fingerprint == ours;
                        let meaning = meaning(status, name == "me", same, live, workflow_version == 1);
                        let expected = match meaning {
                            "mine" => Existing::Mine(found.clone()),
                            "conflict" => Existing::Conflict { stored: another.clone() },
                            "finished" => Existing::Finished { result: "{the answer}".to_owned() },
                            "parked" => Existing::Parked,
                            "unknown version" => Existing::UnknownVersion(workflow_version),
                            "busy" => Existing::Busy { until: UnixMillis(NOW.0 + 1) },
                            _ => Existing::Lapsed(found.clone()),
                        };
                        let said = on_existing(&workflow, found.clone(), &owner("me"), &ours, NOW);
                        assert_eq!(said, expected, "{found:?}");
                    }
                }
            }
        }
    }
}

#[test]
fn a_finished_record_that_should_have_expired_is_a_duplicate_all_the_same() {
    let found = Record {
        result: Some("{the answer}".to_owned()),
        expires_at: Some(crate::clock::UnixSeconds(1)),
        ..held(Status::Completed, TELL)
    };
    let said = on_existing(&workflow(), found, &owner("me"), &order().fingerprint(), NOW);
    assert_eq!(said, Existing::Finished { result: "{the answer}".to_owned() });
}

fn charged() -> Write {
    checkpoint(&workflow(), &held(Status::InProgress, CHARGE), paid(), Position::Forward(step(SHIP)), NOW)
}

fn lost(found: &Record) -> Refused {
    Refused::Lost { until: found.lease_until_ms }
}

#[test]
fn an_own_write_whose_response_was_lost_is_written() {
    let workflow = workflow();
    let back = held(Status::Compensating, REFUND);
    for write in [
        charged(),
        reserve(&workflow, &held(Status::InProgress, RESERVE), &order(), step(CHARGE), NOW),
        begin_compensation(&workflow, &held(Status::InProgress, CHARGE), None, &refusal(), step(TELL), NOW),
        checkpoint(&workflow, &back, Outcome::nothing(), Position::Backward(step(TELL)), NOW),
        park(&back, "why", "{the message}", NOW),
    ] {
        assert_eq!(on_refused(&write, Some(&write.after)), Refused::Written, "{write:?}");
    }
}

#[test]
fn an_own_end_whose_response_was_lost_is_written_and_not_another_workers() {
    let ending = Ending {
        status: Status::Completed,
        result: "{the answer}".to_owned(),
        retention: std::time::Duration::from_secs(86_400),
        placed_at: NOW,
    };
    let held = held(Status::InProgress, TELL);
    let write = finish(&workflow(), &held, Outcome::nothing(), &ending, NOW);
    assert_eq!(on_refused(&write, Some(&write.after)), Refused::Written);
    let by_another = Record { owner: owner("other"), fence: Fence(4), ..write.after.clone() };
    let expected = Refused::Finished { result: "{the answer}".to_owned() };
    assert_eq!(on_refused(&write, Some(&by_another)), expected);
}

#[test]
fn an_own_write_after_which_somebody_asked_to_cancel_is_written() {
    let reserve = reserve(&workflow(), &held(Status::InProgress, RESERVE), &order(), step(CHARGE), NOW);
    let later = UnixMillis(NOW.0 + 7);
    let cancelled = cancel(&workflow(), &reserve.after, "support", later).unwrap().after;
    assert_ne!(cancelled.updated_at_ms, reserve.after.updated_at_ms);
    assert_eq!(on_refused(&reserve, Some(&cancelled)), Refused::Written);
}

#[test]
fn a_cancellation_before_the_checkpoint_is_a_cancellation() {
    let before = held(Status::InProgress, CHARGE);
    let found = cancel(&workflow(), &before, "support", NOW).unwrap().after;
    let write = charged();
    assert!(!write.guard.holds(Some(&found)));
    assert_eq!(on_refused(&write, Some(&found)), Refused::Cancelled);
}

#[test]
fn a_write_that_minds_no_cancellation_is_never_told_of_one() {
    let ship = held(Status::InProgress, SHIP);
    let write = checkpoint(&workflow(), &ship, Outcome::nothing(), Position::Forward(step(TELL)), NOW);
    let found = Record { cancel_requested: Some("support".to_owned()), ..ship };
    assert_eq!(on_refused(&write, Some(&found)), lost(&found));
}

#[test]
fn a_cancellation_that_another_owner_has_to_see_means_a_lost_lease() {
    let cancelled =
        Record { cancel_requested: Some("support".to_owned()), ..held(Status::InProgress, CHARGE) };
    for found in [
        Record { fence: Fence(4), ..cancelled.clone() },
        Record { owner: owner("other"), ..cancelled.clone() },
        Record { step: SHIP.to_owned(), ..cancelled.clone() },
        Record { status: Status::Compensating, ..cancelled.clone() },
        Record { status: Status::Parked, ..cancelled.clone() },
    ] {
        assert_eq!(on_refused(&charged(), Some(&found)), lost(&found), "{found:?}");
    }
}

#[test]
fn the_same_change_by_another_owner_or_under_another_fence_is_not_mine() {
    let write = charged();
    for found in [
        Record { owner: owner("other"), ..write.after.clone() },
        Record { fence: Fence(4), ..write.after.clone() },
        Record { fence: Fence(2), ..write.after.clone() },
        Record { step: TELL.to_owned(), ..write.after.clone() },
        Record { outcomes: held(Status::InProgress, CHARGE).outcomes, ..write.after.clone() },
    ] {
        assert_eq!(on_refused(&write, Some(&found)), lost(&found), "{found:?}");
    }
}

#[test]
fn a_record_that_is_gone_means_a_lost_lease() {
    assert_eq!(on_refused(&charged(), None), Refused::Lost { until: None });
}

#[test]
fn whoever_finished_the_order_in_between_has_the_answer() {
    for status in ALL_STATUS {
        let found = Record {
            fence: Fence(4),
            owner: owner("other"),
            result: Some("{the answer}".to_owned()),
            ..held(status, TELL)
        };
        let expected = match status.is_finished() {
            true => Refused::Finished { result: "{the answer}".to_owned() },
            false => lost(&found),
        };
        assert_eq!(on_refused(&charged(), Some(&found)), expected, "{status}");
    }
}

#[test]
fn a_claim_is_known_by_its_owner_alone() {
    let write = claim(&workflow(), &order(), &claimant("me"), NOW);
    let later = charged().after;
    assert!(write.shows_in(&Record { owner: owner("me"), ..later.clone() }));
    assert!(!write.shows_in(&Record { owner: owner("other"), ..write.after.clone() }));
}

#[test]
fn a_lost_takeover_is_recognised_by_who_made_it_and_by_nobody_else() {
    let seen = held(Status::InProgress, CHARGE);
    let mine = take_over(&workflow(), &seen, &claimant("mine"), NOW);
    let other = take_over(&workflow(), &seen, &claimant("other"), NOW);
    assert!(mine.shows_in(&mine.after) && !other.shows_in(&mine.after));
    let said = on_existing(&workflow(), mine.after.clone(), &owner("mine"), &order().fingerprint(), NOW);
    assert_eq!(said, Existing::Mine(mine.after.clone()));
    let until = mine.after.lease_until_ms.unwrap();
    let said = on_existing(&workflow(), mine.after, &owner("other"), &order().fingerprint(), NOW);
    assert_eq!(said, Existing::Busy { until });
}
