//! A function of its own behind a [`Gate`], and the deliveries of one order to it.

use axum::body::Bytes;
use order_processor::local::function_host::{FunctionHost, InvokeError};
use order_processor::local::ledger::Sent;
use order_processor::record::Record;
use serde_json::{Value, json};

use super::gate::{Gate, Plan};
use super::running::Running;

/// Deliveries within which one interruption must be overcome, on a machine that may be slow.
const DELIVERIES: u32 = 10;

pub struct Worker<'r> {
    running: &'r Running,
    pub gate: Gate,
    pub host: FunctionHost,
    id: String,
    body: String,
}

impl<'r> Worker<'r> {
    /// So many processes for the deliveries of `order`.
    pub async fn start(running: &'r Running, environments: usize, order: &Value, plan: Plan) -> Self {
        let gate = Gate::open(running, plan).await;
        let base = format!("http://{}", gate.address);
        let changes = ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_DYNAMODB", "STRIPE_API_BASE"];
        let changes = changes.map(|name| (name, base.as_str()));
        let host = FunctionHost::start(running.function_options(environments, &changes));
        host.ready().await.unwrap();
        let id = order["order_id"].as_str().unwrap().to_owned();
        Worker { running, gate, host, id, body: order.to_string() }
    }

    /// Delivers the message once; whether the queue may delete it.
    pub async fn deliver(&self, receive_count: u32) -> Result<bool, InvokeError> {
        let event = json!({ "Records": [{
            "messageId": self.sent().message_id, "receiptHandle": "r", "body": self.body,
            "attributes": { "ApproximateReceiveCount": receive_count.to_string() }, "messageAttributes": {},
            "eventSource": "aws:sqs", "eventSourceARN": "arn:aws:sqs:us-east-1:000000000000:orders",
            "awsRegion": "us-east-1",
        }] });
        let response = self.host.invoke(Bytes::from(event.to_string())).await?;
        let response: Value = serde_json::from_slice(&response).unwrap();
        Ok(response["batchItemFailures"].as_array().unwrap().is_empty())
    }

    /// Delivers, each time after the lease is over, until the queue may delete the message.
    pub async fn deliver_until_done(&self) -> Record {
        for receive_count in 1..=DELIVERIES {
            self.running.lease_over(&self.id).await;
            if self.deliver(receive_count).await == Ok(true) {
                return self.record().await.unwrap();
            }
        }
        panic!("{}: not finished after {DELIVERIES} deliveries: {:?}", self.id, self.record().await);
    }

    pub async fn record(&self) -> Option<Record> {
        self.running.record(&self.id).await
    }

    /// The message, for the ledger.
    pub fn sent(&self) -> Sent {
        Sent { message_id: format!("message of {}", self.id), body: self.body.clone() }
    }
}
