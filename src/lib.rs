//! An SQS-triggered AWS Lambda that never runs an order twice.

#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod answer;
pub mod batch;
pub mod budget;
pub mod clock;
pub mod config;
pub mod function;
#[cfg(feature = "local")]
pub mod local;
pub mod order;
pub mod processor;
pub mod protocol;
pub mod queue;
pub mod record;
pub mod services;
pub mod store;
pub mod telemetry;
pub mod workflow;
