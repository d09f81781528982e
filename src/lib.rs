//! An SQS-triggered AWS Lambda that never runs an order twice.

#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod clock;
#[cfg(feature = "local")]
pub mod local;
