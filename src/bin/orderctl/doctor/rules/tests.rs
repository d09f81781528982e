//! Each rule, kept and broken.

use std::collections::BTreeMap;

use serde_json::json;

use super::rights::{
    INDEX_NEEDS, KEY_NEEDS, SECRET_NEEDS, SENDS, SOURCE_NEEDS, SOURCE_NEVER, TABLE_NEEDS, TABLE_NEVER,
};
use super::*;

mod code;
mod waiting;
mod watch;

fn attributes(pairs: &[(&str, &str)]) -> Attributes {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

const SOURCE: &str = "arn:aws:sqs:eu-west-1:000000000000:orders";
const TLS: &str = r#"{"Statement":[{"Effect":"Deny","Principal":"*","Action":"sqs:*","Condition":{"Bool":{"aws:SecureTransport":"false"}}}]}"#;

/// What the template makes of a stack.
fn healthy() -> Facts {
    let allow = json!({ "redrivePermission": "byQueue", "sourceQueueArns": [SOURCE] }).to_string();
    Facts {
        source: Some(attributes(&[
            ("QueueArn", SOURCE),
            ("VisibilityTimeout", "362"),
            ("MessageRetentionPeriod", "345600"),
            ("RedrivePolicy", r#"{"deadLetterTargetArn":"arn:dlq","maxReceiveCount":"20"}"#),
            ("Policy", TLS),
            ("ApproximateNumberOfMessages", "3"),
            ("ApproximateNumberOfMessagesNotVisible", "2"),
        ])),
        dead_letters: Some(attributes(&[
            ("MessageRetentionPeriod", "1209600"),
            ("ApproximateNumberOfMessages", "0"),
            ("ApproximateNumberOfMessagesNotVisible", "0"),
            ("RedriveAllowPolicy", &allow),
            ("Policy", TLS),
        ])),
        ttl_attribute: Some("expires_at".into()),
        restorable: Some(true),
        deletion_protected: Some(true),
        function: Some(setup("7")),
        latest: Some(setup("$LATEST")),
        versions: Some(["$LATEST", "6", "7"].map(setup).to_vec()),
        alias: Some(json!({ "Name": "live", "FunctionVersion": "7" })),
        deploying: Some(Vec::new()),
        concurrency: Some(json!({})),
        account: Some(json!({ "AccountLimit": { "UnreservedConcurrentExecutions": 900 } })),
        mapping: Some(json!({
            "State": "Enabled", "BatchSize": 10, "MaximumBatchingWindowInSeconds": 2,
            "FunctionResponseTypes": ["ReportBatchItemFailures"],
            "FunctionArn": "arn:aws:lambda:eu-west-1:000000000000:function:shop:live",
            "ScalingConfig": { "MaximumConcurrency": 900 },
        })),
        outgoing: [("WAREHOUSE_QUEUE_URL", "w"), ("NOTIFICATIONS_QUEUE_URL", "n")].map(outgoing).into(),
        outgoing_dead_letters: [("WAREHOUSE_QUEUE_URL", "wd"), ("NOTIFICATIONS_QUEUE_URL", "nd")]
            .map(outgoing)
            .into(),
        oldest: Some([("orders", 600), ("w", 86_400)].map(|(name, age)| (name.to_owned(), age)).into()),
        alarm_names: Some(vec!["a".to_owned(), "b".to_owned()]),
        alarms: Some(vec![alarm("a"), alarm("b")]),
        topics: [(TOPIC.to_owned(), vec![format!("{TOPIC}:1")])].into(),
        may: Some(rights(&[])),
        may_unlock: Some(BTreeMap::new()),
        tools: BTreeMap::new(),
        clock_ahead_ms: Some(-1_500),
        unread: Vec::new(),
    }
}

const TOPIC: &str = "arn:aws:sns:eu-west-1:000000000000:alarms";

/// What Lambda says of a version.
fn setup(version: &str) -> Value {
    json!({ "Version": version, "Timeout": 60, "MemorySize": 512, "CodeSha256": "c", "Environment": { "Variables": {
        "ORDERS_TABLE": "orders", "PAYMENT_PROVIDER": "sandbox",
        "DEAD_LETTER_QUEUE_URL": "http://q/d", "WAREHOUSE_QUEUE_URL": "http://q/w",
        "NOTIFICATIONS_QUEUE_URL": "http://q/n", "RETENTION_DAYS": "30", "MAX_ORDER_AGE_DAYS": "21",
        "MAX_RECEIVE_COUNT": "20", "LEASE_GRACE_MS": "5000", "ORDER_CONCURRENCY": "64",
    }}})
}

/// An empty queue.
fn outgoing((variable, name): (&'static str, &str)) -> (&'static str, Attributes) {
    let pairs = [
        ("QueueArn", &*format!("arn:aws:sqs:eu-west-1:000000000000:{name}")),
        ("RedrivePolicy", r#"{"maxReceiveCount":10}"#),
        ("MessageRetentionPeriod", "345600"),
        ("ApproximateNumberOfMessages", "0"),
        ("ApproximateNumberOfMessagesNotVisible", "0"),
    ];
    (variable, attributes(&pairs))
}

fn alarm(name: &str) -> Value {
    json!({ "AlarmName": name, "ActionsEnabled": true, "AlarmActions": [TOPIC], "StateValue": "OK" })
}

/// As if the function had been deployed so.
fn deployed(facts: &mut Facts, change: impl Fn(&mut Value)) {
    change(facts.function.as_mut().unwrap());
    change(facts.latest.as_mut().unwrap());
    facts.versions.as_mut().unwrap().iter_mut().for_each(change);
}

/// As the template gives them, but for `turned`.
fn rights(turned: &[&str]) -> BTreeMap<String, bool> {
    let needs = TABLE_NEEDS
        .iter()
        .chain(&INDEX_NEEDS)
        .chain(&SOURCE_NEEDS)
        .chain(&SENDS)
        .map(|action| (*action, true));
    let never = TABLE_NEVER.iter().chain(&SOURCE_NEVER).map(|action| (*action, false));
    let all = needs.chain(never).map(|(action, may)| (action.to_owned(), may != turned.contains(&action)));
    all.collect()
}

#[test]
fn a_role_that_may_too_little_or_too_much_is_found() {
    for action in TABLE_NEEDS
        .iter()
        .chain(&INDEX_NEEDS)
        .chain(&TABLE_NEVER)
        .chain(&SOURCE_NEEDS)
        .chain(&SOURCE_NEVER)
        .chain(&SENDS)
    {
        let facts = Facts { may: Some(rights(&[action])), ..healthy() };
        let findings = findings(&facts);
        let role = findings.iter().find(|finding| finding.rule == "role").unwrap();
        assert!(role.level == Level::Error && role.what.contains(action), "{role:?}");
    }
    assert_eq!(level(&healthy(), "role"), Level::Ok);
    let mut few = rights(&[]);
    few.remove("sqs:SendMessage");
    for may in [None, Some(few)] {
        assert_eq!(level(&Facts { may, ..healthy() }, "role"), Level::Unknown);
    }
}

#[test]
fn an_outgoing_queue_without_dead_letters_is_found() {
    assert_eq!(level(&healthy(), "outgoing queues"), Level::Ok);
    let mut facts = healthy();
    facts.outgoing.insert("NOTIFICATIONS_QUEUE_URL", attributes(&[]));
    assert_eq!(level(&facts, "outgoing queues"), Level::Error);
    assert_eq!(level(&Facts { outgoing: BTreeMap::new(), ..healthy() }, "outgoing queues"), Level::Unknown);
}

fn level(facts: &Facts, rule: &str) -> Level {
    findings(facts)
        .into_iter()
        .find(|finding| finding.rule == rule)
        .unwrap_or_else(|| panic!("no rule {rule}"))
        .level
}

fn source(name: &str, value: &str) -> Facts {
    let mut facts = healthy();
    facts.source.as_mut().unwrap().insert(name.to_owned(), value.to_owned());
    facts
}

fn dead(name: &str, value: &str) -> Facts {
    let mut facts = healthy();
    facts.dead_letters.as_mut().unwrap().insert(name.to_owned(), value.to_owned());
    facts
}

fn mapping(name: &str, value: Value) -> Facts {
    let mut facts = healthy();
    facts.mapping.as_mut().unwrap()[name] = value;
    facts
}

fn variable(name: &str, value: &str) -> Facts {
    let mut facts = healthy();
    deployed(&mut facts, |setup| setup["Environment"]["Variables"][name] = json!(value));
    facts
}

#[test]
fn a_stack_of_the_template_is_healthy() {
    let bad: Vec<Finding> =
        findings(&healthy()).into_iter().filter(|finding| finding.level != Level::Ok).collect();
    assert_eq!(bad, []);
}

#[test]
fn every_broken_rule_is_found_with_its_fix_and_no_other_is_blamed() {
    let public = r#"{"Statement":{"Effect":"Allow","Principal":{"AWS":"*"},"Action":"sqs:SendMessage"}}"#;
    let with_tls = TLS.replacen('[', &format!("[{},", &public[13..public.len() - 1]), 1);
    let reserved = Facts { concurrency: Some(json!({ "ReservedConcurrentExecutions": 899 })), ..healthy() };
    for (facts, rule, expected) in [
        (source("RedrivePolicy", "{}"), "dead-letter queue", Level::Error),
        (
            source("RedrivePolicy", r#"{"deadLetterTargetArn":"arn:dlq","maxReceiveCount":19}"#),
            "receives",
            Level::Error,
        ),
        (variable("MAX_RECEIVE_COUNT", "21"), "receives", Level::Error),
        (dead("MessageRetentionPeriod", "345600"), "dead letters are kept longer", Level::Error),
        (dead("RedriveAllowPolicy", "{}"), "dead letters come from here", Level::Warning),
        (dead("Policy", "{}"), "TLS only", Level::Warning),
        (source("Policy", &with_tls), "no public sender", Level::Error),
        (source("VisibilityTimeout", "361"), "visibility", Level::Error),
        (mapping("FunctionResponseTypes", json!([])), "partial responses", Level::Error),
        (mapping("FilterCriteria", json!({ "Filters": [{}] })), "no filter", Level::Error),
        (reserved, "concurrency", Level::Error),
        (of_times(60, 362, 400), "given up in time", Level::Error),
        (variable("RETENTION_DAYS", "21"), "retention", Level::Error),
        (variable("MAX_ORDER_AGE_DAYS", "22"), "order age", Level::Warning),
        (Facts { ttl_attribute: Some("claimed_at_ms".into()), ..healthy() }, "TTL", Level::Error),
        (Facts { ttl_attribute: Some(String::new()), ..healthy() }, "TTL", Level::Warning),
        (variable("ORDERS_TABLE", "x"), "configuration", Level::Error),
        (Facts { restorable: Some(false), ..healthy() }, "table", Level::Warning),
        (mapping("State", json!("Disabled")), "mapping", Level::Error),
        (mapping("State", json!("Disabling")), "mapping", Level::Error),
        (variable("ORDER_CONCURRENCY", "241"), "orders in flight", Level::Warning),
        (variable("ORDER_CONCURRENCY", "1"), "batch in time", Level::Warning),
    ] {
        let bad: Vec<Finding> =
            findings(&facts).into_iter().filter(|finding| finding.level > Level::Unknown).collect();
        assert!(bad.iter().all(|finding| finding.fix.is_some()), "{bad:?}");
        let blamed = bad.iter().any(|finding| finding.rule == rule && finding.level == expected);
        assert!(blamed, "{rule}: {bad:?}");
        // Retention of both queues, and of the answers, are one thing; so are a variable and its rule.
        let related = ["retention", "order age", "configuration", "receives"];
        let other = bad.iter().find(|finding| finding.rule != rule && !related.contains(&finding.rule));
        assert_eq!(other, None, "{rule}");
    }
    let mut both = mapping("ProvisionedPollerConfig", json!({ "MaximumPollers": 2 }));
    assert_eq!(level(&both, "one way to scale"), Level::Error);
    both.mapping.as_mut().unwrap()["ScalingConfig"] = Value::Null;
    assert_eq!(level(&both, "one way to scale"), Level::Ok);
}

#[test]
fn limits_hold_to_the_last_one() {
    let receives = |count: u64| {
        let policy = json!({ "deadLetterTargetArn": "arn:dlq", "maxReceiveCount": count }).to_string();
        let mut facts = variable("MAX_RECEIVE_COUNT", &count.to_string());
        facts.source.as_mut().unwrap().insert("RedrivePolicy".to_owned(), policy);
        level(&facts, "receives")
    };
    assert_eq!((receives(5), receives(4)), (Level::Ok, Level::Error));
    let rounds = |timeout: u64, size: u64, at_once: &str| {
        let mut facts = variable("ORDER_CONCURRENCY", at_once);
        facts.mapping.as_mut().unwrap()["BatchSize"] = json!(size);
        deployed(&mut facts, |setup| setup["Timeout"] = json!(timeout));
        level(&facts, "batch in time")
    };
    assert_eq!((rounds(60, 96, "16"), rounds(60, 97, "16")), (Level::Ok, Level::Warning));
    assert_eq!((rounds(3, 64, "64"), rounds(3, 65, "64")), (Level::Ok, Level::Warning));
    let in_flight = |orders: &str| level(&variable("ORDER_CONCURRENCY", orders), "orders in flight");
    assert_eq!((in_flight("240"), in_flight("241")), (Level::Ok, Level::Warning));
    let grace = |millis: &str| level(&variable("LEASE_GRACE_MS", millis), "lease");
    assert_eq!((grace("301999"), grace("302000")), (Level::Ok, Level::Error));
    let kept = |days: &str| level(&variable("RETENTION_DAYS", days), "retention");
    assert_eq!((kept("22"), kept("21")), (Level::Ok, Level::Error));
    let age = |days: &str| level(&variable("MAX_ORDER_AGE_DAYS", days), "retention");
    assert_eq!((age("29"), age("30")), (Level::Ok, Level::Error));
    let earlier = |days: &str| level(&variable("MAX_ORDER_AGE_DAYS", days), "order age");
    assert_eq!((earlier("21"), earlier("22")), (Level::Ok, Level::Warning));
    let size = |size: u64, window: u64| {
        let mut facts = mapping("BatchSize", json!(size));
        facts.mapping.as_mut().unwrap()["MaximumBatchingWindowInSeconds"] = json!(window);
        facts
    };
    assert_eq!(level(&size(10, 0), "batch"), Level::Ok);
    assert_eq!(level(&size(11, 0), "batch"), Level::Error);
    assert_eq!(level(&size(11, 1), "batch"), Level::Ok);
    let mut fifo = size(11, 1);
    fifo.source.as_mut().unwrap().insert("FifoQueue".into(), "true".into());
    assert_eq!(level(&fifo, "batch"), Level::Error);
    let clock = |ahead| level(&Facts { clock_ahead_ms: Some(ahead), ..healthy() }, "clock");
    assert_eq!((clock(-30_000), clock(30_001)), (Level::Ok, Level::Warning));
    assert_eq!((clock(240_000), clock(-240_001)), (Level::Warning, Level::Error));
}

/// With the timeouts of the template, and this many receives within 4 days.
fn of_times(timeout: u64, visibility: u64, receives: u64) -> Facts {
    let mut facts = source("VisibilityTimeout", &visibility.to_string());
    let policy = json!({ "deadLetterTargetArn": "arn:dlq", "maxReceiveCount": receives }).to_string();
    facts.source.as_mut().unwrap().insert("RedrivePolicy".to_owned(), policy);
    deployed(&mut facts, |setup| setup["Timeout"] = json!(timeout));
    facts
}

#[test]
fn receives_that_outlast_the_queue_are_found_at_the_first_too_many() {
    // 345,600 s by 362 + 900, by 5,402 + 900 + 5 + 2, and by 20 + 900.
    for (timeout, visibility, most) in [(60, 362, 273), (900, 5402, 54), (3, 20, 375)] {
        let of = |receives| level(&of_times(timeout, visibility, receives), "given up in time");
        assert_eq!((of(most), of(most + 1)), (Level::Ok, Level::Error), "{timeout}");
    }
    // Exactly as long is too long.
    let exactly = |kept: &str| {
        let mut facts = of_times(60, 362, 20);
        facts.source.as_mut().unwrap().insert("MessageRetentionPeriod".into(), kept.into());
        level(&facts, "given up in time")
    };
    assert_eq!((exactly("25241"), exactly("25240")), (Level::Ok, Level::Error));
    let unread = Facts { function: None, ..healthy() };
    assert_eq!(level(&unread, "given up in time"), Level::Unknown);
}

#[test]
fn a_key_or_a_secret_that_the_role_may_not_use_is_found() {
    for action in KEY_NEEDS.iter().chain(&SECRET_NEEDS) {
        let may = |allowed| {
            let right = ((*action).to_owned(), "arn:aws:x:1".to_owned());
            Facts { may_unlock: Some([(right, allowed)].into()), ..healthy() }
        };
        assert_eq!(level(&may(true), "keys"), Level::Ok);
        let findings = findings(&may(false));
        let keys = findings.iter().find(|finding| finding.rule == "keys").unwrap();
        assert!(
            keys.level == Level::Error && keys.what.contains(action) && keys.what.contains("arn:aws:x:1")
        );
    }
    assert_eq!(level(&healthy(), "keys"), Level::Ok);
    assert_eq!(level(&Facts { may_unlock: None, ..healthy() }, "keys"), Level::Unknown);
}

#[test]
fn what_cannot_be_read_is_said_and_blames_nobody() {
    let why = "asking lambda: no answer in time".to_owned();
    let unread = |missing: Option<&str>| {
        vec![Unread { what: "the alias", why: why.clone(), missing: missing.map(str::to_owned) }]
    };
    let of = |facts: &Facts| findings(facts).into_iter().find(|finding| finding.rule == "access").unwrap();
    let finding = of(&Facts { unread: unread(None), function: None, ..healthy() });
    assert!(finding.level == Level::Unknown && finding.what.contains(&why), "{finding:?}");
    let finding = of(&Facts { unread: unread(Some("lambda:GetAlias")), ..healthy() });
    assert!(finding.level == Level::Unknown && finding.what.contains("lambda:GetAlias"), "{finding:?}");
    assert!(finding.fix.unwrap().contains("lambda:GetAlias"));
    // Nothing is healthy of which nothing is known.
    assert_eq!(of(&Facts { unread: unread(None), ..Facts::default() }).level, Level::Error);
    assert!(findings(&Facts::default()).iter().all(|finding| finding.level == Level::Unknown));
}
