//! What a dead-lettered message would come to if it were delivered now, as the function decides it.

use std::time::Duration;

use order_processor::clock::{Clock, UnixMillis};
use order_processor::config::name;
use order_processor::delivery::{self, Disposition};
use order_processor::order::Order;
use order_processor::protocol::{Existing, on_existing};
use order_processor::record::{Owner, Record};
use order_processor::services;
use serde_json::Value;

use super::letter::Letter;
use crate::environment::variable;
use crate::lambda::Lambda;
use crate::table::Table;
use crate::target::Target;

/// What a message would come to now, given the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Prospect {
    Invalid,
    AnsweredAlready,
    Parked,
    InProgress(UnixMillis),
    UnknownVersion(u32),
    Resume {
        step: String,
    },
    Conflict,
    Stale,
    Future,
    Run,
    /// The record cannot be read.
    Unknown(String),
}

impl Prospect {
    /// What it means for `order` that `found` is there, as the function decides it.
    pub fn of(order: Option<&Order>, found: Option<Record>, max_age: Duration, now: UnixMillis) -> Prospect {
        let Some(order) = order else { return Prospect::Invalid };
        let (nobody, workflow) = (Owner(String::new()), services::workflow());
        match found.map(|found| on_existing(&workflow, found, &nobody, &order.fingerprint(), now)) {
            Some(Existing::Conflict { .. }) => Prospect::Conflict,
            Some(Existing::Finished { .. }) => Prospect::AnsweredAlready,
            Some(Existing::Parked) => Prospect::Parked,
            Some(Existing::Busy { until }) => Prospect::InProgress(until),
            Some(Existing::UnknownVersion(version)) => Prospect::UnknownVersion(version),
            Some(Existing::Mine(record) | Existing::Lapsed(record)) => Prospect::Resume { step: record.step },
            None => match delivery::out_of_window(order, max_age, now) {
                Some(Disposition::Stale) => Prospect::Stale,
                Some(_) => Prospect::Future,
                None => Prospect::Run,
            },
        }
    }

    /// For programs.
    pub fn name(&self) -> &'static str {
        match self {
            Prospect::Invalid => "invalid",
            Prospect::AnsweredAlready => "answered_already",
            Prospect::Parked => "parked",
            Prospect::InProgress(_) => "in_progress",
            Prospect::UnknownVersion(_) => "unknown_version",
            Prospect::Resume { .. } => "resume",
            Prospect::Conflict => "conflict",
            Prospect::Stale => "stale",
            Prospect::Future => "future",
            Prospect::Run => "run",
            Prospect::Unknown(_) => "unknown",
        }
    }

    /// What more there is to say.
    pub fn detail(&self) -> Option<String> {
        match self {
            Prospect::InProgress(until) => Some(until.to_rfc3339()),
            Prospect::UnknownVersion(version) => Some(version.to_string()),
            Prospect::Resume { step } => Some(step.clone()),
            Prospect::Unknown(why) => Some(why.clone()),
            _ => None,
        }
    }

    /// For people.
    pub fn sentence(&self) -> String {
        match self {
            Prospect::Invalid => "come back: it is no valid order".to_owned(),
            Prospect::AnsweredAlready => "get the stored answer: nothing runs".to_owned(),
            Prospect::Parked => {
                "be deleted: the order is parked, and the record keeps its message".to_owned()
            }
            Prospect::InProgress(until) => {
                format!("wait: a worker owns the order until {}", until.to_rfc3339())
            }
            Prospect::UnknownVersion(version) => format!("wait: the order is of workflow version {version}"),
            Prospect::Resume { step } => format!("go on at {step}"),
            Prospect::Conflict => "come back: another order has this ID".to_owned(),
            Prospect::Stale => "come back: it was placed too long ago".to_owned(),
            Prospect::Future => "come back: it is placed in the future".to_owned(),
            Prospect::Run => "run as a new order".to_owned(),
            Prospect::Unknown(why) => format!("do nobody knows what: {why}"),
        }
    }

    /// Whether the order is answered, so that the message is not needed any more.
    pub fn is_answered(&self) -> bool {
        *self == Prospect::AnsweredAlready
    }

    /// Whether the message would only come back.
    pub fn is_hopeless(&self) -> bool {
        matches!(self, Prospect::Invalid | Prospect::Conflict | Prospect::Stale | Prospect::Future)
    }
}

