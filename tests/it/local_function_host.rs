//! The function host with a real process: this very test binary, in the role of [`the_function`].

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use lambda_runtime::{Error, LambdaEvent, service_fn};
use order_processor::clock::Clock;
use order_processor::local::function_host::{FunctionHost, FunctionOptions, InvokeError, OutputLine};
use serde_json::{Value, json};
use tokio::sync::watch;

/// Far more than anything here takes; a test that waits this long has failed.
const PATIENCE: Duration = Duration::from_secs(30);

#[test]
fn the_function() {
    let variables: BTreeMap<String, String> = std::env::vars().collect();
    if variables.contains_key("AWS_LAMBDA_RUNTIME_API") {
        if variables.contains_key("FAIL_TO_START") {
            panic!("as told");
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(lambda_runtime::run(service_fn(handle))).unwrap();
    }
}

async fn handle(event: LambdaEvent<Value>) -> Result<Value, Error> {
    let (event, context) = event.into_parts();
    match event["do"].as_str() {
        Some("fail") => return Err("as told".into()),
        Some("exit") => std::process::exit(3),
        Some("sleep") => tokio::time::sleep(Duration::from_millis(event["ms"].as_u64().unwrap())).await,
        Some("print") => println!("{{\"outcome\":\"printed\"}}"),
        _ => {}
    }
    Ok(json!({
        "pid": std::process::id(),
        "deadline": context.deadline,
        "request_id": context.request_id,
        "variables": std::env::vars().map(|(name, _)| name).collect::<Vec<_>>(),
    }))
}

fn options(environments: usize, timeout: Duration) -> FunctionOptions {
    FunctionOptions {
        program: std::env::current_exe().unwrap(),
        arguments: ["--exact", "local_function_host::the_function", "--nocapture"].map(str::to_owned).into(),
        variables: vec![("ORDERS_TABLE".to_owned(), "orders".to_owned())],
        environments,
        timeout,
        clock: Clock::system(),
        output: Arc::new(|_| {}),
    }
}

async fn host(environments: usize, timeout: Duration) -> FunctionHost {
    let host = FunctionHost::start(options(environments, timeout));
    host.ready().await.unwrap();
    host
}

async fn invoke(host: &FunctionHost, event: Value) -> Result<Value, InvokeError> {
    let response = host.invoke(Bytes::from(event.to_string())).await?;
    Ok(serde_json::from_slice(&response).unwrap())
}

async fn within_patience<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, work).await.expect("took too long")
}

fn is_running(pid: u32) -> bool {
    std::fs::exists(format!("/proc/{pid}")).unwrap()
}

#[tokio::test]
async fn an_invocation_gets_the_functions_response_and_a_deadline() {
    let host = host(1, PATIENCE).await;
    let before = Clock::system().now() + PATIENCE;
    let response = invoke(&host, json!({})).await.unwrap();
    let after = Clock::system().now() + PATIENCE;
    let deadline = response["deadline"].as_u64().unwrap();
    assert!((before.0..=after.0).contains(&deadline), "{deadline}");
    let again = invoke(&host, json!({})).await.unwrap();
    assert_eq!(again["pid"], response["pid"], "a healthy environment is used again");
    assert_ne!(again["request_id"], response["request_id"]);
    host.shutdown().await;
}

