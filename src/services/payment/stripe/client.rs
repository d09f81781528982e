//! One request to Stripe and its answer.

use std::sync::Arc;

use aws_smithy_runtime_api::client::http::{HttpConnector, SharedHttpConnector};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::byte_stream::ByteStream;
use http::{Method, Request};
use tokio::time::Instant;

use super::keys::{Keys, StripeKey};
use super::reply::{self, Reply};

/// The version of the API whose answers are read here; without it, the account's own would apply.
const API_VERSION: &str = "2025-03-31.basil";
/// Bodies are a few KiB; one beyond this is not Stripe's.
const MAX_REPLY_BYTES: usize = 1024 * 1024;

/// The API key is not accepted.
const UNAUTHORIZED: u16 = 401;

/// Sends requests with an API key.
#[derive(Debug, Clone)]
pub(super) struct Client {
    http: SharedHttpConnector,
    base: String,
    keys: Arc<Keys>,
}

/// One request.
pub(super) struct Ask<'a> {
    method: Method,
    path: String,
    /// The idempotency key.
    key: Option<&'a str>,
    form: Vec<(&'a str, String)>,
}

impl<'a> Ask<'a> {
    /// Reads what is there.
    pub(super) fn get(path: String) -> Self {
        Ask { method: Method::GET, path, key: None, form: Vec::new() }
    }

    /// Does something, once per idempotency key.
    pub(super) fn post(path: &str, key: &'a str, form: Vec<(&'a str, String)>) -> Self {
        Ask { method: Method::POST, path: path.to_owned(), key: Some(key), form }
    }

    /// Does something that is the same if it is done twice.
    pub(super) fn post_again(path: String) -> Self {
        Ask { method: Method::POST, path, key: None, form: Vec::new() }
    }
}

impl Client {
    pub(super) fn new(http: SharedHttpConnector, base: &str, keys: Keys) -> Self {
        Client { http, base: base.trim_end_matches('/').to_owned(), keys: Arc::new(keys) }
    }

    /// Asks once, and waits for the answer until then.
    pub(super) async fn ask(&self, ask: Ask<'_>, until: Instant) -> Reply {
        match tokio::time::timeout_at(until, self.send(&ask)).await {
            Ok(Ok(reply)) => reply,
            Ok(Err(problem)) => Reply::Later(problem),
            Err(_) => Reply::Later("the payment provider gave no answer in time".to_owned()),
        }
    }

    /// A request whose API key is refused has done nothing: it is sent again with another one, if there is one by now.
    async fn send(&self, ask: &Ask<'_>) -> Result<Reply, String> {
        let key = self.keys.current();
        match self.send_with(&key, ask).await? {
            Reply::Error { status: UNAUTHORIZED, code } => match self.keys.instead_of(&key).await {
                Some(another) => self.send_with(&another, ask).await,
                None => Ok(Reply::Error { status: UNAUTHORIZED, code }),
            },
            reply => Ok(reply),
        }
    }

    async fn send_with(&self, key: &StripeKey, ask: &Ask<'_>) -> Result<Reply, String> {
        // The texts of these errors could quote the request, so they are not passed on.
        let request = self.request(key, ask).ok_or("the request could not be built")?;
        let response = self.http.call(request).await.map_err(|error| format!("no connection: {error}"))?;
        let status = response.status().as_u16();
        let replayed = response.headers().get("idempotent-replayed") == Some("true");
        let body = read_body(response.into_body()).await?;
        Ok(reply::read(status, replayed, &body))
    }

    fn request(&self, key: &StripeKey, ask: &Ask<'_>) -> Option<HttpRequest> {
        let form = form_urlencoded::Serializer::new(String::new()).extend_pairs(&ask.form).finish();
        let mut request = Request::builder()
            .method(&ask.method)
            .uri(format!("{}{}", self.base, ask.path))
            .header("authorization", format!("Bearer {}", key.0))
            .header("stripe-version", API_VERSION);
        if let Some(key) = ask.key {
            request = request.header("idempotency-key", key);
        }
        if ask.method == Method::POST {
            request = request
                .header("content-type", "application/x-www-form-urlencoded")
                .header("content-length", form.len());
        }
        request.body(SdkBody::from(form)).ok()?.try_into().ok()
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
