//! Sending a message to an SQS queue, standard or FIFO.

use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::config::Config;
use aws_sdk_sqs::config::timeout::TimeoutConfig;
use aws_sdk_sqs::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sqs::types::{
    MessageAttributeValue, MessageSystemAttributeNameForSends, MessageSystemAttributeValue,
};
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::order::{OrderId, hex};
use crate::trace::TraceHeader;

/// A queue that messages are sent to.
#[derive(Debug, Clone)]
pub struct Queue {
    client: Client,
    url: String,
}

/// A message to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// The body.
    pub body: String,
    /// String attributes. SQS refuses empty ones, so they are left out.
    pub attributes: Vec<(&'static str, String)>,
    /// The message group, if the queue is a FIFO queue.
    pub group: String,
    /// What SQS de-duplicates by, if the queue is a FIFO queue. Hashed, because it may be too long.
    pub deduplication: String,
}

/// The message was perhaps not sent. Sending it again is harmless: receivers know it by its attributes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("sending to the queue failed: {0}")]
pub struct SendError(String);

/// The message attribute by which receivers recognise a repeat.
pub const IDEMPOTENCY_KEY: &str = "idempotency_key";

/// The message of a step: `content` as JSON, recognised by `key`.
pub fn keyed(order_id: &OrderId, key: &str, content: &impl Serialize) -> Outgoing {
    Outgoing {
        body: serde_json::to_string(content).expect("strings and integers are always JSON"),
        attributes: vec![(IDEMPOTENCY_KEY, key.to_owned())],
        group: order_id.to_string(),
        deduplication: key.to_owned(),
    }
}

impl Queue {
    /// The queue at `url`, as `client` reaches it.
    pub fn new(client: Client, url: impl Into<String>) -> Self {
        Queue { client, url: url.into() }
    }

    /// Sends a message at least once, as a part of `trace`.
    ///
    /// # Errors
    /// [`SendError`] if SQS did not confirm within `timeout`; it may have taken the message nevertheless.
    pub async fn send(
        &self,
        message: &Outgoing,
        trace: Option<&TraceHeader>,
        timeout: Duration,
    ) -> Result<(), SendError> {
        let mut request = self.client.send_message().queue_url(&self.url).message_body(&message.body);
        for (name, value) in message.attributes.iter().filter(|(_, value)| !value.is_empty()) {
            let value = MessageAttributeValue::builder().data_type("String").string_value(value).build();
            let value = value.map_err(|error| SendError(error.to_string()))?;
            request = request.message_attributes(*name, value);
        }
        if let Some(trace) = trace {
            let header =
                MessageSystemAttributeValue::builder().data_type("String").string_value(trace.to_string());
            let header = header.build().map_err(|error| SendError(error.to_string()))?;
            let name = MessageSystemAttributeNameForSends::AwsTraceHeader;
            request = request.message_system_attributes(name, header);
        }
        if self.url.ends_with(".fifo") {
            let deduplication = hex(&Sha256::digest(&message.deduplication));
            request = request.message_group_id(&message.group).message_deduplication_id(deduplication);
        }
        match request.customize().config_override(timeouts(timeout, 3)).send().await {
            Ok(_) => Ok(()),
            Err(error) => Err(SendError(describe(&error))),
        }
    }
}

/// A request ends within `timeout`; `attempts` of it fit, and each has its share.
pub fn timeouts(timeout: Duration, attempts: u32) -> aws_sdk_sqs::config::Builder {
    let timeouts =
        TimeoutConfig::builder().operation_attempt_timeout(timeout / attempts).operation_timeout(timeout);
    Config::builder().timeout_config(timeouts.build())
}

/// An error in words of ours: what the SDK would say can quote a whole answer.
pub fn describe<E: ProvideErrorMetadata, R>(error: &SdkError<E, R>) -> String {
    let words = match error {
        SdkError::ServiceError(service) => service.err().code().unwrap_or("an error without a code"),
        SdkError::TimeoutError(_) => "no answer in time",
        SdkError::DispatchFailure(_) => "no connection",
        SdkError::ConstructionFailure(_) => "the request could not be built",
        _ => "the answer could not be read",
    };
    words.to_owned()
}
