//! Queues and table.

use anyhow::{Context, Result};
use aws_sdk_sqs::types::QueueAttributeName;
use serde_json::Value;

use super::{Attributes, Facts};
use crate::failure;
use crate::target::Target;

const QUEUES: &str = "sqs:GetQueueAttributes or sqs:GetQueueUrl";

/// The queue of orders, its dead-letter queue, and the table.
pub async fn queues_and_table(target: &Target, facts: &mut Facts) {
    let source = async { attributes(target, &target.orders_queue().await?).await };
    facts.source = facts.note("the queue of orders", QUEUES, source.await);
    let dead_letters = async { attributes(target, &target.dead_letter_queue().await?).await };
    facts.dead_letters = facts.note("the dead-letter queue", QUEUES, dead_letters.await);
    facts.ttl_attribute = facts.note("the table's TTL", "dynamodb:DescribeTimeToLive", ttl(target).await);
    facts.restorable =
        facts.note("the table's backups", "dynamodb:DescribeContinuousBackups", restorable(target).await);
    facts.deletion_protected =
        facts.note("the table", "dynamodb:DescribeTable", deletion_protected(target).await);
}

/// The queue that the function is told to send to by `variable`, and where that one gives up to.
pub async fn outgoing(target: &Target, facts: &mut Facts, variable: &'static str) {
    let Some(url) = facts.variable(variable).map(str::to_owned) else { return };
    let read = attributes(target, &url).await;
    let Some(queue) = facts.note("a queue that the function sends to", QUEUES, read) else { return };
    let policy: Option<Value> =
        queue.get("RedrivePolicy").and_then(|policy| serde_json::from_str(policy).ok());
    facts.outgoing.insert(variable, queue);
    let arn = policy.as_ref().and_then(|policy| policy["deadLetterTargetArn"].as_str());
    let Some(name) = arn.and_then(|arn| arn.rsplit(':').next()) else { return };
    let read = async { attributes(target, &url_of(target, name).await?).await };
    let read = facts.note("the dead-letter queue of a queue that the function sends to", QUEUES, read.await);
    facts.outgoing_dead_letters.extend(read.map(|queue| (variable, queue)));
}

async fn url_of(target: &Target, name: &str) -> Result<String> {
    let found = target.sqs().get_queue_url().queue_name(name).send().await;
    let found = found.map_err(|error| failure::aws(format!("looking for the queue named {name}"), error))?;
    found.queue_url.with_context(|| format!("the queue named {name} has no URL"))
}

async fn attributes(target: &Target, url: &str) -> Result<Attributes> {
    let request = target.sqs().get_queue_attributes().queue_url(url).attribute_names(QueueAttributeName::All);
    let found = request.send().await.map_err(|error| failure::aws(format!("reading {url}"), error))?;
    let all = found.attributes.unwrap_or_default().into_iter();
    Ok(all.map(|(name, value)| (name.as_str().to_owned(), value)).collect())
}

async fn ttl(target: &Target) -> Result<String> {
    let request = target.dynamodb().describe_time_to_live().table_name(&target.table);
    let found = request.send().await.map_err(|error| failure::aws("reading the table's TTL", error))?;
    let ttl = found.time_to_live_description;
    let enabled =
        ttl.filter(|ttl| ttl.time_to_live_status.as_ref().is_some_and(|status| status.as_str() == "ENABLED"));
    Ok(enabled.and_then(|ttl| ttl.attribute_name).unwrap_or_default())
}

async fn restorable(target: &Target) -> Result<bool> {
    let request = target.dynamodb().describe_continuous_backups().table_name(&target.table);
    let found = request.send().await.map_err(|error| failure::aws("reading the table's backups", error))?;
    let status =
        found.continuous_backups_description.and_then(|backups| backups.point_in_time_recovery_description);
    Ok(status
        .and_then(|status| status.point_in_time_recovery_status)
        .is_some_and(|status| status.as_str() == "ENABLED"))
}

async fn deletion_protected(target: &Target) -> Result<bool> {
    let request = target.dynamodb().describe_table().table_name(&target.table);
    let found = request.send().await.map_err(|error| failure::aws("reading the table", error))?;
    Ok(found.table.and_then(|table| table.deletion_protection_enabled).unwrap_or(false))
}
