//! Where a parked order stands whose record names no place that a way leads on from.

use anyhow::Result;
use clap::Args;
use order_processor::order::OrderId;
use order_processor::protocol;
use order_processor::record::{Record, Status};
use order_processor::services;
use order_processor::workflow::{Position, Workflow};

use crate::change::Change;
use crate::failure;
use crate::report::Report;
use crate::target::Target;

/// State where an order stands whose record names no step from which it could go on
///
/// `parked show` says where it may be placed. Everything before that step counts as settled as the record says: look at the
/// provider, the warehouse and the stock first.
#[derive(Debug, Args)]
pub struct Place {
    /// Which order
    #[arg(value_name = "ORDER")]
    order_id: OrderId,
    /// The step at which it goes forward, or the undo from which it turns back
    #[arg(value_name = "STEP")]
    step: String,
    /// For the step that ends both ways: the order turns back
    #[arg(long)]
    turn_back: bool,
    #[command(flatten)]
    change: Change,
}

impl Place {
    /// Writes the statement down.
    pub async fn run(&self, target: &Target) -> Result<Report> {
        let (workflow, id) = (services::workflow(), &self.order_id);
        let to = self.position(&workflow)?;
        let decide = |seen: &Record, who: &str, now| protocol::place(&workflow, seen, to, who, now);
        let what = format!("place {}", self.step);
        let changed = self.change.make(target, id, &what, decide).await?;
        let meaning = match to {
            Position::Forward(_) => format!("once resumed, it goes forward at {}", self.step),
            Position::Backward(_) => format!("once resumed, it goes back from {} and is rejected", self.step),
        };
        let report = changed.report(&what, self.change.dry_run, &meaning);
        Ok(report.and_next(format!("orderctl parked resume {id} --why TEXT")))
    }

    fn position(&self, workflow: &Workflow) -> Result<Position> {
        let forward = workflow.position(Status::InProgress, &self.step).ok().filter(|_| !self.turn_back);
        let backward = workflow.position(Status::Compensating, &self.step).ok();
        forward.or(backward).ok_or_else(|| {
            let mut names: Vec<_> = workflow.positions().map(|position| workflow.due(position)).collect();
            names.dedup();
            failure::usage(format!("there is no step {:?}; accepted are {}", self.step, names.join(", ")))
        })
    }
}

/// The commands that place the order, one for each place that the protocol accepts.
pub fn possible(workflow: &Workflow, seen: &Record) -> Vec<String> {
    let accepted = |to: &Position| protocol::place(workflow, seen, *to, "", seen.updated_at_ms).is_ok();
    let command = |to: Position| {
        let step = workflow.due(to);
        let both_ways =
            matches!(to, Position::Backward(_)) && workflow.position(Status::InProgress, step).is_ok();
        let turn_back = if both_ways { " --turn-back" } else { "" };
        format!(
            "orderctl parked place {} {step}{turn_back} --seen {} --why TEXT",
            seen.order_id(),
            seen.fence.0
        )
    };
    workflow.positions().filter(accepted).map(command).collect()
}
