//! The names of the function's metrics: what it emits, and what alarms and the dashboard of `template.yaml` refer to.

/// The CloudWatch namespace of all of them.
pub const NAMESPACE: &str = "OrderProcessor";

/// The dimensions of every metric, and no others: an order's ID as a dimension would be a metric per order.
pub const DIMENSIONS: [&str; 2] = ["service", "environment"];

/// One metric of the function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metric {
    /// As CloudWatch shows it.
    pub name: &'static str,
    /// What its values count.
    pub unit: Unit,
}

/// CloudWatch's units, as far as they are used here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Things or events.
    Count,
    /// A time, in milliseconds.
    Milliseconds,
}

impl Unit {
    /// As CloudWatch spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Unit::Count => "Count",
            Unit::Milliseconds => "Milliseconds",
        }
    }
}

/// Every metric.
///
/// A *redelivery* is the same message again (our timeouts or throttles), a *duplicate* is another message for the
/// same order (the producer): they have different causes, hence different metrics.
pub const METRICS: [Metric; 26] = [
    count("OrdersReceived"),
    count("OrdersCompleted"),
    count("OrdersRejected"),
    count("Duplicates"),
    count("InProgress"),
    count("Conflicts"),
    count("Invalid"),
    count("Stale"),
    count("Retries"),
    count("Parked"),
    count("Panics"),
    count("Deferred"),
    count("BatchItemFailures"),
    count("Redeliveries"),
    count("LastAttempt"),
    count("LeaseTakeovers"),
    count("LeaseLost"),
    milliseconds("EndToEndLatency"),
    milliseconds("ProcessingLatency"),
    milliseconds("ReserveInventoryLatency"),
    milliseconds("ChargePaymentLatency"),
    milliseconds("DispatchShipmentLatency"),
    milliseconds("NotifyCustomerLatency"),
    milliseconds("RefundPaymentLatency"),
    count("WriteUnits"),
    count("ColdStart"),
];

const fn count(name: &'static str) -> Metric {
    Metric { name, unit: Unit::Count }
}

const fn milliseconds(name: &'static str) -> Metric {
    Metric { name, unit: Unit::Milliseconds }
}
