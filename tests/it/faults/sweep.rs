//! Plays cases by the thousand, on every core, and counts what was reached.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use order_processor::local::faults::{Fault, Passage};
use tokio::time::Instant;

use super::branch::Branch;
use super::case::{Case, kinds, name};
use super::check::check;
use super::play::Play;
use crate::evidence::Section;
use crate::side_by_side::on_every_core;

/// What became of a case that went well.
#[derive(Clone, Debug)]
pub struct Played {
    pub case: Case,
    /// Every request that was made, in order, without the check's own.
    pub requests: Vec<Request>,
    pub branches: BTreeSet<Branch>,
    pub deliveries: u32,
    /// From the first delivery to the end of the last, on the world's clock.
    pub took: Duration,
}

/// One request of a case.
#[derive(Clone, Debug)]
pub struct Request {
    pub number: usize,
    pub operation: String,
    pub fault: Option<Fault>,
}

impl From<Passage> for Request {
    fn from(Passage { number, operation, fault, .. }: Passage) -> Self {
        Request { number, operation, fault }
    }
}

/// Plays one case in a world and a runtime of its own.
///
/// # Errors
/// What was wrong, with the command that repeats it.
pub fn play(case: &Case) -> Result<Played, String> {
    let played = catch_unwind(AssertUnwindSafe(|| in_paused_time(play_to_the_end(case))));
    let wrong = match played {
        Ok((played, wrong)) if wrong.is_empty() => return Ok(played),
        Ok((_, wrong)) => wrong.join("\n  "),
        Err(_) => "the test itself panicked, see above".to_owned(),
    };
    Err(format!("{case}\n  {wrong}\n  To repeat it alone:\n  {}", case.command()))
}

/// Runs `story` on a clock of its own, which only moves when everybody waits.
pub fn in_paused_time<T>(story: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
    runtime.unwrap().block_on(story)
}

async fn play_to_the_end(case: &Case) -> (Played, Vec<String>) {
    let mut play = Play::of(case).await;
    let started = Instant::now();
    play.play_out(case).await;
    let took = started.elapsed();
    let requests = play.world.faults.log().into_iter().map(Request::from).collect();
    let deliveries = play.deliveries;
    let wrong = check(case, &mut play).await;
    let branches = Branch::reached(case, &play);
    (Played { case: case.clone(), requests, branches, deliveries, took }, wrong)
}

/// Plays every case, side by side, and gives back what became of them in the same order.
///
/// # Panics
/// If anything went wrong: the first few are told in full.
pub fn play_all(cases: &[Case]) -> Vec<Played> {
    let (played, failures): (Vec<_>, Vec<_>) =
        on_every_core(cases, play).into_iter().partition(Result::is_ok);
    let failures: Vec<String> = failures.into_iter().filter_map(Result::err).collect();
    let some: Vec<_> = failures.iter().take(5).map(String::as_str).collect();
    assert!(failures.is_empty(), "{} of {} cases failed:\n{}", failures.len(), cases.len(), some.join("\n"));
    played.into_iter().flatten().collect()
}

/// What a number of cases came to.
#[derive(Default)]
pub struct Tally {
    pub cases: usize,
    pub by_path: BTreeMap<String, usize>,
    pub by_kind: BTreeMap<String, usize>,
    /// How often each branch was reached, and where first.
    pub branches: BTreeMap<Branch, (usize, String)>,
    pub deliveries: u32,
}

impl Tally {
    pub fn add(&mut self, played: &Played) {
        self.cases += 1;
        *self.by_path.entry(played.case.path.name.to_owned()).or_default() += 1;
        for fault in played.requests.iter().filter_map(|request| request.fault) {
            let name = name(fault);
            let kind = name.split_once('@').filter(|(_, at)| *at != "end").map_or(&*name, |(kind, _)| kind);
            *self.by_kind.entry(kind.to_owned()).or_default() += 1;
        }
        for branch in &played.branches {
            self.branches.entry(*branch).or_insert_with(|| (0, played.case.to_string())).0 += 1;
        }
        self.deliveries = self.deliveries.max(played.deliveries);
    }

    pub fn tell(&self, section: &mut Section) {
        let list = |counts: &BTreeMap<String, usize>| {
            let counts: Vec<_> = counts.iter().map(|(name, count)| format!("{name} {count}")).collect();
            counts.join(", ")
        };
        section.line(format!("cases by path: {}", list(&self.by_path)));
        section.line(format!("faults that happened: {}", list(&self.by_kind)));
        for (branch, (count, first)) in &self.branches {
            section.line(format!("{}: in {count} cases, as in `{first}`", branch.sentence()));
        }
        section.line(format!("finished within {} deliveries", self.deliveries));
    }

    /// # Panics
    /// If one of the branches was never reached, or a kind of fault never happened.
    pub fn must_have(&self, branches: &[Branch]) {
        let missing = branches.iter().filter(|branch| !self.branches.contains_key(branch));
        let missing: Vec<_> = missing.map(|branch| branch.sentence()).collect();
        let missing_kinds: Vec<_> =
            kinds().map(name).filter(|kind| !self.by_kind.contains_key(kind)).collect();
        assert!(missing.is_empty() && missing_kinds.is_empty(), "never: {missing:?} {missing_kinds:?}");
    }
}
