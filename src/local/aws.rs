//! [`EmbeddedAws`]: DynamoDB and SQS in one process and behind one endpoint.

use std::future::Future;
use std::io;
use std::net::SocketAddr;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_dynamodb::config::{Credentials, SharedCredentialsProvider};
use aws_smithy_runtime_api::client::http::SharedHttpConnector;
use axum::body::Bytes;
use http::StatusCode;
use tokio::net::TcpListener;

use crate::clock::Clock;
use crate::local::connector;
use crate::local::dynamodb::{self, EmbeddedDynamoDb};
use crate::local::server;
use crate::local::sqs::{self, EmbeddedSqs};

/// The Region in ARNs and in [`sdk_config`].
pub const REGION: &str = "us-east-1";

/// The account in ARNs and queue URLs.
pub const ACCOUNT_ID: &str = "000000000000";

/// An embedded DynamoDB and an embedded SQS. Clones share everything.
///
/// Signatures are not checked, so any credentials do.
#[derive(Clone)]
pub struct EmbeddedAws {
    endpoint: SocketAddr,
    dynamodb: EmbeddedDynamoDb,
    sqs: EmbeddedSqs,
}

impl EmbeddedAws {
    /// For use inside this process only; queue URLs name an address where nobody listens.
    pub fn in_process(clock: Clock) -> Self {
        EmbeddedAws::at(SocketAddr::from(([127, 0, 0, 1], 4566)), clock)
    }

    /// For use behind `endpoint`, which queue URLs will carry: the address of the listener given to [`serve`].
    ///
    /// [`serve`]: EmbeddedAws::serve
    pub fn at(endpoint: SocketAddr, clock: Clock) -> Self {
        EmbeddedAws { endpoint, dynamodb: EmbeddedDynamoDb::new(clock), sqs: EmbeddedSqs::new(endpoint) }
    }

    /// Answers one request of either service; which one, `X-Amz-Target` says.
    pub async fn answer(&self, request: http::Request<Bytes>) -> http::Response<Bytes> {
        match target(&request) {
            Target::DynamoDb(operation) => self.dynamodb.answer(operation, request.body()),
            Target::Sqs => self.sqs.answer(request).await,
            Target::Unknown => unknown_operation(),
        }
    }

    /// A connector for SDK clients of this process.
    pub fn connector(&self) -> SharedHttpConnector {
        let aws = self.clone();
        connector::connector(move |request| {
            let aws = aws.clone();
            async move { Ok(aws.answer(request).await) }
        })
    }

    /// An SDK configuration whose clients reach this through `connector`: [`Self::connector`], or a wrapper of it.
    pub fn sdk_config(&self, connector: SharedHttpConnector) -> SdkConfig {
        sdk_config_over(self.endpoint, connector)
    }

    /// Serves both services on `listener` until `shutdown` resolves.
    ///
    /// # Errors
    /// Whatever the listener reports.
    pub async fn serve(
        self,
        listener: TcpListener,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> io::Result<()> {
        server::serve(listener, shutdown, move |request| {
            let aws = self.clone();
            async move { Ok(aws.answer(request).await) }
        })
        .await
    }

    /// The DynamoDB half.
    pub fn dynamodb(&self) -> &EmbeddedDynamoDb {
        &self.dynamodb
    }
}

/// An SDK configuration for an [`EmbeddedAws`] that is served at `endpoint`: HTTP, invented credentials.
pub fn sdk_config(endpoint: SocketAddr) -> SdkConfig {
    sdk_config_over(endpoint, crate::function::connector())
}

fn sdk_config_over(endpoint: SocketAddr, connector: SharedHttpConnector) -> SdkConfig {
    let credentials = Credentials::new("local", "local", None, None, "local");
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::from_static(REGION))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .endpoint_url(format!("http://{endpoint}"))
        .http_client(crate::function::http_client(connector))
        .build()
}

enum Target<'a> {
    DynamoDb(&'a str),
    Sqs,
    Unknown,
}

fn target(request: &http::Request<Bytes>) -> Target<'_> {
    let target =
        request.headers().get("x-amz-target").and_then(|value| value.to_str().ok()).unwrap_or_default();
    match target.strip_prefix(dynamodb::TARGET_PREFIX) {
        Some(operation) => Target::DynamoDb(operation),
        None if target.starts_with(sqs::TARGET_PREFIX) => Target::Sqs,
        None => Target::Unknown,
    }
}

fn unknown_operation() -> http::Response<Bytes> {
    let body = r#"{"__type":"com.amazon.coral.service#UnknownOperationException"}"#;
    let mut response = http::Response::new(Bytes::from_static(body.as_bytes()));
    *response.status_mut() = StatusCode::BAD_REQUEST;
    response
}
