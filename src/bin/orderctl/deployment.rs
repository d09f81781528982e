//! What a stack is made of, and whether it is being deployed.

use anyhow::{Context, Result};
use http::Method;
use serde_json::{Value, json};

use crate::failure;
use crate::signed::{self, Question};
use crate::target::Target;

/// A stack's resources: the type and the physical ID of each.
pub type Resources = Vec<(String, String)>;

/// The physical IDs of the resources of these types.
pub fn of_type<'r>(resources: &'r Resources, types: &[&str]) -> Vec<&'r str> {
    let wanted = resources.iter().filter(|(kind, _)| types.contains(&kind.as_str()));
    wanted.map(|(_, id)| id.as_str()).collect()
}

/// What CloudFormation made of the template, in the stack that was named.
pub async fn resources(target: &Target) -> Result<Resources> {
    let stack = target.stack().context("no stack is named")?;
    let client = aws_sdk_cloudformation::Client::new(target.sdk());
    let (mut found, mut next) = (Vec::new(), None);
    loop {
        let page = client.list_stack_resources().stack_name(&stack.name).set_next_token(next).send().await;
        let page = page
            .map_err(|error| failure::aws(format!("reading what is in the stack {}", stack.name), error))?;
        let summaries = page.stack_resource_summaries.unwrap_or_default().into_iter();
        found.extend(summaries.filter_map(|one| Some((one.resource_type?, one.physical_resource_id?))));
        next = page.next_token;
        if next.is_none() {
            return Ok(found);
        }
    }
}

/// The deployments of the stack that are not over, in words: its own update, and the shifts of traffic by CodeDeploy, which
/// a stack has only with a canary.
pub async fn in_progress(target: &Target, resources: &Resources) -> Result<Vec<String>> {
    let status = target.stack().map_or("", |stack| stack.status.as_str());
    let mut found = Vec::new();
    if status.ends_with("_IN_PROGRESS") {
        found.push(format!("the stack is {status}"));
    }
    let applications = of_type(resources, &["AWS::CodeDeploy::Application"]);
    for (application, group) in
        applications.into_iter().zip(of_type(resources, &["AWS::CodeDeploy::DeploymentGroup"]))
    {
        let content = json!({
            "applicationName": application,
            "deploymentGroupName": group,
            "includeOnlyStatuses": ["Created", "Queued", "InProgress", "Baking", "Ready"],
        });
        let question = Question {
            right: "codedeploy:ListDeployments",
            service: "codedeploy",
            region: None,
            method: Method::POST,
            path: "/",
            content_type: "application/x-amz-json-1.1",
            wanted: Some("CodeDeploy_20141006.ListDeployments"),
            body: content.to_string(),
        };
        let answer = signed::json(target.sdk(), question).await?;
        let deployments =
            answer["deployments"].as_array().context("CodeDeploy's answer has no deployments")?;
        found.extend(
            deployments.iter().filter_map(Value::as_str).map(|id| format!("CodeDeploy has {id} in progress")),
        );
    }
    Ok(found)
}
