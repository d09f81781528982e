//! What the function's role must and must not be able to do.

use super::{Verdict, verdict};
use crate::doctor::facts::Facts;

/// What the function does to the table.
pub const TABLE_NEEDS: [&str; 3] = ["dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem"];
/// What no bug of the function must be able to do: without its record, an order runs again.
pub const TABLE_NEVER: [&str; 4] =
    ["dynamodb:DeleteItem", "dynamodb:DeleteTable", "dynamodb:Scan", "dynamodb:UpdateTimeToLive"];
/// What it does to the index of parked orders.
pub const INDEX_NEEDS: [&str; 1] = ["dynamodb:Query"];
/// What Lambda and the function do to the queue of orders.
pub const SOURCE_NEEDS: [&str; 5] = [
    "sqs:ReceiveMessage",
    "sqs:DeleteMessage",
    "sqs:GetQueueAttributes",
    "sqs:GetQueueUrl",
    "sqs:ChangeMessageVisibility",
];
/// What would lose orders, or bring up new ones.
pub const SOURCE_NEVER: [&str; 2] = ["sqs:PurgeQueue", "sqs:SetQueueAttributes"];
/// What the function does to the queues that it sends to.
pub const SENDS: [&str; 1] = ["sqs:SendMessage"];
/// What receiving from, and sending to, a queue takes that is encrypted with a key of one's own.
pub const KEY_NEEDS: [&str; 2] = ["kms:Decrypt", "kms:GenerateDataKey"];
/// What reading the payment provider's key takes.
pub const SECRET_NEEDS: [&str; 1] = ["secretsmanager:GetSecretValue"];

/// The rule.
pub(super) fn role(facts: &Facts) -> Option<Verdict> {
    let may = facts.may.as_ref()?;
    let asked = |action: &&str| may.contains_key(*action);
    let all = [&TABLE_NEEDS[..], &TABLE_NEVER, &INDEX_NEEDS, &SOURCE_NEEDS, &SOURCE_NEVER, &SENDS];
    if !all.concat().iter().all(asked) {
        return None;
    }
    let lacks = |action: &&&str| may.get(**action) == Some(&false);
    let has = |action: &&&str| may.get(**action) == Some(&true);
    let needs = TABLE_NEEDS.iter().chain(&INDEX_NEEDS).chain(&SOURCE_NEEDS).chain(&SENDS).filter(lacks);
    let never = TABLE_NEVER.iter().chain(&SOURCE_NEVER).filter(has);
    let needs: Vec<&str> = needs.copied().collect();
    let never: Vec<&str> = never.copied().collect();
    let what = match (needs.is_empty(), never.is_empty()) {
        (true, true) => "the rights that the function needs, and none that lose orders".to_owned(),
        (false, _) => format!("the function may not {}", needs.join(", ")),
        (_, false) => format!("the function may {}", never.join(", ")),
    };
    let fix = "the statements of FunctionRole in template.yaml, and no managed policy with wildcards";
    verdict(needs.is_empty() && never.is_empty(), what, fix)
}

/// The rule of keys and secrets. What a key's own policy says is another matter, which IAM leaves out here.
pub(super) fn keys(facts: &Facts) -> Option<Verdict> {
    let may = facts.may_unlock.as_ref()?;
    let lacks = may.iter().filter(|(_, may)| !**may).map(|((action, arn), _)| format!("{action} on {arn}"));
    let lacks: Vec<String> = lacks.collect();
    let what = match (may.is_empty(), lacks.is_empty()) {
        (true, _) => "neither a key nor a secret of its own".to_owned(),
        (_, true) => "the function's role may use its keys and secrets, by its own policies".to_owned(),
        (_, false) => format!("the function may not {}", lacks.join(", ")),
    };
    let fix = "UseKey and ReadStripeKey of FunctionRole in template.yaml, by the parameters KmsKeyArn and StripeSecretArn: without, nothing is received, or nobody is charged";
    verdict(lacks.is_empty(), what, fix)
}
