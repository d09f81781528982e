//! An SQS-triggered AWS Lambda that never runs an order twice.
//!
//! The layers, from the inside out; each imports only those before it:
//!
//! 1. [`clock`] and [`random`], which are passed in; [`trace`] and [`metrics`], what is told; [`order`], [`record`],
//!    [`workflow`], [`answer`], [`protocol`] and [`delivery`], which decide without I/O. Start with [`workflow`], the law
//!    of the steps, and go on to [`protocol`], every write with its condition and the meaning of every refusal, and
//!    [`delivery`], what is done next. [`letter`] says what becomes of what the function gave up.
//! 2. [`store`], [`queue`], [`services`]: DynamoDB, SQS, and what the steps call. The table of steps is
//!    [`services::steps`].
//! 3. [`processor`]: does what [`delivery`] says, from the claim to the answer. [`budget`] is the time it has.
//! 4. [`batch`]: from an SQS event to the records that failed.
//! 5. [`config`], [`function`], [`telemetry`]: how the binary puts it together, and where it tells of itself.
//!
//! `local` is everything around the function, in one process, for tests and for trying it out.

#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod answer;
pub mod batch;
pub mod budget;
pub mod clock;
pub mod config;
pub mod delivery;
pub mod function;
pub mod letter;
#[cfg(feature = "local")]
pub mod local;
pub mod metrics;
pub mod order;
pub mod processor;
pub mod protocol;
pub mod queue;
pub mod random;
pub mod record;
pub mod services;
pub mod store;
pub mod telemetry;
pub mod trace;
pub mod workflow;
