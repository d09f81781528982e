//! A failure made small: fewer orders, fewer faults, fewer workers, as long as the same invariant is broken.

use std::collections::BTreeSet;

use super::{Outcome, Plan, run};
use crate::local::ledger::Invariant;

/// The most runs that a failure is worth.
const RUNS: u32 = 150;

/// A failure as small as it was found.
#[derive(Clone, Debug)]
pub struct Shrunk {
    /// What to run.
    pub plan: Plan,
    /// What comes of it, with its log.
    pub outcome: Outcome,
    /// How many runs it took.
    pub runs: u32,
}

struct Search {
    invariant: Invariant,
    best: Plan,
    outcome: Outcome,
    runs: u32,
}

/// A smaller plan that breaks the first broken invariant of `outcome`, which came of `plan`. `None` if it is unbroken.
pub fn shrink(plan: &Plan, outcome: &Outcome) -> Option<Shrunk> {
    let first = outcome.violations.first()?;
    let (best, outcome) = (plan.clone(), outcome.clone());
    let mut search = Search { invariant: first.invariant, best, outcome, runs: 0 };
    search.orders();
    search.faults();
    search.orders();
    search.workers();
    let plan = Plan { log: true, ..search.best };
    Some(Shrunk { outcome: run(&plan), plan, runs: search.runs })
}

impl Search {
    fn orders(&mut self) {
        let all: Vec<u32> = self.best.numbers().collect();
        minimize(&all, |some| {
            let only: BTreeSet<u32> = some.iter().copied().collect();
            !only.is_empty() && self.fails(Plan { only_orders: Some(only), ..self.best.clone() })
        });
    }

    fn faults(&mut self) {
        let all = self.outcome.faults.clone();
        let needed = minimize(&all, |some| self.fails_with(some));
        // Where every one is needed, they are named all the same: the command then says what it takes.
        if self.best.only_faults.is_none() {
            self.fails_with(&needed);
        }
    }

    fn fails_with(&mut self, faults: &[String]) -> bool {
        let only: BTreeSet<String> = faults.iter().cloned().collect();
        self.fails(Plan { only_faults: Some(only), ..self.best.clone() })
    }

    fn workers(&mut self) {
        let orders = self.best.numbers().last().unwrap_or(self.best.orders);
        self.fails(Plan { orders, ..self.best.clone() });
        for workers in 1..self.best.workers {
            if self.fails(Plan { workers, ..self.best.clone() }) {
                return;
            }
        }
    }

    fn fails(&mut self, plan: Plan) -> bool {
        if self.runs >= RUNS {
            return false;
        }
        self.runs += 1;
        let outcome = run(&plan);
        let fails = outcome.violations.iter().any(|violation| violation.invariant == self.invariant);
        if fails {
            (self.best, self.outcome) = (plan, outcome);
        }
        fails
    }
}

/// Delta debugging (Zeller and Hildebrandt, 2002): leaves parts out, smaller and smaller ones, while `fails` says
/// that what is left still fails.
fn minimize<T: Clone>(all: &[T], mut fails: impl FnMut(&[T]) -> bool) -> Vec<T> {
    let mut left = all.to_vec();
    if fails(&[]) || left.is_empty() {
        return Vec::new();
    }
    let mut part = left.len().div_ceil(2);
    loop {
        let mut from = 0;
        while from < left.len() && left.len() > 1 {
            let without: Vec<T> = [&left[..from], &left[(from + part).min(left.len())..]].concat();
            if !without.is_empty() && fails(&without) {
                left = without;
            } else {
                from += part;
            }
        }
        if part == 1 {
            return left;
        }
        part = part.div_ceil(2);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_needed_for_a_failure_is_left_out() {
        let all: Vec<u32> = (0..100).collect();
        for needed in [vec![17], vec![3, 99], vec![0, 50, 51, 98], vec![]] {
            let fails = |some: &[u32]| needed.iter().all(|n| some.contains(n));
            assert_eq!(minimize(&all, fails), needed);
        }
    }
}
