//! What only a deployed stack shows: Lambda's own API.

use aws_smithy_runtime_api::client::http::HttpConnector;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::byte_stream::ByteStream;
use http::Method;
use order_processor::function::connector;
use serde_json::{Value, json};

use super::health::found;
use super::{Run, run_in};

/// As `make test-stack` sets them.
const VARIABLES: [&str; 5] =
    ["STACK_NAME", "AWS_ENDPOINT_URL", "AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"];

#[expect(clippy::disallowed_methods, reason = "the stack to test is named by the environment")]
fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set"))
}

async fn on_stack(arguments: &[&str]) -> Run {
    let values = VARIABLES.map(variable);
    let variables: Vec<_> = VARIABLES.into_iter().zip(values.iter().map(String::as_str)).collect();
    run_in(&variables, &[arguments, &["--stack", &values[0], "--json"]].concat(), "").await
}

/// Lambda's API about the stack's function; local servers take any signature, but want to know the service.
async fn lambda(method: Method, path: &str, content: Value) -> Value {
    let (endpoint, function) = (variable("AWS_ENDPOINT_URL"), variable("FUNCTION_NAME"));
    let key = format!("test/20260101/{}/lambda/aws4_request", variable("AWS_REGION"));
    let signature = format!("AWS4-HMAC-SHA256 Credential={key}, SignedHeaders=host, Signature=0");
    let request = http::Request::builder().method(method).header("authorization", signature);
    let request = request.uri(format!("{endpoint}/2015-03-31/functions/{function}/{path}"));
    let body = if content.is_null() { String::new() } else { content.to_string() };
    let request = request.header("content-type", "application/json").body(SdkBody::from(body)).unwrap();
    let answer = connector().call(request.try_into().unwrap()).await.unwrap();
    let (status, body) = (answer.status().as_u16(), ByteStream::new(answer.into_body()));
    let body = body.collect().await.unwrap().to_vec();
    let text = String::from_utf8_lossy(&body).into_owned();
    assert!((200..300).contains(&status), "{path}: {status} {text}");
    serde_json::from_str(&text).unwrap()
}

/// How `doctor` judges by `rule`, and what it says of it.
async fn judged(rule: &str) -> (String, String) {
    let document = on_stack(&["doctor"]).await.document();
    let finding = found(&document, rule);
    (finding["level"].as_str().unwrap().to_owned(), finding["what"].as_str().unwrap().to_owned())
}

async fn finds_no_error() {
    let run = on_stack(&["doctor"]).await;
    let document = run.document();
    assert_eq!((run.code, &document["errors"]), (0, &json!(0)), "{document}");
    let fine = ["visibility", "partial responses", "lease", "retention", "configuration"];
    for rule in fine.into_iter().chain(["mapping", "live version", "alias", "keys"]) {
        assert_eq!(found(&document, rule)["level"], "ok", "{document}");
    }
    // What an emulator does not tell is not checked, and never fine.
    for (rule, unseen) in [("oldest messages", "CloudWatch tells no age"), ("ringing", "there is no alarm")] {
        let (level, what) = (&found(&document, rule)["level"], found(&document, rule)["what"].to_string());
        assert!(level != "unknown" || what.contains(unseen), "{document}");
    }
}

/// As a deployment that changes a parameter and publishes nothing.
async fn change_without_publishing() -> Value {
    let mut environment = lambda(Method::GET, "configuration", Value::Null).await["Environment"].clone();
    // Another one each time: what an earlier run published is no version of this.
    environment["Variables"]["RETENTION_DAYS"] = json!((31 + fastrand::u64(..3_000)).to_string());
    lambda(Method::PUT, "configuration", json!({ "Environment": environment, "MemorySize": 513 })).await;
    let (level, what) = judged("live version").await;
    assert!(level == "error" && what.contains("memory (512, not 513), RETENTION_DAYS"), "{level} {what}");
    environment
}

/// One test, as each part would see what the other did by hand.
#[tokio::test]
#[ignore = "needs a deployed stack: make test-stack"]
async fn the_doctor_tells_what_was_changed_by_hand_and_a_rollback_mends_the_alias() {
    finds_no_error().await;
    let paused = on_stack(&["pause"]).await.document();
    assert_eq!(judged("mapping").await.0, "error");
    let unpaused = on_stack(&["unpause"]).await.document();
    assert_eq!(
        (&paused["changed"], &unpaused["changed"]),
        (&json!(true), &json!(true)),
        "{paused} {unpaused}"
    );

    let alias = lambda(Method::GET, "aliases/live", Value::Null).await;
    let first = alias["FunctionVersion"].as_str().unwrap();
    let mut environment = change_without_publishing().await;
    let second = lambda(Method::POST, "versions", json!({})).await["Version"].as_str().unwrap().to_owned();
    let (level, what) = judged("live version").await;
    assert!(level == "warning" && what.contains(&format!("version {second}")), "{level} {what}");
    let canary = json!({ "RoutingConfig": { "AdditionalVersionWeights": { (&*second): 0.1 } } });
    lambda(Method::PUT, "aliases/live", canary).await;
    let (level, what) = judged("alias").await;
    assert!(level == "error" && what.contains(&format!("version {second} gets 10 %")), "{level} {what}");

    let ended = on_stack(&["rollback"]).await.document();
    assert_eq!(
        (&ended["to"], &ended["changed"]),
        (&json!(first.parse::<u64>().unwrap()), &json!(true)),
        "{ended}"
    );
    assert_eq!(judged("alias").await.0, "ok");
    assert_eq!(on_stack(&["rollback", "--to", &second]).await.code, 0);
    assert_eq!(judged("live version").await.0, "ok");
    let back = on_stack(&["rollback"]).await.document();
    assert!(back["to"].as_u64().unwrap() < second.parse().unwrap(), "{back}");
    assert_eq!(on_stack(&["rollback", "--to", first]).await.code, 0);
    environment["Variables"]["RETENTION_DAYS"] = json!("30");
    lambda(Method::PUT, "configuration", json!({ "Environment": environment, "MemorySize": 512 })).await;
    finds_no_error().await;
}
