//! One fault at a time, on every path.

use order_processor::local::faults::Fault;

use super::branch::Branch;
use super::case::{Case, kinds};
use super::paths::{PATHS, Path, Provider};
use super::sweep::{Played, Tally, play, play_all};
use crate::evidence::{Section, thorough};

/// What can go on for longer than one request.
const OUTAGES: [Fault; 5] =
    [Fault::LoseRequest, Fault::LoseResponse, Fault::Hang, Fault::Throttle, Fault::TransactionConflict];
/// The attempts of one request and the look that follows: more than any single write makes.
const OUTAGE: usize = 6;

/// Every kind of fault at every request of the path.
pub fn single_faults(path: Path) -> Vec<Case> {
    let calm = Case::calm(path);
    let played = play(&calm).unwrap_or_else(|wrong| panic!("{wrong}"));
    each_request_after(&played, 0, kinds(), |number, fault| calm.and(number, number, fault))
}

/// A case for each kind of fault at each request after number `after` that it can happen to.
pub fn each_request_after(
    played: &Played,
    after: usize,
    kinds: impl Iterator<Item = Fault>,
    case: impl Fn(usize, Fault) -> Case,
) -> Vec<Case> {
    let kinds: Vec<Fault> = kinds.collect();
    let requests = played.requests.iter().filter(|request| request.number > after);
    let cases = requests.flat_map(|request| {
        let able = kinds.iter().filter(|fault| fault.applies_to(&request.operation));
        able.map(|fault| case(request.number, *fault))
    });
    cases.collect()
}

fn outages(path: Path) -> Vec<Case> {
    let calm = Case::calm(path);
    let played = play(&calm).unwrap_or_else(|wrong| panic!("{wrong}"));
    let from = |number, fault| calm.and(number, number + OUTAGE - 1, fault);
    each_request_after(&played, 0, OUTAGES.into_iter(), from)
}

/// In a quick run a batch of several orders, and an order that the provider gives trouble, both of which are long, have
/// every so many of their faults.
const QUICK_LONG_STRIDE: usize = 3;
/// And every path every so many of its outages.
const QUICK_OUTAGE_STRIDE: usize = 9;

fn in_a_quick_run(cases: Vec<Case>, stride: usize) -> Vec<Case> {
    cases.into_iter().step_by(if thorough() { 1 } else { stride }).collect()
}

#[test]
fn whatever_happens_at_any_request_the_order_takes_effect_once() {
    let mut section = Section::new("4-faults-1", "Every fault between any two I/Os");
    let singles: Vec<Case> = PATHS
        .into_iter()
        .flat_map(|path| {
            let is_long = path.ends.len() > 1 || path.provider != Provider::Usual;
            in_a_quick_run(single_faults(path), if is_long { QUICK_LONG_STRIDE } else { 1 })
        })
        .collect();
    let outages = in_a_quick_run(PATHS.into_iter().flat_map(outages).collect(), QUICK_OUTAGE_STRIDE);
    let mut tally = Tally::default();
    play_all(&singles).iter().for_each(|played| tally.add(played));
    section.line(format!(
        "single faults, each kind at each request that it can happen to: {} cases",
        singles.len()
    ));
    play_all(&outages).iter().for_each(|played| tally.add(played));
    section.line(format!("outages, the same fault on {OUTAGE} requests in a row: {} cases", outages.len()));
    if !thorough() {
        section.line(format!(
            "a slice: every {QUICK_LONG_STRIDE}rd fault of the batch and of the provider's trouble, every {QUICK_OUTAGE_STRIDE}th outage"
        ));
    }
    section.line(
        "TransactionConflict happens to writes of the table only, as on DynamoDB; the rest to everything",
    );
    tally.tell(&mut section);
    section.end();
    tally.must_have(&Branch::ALL);
}
