//! Two faults, on the happy path and on the way back. Enumerated: the second strikes every request that follows the
//! first, those of retries, takeovers and redeliveries included.

use order_processor::local::faults::{Fault, Landing};

use super::branch::Branch;
use super::case::{Case, kinds};
use super::paths::{HAPPY, Path, REFUND};
use super::singles::{each_request_after, single_faults};
use super::sweep::{Played, Tally, play_all};
use crate::evidence::{Section, thorough};

/// In a quick run, every so many of the first faults are taken, and of the second ones; and two freezes always, because
/// they interleave two workers.
const QUICK_STRIDE: usize = 13;
/// The SDK's attempts of one request.
pub const ATTEMPTS: usize = 3;

fn slice(cases: impl Iterator<Item = Case>) -> Vec<Case> {
    let frozen = |case: &Case| case.strikes.iter().all(|strike| strike.fault == Fault::Freeze);
    let chosen =
        cases.enumerate().filter(|(place, case)| thorough() || place % QUICK_STRIDE == 0 || frozen(case));
    chosen.map(|(_, case)| case).collect()
}

/// Between two requests of one order nothing happens outside, so to die after the one is to die before the next.
fn is_new(number: usize, fault: Fault) -> bool {
    fault != Fault::CrashBefore || number == 1
}

/// Every two faults of `path`.
fn pairs(path: Path) -> Vec<Case> {
    let firsts = single_faults(path).into_iter();
    let firsts = firsts.filter(|case| is_new(case.strikes[0].first, case.strikes[0].fault));
    let firsts = play_all(&slice(firsts));
    let seconds = |first: &Played| {
        let and = |number, fault| first.case.and(number, number, fault);
        each_request_after(first, first.case.strikes[0].first, kinds(), and)
    };
    let pairs = firsts.iter().flat_map(seconds);
    slice(pairs.filter(|pair| is_new(pair.strikes[1].first, pair.strikes[1].fault)))
}

/// A request that lands late, in front of every later one: once its next attempt goes through, and once its sender
/// gives it up.
fn landings(path: Path) -> Vec<Case> {
    let late = single_faults(path).into_iter();
    let late: Vec<Case> =
        late.filter(|case| case.strikes[0].fault == Fault::LandLate(Landing::OnRelease)).collect();
    let late: Vec<Case> = late.iter().cloned().chain(late.iter().map(given_up)).collect();
    slice(play_all(&late).iter().flat_map(in_front_of_each_later_request))
}

/// The same, and no later attempt of the SDK comes through either.
pub fn given_up(late: &Case) -> Case {
    let next = late.strikes[0].first + 1;
    late.and(next, next + ATTEMPTS - 2, Fault::Hang)
}

/// Every moment at which the late request of a case can land that was played to the end without it.
pub fn in_front_of_each_later_request(played: &Played) -> Vec<Case> {
    let after = played.case.strikes.last().map_or(0, |strike| strike.last);
    let landing = |number| {
        let mut case = played.case.clone();
        case.strikes[0].fault = Fault::LandLate(Landing::Before(number));
        case
    };
    (after + 1..=played.requests.len()).map(landing).collect()
}

#[test]
fn whatever_two_things_happen_the_order_takes_effect_once() {
    let mut section = Section::new("4-faults-2", "Every two faults between any I/Os");
    let mut tally = Tally::default();
    for (name, cases) in
        [("two faults", pairs as fn(Path) -> Vec<Case>), ("a request that lands late", landings)]
    {
        let cases: Vec<Case> = [HAPPY, REFUND].into_iter().flat_map(cases).collect();
        play_all(&cases).iter().for_each(|played| tally.add(played));
        section.line(format!("{name}: {} cases", cases.len()));
        let crashed = |case: &&Case| matches!(case.strikes[0].fault, Fault::CrashBefore | Fault::CrashAfter);
        match cases.iter().filter(crashed).count() {
            0 => {}
            count => section
                .line(format!("of these, faults that meet the successor of a dead worker: {count} cases")),
        }
    }
    if !thorough() {
        section.line(format!("a slice: every {QUICK_STRIDE}th first fault, every {QUICK_STRIDE}th second, and two freezes always"));
    }
    section.line("CrashBefore is CrashAfter the request before, and played only at the first request");
    section.line("a second Freeze holds the successor while the first worker wakes");
    tally.tell(&mut section);
    section.end();
    tally.must_have(&[Branch::TakenOver, Branch::LeaseLost, Branch::Compensation, Branch::LookedUp]);
}
