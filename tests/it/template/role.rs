//! T13: what the function may do, exactly.

use std::collections::BTreeSet;

use order_processor::store::PARKED_INDEX;
use serde_json::{Value, json};

use super::Findings;
use super::stack::{Stack, list, variable};

/// An action, and the ARN that it may be done to.
type Right = (String, String);

pub fn t13_the_role_allows_what_is_needed_and_no_more(stack: &Stack) -> Findings {
    let mut found = Findings::new();
    for (id, function) in stack.functions() {
        if function.get("Policies").is_some() {
            found.push((id.into(), "no Policies beside its Role".into()));
        }
        let role = stack.of("AWS::IAM::Role").find(|(role, properties)| {
            let name = properties["RoleName"].as_str().map_or_else(|| format!("stack-{role}"), str::to_owned);
            function["Role"] == json!(format!("arn:aws:iam::123456789012:role/{name}"))
        });
        let Some((role, properties)) = role else {
            // SAM would attach managed policies with wildcards.
            found.push((id.into(), "a Role of this template".into()));
            continue;
        };
        found.extend(role_findings(stack, role, properties, &needed(stack, function)));
    }
    found
}

fn role_findings(stack: &Stack, role: &str, properties: &Value, needed: &BTreeSet<Right>) -> Findings {
    let mut found = Findings::new();
    if !list(&properties["ManagedPolicyArns"]).is_empty() {
        found.push((role.into(), "no managed policy".into()));
    }
    let trusted = list(&properties["AssumeRolePolicyDocument"]["Statement"]);
    if trusted.iter().any(|trust| {
        trust["Principal"] != json!({ "Service": "lambda.amazonaws.com" })
            && trust["Principal"] != json!({ "Service": ["lambda.amazonaws.com"] })
    }) {
        found.push((role.into(), "to be assumed by lambda.amazonaws.com alone".into()));
    }
    let mut granted = BTreeSet::new();
    for statement in statements(stack, role, properties).iter().filter(|one| one["Effect"] == "Allow") {
        if statement.get("NotAction").is_some() || statement.get("NotResource").is_some() {
            found.push((role.into(), "statements of what is allowed, not of what is not".into()));
        }
        for action in list(&statement["Action"]) {
            let action = action.as_str().unwrap_or_default().to_owned();
            let resources = list(&statement["Resource"]);
            granted.extend(
                resources
                    .iter()
                    .map(|resource| (action.clone(), resource.as_str().unwrap_or_default().into())),
            );
        }
    }
    // IAM compares actions without regard to case.
    let lower = |(action, arn): &Right| (action.to_ascii_lowercase(), arn.clone());
    let wanted: BTreeSet<Right> = needed.iter().map(lower).collect();
    let present: BTreeSet<Right> = granted.iter().map(lower).collect();
    for (action, arn) in granted.iter().filter(|right| !wanted.contains(&lower(right))) {
        found.push((role.into(), format!("no right to {action} on {arn}")));
    }
    for (action, arn) in needed.iter().filter(|right| !present.contains(&lower(right))) {
        found.push((role.into(), format!("the right to {action} on {arn}")));
    }
    found
}

/// Of the role's own policies, and of those that are attached to it from outside.
fn statements(stack: &Stack, role: &str, properties: &Value) -> Vec<Value> {
    let own = list(&properties["Policies"]).into_iter().map(|policy| &policy["PolicyDocument"]);
    let attached = ["AWS::IAM::Policy", "AWS::IAM::ManagedPolicy", "AWS::IAM::RolePolicy"];
    let attached = attached.into_iter().flat_map(|kind| stack.of(kind)).filter(|(_, policy)| {
        let roles = list(&policy["Roles"]).into_iter().chain(list(&policy["RoleName"]));
        roles.into_iter().any(|name| *name == json!(format!("stack-{role}")))
    });
    let documents = own.chain(attached.map(|(_, policy)| &policy["PolicyDocument"]));
    documents.flat_map(|document| list(&document["Statement"])).cloned().collect()
}

/// What the code calls: see `ARCHITECTURE.md`. No `DeleteItem`, so no bug can lose a record; no `Scan`, and no `Query` but
/// of the index of parked orders.
fn needed(stack: &Stack, function: &Value) -> BTreeSet<Right> {
    let mut rights = BTreeSet::new();
    let mut allow = |actions: &[&str], arn: String| {
        rights.extend(actions.iter().map(|action| ((*action).to_owned(), arn.clone())));
    };
    for (source, queue) in stack.mappings.iter().filter_map(|mapping| stack.source(mapping)) {
        let address = queue.get("QueueName").cloned().unwrap_or_else(|| json!(format!("stack-{source}")));
        let actions = ["ReceiveMessage", "DeleteMessage", "GetQueueAttributes"]
            .into_iter()
            .chain(["GetQueueUrl", "ChangeMessageVisibility"])
            .map(|action| format!("sqs:{action}"));
        let actions: Vec<String> = actions.collect();
        let actions: Vec<&str> = actions.iter().map(String::as_str).collect();
        allow(&actions, stack.queue_arn(&address).unwrap_or_default());
    }
    for name in ["DEAD_LETTER_QUEUE_URL", "WAREHOUSE_QUEUE_URL", "NOTIFICATIONS_QUEUE_URL"] {
        if let Some(arn) = variable(function, name).and_then(|url| stack.queue_arn(url)) {
            allow(&["sqs:SendMessage"], arn);
        }
    }
    let table = variable(function, "ORDERS_TABLE").and_then(Value::as_str).unwrap_or_default();
    let table = format!("arn:aws:dynamodb:us-east-1:123456789012:table/{table}");
    allow(&["dynamodb:Query"], format!("{table}/index/{PARKED_INDEX}"));
    allow(&["dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:GetItem"], table);
    let group = function["LoggingConfig"]["LogGroup"].as_str().unwrap_or_default();
    let group = format!("arn:aws:logs:us-east-1:123456789012:log-group:{group}:*");
    allow(&["logs:CreateLogStream", "logs:PutLogEvents"], group);
    // X-Ray knows no resources.
    allow(&["xray:PutTraceSegments", "xray:PutTelemetryRecords"], "*".into());
    if let Some(secret) = variable(function, "STRIPE_SECRET_ARN").and_then(Value::as_str) {
        allow(&["secretsmanager:GetSecretValue"], secret.to_owned());
    }
    if let Some(key) = function["KmsKeyArn"].as_str() {
        allow(&["kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey"], key.to_owned());
    }
    rights
}
