//! Embedded SQS: the JSON protocol over queues in memory.
//!
//! Time is tokio's, so delays, visibility and long polls follow a paused clock. What differs from SQS:
//! a FIFO receive gives at most one message of a group, a standard queue refuses `MessageGroupId`,
//! a body may have 256 KiB, `maxReceiveCount` is a number and never a string, and there is no `StartMessageMoveTask`.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::body::{Body, Bytes, to_bytes};
use rustack_sqs_core::config::SqsConfig;
use rustack_sqs_core::handler::RustackSqsHandler;
use rustack_sqs_core::provider::RustackSqs;
use rustack_sqs_http::body::SqsResponseBody;
use rustack_sqs_http::dispatch::SqsHandler;
use rustack_sqs_http::response::error_to_response;
use rustack_sqs_http::router::resolve_operation;

use crate::local::aws::{ACCOUNT_ID, REGION};

/// What SQS puts before the operation in `X-Amz-Target`.
pub const TARGET_PREFIX: &str = "AmazonSQS.";

/// An SQS without queues. Clones share their queues.
///
/// Each queue is a task on the runtime that created it, and ends with it.
#[derive(Clone)]
pub struct EmbeddedSqs {
    handler: Arc<RustackSqsHandler>,
}

impl EmbeddedSqs {
    /// Queue URLs begin with `http://<endpoint>/`.
    pub fn new(endpoint: SocketAddr) -> Self {
        let config = SqsConfig {
            skip_signature_validation: true,
            default_region: REGION.to_owned(),
            account_id: ACCOUNT_ID.to_owned(),
            host: endpoint.ip().to_string(),
            port: endpoint.port(),
        };
        EmbeddedSqs { handler: Arc::new(RustackSqsHandler::new(Arc::new(RustackSqs::new(config)))) }
    }

    /// Answers one request of the JSON protocol; a long poll takes as long as it asked for.
    pub async fn answer(&self, request: http::Request<Bytes>) -> http::Response<Bytes> {
        let request_id = format!("{:032x}", fastrand::u128(..));
        let response = match resolve_operation(request.headers()) {
            Ok(operation) => self.handler.handle_operation(operation, request.into_body()).await,
            Err(error) => Err(error),
        };
        in_memory(response.unwrap_or_else(|error| error_to_response(&error, &request_id))).await
    }
}

async fn in_memory(response: http::Response<SqsResponseBody>) -> http::Response<Bytes> {
    let (parts, body) = response.into_parts();
    let body = to_bytes(Body::new(body), usize::MAX).await.unwrap_or_default();
    http::Response::from_parts(parts, body)
}
