//! The local stack: everything AWS and the payment provider would be, on this machine and without Docker.
//!
//! | module | what it stands for |
//! |---|---|
//! | [`aws`] | the two AWS endpoints the function talks to, from [`dynamodb`] and [`sqs`] |
//! | [`payment_provider`] | the API of a payment provider |
//! | [`function_host`] | Lambda itself: the function's processes, each with a [`runtime_api`] |
//! | [`event_source`] | Lambda's poller between a queue and the function |
//! | [`receiver`] | the warehouse and whoever writes to customers |
//! | [`ledger`] | the auditor: whether what all of them did adds up |
//! | [`simulation`] | the function under faults at random, in virtual time, repeatable by its seed |
//! | [`stack`] | all of it, with the [`resources`] the function needs |
//!
//! The servers are plain functions from a request to an answer. They are reached in one of two ways:
//! [`connector`] hands them to an AWS SDK client in the same process (no sockets, so a paused clock works),
//! and [`server`] puts them behind a loopback port. [`faults`] sits between an SDK client and a connector.

pub mod aws;
pub mod connector;
pub mod dynamodb;
pub mod event_source;
pub mod faults;
pub mod function_host;
pub mod ledger;
pub mod payment_provider;
pub mod receiver;
pub mod resources;
pub mod runtime_api;
pub mod server;
pub mod simulation;
pub mod sqs;
pub mod stack;
