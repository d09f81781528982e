//! Reads the world at the end of a case: everything took effect once, or nothing is left. The one place that does.

use std::collections::{BTreeMap, BTreeSet};

use order_processor::local::faults::Faults;
use order_processor::local::ledger::{self, Facts, Sent};
use order_processor::local::receiver::Deliveries;
use order_processor::record::{Record, Status};
use serde_json::{Value, json};

use super::case::Case;
use super::paths::End;
use super::play::{Play, order_of};
use crate::local_world::TABLE;
use crate::world::{Message, World};

/// Everything that is wrong; nothing if all is well. Each message is delivered once more on the way, which must
/// bring the stored answer and change nothing.
pub async fn check(case: &Case, play: &mut Play) -> Vec<String> {
    let world = play.world.clone();
    let mut wrong = std::mem::take(&mut play.violations);
    play.look(case);
    let records = records(&world, case).await;
    let messages = (case.path.messages)();
    duplicates(play, &messages, &mut wrong).await;
    for (end, record) in case.path.ends.iter().zip(&records) {
        match record {
            Some(record) => ended(&world, end, record, &mut wrong),
            None => wrong.push(format!("{} has no record", end.order)),
        }
    }
    in_the_order_of_their_groups(&messages, &records, &mut wrong);
    if let Some(warehouse) = &world.warehouse {
        let asked = warehouse.asked();
        if asked.len() != 1 || asked.values().any(|bodies| bodies.len() != 1) {
            wrong.push(format!("the warehouse was asked {asked:?}"));
        }
    }
    wrong.extend(fired(case, play));
    wrong.extend(play.lines.iter().filter(|line| line["outcome"] == "panic").map(|line| format!("{line:?}")));
    let facts = facts(play, &messages, records).await;
    wrong.extend(ledger::check(&facts).iter().map(ToString::to_string));
    play.look(case);
    wrong.extend(play.watch.violations());
    wrong
}

async fn records(world: &World, case: &Case) -> Vec<Option<Record>> {
    let mut records = Vec::new();
    for end in case.path.ends {
        records.push(world.record(end.order).await);
    }
    records
}

/// A message of every order, once more, to a worker that nothing happens to.
async fn duplicates(play: &mut Play, messages: &[Message], wrong: &mut Vec<String>) {
    let again: Vec<_> = messages.iter().cloned().map(|message| Message { group: None, ..message }).collect();
    let worker = play.world.worker_under(&Faults::none());
    let outcome = play.world.deliver_to(&worker, &again).await;
    if !outcome.failed.is_empty() || outcome.outcomes().iter().any(|outcome| *outcome != "duplicate") {
        wrong.push(format!("delivered again: {:?}, failed: {:?}", outcome.outcomes(), outcome.failed));
    }
    play.lines.extend(outcome.lines.into_values());
}

fn ended(world: &World, end: &End, record: &Record, wrong: &mut Vec<String>) {
    let status = if end.rejected.is_some() { Status::Rejected } else { Status::Completed };
    let reason = record.outcomes.refusal().map(|refusal| refusal.reason);
    let ledger = world.payments.ledger();
    let (charges, refunds) = (ledger.charges_of(end.order).len(), ledger.settled_refunds_of(end.order).len());
    if (record.status, reason, charges, refunds) != (status, end.rejected, end.charges, end.refunds) {
        wrong.push(format!(
            "{end:?} was expected, but it is {} {reason:?} with {charges} charges and {refunds} refunds",
            record.status
        ));
    }
    if record.lease_until_ms.is_some() || record.expires_at.is_none() {
        wrong.push(format!("a finished record has no lease and expires: {record:?}"));
    }
}

/// The next order of a group is not claimed before the one before it is finished.
fn in_the_order_of_their_groups(messages: &[Message], records: &[Option<Record>], wrong: &mut Vec<String>) {
    let of = |message: &Message| {
        let order = order_of(message);
        records.iter().flatten().find(move |record| record.order_id() == order)
    };
    for (place, first) in messages.iter().enumerate().filter(|(_, first)| first.group.is_some()) {
        for later in messages[place + 1..].iter().filter(|later| later.group == first.group) {
            if let (Some(first), Some(later)) = (of(first), of(later))
                && first.pk != later.pk
                && later.claimed_at_ms < first.updated_at_ms
            {
                wrong.push(format!("{} was claimed before {} was finished", later.pk, first.pk));
            }
        }
    }
}

/// A fault that did not happen proves nothing.
fn fired(case: &Case, play: &Play) -> Vec<String> {
    let log = play.world.faults.log();
    let missing = case
        .strikes
        .iter()
        .filter(|strike| log.get(strike.first - 1).is_none_or(|passage| passage.fault != Some(strike.fault)));
    missing.map(|strike| format!("{strike} never happened")).collect()
}

async fn facts(play: &Play, messages: &[Message], records: Vec<Option<Record>>) -> Facts {
    let world = &play.world;
    let mut answers: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for line in &play.lines {
        if let (Some(order), Some(result)) =
            (line["order_id"].as_str(), line.get("result").and_then(Value::as_str))
        {
            answers.entry(order.to_owned()).or_default().insert(result.to_owned());
        }
    }
    let sent = messages.iter();
    Facts {
        sent: sent.map(|sent| Sent { message_id: sent.id.clone(), body: sent.body.clone() }).collect(),
        out_of_window: BTreeSet::new(),
        records: records.into_iter().flatten().collect(),
        payments: world.payments.ledger(),
        shipments: received(world, "WAREHOUSE_QUEUE_URL").await,
        notifications: received(world, "NOTIFICATIONS_QUEUE_URL").await,
        stock_before: BTreeMap::from([("mug".to_owned(), play.mugs)]),
        stock_stated: BTreeMap::new(),
        stock_after: BTreeMap::from([("mug".to_owned(), available(world).await)]),
        answers,
        dead_letters: Vec::new(),
    }
}

async fn available(world: &World) -> u64 {
    let key = json!({ "TableName": TABLE, "Key": { "pk": { "S": "STOCK#mug" } } });
    let answer = world.ask("DynamoDB_20120810.GetItem", &key).await;
    answer["Item"]["available"]["N"].as_str().unwrap().parse().unwrap()
}

/// What the queue behind `variable` has, taken out.
async fn received(world: &World, variable: &str) -> Deliveries {
    let mut deliveries = Deliveries::new();
    let request = json!({
        "QueueUrl": world.variables[variable], "MaxNumberOfMessages": 10,
        "MessageAttributeNames": ["All"], "VisibilityTimeout": 3600,
    });
    loop {
        let answer = world.ask("AmazonSQS.ReceiveMessage", &request).await;
        let Some(messages) = answer["Messages"].as_array().filter(|messages| !messages.is_empty()) else {
            return deliveries;
        };
        for message in messages {
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let key = text(&message["MessageAttributes"]["idempotency_key"]["StringValue"]);
            let (delivered, body) = (deliveries.entry(key).or_default(), text(&message["Body"]));
            delivered.times += 1;
            if !delivered.bodies.contains(&body) {
                delivered.bodies.push(body);
            }
        }
    }
}
