//! Which table and queues are meant, and how to reach them.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use aws_config::retry::RetryConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_dynamodb::config::Credentials;
use aws_sdk_sqs::types::QueueAttributeName;
use order_processor::config::name;
use order_processor::function::{connector, http_client};
use order_processor::local::aws::REGION;

use serde_json::Value;

use crate::cli::TargetOptions;
use crate::environment::{self, variable};
use crate::failure;

/// The names of the stack's outputs.
mod output {
    pub const ORDERS_TABLE: &str = "OrdersTableName";
    pub const ORDERS_QUEUE: &str = "OrdersQueueUrl";
    pub const DEAD_LETTER_QUEUE: &str = "DeadLetterQueueUrl";
    pub const MAPPING: &str = "EventSourceMappingId";
}

/// A stack, as CloudFormation describes it.
pub struct Stack {
    pub name: String,
    /// Such as `UPDATE_IN_PROGRESS`.
    pub status: String,
}

const ORDERS_QUEUE_URL: &str = "ORDERS_QUEUE_URL";
/// What the local stack calls its table and its queue.
const DEFAULT_NAME: &str = "orders";

/// Anything of these says that somebody has set AWS up.
const AWS_SETUP: [&str; 6] = [
    "AWS_PROFILE",
    "AWS_ACCESS_KEY_ID",
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
];
const CREDENTIALS: [&str; 2] = ["AWS_ACCESS_KEY_ID", "AWS_PROFILE"];

/// A person waits: the SDK's default of a second before the first retry is long.
const RETRY_BACKOFF: Duration = Duration::from_millis(50);

/// Where the orders are.
pub struct Target {
    sdk: SdkConfig,
    /// The table of orders and stock.
    pub table: String,
    queue_url: Option<String>,
    dead_letter_queue_url: Option<String>,
    mapping_id: Option<String>,
    stack: Option<Stack>,
}

impl Target {
    /// From the options, else the environment, else the names of the local stack.
    pub async fn resolve(options: &TargetOptions) -> Result<Target> {
        let sdk = sdk_config(options).await?;
        let (stack, mut outputs) = match &options.stack {
            Some(stack) => described(&sdk, stack).await.map(|(stack, outputs)| (Some(stack), outputs))?,
            None => (None, BTreeMap::new()),
        };
        if let Some(stack) = &options.stack
            && let Some(missing) =
                [output::ORDERS_TABLE, output::ORDERS_QUEUE].iter().find(|name| !outputs.contains_key(**name))
        {
            bail!(
                "the stack {stack} has no output {missing}\nis it a stack of this project's template.yaml?"
            );
        }
        // A stack was asked for by name: what the environment says is about something else.
        let from_environment = |name: &str| if options.stack.is_some() { None } else { variable(name) };
        let table = options.table.clone().or_else(|| outputs.remove(output::ORDERS_TABLE));
        let queue = options.queue_url.clone().or_else(|| outputs.remove(output::ORDERS_QUEUE));
        Ok(Target {
            table: table
                .or_else(|| from_environment(name::ORDERS_TABLE))
                .unwrap_or_else(|| DEFAULT_NAME.into()),
            queue_url: queue.or_else(|| from_environment(ORDERS_QUEUE_URL)),
            dead_letter_queue_url: options
                .dlq_url
                .clone()
                .or_else(|| outputs.remove(output::DEAD_LETTER_QUEUE))
                .or_else(|| from_environment(name::DEAD_LETTER_QUEUE_URL)),
            mapping_id: outputs.remove(output::MAPPING),
            stack,
            sdk,
        })
    }

    /// A client for the table.
    pub fn dynamodb(&self) -> aws_sdk_dynamodb::Client {
        aws_sdk_dynamodb::Client::new(&self.sdk)
    }

    /// How AWS is reached.
    pub fn sdk(&self) -> &SdkConfig {
        &self.sdk
    }

    /// The stack, if one was named.
    pub fn stack(&self) -> Option<&Stack> {
        self.stack.as_ref()
    }

    /// The ID of the event source mapping between the stack's queue and its function.
    pub fn mapping_id(&self) -> Option<&str> {
        self.mapping_id.as_deref()
    }

    /// A client for the queues.
    pub fn sqs(&self) -> aws_sdk_sqs::Client {
        aws_sdk_sqs::Client::new(&self.sdk)
    }

    /// The name of whose credentials these are, if AWS tells.
    pub async fn caller(&self) -> Option<String> {
        let identity = aws_sdk_sts::Client::new(&self.sdk).get_caller_identity().send().await.ok()?;
        identity.arn.map(|arn| arn.rsplit('/').next().unwrap_or(&arn).to_owned())
    }

    /// The URL of the queue of order messages.
    pub async fn orders_queue(&self) -> Result<String> {
        if let Some(url) = &self.queue_url {
            return Ok(url.clone());
        }
        let found = self.sqs().get_queue_url().queue_name(DEFAULT_NAME).send().await;
        let found = found.map_err(|error| failure::aws("looking for the queue named orders", error))?;
        found.queue_url.context("the queue named orders has no URL")
    }

