//! `orderctl pause` and `unpause`: the event source mapping off and on. Messages wait in the queue meanwhile.

use anyhow::{Context, Result};
use clap::Args;
use serde_json::json;

use crate::lambda::Lambda;
use crate::report::Report;
use crate::target::Target;

/// Stop the function from getting messages; those it has, it finishes. For deployed stacks
#[derive(Debug, Args)]
pub struct Pause {
    /// Say what would happen, and change nothing
    #[arg(long)]
    dry_run: bool,
}

/// Let the function get messages again. For deployed stacks
#[derive(Debug, Args)]
pub struct Unpause {
    /// Say what would happen, and change nothing
    #[arg(long)]
    dry_run: bool,
}

impl Pause {
    /// Off.
    pub async fn run(&self, target: &Target) -> Result<Report> {
        let meaning =
            "messages wait in the queue, for as long as it keeps them; what is received already is finished";
        switch(target, false, self.dry_run, meaning).await
    }
}

impl Unpause {
    /// On.
    pub async fn run(&self, target: &Target) -> Result<Report> {
        switch(target, true, self.dry_run, "messages are delivered again within a minute").await
    }
}

async fn switch(target: &Target, on: bool, dry_run: bool, meaning: &str) -> Result<Report> {
    let missing =
        "only a deployed stack can be paused\nname it: --stack NAME; the local stack ends with Ctrl-C";
    let id = target.mapping_id().context(missing)?;
    let lambda = Lambda(target.sdk());
    let before = lambda.mapping(id).await?;
    let state = |mapping: &serde_json::Value| mapping["State"].as_str().unwrap_or("unknown").to_owned();
    // A mapping that is being made or changed is on or off when that is over: only these states say which.
    let is_so = match state(&before).as_str() {
        "Enabled" | "Enabling" => on,
        "Disabled" | "Disabling" => !on,
        _ => false,
    };
    let after = if dry_run || is_so { before.clone() } else { lambda.enable(id, on).await? };
    let document = json!({
        "mapping": id,
        "dry_run": dry_run,
        "before": state(&before),
        "after": state(&after),
        "changed": !is_so && !dry_run,
        "meaning": meaning,
    });
    let would = if dry_run { "would be" } else { "is" };
    let text = format!("{would} {}: {meaning}\nwas {}", if on { "on" } else { "off" }, state(&before));
    Ok(Report::new(document, text))
}
