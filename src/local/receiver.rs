//! [`Receiver`]: the other end of a queue, which does with repeats what real receivers must do.

use std::collections::BTreeMap;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::error::DisplayErrorContext;
use aws_sdk_sqs::types::Message;
use serde::Serialize;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// The message attribute by which receivers recognise a repeat.
pub const KEY_ATTRIBUTE: &str = "idempotency_key";

/// What arrived under one key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Delivered {
    /// How often.
    pub times: u64,
    /// Every distinct body, in order of arrival; more than one is a sender that contradicts itself.
    pub bodies: Vec<String>,
}

/// What arrived, by idempotency key; messages without a key are under the empty one.
pub type Deliveries = BTreeMap<String, Delivered>;

/// Reads a queue until it is dropped, deletes what it has read and remembers it.
pub struct Receiver {
    deliveries: watch::Sender<Deliveries>,
    _reader: JoinSet<()>,
}

impl Receiver {
    /// Starts reading.
    pub fn start(sqs: Client, queue_url: String) -> Receiver {
        let deliveries = watch::Sender::default();
        let mut reader = JoinSet::new();
        reader.spawn(read(sqs, queue_url, deliveries.clone()));
        Receiver { deliveries, _reader: reader }
    }

    /// What has arrived so far.
    pub fn deliveries(&self) -> Deliveries {
        self.deliveries.borrow().clone()
    }

    /// Resolves when what has arrived is as `condition` wants it.
    pub async fn until(&self, condition: impl FnMut(&Deliveries) -> bool) -> Deliveries {
        let mut deliveries = self.deliveries.subscribe();
        let reached = deliveries.wait_for(condition).await.expect("self keeps the channel open");
        reached.clone()
    }
}

/// SQS's longest, so that an idle queue costs little.
const LONG_POLL_SECONDS: i32 = 20;

/// After a failure, so that a server that is gone is not asked in a tight loop.
const FAILURE_PAUSE: Duration = Duration::from_secs(1);

async fn read(sqs: Client, queue_url: String, deliveries: watch::Sender<Deliveries>) {
    loop {
        let request = sqs.receive_message().queue_url(&queue_url).max_number_of_messages(10);
        let request = request.wait_time_seconds(LONG_POLL_SECONDS).message_attribute_names("All");
        match request.send().await {
            Ok(received) => {
                for message in received.messages() {
                    deliveries.send_modify(|deliveries| record(deliveries, message));
                    delete(&sqs, &queue_url, message).await;
                }
            }
            Err(error) => {
                tracing::warn!(error = %DisplayErrorContext(error), "could not receive");
                tokio::time::sleep(FAILURE_PAUSE).await;
            }
        }
    }
}

fn record(deliveries: &mut Deliveries, message: &Message) {
    let attribute = message.message_attributes.as_ref().and_then(|attributes| attributes.get(KEY_ATTRIBUTE));
    let key = attribute.and_then(|value| value.string_value.clone()).unwrap_or_default();
    let delivered = deliveries.entry(key).or_default();
    delivered.times += 1;
    let body = message.body.clone().unwrap_or_default();
    if !delivered.bodies.contains(&body) {
        delivered.bodies.push(body);
    }
}

async fn delete(sqs: &Client, queue_url: &str, message: &Message) {
    let handle = message.receipt_handle.clone().unwrap_or_default();
    if let Err(error) = sqs.delete_message().queue_url(queue_url).receipt_handle(handle).send().await {
        tracing::warn!(error = %DisplayErrorContext(error), "could not delete");
    }
}
