//! `orderctl doctor`: whether what is deployed keeps the rules by which no order is lost or runs twice.

mod facts;
mod rules;

use anyhow::Result;
use clap::Args;
use serde_json::json;

use crate::report::{Report, columns, paint};
use crate::target::Target;
use rules::{Level, findings};

/// Check what is deployed against the rules: queues, table, the version that is invoked, alarms; each finding with its fix
///
/// Of the function it looks at the version that the event source mapping invokes, and says in what that differs from the
/// function as it was last changed. What it cannot read it calls not checked, and names the right that it lacked;
/// infra/policies/operator-read.json has all that it takes. Exit code 1 if anything is an error.
#[derive(Debug, Args)]
pub struct Doctor {}

impl Doctor {
    /// Reads everything that it may read, and judges it.
    pub async fn run(&self, target: &Target) -> Result<Report> {
        let facts = facts::gather(target).await;
        let findings = findings(&facts);
        let count = |level| findings.iter().filter(|finding| finding.level == level).count();
        let (errors, warnings) = (count(Level::Error), count(Level::Warning));
        let mut tools = facts.tools.clone();
        tools.insert("orderctl", Some(env!("CARGO_PKG_VERSION").to_owned()));
        let document = json!({
            "healthy": errors == 0,
            "errors": errors,
            "warnings": warnings,
            "tools": tools,
            "findings": findings,
        });
        let mut rows = Vec::new();
        for finding in &findings {
            let mark = match finding.level {
                Level::Ok => paint("ok", 32),
                Level::Unknown => "not checked".to_owned(),
                Level::Warning => paint("warning", 33),
                Level::Error => paint("ERROR", 31),
            };
            rows.push(vec![mark, finding.rule.to_owned(), finding.what.clone()]);
            rows.extend(
                finding.fix.as_ref().map(|fix| vec![String::new(), String::new(), format!("fix: {fix}")]),
            );
        }
        for (tool, version) in &tools {
            let said =
                version.clone().unwrap_or_else(|| "not on this machine (make deploy brings it)".to_owned());
            rows.push(vec![String::new(), (*tool).to_owned(), said]);
        }
        let text = format!("{}{errors} errors, {warnings} warnings", columns(&rows));
        Ok(Report::new(document, text).failed(errors > 0))
    }
}
