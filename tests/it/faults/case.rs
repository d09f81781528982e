//! One case: a path and what goes wrong on it, as text and back. `happy 3:LoseResponse 7-12:Hang`.

use std::fmt;
use std::str::FromStr;

use order_processor::local::faults::{Fault, Landing, Passage};

use super::paths::{PATHS, Path};

/// A path and what goes wrong on it.
#[derive(Clone, Debug)]
pub struct Case {
    pub path: Path,
    pub strikes: Vec<Strike>,
}

/// The same fault on every request from number `first` to number `last`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Strike {
    pub first: usize,
    pub last: usize,
    pub fault: Fault,
}

/// Every kind of fault that strikes a single request. A new one joins by itself.
pub fn kinds() -> impl Iterator<Item = Fault> {
    Fault::ALL.into_iter().chain([Fault::LandLate(Landing::OnRelease)])
}

impl Case {
    pub fn calm(path: Path) -> Self {
        Case { path, strikes: Vec::new() }
    }

    pub fn and(&self, first: usize, last: usize, fault: Fault) -> Self {
        let mut strikes = self.strikes.clone();
        strikes.push(Strike { first, last, fault });
        Case { path: self.path, strikes }
    }

    pub fn fault_at(&self, passage: &Passage) -> Option<Fault> {
        let here = |strike: &&Strike| (strike.first..=strike.last).contains(&passage.number);
        self.strikes.iter().find(here).map(|strike| strike.fault)
    }

    /// The command that runs this case alone.
    pub fn command(&self) -> String {
        format!("FAULT_CASE='{self}' cargo test --locked --test it -- faults::one_case --nocapture")
    }
}

pub fn name(fault: Fault) -> String {
    match fault {
        Fault::LandLate(Landing::AfterGivingUp(_)) => "LandLate".to_owned(),
        Fault::LandLate(Landing::Before(number)) => format!("LandLate@{number}"),
        Fault::LandLate(Landing::OnRelease) => "LandLate@end".to_owned(),
        other => format!("{other:?}"),
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.path.name)?;
        self.strikes.iter().try_for_each(|strike| write!(f, " {strike}"))
    }
}

impl fmt::Display for Strike {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Strike { first, last, fault } = self;
        match first == last {
            true => write!(f, "{first}:{}", name(*fault)),
            false => write!(f, "{first}-{last}:{}", name(*fault)),
        }
    }
}

impl FromStr for Case {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut words = text.split_whitespace();
        let named = words.next().unwrap_or_default();
        let path = PATHS.iter().find(|path| path.name == named).ok_or_else(|| refuse(named))?;
        let strikes = words.map(|word| strike(word).ok_or_else(|| refuse(word)));
        Ok(Case { path: *path, strikes: strikes.collect::<Result<_, _>>()? })
    }
}

fn strike(word: &str) -> Option<Strike> {
    let (requests, fault) = word.split_once(':')?;
    let (first, last) = requests.split_once('-').unwrap_or((requests, requests));
    let (first, last) = (first.parse().ok()?, last.parse().ok()?);
    let landing = fault.strip_prefix("LandLate@").and_then(|number| number.parse().ok());
    let fault = match landing {
        Some(number) => Fault::LandLate(Landing::Before(number)),
        None => kinds().find(|kind| name(*kind) == fault)?,
    };
    (1 <= first && first <= last).then_some(Strike { first, last, fault })
}

fn refuse(word: &str) -> String {
    let paths: Vec<_> = PATHS.iter().map(|path| path.name).collect();
    let kinds: Vec<_> = kinds().map(name).collect();
    format!(
        "FAULT_CASE: {word:?} is not understood. It is a path ({}), then for each fault the number of the request \
         (or first-last) and its kind, as in 3:LoseResponse or 7-12:Hang ({}, LandLate@NUMBER)",
        paths.join(", "),
        kinds.join(", ")
    )
}
