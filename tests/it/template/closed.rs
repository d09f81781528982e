//! T31 to T35: nothing is in the template that these tests do not know, and what is there has the value of its parameter.
//!
//! A property that is new here is added to its list with the rule that it needs: a delay, a filter or a deny that nobody
//! thought of loses orders without a word.

use std::collections::BTreeMap;

use order_processor::config::{Config, name};
use serde_json::{Value, json};

use super::Findings;
use super::resolve::text;
use super::stack::{Stack, list, truth, variable};

/// The properties of each type of resource, as far as they are spelled out.
const KNOWN: [(&str, &[&str]); 17] = [
    (
        "AWS::SQS::Queue",
        &[
            "KmsMasterKeyId",
            "MaximumMessageSize",
            "MessageRetentionPeriod",
            "QueueName",
            "RedriveAllowPolicy",
            "RedrivePolicy",
            "SqsManagedSseEnabled",
            "VisibilityTimeout",
        ],
    ),
    ("AWS::SQS::QueuePolicy", &["PolicyDocument", "Queues"]),
    (
        "AWS::DynamoDB::Table",
        &[
            "AttributeDefinitions",
            "BillingMode",
            "ContributorInsightsSpecification",
            "DeletionProtectionEnabled",
            "GlobalSecondaryIndexes",
            "KeySchema",
            "PointInTimeRecoverySpecification",
            "SSESpecification",
            "TimeToLiveSpecification",
        ],
    ),
    (
        "AWS::Serverless::Function",
        &[
            "Architectures",
            "AutoPublishAlias",
            "AutoPublishAliasAllProperties",
            "CodeUri",
            "DeploymentPreference",
            "Description",
            "Environment",
            "Events",
            "Handler",
            "KmsKeyArn",
            "LoggingConfig",
            "MemorySize",
            "ReservedConcurrentExecutions",
            "Role",
            "Runtime",
            "Timeout",
            "Tracing",
        ],
    ),
    ("AWS::IAM::Role", &["AssumeRolePolicyDocument", "ManagedPolicyArns", "Policies"]),
    ("AWS::Logs::LogGroup", &["KmsKeyId", "LogGroupName", "RetentionInDays"]),
    ("AWS::SNS::Topic", &["KmsMasterKeyId", "TopicName"]),
    ("AWS::SNS::TopicPolicy", &["PolicyDocument", "Topics"]),
    ("AWS::SNS::Subscription", &["Endpoint", "Protocol", "TopicArn"]),
    ("AWS::Events::Rule", &["Description", "ScheduleExpression", "Targets"]),
    ("AWS::Lambda::Permission", &["Action", "FunctionName", "Principal", "SourceArn"]),
    // T29 compares each property.
    ("AWS::CloudWatch::Alarm", &[]),
    ("AWS::CloudWatch::CompositeAlarm", &["AlarmActions", "AlarmDescription", "AlarmName", "AlarmRule"]),
    ("AWS::CloudWatch::Dashboard", &["DashboardBody", "DashboardName"]),
    ("AWS::Backup::BackupVault", &["BackupVaultName", "EncryptionKeyArn"]),
    ("AWS::Backup::BackupPlan", &["BackupPlan"]),
    ("AWS::Backup::BackupSelection", &["BackupPlanId", "BackupSelection"]),
];

/// Of the one event source; its queue has both names. T12 is about the filter.
const OF_THE_MAPPING: [&str; 9] = [
    "BatchSize",
    "Enabled",
    "EventSourceArn",
    "FilterCriteria",
    "FunctionResponseTypes",
    "MaximumBatchingWindowInSeconds",
    "ProvisionedPollerConfig",
    "Queue",
    "ScalingConfig",
];

