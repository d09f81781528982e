//! Responses in the provider's own words.

use axum::body::Bytes;
use http::{HeaderName, HeaderValue, Method, StatusCode};
use serde_json::{Value, json};

/// A response that can be stored and given again.
#[derive(Clone, Debug)]
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) body: Value,
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
}

impl Reply {
    pub(super) fn new(status: StatusCode, body: Value) -> Self {
        Reply { status, body, headers: Vec::new() }
    }

    pub(super) fn ok(body: Value) -> Self {
        Reply::new(StatusCode::OK, body)
    }

    /// 400 for a request that is wrong in itself, naming the parameter.
    pub(super) fn invalid(parameter: &str, code: &str, message: String) -> Self {
        let error =
            json!({ "type": "invalid_request_error", "code": code, "param": parameter, "message": message });
        Reply::error(StatusCode::BAD_REQUEST, error)
    }

    /// 400 for a request that is right in itself and cannot be done.
    pub(super) fn refused(code: &str, message: String) -> Self {
        let error = json!({ "type": "invalid_request_error", "code": code, "message": message });
        Reply::error(StatusCode::BAD_REQUEST, error)
    }

    pub(super) fn declined(code: &str, decline_code: &str, message: &str, payment_intent: Value) -> Self {
        let error = json!({
            "type": "card_error",
            "code": code,
            "decline_code": decline_code,
            "message": message,
            "payment_intent": payment_intent,
        });
        Reply::error(StatusCode::PAYMENT_REQUIRED, error)
    }

    pub(super) fn key_reused(key: &str) -> Self {
        let message = format!(
            "Keys for idempotent requests can only be used with the same parameters they were first used with. \
             Try using a key other than '{key}' if you meant to execute a different request."
        );
        Reply::error(StatusCode::BAD_REQUEST, json!({ "type": "idempotency_error", "message": message }))
    }

    pub(super) fn key_in_use(key: &str) -> Self {
        let message =
            format!("There is currently another in-progress request using the idempotency key '{key}'.");
        let error =
            json!({ "type": "idempotency_error", "code": "idempotency_key_in_use", "message": message });
        Reply::error(StatusCode::CONFLICT, error)
    }

    pub(super) fn unauthorized() -> Self {
        let message = "You did not provide an API key. Use 'Authorization: Bearer YOUR_SECRET_KEY'.";
        let error = json!({ "type": "invalid_request_error", "message": message });
        Reply::error(StatusCode::UNAUTHORIZED, error)
    }

    pub(super) fn expired() -> Self {
        let message = "Expired API Key provided: sk_test_****.";
        let error = json!({ "type": "invalid_request_error", "code": "api_key_expired", "message": message });
        Reply::error(StatusCode::UNAUTHORIZED, error)
    }

    /// 400 for a payment that is not in a state for what was asked.
    pub(super) fn unexpected_state(message: String, payment_intent: Value) -> Self {
        let mut reply = Reply::refused("payment_intent_unexpected_state", message);
        reply.body["error"]["payment_intent"] = payment_intent;
        reply
    }

    /// 404 for a path that names nothing; a parameter that does is a 400.
    pub(super) fn missing(parameter: &str, kind: &str, id: &str) -> Self {
        let reply = Reply::no_such(parameter, kind, id);
        Reply { status: StatusCode::NOT_FOUND, ..reply }
    }

    pub(super) fn no_such(parameter: &str, kind: &str, id: &str) -> Self {
        Reply::invalid(parameter, "resource_missing", format!("No such {kind}: '{id}'"))
    }

    pub(super) fn list(url: &str, data: Vec<Value>) -> Self {
        Reply::ok(json!({ "object": "list", "url": url, "has_more": false, "data": data }))
    }

    pub(super) fn not_found(method: &Method, path: &str) -> Self {
        let error = json!({
            "type": "invalid_request_error",
            "message": format!("Unrecognized request URL ({method}: {path})."),
        });
        Reply::error(StatusCode::NOT_FOUND, error)
    }

    /// What the provider usually says with this status when it says nothing about the request.
    pub(super) fn usual(status: StatusCode) -> Self {
        let error = match status.as_u16() {
            409 => return Reply::key_in_use("scripted"),
            401 => return Reply::unauthorized(),
            429 => json!({ "type": "invalid_request_error", "code": "rate_limit", "message": "Slow down." }),
            500.. => json!({ "type": "api_error", "message": "An error occurred while processing." }),
            _ => json!({ "type": "invalid_request_error", "message": "Invalid request." }),
        };
        Reply::error(status, error)
    }

    fn error(status: StatusCode, error: Value) -> Self {
        Reply::new(status, json!({ "error": error }))
    }

    pub(super) fn with_header(mut self, name: &'static str, value: &'static str) -> Self {
        self.headers.push((HeaderName::from_static(name), HeaderValue::from_static(value)));
        self
    }

    pub(super) fn into_response(self) -> http::Response<Bytes> {
        let mut response = http::Response::new(Bytes::from(self.body.to_string()));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(http::header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.extend(self.headers);
        response
    }
}
