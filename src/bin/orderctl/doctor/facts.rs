//! What can be read of the deployed resources.

mod code;
mod machine;
mod role;
mod storage;
mod watch;

use std::collections::BTreeMap;

use anyhow::Result;
use order_processor::config::name;
use serde_json::Value;

use crate::deployment::{self, Resources};
use crate::failure;
use crate::policies;
use crate::target::Target;

pub use watch::{actions, is_topic, name as queue_name};

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
    /// `GetEventSourceMapping`.
    pub mapping: Option<Value>,
    /// `GetFunctionConfiguration` of the version that the mapping invokes.
    pub function: Option<Value>,
    /// The same of the function as it was last changed (`$LATEST`).
    pub latest: Option<Value>,
    /// The published versions, each with its setup.
    pub versions: Option<Vec<Value>>,
    /// `GetAlias` of the alias that the mapping invokes; `Null` if it invokes none.
    pub alias: Option<Value>,
    /// What is being deployed, in words.
    pub deploying: Option<Vec<String>>,
    /// `GetFunctionConcurrency`.
    pub concurrency: Option<Value>,
    /// `GetAccountSettings`.
    pub account: Option<Value>,
    /// The queue of shipments and that of notifications, by variable.
    pub outgoing: BTreeMap<&'static str, Attributes>,
    /// The dead-letter queues of those two, by the same variable.
    pub outgoing_dead_letters: BTreeMap<&'static str, Attributes>,
    /// The age in seconds of the oldest message, by the name of the queue, where SQS tells one.
    pub oldest: Option<BTreeMap<String, u64>>,
    /// The names of the stack's alarms.
    pub alarm_names: Option<Vec<String>>,
    /// Those of them that are there, as CloudWatch describes them.
    pub alarms: Option<Vec<Value>>,
    /// The topics that the alarms tell, by ARN, each with the ARNs of its subscriptions or `PendingConfirmation`.
    pub topics: BTreeMap<String, Vec<String>>,
    /// Whether the function's role may do an action on what it works with.
    pub may: Option<BTreeMap<String, bool>>,
    /// Whether it may use each key and secret of its own, by its own policies: action and ARN.
    pub may_unlock: Option<BTreeMap<(String, String), bool>>,
    /// The tools of a deployment that are on this machine, with what they say of their version.
    pub tools: BTreeMap<&'static str, Option<String>>,
    /// This machine's clock minus the server's.
    pub clock_ahead_ms: Option<i64>,
    pub unread: Vec<Unread>,
}

/// What could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unread {
    pub what: &'static str,
    pub why: String,
    /// The right that was missing, if that was why.
    pub missing: Option<String>,
}

impl Facts {
    /// What was read, if it was; reading it takes one of `rights`, should AWS not say which is missing.
    fn note<T>(&mut self, what: &'static str, rights: &str, read: Result<T>) -> Option<T> {
        let error = match read {
            Ok(value) => return Some(value),
            Err(error) => error,
        };
        let missing = failure::denied(&error).map(|named| named.map_or(rights, policies::spelled).to_owned());
        let why = format!("{error:#}").lines().next().unwrap_or_default().to_owned();
        self.unread.push(Unread { what, why, missing });
        None
    }

    /// A variable of the function that is invoked.
    pub fn variable(&self, name: &str) -> Option<&str> {
        self.function.as_ref()?["Environment"]["Variables"][name].as_str()
    }
}

/// Reads everything that `target` lets be read.
pub async fn gather(target: &Target) -> Facts {
    let mut facts = Facts::default();
    storage::queues_and_table(target, &mut facts).await;
    code::function(target, &mut facts).await;
    for variable in [name::WAREHOUSE_QUEUE_URL, name::NOTIFICATIONS_QUEUE_URL] {
        storage::outgoing(target, &mut facts, variable).await;
    }
    if let Some(role) =
        facts.function.as_ref().and_then(|function| function["Role"].as_str().map(str::to_owned))
    {
        role::rights(target, &mut facts, &role).await;
    }
    let resources = resources(target, &mut facts).await;
    code::deployments(target, &mut facts, resources.as_ref()).await;
    watch::alarms(target, &mut facts, resources.as_ref()).await;
    watch::oldest_messages(target, &mut facts).await;
    facts.tools = machine::tools().await;
    facts.clock_ahead_ms = facts.note("the server's clock", "", machine::clock_ahead(target).await);
    facts
}

/// What is in the stack, if one is named: there is no other way to know what belongs together.
async fn resources(target: &Target, facts: &mut Facts) -> Option<Resources> {
    target.stack()?;
    let read = deployment::resources(target).await;
    facts.note("what is in the stack", "cloudformation:ListStackResources", read)
}
