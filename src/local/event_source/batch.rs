//! The event that a batch of messages becomes, and what the function's response says about it.

use std::collections::HashSet;

use aws_sdk_sqs::types::{Message, MessageAttributeValue};
use axum::body::Bytes;
use serde_json::{Map, Value, json};

use crate::local::aws::REGION;

/// Which messages of a batch stay in the queue.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Failed {
    /// All of them.
    Batch,
    /// Those with these message IDs.
    Items(HashSet<String>),
}

/// The event, in the shape of <https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html>.
pub(super) fn event(messages: &[Message], queue_arn: &str) -> Bytes {
    let records: Vec<Value> = messages.iter().map(|message| record(message, queue_arn)).collect();
    Bytes::from(json!({ "Records": records }).to_string())
}

/// What a response means by the rules of `ReportBatchItemFailures`: nothing at all and an empty list are a
/// success, and whatever cannot be understood is a failure of the whole batch.
pub(super) fn failed_items(response: &[u8], messages: &[Message]) -> Failed {
    if response.is_empty() {
        return Failed::Items(HashSet::new());
    }
    let failures = match serde_json::from_slice(response) {
        Ok(Value::Null) => return Failed::Items(HashSet::new()),
        Ok(Value::Object(mut fields)) => fields.remove("batchItemFailures").unwrap_or_default(),
        _ => return Failed::Batch,
    };
    let failures = match failures {
        Value::Null => return Failed::Items(HashSet::new()),
        Value::Array(failures) => failures,
        _ => return Failed::Batch,
    };
    let known = |id: &&str| messages.iter().any(|message| message.message_id.as_deref() == Some(id));
    let named: Option<HashSet<String>> = failures
        .iter()
        .map(|failure| failure["itemIdentifier"].as_str().filter(known).map(str::to_owned))
        .collect();
    named.map_or(Failed::Batch, Failed::Items)
}

/// Whether `message` is one of `failed`.
pub(super) fn names(failed: &HashSet<String>, message: &Message) -> bool {
    message.message_id.as_ref().is_some_and(|id| failed.contains(id))
}

fn record(message: &Message, queue_arn: &str) -> Value {
    let attributes: Map<String, Value> = message
        .attributes
        .iter()
        .flatten()
        .map(|(name, value)| (name.as_str().to_owned(), Value::from(value.as_str())))
        .collect();
    let message_attributes: Map<String, Value> = message
        .message_attributes
        .iter()
        .flatten()
        .map(|(name, value)| (name.clone(), message_attribute(value)))
        .collect();
    json!({
        "messageId": message.message_id,
        "receiptHandle": message.receipt_handle,
        "body": message.body,
        "attributes": attributes,
        "messageAttributes": message_attributes,
        "md5OfBody": message.md5_of_body,
        "eventSource": "aws:sqs",
        "eventSourceARN": queue_arn,
        "awsRegion": REGION,
    })
}

fn message_attribute(value: &MessageAttributeValue) -> Value {
    let mut attribute = json!({
        "stringListValues": [],
        "binaryListValues": [],
        "dataType": value.data_type,
    });
    if let Some(text) = &value.string_value {
        attribute["stringValue"] = Value::from(text.as_str());
    }
    if let Some(binary) = &value.binary_value {
        attribute["binaryValue"] = Value::from(aws_smithy_types::base64::encode(binary.as_ref()));
    }
    attribute
}

#[cfg(test)]
mod tests {
    use aws_sdk_sqs::types::MessageSystemAttributeName;

    use super::*;

    fn messages() -> Vec<Message> {
        ["m1", "m2"].into_iter().map(|id| Message::builder().message_id(id).body("{}").build()).collect()
    }

    fn items(ids: &[&str]) -> Failed {
        Failed::Items(ids.iter().map(|id| (*id).to_owned()).collect())
    }

    #[test]
    fn nothing_and_an_empty_list_mean_that_all_succeeded() {
        for response in ["", "null", "{}", r#"{"batchItemFailures":null}"#, r#"{"batchItemFailures":[]}"#] {
            assert_eq!(failed_items(response.as_bytes(), &messages()), items(&[]), "{response}");
        }
    }

    #[test]
    fn named_items_and_only_they_have_failed() {
        let response = r#"{"batchItemFailures":[{"itemIdentifier":"m2"}]}"#;
        assert_eq!(failed_items(response.as_bytes(), &messages()), items(&["m2"]));
    }

    #[test]
    fn what_cannot_be_understood_fails_the_whole_batch() {
        for response in [
            "not json",
            "[]",
            "\"ok\"",
            r#"{"batchItemFailures":"m1"}"#,
            r#"{"batchItemFailures":["m1"]}"#,
            r#"{"batchItemFailures":[{"itemIdentifier":""}]}"#,
            r#"{"batchItemFailures":[{"itemIdentifier":null}]}"#,
            r#"{"batchItemFailures":[{"messageId":"m1"}]}"#,
            r#"{"batchItemFailures":[{"itemIdentifier":"m1"},{"itemIdentifier":"unknown"}]}"#,
        ] {
            assert_eq!(failed_items(response.as_bytes(), &messages()), Failed::Batch, "{response}");
        }
    }

    #[test]
    fn an_event_has_the_fields_that_lambda_sends() {
        let value = |kind: &str| MessageAttributeValue::builder().data_type(kind);
        let message = Message::builder()
            .message_id("m1")
            .receipt_handle("handle")
            .body("body")
            .md5_of_body("5")
            .attributes(MessageSystemAttributeName::ApproximateReceiveCount, "3")
            .attributes(MessageSystemAttributeName::MessageGroupId, "group")
            .message_attributes("text", value("String").string_value("x").build().unwrap())
            .message_attributes("bytes", value("Binary").binary_value(vec![1u8, 2].into()).build().unwrap())
            .build();
        let event: Value =
            serde_json::from_slice(&event(&[message], "arn:aws:sqs:us-east-1:0:orders")).unwrap();
        let expected = json!({ "Records": [{
            "messageId": "m1",
            "receiptHandle": "handle",
            "body": "body",
            "attributes": { "ApproximateReceiveCount": "3", "MessageGroupId": "group" },
            "messageAttributes": {
                "text": {
                    "stringValue": "x", "stringListValues": [], "binaryListValues": [], "dataType": "String"
                },
                "bytes": {
                    "binaryValue": "AQI=", "stringListValues": [], "binaryListValues": [], "dataType": "Binary"
                },
            },
            "md5OfBody": "5",
            "eventSource": "aws:sqs",
            "eventSourceARN": "arn:aws:sqs:us-east-1:0:orders",
            "awsRegion": "us-east-1",
        }]});
        assert_eq!(event, expected);
    }
}
