//! The function put together: from a [`Config`] to [`Batches`] with open connections.

use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, SdkConfig};
use aws_sdk_dynamodb::config::retry::RetryPartition;
use aws_smithy_http_client::{Connector, tls};
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector, http_client_fn,
};
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::error::display::DisplayErrorContext;
use futures_util::future::{FutureExt, join_all};

use crate::batch::Batches;
use crate::clock::Clock;
use crate::config::{Config, KeySource, PaymentConfig};
use crate::processor::Processor;
use crate::queue::Queue;
use crate::random::Random;
use crate::services::payment::{Payment, Sandbox, Stripe, StripeKey};
use crate::services::{self, Connected, World};
use crate::store::Store;

/// A connection within a region, or to Stripe, takes milliseconds; a second means that it will not come.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// The SDK's default is a second before the first retry: more than a function of 3 s can spare.
const RETRY_BACKOFF: Duration = Duration::from_millis(50);
/// The longest wait between two attempts of one request.
const RETRY_BACKOFF_MAX: Duration = Duration::from_millis(500);
/// Warming up is worth less than starting.
const WARM_UP: Duration = Duration::from_secs(1);

/// Lambda gives init 10 s; the secret must be there well before.
const SECRET: Duration = Duration::from_secs(6);

/// Why the function cannot start.
#[derive(Debug, thiserror::Error)]
#[error("STRIPE_SECRET_ARN: the secret could not be read: {0}")]
pub struct SecretError(String);

/// One pool of connections for the AWS services and the payment provider: one TLS stack, warmed once.
pub fn connector() -> SharedHttpConnector {
    let settings = HttpConnectorSettings::builder().connect_timeout(CONNECT_TIMEOUT).build();
    let connector = Connector::builder().connector_settings(settings);
    SharedHttpConnector::new(
        connector.tls_provider(tls::Provider::Rustls(tls::rustls_provider::CryptoMode::AwsLc)).build(),
    )
}

/// `connector` as the SDK wants it.
pub fn http_client(connector: SharedHttpConnector) -> SharedHttpClient {
    http_client_fn(move |_, _| connector.clone())
}

/// The SDK's configuration from the environment, as everywhere in AWS, over `connector`.
pub async fn sdk_config(connector: &SharedHttpConnector) -> SdkConfig {
    aws_config::defaults(BehaviorVersion::latest())
        .http_client(http_client(connector.clone()))
        .retry_config(retries())
        .timeout_config(TimeoutConfig::builder().connect_timeout(CONNECT_TIMEOUT).build())
        .load()
        .await
}

/// How the SDK repeats a request.
pub fn retries() -> RetryConfig {
    RetryConfig::standard()
        .with_max_attempts(3)
        .with_initial_backoff(RETRY_BACKOFF)
        .with_max_backoff(RETRY_BACKOFF_MAX)
}

/// Starts the function: reads the secret, if there is one, and opens the connections.
///
/// # Errors
/// [`SecretError`] if Stripe's key cannot be read. A failed warm-up is no error.
pub async fn start(config: Config) -> Result<Batches, SecretError> {
    let connector = connector();
    let sdk = sdk_config(&connector).await;
    warm_up(&sdk, &connector, &config).await;
    let (clock, random) = (Clock::system(), Random::from_system());
    match config.payment.clone() {
        PaymentConfig::Sandbox => Ok(assemble(config, &sdk, Sandbox, clock, random)),
        PaymentConfig::Stripe { base, key } => {
            let stripe = stripe(&sdk, connector, &base, key).await?;
            Ok(assemble(config, &sdk, stripe, clock, random))
        }
    }
}

/// A client of Stripe at `base`, with the key from where it is. One from a secret is read again once Stripe does not
/// accept it any more.
///
/// # Errors
/// [`SecretError`] if the key cannot be read now.
pub async fn stripe(
    sdk: &SdkConfig,
    connector: SharedHttpConnector,
    base: &str,
    key: KeySource,
) -> Result<Stripe, SecretError> {
    let arn = match key {
        KeySource::Plain(key) => return Ok(Stripe::new(connector, base, key)),
        KeySource::Secret(arn) => arn,
    };
    let secrets = aws_sdk_secretsmanager::Client::new(sdk);
    let key = read_secret(&secrets, &arn).await?;
    let read = move || {
        let (secrets, arn) = (secrets.clone(), arn.clone());
        async move { read_secret(&secrets, &arn).await.map_err(|error| error.to_string()) }.boxed()
    };
    Ok(Stripe::reading_again(connector, base, key, read))
}