#[tokio::test]
async fn a_function_inherits_nothing_from_the_environment_of_its_host() {
    let host = host(1, PATIENCE).await;
    let response = invoke(&host, json!({})).await.unwrap();
    let variables: Vec<&str> =
        response["variables"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert!(variables.contains(&"ORDERS_TABLE"));
    assert!(variables.contains(&"AWS_LAMBDA_FUNCTION_NAME"));
    assert!(!variables.contains(&"CARGO_MANIFEST_DIR"), "the test runner sets it for this process");
    host.shutdown().await;
}

#[tokio::test]
async fn environments_work_side_by_side() {
    let host = host(2, PATIENCE).await;
    let (first, second) = within_patience(async {
        tokio::join!(
            invoke(&host, json!({ "do": "sleep", "ms": 500 })),
            invoke(&host, json!({ "do": "sleep", "ms": 500 }))
        )
    })
    .await;
    assert_ne!(first.unwrap()["pid"], second.unwrap()["pid"]);
    host.shutdown().await;
}

#[tokio::test]
async fn a_reported_error_is_passed_on_and_the_process_lives() {
    let host = host(1, PATIENCE).await;
    let pid = invoke(&host, json!({})).await.unwrap()["pid"].clone();
    let Err(InvokeError::FunctionError(payload)) = invoke(&host, json!({ "do": "fail" })).await else {
        panic!("no error");
    };
    assert!(payload.contains("as told"), "{payload}");
    assert_eq!(invoke(&host, json!({})).await.unwrap()["pid"], pid);
    host.shutdown().await;
}

#[tokio::test]
async fn a_function_past_its_timeout_is_dead_before_the_caller_hears_of_it() {
    let timeout = Duration::from_millis(300);
    let host = host(1, timeout).await;
    let pid = host.environments()[0].pid.unwrap();
    let outcome = invoke(&host, json!({ "do": "sleep", "ms": 60_000 })).await;
    assert_eq!(outcome, Err(InvokeError::Timeout(timeout)));
    assert!(!is_running(pid));
    let next = invoke(&host, json!({})).await.unwrap();
    assert_ne!(next["pid"], json!(pid));
    host.shutdown().await;
}

#[tokio::test]
async fn a_killed_function_fails_its_invocation_and_is_replaced() {
    let host = host(1, PATIENCE).await;
    assert_eq!(host.kill_one(), None, "nothing is running");
    let sleeping = json!({ "do": "sleep", "ms": 60_000 });
    let (outcome, killed) = tokio::join!(invoke(&host, sleeping), async {
        within_patience(host.until(|status| status.busy)).await;
        host.kill_one()
    });
    let Err(InvokeError::ExitedEarly(how)) = outcome else { panic!("{outcome:?}") };
    assert!(how.contains('9'), "{how}");
    let next = invoke(&host, json!({})).await.unwrap();
    assert_ne!(next["pid"].as_u64(), killed.map(u64::from));
    host.shutdown().await;
}

#[tokio::test]
async fn a_function_that_exits_by_itself_fails_its_invocation_and_is_replaced() {
    let host = host(1, PATIENCE).await;
    let outcome = invoke(&host, json!({ "do": "exit" })).await;
    assert!(matches!(&outcome, Err(InvokeError::ExitedEarly(how)) if how.contains('3')), "{outcome:?}");
    invoke(&host, json!({})).await.unwrap();
    host.shutdown().await;
}

#[tokio::test]
async fn a_paused_function_outlives_its_timeout_and_goes_on_when_resumed() {
    let timeout = Duration::from_secs(1);
    let host = host(1, timeout).await;
    let (outcome, paused) = tokio::join!(invoke(&host, json!({ "do": "sleep", "ms": 600 })), async {
        within_patience(host.until(|status| status.busy)).await;
        host.pause_one().unwrap()
    });
    assert_eq!(outcome, Err(InvokeError::Timeout(timeout)));
    assert!(is_running(paused));
    host.resume(paused);
    within_patience(host.until(|status| status.pid.is_some_and(|pid| pid != paused))).await;
    assert!(!is_running(paused));
    host.shutdown().await;
}

#[tokio::test]
async fn shutdown_leaves_no_process_not_even_a_paused_one() {
    let host = host(2, PATIENCE).await;
    let pids: Vec<u32> = host.environments().iter().filter_map(|status| status.pid).collect();
    assert_eq!(pids.len(), 2);
    let invoker = host.invoker();
    let event = Bytes::from(json!({ "do": "sleep", "ms": 60_000 }).to_string());
    let running = tokio::spawn(async move { invoker.invoke(event).await });
    within_patience(host.until(|status| status.busy)).await;
    host.pause_one().unwrap();
    within_patience(host.shutdown()).await;
    assert_eq!(running.await.unwrap(), Err(InvokeError::Stopped));
    assert!(pids.into_iter().all(|pid| !is_running(pid)));
}

#[tokio::test]
async fn dropping_the_host_leaves_no_process_either() {
    let host = host(1, PATIENCE).await;
    let pid = host.environments()[0].pid.unwrap();
    drop(host);
    within_patience(async {
        while is_running(pid) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_function_that_cannot_start_says_why() {
    let mut broken = options(1, PATIENCE);
    broken.variables.push(("FAIL_TO_START".to_owned(), "1".to_owned()));
    let host = FunctionHost::start(broken);
    assert!(matches!(host.ready().await, Err(InvokeError::NotStarted(_))));
    let outcome = invoke(&host, json!({})).await;
    assert!(matches!(outcome, Err(InvokeError::NotStarted(_))), "{outcome:?}");

    let missing = FunctionOptions { program: "/no/such/function".into(), ..options(1, PATIENCE) };
    let Err(InvokeError::NotStarted(reason)) = FunctionHost::start(missing).ready().await else {
        panic!("started");
    };
    assert!(reason.contains("/no/such/function"), "{reason}");
}

#[tokio::test]
async fn the_functions_lines_are_delivered_with_the_process_that_wrote_them() {
    let lines = watch::Sender::new(Vec::new());
    let mut received = lines.subscribe();
    let mut options = options(1, PATIENCE);
    options.output = Arc::new(move |line: OutputLine| lines.send_modify(|lines| lines.push(line)));
    let host = FunctionHost::start(options);
    host.ready().await.unwrap();
    let pid = host.environments()[0].pid.unwrap();
    invoke(&host, json!({ "do": "print" })).await.unwrap();
    let expected = OutputLine { pid, line: r#"{"outcome":"printed"}"#.to_owned() };
    within_patience(received.wait_for(|lines| lines.contains(&expected))).await.unwrap();
    host.shutdown().await;
}
