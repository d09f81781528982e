//! This machine: its tools, its clock.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Result;
use aws_smithy_runtime_api::client::http::HttpConnector;
use aws_smithy_types::body::SdkBody;
use order_processor::clock::{Clock, UnixMillis};
use order_processor::function::connector;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;

use crate::target::Target;

/// The tools of a deployment, with what each says of its version.
pub async fn tools() -> BTreeMap<&'static str, Option<String>> {
    let commands =
        [("sam", &["--version"][..]), ("cargo-lambda", &["lambda", "--version"]), ("aws", &["--version"])];
    let ask = |(name, arguments): (&'static str, &'static [&'static str])| async move {
        let output = tokio::process::Command::new(name).args(arguments).kill_on_drop(true).output();
        let output = tokio::time::timeout(Duration::from_secs(5), output).await.ok()?.ok()?;
        let said = String::from_utf8_lossy(&output.stdout).lines().next().map(str::to_owned);
        said.filter(|said| output.status.success() && !said.is_empty())
    };
    futures_util::future::join_all(commands.map(|command| async move { (command.0, ask(command).await) }))
        .await
        .into_iter()
        .collect()
}

/// By the `Date` of an answer that means nothing.
pub async fn clock_ahead(target: &Target) -> Result<i64> {
    let region = target.sdk().region().map_or("us-east-1".to_owned(), ToString::to_string);
    let url = target.sdk().endpoint_url().map(str::to_owned);
    let url = url.unwrap_or_else(|| format!("https://dynamodb.{region}.amazonaws.com"));
    let request = http::Request::get(url).body(SdkBody::empty())?.try_into()?;
    let answer = tokio::time::timeout(Duration::from_secs(5), connector().call(request)).await?;
    let response = answer.map_err(|error| anyhow::anyhow!("no connection: {error}"))?;
    let date = response.headers().get("date").map(|date| date.replace("GMT", "+0000")).unwrap_or_default();
    let theirs = OffsetDateTime::parse(&date, &Rfc2822)?;
    let UnixMillis(ours) = Clock::system().now();
    Ok(i64::try_from(ours)? - theirs.unix_timestamp() * 1000)
}
