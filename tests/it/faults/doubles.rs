//! Two faults, on the happy path and on the way back.

use order_processor::local::faults::{Fault, Landing};

use super::branch::Branch;
use super::case::{Case, kinds};
use super::paths::{HAPPY, Path, REFUND};
use super::singles::{each_request_after, single_faults};
use super::sweep::{Played, Tally, play_all};
use crate::evidence::{Section, thorough};

/// In a quick run, every so many of the pairs are played.
const QUICK_STRIDE: usize = 40;

fn pairs(path: Path) -> Vec<Case> {
    let firsts = play_all(&single_faults(path));
    firsts.iter().flat_map(second_faults).collect()
}

/// Every kind of fault at every request after the first fault, those of retries and takeovers included.
fn second_faults(first: &Played) -> Vec<Case> {
    let at = first.case.strikes[0].first;
    each_request_after(first, at, kinds(), |number, fault| first.case.and(number, number, fault))
}

#[test]
fn whatever_two_things_happen_the_order_takes_effect_once() {
    let mut section = Section::new("4-faults-pairs", "Every two faults between any I/Os");
    let pairs: Vec<Case> = [HAPPY, REFUND].into_iter().flat_map(pairs).collect();
    let stride = if thorough() { 1 } else { QUICK_STRIDE };
    let chosen: Vec<Case> = pairs.iter().step_by(stride).cloned().collect();
    let mut tally = Tally::default();
    play_all(&chosen).iter().for_each(|played| tally.add(played));
    section.line(format!("{} of {} pairs", chosen.len(), pairs.len()));
    tally.tell(&mut section);
    section.end();
}
