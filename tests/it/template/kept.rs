//! T40 and T41: what is left when the stack, or the stack's table, goes, and that nothing refers to what is not there.

use serde_json::Value;

use super::Findings;
use super::resolve::ABSENT;
use super::stack::Stack;

/// Every resource of which a copy cannot be made again.
const KEPT: [&str; 3] = ["AWS::DynamoDB::Table", "AWS::SQS::Queue", "AWS::Backup::BackupVault"];

/// CloudFormation refuses a reference to a resource whose condition does not hold, but only with the parameters at hand.
pub fn t40_nothing_refers_to_what_is_not_there(stack: &Stack) -> Findings {
    let mut found = Findings::new();
    for (id, value) in stack.everything() {
        for absent in absent(value) {
            found.push((id.into(), format!("no reference to {absent}, which is not there")));
        }
    }
    found
}

fn absent(value: &Value) -> Vec<String> {
    match value {
        Value::Object(entries) => entries.values().flat_map(absent).collect(),
        Value::Array(entries) => entries.iter().flat_map(absent).collect(),
        Value::String(text) => {
            let named = |rest: &str| rest.chars().take_while(char::is_ascii_alphanumeric).collect();
            text.split(ABSENT).skip(1).map(named).collect()
        }
        _ => Vec::new(),
    }
}

/// A stack that is deleted and made again begins with an empty table: the queues that it left, with names of their own,
/// stand in its way.
pub fn t41_what_holds_orders_is_kept(stack: &Stack) -> Findings {
    let mut found = Findings::new();
    for (id, _) in KEPT.into_iter().flat_map(|kind| stack.of(kind)) {
        let whole = stack.whole(id);
        for (policy, wanted) in
            [("DeletionPolicy", "RetainExceptOnCreate"), ("UpdateReplacePolicy", "Retain")]
        {
            if whole[policy] != wanted {
                found.push((id.into(), format!("{policy}: {wanted}")));
            }
        }
    }
    for (id, _) in stack.queues().filter(|(_, queue)| queue.get("QueueName").is_none()) {
        found.push((id.into(), "a QueueName of its own".into()));
    }
    found
}
