//! The payment provider's books: what it has charged for an order, and what of that it has given back.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::{Result, anyhow, bail};
use aws_smithy_runtime_api::client::http::{HttpConnector, SharedHttpConnector};
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::byte_stream::ByteStream;
use order_processor::clock::UnixMillis;
use order_processor::config::name;
use order_processor::function::connector;
use order_processor::record::Record;
use order_processor::services::inventory;
use serde_json::Value;

use super::books::{Charge, Listed, Refund, charged_by_stripe};
use crate::environment::variable;

/// A search of the provider's may take so long.
const PATIENCE: Duration = Duration::from_secs(10);
/// The most that a page shows.
const PAGE: &str = "100";

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
            charges.insert(record.order_id().to_owned(), self.of_order(record).await?);
        }
        Ok(charges)
    }

    /// Every payment that was made for an order since then, as it is. Payments that name no order are somebody else's.
    pub async fn since(&self, moment: UnixMillis) -> Result<Vec<Listed>> {
        let from = ("created[gte]", (moment.0 / 1000).to_string());
        let (mut listed, mut last) = (Vec::new(), None);
        loop {
            let mut query = vec![from.clone(), ("limit", PAGE.to_owned())];
            query.extend(last.take().map(|id| ("starting_after", id)));
            let page = self.ask("/v1/payment_intents", &query, "its payments").await?.unwrap_or_default();
            for payment in of_list(&page) {
                listed.extend(self.listed(payment).await?);
            }
            last = of_list(&page).last().map(named);
            if page["has_more"] != true || last.is_none() {
                return Ok(listed);
            }
        }
    }

    async fn listed(&self, payment: &Value) -> Result<Option<Listed>> {
        let Some(order_id) = payment["metadata"]["order_id"].as_str() else { return Ok(None) };
        Ok(Some(Listed {
            order_id: order_id.to_owned(),
            created: UnixMillis(payment["created"].as_u64().unwrap_or_default().saturating_mul(1000)),
            status: payment["status"].as_str().unwrap_or("unknown").to_owned(),
            charge: self.charge(payment, order_id).await?,
        }))
    }

    /// Those that a search finds, and the one that the record names. The search may be behind, so it is each payment
    /// itself that says what it is.
    async fn of_order(&self, record: &Record) -> Result<Vec<Charge>> {
        let id = record.order_id();
        let query = [("query", format!("metadata['order_id']:'{id}'")), ("limit", PAGE.to_owned())];
        let found = self.ask("/v1/payment_intents/search", &query, id).await?.unwrap_or_default();
        let found = of_list(&found).filter(|payment| may_be_of(payment, id)).map(named);
        let ids: BTreeSet<String> = found.chain(charged_by_stripe(record).map(str::to_owned)).collect();
        let mut charges = Vec::new();
        for payment_id in ids {
            if let Some(payment) = self.ask(&format!("/v1/payment_intents/{payment_id}"), &[], id).await? {
                charges.push(self.charge(&payment, id).await?);
            }
        }
        Ok(charges)
    }

    async fn charge(&self, payment: &Value, id: &str) -> Result<Charge> {
        let (payment_id, succeeded) = (named(payment), payment["status"] == "succeeded");
        let mut refunds = Vec::new();
        if succeeded {
            let query = [("payment_intent", payment_id.clone()), ("limit", PAGE.to_owned())];
            let found = self.ask("/v1/refunds", &query, id).await?.unwrap_or_default();
            refunds.extend(of_list(&found).map(|refund| Refund {
                refund_id: named(refund),
                status: refund["status"].as_str().unwrap_or("unknown").to_owned(),
                amount: refund["amount"].as_u64().unwrap_or_default(),
                is_of_order: refund["metadata"]["order_id"] == id,
            }));
        }
        let amount = payment["amount"].as_u64().unwrap_or_default();
        Ok(Charge { payment_id, succeeded, amount, refunds })
    }

    /// `None` if there is no such thing.
    async fn ask(&self, path: &str, query: &[(&str, String)], id: &str) -> Result<Option<Value>> {
        let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(query).finish();
        let url = format!("{}{path}?{query}", self.base.trim_end_matches('/'));
        let request = http::Request::get(url).header("authorization", format!("Bearer {}", self.key));
        let request = request.body(SdkBody::empty())?.try_into()?;
        let answer = tokio::time::timeout(PATIENCE, self.http.call(request)).await;
        let response =
            answer?.map_err(|error| anyhow!("asking the payment provider: no connection: {error}"))?;
        let status = response.status().as_u16();
        let body = ByteStream::new(response.into_body()).collect().await?.to_vec();
        match status {
            200 => Ok(Some(serde_json::from_slice(&body)?)),
            404 => Ok(None),
            _ => bail!(
                "asking the payment provider about {id}: {status}\nis STRIPE_API_KEY right? --table-only does without"
            ),
        }
    }
}

fn of_list(list: &Value) -> impl Iterator<Item = &Value> {
    list["data"].as_array().into_iter().flatten()
}

/// The search does not tell upper from lower case.
fn may_be_of(payment: &Value, id: &str) -> bool {
    payment["metadata"]["order_id"].as_str().is_none_or(|named| named == id)
}

fn named(object: &Value) -> String {
    object["id"].as_str().unwrap_or_default().to_owned()
}