pub fn t31_nothing_is_there_that_no_rule_knows(stack: &Stack) -> Findings {
    let mut found = Findings::new();
    for (id, resource) in stack.resources() {
        let kind = resource["Type"].as_str().unwrap_or_default();
        let Some((_, known)) = KNOWN.iter().find(|(of, _)| *of == kind) else {
            found.push((id.into(), format!("no resource of type {kind}: no rule is about it")));
            continue;
        };
        let names = resource["Properties"].as_object().into_iter().flat_map(|all| all.keys());
        let unknown = names.filter(|name| !known.is_empty() && !known.contains(&name.as_str()));
        found.extend(unknown.map(|name| (id.to_owned(), format!("no {name}: no rule is about it"))));
    }
    for mapping in &stack.mappings {
        let names = mapping.properties.as_object().into_iter().flat_map(|all| all.keys());
        let unknown = names.filter(|name| !OF_THE_MAPPING.contains(&name.as_str()));
        found.extend(unknown.map(|name| (mapping.id.clone(), format!("no {name}: no rule is about it"))));
        if mapping.properties.get("Enabled").is_some_and(|enabled| !truth(enabled)) {
            found.push((mapping.id.clone(), "to be enabled, or nothing is processed".into()));
        }
    }
    found
}

/// Each variable of the function that a parameter gives its value, and where else that value stands.
const VARIABLES: [(&str, &str); 9] = [
    (name::SERVICE, "Service"),
    (name::ENVIRONMENT, "Environment"),
    (name::PAYMENT_PROVIDER, "PaymentProvider"),
    (name::STRIPE_API_BASE, "StripeApiBase"),
    (name::STRIPE_SECRET_ARN, "StripeSecretArn"),
    (name::RETENTION_DAYS, "RetentionDays"),
    (name::MAX_ORDER_AGE_DAYS, "MaxOrderAgeDays"),
    (name::MAX_RECEIVE_COUNT, "MaxReceiveCount"),
    (name::ORDER_CONCURRENCY, "OrderConcurrency"),
];
const QUEUES: [(&str, &str); 3] = [
    (name::DEAD_LETTER_QUEUE_URL, "stack-orders-dead-letters"),
    (name::WAREHOUSE_QUEUE_URL, "stack-warehouse"),
    (name::NOTIFICATIONS_QUEUE_URL, "stack-notifications"),
];
const PROPERTIES: [(&str, &str); 4] = [
    ("/Architectures/0", "Architecture"),
    ("/MemorySize", "MemorySize"),
    ("/Timeout", "FunctionTimeout"),
    ("/DeploymentPreference/Enabled", "CanaryDeployment"),
];

pub fn t32_the_function_is_what_its_parameters_say(stack: &Stack) -> Findings {
    let mut found = Findings::new();
    for (id, function) in stack.functions() {
        let mut want = |is: Option<&Value>, what: &str, wanted: &str| {
            let is = is.map(text).unwrap_or_default();
            if is != wanted {
                found.push((id.into(), format!("{what} to be {wanted:?}, not {is:?}")));
            }
        };
        for (name, parameter) in VARIABLES {
            want(variable(function, name), name, &stack.parameters[parameter]);
        }
        for (name, queue) in QUEUES {
            let url = format!("https://sqs.us-east-1.amazonaws.com/123456789012/{queue}");
            want(variable(function, name), name, &url);
        }
        for (path, parameter) in PROPERTIES {
            want(function.pointer(path), path, &stack.parameters[parameter]);
        }
        want(Some(&function["Handler"]), "Handler", "bootstrap");
        want(Some(&function["CodeUri"]), "CodeUri", ".");
        let built = &stack.whole(id)["Metadata"]["BuildProperties"]["Binary"];
        want(Some(built), "the binary that is built", "order-processor");
    }
    for mapping in &stack.mappings {
        for (name, parameter) in
            [("BatchSize", "BatchSize"), ("MaximumBatchingWindowInSeconds", "BatchingWindow")]
        {
            let is = text(&mapping.properties[name]);
            if is != stack.parameters[parameter] {
                found.push((mapping.id.clone(), format!("{name} to be {}", stack.parameters[parameter])));
            }
        }
        if mapping.properties["EventSourceArn"] != "arn:aws:sqs:us-east-1:123456789012:stack-orders" {
            found.push((mapping.id.clone(), "the queue of orders as its source".into()));
        }
    }
    found
}

