//! A payment provider with the documented behaviour of Stripe's API, and a ledger to check it against.
//!
//! | request | what it does |
//! |---|---|
//! | `POST /v1/payment_intents` | charges; the token in `payment_method` decides how it ends |
//! | `POST /v1/refunds` | refunds a charge in full; the token decides when and how it is settled |
//! | `GET /v1/payment_intents/search?query=metadata['order_id']:'...'` | finds the payments of an order, as its index shows them |
//! | `GET /v1/payment_intents?created[gte]=..` | the payments made since then, a page at a time |
//! | `GET /v1/payment_intents/{id}` | one payment, as it is |
//! | `POST /v1/payment_intents/{id}/cancel` | gives a payment up that has not succeeded |
//! | `GET /v1/refunds/{id}` | one refund, as it is |
//! | `GET /v1/refunds?payment_intent={id}` | the refunds of a payment |
//! | `GET /_ledger` | the [`Ledger`] as JSON; no key needed, not counted |
//!
//! Idempotency as in <https://docs.stripe.com/api/idempotent_requests>: a key with the same parameters gets the
//! first answer again, a stored 500 included, marked `Idempotent-Replayed: true`; other parameters are a 400;
//! the same key while the first request still runs is a 409; a key is forgotten after 24 hours.

mod api;
mod ledger;
mod refunds;
mod reply;
mod script;

use std::collections::{HashMap, HashSet, VecDeque};
use std::future::{Future, pending};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_smithy_runtime_api::client::http::SharedHttpConnector;
use axum::body::Bytes;
use http::Method;
use tokio::net::TcpListener;
use tokio::time::Instant;

pub use ledger::{Ledger, Payment, PaymentStatus, Refund, RefundStatus};
pub use script::Scripted;

use crate::clock::{Clock, UnixMillis};
use crate::local::connector;
use crate::local::server::{self, Answer, ConnectionCut};
use api::{Call, Execution};
use reply::Reply;

/// How long an idempotency key is remembered. Stripe removes keys "after they're at least 24 hours old".
pub const KEY_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);

/// How long a refund is on its way that is not settled at once. Banks take days; whoever waits here counts seconds.
pub const REFUND_TAKES: Duration = Duration::from_secs(30);

/// The provider. Clones share the ledger.
///
/// Dates, refunds and the lifetime of keys go by the clock it was given; a slow answer takes tokio's time.
#[derive(Clone)]
pub struct PaymentProvider {
    clock: Clock,
    refund_takes: Duration,
    state: Arc<Mutex<State>>,
}

struct State {
    ledger: Ledger,
    stored: HashMap<String, Stored>,
    scripts: HashMap<String, VecDeque<Scripted>>,
    index: Box<Index>,
    revoked: HashSet<String>,
}

/// What a search shows of a payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// What it is.
    AsItIs,
    /// An earlier status.
    As(PaymentStatus),
    /// Nothing: it is not indexed yet.
    Nothing,
}

