//! What can be read of the deployed resources.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result};
use aws_sdk_sqs::types::QueueAttributeName;
use aws_smithy_runtime_api::client::http::HttpConnector;
use aws_smithy_types::body::SdkBody;
use order_processor::clock::{Clock, UnixMillis};
use order_processor::config::name;
use order_processor::function::connector;
use order_processor::store::PARKED_INDEX;
use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;

use super::rules::rights;
use crate::failure;
use crate::iam;
use crate::lambda::Lambda;
use crate::target::Target;

/// A queue's attributes, by their names in the API.
pub type Attributes = BTreeMap<String, String>;

/// What is known; `None` where it could not be read, for which `unread` says why.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    pub source: Option<Attributes>,
    pub dead_letters: Option<Attributes>,
    /// The attribute of the table's TTL; the empty string if it has none.
    pub ttl_attribute: Option<String>,
    /// `DescribeContinuousBackups`: whether the table can be restored to a point in time.
    pub restorable: Option<bool>,
    pub deletion_protected: Option<bool>,
    /// `GetFunctionConfiguration`.
    pub function: Option<Value>,
    /// `GetFunctionConcurrency`.
    pub concurrency: Option<Value>,
    /// `GetEventSourceMapping`.
    pub mapping: Option<Value>,
    /// The queue of shipments and that of notifications, by variable.
    pub outgoing: BTreeMap<&'static str, Attributes>,
    /// Whether the function's role may do an action on what it works with.
    pub may: Option<BTreeMap<String, bool>>,
    /// The tools of a deployment that are on this machine, with what they say of their version.
    pub tools: BTreeMap<&'static str, Option<String>>,
    /// This machine's clock minus the server's.
    pub clock_ahead_ms: Option<i64>,
    /// What could not be read, and why.
    pub unread: Vec<(&'static str, String)>,
}

impl Facts {
    fn note<T>(&mut self, what: &'static str, read: Result<T>) -> Option<T> {
        match read {
            Ok(value) => Some(value),
            Err(error) => {
                let words = format!("{error:#}");
                self.unread.push((what, words.lines().next().unwrap_or_default().to_owned()));
                None
            }
        }
    }
}

/// Reads everything that `target` lets be read.
pub async fn gather(target: &Target) -> Facts {
    let mut facts = Facts::default();
    let source = async { attributes(target, &target.orders_queue().await?).await };
    facts.source = facts.note("the queue of orders", source.await);
    let dead_letters = async { attributes(target, &target.dead_letter_queue().await?).await };
    facts.dead_letters = facts.note("the dead-letter queue", dead_letters.await);
    facts.ttl_attribute = facts.note("the table's TTL", ttl(target).await);
    facts.restorable = facts.note("the table's backups", restorable(target).await);
    facts.deletion_protected = facts.note("the table", deletion_protected(target).await);
    let lambda = Lambda(target.sdk());
    if let Some(name) = target.function() {
        facts.function = facts.note("the function", lambda.function(name).await);
        facts.concurrency = facts.note("the function's concurrency", lambda.concurrency(name).await);
    }
    if let Some(id) = target.mapping_id() {
        facts.mapping = facts.note("the event source mapping", lambda.mapping(id).await);
    }
    for variable in [name::WAREHOUSE_QUEUE_URL, name::NOTIFICATIONS_QUEUE_URL] {
        let variables = facts.function.as_ref().map(|function| &function["Environment"]["Variables"]);
        if let Some(url) = variables.and_then(|variables| variables[variable].as_str().map(str::to_owned)) {
            let read = facts.note("a queue that the function sends to", attributes(target, &url).await);
            facts.outgoing.extend(read.map(|attributes| (variable, attributes)));
        }
    }
    let role = facts.function.as_ref().and_then(|function| function["Role"].as_str().map(str::to_owned));
    if let Some(role) = role {
        facts.may = facts.note("the role's rights", role_rights(target, &facts, &role).await);
    }
    facts.tools = tools().await;
    facts.clock_ahead_ms = facts.note("the server's clock", clock_ahead(target).await);
    facts
}

/// What the function needs, and what no bug of it must be able to do, each on the resource that it is about.
async fn role_rights(target: &Target, facts: &Facts, role: &str) -> Result<BTreeMap<String, bool>> {
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

async fn tools() -> BTreeMap<&'static str, Option<String>> {
    let commands =
        [("sam", &["--version"][..]), ("cargo-lambda", &["lambda", "--version"]), ("aws", &["--version"])];
    let ask = |(name, arguments): (&'static str, &'static [&'static str])| async move {
        let output = tokio::process::Command::new(name).args(arguments).kill_on_drop(true).output();
        let output = tokio::time::timeout(Duration::from_secs(5), output).await.ok()?.ok()?;
        let said = String::from_utf8_lossy(&output.stdout).lines().next().map(str::to_owned);
        said.filter(|said| output.status.success() && !said.is_empty())
    };
    futures_util::future::join_all(commands.map(|command| async move { (command.0, ask(command).await) }))
        .await
        .into_iter()
        .collect()
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

/// By the `Date` of an answer that means nothing.
async fn clock_ahead(target: &Target) -> Result<i64> {
    let region = target.sdk().region().map_or("us-east-1".to_owned(), ToString::to_string);
    let url = target.sdk().endpoint_url().map(str::to_owned);
    let url = url.unwrap_or_else(|| format!("https://dynamodb.{region}.amazonaws.com"));
    let request = http::Request::get(url).body(SdkBody::empty())?.try_into()?;
    let answer = tokio::time::timeout(Duration::from_secs(5), connector().call(request)).await?;
    let response = answer.map_err(|error| anyhow::anyhow!("no connection: {error}"))?;
    let date = response.headers().get("date").map(|date| date.replace("GMT", "+0000")).unwrap_or_default();
    let theirs = OffsetDateTime::parse(&date, &Rfc2822)?;
    let UnixMillis(ours) = Clock::system().now();
    Ok(i64::try_from(ours)? - theirs.unix_timestamp() * 1000)
}