/// Says what messages would come to.
pub struct Judge {
    table: Table,
    max_age: Duration,
}

/// The function's own default.
const MAX_ORDER_AGE_DAYS: u64 = 21;

impl Judge {
    /// By the table of `target`, and the age that its function is told, else this program.
    pub async fn new(target: &Target) -> Judge {
        let function = match target.function() {
            Some(name) => Lambda(target.sdk()).function(name).await.unwrap_or_default(),
            None => Value::Null,
        };
        let told = function["Environment"]["Variables"][name::MAX_ORDER_AGE_DAYS].as_str().map(str::to_owned);
        let days = told.or_else(|| variable(name::MAX_ORDER_AGE_DAYS)).and_then(|days| days.parse().ok());
        let max_age = Duration::from_secs(days.unwrap_or(MAX_ORDER_AGE_DAYS) * 86_400);
        Judge { table: Table::of(target), max_age }
    }

    /// By one consistent read.
    pub async fn prospect(&self, letter: &Letter) -> Prospect {
        let found = match &letter.order {
            Some(order) => self.table.order(&order.id).await,
            None => Ok(None),
        };
        match found {
            Ok(found) => Prospect::of(letter.order.as_ref(), found, self.max_age, Clock::system().now()),
            Err(error) => Prospect::Unknown(format!("{error:#}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use order_processor::protocol::{self, Claimant};
    use order_processor::record::Status;
    use serde_json::json;

    use super::*;

    const AGE: Duration = Duration::from_secs(86_400);

    fn order(placed_at: &str) -> Order {
        let body = json!({
            "order_id": "ord-1", "customer_id": "cus-1", "placed_at": placed_at, "currency": "USD",
            "items": [{ "sku": "mug", "quantity": 1, "unit_price": 1 }], "payment_method": "pm_card_visa",
        });
        Order::parse(&body.to_string()).unwrap()
    }

    #[test]
    fn a_message_without_a_record_runs_within_its_window_and_not_a_millisecond_beyond() {
        let order = order("2026-11-24T01:00:00Z");
        let placed = order.placed_at;
        let of = |now| Prospect::of(Some(&order), None, AGE, now);
        assert_eq!(of(placed + AGE), Prospect::Run);
        assert_eq!(of(placed + AGE + Duration::from_millis(1)), Prospect::Stale);
        let early = UnixMillis(placed.0 - 3_600_000);
        assert_eq!(of(early), Prospect::Run);
        assert_eq!(of(UnixMillis(early.0 - 1)), Prospect::Future);
        assert_eq!(Prospect::of(None, None, AGE, placed), Prospect::Invalid);
    }

    #[test]
    fn a_record_decides_whatever_the_age() {
        let order = order("2020-01-01T00:00:00Z");
        let (now, until) = (UnixMillis(1_795_482_001_000), UnixMillis(1_795_482_001_001));
        let claimant = Claimant { owner: Owner("a worker".into()), lease_until: until };
        let record = protocol::claim(&services::workflow(), &order, &claimant, UnixMillis(0)).after;
        let of = |record: Record, now| Prospect::of(Some(&order), Some(record), AGE, now);
        assert_eq!(of(record.clone(), now), Prospect::InProgress(until));
        assert_eq!(of(record.clone(), until), Prospect::Resume { step: "reserve_inventory".into() });
        assert_eq!(of(Record { status: Status::Parked, ..record.clone() }, now), Prospect::Parked);
        assert_eq!(
            of(Record { status: Status::Completed, ..record.clone() }, now),
            Prospect::AnsweredAlready
        );
        assert_eq!(of(Record { workflow_version: 99, ..record.clone() }, now), Prospect::UnknownVersion(99));
        let other = serde_json::from_value(json!("v1:0")).unwrap();
        assert_eq!(of(Record { fingerprint: other, ..record }, now), Prospect::Conflict);
    }
}
