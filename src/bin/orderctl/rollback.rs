//! `orderctl rollback`: the alias that is invoked back to the version before, which takes effect at once.

mod decision;

use anyhow::{Context, Result};
use clap::Args;
use serde_json::{Value, json};

use crate::deployment;
use crate::failure;
use crate::lambda::{Invoked, Lambda, number};
use crate::report::Report;
use crate::target::Target;
use decision::{Decision, Seen, decide};

/// Move the function's alias back to the version before, and take a canary's weights away. For deployed stacks
///
/// The version before is the one that a canary runs beside; without a canary it is the published version with the next
/// smaller number, whatever it was worth. It keeps the variables, memory and timeout that it was published with; `orderctl doctor` holds them
/// against the queues as they are.
#[derive(Debug, Args)]
pub struct Rollback {
    /// The version to go to [default: the version before]
    #[arg(long, value_name = "VERSION", value_parser = clap::value_parser!(u64).range(1..))]
    to: Option<u64>,
    /// Also while a deployment is in progress, which may move the alias again
    #[arg(long)]
    even_in_deployment: bool,
    /// Say what would happen, and change nothing
    #[arg(long)]
    dry_run: bool,
}

impl Rollback {
    /// Reads, decides, and writes on the condition that nobody has changed the alias in between.
    pub async fn run(&self, target: &Target) -> Result<Report> {
        let lambda = Lambda(target.sdk());
        let (invoked, seen) = self.look(target, &lambda).await?;
        let alias = invoked.alias().unwrap_or_default();
        let decision = decide(&seen, self.to)?;
        if decision.changes && !self.dry_run {
            lambda.point(&invoked.function, alias, decision.to, &seen.revision).await?;
        }
        Ok(self.report(&invoked, &seen, &decision))
    }

    async fn look(&self, target: &Target, lambda: &Lambda<'_>) -> Result<(Invoked, Seen)> {
        let missing = "only a deployed stack can be rolled back\nname it: --stack NAME";
        let mapping = lambda.mapping(target.mapping_id().context(missing)?).await?;
        let invoked = Invoked::of(&mapping)?;
        let alias = invoked.alias().ok_or_else(|| {
            failure::usage(
                "the mapping invokes no alias, so there is none to move\ndeploy what worked before",
            )
        })?;
        let deploying =
            async { deployment::in_progress(target, &deployment::resources(target).await?).await };
        let deploying = deploying.await;
        let deploying = deploying.unwrap_or_else(|error| {
            vec![format!("whether a deployment is in progress is not known: {error:#}").replace('\n', "; ")]
        });
        let versions = lambda.versions(&invoked.function).await?;
        let versions = versions.iter().filter_map(|one| number(&one["Version"])).collect();
        // Read last: what is decided by it is written under its revision.
        let alias = lambda.alias(&invoked.function, alias).await?;
        let seen = Seen::new(&alias, versions, deploying, self.even_in_deployment)?;
        Ok((invoked, seen))
    }

    fn report(&self, invoked: &Invoked, seen: &Seen, decision: &Decision) -> Report {
        let alias = invoked.alias().unwrap_or_default();
        let document = json!({
            "function": invoked.function,
            "alias": alias,
            "from": seen.version,
            "weights": Value::Object(seen.weights.iter().map(|(of, share)| (of.to_string(), json!(share))).collect()),
            "to": decision.to,
            "changed": decision.changes && !self.dry_run,
            "dry_run": self.dry_run,
            "deploying": seen.deploying,
        });
        let what = match (decision.changes, self.dry_run) {
            (false, _) => format!("{alias} is version {} alone already", decision.to),
            (true, true) => format!("{alias} would be version {} alone", decision.to),
            (true, false) => format!("{alias} is version {} alone", decision.to),
        };
        let text = format!("{what}\nwas {}", seen.words());
        if !decision.changes {
            return Report::new(document, text);
        }
        let follows = follows(seen).join("\n- ");
        Report::new(document, format!("{text}\nwhat must follow:\n- {follows}")).and_next("orderctl doctor")
    }
}

/// What the alias's move leaves to people.
fn follows(seen: &Seen) -> Vec<String> {
    let mut steps: Vec<String> = seen
        .deploying
        .iter()
        .map(|deploying| format!("{deploying}: stop it, or it moves the alias again (aws deploy stop-deployment --deployment-id ID, aws cloudformation cancel-update-stack)"))
        .collect();
    steps.push("deploy what is mended: the stack still names the version that was left, so deploying the same again changes nothing, and only a new version moves the alias on".to_owned());
    steps.push("orders that the newer version began by a workflow of its own wait until such a version is back, within the time that the queue keeps their messages".to_owned());
    steps
}
