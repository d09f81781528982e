//! T16, T17, T20 to T23 and T26: the table, and how the function runs, is replaced and is encrypted.

use std::collections::BTreeSet;

use order_processor::config::{descriptors, name};
use order_processor::order::MAX_BODY_BYTES;
use order_processor::record::{KEY_ATTRIBUTE, TTL_ATTRIBUTE};
use order_processor::store::{PARKED_FROM_ATTRIBUTE, PARKED_INDEX};
use serde_json::{Value, json};

use super::Findings;
use super::alarms::metrics_of;
use super::stack::{Stack, list, number, truth, variable};

pub fn t16_the_template_and_the_code_name_the_same_things(stack: &Stack) -> Findings {
    let mut found = Findings::new();
    for (id, table) in stack.of("AWS::DynamoDB::Table") {
        let ttl = &table["TimeToLiveSpecification"];
        if ttl["AttributeName"] != TTL_ATTRIBUTE || !truth(&ttl["Enabled"]) {
            found.push((id.into(), format!("the TTL attribute {TTL_ATTRIBUTE}, enabled")));
        }
        if table["KeySchema"] != json!([{ "AttributeName": KEY_ATTRIBUTE, "KeyType": "HASH" }]) {
            found.push((id.into(), format!("the key {KEY_ATTRIBUTE} alone")));
        }
        // With all attributes in it, every write of a parked order would cost twice.
        let parked = json!([{
            "IndexName": PARKED_INDEX,
            "KeySchema": [{ "AttributeName": PARKED_FROM_ATTRIBUTE, "KeyType": "HASH" }],
            "Projection": { "ProjectionType": "KEYS_ONLY" },
        }]);
        if table["GlobalSecondaryIndexes"] != parked {
            found.push((
                id.into(),
                format!("the index {PARKED_INDEX} of {PARKED_FROM_ATTRIBUTE}, of keys only"),
            ));
        }
    }
    for (id, function) in stack.functions() {
        let set = function["Environment"]["Variables"].as_object().into_iter().flat_map(|all| all.keys());
        let set: BTreeSet<&str> = set.map(String::as_str).collect();
        // A key in clear text is for local runs only; its ARN is there when a secret is given.
        let mut known: BTreeSet<&str> = name::ALL.into();
        known.remove(name::STRIPE_API_KEY);
        for unknown in set.difference(&known) {
            found.push((id.into(), format!("no variable {unknown}, which the code does not know")));
        }
        let stripe = variable(function, name::PAYMENT_PROVIDER) == Some(&json!("stripe"));
        for missing in known.difference(&set) {
            if *missing != name::STRIPE_SECRET_ARN || stripe {
                found.push((id.into(), format!("the variable {missing}")));
            }
        }
    }
    found
}

pub fn t17_the_table_is_the_stacks_own_or_named_and_can_be_restored(stack: &Stack) -> Findings {
    let mut found = Findings::new();
    let tables: Vec<_> = stack.of("AWS::DynamoDB::Table").collect();
    for (id, function) in stack.functions() {
        let used = variable(function, name::ORDERS_TABLE).and_then(Value::as_str).unwrap_or_default();
        let is_own = tables.iter().any(|(table, _)| used == format!("stack-{table}"));
        let is_another = tables.is_empty() && !used.is_empty() && !used.starts_with("stack-");
        if !is_own && !is_another {
            let wanted = "ORDERS_TABLE to be the table of this stack, or another if it has none";
            found.push((id.into(), wanted.into()));
        }
    }
    for (id, table) in tables {
        let mut want = |holds: bool, wanted: &str| {
            if !holds {
                found.push((id.into(), wanted.into()));
            }
        };
        want(table["BillingMode"] == "PAY_PER_REQUEST", "BillingMode: PAY_PER_REQUEST");
        let recovery = &table["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"];
        want(truth(recovery), "point-in-time recovery");
        let protected = truth(&table["DeletionProtectionEnabled"]) || !stack.is_production();
        want(protected, "DeletionProtectionEnabled in production");
    }
    found
}

pub fn t20_the_function_says_how_it_runs(stack: &Stack) -> Findings {
    let mut found = Findings::new();
    for (id, function) in stack.functions() {
        let mut want = |holds: bool, wanted: &str| {
            if !holds {
                found.push((id.into(), wanted.into()));
            }
        };
        want(function["Runtime"] == "provided.al2023", "Runtime: provided.al2023");
        let architectures = list(&function["Architectures"]);
        let one = architectures.len() == 1 && ["arm64", "x86_64"].iter().any(|it| *architectures[0] == *it);
        want(one, "Architectures with arm64 or x86_64");
        want(number(&function["MemorySize"]).is_some_and(|it| it >= 128), "an explicit MemorySize");
        want(number(&function["Timeout"]).is_some_and(|it| it >= 3), "an explicit Timeout of 3 s or more");
        want(function["Tracing"] == "Active", "Tracing: Active");
        want(function["LoggingConfig"]["LogFormat"] == "JSON", "LogFormat: JSON");
        // Lambda takes a line without a level, as those of metrics are, for one of INFO.
        let level = &function["LoggingConfig"]["ApplicationLogLevel"];
        let heard = level.is_null() || ["TRACE", "DEBUG", "INFO"].iter().any(|it| level == it);
        want(heard, "an ApplicationLogLevel of INFO at most, or the metrics are dropped");
        let group = &function["LoggingConfig"]["LogGroup"];
        let kept = stack.of("AWS::Logs::LogGroup").any(|(_, declared)| {
            declared["LogGroupName"] == *group && number(&declared["RetentionInDays"]).is_some()
        });
        want(kept, "a log group of this template, with RetentionInDays");
    }
    found
}

