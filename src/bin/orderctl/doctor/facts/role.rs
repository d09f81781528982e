//! What the function's role may do.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use order_processor::config::name;
use order_processor::store::PARKED_INDEX;

use super::{Attributes, Facts};
use crate::doctor::rules::rights;
use crate::failure;
use crate::iam;
use crate::target::Target;

/// What it may do to queues and table, and with keys and secrets.
pub async fn rights(target: &Target, facts: &mut Facts, role: &str) {
    const RIGHTS: &str = "iam:SimulatePrincipalPolicy or dynamodb:DescribeTable";
    let read = on_storage(target, facts, role).await;
    facts.may = facts.note("the role's rights", RIGHTS, read);
    let read = on_keys(target, facts, role).await;
    facts.may_unlock = facts.note("the role's rights on keys and secrets", RIGHTS, read);
}

/// What the function needs, and what no bug of it must be able to do, each on the resource that it is about.
async fn on_storage(target: &Target, facts: &Facts, role: &str) -> Result<BTreeMap<String, bool>> {
    let request = target.dynamodb().describe_table().table_name(&target.table);
    let table = request.send().await.map_err(|error| failure::aws("reading the table", error))?.table;
    let table = table.and_then(|table| table.table_arn).context("the table has no ARN")?;
    let arn = |queue: Option<&Attributes>| queue.and_then(|queue| queue.get("QueueArn")).cloned();
    let index = format!("{table}/index/{PARKED_INDEX}");
    let mut about = vec![
        (table, [&rights::TABLE_NEEDS[..], &rights::TABLE_NEVER].concat()),
        (index, rights::INDEX_NEEDS.to_vec()),
    ];
    about.extend(
        arn(facts.source.as_ref())
            .map(|arn| (arn, [&rights::SOURCE_NEEDS[..], &rights::SOURCE_NEVER].concat())),
    );
    let sends_to = facts.outgoing.values().map(Some).chain([facts.dead_letters.as_ref()]);
    about.extend(sends_to.filter_map(arn).map(|arn| (arn, rights::SENDS.to_vec())));
    let mut may = BTreeMap::new();
    for (resource, actions) in about {
        for (action, allowed) in iam::decisions(target.sdk(), role, &actions, &resource).await? {
            // Sending is about several queues: it is allowed if it is on all of them.
            may.entry(action).and_modify(|before| *before &= allowed).or_insert(allowed);
        }
    }
    Ok(may)
}

async fn on_keys(target: &Target, facts: &Facts, role: &str) -> Result<BTreeMap<(String, String), bool>> {
    let mut may = BTreeMap::new();
    let keys = keys(facts)?.into_iter().map(|key| (key, &rights::KEY_NEEDS[..]));
    let secret = facts.variable(name::STRIPE_SECRET_ARN).filter(|arn| !arn.is_empty());
    for (arn, actions) in keys.chain(secret.map(|secret| (secret.to_owned(), &rights::SECRET_NEEDS[..]))) {
        let decided = iam::decisions(target.sdk(), role, actions, &arn).await?;
        may.extend(decided.into_iter().map(|(action, allowed)| ((action, arn.clone()), allowed)));
    }
    Ok(may)
}

/// The customer managed keys of the function and of the queues. A key that AWS manages takes no right.
fn keys(facts: &Facts) -> Result<Vec<String>> {
    let queues = [facts.source.as_ref(), facts.dead_letters.as_ref()].into_iter().flatten();
    let of_queues = queues.chain(facts.outgoing.values()).filter_map(|queue| queue.get("KmsMasterKeyId"));
    let of_function = facts.function.as_ref().and_then(|function| function["KMSKeyArn"].as_str());
    let mut keys: Vec<String> = of_queues.map(String::as_str).chain(of_function).map(str::to_owned).collect();
    keys.retain(|key| !key.contains("alias/aws/"));
    keys.sort();
    keys.dedup();
    if let Some(other) = keys.iter().find(|key| !key.starts_with("arn:")) {
        bail!("the key {other} is not named by its ARN, which IAM wants");
    }
    Ok(keys)
}
