//! The four requests to Lambda's API that are needed here, signed with the pieces that the SDK links anyway: its own
//! client would take longer to build than all the rest of this program.

use std::time::{Duration, UNIX_EPOCH};

use anyhow::{Context, Result, anyhow, bail};
use aws_config::SdkConfig;
use aws_credential_types::provider::ProvideCredentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use aws_smithy_runtime_api::client::http::HttpConnector;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::byte_stream::ByteStream;
use http::{Method, Request};
use order_processor::clock::Clock;
use order_processor::function::connector;
use serde_json::{Value, json};

use crate::failure;

/// A request of a person's may take so long.
const PATIENCE: Duration = Duration::from_secs(10);

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
        let doing = format!("asking Lambda for {path}");
        let answered = tokio::time::timeout(PATIENCE, self.send(method, path, content)).await;
        let (status, body) =
            answered.map_err(|_| anyhow!("{doing}: no answer in time"))?.context(doing.clone())?;
        let document: Value = serde_json::from_slice(&body).unwrap_or_default();
        match status {
            200..=299 => Ok(document),
            404 => Err(failure::not_found(
                format!("{doing}: there is none"),
                "is the stack deployed? --stack NAME",
            )),
            _ => {
                let why = ["Message", "message"].into_iter().find_map(|name| document[name].as_str());
                bail!("{doing}: {status} {}", why.unwrap_or_default())
            }
        }
    }

    async fn send(&self, method: Method, path: &str, content: Option<Value>) -> Result<(u16, Vec<u8>)> {
        let region = self.0.region().context("no AWS Region is configured")?.to_string();
        let endpoint = self.0.endpoint_url().map(str::to_owned);
        let endpoint = endpoint.unwrap_or_else(|| format!("https://lambda.{region}.amazonaws.com"));
        let body = content.map_or(String::new(), |content| content.to_string());
        let request =
            Request::builder().method(method).uri(format!("{}{path}", endpoint.trim_end_matches('/')));
        let mut request =
            request.header("content-type", "application/json").body(SdkBody::from(body.as_str()))?;
        self.sign(&mut request, &region, &body).await?;
        let request = request.try_into().map_err(|_| anyhow!("the request could not be built"))?;
        let response = connector().call(request).await.map_err(|error| anyhow!("no connection: {error}"))?;
        let status = response.status().as_u16();
        let body = ByteStream::new(response.into_body()).collect().await?.to_vec();
        Ok((status, body))
    }

    async fn sign(&self, request: &mut Request<SdkBody>, region: &str, body: &str) -> Result<()> {
        let provider = self.0.credentials_provider().context("no AWS credentials are configured")?;
        let identity = provider.provide_credentials().await?.into();
        let now = UNIX_EPOCH + Duration::from_millis(Clock::system().now().0);
        let parameters =
            v4::SigningParams::builder().identity(&identity).region(region).name("lambda").time(now);
        let parameters = parameters.settings(SigningSettings::default()).build()?.into();
        let headers =
            request.headers().iter().filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)));
        let (method, uri) = (request.method().as_str(), request.uri().to_string());
        let signable = SignableRequest::new(method, uri, headers, SignableBody::Bytes(body.as_bytes()))?;
        let (instructions, _) = sign(signable, &parameters)?.into_parts();
        instructions.apply_to_request_http1x(request);
        Ok(())
    }
}
