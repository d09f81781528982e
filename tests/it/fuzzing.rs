//! Whatever comes from outside, thrown at what reads it: bodies, events, payloads, a payment provider's answers.
//!
//! Each target takes the files of its folder in `tests/corpus` first, and then what [`input`] makes of them: bytes
//! changed at random, JSON changed at random, and inputs of nobody's making. A case that fails is shrunk and printed; it
//! is kept by putting it into the folder.

mod event;
mod input;
mod invocation;
mod order;
mod respelling;
mod rules;
mod stripe;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::Path;

use proptest::strategy::Strategy;
use proptest::test_runner::{Config, TestCaseResult, TestRunner};

use crate::evidence::{Section, thorough};

/// The files of a folder of the corpus, by name.
fn corpus(folder: &str) -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus").join(folder);
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|file| file.unwrap().path())
        .map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), std::fs::read(&path).unwrap()))
        .collect();
    files.sort();
    assert!(!files.is_empty());
    files
}

/// How often each branch was reached.
#[derive(Default)]
struct Reached(RefCell<BTreeMap<String, u64>>);

impl Reached {
    /// Of `branches`, those that were not reached yet.
    fn missed<'b>(&self, branches: &[&'b str]) -> Vec<&'b str> {
        let reached = self.0.borrow();
        branches.iter().filter(|branch| !reached.contains_key(**branch)).copied().collect()
    }

    fn count(&self, branch: impl Into<String>) {
        *self.0.borrow_mut().entry(branch.into()).or_default() += 1;
    }
}

/// Runs `cases` cases, ten times as many when thorough, and reports what they and the corpus before them `reached`. Each
/// of `branches` must be by the corpus alone: what chance reaches, it may also miss.
fn fuzz<S: Strategy>(
    target: &'static str,
    cases: u32,
    strategy: &S,
    branches: &[&str],
    reached: Reached,
    check: impl Fn(S::Value, &Reached) -> TestCaseResult,
) {
    let cases = if thorough() { cases * 10 } else { cases };
    let mut section = Section::new(format!("7-fuzzing-{target}").leak(), &format!("Fuzzing: {target}"));
    let missed = reached.missed(branches);
    assert!(missed.is_empty(), "{target}: the corpus never reaches {missed:?}");
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 2000, ..Config::default() };
    let outcome = TestRunner::new(config).run(strategy, |input| check(input, &reached));
    assert!(outcome.is_ok(), "{target}: {}", outcome.unwrap_err());
    let reached = reached.0.into_inner();
    section.line(format!("{cases} cases, and the corpus"));
    let counts: Vec<_> = reached.iter().map(|(branch, times)| format!("{branch} {times}")).collect();
    section.line(format!("reached: {}", counts.join("; ")));
    section.end();
}
