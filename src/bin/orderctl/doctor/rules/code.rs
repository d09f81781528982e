//! What is invoked, against what was last deployed, and what it may take of the account.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{Verdict, advice, unknown, verdict};
use crate::doctor::facts::Facts;
use crate::lambda::{Invoked, number, weights};

/// What of a function's setup a version keeps as it was when it was published, beside its variables: a field of
/// `GetFunctionConfiguration`, and what people call it.
const SETUP: [(&str, &str); 11] = [
    ("MemorySize", "memory"),
    ("Timeout", "timeout"),
    ("CodeSha256", "code"),
    ("Role", "role"),
    ("Runtime", "runtime"),
    ("Handler", "handler"),
    ("Architectures", "architecture"),
    ("KMSKeyArn", "key"),
    ("TracingConfig", "tracing"),
    ("EphemeralStorage", "ephemeral storage"),
    ("LoggingConfig", "logging"),
];

/// In what two setups of a function differ: variables by their names alone, as their values may be secrets.
fn differences(ours: &Value, theirs: &Value) -> Vec<String> {
    let variables =
        |setup: &Value| setup["Environment"]["Variables"].as_object().cloned().unwrap_or_default();
    let (our_variables, their_variables) = (variables(ours), variables(theirs));
    let names: BTreeSet<&String> = our_variables.keys().chain(their_variables.keys()).collect();
    let of_variables =
        names.into_iter().filter(|name| our_variables.get(*name) != their_variables.get(*name));
    let of_setup =
        SETUP.iter().filter(|(field, _)| ours[field] != theirs[field]).map(|(field, words)| {
            match (ours[field].as_u64(), theirs[field].as_u64()) {
                (Some(ours), Some(theirs)) => format!("{words} ({ours}, not {theirs})"),
                _ => (*words).to_owned(),
            }
        });
    of_setup.chain(of_variables.cloned()).collect()
}

/// A change of parameters may change `$LATEST` and publish no version of it: then queues change, and what is invoked not.
pub(super) fn live(facts: &Facts) -> Option<Verdict> {
    let (invoked, latest) = (facts.function.as_ref()?, facts.latest.as_ref()?);
    let by_alias = Invoked::of(facts.mapping.as_ref()?).ok()?.alias().is_some();
    let running = number(&invoked["Version"]);
    let Some(running) = running.filter(|_| by_alias) else {
        let what =
            running.map_or("$LATEST".to_owned(), |version| format!("version {version}, by its number"));
        let fix =
            "let the mapping invoke the alias live: without it, no canary and no rollback has an effect";
        return advice(false, format!("the mapping invokes {what}"), fix);
    };
    let differ = differences(invoked, latest);
    if differ.is_empty() {
        return verdict(true, format!("version {running}, which is the function as last changed"), "");
    }
    let what =
        format!("version {running} differs from the function as last changed in {}", differ.join(", "));
    if let Some(published) = published(facts, latest) {
        let fix = "let the deployment that is in progress end; after a rollback, deploy what is mended: until then what runs is not what the stack says";
        return advice(false, format!("{what}; that is version {published}"), fix);
    }
    let known = if facts.versions.is_some() { "no version" } else { "it is not known whether a version" };
    let fix = "make deploy, which publishes a version for every change of a parameter (sam deploy alone does not): the queues have the new parameters already, the function has the old ones";
    verdict(false, format!("{what}; {known} is published of that"), fix)
}

/// The number of the newest version, if it is the function as last changed.
fn published(facts: &Facts, latest: &Value) -> Option<u64> {
    let versions = facts.versions.iter().flatten().filter_map(|one| Some((number(&one["Version"])?, one)));
    let (newest, setup) = versions.max_by_key(|(number, _)| *number)?;
    differences(setup, latest).is_empty().then_some(newest)
}

/// Weights are there while a canary runs, and if nobody took them away after it.
pub(super) fn alias(facts: &Facts) -> Option<Verdict> {
    let alias = facts.alias.as_ref()?;
    if alias.is_null() {
        return unknown("the mapping invokes no alias");
    }
    let (name, version) = (alias["Name"].as_str()?, alias["FunctionVersion"].as_str()?);
    let weights = weights(alias);
    if weights.is_empty() {
        return verdict(true, format!("{name} is version {version} alone"), "");
    }
    let shares: Vec<String> = weights
        .iter()
        .map(|(version, weight)| format!("version {version} gets {} %", weight * 100.0))
        .collect();
    let what = format!("{name} is version {version}, but {}", shares.join(", "));
    let fix = "wait for the deployment to end, or orderctl rollback, which takes the weights away";
    match facts.deploying.as_deref() {
        Some([]) => {
            verdict(false, format!("{what}, and nothing is being deployed: a canary was left over"), fix)
        }
        Some(deploying) => advice(false, format!("{what}: {}", deploying.join(", ")), fix),
        None => advice(false, format!("{what}; whether a deployment is in progress is not known"), fix),
    }
}

/// As many invocations as the poller of a standard queue may start without a cap of its own.
const POLLER_MAX: u64 = 1250;

/// What polls more than the account may run throttles, and every throttle counts as a receive.
pub(super) fn account_concurrency(facts: &Facts) -> Option<Verdict> {
    let (mapping, reserved) = (facts.mapping.as_ref()?, facts.concurrency.as_ref()?);
    let unreserved = facts.account.as_ref()?["AccountLimit"]["UnreservedConcurrentExecutions"].as_u64()?;
    if let Some(reserved) = reserved["ReservedConcurrentExecutions"].as_u64() {
        return verdict(true, format!("{reserved} reserved for the function alone"), "");
    }
    let cap = mapping["ScalingConfig"]["MaximumConcurrency"].as_u64();
    let most = cap.unwrap_or(POLLER_MAX);
    let none = if cap.is_none() { " (no MaximumConcurrency)" } else { "" };
    let what = format!(
        "the poller starts up to {most} invocations{none}; {unreserved} are left for all functions without a reservation"
    );
    advice(
        most <= unreserved,
        what,
        "MaximumConcurrency below what the account has left, or a higher limit of the account: throttles count as receives, and good orders end among the dead letters",
    )
}
