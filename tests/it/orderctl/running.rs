//! `orderctl demo` and `orderctl dev`, with the built function.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{Child, Command};

use super::{run, run_in};
use crate::local_world::over_http;

/// Far more than anything here takes.
const PATIENCE: Duration = Duration::from_secs(120);

#[tokio::test]
async fn the_demonstration_kills_freezes_takes_over_and_balances() {
    let arguments =
        ["demo", "--orders", "60", "--seed", "1", "--kill-every", "300ms", "--freeze-every", "500ms"];
    let arguments = [&arguments[..], &["--json"]].concat();
    let run = tokio::time::timeout(PATIENCE, run(&arguments, "")).await.expect("took too long");
    let account = run.document();
    assert_eq!((run.code, &account["balanced"]), (0, &Value::Bool(true)), "{run:?}");
    let number = |name: &str| account[name].as_u64().unwrap();
    assert_eq!(number("orders"), 60);
    assert!(number("messages") > 80 && number("duplicates_absorbed") > 0, "{account}");
    assert!(number("kills") > 0 && number("takeovers") > 0 && number("freezes") > 0, "{account}");
    assert!(account["dead_letters"]["conflict"].as_u64() > Some(0), "{account}");
    assert!(account["dead_letters"]["invalid"].as_u64() > Some(0), "{account}");
    // On a slow machine every order that was taken over may have been given back by its worker; none is shown then.
    if let Some(events) = account["timeline"]["events"].as_array() {
        assert!(events.iter().any(|event| event["what"] == "taken over"), "{account}");
    }
    assert!(run.err.contains("visibility 20s"), "{}", run.err);
}

#[tokio::test]
async fn the_demonstration_has_its_table_where_the_environment_says() {
    let (config, address) = over_http().await;
    let endpoint = format!("http://{address}");
    let variables = [("AWS_ENDPOINT_URL_DYNAMODB", endpoint.as_str())];
    let quiet = ["demo", "--orders", "20", "--kill-every", "0s", "--json"];
    let run = tokio::time::timeout(PATIENCE, run_in(&variables, &quiet, "")).await.expect("took too long");
    assert_eq!((run.code, &run.document()["balanced"]), (0, &Value::Bool(true)), "{run:?}");
    assert!(run.err.contains(&format!("on the DynamoDB at {endpoint}")), "{}", run.err);
    let left = aws_sdk_dynamodb::Client::new(&config).list_tables().send().await.unwrap();
    assert_eq!(left.table_names(), [] as [&str; 0]);

    let nowhere = [("AWS_ENDPOINT_URL_DYNAMODB", "http://127.0.0.1:1")];
    let run = run_in(&nowhere, &quiet, "").await;
    assert_eq!(run.code, 1, "{run:?}");
    assert!(run.err.contains("the table") && run.err.contains("refused"), "{}", run.err);
}

#[tokio::test]
async fn a_demonstration_that_takes_too_long_ends_and_says_how_far_it_came() {
    let arguments = ["demo", "--orders", "500", "--kill-every", "0s", "--within", "10ms"];
    let run = tokio::time::timeout(PATIENCE, run(&arguments, "")).await.expect("took too long");
    assert_eq!((run.code, run.out.as_str()), (1, ""), "{run:?}");
    assert!(run.err.contains("not empty after 10ms: 0 of "), "{}", run.err);
}

fn is_running(pid: i32) -> bool {
    std::fs::exists(format!("/proc/{pid}")).unwrap()
}

/// A running `orderctl dev` and what it printed.
async fn dev(log: &Path) -> (Child, Value) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_orderctl"));
    command.args(["dev", "--port", "0", "--json", "--log"]).arg(log).env_clear().kill_on_drop(true);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut document = String::new();
    while let Some(line) = lines.next_line().await.unwrap() {
        document += &line;
        if line == "}" {
            break;
        }
    }
    (child, serde_json::from_str(&document).unwrap())
}

#[tokio::test]
async fn the_local_stack_runs_an_order_and_leaves_no_process_behind() {
    let work = async {
        let log = std::env::temp_dir().join(format!("orderctl-dev-{}.log", std::process::id()));
        let (mut child, document) = dev(&log).await;
        let endpoint = document["endpoint"].as_str().unwrap();
        let sent = run(&["--endpoint", endpoint, "send", "--order-id", "ord-1"], "").await;
        assert_eq!(sent.code, 0, "{sent:?}");
        let got = run(&["--endpoint", endpoint, "get", "ord-1", "--wait", "60", "--json"], "").await;
        assert_eq!(got.document()["result"]["status"], "completed", "{got:?}");

        let functions: Vec<i32> = document["processes"]
            .as_array()
            .unwrap()
            .iter()
            .map(|pid| pid.as_i64().unwrap() as i32)
            .collect();
        assert!(functions.len() == 2 && functions.iter().all(|pid| is_running(*pid)));
        kill(Pid::from_raw(child.id().unwrap() as i32), Signal::SIGINT).unwrap();
        let mut told = String::new();
        child.stderr.take().unwrap().read_to_string(&mut told).await.unwrap();
        assert!(child.wait().await.unwrap().success(), "{told}");
        assert!(told.contains("completed    ord-1"), "{told}");
        let logged = std::fs::read_to_string(&log).unwrap();
        std::fs::remove_file(&log).unwrap();
        assert!(
            logged.lines().any(|line| line.starts_with('{') && line.contains(r#""outcome":"completed""#))
        );
        assert!(!functions.iter().any(|pid| is_running(*pid)));
    };
    tokio::time::timeout(PATIENCE, work).await.expect("took too long");
}

#[tokio::test]
async fn a_port_that_is_taken_is_named() {
    let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let run = run(&["dev", "--port", &port], "").await;
    assert_eq!(run.code, 1);
    assert!(run.err.contains(&port) && run.err.contains("--port"), "{}", run.err);
}
