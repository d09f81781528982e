//! A payment provider with the documented behaviour of Stripe's API, and a ledger to check it against.
//!
//! | request | what it does |
//! |---|---|
//! | `POST /v1/payment_intents` | charges; the token in `payment_method` decides how it ends |
//! | `POST /v1/refunds` | refunds a charge in full |
//! | `GET /v1/payment_intents/search?query=metadata['order_id']:'...'` | finds the payments of an order |
//! | `GET /v1/payment_intents/{id}` | one payment |
//! | `GET /_ledger` | the [`Ledger`] as JSON; no key needed, not counted |
//!
//! Idempotency as in <https://docs.stripe.com/api/idempotent_requests>: a key with the same parameters gets the
//! first answer again, a stored 500 included, marked `Idempotent-Replayed: true`; other parameters are a 400;
//! the same key while the first request still runs is a 409; a key is forgotten after 24 hours.

mod api;
mod ledger;
mod reply;
mod script;

use std::collections::{HashMap, VecDeque};
use std::future::{Future, pending};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_smithy_runtime_api::client::http::SharedHttpConnector;
use axum::body::Bytes;
use http::Method;
use tokio::net::TcpListener;
use tokio::time::Instant;

pub use ledger::{Ledger, Payment, PaymentStatus, Refund};
pub use script::Scripted;

use crate::clock::{Clock, UnixMillis};
use crate::local::connector;
use crate::local::server::{self, Answer, ConnectionCut};
use api::{Call, Execution};
use reply::Reply;

/// How long an idempotency key is remembered. Stripe removes keys "after they're at least 24 hours old".
pub const KEY_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);

/// The provider. Clones share the ledger.
///
/// Dates and the lifetime of keys go by the clock it was given; a slow answer takes tokio's time.
#[derive(Clone)]
pub struct PaymentProvider {
    clock: Clock,
    search_lag: Duration,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    ledger: Ledger,
    stored: HashMap<String, Stored>,
    scripts: HashMap<String, VecDeque<Scripted>>,
}

/// The first answer to an idempotency key.
struct Stored {
    path: String,
    parameters: Vec<(String, String)>,
    reply: Reply,
    at: UnixMillis,
    /// Until then the first request is still being worked on.
    answered: Instant,
}

/// How one request ends.
enum Ending {
    Reply(Reply),
    ReplyAt(Reply, Instant),
    Cut,
    Hang,
}

impl PaymentProvider {
    /// A provider with an empty ledger whose search shows a payment at once.
    pub fn new(clock: Clock) -> Self {
        PaymentProvider { clock, search_lag: Duration::ZERO, state: Arc::default() }
    }

    /// The same, but a payment shows up in a search only after `lag`; Stripe says "under a minute" normally.
    pub fn with_search_lag(self, lag: Duration) -> Self {
        PaymentProvider { search_lag: lag, ..self }
    }

    /// Answers one request. What it does is done when this is first polled, even if the answer takes longer:
    /// a client that gives up has changed nothing about it.
    pub async fn answer(&self, request: http::Request<Bytes>) -> Answer {
        match self.decide(&request) {
            Ending::Reply(reply) => Ok(reply.into_response()),
            Ending::ReplyAt(reply, moment) => {
                tokio::time::sleep_until(moment).await;
                Ok(reply.into_response())
            }
            Ending::Cut => Err(ConnectionCut),
            Ending::Hang => pending().await,
        }
    }

    /// A connector for a client of this process.
    pub fn connector(&self) -> SharedHttpConnector {
        let provider = self.clone();
        connector::connector(move |request| {
            let provider = provider.clone();
            async move { provider.answer(request).await }
        })
    }

