//! Stripe's public API (<https://docs.stripe.com/api>), over the HTTP client that the AWS SDK brings.

mod reply;

use std::fmt;
use std::time::Duration;

use aws_smithy_runtime_api::client::http::{HttpConnector, SharedHttpConnector};
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::byte_stream::ByteStream;
use http::{Method, Request};

use super::{Charge, PAYMENT_ID, Payment, Refund};
use crate::order::OrderId;
use crate::record::{Outcome, Reason, Refusal};
use crate::services::Ending;
use reply::{Found, Reply};

/// The version of the API whose answers this file reads; without it, the account's own would apply.
const API_VERSION: &str = "2025-03-31.basil";
/// Stripe forgets a key after 24 hours at the earliest ("Idempotent requests"). Ten minutes less, for the time
/// that a request is under way and for clocks that differ.
const KEY_MEMORY: Duration = Duration::from_secs(24 * 3600 - 600);
/// Bodies are a few KiB; one beyond this is not Stripe's.
const MAX_REPLY_BYTES: usize = 1024 * 1024;

/// A secret API key. Never shown.
#[derive(Clone)]
pub struct StripeKey(pub String);

impl fmt::Debug for StripeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StripeKey(..)")
    }
}

/// A client of Stripe.
#[derive(Debug, Clone)]
pub struct Stripe {
    http: SharedHttpConnector,
    base: String,
    key: StripeKey,
}

/// One request to Stripe.
struct Ask<'a> {
    method: Method,
    path: String,
    key: Option<&'a str>,
    form: Vec<(&'a str, String)>,
}

impl Stripe {
    /// Speaks to the API at `base` (`https://api.stripe.com`) with `key`.
    pub fn new(http: SharedHttpConnector, base: &str, key: StripeKey) -> Self {
        Stripe { http, base: base.trim_end_matches('/').to_owned(), key }
    }

    async fn ask(&self, ask: Ask<'_>, timeout: Duration) -> Reply {
        match tokio::time::timeout(timeout, self.send(ask)).await {
            Ok(Ok(reply)) => reply,
            Ok(Err(problem)) => Reply::Later(problem),
            Err(_) => Reply::Later("the payment provider gave no answer in time".to_owned()),
        }
    }

    async fn send(&self, ask: Ask<'_>) -> Result<Reply, String> {
        let form = form_urlencoded::Serializer::new(String::new()).extend_pairs(&ask.form).finish();
        let mut request = Request::builder()
            .method(ask.method)
            .uri(format!("{}{}", self.base, ask.path))
            .header("authorization", format!("Bearer {}", self.key.0))
            .header("stripe-version", API_VERSION);
        if let Some(key) = ask.key {
            request = request
                .header("idempotency-key", key)
                .header("content-type", "application/x-www-form-urlencoded")
                .header("content-length", form.len());
        }
        // The texts of these errors could quote the request, so they are not passed on.
        let request = request.body(SdkBody::from(form)).map_err(|_| "the request could not be built")?;
        let request = request.try_into().map_err(|_| "the request could not be built")?;
        let response = self.http.call(request).await.map_err(|error| format!("no connection: {error}"))?;
        let status = response.status().as_u16();
        let replayed = response.headers().get("idempotent-replayed") == Some("true");
        let body = read_body(response.into_body()).await?;
        Ok(reply::read(status, replayed, &body))
    }

    async fn look_up(&self, charge: &Charge<'_>, timeout: Duration) -> Ending {
        // An order ID has no character that the search language or a query string treats specially.
        let query = form_urlencoded::Serializer::new(String::new())
            .append_pair("query", &format!("metadata['order_id']:'{}'", charge.order_id))
            .finish();
        let path = format!("/v1/payment_intents/search?{query}");
        match self.ask(Ask { method: Method::GET, path, key: None, form: Vec::new() }, timeout).await {
            Reply::List(payments) => match reply::settle(&payments, charge) {
                Found::Paid(id) => Ending::Done(Outcome::of(PAYMENT_ID, id)),
                Found::Declined => declined("the payment was not accepted"),
                Found::Undecided => Ending::Unavailable("the payment is still undecided".to_owned()),
                Found::Nothing => Ending::Unknown("the payment provider finds no payment".to_owned()),
            },
            other => later(other, charge.order_id),
        }
    }
}

