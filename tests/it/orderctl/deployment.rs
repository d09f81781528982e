//! `orderctl rollback`, and what `orderctl doctor` sees of a deployment.

use serde_json::{Value, json};

use super::World;
use super::cloud::{Cloud, TOPIC};
use super::health::found;
use super::target::with_a_cloud;

async fn doctor(world: &World) -> Value {
    world.run(&["doctor", "--stack", "shop", "--json"]).await.document()
}

/// How `doctor` judges by `rule` what was changed by hand.
async fn judged(world: &World, rule: &str) -> (String, String) {
    let document = doctor(world).await;
    let finding = found(&document, rule);
    let text = |field: &str| finding[field].as_str().unwrap().to_owned();
    (text("level"), text("what"))
}

async fn roll_back(world: &World, options: &[&str]) -> super::Run {
    world.run(&[&["rollback", "--stack", "shop", "--json"], options].concat()).await
}

#[tokio::test]
async fn the_doctor_looks_at_what_the_mapping_invokes() {
    let (world, cloud) = with_a_cloud().await;
    for rule in ["mapping", "live version", "alias", "account", "alarms", "ringing", "subscribers"] {
        assert_eq!(judged(&world, rule).await.0, "ok", "{rule}");
    }
    // A message waits for 601 s; the queue's own attributes would not tell.
    assert_eq!(
        judged(&world, "oldest messages").await,
        ("warning".to_owned(), "stack-orders 601 s".to_owned())
    );
    cloud.change(|state| {
        state.setups[0]["Timeout"] = json!(30);
        state.setups[0]["Environment"]["Variables"]["STRIPE_API_KEY"] = json!("sk_live_1");
    });
    let (level, what) = judged(&world, "live version").await;
    assert!(level == "error" && what.contains("timeout (60, not 30), STRIPE_API_KEY"), "{what}");
    assert!(!doctor(&world).await.to_string().contains("sk_live_1"));
    // What runs for 60 s is held against the queue, not what was changed.
    assert!(judged(&world, "visibility").await.1.contains("timeout of 60 s"));
}

#[tokio::test]
async fn the_doctor_tells_what_nobody_would_hear_of() {
    let (world, cloud) = with_a_cloud().await;
    cloud.change(|state| {
        state.alarms[0]["StateValue"] = json!("ALARM");
        state.alarms.pop();
        state.subscriptions = vec!["PendingConfirmation"];
        state.alias["RoutingConfig"] = json!({ "AdditionalVersionWeights": { "2": 0.5 } });
    });
    let of = |level: &str, what: &str| (level.to_owned(), what.to_owned());
    assert_eq!(judged(&world, "alarms").await, of("error", "shop-b is not there"));
    assert_eq!(judged(&world, "ringing").await, of("warning", "shop-a"));
    let pending = format!("{TOPIC} has 1 that nobody has confirmed");
    assert_eq!(judged(&world, "subscribers").await, of("warning", &pending));
    assert!(judged(&world, "alias").await.1.contains("left over"));
    cloud.change(|state| state.deployments.push("d-1"));
    let (level, what) = judged(&world, "alias").await;
    assert!(level == "warning" && what.contains("d-1"), "{what}");
}

#[tokio::test]
async fn the_doctor_names_the_right_that_it_lacks_and_calls_nothing_healthy_that_it_has_not_seen() {
    let (world, cloud) = with_a_cloud().await;
    for (right, rule) in [
        ("lambda:GetEventSourceMapping", "mapping"),
        ("lambda:GetFunctionConfiguration", "live version"),
        ("lambda:GetAlias", "alias"),
        ("lambda:GetAccountSettings", "account"),
        ("cloudformation:ListStackResources", "alarms"),
        ("cloudwatch:DescribeAlarms", "alarms"),
        ("sns:ListSubscriptionsByTopic", "subscribers"),
        ("sqs:GetQueueAttributes", "dead-letter queue"),
        ("dynamodb:DescribeTimeToLive", "TTL"),
    ] {
        cloud.change(|state| state.denied = [right].into());
        let document = doctor(&world).await;
        assert_eq!(found(&document, rule)["level"], "unknown", "{right}: {document}");
        let findings = document["findings"].as_array().unwrap().iter();
        let wanting = format!("for want of the right {right}:");
        let named = findings.filter(|one| one["rule"] == "access").find(|one| {
            let (what, fix) = (one["what"].as_str().unwrap(), one["fix"].as_str().unwrap());
            what.contains(&wanting) && fix.contains(right) && fix.contains("operator-read.json")
        });
        assert!(named.is_some(), "{right}: {document}");
    }
    // A deployment that cannot be seen is none that is known to be over.
    let weights = json!({ "AdditionalVersionWeights": { "2": 0.5 } });
    cloud.change(|state| {
        state.denied = ["codedeploy:ListDeployments"].into();
        state.alias["RoutingConfig"] = weights;
    });
    assert!(judged(&world, "alias").await.1.contains("not known"));
}