    /// Serves on `listener` until `shutdown` resolves.
    ///
    /// # Errors
    /// Whatever the listener reports.
    pub async fn serve(
        self,
        listener: TcpListener,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> io::Result<()> {
        server::serve(listener, shutdown, move |request| {
            let provider = self.clone();
            async move { provider.answer(request).await }
        })
        .await
    }

    /// Lets the next request about `subject`, an idempotency key or an order ID, end as scripted.
    /// Several scripts for one subject are used up in order.
    pub fn answer_next(&self, subject: &str, script: Scripted) {
        self.state().scripts.entry(subject.to_owned()).or_default().push_back(script);
    }

    /// Gives every payment of an order another status, as if it had changed at the provider.
    pub fn set_status(&self, order_id: &str, status: PaymentStatus) {
        self.state().ledger.set_status(order_id, status);
    }

    /// A copy of the books as they are now.
    pub fn ledger(&self) -> Ledger {
        self.state().ledger.clone()
    }

    fn decide(&self, request: &http::Request<Bytes>) -> Ending {
        let call = Call::read(request);
        let mut state = self.state();
        if call.path == "/_ledger" {
            return Ending::Reply(Reply::ok(serde_json::to_value(&state.ledger).unwrap_or_default()));
        }
        if let Some(key) = &call.idempotency_key {
            *state.ledger.calls.entry(key.clone()).or_default() += 1;
        }
        match state.next_script(&call) {
            None => self.process(&mut state, &call),
            Some(script) => {
                if script.applied {
                    self.process(&mut state, &call);
                }
                script.ending(&mut state, &call, self.clock.now())
            }
        }
    }

    fn process(&self, state: &mut State, call: &Call) -> Ending {
        if !call.authorized {
            return Ending::Reply(Reply::unauthorized());
        }
        let now = self.clock.now();
        match (&call.method, call.path.as_str()) {
            (&Method::POST, "/v1/payment_intents") => {
                state.once(call, now, |ledger| api::charge(ledger, call, now))
            }
            (&Method::POST, "/v1/refunds") => state.once(call, now, |ledger| api::refund(ledger, call, now)),
            (&Method::GET, "/v1/payment_intents/search") => {
                Ending::Reply(api::search(&state.ledger, call, now, self.search_lag))
            }
            (&Method::GET, path) => Ending::Reply(api::retrieve(&state.ledger, path)),
            (method, path) => Ending::Reply(Reply::not_found(method, path)),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn next_script(&mut self, call: &Call) -> Option<Scripted> {
        let subjects = [&call.idempotency_key, &call.order_id];
        subjects.into_iter().flatten().find_map(|subject| self.scripts.get_mut(subject)?.pop_front())
    }

    /// Runs `execute` unless the call's idempotency key has an answer already.
    fn once(
        &mut self,
        call: &Call,
        now: UnixMillis,
        execute: impl FnOnce(&mut Ledger) -> Execution,
    ) -> Ending {
        self.stored.retain(|_, stored| now.since(stored.at) < KEY_LIFETIME);
        if let Some(key) = &call.idempotency_key
            && let Some(stored) = self.stored.get(key)
        {
            return Ending::Reply(stored.repeat(call, key));
        }
        let Execution { reply, kept, takes } = execute(&mut self.ledger);
        let answered = Instant::now() + takes;
        if kept {
            self.keep(call, &reply, now, answered);
        }
        if takes.is_zero() { Ending::Reply(reply) } else { Ending::ReplyAt(reply, answered) }
    }

    fn keep(&mut self, call: &Call, reply: &Reply, at: UnixMillis, answered: Instant) {
        if let Some(key) = &call.idempotency_key {
            let (path, parameters) = (call.path.clone(), call.parameters.clone());
            self.stored.insert(key.clone(), Stored { path, parameters, reply: reply.clone(), at, answered });
        }
    }
}

impl Stored {
    fn repeat(&self, call: &Call, key: &str) -> Reply {
        if self.path != call.path || self.parameters != call.parameters {
            Reply::key_reused(key)
        } else if Instant::now() < self.answered {
            Reply::key_in_use(key)
        } else {
            self.reply.clone().with_header("idempotent-replayed", "true")
        }
    }
}
