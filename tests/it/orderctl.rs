//! The built command line against a served AWS: what it prints, where, and how it exits.

mod afternoon;
mod cancelling;
mod cloud;
mod dead_letters;
mod deployed;
mod deployment;
mod health;
mod orders;
mod parked;
mod running;
mod sending;
mod simulating;
mod stock;
mod target;

use std::net::SocketAddr;
use std::process::{Output, Stdio};

use aws_config::SdkConfig;
use aws_sdk_dynamodb as dynamodb;
use aws_sdk_sqs as sqs;
use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use crate::local_world::{over_http, queue, table};

/// A served AWS with a table and a queue, both named `orders`.
struct World {
    address: SocketAddr,
    table: dynamodb::Client,
    sqs: sqs::Client,
    queue_url: String,
}

/// What a run of the command line left.
#[derive(Debug)]
pub struct Run {
    pub code: i32,
    out: String,
    err: String,
}

impl World {
    async fn new() -> World {
        let (config, address) = over_http().await;
        World::at(&config, address).await
    }

    async fn at(config: &SdkConfig, address: SocketAddr) -> World {
        let (table, sqs) = (table(config).await, sqs::Client::new(config));
        let queue_url = queue(&sqs, "orders", &[]).await;
        World { address, table, sqs, queue_url }
    }

    async fn run(&self, arguments: &[&str]) -> Run {
        self.run_with(arguments, "").await
    }

    /// With `input` on standard input.
    async fn run_with(&self, arguments: &[&str], input: &str) -> Run {
        let endpoint = format!("http://{}", self.address);
        run(&[&["--endpoint", endpoint.as_str()], arguments].concat(), input).await
    }

    /// The one document a run prints under `--json`.
    async fn json(&self, arguments: &[&str]) -> Value {
        let run = self.run(&[arguments, &["--json"]].concat()).await;
        assert_eq!(run.code, 0, "{run:?}");
        run.document()
    }
}

impl Run {
    /// Standard output is exactly one JSON document.
    pub fn document(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// Without anything of this process's environment: neither credentials nor a home with a configuration.
async fn run(arguments: &[&str], input: &str) -> Run {
    run_in(&[], arguments, input).await
}

/// With these variables alone.
pub async fn run_in(variables: &[(&str, &str)], arguments: &[&str], input: &str) -> Run {
    let mut command = Command::new(env!("CARGO_BIN_EXE_orderctl"));
    command.args(arguments).env_clear().env("HOME", "/nonexistent").envs(variables.iter().copied());
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // A command that reads nothing may be gone already.
    stdin.write_all(input.as_bytes()).await.ok();
    drop(stdin);
    let Output { status, stdout, stderr } = child.wait_with_output().await.unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Run { code: status.code().unwrap(), out: text(stdout), err: text(stderr) }
}

#[tokio::test]
async fn wrong_usage_is_exit_code_2_and_says_so_on_standard_error() {
    for wrong in [
        &["send", "--item", "mug"][..],
        &["send", "order.json", "--customer", "cus-1"],
        &["send", "--count", "2"],
        &["get", "not an ID"],
        &["list", "--status", "DONE"],
        &["stock", "set", "mug", "-1"],
        &["demo", "--stack", "shop"],
        &["dev", "--endpoint", "http://127.0.0.1:1"],
        &["cancel", "ord-1"],
        &["cancel", "ord-1", "--why", ""],
        &["erase", "ord-1"],
        &["parked", "resume", "--why", "up again"],
        &["parked", "resume", "ord-1", "--all", "--why", "up again"],
        &["parked", "resume", "ord-1", "--why", "up again", "--rate", "0"],
        &["parked", "resume", "ord-1", "--why", "up again", "--rate", "1001"],
        &["parked", "mark-done", "ord-1", "charge_payment", "--outcome", "pi_1", "--why", "seen"],
        &["list", "--unfinished", "--status", "PARKED"],
        &["dlq", "redrive", "--reason", "lost"],
        &["dlq", "list", "--older-than", "1w"],
        &["--endpoint", "http://127.0.0.1:1", "stats", "--watch", "--json"],
        &["stats", "--watch", "--log", "-"],
        &["audit", "--since", "yesterday"],
        &["audit", "--since", "2026-11-24T01:00:00Z", "--table-only"],
        &["dance"],
    ] {
        let run = run(wrong, "").await;
        assert_eq!((run.code, run.out.as_str()), (2, ""), "{wrong:?}: {run:?}");
        assert!(run.err.contains("error:"), "{run:?}");
    }
}

#[tokio::test]
async fn without_any_configuration_it_says_how_to_begin() {
    let run = run(&["list"], "").await;
    assert_eq!((run.code, run.out.as_str()), (1, ""));
    assert!(run.err.contains("make dev") && run.err.contains("--endpoint"), "{}", run.err);
}

#[tokio::test]
async fn an_endpoint_where_nobody_listens_is_named_as_the_cause() {
    let run = run(&["--endpoint", "http://127.0.0.1:1", "list", "--json"], "").await;
    assert_eq!(run.code, 1);
    assert_eq!(run.document()["error"]["kind"], "failed");
    assert!(run.err.contains("refused") && run.err.contains("make dev"), "{}", run.err);
}

#[tokio::test]
async fn a_missing_table_and_a_missing_queue_are_named() {
    let world = World::new().await;
    let run = world.run(&["list", "--table", "others"]).await;
    assert_eq!(run.code, 1);
    assert!(run.err.contains("others") && run.err.contains("--stack"), "{}", run.err);
    let gone = world.queue_url.replace("orders", "others");
    let run = world.run(&["send", "--queue-url", &gone]).await;
    assert_eq!(run.code, 1);
    assert!(run.err.contains("others") && run.err.contains("--queue-url"), "{}", run.err);
}
