//! Everything that is tested from outside the library, as one binary.

#![cfg(feature = "local")]

mod contract;
mod local_aws;
mod local_faults;
mod local_payment_provider;
mod local_world;
mod store;
mod stripe;
mod world;
