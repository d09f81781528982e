//! Every fault between any two I/Os: the shipped code, the real SDK, and embedded servers behind one connector.
//!
//! A case is a path through the workflow and what goes wrong on it, at which request. The requests are counted,
//! not listed, so a new step joins by itself; chance and time belong to the test, so a case repeats exactly.
//! Messages are delivered again until SQS would be told to delete them, and then the world is read.

mod branch;
mod case;
mod check;
mod doubles;
mod interleavings;
mod paths;
mod play;
mod singles;
mod sweep;
mod watch;

use case::{Case, kinds};
use order_processor::local::faults::{Fault, Landing};
use paths::{HAPPY, PATHS};

/// Runs the case that the variable `FAULT_CASE` names and tells its story; without it, an example.
#[test]
fn one_case() {
    let text = asked_for().unwrap_or_else(|| "happy 3:LoseResponse 7:CrashAfter".to_owned());
    let case: Case = text.parse().unwrap_or_else(|error| panic!("{error}"));
    let played = sweep::play(&case).unwrap_or_else(|wrong| panic!("{wrong}"));
    println!("{case}: all is well after {} deliveries. The requests:", played.deliveries);
    for request in &played.requests {
        let fault = request.fault.map(|fault| format!("  <- {}", case::name(fault))).unwrap_or_default();
        println!("{:3} {}{fault}", request.number, request.operation);
    }
}

#[expect(clippy::disallowed_methods, reason = "an option of the test run, as a failing case prints it")]
fn asked_for() -> Option<String> {
    std::env::var("FAULT_CASE").ok()
}

#[test]
fn a_case_is_written_and_read_back_for_every_path_and_kind() {
    for path in PATHS {
        for fault in kinds().chain([Fault::LandLate(Landing::Before(12))]) {
            let case = Case::calm(path).and(3, 3, fault).and(7, 12, fault);
            let read: Case = case.to_string().parse().unwrap();
            assert_eq!((read.path.name, &read.strikes), (path.name, &case.strikes));
            assert_eq!(read.to_string(), case.to_string());
        }
    }
}

#[test]
fn what_is_no_case_is_refused_with_what_is_accepted() {
    for text in ["", "sad", "happy 3", "happy 3:Sneeze", "happy 0:Hang", "happy 4-3:Hang", "happy x:Hang"] {
        let refusal = text.parse::<Case>().unwrap_err();
        for accepted in ["happy", "fifo-batch", "3:LoseResponse", "7-12:Hang", "LandLate@end", "Freeze"] {
            assert!(refusal.contains(accepted), "{text:?}: {refusal}");
        }
    }
}

#[test]
fn a_case_that_goes_wrong_says_how_to_repeat_it() {
    let mut case = Case::calm(HAPPY).and(3, 3, Fault::LoseResponse);
    case.path.ends = paths::OUT_OF_STOCK.ends;
    let failure = sweep::play(&case).unwrap_err();
    let command =
        "FAULT_CASE='happy 3:LoseResponse' cargo test --locked --test it -- faults::one_case --nocapture";
    assert!(failure.contains(command), "{failure}");
    assert!(failure.contains("was expected, but it is COMPLETED"), "{failure}");
}

#[test]
fn a_fault_that_never_happens_fails_the_case() {
    for case in [
        Case::calm(HAPPY).and(99, 99, Fault::Hang),
        // DynamoDB has no conflict for SQS to tell of.
        Case::calm(HAPPY).and(3, 3, Fault::TransactionConflict),
    ] {
        assert!(sweep::play(&case).unwrap_err().contains("never happened"), "{case}");
    }
}

#[test]
fn the_same_case_makes_the_same_requests_at_the_same_time() {
    for text in
        ["happy 3:LoseResponse 7:CrashAfter", "fifo-batch 9:Throttle", "happy 4-6:Hang", "free 4:Freeze"]
    {
        let case: Case = text.parse().unwrap();
        let story = || {
            let played = sweep::play(&case).unwrap();
            (format!("{:?}", played.requests), played.took)
        };
        // The first in a thread of its own, as when a case is repeated alone.
        let alone = std::thread::scope(|scope| scope.spawn(story).join().unwrap());
        assert_eq!([story(), story()], [alone.clone(), alone], "{case}");
    }
}
