//! The policies, against what this program and the template do.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

use super::*;

/// A policy's statements: actions, resources, and whether a condition names the stack.
struct Statement {
    actions: BTreeSet<String>,
    resources: Vec<String>,
    conditions: String,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap()
}

fn policy(name: &str) -> Vec<Statement> {
    let policy: Value = serde_json::from_str(&read(&format!("infra/policies/{name}.json"))).unwrap();
    assert_eq!(policy["Version"], "2012-10-17");
    let texts = |value: &Value| match value {
        Value::String(one) => vec![one.clone()],
        many => many.as_array().unwrap().iter().map(|one| one.as_str().unwrap().to_owned()).collect(),
    };
    let statements = policy["Statement"].as_array().unwrap().iter().map(|statement| {
        assert_eq!(statement["Effect"], "Allow");
        Statement {
            actions: texts(&statement["Action"]).into_iter().collect(),
            resources: texts(&statement["Resource"]),
            conditions: statement["Condition"].to_string(),
        }
    });
    statements.collect()
}

fn actions(name: &str) -> BTreeSet<String> {
    policy(name).into_iter().flat_map(|statement| statement.actions).collect()
}

fn set(actions: &[&str]) -> BTreeSet<String> {
    actions.iter().map(|action| (*action).to_owned()).collect()
}

#[test]
fn the_operators_policies_grant_what_the_commands_take_and_nothing_else() {
    assert_eq!(actions("operator-read"), set(&READ));
    assert_eq!(actions("operator"), set(&CHANGE));
}

#[test]
fn whoever_may_only_read_changes_nothing() {
    // What was received is given back: without, a look would hide it for five minutes.
    const GIVES_BACK: &str = "sqs:ChangeMessageVisibility";
    const READS: [&str; 6] = ["Describe", "Get", "List", "Receive", "Scan", "Simulate"];
    for action in READ.iter().filter(|action| **action != GIVES_BACK) {
        let operation = action.split_once(':').unwrap().1;
        assert!(READS.iter().any(|verb| operation.starts_with(verb)), "{action}");
    }
    let gives_back =
        policy("operator-read").into_iter().find(|one| one.actions.contains(GIVES_BACK)).unwrap();
    assert_eq!(gives_back.resources, ["arn:aws:sqs:REGION:ACCOUNT:STACK-orders-dead-letters"]);
}

/// Actions for which IAM knows no resource, or that answer for all of them alone (composite alarms, metrics, a template that
/// is no stack yet).
const WITHOUT_RESOURCE: [&str; 11] = [
    "backup-storage:MountCapsule",
    "cloudformation:GetTemplateSummary",
    "cloudwatch:DescribeAlarms",
    "cloudwatch:GetMetricData",
    "codedeploy:StopDeployment",
    "lambda:CreateEventSourceMapping",
    "lambda:GetAccountSettings",
    "logs:DescribeIndexPolicies",
    "logs:DescribeLogGroups",
    "logs:DescribeResourcePolicies",
    "sts:GetCallerIdentity",
];
/// What belongs to no stack, or whose ID does not tell of which.
const OF_NO_STACK: [&str; 7] = [
    "arn:aws:backup:REGION:ACCOUNT:backup-plan:*",
    "arn:aws:cloudformation:REGION:ACCOUNT:stack/aws-sam-cli-managed-default/*",
    "arn:aws:cloudformation:REGION:aws:transform/Serverless-2016-10-31",
    "arn:aws:codedeploy:REGION:ACCOUNT:deploymentconfig:*",
    "arn:aws:lambda:REGION:ACCOUNT:event-source-mapping:*",
    "arn:aws:s3:::aws-sam-cli-managed-default-*",
    "arn:aws:s3:::aws-sam-cli-managed-default-*/*",
];

#[test]
fn every_policy_names_its_actions_and_the_stack_that_they_are_about() {
    for name in ["operator-read", "operator", "deploy-role"] {
        for Statement { actions, resources, conditions } in policy(name) {
            assert!(!actions.iter().any(|action| action.contains('*')), "{name}: {actions:?}");
            let anything = resources == ["*"];
            if anything {
                let listed = |action: &String| WITHOUT_RESOURCE.contains(&action.as_str());
                assert!(actions.iter().all(listed), "{name}: {actions:?}");
            }
            let of_the_stack =
                |resource: &String| resource.contains("STACK") || OF_NO_STACK.contains(&resource.as_str());
            assert!(anything || resources.iter().all(of_the_stack), "{name}: {resources:?}");
            // The mapping's ID says nothing: the function that it invokes does.
            let changes_a_mapping = actions.iter().any(|action| action.ends_with("EventSourceMapping"));
            assert!(!changes_a_mapping || conditions.contains("function:STACK-"), "{name}: {actions:?}");
        }
    }
}