/// Wires the parts together.
pub fn assemble<P: Payment>(
    config: Config,
    sdk: &SdkConfig,
    payment: P,
    clock: Clock,
    random: Random,
) -> Batches {
    assemble_with(config, sdk, payment, services::connected, clock, random)
}

/// The same with the steps that `connect` makes of what they reach, as with a warehouse of one's own.
pub fn assemble_with<P: Payment>(
    config: Config,
    sdk: &SdkConfig,
    payment: P,
    connect: impl FnOnce(&World<P>) -> Connected,
    clock: Clock,
    random: Random,
) -> Batches {
    let sqs = sqs_client(sdk);
    let world = World {
        payment,
        warehouse: Queue::new(sqs.clone(), &config.warehouse_queue_url),
        notifications: Queue::new(sqs.clone(), &config.notifications_queue_url),
    };
    let steps = connect(&world);
    let store = Store::new(dynamodb_client(sdk), config.table, random.clone());
    let processor = Processor::new(store, steps, config.rules, clock.clone(), random.clone());
    let dead_letters = Queue::new(sqs.clone(), config.dead_letter_queue_url);
    Batches::new(processor, dead_letters, sqs, config.order_concurrency, clock, random)
}

/// DynamoDB, with a quota of retries of its own. The SDK keeps one for the whole process unless it is given, and
/// clients side by side, as in tests, would use up each other's.
pub fn dynamodb_client(sdk: &SdkConfig) -> aws_sdk_dynamodb::Client {
    let quota = RetryPartition::custom("DynamoDB").build();
    let config = aws_sdk_dynamodb::config::Builder::from(sdk).retry_partition(quota);
    aws_sdk_dynamodb::Client::from_conf(config.build())
}

/// SQS, likewise.
pub fn sqs_client(sdk: &SdkConfig) -> aws_sdk_sqs::Client {
    let quota = RetryPartition::custom("SQS").build();
    aws_sdk_sqs::Client::from_conf(aws_sdk_sqs::config::Builder::from(sdk).retry_partition(quota).build())
}

async fn read_secret(secrets: &aws_sdk_secretsmanager::Client, arn: &str) -> Result<StripeKey, SecretError> {
    let timeouts = TimeoutConfig::builder().operation_attempt_timeout(SECRET / 3).operation_timeout(SECRET);
    let config = aws_sdk_secretsmanager::Config::builder().timeout_config(timeouts.build());
    let secret = secrets.get_secret_value().secret_id(arn).customize().config_override(config).send().await;
    let secret = secret.map_err(|error| SecretError(DisplayErrorContext(&error).to_string()))?;
    let key = secret.secret_string.ok_or_else(|| SecretError("it is not a string".to_owned()))?;
    let key = key.trim();
    if key.is_empty() || !key.chars().all(|c| c.is_ascii_graphic()) || key.starts_with('{') {
        return Err(SecretError("its string must be the API key and nothing else".to_owned()));
    }
    Ok(StripeKey(key.to_owned()))
}

/// Opens a connection to each service by a request that means nothing, so that the first order need not wait
/// for TLS. Whatever comes back is fine.
async fn warm_up(sdk: &SdkConfig, connector: &SharedHttpConnector, config: &Config) {
    let mut urls = vec![endpoint(sdk, "DynamoDB", "dynamodb"), endpoint(sdk, "SQS", "sqs")];
    if let PaymentConfig::Stripe { base, .. } = &config.payment {
        urls.push(Some(base.clone()));
    }
    let requests = urls.into_iter().flatten().filter_map(|url| {
        let request = http::Request::get(url).body(SdkBody::empty()).ok()?.try_into().ok()?;
        Some(connector.call(request))
    });
    let _ = tokio::time::timeout(WARM_UP, join_all(requests)).await;
}

fn endpoint(sdk: &SdkConfig, service_id: &str, host: &str) -> Option<String> {
    let key = aws_types::service_config::ServiceConfigKey::builder()
        .service_id(service_id)
        .env("AWS_ENDPOINT_URL")
        .profile("endpoint_url")
        .build();
    let own = key.ok().and_then(|key| sdk.service_config()?.load_config(key));
    let own = own.or_else(|| sdk.endpoint_url().map(str::to_owned));
    own.or_else(|| Some(format!("https://{host}.{}.amazonaws.com", sdk.region()?)))
}