/// What a search shows of a payment at a moment.
type Index = dyn Fn(&Payment, UnixMillis) -> Shown + Send;

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
        let state = State {
            ledger: Ledger::default(),
            stored: HashMap::new(),
            scripts: HashMap::new(),
            index: Box::new(|_, _| Shown::AsItIs),
            revoked: HashSet::new(),
        };
        PaymentProvider { clock, refund_takes: REFUND_TAKES, state: Arc::new(Mutex::new(state)) }
    }

    /// The same, but a payment shows up in a search only after `lag`; Stripe says "under a minute" normally.
    pub fn with_search_lag(self, lag: Duration) -> Self {
        self.search_shows(move |payment, now| match now.since(payment.created) < lag {
            true => Shown::Nothing,
            false => Shown::AsItIs,
        });
        self
    }

    /// The same, but a refund that is not settled at once takes this long.
    pub fn with_refunds_taking(self, refund_takes: Duration) -> Self {
        PaymentProvider { refund_takes, ..self }
    }

    /// From now on a search shows of each payment what `index` says. Stripe's may show any earlier status.
    pub fn search_shows(&self, index: impl Fn(&Payment, UnixMillis) -> Shown + Send + 'static) {
        self.state().index = Box::new(index);
    }

    /// From now on this API key is not accepted.
    pub fn revoke(&self, api_key: &str) {
        self.state().revoked.insert(api_key.to_owned());
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

    /// Lets the next request about `subject` end as scripted: an idempotency key, an order's ID, the ID of a payment or
    /// refund that the path names, `search` for a search, `refunds` for a list of them.
    /// Several scripts for one subject are used up in order.
    pub fn answer_next(&self, subject: &str, script: Scripted) {
        self.state().scripts.entry(subject.to_owned()).or_default().push_back(script);
    }

    /// No request ends as scripted any more. What was stored under keys stays.
    pub fn forget_scripts(&self) {
        self.state().scripts.clear();
    }

    /// Gives every payment of an order another status, as if it had changed at the provider.
    pub fn set_status(&self, order_id: &str, status: PaymentStatus) {
        self.state().ledger.set_status(order_id, status);
    }

    /// A copy of the books as they are now.
    pub fn ledger(&self) -> Ledger {
        self.settled().ledger.clone()
    }

    /// Refunds an order's charge at the provider's own desk, under no key, and settled at once: what a person does whose
    /// refund has failed.
    pub fn refund_by_hand(&self, payment_id: &str) -> Option<String> {
        let mut state = self.settled();
        let payment = state.ledger.payment(payment_id)?.clone();
        let refund = Refund {
            refund_id: format!("re_{:024}", state.ledger.refunds.len() + 1),
            payment_id: payment.payment_id,
            order_id: payment.order_id,
            idempotency_key: None,
            amount: payment.amount,
            created: self.clock.now(),
            status: RefundStatus::Succeeded,
            settles: None,
        };
        state.ledger.refunds.push(refund.clone());
        Some(refund.refund_id)
    }

    fn decide(&self, request: &http::Request<Bytes>) -> Ending {
        let call = Call::read(request);
        let mut state = self.settled();
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
        match &call.api_key {
            None => return Ending::Reply(Reply::unauthorized()),
            Some(key) if state.revoked.contains(key) => return Ending::Reply(Reply::expired()),
            Some(_) => {}
        }
        let (now, later) = (self.clock.now(), self.refund_takes);
        match (&call.method, call.path.as_str(), call.resource()) {
            (&Method::POST, "/v1/payment_intents", _) => {
                state.once(call, now, |ledger| api::charge(ledger, call, now))
            }
            (&Method::POST, "/v1/refunds", _) => {
                state.once(call, now, |ledger| refunds::refund(ledger, call, now, later))
            }
            (&Method::POST, path, Some((id, "cancel"))) if path.starts_with("/v1/payment_intents/") => {
                state.once(call, now, |ledger| api::cancel(ledger, id))
            }
            (&Method::GET, _, _) => Ending::Reply(self.read(state, call)),
            (method, path, _) => Ending::Reply(Reply::not_found(method, path)),
        }
    }

    fn read(&self, state: &State, call: &Call) -> Reply {
        let ledger = &state.ledger;
        match (call.path.as_str(), call.resource()) {
            ("/v1/payment_intents/search", _) => api::search(ledger, call, self.clock.now(), &state.index),
            ("/v1/payment_intents", _) => api::list(ledger, call),
            ("/v1/refunds", _) => refunds::list(ledger, call),
            (path, Some((id, ""))) if path.starts_with("/v1/payment_intents/") => api::retrieve(ledger, id),
            (path, Some((id, ""))) if path.starts_with("/v1/refunds/") => refunds::retrieve(ledger, id),
            (path, _) => Reply::not_found(&Method::GET, path),
        }
    }

    /// The books as they are now.
    fn settled(&self) -> MutexGuard<'_, State> {
        let mut state = self.state();
        state.ledger.settle(self.clock.now());
        state
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn next_script(&mut self, call: &Call) -> Option<Scripted> {
        call.subjects().find_map(|subject| self.scripts.get_mut(subject)?.pop_front())
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
