//! What a person states about the step that is due, having looked at the provider.

use anyhow::Result;
use clap::Args;
use order_processor::order::OrderId;
use order_processor::protocol::{self, Statement};
use order_processor::record::{Outcome, Record};
use order_processor::services::{self, payment, warehouse};

use crate::change::{Change, Changed};
use crate::failure;
use crate::report::Report;
use crate::target::Target;

/// State that the step that is due took effect, and what came of it
#[derive(Debug, Args)]
pub struct MarkDone {
    /// Which order
    #[arg(value_name = "ORDER")]
    order_id: OrderId,
    /// The step or undo that is due
    #[arg(value_name = "STEP")]
    step: String,
    /// What came of it, as in payment_id=pi_123; may be repeated
    #[arg(long = "outcome", value_name = "NAME=VALUE", value_parser = fact)]
    facts: Vec<(String, String)>,
    #[command(flatten)]
    change: Change,
}

/// State that the step that is due did not take effect: it will be called again, as if for the first time
#[derive(Debug, Args)]
pub struct MarkNotDone {
    /// Which order
    #[arg(value_name = "ORDER")]
    order_id: OrderId,
    /// The step or undo that is due
    #[arg(value_name = "STEP")]
    step: String,
    #[command(flatten)]
    change: Change,
}

/// The fact without which nobody could undo the step, or answer for it.
pub fn expected(step: &str) -> Option<&'static str> {
    match step {
        step if step == payment::STEP.name => Some(payment::PAYMENT_ID),
        step if step == warehouse::STEP.name => Some(SHIPMENT_ID),
        _ => None,
    }
}

const SHIPMENT_ID: &str = "shipment_id";

fn fact(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() && !value.is_empty() => {
            Ok((name.to_owned(), value.to_owned()))
        }
        _ => Err(format!("NAME=VALUE is accepted, as in payment_id=pi_123, {text:?} found")),
    }
}

impl MarkDone {
    /// Writes the statement down.
    pub async fn run(&self, target: &Target) -> Result<Report> {
        let facts = self.facts()?;
        let step = &self.step;
        let statement = |seen: &Record| Statement::Done(as_a_worker_would(seen, step, facts));
        mark(target, &self.order_id, ("mark-done", step), &self.change, statement).await
    }

    /// What the person states, with everything in it that cannot be derived.
    fn facts(&self) -> Result<Outcome> {
        let facts =
            self.facts.iter().fold(Outcome::nothing(), |outcome, (name, value)| outcome.and(name, value));
        match expected(&self.step).filter(|name| facts.text(name).is_none()) {
            Some(name) if name != SHIPMENT_ID => Err(failure::usage(format!(
                "what came of {} must be stated: --outcome {name}=...",
                self.step
            ))),
            _ => Ok(facts),
        }
    }
}

/// A shipment has the name that every worker derives from its key.
fn as_a_worker_would(seen: &Record, step: &str, facts: Outcome) -> Outcome {
    match expected(step).filter(|name| facts.text(name).is_none()) {
        Some(SHIPMENT_ID) => facts.and(SHIPMENT_ID, warehouse::shipment_id(&seen.idempotency_key(step))),
        _ => facts,
    }
}

impl MarkNotDone {
    /// Writes the statement down.
    pub async fn run(&self, target: &Target) -> Result<Report> {
        let what = ("mark-not-done", self.step.as_str());
        mark(target, &self.order_id, what, &self.change, |_| Statement::NotDone).await
    }
}

async fn mark(
    target: &Target,
    id: &OrderId,
    (verb, step): (&str, &str),
    change: &Change,
    statement: impl FnOnce(&Record) -> Statement,
) -> Result<Report> {
    let workflow = services::workflow();
    let decide = |seen: &Record, _: &str, now| protocol::mark(&workflow, seen, step, statement(seen), now);
    let what = format!("{verb} {step}");
    let changed = change.make(target, id, &what, decide).await?;
    let report = changed.report(&what, change.dry_run, &meaning(&changed, step));
    Ok(report
        .and_next(format!("orderctl parked resume {id} --why TEXT"))
        .and_next(format!("orderctl parked compensate {id} --why TEXT")))
}

fn meaning(changed: &Changed, step: &str) -> String {
    match changed.after.outcomes.get(step) {
        Some(_) if changed.after.step != step => {
            format!("once resumed, it goes on at {}", changed.after.step)
        }
        Some(_) => format!("once resumed, it goes on from {step} without calling it"),
        None if changed.after.cancel_requested.is_some() => format!(
            "once resumed, {step} is called under the key {}, and then undone: somebody asked to cancel. \
             parked compensate turns it back without that",
            changed.after.idempotency_key(step)
        ),
        None => {
            let key = changed.after.idempotency_key(step);
            format!("once resumed, {step} is called as if for the first time, under the key {key}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signature::Signature;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        mark: MarkDone,
    }

    fn outcome(arguments: &[&str], generation: Option<u32>) -> Result<Outcome> {
        let line = [&["orderctl", "--why", "seen at the provider", "ord-1"], arguments].concat();
        let line = Line::try_parse_from(line)?;
        let _: &Signature = &line.mark.change.signature;
        let step = line.mark.step.clone();
        let seen: Record = serde_json::from_value(serde_json::json!({
            "pk": "ORDER#ord-1", "status": "PARKED", "fence": 1, "owner": "me", "step": step,
            "fingerprint": "v1:00", "workflow_version": 1, "claimed_at_ms": 1,
        }))?;
        let key_generation = generation.map(|generation| (step.clone(), generation)).into_iter().collect();
        Ok(as_a_worker_would(&Record { key_generation, ..seen }, &step, line.mark.facts()?))
    }

    #[test]
    fn a_charge_needs_its_payment_and_a_shipment_has_the_name_that_every_worker_gives_it() {
        let paid = outcome(&["charge_payment", "--outcome", "payment_id=pi_1"], None).unwrap();
        assert_eq!(paid, Outcome::of("payment_id", "pi_1"));
        let problem = outcome(&["charge_payment", "--outcome", "id=pi_1"], None).unwrap_err().to_string();
        assert!(problem.contains("--outcome payment_id="), "{problem}");
        for (generation, key) in [(None, "ord-1:dispatch_shipment"), (Some(3), "ord-1:dispatch_shipment:3")] {
            let shipped = outcome(&["dispatch_shipment"], generation).unwrap();
            assert_eq!(shipped.text("shipment_id"), Some(warehouse::shipment_id(key).as_str()));
        }
        assert_eq!(outcome(&["notify_customer"], None).unwrap(), Outcome::nothing());
    }

    #[test]
    fn an_outcome_has_a_name_and_a_value() {
        for wrong in ["payment_id", "=pi_1", "payment_id="] {
            let problem = outcome(&["charge_payment", "--outcome", wrong], None).unwrap_err().to_string();
            assert!(problem.contains("NAME=VALUE"), "{problem}");
        }
    }
}
