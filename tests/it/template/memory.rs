//! What an order is remembered by, whatever is deployed one after the other.

use std::time::Duration;

use order_processor::clock::UnixMillis;
use order_processor::delivery::out_of_window;
use order_processor::order::Order;
use order_processor::protocol::{self, Claimant, Ending};
use order_processor::record::{Outcome, Owner, Status};
use order_processor::services::workflow;
use serde_json::Value;

use super::cases::template;
use super::stack::number;
use crate::world::order_json;

const HOUR_MS: i64 = 3_600_000;

fn ends_in_days(template: &Value, parameter: &str) -> [Duration; 2] {
    let parameter = &template["Parameters"][parameter];
    [&parameter["MinValue"], &parameter["MaxValue"]]
        .map(|days| Duration::from_secs(number(days).expect("a bound").unsigned_abs() * 86_400))
}

/// From when on an order may have no record, if it finished at `end` under this retention.
fn forgotten(order: &Order, end: UnixMillis, retention: Duration) -> UnixMillis {
    let workflow = workflow();
    let claimant = Claimant { owner: Owner("a worker".into()), lease_until: end };
    let held = protocol::claim(&workflow, order, &claimant, end).after;
    let ending =
        Ending { status: Status::Completed, result: "{}".into(), retention, placed_at: order.placed_at };
    let record = protocol::finish(&workflow, &held, Outcome::nothing(), &ending, end).after;
    UnixMillis(record.expires_at.expect("a finished record expires").0 * 1000)
}

#[test]
fn an_order_that_finished_under_any_deployment_is_too_old_for_every_later_one_once_it_is_forgotten() {
    let template = template();
    let order = Order::parse(&order_json("ord-1").to_string()).unwrap();
    let placed = i64::try_from(order.placed_at.0).unwrap();
    for retention in ends_in_days(&template, "RetentionDays") {
        for max_age in ends_in_days(&template, "MaxOrderAgeDays") {
            // As soon as it is accepted from a producer whose clock is ahead, when it is placed, and later.
            for end in [placed - HOUR_MS, placed, placed + HOUR_MS] {
                let end = UnixMillis(u64::try_from(end).unwrap());
                let forgotten = forgotten(&order, end, retention);
                let refused = out_of_window(&order, max_age, forgotten);
                assert!(
                    refused.is_some(),
                    "kept for {retention:?}, and new at {max_age:?}, finished at {end:?}"
                );
            }
        }
    }
}