    /// The URL of the dead-letter queue of the orders: as named, else where the queue of orders sends what it gives up.
    pub async fn dead_letter_queue(&self) -> Result<String> {
        if let Some(url) = &self.dead_letter_queue_url {
            return Ok(url.clone());
        }
        let request = self.sqs().get_queue_attributes().queue_url(self.orders_queue().await?);
        let found = request.attribute_names(QueueAttributeName::RedrivePolicy).send().await;
        let found = found.map_err(|error| failure::aws("reading the queue of orders", error))?;
        let policy = found.attributes.and_then(|mut all| all.remove(&QueueAttributeName::RedrivePolicy));
        let policy: Option<Value> = policy.and_then(|policy| serde_json::from_str(&policy).ok());
        let arn = policy.as_ref().and_then(|policy| policy["deadLetterTargetArn"].as_str());
        let Some(name) = arn.and_then(|arn| arn.rsplit(':').next()) else {
            return Err(failure::not_found(
                "the queue of orders has no dead-letter queue",
                "name it: --dlq-url URL",
            ));
        };
        let found = self.sqs().get_queue_url().queue_name(name).send().await;
        let found =
            found.map_err(|error| failure::aws(format!("looking for the queue named {name}"), error))?;
        found.queue_url.with_context(|| format!("the queue named {name} has no URL"))
    }
}

async fn sdk_config(options: &TargetOptions) -> Result<SdkConfig> {
    let endpoint = options.endpoint.clone().or_else(|| variable("AWS_ENDPOINT_URL"));
    if endpoint.is_none() && !is_aws_set_up() {
        bail!(
            "no endpoint is given and no AWS configuration is found\n\
             start a local stack with `make dev` and pass the endpoint it prints with --endpoint, \
             or set AWS_PROFILE and AWS_REGION"
        );
    }
    let retries = RetryConfig::standard().with_initial_backoff(RETRY_BACKOFF);
    let mut loader = aws_config::defaults(BehaviorVersion::latest())
        .http_client(http_client(connector()))
        .retry_config(retries);
    if let Some(endpoint) = &options.endpoint {
        loader = loader.endpoint_url(endpoint);
    }
    // A newcomer needs no AWS setup, and real credentials are never shown to a local server.
    if endpoint.as_deref().is_some_and(is_loopback) && !environment::any(&CREDENTIALS) {
        loader = loader.credentials_provider(Credentials::new("local", "local", None, None, "orderctl"));
        if !environment::any(&["AWS_REGION", "AWS_DEFAULT_REGION"]) {
            loader = loader.region(Region::from_static(REGION));
        }
    }
    let sdk = loader.load().await;
    if sdk.region().is_none() {
        bail!("no AWS Region is configured\nset AWS_REGION, or AWS_PROFILE to a profile that has one");
    }
    Ok(sdk)
}

fn is_aws_set_up() -> bool {
    let home = variable("HOME").unwrap_or_default();
    let file = |name| variable(name).unwrap_or_default();
    environment::any(&AWS_SETUP)
        || [file("AWS_CONFIG_FILE"), format!("{home}/.aws/config"), format!("{home}/.aws/credentials")]
            .iter()
            .any(|path| std::path::Path::new(path).is_file())
}

fn is_loopback(endpoint: &str) -> bool {
    let uri: Option<http::Uri> = endpoint.parse().ok();
    let host = uri.as_ref().and_then(http::Uri::host).unwrap_or_default();
    let address = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

/// The stack and its outputs.
async fn described(sdk: &SdkConfig, stack: &str) -> Result<(Stack, BTreeMap<String, String>)> {
    let client = aws_sdk_cloudformation::Client::new(sdk);
    let answer = client.describe_stacks().stack_name(stack).send().await;
    let answer = match answer {
        Ok(answer) => answer,
        Err(error) if is_unknown_stack(&error) => {
            return Err(failure::not_found(
                format!("there is no stack {stack} in this account and Region"),
                "which there are: aws cloudformation list-stacks; deploy one with `make deploy`",
            ));
        }
        Err(error) => return Err(failure::aws(format!("reading the stack {stack}"), error)),
    };
    let found = answer.stacks.unwrap_or_default().into_iter().next();
    let status = found.as_ref().and_then(|found| found.stack_status.as_ref()).map(ToString::to_string);
    let outputs = found.and_then(|found| found.outputs).unwrap_or_default().into_iter();
    let outputs = outputs.filter_map(|output| Some((output.output_key?, output.output_value?))).collect();
    Ok((Stack { name: stack.to_owned(), status: status.unwrap_or_default() }, outputs))
}

/// CloudFormation has no code of its own for this.
fn is_unknown_stack<E, R>(error: &aws_sdk_cloudformation::error::SdkError<E, R>) -> bool
where
    E: aws_sdk_cloudformation::error::ProvideErrorMetadata,
{
    use aws_sdk_cloudformation::error::ProvideErrorMetadata;
    error.message().is_some_and(|message| message.contains("does not exist"))
}

#[cfg(test)]
mod tests {
    use super::is_loopback;

    #[test]
    fn only_this_machine_is_loopback() {
        for local in
            ["http://localhost:4566", "http://127.0.0.1:1", "http://127.9.9.9", "https://[::1]:8000/x"]
        {
            assert!(is_loopback(local), "{local}");
        }
        for remote in ["http://10.0.0.1", "https://sqs.eu-west-1.amazonaws.com", "localhost.example", ""] {
            assert!(!is_loopback(remote), "{remote}");
        }
    }
}
