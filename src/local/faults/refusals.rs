//! What a healthy server answers when it refuses a request for a reason that will pass.

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_types::body::SdkBody;
use serde_json::{Value, json};

/// The throttling answer of the service that `operation` belongs to.
pub(super) fn throttled(operation: &str) -> HttpResponse {
    match operation.split_once(' ') {
        Some(("DynamoDB", _)) => refusal(
            400,
            &json!({ "__type": "com.amazon.coral.availability#ThrottlingException", "message": "Rate exceeded" }),
        ),
        Some(("SQS", _)) => {
            let mut response = refusal(
                400,
                &json!({ "__type": "com.amazonaws.sqs#RequestThrottled", "message": "Rate exceeded" }),
            );
            response.headers_mut().insert("x-amzn-query-error", "RequestThrottled;Sender");
            response
        }
        _ => refusal(
            429,
            &json!({ "error": {
                "type": "invalid_request_error",
                "code": "rate_limit",
                "message": "Request rate limit exceeded.",
            }}),
        ),
    }
}

/// The operations that can meet a transaction in progress.
pub(super) fn can_conflict(operation: &str) -> bool {
    matches!(
        operation,
        "DynamoDB TransactWriteItems" | "DynamoDB PutItem" | "DynamoDB UpdateItem" | "DynamoDB DeleteItem"
    )
}

/// DynamoDB's answer to a write that meets a transaction in progress on every item it touches.
pub(super) fn conflict(operation: &str, body: &[u8]) -> HttpResponse {
    if operation != "DynamoDB TransactWriteItems" {
        return refusal(
            400,
            &json!({
                "__type": "com.amazonaws.dynamodb.v20120810#TransactionConflictException",
                "message": "Transaction is ongoing for the item",
            }),
        );
    }
    let items = serde_json::from_slice::<Value>(body)
        .ok()
        .and_then(|body| body["TransactItems"].as_array().map(Vec::len))
        .unwrap_or_default();
    let reason = json!({ "Code": "TransactionConflict", "Message": "Transaction is ongoing for the item" });
    let codes = vec!["TransactionConflict"; items].join(", ");
    refusal(
        400,
        &json!({
            "__type": "com.amazonaws.dynamodb.v20120810#TransactionCanceledException",
            "Message": format!(
                "Transaction cancelled, please refer cancellation reasons for specific reasons [{codes}]"
            ),
            "CancellationReasons": vec![reason; items],
        }),
    )
}

fn refusal(status: u16, body: &Value) -> HttpResponse {
    let status = status.try_into().expect("a refusal has a valid status");
    let mut response = HttpResponse::new(status, SdkBody::from(body.to_string()));
    response.headers_mut().insert("content-type", "application/x-amz-json-1.0");
    response
}
