//! The four requests to Lambda's API that are needed here.

use anyhow::{Result, bail};
use aws_config::SdkConfig;
use http::Method;
use serde_json::{Value, json};

use crate::failure;
use crate::signed::{self, Question};

/// Lambda's API.
pub struct Lambda<'a>(pub &'a SdkConfig);

impl Lambda<'_> {
    /// An event source mapping, as Lambda describes it.
    pub async fn mapping(&self, id: &str) -> Result<Value> {
        self.ask(Method::GET, &format!("/2015-03-31/event-source-mappings/{id}"), None).await
    }

    /// Switches an event source mapping on or off.
    pub async fn enable(&self, id: &str, enabled: bool) -> Result<Value> {
        let path = format!("/2015-03-31/event-source-mappings/{id}");
        self.ask(Method::PUT, &path, Some(json!({ "Enabled": enabled }))).await
    }

    /// How a function is set up.
    pub async fn function(&self, name: &str) -> Result<Value> {
        self.ask(Method::GET, &format!("/2015-03-31/functions/{name}/configuration"), None).await
    }

    /// What is reserved for a function: an object, empty if nothing is.
    pub async fn concurrency(&self, name: &str) -> Result<Value> {
        self.ask(Method::GET, &format!("/2019-09-30/functions/{name}/concurrency"), None).await
    }

    async fn ask(&self, method: Method, path: &str, content: Option<Value>) -> Result<Value> {
        let body = content.map_or(String::new(), |content| content.to_string());
        let question = Question {
            service: "lambda",
            region: None,
            method,
            path,
            content_type: "application/json",
            body,
        };
        let (status, answer) = signed::ask(self.0, question).await?;
        let document: Value = serde_json::from_slice(&answer).unwrap_or_default();
        match status {
            200..=299 => Ok(document),
            404 => Err(failure::not_found(
                format!("asking lambda for {path}: there is none"),
                "is the stack deployed? --stack NAME",
            )),
            _ => {
                let why = ["Message", "message"].into_iter().find_map(|name| document[name].as_str());
                bail!("asking lambda for {path}: {status} {}", why.unwrap_or_default())
            }
        }
    }
}
