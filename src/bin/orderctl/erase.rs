//! `orderctl erase`: the customer's data off a parked order.

use anyhow::Result;
use clap::Args;
use order_processor::order::OrderId;
use order_processor::protocol;

use crate::change::Change;
use crate::report::Report;
use crate::target::Target;

/// Take the order message, and with it the customer's data, off a parked order
///
/// What is lost: nobody can carry the order on, or turn it back, from the record alone. It can still be marked and
/// compensated on the record; workers act on that only once the same message, as its producer has it, is given to
/// `parked resume --message`.
#[derive(Debug, Args)]
pub struct Erase {
    /// Which order
    #[arg(value_name = "ORDER")]
    order_id: OrderId,
    #[command(flatten)]
    change: Change,
}

const LOST: &str = "the order message is gone from the record; to go on or to turn back, a worker needs it once more, \
    from its producer: parked resume --message FILE. The record keeps order ID, fingerprint, payment and shipment IDs";

impl Erase {
    /// Erases it.
    pub async fn run(&self, target: &Target) -> Result<Report> {
        let decide = |seen: &_, _: &str, now| protocol::erase(seen, now);
        let changed = self.change.make(target, &self.order_id, "erase", decide).await?;
        Ok(changed.report("erase", self.change.dry_run, LOST))
    }
}
