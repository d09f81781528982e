//! Requests to AWS APIs of which only a few are needed, signed with the pieces that the SDK links anyway: a client of the
//! SDK for each would take longer to build than all the rest of this program.

use std::time::{Duration, UNIX_EPOCH};

use anyhow::{Context, Result, anyhow};
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
use serde_json::Value;

use crate::failure;

/// A request of a person's may take so long.
const PATIENCE: Duration = Duration::from_secs(10);

/// A request to a service's API.
pub struct Question<'a> {
    /// The right that it takes, as a policy names it.
    pub right: &'static str,
    /// As in its host name, and in the signature.
    pub service: &'static str,
    /// Of a service that has one endpoint for all Regions: where that is.
    pub region: Option<&'static str>,
    pub method: Method,
    pub path: &'a str,
    pub content_type: &'static str,
    /// What is wanted, where the API says that in a header (`X-Amz-Target`).
    pub wanted: Option<&'static str>,
    pub body: String,
}

impl Question<'_> {
    /// A question in AWS's Query protocol, whose answer is XML.
    pub fn query(service: &'static str, right: &'static str, body: String) -> Question<'static> {
        let content_type = "application/x-www-form-urlencoded";
        Question {
            right,
            service,
            region: None,
            method: Method::POST,
            path: "/",
            content_type,
            wanted: None,
            body,
        }
    }
}

/// The answer to a question in one of AWS's JSON protocols.
pub async fn json(sdk: &SdkConfig, question: Question<'_>) -> Result<Value> {
    let (right, doing) = (question.right, format!("asking {} for {}", question.service, question.right));
    let (status, answer) = ask(sdk, question).await?;
    if (200..300).contains(&status) {
        return serde_json::from_slice(&answer).with_context(|| format!("{doing}: the answer is no JSON"));
    }
    let document: Value = serde_json::from_slice(&answer).unwrap_or_default();
    let text =
        |names: [&str; 3]| names.into_iter().find_map(|name| document[name].as_str()).unwrap_or_default();
    let (code, message) = (text(["__type", "Code", "code"]), text(["Message", "message", "error"]));
    let code = code.rsplit('#').next().unwrap_or_default();
    Err(failure::refused(doing, status, code, message, right))
}

/// The status and the body of the answer.
pub async fn ask(sdk: &SdkConfig, question: Question<'_>) -> Result<(u16, Vec<u8>)> {
    let doing = format!("asking {} for {}", question.service, question.right);
    let answered = tokio::time::timeout(PATIENCE, send(sdk, question)).await;
    answered.map_err(|_| anyhow!("{doing}: no answer in time"))?.context(doing)
}

async fn send(sdk: &SdkConfig, question: Question<'_>) -> Result<(u16, Vec<u8>)> {
    let Question { service, region: global, method, path, content_type, wanted, body, .. } = question;
    let region = match global {
        Some(region) => region.to_owned(),
        None => sdk.region().context("no AWS Region is configured")?.to_string(),
    };
    let host = global.map_or(format!("{service}.{region}"), |_| service.to_owned());
    let endpoint = sdk.endpoint_url().map(str::to_owned).unwrap_or(format!("https://{host}.amazonaws.com"));
    let request = Request::builder().method(method).uri(format!("{}{path}", endpoint.trim_end_matches('/')));
    let mut request = request.header("content-type", content_type).body(SdkBody::from(body.as_str()))?;
    if let Some(wanted) = wanted {
        request.headers_mut().insert("x-amz-target", http::HeaderValue::from_static(wanted));
    }
    sign_with(sdk, &mut request, service, &region, &body).await?;
    let request = request.try_into().map_err(|_| anyhow!("the request could not be built"))?;
    let response = connector().call(request).await.map_err(|error| anyhow!("no connection: {error}"))?;
    let status = response.status().as_u16();
    let body = ByteStream::new(response.into_body()).collect().await?.to_vec();
    Ok((status, body))
}

async fn sign_with(
    sdk: &SdkConfig,
    request: &mut Request<SdkBody>,
    service: &str,
    region: &str,
    body: &str,
) -> Result<()> {
    let provider = sdk.credentials_provider().context("no AWS credentials are configured")?;
    let identity = provider.provide_credentials().await?.into();
    let now = UNIX_EPOCH + Duration::from_millis(Clock::system().now().0);
    let parameters = v4::SigningParams::builder().identity(&identity).region(region).name(service).time(now);
    let parameters = parameters.settings(SigningSettings::default()).build()?.into();
    let headers =
        request.headers().iter().filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)));
    let (method, uri) = (request.method().as_str(), request.uri().to_string());
    let signable = SignableRequest::new(method, uri, headers, SignableBody::Bytes(body.as_bytes()))?;
    let (instructions, _) = sign(signable, &parameters)?.into_parts();
    instructions.apply_to_request_http1x(request);
    Ok(())
}
