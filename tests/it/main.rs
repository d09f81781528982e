//! Everything that is tested from outside the library, as one binary.

#![cfg(feature = "local")]

mod binary;
mod contract;
mod cost;
mod deployed;
mod evidence;
mod faults;
mod fuzzing;
mod hangs;
mod layers;
mod local_aws;
mod local_event_source;
mod local_faults;
mod local_function_host;
mod local_payment_provider;
mod local_runtime_api;
mod local_stack;
mod local_world;
mod model;
mod mutants;
mod orderctl;
mod restore;
mod schema;
mod side_by_side;
mod signals;
mod simulation;
mod store;
mod stripe;
mod template;
mod world;
