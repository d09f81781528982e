//! What the function tells of itself: metrics, traces and logs, and that nothing of a customer is in them.

mod metrics;
mod secrets;
mod traces;

use order_processor::local::faults::Faults;

/// Whoever charges panics.
fn panic_at_the_charge() -> Faults {
    Faults::planned_by(|passage| {
        assert!(passage.operation != "POST /v1/payment_intents", "on purpose");
        None
    })
}
