//! Every kind of letter, record and moment, with all that may follow, played by the delivery itself.

use std::cell::OnceCell;

use super::*;
use crate::clock::UnixSeconds;
use crate::delivery::{Command, Course, Delivery, Event, Handled, Job, Moment, Rules};
use crate::protocol::Written;
use crate::record::RELEASED;

/// What the function is told, and whether it has told this code.
#[derive(Clone, Copy, Debug)]
struct Told {
    max_age: Duration,
    by_it: bool,
}

impl Told {
    /// The shortest with which the function starts.
    fn retention(self) -> Duration {
        self.max_age + DAY
    }

    fn judge(self) -> Judge {
        Judge { workflow: services::workflow(), max_age: self.by_it.then_some(self.max_age) }
    }
}

/// Delivers the order once: how it ended, or `None` if somebody owns it then.
fn delivered(order: &Order, mut record: Option<Record>, told: Told, now: UnixMillis) -> Option<Handled> {
    let rules = Rules {
        retention: told.retention(),
        max_order_age: told.max_age,
        max_receive_count: 20,
        lease_grace: Duration::ZERO,
    };
    let claimant = Claimant { owner: Owner("me".into()), lease_until: now + Duration::from_secs(60) };
    let delivery = Delivery { order, message: "", receive_count: 1, may_claim: true };
    let job = Job { workflow: &services::workflow(), rules: &rules, delivery, claimant: &claimant };
    let moment = Moment { now, call: Some(Duration::from_secs(1)) };
    let (mut course, mut command) = Course::begin(&job, moment);
    while course.held().is_none() {
        let event = match command {
            Command::Find => Event::Found(record.clone().map(Box::new)),
            Command::Write(write) if write.guard.holds(record.as_ref()) => {
                record = Some(write.after.clone());
                Event::Written(Written::Applied(Box::new(write.after)))
            }
            Command::Write(_) => Event::Written(Written::Refused(record.clone().map(Box::new))),
            Command::Call(_) => return None,
            Command::End(handled) => return Some(handled),
        };
        (course, command) = course.next(&job, event, moment);
    }
    None
}

/// What may be on record at `then`, given what is there at `NOW`: nobody comes, a person resumes, a worker finishes;
/// and what has expired is deleted, soon or late.
fn on_record(found: Option<&Record>, told: Told, then: UnixMillis) -> Vec<Option<Record>> {
    let Some(found) = found else { return vec![None] };
    let mut all = vec![found.clone()];
    if !found.status.is_finished() {
        let resumed = found.parked_from.unwrap_or(found.status);
        all.push(Record { status: resumed, lease_until_ms: Some(RELEASED), ..found.clone() });
        let ended = finished(Status::Completed, NOW, told.retention());
        all.push(Record { fingerprint: found.fingerprint.clone(), ..ended });
    }
    let may_be_gone =
        all.iter().any(|record| record.expires_at.is_some_and(|UnixSeconds(at)| at * 1000 <= then.0));
    all.into_iter().map(Some).chain(may_be_gone.then_some(None)).collect()
}

/// Whether an order could take effect at `NOW` or at any later moment.
fn could_run(order: &Order, found: Option<&Record>, told: Told) -> bool {
    let expires = found.and_then(|record| record.expires_at).map(|UnixSeconds(at)| UnixMillis(at * 1000));
    let edges = [NOW, order.placed_at, order.placed_at + told.max_age, NOW + told.retention() + DAY];
    let edges = edges.into_iter().chain(expires);
    let around =
        |edge: UnixMillis| [before(edge, DAY / 24), before(edge, DAY / 86_400), edge, edge + DAY / 86_400];
    let moments = edges.flat_map(around).map(|moment| moment.max(NOW));
    moments.into_iter().any(|then| {
        let records = on_record(found, told, then).into_iter();
        records.into_iter().any(|record| delivered(order, record, told, then).is_none())
    })
}

