//! Answers that a test forces upon the provider.

use std::time::Duration;

use http::{HeaderName, HeaderValue, StatusCode};
use serde_json::Value;
use tokio::time::Instant;

use super::api::{Call, intent};
use super::ledger::PaymentStatus;
use super::reply::Reply;
use super::{Ending, State};
use crate::clock::UnixMillis;

/// How one request shall end, whatever it asks for.
#[derive(Clone, Debug)]
pub struct Scripted {
    pub(super) applied: bool,
    stored: bool,
    kind: Kind,
}

#[derive(Clone, Debug)]
enum Kind {
    Reply(Box<Reply>),
    Cut,
    Hang,
    Payment { status: PaymentStatus, later: Option<(Duration, PaymentStatus)> },
}

impl Scripted {
    /// An answer with this status and the body that usually goes with it; nothing is charged or refunded.
    ///
    /// # Panics
    /// If `status` is not an HTTP status.
    pub fn status(status: u16) -> Self {
        let status = StatusCode::from_u16(status).expect("an HTTP status");
        Scripted::unapplied(Kind::Reply(Box::new(Reply::usual(status))))
    }

    /// The charge is carried out, and its payment comes to this status: the answer says so, and so does every repeat.
    pub fn comes_to(status: PaymentStatus) -> Self {
        Scripted { applied: true, stored: true, kind: Kind::Payment { status, later: None } }
    }

    /// After so long, the payment comes to this status.
    pub fn and_later(mut self, after: Duration, end: PaymentStatus) -> Self {
        if let Kind::Payment { later, .. } = &mut self.kind {
            *later = Some((after, end));
        }
        self
    }

    /// The connection is closed without an answer.
    pub fn cut() -> Self {
        Scripted::unapplied(Kind::Cut)
    }

    /// No answer ever comes.
    pub fn hang() -> Self {
        Scripted::unapplied(Kind::Hang)
    }

    /// Another body for the answer.
    pub fn body(mut self, body: Value) -> Self {
        if let Kind::Reply(reply) = &mut self.kind {
            reply.body = body;
        }
        self
    }

    /// A header more for the answer.
    ///
    /// # Panics
    /// If it is no valid header.
    pub fn header(mut self, name: &'static str, value: &str) -> Self {
        if let Kind::Reply(reply) = &mut self.kind {
            let value = HeaderValue::from_str(value).expect("a header value");
            reply.headers.push((HeaderName::from_static(name), value));
        }
        self
    }

    /// The answer is stored under the request's idempotency key, as Stripe stores a 500: every repeat gets it.
    pub fn stored(self) -> Self {
        Scripted { stored: true, ..self }
    }

    /// The request is carried out all the same; only its own answer is withheld.
    pub fn applied(self) -> Self {
        Scripted { applied: true, ..self }
    }

    fn unapplied(kind: Kind) -> Self {
        Scripted { applied: false, stored: false, kind }
    }

    pub(super) fn ending(self, state: &mut State, call: &Call, now: UnixMillis) -> Ending {
        match self.kind {
            Kind::Reply(reply) => {
                if self.stored {
                    state.keep(call, &reply, now, Instant::now());
                }
                Ending::Reply(*reply)
            }
            Kind::Payment { status, later } => {
                match state.ledger.payment_under(call.idempotency_key.as_deref()) {
                    Some(payment) => {
                        payment.status = status;
                        payment.settles = later.map(|(after, end)| (now + after, end));
                        let reply = Reply::ok(intent(payment));
                        state.keep(call, &reply, now, Instant::now());
                        Ending::Reply(reply)
                    }
                    None => Ending::Reply(Reply::usual(StatusCode::BAD_REQUEST)),
                }
            }
            Kind::Cut => Ending::Cut,
            Kind::Hang => Ending::Hang,
        }
    }
}
