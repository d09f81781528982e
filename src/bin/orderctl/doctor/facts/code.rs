//! What runs: the mapping, what it invokes, and what the function's last change left.

use serde_json::Value;

use super::Facts;
use crate::deployment::{self, Resources};
use crate::lambda::{Invoked, Lambda};
use crate::target::Target;

/// Everything of Lambda's. Without the mapping nothing is known: it alone says which version is invoked.
pub async fn function(target: &Target, facts: &mut Facts) {
    let (lambda, Some(id)) = (Lambda(target.sdk()), target.mapping_id()) else { return };
    let read = lambda.mapping(id).await;
    facts.mapping = facts.note("the event source mapping", "lambda:GetEventSourceMapping", read);
    let Some(invoked) = facts.mapping.as_ref().map(Invoked::of) else { return };
    let Some(invoked) = facts.note("what the mapping invokes", "", invoked) else { return };
    let name = invoked.function.as_str();
    let read = lambda.function(name, invoked.qualifier.as_deref()).await;
    facts.function = facts.note("the version that is invoked", "lambda:GetFunctionConfiguration", read);
    let read = lambda.function(name, None).await;
    facts.latest = facts.note("the function as last changed", "lambda:GetFunctionConfiguration", read);
    let read = lambda.versions(name).await;
    facts.versions = facts.note("the function's versions", "lambda:ListVersionsByFunction", read);
    facts.alias = match invoked.alias() {
        Some(alias) => facts.note("the alias", "lambda:GetAlias", lambda.alias(name, alias).await),
        None => Some(Value::Null),
    };
    let read = lambda.concurrency(name).await;
    facts.concurrency = facts.note("the function's concurrency", "lambda:GetFunctionConcurrency", read);
    facts.account =
        facts.note("the account's concurrency", "lambda:GetAccountSettings", lambda.account().await);
}

/// Whether anything is being deployed.
pub async fn deployments(target: &Target, facts: &mut Facts, resources: Option<&Resources>) {
    if let Some(resources) = resources {
        let read = deployment::in_progress(target, resources).await;
        facts.deploying = facts.note("the deployments", "codedeploy:ListDeployments", read);
    }
}
