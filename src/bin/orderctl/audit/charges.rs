//! The payment provider's books: what it has charged for an order.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Result, anyhow, bail};
use aws_smithy_runtime_api::client::http::{HttpConnector, SharedHttpConnector};
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::byte_stream::ByteStream;
use order_processor::config::name;
use order_processor::function::connector;
use order_processor::record::Record;
use order_processor::services::inventory;
use serde_json::Value;

use super::books::Charge;
use crate::environment::variable;

/// A search of the provider's may take so long.
const PATIENCE: Duration = Duration::from_secs(10);

/// Stripe, or what stands in for it.
pub struct Provider {
    http: SharedHttpConnector,
    base: String,
    key: String,
}

impl Provider {
    /// As the function's own variables name it; `None` without a key.
    pub fn from_environment() -> Option<Provider> {
        let base = variable(name::STRIPE_API_BASE).unwrap_or_else(|| "https://api.stripe.com".to_owned());
        Some(Provider { http: connector(), base, key: variable(name::STRIPE_API_KEY)? })
    }

    /// The payments of every order that may have come to its payment, by order ID.
    pub async fn charges(&self, records: &[Record]) -> Result<BTreeMap<String, Vec<Charge>>> {
        let reached = records.iter().filter(|record| record.outcomes.get(inventory::STEP.name).is_some());
        let mut charges = BTreeMap::new();
        for record in reached {
            charges.insert(record.order_id().to_owned(), self.of_order(record.order_id()).await?);
        }
        Ok(charges)
    }

    async fn of_order(&self, id: &str) -> Result<Vec<Charge>> {
        let query = form_urlencoded::Serializer::new(String::new())
            .append_pair("query", &format!("metadata['order_id']:'{id}'"))
            .append_pair("limit", "100")
            .finish();
        let url = format!("{}/v1/payment_intents/search?{query}", self.base.trim_end_matches('/'));
        let request = http::Request::get(url).header("authorization", format!("Bearer {}", self.key));
        let request = request.body(SdkBody::empty())?.try_into()?;
        let answer = tokio::time::timeout(PATIENCE, self.http.call(request)).await;
        let response =
            answer?.map_err(|error| anyhow!("asking the payment provider: no connection: {error}"))?;
        let status = response.status().as_u16();
        let body = ByteStream::new(response.into_body()).collect().await?.to_vec();
        if status != 200 {
            bail!(
                "asking the payment provider about {id}: {status}\nis STRIPE_API_KEY right? --table-only does without"
            );
        }
        let found: Value = serde_json::from_slice(&body)?;
        // The search does not tell upper from lower case.
        let of_order =
            |payment: &&Value| payment["metadata"]["order_id"].as_str().is_none_or(|named| named == id);
        let payments = found["data"].as_array().into_iter().flatten().filter(of_order);
        Ok(payments
            .map(|payment| Charge {
                payment_id: payment["id"].as_str().unwrap_or_default().to_owned(),
                succeeded: payment["status"] == "succeeded",
            })
            .collect())
    }
}
