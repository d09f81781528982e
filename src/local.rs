//! The local stack: embedded servers, a payment provider, a Runtime API host and an event source.
