//! What only a deployed stack shows: Lambda's own API.

use serde_json::json;

use super::{Run, run_in};

/// As `make test-stack` sets them.
const VARIABLES: [&str; 5] =
    ["STACK_NAME", "AWS_ENDPOINT_URL", "AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"];

#[expect(clippy::disallowed_methods, reason = "the stack to test is named by the environment")]
async fn on_stack(arguments: &[&str]) -> Run {
    let values = VARIABLES.map(|name| std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set")));
    let variables: Vec<_> = VARIABLES.into_iter().zip(values.iter().map(String::as_str)).collect();
    run_in(&variables, &[arguments, &["--stack", &values[0], "--json"]].concat(), "").await
}

#[tokio::test]
#[ignore = "needs a deployed stack: make test-stack"]
async fn the_doctor_finds_no_error_in_the_deployed_template() {
    let run = on_stack(&["doctor"]).await;
    let document = run.document();
    assert_eq!((run.code, &document["errors"]), (0, &json!(0)), "{document}");
    let findings = document["findings"].as_array().unwrap();
    for rule in ["visibility", "partial responses", "lease", "retention", "configuration"] {
        let finding = findings.iter().find(|finding| finding["rule"] == rule).unwrap();
        assert_eq!(finding["level"], "ok", "{finding}");
    }
}

#[tokio::test]
#[ignore = "needs a deployed stack: make test-stack"]
async fn the_deployed_function_is_paused_and_unpaused() {
    let paused = on_stack(&["pause"]).await.document();
    let unpaused = on_stack(&["unpause"]).await.document();
    assert_eq!(
        (&paused["changed"], &unpaused["changed"]),
        (&json!(true), &json!(true)),
        "{paused} {unpaused}"
    );
}