impl Payment for Stripe {
    const KEY_MEMORY: Option<Duration> = Some(KEY_MEMORY);

    async fn charge(&self, charge: Charge<'_>, timeout: Duration) -> Ending {
        let started = tokio::time::Instant::now();
        let form = vec![
            ("amount", charge.amount.minor.to_string()),
            ("currency", charge.amount.currency.as_str().to_ascii_lowercase()),
            ("payment_method", charge.method.as_str().to_owned()),
            ("payment_method_types[]", "card".to_owned()),
            ("confirm", "true".to_owned()),
            ("error_on_requires_action", "true".to_owned()),
            ("metadata[order_id]", charge.order_id.to_string()),
        ];
        let path = "/v1/payment_intents".to_owned();
        match self.ask(Ask { method: Method::POST, path, key: Some(charge.key), form }, timeout).await {
            Reply::Object { id, status } if status == "succeeded" => {
                Ending::Done(Outcome::of(PAYMENT_ID, id))
            }
            Reply::Object { status, .. } if reply::is_decline(&status) => declined(&status),
            Reply::Declined(code) => declined(&code),
            // The key will give this answer for ever; what became of the payment, only the payment tells.
            answer @ (Reply::Object { .. } | Reply::SameErrorForEver) => {
                let found = self.look_up(&charge, timeout.saturating_sub(started.elapsed())).await;
                match (answer, found) {
                    // There is a payment, so that a search which finds none only lags behind.
                    (Reply::Object { status, .. }, Ending::Unknown(_)) => {
                        Ending::Unavailable(format!("the payment is {status}"))
                    }
                    (_, found) => found,
                }
            }
            other => later(other, charge.order_id),
        }
    }

    async fn refund(&self, refund: Refund<'_>, timeout: Duration) -> Ending {
        let form = vec![
            ("payment_intent", refund.payment_id.to_owned()),
            ("metadata[order_id]", refund.order_id.to_string()),
        ];
        let path = "/v1/refunds".to_owned();
        match self.ask(Ask { method: Method::POST, path, key: Some(refund.key), form }, timeout).await {
            Reply::Object { status, .. } if matches!(status.as_str(), "failed" | "canceled") => {
                Ending::Unknown(format!("the refund is {status}"))
            }
            Reply::Object { id, .. } => Ending::Done(Outcome::of("refund_id", id)),
            Reply::Error { code, .. } if code == "charge_already_refunded" => {
                Ending::Done(Outcome::nothing())
            }
            Reply::SameErrorForEver => Ending::Unknown("the refund was answered with an error".to_owned()),
            other => later(other, refund.order_id),
        }
    }

    async fn find(&self, charge: Charge<'_>, timeout: Duration) -> Ending {
        self.look_up(&charge, timeout).await
    }
}

async fn read_body(body: SdkBody) -> Result<Vec<u8>, String> {
    let mut stream = ByteStream::new(body);
    let mut bytes = Vec::new();
    while let Some(part) = stream.next().await {
        bytes.extend_from_slice(&part.map_err(|_| "the connection ended before the answer did")?);
        if bytes.len() > MAX_REPLY_BYTES {
            return Err("the answer is too large".to_owned());
        }
    }
    Ok(bytes)
}

fn declined(detail: &str) -> Ending {
    Ending::Refused(Refusal { reason: Reason::PaymentDeclined, detail: detail.to_owned() })
}

/// Whatever is no answer: asked again later, under the same key. An error of ours is never the customer's.
fn later(reply: Reply, order_id: &OrderId) -> Ending {
    Ending::Unavailable(match reply {
        Reply::Later(why) => why,
        Reply::Error { status, code } => {
            tracing::error!(%order_id, status, code, "the payment provider does not accept our request");
            format!("the payment provider does not accept our request: {status} {code}")
        }
        _ => "the payment provider gave an answer that does not fit the question".to_owned(),
    })
}
