//! What the protocol has for bad days. An enumeration that never got there has shown nothing.

use std::collections::BTreeSet;

use order_processor::local::faults::Fault;
use serde_json::{Map, Value};

use super::case::Case;
use super::play::Play;

/// A turn that no calm run takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Branch {
    TakenOver,
    OwnLostClaim,
    OwnLostWrite,
    LeaseLost,
    Compensation,
    Parked,
    LookedUp,
}

impl Branch {
    pub const ALL: [Branch; 7] = [
        Branch::TakenOver,
        Branch::OwnLostClaim,
        Branch::OwnLostWrite,
        Branch::LeaseLost,
        Branch::Compensation,
        Branch::Parked,
        Branch::LookedUp,
    ];

    pub fn sentence(self) -> &'static str {
        match self {
            Branch::TakenOver => "another worker took over",
            Branch::OwnLostClaim => "a refused claim was recognised as one's own whose response was lost",
            Branch::OwnLostWrite => {
                "a refused checkpoint was recognised as one's own whose response was lost"
            }
            Branch::LeaseLost => "a worker found that its lease was lost",
            Branch::Compensation => "the order turned back",
            Branch::Parked => "the order was parked, and resumed by an operator",
            Branch::LookedUp => "a write of unknown outcome was looked up",
        }
    }

    /// Those that this play took.
    pub fn reached(case: &Case, play: &Play) -> BTreeSet<Branch> {
        let log = play.world.faults.log();
        let statuses = play.watch.statuses();
        let lost = |operation: &str| {
            let mut lost = log.iter().filter(|passage| passage.fault == Some(Fault::LoseResponse));
            lost.any(|passage| passage.operation == operation)
        };
        // Nobody else writes, and one worker finished it in one delivery: so it went on after the refusal of its own
        // repeat.
        let finished = |line: &Map<String, Value>| {
            (line["outcome"] == "completed" || line["outcome"] == "rejected") && line["took_over"] == false
        };
        let undisturbed = case.path.cancelled_during.is_none()
            && case.strikes.len() == 1
            && play.deliveries == 1
            && play.lines.iter().any(finished);
        let reached = |branch: &Branch| match branch {
            Branch::TakenOver => play.lines.iter().any(|line| line["took_over"] == true),
            Branch::OwnLostClaim => lost("DynamoDB PutItem") && undisturbed,
            Branch::OwnLostWrite => lost("DynamoDB UpdateItem") && undisturbed,
            Branch::LeaseLost => play.lines.iter().any(found_it_lost),
            Branch::Compensation => statuses.contains("COMPENSATING"),
            Branch::Parked => statuses.contains("PARKED"),
            Branch::LookedUp => log.iter().any(|passage| passage.operation == "DynamoDB GetItem"),
        };
        Branch::ALL.into_iter().filter(reached).collect()
    }
}

/// It had owned the order, and then somebody else did.
fn found_it_lost(line: &Map<String, Value>) -> bool {
    let owned = line["attempt"].as_u64() > Some(0);
    owned
        && (["duplicate", "in_progress"].iter().any(|outcome| line["outcome"] == *outcome)
            || line.get("detail").is_some_and(|detail| detail == "the lease is lost"))
}