/// The function's own reading of its environment, with whatever parameters.
pub fn t33_the_function_starts_with_its_variables(stack: &Stack) -> Findings {
    let mut found = Findings::new();
    for (id, function) in stack.functions() {
        let lookup = |name: &str| variable(function, name).map(text);
        if let Err(error) = Config::read(&lookup) {
            found.push((id.into(), format!("variables that the function starts with: {error}")));
        }
    }
    found
}

/// The outputs that `orderctl --stack` reads, and those that people copy from.
pub fn t34_the_outputs_name_what_they_say(stack: &Stack) -> Findings {
    let table = match stack.parameters["ExistingTableName"].as_str() {
        "" => "stack-OrdersTable",
        given => given,
    };
    let mut wanted: BTreeMap<String, String> = [
        ("OrdersTableName", table.to_owned()),
        ("OrdersTableArn", format!("arn:aws:dynamodb:us-east-1:123456789012:table/{table}")),
        ("EventSourceMappingId", "stack-OrderProcessorOrders".to_owned()),
        ("FunctionName", "stack-OrderProcessor".to_owned()),
        ("FunctionLogGroupName", "/aws/lambda/stack".to_owned()),
        ("ServiceName", stack.parameters["Service"].clone()),
        ("EnvironmentName", stack.parameters["Environment"].clone()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into();
    for (output, queue) in [
        ("OrdersQueue", "orders"),
        ("DeadLetterQueue", "orders-dead-letters"),
        ("WarehouseQueue", "warehouse"),
        ("WarehouseDeadLetterQueue", "warehouse-dead-letters"),
        ("NotificationsQueue", "notifications"),
        ("NotificationsDeadLetterQueue", "notifications-dead-letters"),
    ] {
        let url = format!("https://sqs.us-east-1.amazonaws.com/123456789012/stack-{queue}");
        wanted.insert(format!("{output}Url"), url);
        wanted.insert(format!("{output}Arn"), format!("arn:aws:sqs:us-east-1:123456789012:stack-{queue}"));
    }
    let is = |name: &str| stack.output(name).map(text).unwrap_or_default();
    let wrong = wanted.iter().filter(|(name, value)| is(name) != **value);
    wrong.map(|(name, value)| (name.clone(), format!("an output {value:?}, not {:?}", is(name)))).collect()
}

/// A deny outweighs every allow, a condition may never hold, and whoever may invoke the function may feed it orders.
pub fn t35_rights_are_given_plainly(stack: &Stack) -> Findings {
    let mut found = Findings::new();
    for (id, role) in stack.of("AWS::IAM::Role") {
        let policies = list(&role["Policies"]).into_iter().map(|policy| &policy["PolicyDocument"]);
        let documents = policies.chain([&role["AssumeRolePolicyDocument"]]);
        for statement in documents.flat_map(|document| list(&document["Statement"])) {
            if statement["Effect"] != "Allow" || statement.get("Condition").is_some() {
                found.push((id.into(), "statements that allow, without a condition".into()));
            }
        }
    }
    let policies =
        ["AWS::SQS::QueuePolicy", "AWS::SNS::TopicPolicy"].into_iter().flat_map(|kind| stack.of(kind));
    for (id, policy) in policies {
        for statement in list(&policy["PolicyDocument"]["Statement"]) {
            let plain_text = json!({ "Bool": { "aws:SecureTransport": "false" } });
            if statement["Effect"] == "Deny" && statement["Condition"] != plain_text {
                found.push((id.into(), "no Deny but of requests without TLS".into()));
            }
            let by_name = statement["Principal"].get("AWS").is_some();
            if statement["Effect"] == "Allow" && by_name && statement.get("Condition").is_some() {
                found.push((id.into(), "no condition on who is named".into()));
            }
        }
    }
    for (id, permission) in stack.of("AWS::Lambda::Permission") {
        let source = permission["SourceArn"].as_str().unwrap_or_default();
        let of_a_rule = stack.of("AWS::Events::Rule").any(|(rule, _)| source == format!("stack-{rule}.Arn"));
        if permission["Principal"] != "events.amazonaws.com" || !of_a_rule {
            found
                .push((id.into(), "to let a rule of this stack invoke the function, and nobody else".into()));
        }
    }
    found
}
