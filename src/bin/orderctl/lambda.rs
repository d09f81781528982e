//! The requests to Lambda's API that are needed here.

use anyhow::{Context, Result};
use aws_config::SdkConfig;
use http::Method;
use serde_json::{Value, json};

use crate::signed::{self, Question};

const FUNCTIONS: &str = "/2015-03-31/functions";

/// Lambda's API.
pub struct Lambda<'a>(pub &'a SdkConfig);

/// What an event source mapping invokes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invoked {
    pub function: String,
    /// An alias, or the number of a version; `None` is the function as it was last changed (`$LATEST`).
    pub qualifier: Option<String>,
}

impl Invoked {
    /// As the mapping names it: an ARN, with a qualifier or without.
    pub fn of(mapping: &Value) -> Result<Invoked> {
        let arn = mapping["FunctionArn"].as_str().context("the mapping names no function")?;
        let mut parts = arn.split(':').skip(6).map(str::to_owned);
        let function = parts.next().with_context(|| format!("{arn} is no function's ARN"))?;
        Ok(Invoked { function, qualifier: parts.next().filter(|qualifier| qualifier != "$LATEST") })
    }

    /// The alias that is invoked, if it is one: the name of an alias is never a number.
    pub fn alias(&self) -> Option<&str> {
        self.qualifier.as_deref().filter(|qualifier| qualifier.parse::<u64>().is_err())
    }
}

impl Lambda<'_> {
    /// An event source mapping, as Lambda describes it.
    pub async fn mapping(&self, id: &str) -> Result<Value> {
        self.get("lambda:GetEventSourceMapping", &format!("/2015-03-31/event-source-mappings/{id}")).await
    }

    /// Switches an event source mapping on or off.
    pub async fn enable(&self, id: &str, enabled: bool) -> Result<Value> {
        let path = format!("/2015-03-31/event-source-mappings/{id}");
        self.put("lambda:UpdateEventSourceMapping", &path, &json!({ "Enabled": enabled })).await
    }

    /// How a function is set up: what is invoked by this qualifier, or, without one, what was last changed.
    pub async fn function(&self, name: &str, qualifier: Option<&str>) -> Result<Value> {
        let qualifier = qualifier.map_or(String::new(), |qualifier| format!("?Qualifier={qualifier}"));
        let path = format!("{FUNCTIONS}/{name}/configuration{qualifier}");
        self.get("lambda:GetFunctionConfiguration", &path).await
    }

    /// What is reserved for a function: an object, empty if nothing is.
    pub async fn concurrency(&self, name: &str) -> Result<Value> {
        let path = format!("/2019-09-30/functions/{name}/concurrency");
        self.get("lambda:GetFunctionConcurrency", &path).await
    }

    /// What the account may run at a time.
    pub async fn account(&self) -> Result<Value> {
        self.get("lambda:GetAccountSettings", "/2016-08-19/account-settings").await
    }

    /// An alias: its version, its weights and its revision.
    pub async fn alias(&self, function: &str, alias: &str) -> Result<Value> {
        self.get("lambda:GetAlias", &format!("{FUNCTIONS}/{function}/aliases/{alias}")).await
    }

    /// Points an alias at a version alone, unless somebody has changed it since `revision`.
    pub async fn point(&self, function: &str, alias: &str, version: u64, revision: &str) -> Result<Value> {
        let content = json!({
            "FunctionVersion": version.to_string(),
            "RoutingConfig": { "AdditionalVersionWeights": {} },
            "RevisionId": revision,
        });
        self.put("lambda:UpdateAlias", &format!("{FUNCTIONS}/{function}/aliases/{alias}"), &content).await
    }

    /// Every published version with its setup, and `$LATEST`.
    pub async fn versions(&self, function: &str) -> Result<Vec<Value>> {
        let (mut versions, mut marker) = (Vec::new(), None::<String>);
        loop {
            let mut query = form_urlencoded::Serializer::new(String::new());
            query.append_pair("MaxItems", "50").extend_pairs(marker.iter().map(|marker| ("Marker", marker)));
            let path = format!("{FUNCTIONS}/{function}/versions?{}", query.finish());
            let page = self.get("lambda:ListVersionsByFunction", &path).await?;
            versions.extend(page["Versions"].as_array().cloned().unwrap_or_default());
            marker = page["NextMarker"].as_str().filter(|next| !next.is_empty()).map(str::to_owned);
            if marker.is_none() {
                return Ok(versions);
            }
        }
    }

    async fn get(&self, right: &'static str, path: &str) -> Result<Value> {
        self.ask(right, Method::GET, path, String::new()).await
    }

    async fn put(&self, right: &'static str, path: &str, content: &Value) -> Result<Value> {
        self.ask(right, Method::PUT, path, content.to_string()).await
    }

    async fn ask(&self, right: &'static str, method: Method, path: &str, body: String) -> Result<Value> {
        let (service, content_type) = ("lambda", "application/json");
        let question =
            Question { right, service, region: None, method, path, content_type, wanted: None, body };
        signed::json(self.0, question).await
    }
}

/// The number of a version that is one.
pub fn number(version: &Value) -> Option<u64> {
    version.as_str()?.parse().ok()
}

/// The versions that get a share of the invocations besides the alias's own, each with its share of 1.
pub fn weights(alias: &Value) -> Vec<(u64, f64)> {
    let weights = alias["RoutingConfig"]["AdditionalVersionWeights"].as_object().into_iter().flatten();
    weights.filter_map(|(version, weight)| Some((version.parse().ok()?, weight.as_f64()?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mapping_says_which_version_it_invokes() {
        let of = |suffix: &str| {
            let arn = format!("arn:aws:lambda:eu-west-1:000000000000:function:shop{suffix}");
            let invoked = Invoked::of(&json!({ "FunctionArn": arn })).unwrap();
            assert_eq!(invoked.function, "shop");
            (invoked.qualifier.clone(), invoked.alias().map(str::to_owned))
        };
        let (live, seven) = (Some("live".to_owned()), Some("7".to_owned()));
        assert_eq!(of(":live"), (live.clone(), live));
        assert_eq!((of(":7"), of(":$LATEST"), of("")), ((seven, None), (None, None), (None, None)));
        for unknown in [json!({}), json!({ "FunctionArn": "shop" })] {
            assert!(Invoked::of(&unknown).is_err(), "{unknown}");
        }
    }
}
