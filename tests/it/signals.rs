//! What the function tells of itself: metrics, traces and logs, and that nothing of a customer is in them.

mod metrics;
mod secrets;
mod traces;