/// The sources of the commands that reach AWS, with their paths: not what starts a stack of its own.
fn sources() -> Vec<(String, String)> {
    let (mut files, mut folders) = (Vec::new(), vec![root().join("src/bin/orderctl")]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                files.push(path);
            }
        }
    }
    let local = ["demo", "dev.rs", "local.rs", "simulate.rs", "policies", "doctor/rules"];
    let named = files.iter().map(|path| path.strip_prefix(root().join("src/bin/orderctl")).unwrap());
    let named = named.map(|path| path.to_str().unwrap().to_owned());
    let found: Vec<_> = named
        .filter(|name| !local.iter().any(|local| name.starts_with(local)))
        .map(|name| (name.clone(), read(&format!("src/bin/orderctl/{name}"))))
        .collect();
    assert!(found.len() > 30, "the sources are found");
    found
}

/// Words of `text` that begin right after `before`, and are made of `letters`.
fn words<'t>(
    text: &'t str,
    before: &'t str,
    letters: fn(char) -> bool,
) -> impl Iterator<Item = (&'t str, &'t str)> {
    text.match_indices(before).map(move |(at, _)| {
        let rest = &text[at + before.len()..];
        rest.split_at(rest.find(|letter| !letters(letter)).unwrap_or(rest.len()))
    })
}

/// The operations of the SDK's clients that `source` calls, as AWS names them.
fn sdk_calls(source: &str) -> Vec<String> {
    const VERBS: [&str; 22] = [
        "get", "put", "describe", "list", "receive", "send", "delete", "update", "scan", "query", "batch",
        "transact", "change", "start", "purge", "set", "create", "simulate", "publish", "tag", "untag",
        "execute",
    ];
    let calls = words(source, ".", |letter| letter.is_ascii_lowercase() || letter == '_');
    let calls = calls.filter(|(name, rest)| {
        let verb = name.split('_').next().unwrap();
        let is_operation = name.contains('_') || *name == "scan" || *name == "query";
        rest.starts_with("()") && is_operation && VERBS.contains(&verb)
    });
    calls.map(|(name, _)| pascal(name)).collect()
}

fn pascal(name: &str) -> String {
    let word = |word: &str| word[..1].to_uppercase() + &word[1..];
    name.split('_').map(word).collect()
}

/// The right of an operation: those in batches, and in transactions, have none of their own.
fn right_of(operation: &str) -> Option<&'static str> {
    let single =
        if operation == "TransactWriteItems" { "UpdateItem" } else { operation.trim_end_matches("Batch") };
    READ.iter().chain(&CHANGE).copied().find(|right| right.split_once(':').unwrap().1 == single)
}

/// The rights that `source` names in its texts.
fn named_rights(source: &str) -> Vec<String> {
    let services: BTreeSet<&str> =
        READ.iter().chain(&CHANGE).map(|right| right.split_once(':').unwrap().0).collect();
    let of_service = |service| {
        let named = words(source, service, |letter| letter.is_ascii_alphabetic());
        let named = named.filter_map(|(_, rest)| rest.strip_prefix(':'));
        let operations = named.filter(|rest| rest.starts_with(|letter: char| letter.is_ascii_uppercase()));
        let end = |rest: &str| rest.find(|letter: char| !letter.is_ascii_alphabetic()).unwrap_or(rest.len());
        operations.map(move |rest| format!("{service}:{}", &rest[..end(rest)])).collect::<Vec<_>>()
    };
    services.into_iter().flat_map(of_service).collect()
}