fn version(cloud: &Cloud) -> Value {
    cloud.alias()["FunctionVersion"].clone()
}

#[tokio::test]
async fn a_rollback_goes_to_the_version_before_and_a_dry_run_goes_nowhere() {
    let (world, cloud) = with_a_cloud().await;
    let dry = roll_back(&world, &["--dry-run"]).await.document();
    assert_eq!((&dry["from"], &dry["to"], &dry["changed"]), (&json!(3), &json!(2), &json!(false)));
    assert_eq!(version(&cloud), "3");
    let done = roll_back(&world, &[]).await;
    assert_eq!((done.code, &done.document()["changed"], version(&cloud)), (0, &json!(true), json!("2")));
    roll_back(&world, &["--to", "3"]).await;
    assert_eq!(version(&cloud), "3");
    let again = roll_back(&world, &["--to", "3"]).await.document();
    assert_eq!((&again["to"], &again["changed"]), (&json!(3), &json!(false)));
    let text = world.run(&["rollback", "--stack", "shop"]).await;
    assert!(text.out.contains("was version 3") && text.out.contains("deploy what is mended"), "{text:?}");
    assert_eq!(roll_back(&world, &["--to", "9"]).await.code, 3);
    assert_eq!(roll_back(&world, &["--to", "0"]).await.code, 2);
}

#[tokio::test]
async fn a_rollback_takes_the_canary_away_and_leaves_a_deployment_alone() {
    let (world, cloud) = with_a_cloud().await;
    cloud.change(|state| {
        state.alias["FunctionVersion"] = json!("2");
        state.alias["RoutingConfig"] = json!({ "AdditionalVersionWeights": { "3": 0.1 } });
        state.deployments.push("d-1");
    });
    let before = cloud.alias();
    let refused = roll_back(&world, &[]).await;
    assert!(refused.code == 1 && refused.err.contains("d-1") && refused.err.contains("--even-in-deployment"));
    cloud.change(|state| {
        state.denied.insert("codedeploy:ListDeployments");
    });
    let unknown = roll_back(&world, &[]).await;
    assert!(unknown.code == 1 && unknown.err.contains("codedeploy:ListDeployments"), "{unknown:?}");
    assert_eq!(cloud.alias(), before);
    cloud.change(|state| state.denied.clear());
    let done = roll_back(&world, &["--even-in-deployment"]).await;
    assert_eq!((done.code, &done.document()["weights"]), (0, &json!({ "3": 0.1 })));
    assert_eq!((version(&cloud), &cloud.alias()["RoutingConfig"]), (json!("2"), &Value::Null));
}

#[tokio::test]
async fn a_rollback_is_refused_when_somebody_else_has_moved_the_alias() {
    let (world, cloud) = with_a_cloud().await;
    cloud.change(|state| state.contested = true);
    let refused = roll_back(&world, &[]).await;
    assert!(refused.code == 1 && refused.err.contains("somebody else"), "{refused:?}");
    assert_eq!(version(&cloud), "3");
    cloud.change(|state| state.contested = false);
    cloud.change(|state| state.denied = ["lambda:UpdateAlias"].into());
    let denied = roll_back(&world, &[]).await;
    assert!(denied.code == 1 && denied.err.contains("it takes the right lambda:UpdateAlias"), "{denied:?}");
}