/// Every state an order can be in, of this order, of another, and of one that only a newer function can compare.
fn records(told: Told) -> Vec<Record> {
    let mut records = vec![
        record(),
        Record { lease_until_ms: Some(RELEASED), ..record() },
        Record { status: Status::Compensating, step: "notify_customer".into(), ..record() },
        parked(Some("{}")),
        parked(None),
    ];
    for age in [0, 1, 20] {
        let at = before(NOW, DAY * age);
        records.push(finished(Status::Completed, at, told.retention()));
        records.push(finished(Status::Rejected, at, told.retention() * 2));
    }
    let others = records.clone().into_iter().map(of_another);
    let newer = records.clone().into_iter().map(|r| Record { fingerprint: Fingerprint::stored("v2:0"), ..r });
    let versions = records.clone().into_iter().map(|r| Record { workflow_version: 99, ..r });
    let all: Vec<Record> = others.chain(newer).chain(versions).collect();
    records.into_iter().chain(all).collect()
}

/// Letters with this body, and whether the function gave each its reason: all of its attributes, all but one, and all of
/// them in a message that SQS moved.
fn letters(body: &str) -> Vec<(Letter, bool)> {
    let mut letters = vec![(Letter::read(body, &BTreeMap::new(), true), false)];
    for reason in [Reason::Invalid, Reason::Conflict, Reason::Stale, Reason::Future] {
        let all = given(reason);
        let mut fewer = all.clone();
        fewer.remove(attribute::SOURCE_MESSAGE_ID);
        letters.push((Letter::read(body, &all, false), true));
        letters.push((Letter::read(body, &fewer, false), false));
        letters.push((Letter::read(body, &all, true), false));
    }
    letters
}

/// Whether an order of which this is on record could take effect, once found out for all of its letters.
struct Later<'l> {
    order: &'l Order,
    found: Option<&'l Record>,
    told: Told,
    as_compared_here: OnceCell<bool>,
    as_compared_by_a_newer: OnceCell<bool>,
}

impl Later<'_> {
    fn could_run(&self, conflict_by_its_word: bool) -> bool {
        let newer = self.found.filter(|record| record.fingerprint.as_str().starts_with("v2:"));
        match newer.filter(|_| !conflict_by_its_word) {
            None => *self.as_compared_here.get_or_init(|| self.unanswered(self.found.cloned())),
            // Whoever makes other fingerprints may find that these are the same.
            Some(record) => *self.as_compared_by_a_newer.get_or_init(|| {
                self.unanswered(Some(Record { fingerprint: self.order.fingerprint(), ..record.clone() }))
            }),
        }
    }

    fn unanswered(&self, found: Option<Record>) -> bool {
        let is_answer =
            |record: &Record| record.status.is_finished() && record.fingerprint == self.order.fingerprint();
        !found.as_ref().is_some_and(is_answer) && could_run(self.order, found.as_ref(), self.told)
    }
}

/// Whether the message of a letter could take effect. `said` is whether its reason is the function's word; of what the
/// function cannot read, that is so as long as a newer one may have begun with the order.
fn may_run(letter: &Letter, said: bool, later: &Later<'_>) -> bool {
    if letter.order.is_none() && said && letter.reason == Reason::Invalid {
        return later.found.is_some_and(|record| !record.status.is_finished());
    }
    later.could_run(said && letter.reason == Reason::Conflict)
}

fn told() -> Vec<Told> {
    let ages = [5, 21, 28].map(|days| DAY * days).into_iter();
    ages.flat_map(|max_age| [true, false].map(|by_it| Told { max_age, by_it })).collect()
}

fn moments(told: Told) -> Vec<UnixMillis> {
    let hour = DAY / 24;
    let past = [DAY * 40, told.max_age + hour, told.max_age, DAY, hour, Duration::ZERO];
    let future = [hour, hour * 2, DAY - hour, DAY + hour, DAY * 40];
    past.into_iter().map(|age| before(NOW, age)).chain(future.into_iter().map(|ahead| NOW + ahead)).collect()
}

/// Everything told, and every moment at which an order may be placed.
fn orders() -> impl Iterator<Item = (Told, UnixMillis)> {
    told().into_iter().flat_map(|told| moments(told).into_iter().map(move |placed_at| (told, placed_at)))
}

