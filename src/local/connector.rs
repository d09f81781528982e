//! In-process HTTP: an SDK client whose requests are answered by a function in the same process.
//!
//! No socket is involved, so `tokio::time::pause` does not skip ahead while an answer is on its way.

use std::fmt;
use std::future::Future;

use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture, SharedHttpConnector};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::body::SdkBody;
use axum::body::Bytes;

use crate::local::server::{Answer, ConnectionCut};

/// A connector that answers every request with `answer`.
///
/// It serves an AWS client through [`crate::function::http_client`] and whoever takes an SDK connector directly.
/// Dropping the call drops the answer with it, as closing a connection would.
pub fn connector<H, F>(answer: H) -> SharedHttpConnector
where
    H: Fn(http::Request<Bytes>) -> F + Send + Sync + 'static,
    F: Future<Output = Answer> + Send + 'static,
{
    SharedHttpConnector::new(InProcess(answer))
}

struct InProcess<H>(H);

impl<H> fmt::Debug for InProcess<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("InProcess")
    }
}

impl<H, F> HttpConnector for InProcess<H>
where
    H: Fn(http::Request<Bytes>) -> F + Send + Sync + 'static,
    F: Future<Output = Answer> + Send + 'static,
{
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        match to_http(request) {
            Ok(request) => {
                let answer = (self.0)(request);
                HttpConnectorFuture::new(async move { from_answer(answer.await) })
            }
            Err(error) => HttpConnectorFuture::ready(Err(error)),
        }
    }
}

/// The request as the `http` crate has it, body in memory.
pub(crate) fn to_http(request: HttpRequest) -> Result<http::Request<Bytes>, ConnectorError> {
    let (parts, body) =
        request.try_into_http1x().map_err(|error| ConnectorError::user(error.into()))?.into_parts();
    let body = body.bytes().ok_or_else(|| ConnectorError::user("a streamed request body".into()))?;
    Ok(http::Request::from_parts(parts, Bytes::copy_from_slice(body)))
}

/// The answer as the SDK has it; a cut connection is an I/O error, which the SDK retries.
pub(crate) fn from_answer(answer: Answer) -> Result<HttpResponse, ConnectorError> {
    let response = answer.map_err(|ConnectionCut| ConnectorError::io(ConnectionCut.into()))?;
    HttpResponse::try_from(response.map(SdkBody::from))
        .map_err(|error| ConnectorError::other(error.into(), None))
}