pub fn t21_a_new_version_can_be_rolled_back(stack: &Stack) -> Findings {
    let mut found = Findings::new();
    for (id, function) in stack.functions() {
        let mut want = |holds: bool, wanted: &str| {
            if !holds {
                found.push((id.into(), wanted.into()));
            }
        };
        want(function["AutoPublishAlias"].is_string(), "AutoPublishAlias");
        let all = truth(&function["AutoPublishAliasAllProperties"]);
        want(all, "AutoPublishAliasAllProperties, or the alias misses what is not code");
        if !stack.is_production() {
            continue;
        }
        let preference = &function["DeploymentPreference"];
        let gradual = preference["Type"].as_str().is_some_and(|kind| !kind.contains("AllAtOnce"));
        let enabled = preference.get("Enabled").is_none_or(truth);
        want(gradual && enabled, "a canary in production");
        let alarms = list(&preference["Alarms"]);
        for (metric, version) in [("Faults", "version"), ("Errors", "ExecutedVersion")] {
            let of_version = stack.of("AWS::CloudWatch::Alarm").filter(|(_, alarm)| {
                metrics_of(alarm).iter().any(|one| {
                    let dimensions = list(&one["Dimensions"]);
                    one["MetricName"] == metric && dimensions.iter().any(|named| named["Name"] == version)
                })
            });
            let rolls_back = of_version.into_iter().any(|(_, alarm)| alarms.contains(&&alarm["AlarmName"]));
            want(
                rolls_back,
                &format!("a rollback alarm on {metric} of the new version: it refuses what it does not know"),
            );
        }
    }
    found
}

/// Where each kind of resource has its key.
const KEYS: [(&str, &str); 7] = [
    ("AWS::SQS::Queue", "/KmsMasterKeyId"),
    ("AWS::SNS::Topic", "/KmsMasterKeyId"),
    ("AWS::DynamoDB::Table", "/SSESpecification/KMSMasterKeyId"),
    ("AWS::Logs::LogGroup", "/KmsKeyId"),
    ("AWS::Backup::BackupVault", "/EncryptionKeyArn"),
    ("AWS::Serverless::Function", "/KmsKeyArn"),
    ("AWS::Lambda::Function", "/KmsKeyArn"),
];

pub fn t22_a_key_that_is_given_is_used_everywhere(stack: &Stack) -> Findings {
    let mut found = Findings::new();
    let all = || KEYS.into_iter().flat_map(|(kind, key)| stack.of(kind).map(move |it| (kind, key, it)));
    let given: Option<Value> = all().find_map(|(_, key, (_, properties))| properties.pointer(key).cloned());
    for (kind, key, (id, properties)) in all() {
        if properties.pointer(key) != given.as_ref() {
            found.push((id.into(), format!("{key} to be the key that others have")));
        }
        let encrypted = properties.pointer(key).is_some() || truth(&properties["SqsManagedSseEnabled"]);
        if kind == "AWS::SQS::Queue" && !encrypted {
            found.push((id.into(), "encryption at rest".into()));
        }
        if kind == "AWS::DynamoDB::Table" && !truth(&properties["SSESpecification"]["SSEEnabled"]) {
            found.push((id.into(), "encryption at rest".into()));
        }
    }
    found
}

/// A dead-lettered message is larger than the message: it carries our attributes as well.
pub fn t23_only_the_source_queue_caps_its_messages(stack: &Stack) -> Findings {
    let sources = stack.mappings.iter().filter_map(|mapping| stack.source(mapping));
    let sources: BTreeSet<&str> = sources.map(|(id, _)| id).collect();
    let mut found = Findings::new();
    for (id, queue) in stack.queues() {
        let cap = queue.get("MaximumMessageSize").and_then(number);
        let wanted = sources.contains(id).then_some(MAX_BODY_BYTES as i64);
        if cap != wanted {
            found.push((id.into(), format!("a MaximumMessageSize of {wanted:?}, not {cap:?}")));
        }
    }
    found
}

pub fn t26_as_many_orders_run_at_once_as_are_asked_for(stack: &Stack) -> Findings {
    let mut found = Findings::new();
    for (id, function) in stack.functions() {
        let asked = variable(function, name::ORDER_CONCURRENCY).map_or(Some(64), number);
        let most = descriptors::most_orders(descriptors::ON_LAMBDA);
        if !asked
            .and_then(|asked| usize::try_from(asked).ok())
            .is_some_and(|asked| (1..=most).contains(&asked))
        {
            found.push((id.into(), format!("an ORDER_CONCURRENCY from 1 to {most}, not {asked:?}")));
        }
    }
    found
}
