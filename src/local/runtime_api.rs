//! The HTTP API through which Lambda gives a function its events, for one process.
//!
//! <https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html>, and as much of the extensions API
//! as a runtime needs to register for a graceful shutdown that never comes.

use std::future::pending;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex as BlockingMutex, PoisonError};

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::response::IntoResponse;
use axum::routing::{get, post};
use axum::{Json, Router};
use http::StatusCode;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinHandle;

use crate::clock::UnixMillis;
use crate::local::aws::{ACCOUNT_ID, REGION};

/// The name the function goes by.
pub const FUNCTION_NAME: &str = "order-processor";

/// A Runtime API on a loopback port of its own, so that it is known which process speaks. Ends when dropped.
pub struct RuntimeApi {
    address: SocketAddr,
    work: mpsc::Sender<Work>,
    said: mpsc::UnboundedReceiver<Said>,
    server: JoinHandle<()>,
}

/// How an invocation ended, from the function's own mouth: its response, or the error it reported.
pub type Outcome = Result<Bytes, Bytes>;

struct Work {
    request_id: String,
    deadline: UnixMillis,
    event: Bytes,
}

enum Said {
    Next,
    Done { request_id: String, outcome: Outcome },
    InitError(Bytes),
}

/// What the routes share.
struct Desk {
    work: Mutex<mpsc::Receiver<Work>>,
    said: mpsc::UnboundedSender<Said>,
    running: BlockingMutex<Option<String>>,
}

impl RuntimeApi {
    /// Binds a port and serves it.
    ///
    /// # Errors
    /// If no loopback port can be bound.
    pub async fn start() -> io::Result<RuntimeApi> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        // One piece of work at a time: whoever sends it waits for the outcome first.
        let (work, waiting) = mpsc::channel(1);
        let (says, said) = mpsc::unbounded_channel();
        let desk = Desk { work: Mutex::new(waiting), said: says, running: BlockingMutex::default() };
        let router = routes(Arc::new(desk));
        let server = tokio::spawn(async move {
            axum::serve(listener, router).await.ok();
        });
        Ok(RuntimeApi { address, work, said, server })
    }

    /// What goes into `AWS_LAMBDA_RUNTIME_API`.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Resolves when the function first asks for an event.
    ///
    /// # Errors
    /// What the function said if it reports that it could not start.
    pub async fn initialized(&mut self) -> Result<(), Bytes> {
        loop {
            match self.said.recv().await {
                Some(Said::Next) => return Ok(()),
                Some(Said::InitError(error)) => return Err(error),
                Some(Said::Done { .. }) => {}
                None => pending().await,
            }
        }
    }

    /// Gives the function an event and waits for what it makes of it, for as long as it takes.
    ///
    /// Dropping this leaves the function with the event; the process must be ended before another one.
    pub async fn run(&mut self, event: Bytes, deadline: UnixMillis) -> Outcome {
        let work = Work { request_id: request_id(), deadline, event };
        let expected = work.request_id.clone();
        if self.work.send(work).await.is_err() {
            return pending().await;
        }
        self.finished(&expected).await
    }

    /// Waits until the function has finished whatever it is doing.
    pub async fn finished_anything(&mut self) {
        while !matches!(self.said.recv().await, Some(Said::Done { .. }) | None) {}
    }

    async fn finished(&mut self, expected: &str) -> Outcome {
        loop {
            match self.said.recv().await {
                Some(Said::Done { request_id, outcome }) if request_id == expected => return outcome,
                Some(_) => {}
                None => return pending().await,
            }
        }
    }
}

impl Drop for RuntimeApi {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// Lambda's limit for a synchronous response: 6 MB.
const MAX_RESPONSE_BYTES: usize = 6 * 1024 * 1024;

fn routes(desk: Arc<Desk>) -> Router {
    Router::new()
        .route("/2018-06-01/runtime/invocation/next", get(next))
        .route("/2018-06-01/runtime/invocation/{request_id}/response", post(response))
        .route("/2018-06-01/runtime/invocation/{request_id}/error", post(error))
        .route("/2018-06-01/runtime/init/error", post(init_error))
        .route("/2020-01-01/extension/register", post(register))
        .route("/2020-01-01/extension/event/next", get(no_event))
        .layer(DefaultBodyLimit::max(MAX_RESPONSE_BYTES))
        .with_state(desk)
}

async fn next(State(desk): State<Arc<Desk>>) -> impl IntoResponse {
    desk.said.send(Said::Next).ok();
    let work = desk.work.lock().await.recv().await;
    let Some(Work { request_id, deadline, event }) = work else {
        return Err(StatusCode::GONE);
    };
    *desk.running.lock().unwrap_or_else(PoisonError::into_inner) = Some(request_id.clone());
    let headers = [
        ("content-type", "application/json".to_owned()),
        ("lambda-runtime-deadline-ms", deadline.0.to_string()),
        (
            "lambda-runtime-trace-id",
            format!("Root=1-{:08x}-{};Sampled=0", deadline.0 / 1000, &request_id[..24]),
        ),
        (
            "lambda-runtime-invoked-function-arn",
            format!("arn:aws:lambda:{REGION}:{ACCOUNT_ID}:function:{FUNCTION_NAME}"),
        ),
        ("lambda-runtime-aws-request-id", request_id),
    ];
    Ok((headers, event))
}

async fn response(
    State(desk): State<Arc<Desk>>,
    Path(request_id): Path<String>,
    body: Bytes,
) -> (StatusCode, Json<Value>) {
    desk.finish(request_id, Ok(body))
}

async fn error(
    State(desk): State<Arc<Desk>>,
    Path(request_id): Path<String>,
    body: Bytes,
) -> (StatusCode, Json<Value>) {
    desk.finish(request_id, Err(body))
}

async fn init_error(State(desk): State<Arc<Desk>>, body: Bytes) -> (StatusCode, Json<Value>) {
    desk.said.send(Said::InitError(body)).ok();
    accepted()
}

async fn register() -> impl IntoResponse {
    let identity =
        json!({ "functionName": FUNCTION_NAME, "functionVersion": "$LATEST", "handler": "bootstrap" });
    ([("lambda-extension-identifier", request_id())], Json(identity))
}

/// An extension that subscribed to nothing waits until the process ends.
async fn no_event() {
    pending().await
}

impl Desk {
    fn finish(&self, request_id: String, outcome: Outcome) -> (StatusCode, Json<Value>) {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        if running.as_ref() != Some(&request_id) {
            let message = json!({ "errorType": "InvalidRequestID", "errorMessage": "Invalid request ID" });
            return (StatusCode::BAD_REQUEST, Json(message));
        }
        *running = None;
        self.said.send(Said::Done { request_id, outcome }).ok();
        accepted()
    }
}

fn accepted() -> (StatusCode, Json<Value>) {
    (StatusCode::ACCEPTED, Json(json!({ "status": "OK" })))
}

/// A random UUID, which is what Lambda's request IDs are.
fn request_id() -> String {
    let random = format!("{:032x}", fastrand::u128(..));
    [&random[..8], &random[8..12], &random[12..16], &random[16..20], &random[20..]].join("-")
}
