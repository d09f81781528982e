//! A warehouse with an API of its own that refuses every shipment, and the adapter that asks it: what a user
//! writes who does not ship through the queue.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use aws_smithy_runtime_api::client::http::{HttpConnector, SharedHttpConnector};
use aws_smithy_types::body::SdkBody;
use axum::body::Bytes;
use futures_util::future::{BoxFuture, FutureExt};
use http::{Request, Response, StatusCode};
use order_processor::record::{Reason, Refusal};
use order_processor::services::{Call, Ending, Service};
use serde_json::json;

/// Where it listens.
pub const PATH: &str = "/warehouse/shipments";

/// The warehouse. Clones share its books.
#[derive(Clone, Default)]
pub struct RefusingWarehouse(Arc<Mutex<BTreeMap<String, BTreeSet<Bytes>>>>);

impl RefusingWarehouse {
    pub fn answer(&self, request: Request<Bytes>) -> Response<Bytes> {
        let key = request.headers()["idempotency-key"].to_str().unwrap().to_owned();
        self.0.lock().unwrap().entry(key).or_default().insert(request.into_body());
        let mut response = Response::new(Bytes::new());
        *response.status_mut() = StatusCode::UNPROCESSABLE_ENTITY;
        response
    }

    /// The distinct bodies that it was asked with, by idempotency key.
    pub fn asked(&self) -> BTreeMap<String, BTreeSet<Bytes>> {
        self.0.lock().unwrap().clone()
    }
}

/// Asks for shipments over `http`.
pub struct AskForShipment(pub SharedHttpConnector);

impl Service for AskForShipment {
    fn call<'a>(&'a self, call: &'a Call<'a>) -> BoxFuture<'a, Ending> {
        async move {
            let body = json!({ "order_id": call.order.id, "items": call.order.items }).to_string();
            let request = Request::post(format!("http://warehouse.invalid{PATH}"))
                .header("idempotency-key", call.key)
                .body(SdkBody::from(body));
            let answer = self.0.call(request.unwrap().try_into().unwrap());
            match tokio::time::timeout(call.timeout, answer).await {
                Ok(Ok(answer)) if answer.status().as_u16() == 422 => Ending::Refused(Refusal {
                    reason: Reason::ShipmentRefused,
                    detail: "the warehouse does not ship this".to_owned(),
                }),
                Ok(Ok(answer)) => Ending::Unavailable(format!("the warehouse says {}", answer.status())),
                Ok(Err(_)) => Ending::Unavailable("no connection to the warehouse".to_owned()),
                Err(_) => Ending::Unavailable("the warehouse gave no answer in time".to_owned()),
            }
        }
        .boxed()
    }
}
