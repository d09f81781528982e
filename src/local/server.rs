//! HTTP/1.1 on a loopback port for the servers of the local stack.

use std::future::Future;
use std::io;

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use futures_util::{FutureExt, stream};
use http::StatusCode;
use tokio::net::TcpListener;

/// What a server says to one request: a response, or nothing but a closed connection.
pub type Answer = Result<http::Response<Bytes>, ConnectionCut>;

/// The connection is closed without a response; the client cannot know whether the request was applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the connection was closed before a response arrived")]
pub struct ConnectionCut;

/// Serves `answer` on `listener` until `shutdown` resolves.
///
/// Requests still waiting at shutdown (a long poll, say) get a 503 instead of holding it up.
/// Bind the listener to 127.0.0.1: nothing here checks a signature or a password.
///
/// # Errors
/// Whatever the listener reports.
pub async fn serve<H, F>(
    listener: TcpListener,
    shutdown: impl Future<Output = ()> + Send + 'static,
    answer: H,
) -> io::Result<()>
where
    H: Fn(http::Request<Bytes>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Answer> + Send + 'static,
{
    let shutdown = shutdown.shared();
    let stopping = shutdown.clone();
    let router = Router::new().fallback(move |request: Request| {
        let (answer, stopping) = (answer.clone(), stopping.clone());
        async move {
            tokio::select! {
                response = respond(answer, request) => response,
                () = stopping => StatusCode::SERVICE_UNAVAILABLE.into_response(),
            }
        }
    });
    axum::serve(listener, router).with_graceful_shutdown(shutdown).await
}

/// Larger than any request AWS accepts (DynamoDB: 16 MB), small enough that a stray upload ends.
const MAX_BODY_BYTES: usize = 16 * 1024 * 1024;

async fn respond<H, F>(answer: H, request: Request) -> Response
where
    H: Fn(http::Request<Bytes>) -> F,
    F: Future<Output = Answer>,
{
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, MAX_BODY_BYTES).await else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    match answer(http::Request::from_parts(parts, body)).await {
        Ok(response) => response.map(Body::from),
        Err(cut) => Response::new(cut_off(cut)),
    }
}

/// A body that fails at once makes the HTTP server drop the connection before it has sent the head.
fn cut_off(cut: ConnectionCut) -> Body {
    Body::from_stream(stream::once(async move { Err::<Bytes, _>(cut) }))
}