#[test]
fn what_is_settled_never_runs_whatever_happens_later() {
    let mut settled: BTreeMap<&str, u32> = BTreeMap::new();
    for (told, placed_at) in orders() {
        let (judge, order) = (told.judge(), Order::parse(&body(placed_at)).unwrap());
        let mut letters: Vec<_> =
            [body(placed_at), newer(placed_at)].iter().flat_map(|body| letters(body)).collect();
        // The function says that an order is stale only if it is.
        let is_stale = NOW.since(placed_at) > told.max_age;
        letters.retain(|(letter, said)| is_stale || !said || letter.reason != Reason::Stale);
        for found in records(told).into_iter().map(Some).chain([None]) {
            let (as_compared_here, as_compared_by_a_newer) = (OnceCell::new(), OnceCell::new());
            let later = Later {
                order: &order,
                found: found.as_ref(),
                told,
                as_compared_here,
                as_compared_by_a_newer,
            };
            for (letter, said) in &letters {
                let judgement = judge.judge(letter, found.as_slice(), NOW);
                if judgement.settled {
                    assert!(
                        !may_run(letter, *said, &later),
                        "{letter:?} {said} {found:?} {told:?} {judgement:?}"
                    );
                    *settled.entry(judgement.prospect.name()).or_default() += 1;
                }
            }
        }
    }
    let kinds: Vec<_> = settled.keys().copied().collect();
    assert_eq!(kinds, ["answered_already", "conflict", "invalid", "stale"], "{settled:?}");
}

#[test]
fn a_prospect_is_what_the_delivery_would_come_to() {
    for (told, placed_at) in orders().filter(|(told, _)| told.by_it) {
        let letter = letter(Reason::Exhausted, &body(placed_at));
        let order = letter.order.clone().unwrap();
        // What this code cannot compare, it does not foretell.
        let comparable = |record: &Record| {
            record.status != Status::Parked || order.fingerprint().is_comparable(&record.fingerprint)
        };
        for found in records(told).into_iter().filter(comparable).map(Some).chain([None]) {
            let prospect = told.judge().judge(&letter, found.as_slice(), NOW).prospect;
            let ended = delivered(&order, found.clone(), told, NOW).map(|handled| handled.disposition);
            let fits = matches!(
                (&prospect, &ended),
                (Prospect::Run | Prospect::Resume { .. }, None)
                    | (Prospect::AnsweredAlready, Some(Disposition::Finished { .. }))
                    | (Prospect::Parked | Prospect::ParkedWithoutMessage, Some(Disposition::Parked { .. }))
                    | (Prospect::InProgress(_), Some(Disposition::Busy { .. }))
                    | (Prospect::UnknownVersion(_), Some(Disposition::Retry { .. }))
                    | (Prospect::Conflict | Prospect::Unreadable, Some(Disposition::Conflict { .. }))
                    | (Prospect::Stale { sure: true }, Some(Disposition::Stale))
                    | (Prospect::Future, Some(Disposition::Future))
            );
            assert!(fits, "{prospect:?} {ended:?} {found:?}");
        }
    }
}

/// Delivered now, the message of a parked order that has none would be acknowledged, and be gone.
fn would_be_lost(order: &Order, found: Option<&Record>, told: Told) -> bool {
    let ended = delivered(order, found.cloned(), told, NOW).map(|handled| handled.disposition);
    matches!(ended, Some(Disposition::Parked { .. })) && found.is_some_and(|record| record.order.is_none())
}

#[test]
fn what_may_be_sent_is_never_the_only_message_of_a_parked_order() {
    let told = told()[0];
    for placed_at in moments(told) {
        let order = Order::parse(&body(placed_at)).unwrap();
        let letters: Vec<_> =
            [body(placed_at), newer(placed_at)].iter().flat_map(|body| letters(body)).collect();
        for found in records(told) {
            let by_a_newer = Record { fingerprint: order.fingerprint(), ..found.clone() };
            let comparable = order.fingerprint().is_comparable(&found.fingerprint);
            let lost_here = would_be_lost(&order, Some(&found), told);
            let lost_by_a_newer = !comparable && would_be_lost(&order, Some(&by_a_newer), told);
            for (letter, said) in &letters {
                let is_conflict = *said && letter.reason == Reason::Conflict && letter.order.is_some();
                let lost = lost_here || (lost_by_a_newer && !is_conflict);
                let judgement = told.judge().judge(letter, std::slice::from_ref(&found), NOW);
                assert!(!(lost && judgement.may_be_sent()), "{letter:?} {found:?} {judgement:?}");
            }
        }
    }
}
