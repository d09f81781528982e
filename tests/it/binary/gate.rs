//! [`Gate`]: an HTTP proxy between a function and everything it calls, which counts the requests and can stop one.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use aws_sdk_dynamodb as dynamodb;
use aws_smithy_runtime_api::client::http::{HttpConnector, SharedHttpConnector};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::byte_stream::ByteStream;
use axum::body::Bytes;
use http::{HeaderMap, header};
use order_processor::function::connector;
use order_processor::local::server::{self, Answer, ConnectionCut};
use tokio::net::TcpListener;
use tokio::sync::{Barrier, watch};

use super::running::Running;
use crate::local_world::s;

/// The request by which a card is charged.
pub const CHARGE: &str = "POST /v1/payment_intents";

/// Which request is stopped, counted from 1, and on which side of its effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stop {
    pub request: usize,
    pub side: Side,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// It has not reached the server.
    Before,
    /// The server has answered, and the answer has not reached the function.
    After,
}

/// What the gate does beside counting.
#[derive(Default)]
pub struct Plan {
    pub stop: Option<Stop>,
    /// Somebody cancels this order while its card is charged for the first time.
    pub cancelled: Option<String>,
    /// So many requests wait for each other at the start.
    pub gathered: Option<usize>,
}

/// How the gate stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Door {
    /// Nothing was stopped so far.
    Open,
    /// The request that is to be stopped has come, and nothing passes it.
    Shut,
    /// It is stopped.
    Stopped,
    /// The stopped request stays where it is; others pass again.
    Ajar,
    /// The stopped request goes on.
    Released,
    /// It has come through.
    Through,
}

pub struct Gate {
    pub address: SocketAddr,
    way: Arc<Way>,
}

struct Way {
    http: SharedHttpConnector,
    dynamodb: String,
    sqs: String,
    payments: String,
    table: dynamodb::Client,
    table_name: String,
    stop: Option<Stop>,
    cancelled: Mutex<Option<String>>,
    /// How many requests, and where they wait.
    gathering: Option<(usize, Barrier)>,
    operations: Mutex<Vec<String>>,
    door: watch::Sender<Door>,
}

impl Gate {
    /// Opens a gate to the servers of `running`, until the test's runtime ends.
    pub async fn open(running: &Running, plan: Plan) -> Gate {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let way = Arc::new(Way {
            http: connector(),
            dynamodb: running.table_endpoint.clone(),
            sqs: format!("http://{}", running.stack.endpoint()),
            payments: format!("http://{}", running.stack.payment_endpoint()),
            table: running.table.clone(),
            table_name: running.table_name.clone(),
            stop: plan.stop,
            cancelled: Mutex::new(plan.cancelled),
            gathering: plan.gathered.map(|requests| (requests, Barrier::new(requests))),
            operations: Mutex::default(),
            door: watch::Sender::new(Door::Open),
        });
        let served = Arc::clone(&way);
        tokio::spawn(server::serve(listener, std::future::pending(), move |request| {
            let way = Arc::clone(&served);
            // A request that has come goes its way, even if the function gives it up in the meantime.
            async move { tokio::spawn(async move { way.pass(request).await }).await.unwrap() }
        }));
        Gate { address, way }
    }

    /// What has come to the gate so far.
    pub fn operations(&self) -> Vec<String> {
        self.way.operations.lock().unwrap().clone()
    }

    /// Resolves when the request of the plan has come and is stopped; nothing else passes then.
    pub async fn stopped(&self) {
        self.way.until(|door| door == Door::Stopped).await;
    }

    /// Whether the request of the plan has come.
    pub fn was_stopped(&self) -> bool {
        *self.way.door.borrow() != Door::Open
    }

    /// Lets others pass; the stopped request stays where it is.
    pub fn admit_others(&self) {
        self.way.door.send_replace(Door::Ajar);
    }

    /// Lets the stopped request go on, and resolves when the server has answered it.
    pub async fn release(&self) {
        self.way.door.send_replace(Door::Released);
        self.way.until(|door| door == Door::Through).await;
    }
}

impl Way {
    async fn pass(&self, request: http::Request<Bytes>) -> Answer {
        let Some(operation) = operation(&request) else { return self.forward(request).await };
        self.until(|door| !matches!(door, Door::Shut | Door::Stopped)).await;
        let number = self.count(&operation);
        if let Some((_, barrier)) = self.gathering.as_ref().filter(|(requests, _)| number <= *requests) {
            barrier.wait().await;
        }
        let stopped = self.stop.filter(|stop| stop.request == number);
        if stopped.is_some() {
            self.door.send_replace(Door::Shut);
        }
        self.stop_at(stopped, Side::Before).await;
        if operation == CHARGE {
            self.cancel().await;
        }
        let answer = self.forward(request).await;
        self.stop_at(stopped, Side::After).await;
        if stopped.is_some() {
            self.door.send_replace(Door::Through);
        }
        answer
    }

    fn count(&self, operation: &str) -> usize {
        let mut operations = self.operations.lock().unwrap();
        operations.push(operation.to_owned());
        operations.len()
    }

    async fn stop_at(&self, stop: Option<Stop>, side: Side) {
        if stop.is_some_and(|stop| stop.side == side) {
            self.door.send_replace(Door::Stopped);
            self.until(|door| door == Door::Released).await;
        }
    }

    async fn until(&self, condition: impl Fn(Door) -> bool) {
        self.door.subscribe().wait_for(|door| condition(*door)).await.unwrap();
    }

    async fn cancel(&self) {
        let Some(order) = self.cancelled.lock().unwrap().take() else { return };
        let update = self.table.update_item().table_name(&self.table_name);
        update
            .key("pk", s(&format!("ORDER#{order}")))
            .update_expression("SET cancel_requested = :who")
            .expression_attribute_values(":who", s("customer"))
            .send()
            .await
            .unwrap();
    }

    async fn forward(&self, request: http::Request<Bytes>) -> Answer {
        let (mut parts, body) = request.into_parts();
        let path = parts.uri.path_and_query().unwrap().as_str();
        let server = match target(&parts.headers) {
            Some(target) if target.starts_with("DynamoDB") => &self.dynamodb,
            None if path.starts_with("/v1/") => &self.payments,
            _ => &self.sqs,
        };
        parts.uri = format!("{server}{path}").parse().unwrap();
        parts.headers.remove(header::HOST);
        let request = http::Request::from_parts(parts, SdkBody::from(body));
        let request = HttpRequest::try_from(request).unwrap();
        let response = self.http.call(request).await.map_err(|_| ConnectionCut)?;
        let (mut parts, body) = response.try_into_http1x().unwrap().into_parts();
        let body = ByteStream::new(body).collect().await.map_err(|_| ConnectionCut)?;
        // The body is whole now, and is sent with its length.
        parts.headers.remove(header::TRANSFER_ENCODING);
        Ok(http::Response::from_parts(parts, body.into_bytes()))
    }
}

/// What a request is for; nothing for one that only opens a connection.
fn operation(request: &http::Request<Bytes>) -> Option<String> {
    let path = request.uri().path();
    match target(request.headers()) {
        Some(target) => Some(target.replace("DynamoDB_20120810.", "DynamoDB ").replace("AmazonSQS.", "SQS ")),
        None => path.starts_with("/v1/").then(|| format!("{} {path}", request.method())),
    }
}

fn target(headers: &HeaderMap) -> Option<&str> {
    headers.get("x-amz-target")?.to_str().ok()
}
