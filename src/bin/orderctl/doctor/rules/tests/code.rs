//! What is invoked, against what was last deployed.

use super::*;

fn latest(field: &str, value: Value) -> Facts {
    let mut facts = healthy();
    facts.latest.as_mut().unwrap()[field] = value;
    facts
}

fn what(facts: &Facts, rule: &str) -> String {
    findings(facts).into_iter().find(|finding| finding.rule == rule).unwrap().what
}

#[test]
fn a_change_of_which_no_version_was_published_is_told_by_name() {
    for (field, value, words) in [
        ("MemorySize", json!(1024), "memory (512, not 1024)"),
        ("Timeout", json!(30), "timeout (60, not 30)"),
        ("CodeSha256", json!("d"), "code"),
        ("Role", json!("arn:r"), "role"),
        ("KMSKeyArn", json!("arn:k"), "key"),
    ] {
        let facts = latest(field, value);
        assert_eq!(level(&facts, "live version"), Level::Error, "{field}");
        let what = what(&facts, "live version");
        assert!(what.contains(words) && what.contains("no version is published"), "{what}");
    }
    assert_eq!(level(&healthy(), "live version"), Level::Ok);
}

#[test]
fn variables_are_told_by_their_names_and_never_by_their_values() {
    let mut facts = healthy();
    let variables = &mut facts.latest.as_mut().unwrap()["Environment"]["Variables"];
    variables["PAYMENT_PROVIDER"] = json!("stripe");
    variables["STRIPE_API_KEY"] = json!("sk_live_1");
    variables.as_object_mut().unwrap().remove("RETENTION_DAYS");
    assert_eq!(level(&facts, "live version"), Level::Error);
    let what = what(&facts, "live version");
    for name in ["PAYMENT_PROVIDER", "STRIPE_API_KEY", "RETENTION_DAYS"] {
        assert!(what.contains(name), "{what}");
    }
    assert!(!what.contains("sk_live_1") && !what.contains("MAX_RECEIVE_COUNT"), "{what}");
}

#[test]
fn an_older_version_beside_one_that_is_published_is_a_deployment_or_a_rollback() {
    let mut facts = latest("Timeout", json!(30));
    facts.versions.as_mut().unwrap().push(json!({ "Timeout": 30 }));
    assert_eq!(level(&facts, "live version"), Level::Error, "that has no number");
    let mut published = setup("8");
    published["Timeout"] = json!(30);
    facts.versions.as_mut().unwrap().push(published);
    assert_eq!(level(&facts, "live version"), Level::Warning);
    assert!(what(&facts, "live version").contains("version 8"));
    let unread = Facts { versions: None, ..facts };
    assert_eq!(level(&unread, "live version"), Level::Error);
    assert!(what(&unread, "live version").contains("not known whether"));
}

#[test]
fn a_mapping_that_invokes_no_alias_is_found() {
    for (qualifier, version) in [("", "$LATEST"), (":7", "7")] {
        let arn = format!("arn:aws:lambda:eu-west-1:000000000000:function:shop{qualifier}");
        let facts = Facts {
            function: Some(setup(version)),
            alias: Some(Value::Null),
            ..mapping("FunctionArn", json!(arn))
        };
        assert_eq!(level(&facts, "live version"), Level::Warning);
        assert!(what(&facts, "live version").contains(version));
        assert_eq!(level(&facts, "alias"), Level::Unknown);
    }
    for unread in [
        Facts { function: None, ..healthy() },
        Facts { latest: None, ..healthy() },
        Facts { mapping: None, ..healthy() },
    ] {
        assert_eq!(level(&unread, "live version"), Level::Unknown);
    }
}

#[test]
fn weights_are_a_deployment_or_were_left_over() {
    let weighted = |deploying: Option<&[&str]>| {
        let routing = json!({ "AdditionalVersionWeights": { "8": 0.1 } });
        let alias = json!({ "Name": "live", "FunctionVersion": "7", "RoutingConfig": routing });
        let deploying = deploying.map(|all| all.iter().map(|one| (*one).to_owned()).collect());
        Facts { alias: Some(alias), deploying, ..healthy() }
    };
    assert_eq!(level(&weighted(Some(&[])), "alias"), Level::Error);
    assert_eq!(level(&weighted(Some(&["CodeDeploy has d-1 in progress"])), "alias"), Level::Warning);
    assert!(what(&weighted(Some(&["d-1"])), "alias").contains("version 8 gets 10 %: d-1"));
    assert_eq!(level(&weighted(None), "alias"), Level::Warning);
    assert!(what(&weighted(None), "alias").contains("not known"));
    assert_eq!(level(&healthy(), "alias"), Level::Ok);
    assert_eq!(level(&Facts { alias: None, ..healthy() }, "alias"), Level::Unknown);
}

#[test]
fn a_poller_that_may_start_more_than_the_account_has_left_is_found() {
    let cap = |scaling: Value, unreserved: u64, concurrency: Value| {
        let account = Some(json!({ "AccountLimit": { "UnreservedConcurrentExecutions": unreserved } }));
        let concurrency = Some(concurrency);
        level(&Facts { account, concurrency, ..mapping("ScalingConfig", scaling) }, "account")
    };
    let of = |most: u64| json!({ "MaximumConcurrency": most });
    assert_eq!((cap(of(10), 10, json!({})), cap(of(11), 10, json!({}))), (Level::Ok, Level::Warning));
    let uncapped = |unreserved| cap(Value::Null, unreserved, json!({}));
    assert_eq!((uncapped(1250), uncapped(1249)), (Level::Ok, Level::Warning));
    assert_eq!(cap(of(11), 10, json!({ "ReservedConcurrentExecutions": 11 })), Level::Ok);
    assert_eq!(level(&Facts { account: None, ..healthy() }, "account"), Level::Unknown);
}