#[test]
fn every_call_of_the_sources_has_its_right_and_every_right_its_call() {
    let mut used = BTreeSet::new();
    for (file, source) in sources() {
        for operation in sdk_calls(&source) {
            let right =
                right_of(&operation).unwrap_or_else(|| panic!("{file} calls {operation}: in no policy"));
            used.insert(right.to_owned());
        }
        let tests = source.find("#[cfg(test)]").unwrap_or(source.len());
        used.extend(named_rights(&source[..tests]));
    }
    // A person's write of an order, alone or with its stock, goes through the store. Only the function claims.
    let store = sdk_calls(&read("src/store.rs"));
    let writes: BTreeSet<_> = store.iter().filter(|operation| *operation != "PutItem").collect();
    used.extend(writes.into_iter().map(|operation| right_of(operation).unwrap().to_owned()));
    let all: BTreeSet<String> = set(&READ).union(&set(&CHANGE)).cloned().collect();
    assert_eq!(used, all);
}

#[test]
fn the_calls_of_a_source_are_found() {
    let source =
        r#"client.get_item().table_name(x); sqs.send_message_batch(); all.get(); x.get_ref(1); c.scan()"#;
    assert_eq!(sdk_calls(source), ["GetItem", "SendMessageBatch", "Scan"]);
    assert_eq!(right_of("SendMessageBatch"), Some("sqs:SendMessage"));
    assert_eq!(right_of("PurgeQueue"), None);
    let named = named_rights(r#""lambda:GetAlias", "sns:Publish or sns:publish" aws_sdk_sns::Client"#);
    assert_eq!(named, ["lambda:GetAlias", "sns:Publish"]);
}

#[test]
fn rights_are_spelled_as_in_the_documents() {
    assert_eq!(spelled("sqs:getqueueattributes"), "sqs:GetQueueAttributes");
    assert_eq!(spelled("sqs:PurgeQueue"), "sqs:PurgeQueue");
}

/// What CloudFormation takes for each type of resource, by the permissions of the type's handlers; what a template like this
/// never asks of them is left out.
const BY_TYPE: [(&str, &str, &str); 24] = [
    (
        "AWS::Backup::BackupPlan",
        "backup",
        "CreateBackupPlan GetBackupPlan UpdateBackupPlan DeleteBackupPlan TagResource UntagResource ListTags",
    ),
    (
        "AWS::Backup::BackupSelection",
        "backup",
        "CreateBackupSelection GetBackupSelection DeleteBackupSelection",
    ),
    (
        "AWS::Backup::BackupVault",
        "backup",
        "CreateBackupVault DescribeBackupVault DeleteBackupVault TagResource UntagResource ListTags",
    ),
    ("AWS::Backup::BackupVault", "backup-storage", "MountCapsule"),
    (
        "AWS::CloudWatch::Alarm",
        "cloudwatch",
        "PutMetricAlarm DescribeAlarms DeleteAlarms TagResource UntagResource",
    ),
    (
        "AWS::CloudWatch::CompositeAlarm",
        "cloudwatch",
        "PutCompositeAlarm DescribeAlarms DeleteAlarms TagResource",
    ),
    ("AWS::CloudWatch::Dashboard", "cloudwatch", "PutDashboard GetDashboard DeleteDashboards"),
    (
        "AWS::CodeDeploy::Application",
        "codedeploy",
        "CreateApplication GetApplication DeleteApplication TagResource",
    ),
    (
        "AWS::CodeDeploy::DeploymentGroup",
        "codedeploy",
        "CreateDeploymentGroup UpdateDeploymentGroup GetDeploymentGroup DeleteDeploymentGroup",
    ),
    (
        "AWS::DynamoDB::Table",
        "dynamodb",
        "CreateTable UpdateTable DescribeTable UpdateTimeToLive DescribeTimeToLive UpdateContinuousBackups \
         DescribeContinuousBackups UpdateContributorInsights DescribeContributorInsights TagResource UntagResource \
         ListTagsOfResource",
    ),
    (
        "AWS::Events::Rule",
        "events",
        "PutRule DescribeRule DeleteRule PutTargets RemoveTargets ListTargetsByRule TagResource",
    ),
    (
        "AWS::IAM::Role",
        "iam",
        "CreateRole GetRole UpdateRole UpdateAssumeRolePolicy DeleteRole PutRolePolicy GetRolePolicy DeleteRolePolicy \
         AttachRolePolicy DetachRolePolicy TagRole UntagRole PassRole",
    ),
    ("AWS::Lambda::Alias", "lambda", "CreateAlias GetAlias UpdateAlias DeleteAlias"),
    // The update of an alias by CodeDeploy.
    ("AWS::Lambda::Alias", "codedeploy", "CreateDeployment GetDeployment GetDeploymentConfig StopDeployment"),
    (
        "AWS::Lambda::EventSourceMapping",
        "lambda",
        "CreateEventSourceMapping GetEventSourceMapping UpdateEventSourceMapping DeleteEventSourceMapping TagResource",
    ),
    (
        "AWS::Lambda::Function",
        "lambda",
        "CreateFunction GetFunction UpdateFunctionCode UpdateFunctionConfiguration DeleteFunction PutFunctionConcurrency \
         DeleteFunctionConcurrency GetFunctionCodeSigningConfig GetRuntimeManagementConfig TagResource UntagResource",
    ),
    ("AWS::Lambda::Function", "s3", "GetObject GetObjectVersion"),
    ("AWS::Lambda::Permission", "lambda", "AddPermission GetPolicy RemovePermission"),
    ("AWS::Lambda::Version", "lambda", "PublishVersion ListVersionsByFunction GetFunctionConfiguration"),
    (
        "AWS::Logs::LogGroup",
        "logs",
        "CreateLogGroup DescribeLogGroups DeleteLogGroup PutRetentionPolicy DeleteRetentionPolicy AssociateKmsKey \
         DisassociateKmsKey TagResource UntagResource ListTagsForResource",
    ),
    (
        "AWS::SNS::Subscription",
        "sns",
        "Subscribe Unsubscribe GetSubscriptionAttributes SetSubscriptionAttributes ListSubscriptionsByTopic",
    ),
    (
        "AWS::SNS::Topic",
        "sns",
        "CreateTopic GetTopicAttributes SetTopicAttributes DeleteTopic TagResource UntagResource",
    ),
    ("AWS::SNS::TopicPolicy", "sns", "SetTopicAttributes"),
    (
        "AWS::SQS::Queue",
        "sqs",
        "CreateQueue GetQueueAttributes SetQueueAttributes DeleteQueue TagQueue UntagQueue ListQueueTags",
    ),
];
/// A policy like another: only its queue's attributes.
const QUEUE_POLICY: &str = "AWS::SQS::QueuePolicy";
/// What the transform makes of a function with an alias, a canary and a queue.
const TRANSFORMED: [&str; 7] = [
    "AWS::CodeDeploy::Application",
    "AWS::CodeDeploy::DeploymentGroup",
    "AWS::Lambda::Alias",
    "AWS::Lambda::EventSourceMapping",
    "AWS::Lambda::Function",
    "AWS::Lambda::Version",
    "AWS::IAM::Role",
];

#[test]
fn the_deploy_role_may_make_and_change_everything_in_the_template_but_delete_the_table() {
    let (template, may) = (read("template.yaml"), actions("deploy-role"));
    let types = template.lines().filter_map(|line| line.trim().strip_prefix("Type: AWS::"));
    let types: BTreeSet<String> = types.map(|kind| format!("AWS::{kind}")).collect();
    assert!(types.len() > 10, "{types:?}");
    for kind in types.iter().map(String::as_str).chain(TRANSFORMED) {
        let known = BY_TYPE.iter().any(|(of, ..)| *of == kind);
        assert!(
            known || kind == QUEUE_POLICY || kind == "AWS::Serverless::Function",
            "{kind}: what does it take?"
        );
    }
    for (kind, service, operations) in BY_TYPE {
        for operation in operations.split_whitespace() {
            assert!(may.contains(&format!("{service}:{operation}")), "{kind} takes {service}:{operation}");
        }
    }
    for never in ["DeleteTable", "DeleteItem", "PutItem", "UpdateItem"] {
        assert!(!may.contains(&format!("dynamodb:{never}")), "{never}");
    }
}

/// IAM counts the characters without white space: 6,144 of a managed policy, 10,240 of all that are in a role.
#[test]
fn every_policy_fits_where_its_readme_says_it_goes() {
    for (name, most) in [("operator-read", 6_144), ("operator", 6_144), ("deploy-role", 10_240)] {
        let text = read(&format!("infra/policies/{name}.json"));
        let filled = text.replace("STACK", "order-processor-production").replace("ACCOUNT", "000000000000");
        let filled = filled.replace("REGION", "ap-southeast-1");
        let characters = filled.chars().filter(|letter| !letter.is_whitespace()).count();
        assert!(characters <= most, "{name}: {characters}");
        assert!(read("infra/policies/README.md").contains(&format!("`{name}.json`")), "{name}");
    }
}
