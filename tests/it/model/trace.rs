//! A counterexample as a story: what happened, one line each, and the record after it.

use std::fmt::Write as _;

use order_processor::delivery::Command;
use order_processor::protocol::Write;
use stateright::Path;

use super::Model;
use super::checker::{Action, Fault};
use super::world::{Delivered, Phase, Run, World};

/// The path as lines.
pub fn of(model: &Model, path: Path<World, Action>) -> String {
    let mut text = String::new();
    if let Some(removed) = model.removed {
        writeln!(text, "without the guard \"{}\":", removed.words()).unwrap();
    }
    let steps = path.into_vec();
    for (number, pair) in steps.windows(2).enumerate() {
        let ((before, Some(action)), (after, _)) = (&pair[0], &pair[1]) else { continue };
        writeln!(text, "{:3}. {}", number + 1, happened(before, *action, after)).unwrap();
    }
    if let Some((last, _)) = steps.last() {
        writeln!(text, "     then: {}", state(last)).unwrap();
    }
    text
}

fn happened(before: &World, action: Action, after: &World) -> String {
    let run = |index: usize| &before.runs[index];
    let what = match action {
        Action::Deliver(Delivered { message, last, code }) => {
            format!(
                "w{} of version {} gets the {message:?} message{}",
                after.begun,
                code + 1,
                if last { " for the last time" } else { "" }
            )
        }
        Action::Do { run: index, late, accepts } => {
            let late = if late { ", past the lease" } else { "" };
            let refused = if accepts { "" } else { ", and is refused" };
            format!("{}{late}{refused}", doing(run(index)))
        }
        Action::Fail { run: index, fault } => format!("{}; {}", doing(run(index)), failing(fault)),
        Action::Crash { run: index } => format!("w{} dies before it {}", run(index).number, verb(run(index))),
        Action::Land(index) => format!("a late write lands: {}", write(&before.late_writes[index])),
        Action::LandCall { index, .. } => {
            format!("a late call lands: {}", command(&before.late_calls[index]))
        }
        Action::Read { act, code } => {
            format!("an operator of version {} reads the record, to do: {act:?}", code + 1)
        }
        Action::Operate(index) => format!("an operator writes: {}", write(&before.operators[index])),
        Action::Restock => "one more of each SKU comes in".to_owned(),
        Action::Pass => format!("time passes: {:?}", after.day),
        Action::Sweep => "DynamoDB deletes the expired record".to_owned(),
    };
    match before.record == after.record {
        true => what,
        false => format!("{what}\n       record: {}", record(after)),
    }
}

fn doing(run: &Run) -> String {
    format!("w{} {}", run.number, verb(run))
}

fn verb(run: &Run) -> String {
    let again = match run.phase {
        Phase::Ready => "",
        Phase::Retrying => " again",
        Phase::Looking => " (reads whether it was written)",
        Phase::StockMoved => " (the order, after the stock)",
    };
    format!("{}{again}", command(&run.command))
}

fn command(command: &Command) -> String {
    match command {
        Command::Find => "looks for the record".to_owned(),
        Command::Write(it) => format!("writes {}", write(it)),
        Command::Call(due) => format!("calls {} as fence {}", due.key, due.held.fence.0),
        Command::End(handled) => format!("ends: {:?}", handled.disposition),
    }
}

fn write(write: &Write) -> String {
    let after = &write.after;
    let fence = after.fence.0;
    match &write.before {
        None => format!("the claim as {}, fence {fence}", after.owner.0),
        Some(before) => format!(
            "{} {} -> {} {} as {}, fence {fence}",
            before.status, before.step, after.status, after.step, after.owner.0
        ),
    }
}

fn failing(fault: Fault) -> &'static str {
    match fault {
        Fault::Repeat => "the response is lost, and the SDK will send it again",
        Fault::LoseResponse => "it arrives, but the response is lost",
        Fault::LoseThenThrottle => "it arrives, the response is lost, and the next attempt is throttled",
        Fault::Refuse => "it does not arrive",
        Fault::Late => "it is given up, and may arrive later",
        Fault::Unknown { effect: true } => "it takes effect, and nobody can know",
        Fault::Unknown { effect: false } => "it takes no effect, and nobody can know",
    }
}

fn record(world: &World) -> String {
    let Some(record) = &world.record else { return "none".to_owned() };
    let cancel = if record.cancel_requested.is_some() { ", cancellation requested" } else { "" };
    format!(
        "{} at {}, fence {} of {}{cancel}, stock {:?}",
        record.status, record.step, record.fence.0, record.owner.0, world.stock
    )
}

fn state(world: &World) -> String {
    let callees = &world.callees;
    let told: Vec<String> = callees.told.iter().map(|(_, body)| told(body)).collect();
    let ended = world.finished.as_ref().map_or("unfinished".to_owned(), |record| record.status.to_string());
    let broken = world.broken.map_or(String::new(), |what| format!("; {what}"));
    format!(
        "order {ended}, {} charged, {} refunded, {} shipped, stock {:?} of {:?}, told [{}], {} answers{broken}",
        callees.charges,
        callees.refunds,
        callees.shipments.len(),
        world.stock,
        world.supplied,
        told.join(", "),
        world.answers.len()
    )
}

/// What a notification says, without what every one says.
fn told(body: &str) -> String {
    let body: serde_json::Value = serde_json::from_str(body).expect("a notification is JSON");
    let reason = body["reason"].as_str().map_or(String::new(), |reason| format!(" ({reason})"));
    format!("{}{reason}", body["status"].as_str().unwrap_or_default())
}
