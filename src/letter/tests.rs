//! Letters against the delivery that ships: what is called settled must never run, whatever happens later.

mod later;

use serde_json::json;

use super::*;
use crate::order::Fingerprint;
use crate::protocol::{self, Claimant};
use crate::record::Status;
use crate::services;

const DAY: Duration = Duration::from_secs(24 * 3600);
const NOW: UnixMillis = UnixMillis(1_795_482_000_000);

fn before(moment: UnixMillis, duration: Duration) -> UnixMillis {
    UnixMillis(moment.0 - u64::try_from(duration.as_millis()).unwrap())
}

fn body(placed_at: UnixMillis) -> String {
    let order = json!({
        "order_id": "ord-1", "customer_id": "cus-1", "placed_at": placed_at.to_rfc3339(), "currency": "USD",
        "items": [{ "sku": "mug", "quantity": 1, "unit_price": 1 }], "payment_method": "pm_card_visa",
    });
    order.to_string()
}

/// With a field that this code does not know.
fn newer(placed_at: UnixMillis) -> String {
    body(placed_at).replacen('{', r#"{"express":true,"#, 1)
}

/// What the function gives with this reason.
fn given(reason: Reason) -> BTreeMap<String, String> {
    let mut all: BTreeMap<_, _> =
        reason.given().iter().map(|name| ((*name).to_owned(), "v1:0".to_owned())).collect();
    if reason != Reason::Exhausted {
        all.insert(attribute::REASON.to_owned(), reason.name().to_owned());
    }
    all
}

fn letter(reason: Reason, body: &str) -> Letter {
    let letter = Letter::read(body, &given(reason), false);
    assert_eq!(letter.reason, reason);
    letter
}

fn record() -> Record {
    let claimant = Claimant { owner: Owner("a worker".into()), lease_until: NOW + Duration::from_secs(1) };
    let order = Order::parse(&body(NOW)).unwrap();
    protocol::claim(&services::workflow(), &order, &claimant, NOW).after
}

fn of_another(record: Record) -> Record {
    Record { fingerprint: Fingerprint::stored("v1:0"), ..record }
}

fn finished(status: Status, at: UnixMillis, retention: Duration) -> Record {
    let expires_at = Some((at + retention).to_seconds());
    let result = Some("{}".to_owned());
    Record { status, result, expires_at, updated_at_ms: at, lease_until_ms: None, ..record() }
}

fn parked(order: Option<&str>) -> Record {
    let parked_from = Some(Status::InProgress);
    let order = order.map(str::to_owned);
    Record { status: Status::Parked, parked_from, order, lease_until_ms: None, ..record() }
}

fn judged(letter: &Letter, records: &[Record], now: UnixMillis) -> Judgement {
    Judge { workflow: services::workflow(), max_age: Some(DAY) }.judge(letter, records, now)
}

#[test]
fn only_all_attributes_together_in_a_message_that_sqs_did_not_move_are_the_functions_word() {
    for reason in [Reason::Invalid, Reason::Conflict, Reason::Stale, Reason::Future] {
        let all = given(reason);
        assert_eq!(Reason::of(&all, false), reason);
        assert_eq!(Reason::of(&all, true), Reason::Exhausted, "its producer's");
        for name in all.keys() {
            let mut fewer = all.clone();
            fewer.insert(name.clone(), String::new());
            assert_eq!(Reason::of(&fewer, false), Reason::Exhausted, "without {name}");
            assert!(reason.is_given(name));
        }
        assert!(reason.is_given("order_id") && !reason.is_given("trace"));
        assert_eq!(reason.is_given("fingerprint"), reason == Reason::Conflict);
    }
    let exhausted = BTreeMap::from([("reason".to_owned(), "exhausted".to_owned())]);
    assert_eq!(Reason::of(&exhausted, false), Reason::Exhausted);
    assert!(!Reason::Exhausted.is_given("reason") && !Reason::Exhausted.is_given("order_id"));
}

#[test]
fn every_id_that_can_be_read_is_known() {
    let mut told = given(Reason::Invalid);
    told.insert("order_id".to_owned(), "told".to_owned());
    let broken = r#"{"order_id":"a","order_id":"told","order_id":"b""#;
    let ids = |moved| -> Vec<String> {
        Letter::read(broken, &told, moved).ids.iter().map(ToString::to_string).collect()
    };
    assert_eq!(ids(false), ["told", "a", "b"]);
    let first = Letter::read(broken, &told, false);
    assert_eq!(first.order_id().map(OrderId::as_str), Some("told"), "first of all");
    assert_eq!(ids(true), ["a", "b", "told"], "what a producer tells is not the function's");
    let order = Letter::read(&body(NOW), &told, false);
    assert_eq!(order.ids.iter().map(OrderId::as_str).collect::<Vec<_>>(), ["ord-1"]);
    assert_eq!(letter(Reason::Exhausted, "nothing").order_id(), None);
}

#[test]
fn a_message_without_a_record_runs_within_its_window_and_not_a_millisecond_beyond() {
    let letter = letter(Reason::Exhausted, &body(NOW));
    let of = |now| judged(&letter, &[], now);
    assert_eq!(of(NOW + DAY).prospect, Prospect::Run);
    let stale = of(NOW + DAY + Duration::from_millis(1));
    assert_eq!(
        stale,
        Judgement { prospect: Prospect::Stale { sure: true }, comes_back: true, settled: true }
    );
    let early = before(NOW, Duration::from_secs(3600));
    assert_eq!(of(early), Judgement { prospect: Prospect::Run, comes_back: false, settled: false });
    let future = of(before(early, Duration::from_millis(1)));
    assert_eq!(future, Judgement { prospect: Prospect::Future, comes_back: true, settled: false });
}

#[test]
fn how_old_is_too_old_is_the_functions_to_say() {
    let judge = Judge { workflow: services::workflow(), max_age: None };
    let of = |reason, age| judge.judge(&letter(reason, &body(before(NOW, age))), &[], NOW);
    assert_eq!(of(Reason::Exhausted, DAY * 21).prospect, Prospect::Run);
    let unsure = of(Reason::Exhausted, DAY * 22);
    assert_eq!((unsure.prospect, unsure.settled), (Prospect::Stale { sure: false }, false));
    assert!(of(Reason::Stale, DAY * 22).settled);
    assert!(!of(Reason::Stale, DAY * 21).settled, "it said so when it was set up otherwise");
}

#[test]
fn a_record_decides_whatever_the_age() {
    let letter = letter(Reason::Exhausted, &body(NOW + DAY * 9));
    let of = |record: Record| judged(&letter, &[record], NOW).prospect;
    let until = NOW + Duration::from_secs(1);
    assert_eq!(of(record()), Prospect::InProgress(until));
    let resume = Prospect::Resume { step: "reserve_inventory".into() };
    assert_eq!(of(Record { lease_until_ms: Some(NOW), ..record() }), resume);
    assert_eq!(of(parked(Some("{}"))), Prospect::Parked);
    assert_eq!(of(parked(None)), Prospect::ParkedWithoutMessage);
    assert_eq!(of(finished(Status::Rejected, NOW, DAY)), Prospect::AnsweredAlready);
    assert_eq!(of(Record { workflow_version: 99, ..record() }), Prospect::UnknownVersion(99));
    assert_eq!(of(of_another(record())), Prospect::Conflict);
    let newer = Record { fingerprint: Fingerprint::stored("v2:0"), ..record() };
    assert_eq!(of(newer), Prospect::Unreadable, "it may be of the same order");
}

#[test]
fn only_what_is_known_not_to_be_lost_may_be_sent() {
    let of = |prospect| Judgement { prospect, comes_back: false, settled: false }.may_be_sent();
    assert!(of(Prospect::Parked) && of(Prospect::Unreadable) && of(Prospect::Invalid));
    assert!(!of(Prospect::ParkedWithoutMessage) && !Judgement::unknown("no answer").may_be_sent());
}

#[test]
fn a_conflict_is_settled_if_its_order_is_too_old_before_the_first_is_forgotten() {
    let (second, kept) = (Duration::from_secs(1), DAY * 3);
    let settled = |max_age, placed_at, record: Record| {
        let judge = Judge { workflow: services::workflow(), max_age };
        let judgement = judge.judge(&letter(Reason::Conflict, &body(placed_at)), &[of_another(record)], NOW);
        assert_eq!(judgement.prospect, Prospect::Conflict);
        judgement.settled
    };
    let first = || finished(Status::Completed, NOW, kept);
    assert!(settled(Some(DAY), before(NOW + DAY * 2, second), first()));
    assert!(!settled(Some(DAY), NOW + DAY * 2, first()));
    assert!(settled(None, before(NOW + DAY, second), first()));
    assert!(!settled(None, NOW + DAY, first()));
    assert!(settled(None, NOW + DAY * 9, Record { expires_at: None, ..first() }), "it is never forgotten");
    assert!(settled(Some(DAY), before(NOW + DAY, second), record()));
    assert!(!settled(Some(DAY), NOW + DAY, record()));
}

#[test]
fn what_this_code_cannot_read_is_settled_only_by_the_functions_word_and_with_no_order_unfinished() {
    let newer = newer(NOW);
    for reason in Reason::ALL {
        let letter = letter(reason, &newer);
        assert_eq!(letter.ids.len(), 1);
        let settled = |records: &[Record]| judged(&letter, records, NOW).settled;
        let invalid = reason == Reason::Invalid;
        assert_eq!((settled(&[]), settled(&[finished(Status::Completed, NOW, DAY)])), (invalid, invalid));
        for status in [Status::InProgress, Status::Compensating, Status::Parked] {
            assert!(!settled(&[finished(Status::Completed, NOW, DAY), Record { status, ..record() }]));
        }
        let hopeless = matches!(reason, Reason::Invalid | Reason::Conflict | Reason::Stale);
        assert_eq!(judged(&letter, &[], NOW).comes_back, hopeless);
    }
}
