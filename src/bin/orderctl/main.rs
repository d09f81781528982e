//! The command line for people: send orders, look at them, decide those that are stuck, keep stock, run everything locally.
//!
//! | file | what it holds |
//! |---|---|
//! | `cli` | every command and option |
//! | `target` | which table and queues are meant, and how to reach them |
//! | `report` | what a command found: text for people, one JSON document for programs |
//! | `failure` | what went wrong, and the command to try next |
//! | `policies` | the rights that all this takes, and which of them change something |
//! | `signed`, `xml` | requests to services for which there is no SDK here; `lambda`, `iam`, `cloudwatch`, `sns` and `deployment` use them |
//! | `change`, `signature` | a change of an order by a person, on the record with who and why |
//! | the others | one command each |

#![forbid(unsafe_code)]

mod audit;
mod cancel;
mod change;
mod cli;
mod cloudwatch;
mod demo;
mod deployment;
mod dev;
mod dlq;
mod doctor;
mod draft;
mod duration;
mod environment;
mod erase;
mod failure;
mod get;
mod iam;
mod lambda;
mod list;
mod local;
mod log_line;
mod outbox;
mod pace;
mod parked;
mod pause;
mod policies;
mod report;
mod rollback;
mod send;
mod signature;
mod signed;
mod simulate;
mod sns;
mod stats;
mod stock;
mod table;
mod target;
mod timeline;
mod xml;

use std::process::ExitCode;

use clap::Parser;
use cli::Cli;

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    match cli.run().await {
        Ok(report) => report.print(cli.json, &cli.command_name()),
        Err(error) => failure::print(&error, cli.json, &cli.command_name()),
    }
}
