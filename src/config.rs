//! Every environment variable, named once.
//!
//! Read before anything else, so that a wrong one stops the start with one line.

pub mod descriptors;

use std::time::Duration;

use crate::delivery::Rules;
use crate::services::payment::StripeKey;

/// The names of the variables, as the template must set them.
pub mod name {
    /// The table of orders and stock.
    pub const ORDERS_TABLE: &str = "ORDERS_TABLE";
    /// Where messages go that will never be orders.
    pub const DEAD_LETTER_QUEUE_URL: &str = "DEAD_LETTER_QUEUE_URL";
    /// Where shipments are ordered.
    pub const WAREHOUSE_QUEUE_URL: &str = "WAREHOUSE_QUEUE_URL";
    /// Where customers are told how their orders ended.
    pub const NOTIFICATIONS_QUEUE_URL: &str = "NOTIFICATIONS_QUEUE_URL";
    /// `sandbox` or `stripe`.
    pub const PAYMENT_PROVIDER: &str = "PAYMENT_PROVIDER";
    /// Where Stripe's API is.
    pub const STRIPE_API_BASE: &str = "STRIPE_API_BASE";
    /// The secret in Secrets Manager that is Stripe's API key.
    pub const STRIPE_SECRET_ARN: &str = "STRIPE_SECRET_ARN";
    /// Stripe's API key itself, for local runs.
    pub const STRIPE_API_KEY: &str = "STRIPE_API_KEY";
    /// How long answers are kept.
    pub const RETENTION_DAYS: &str = "RETENTION_DAYS";
    /// The age beyond which an order is not claimed as new.
    pub const MAX_ORDER_AGE_DAYS: &str = "MAX_ORDER_AGE_DAYS";
    /// The queue's `maxReceiveCount`.
    pub const MAX_RECEIVE_COUNT: &str = "MAX_RECEIVE_COUNT";
    /// From Lambda's deadline to the end of the lease.
    pub const LEASE_GRACE_MS: &str = "LEASE_GRACE_MS";
    /// How many orders of one batch are in flight at once.
    pub const ORDER_CONCURRENCY: &str = "ORDER_CONCURRENCY";
    /// The dimension `service` of the metrics.
    pub const SERVICE: &str = "SERVICE";
    /// The dimension `environment` of the metrics.
    pub const ENVIRONMENT: &str = "ENVIRONMENT";

    /// All of them.
    pub const ALL: [&str; 15] = [
        ORDERS_TABLE,
        DEAD_LETTER_QUEUE_URL,
        WAREHOUSE_QUEUE_URL,
        NOTIFICATIONS_QUEUE_URL,
        PAYMENT_PROVIDER,
        STRIPE_API_BASE,
        STRIPE_SECRET_ARN,
        STRIPE_API_KEY,
        RETENTION_DAYS,
        MAX_ORDER_AGE_DAYS,
        MAX_RECEIVE_COUNT,
        LEASE_GRACE_MS,
        ORDER_CONCURRENCY,
        SERVICE,
        ENVIRONMENT,
    ];
}

const DAY: Duration = Duration::from_secs(24 * 3600);

/// What the function is told by its environment.
#[derive(Debug, Clone)]
pub struct Config {
    /// The table of orders and stock.
    pub table: String,
    /// Where messages go that will never be orders.
    pub dead_letter_queue_url: String,
    /// Where shipments are ordered.
    pub warehouse_queue_url: String,
    /// Where customers are told how their orders ended.
    pub notifications_queue_url: String,
    /// Who charges.
    pub payment: PaymentConfig,
    /// Retention, age, receives, grace.
    pub rules: Rules,
    /// How many orders of one batch are in flight at once.
    pub order_concurrency: usize,
    /// The dimension `service` of the metrics, 1-64 of `[A-Za-z0-9_-]`.
    pub service: String,
    /// The dimension `environment` of the metrics, likewise.
    pub environment: String,
    /// The least level that is logged: Lambda's own setting.
    pub log_level: String,
    /// The number of this version of the function, or `$LATEST`: Lambda's own word.
    pub version: Option<String>,
}

/// The payment provider and how to reach it.
#[derive(Debug, Clone)]
pub enum PaymentConfig {
    /// No money moves.
    Sandbox,
    /// Stripe.
    Stripe {
        /// Where its API is.
        base: String,
        /// Where its key is.
        key: KeySource,
    },
}

/// Where Stripe's API key comes from.
#[derive(Debug, Clone)]
pub enum KeySource {
    /// Read from Secrets Manager, and again when it is accepted no more.
    Secret(String),
    /// From the environment.
    Plain(StripeKey),
}

/// A variable that is missing or malformed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{variable}: {found}; accepted: {accepted}")]
pub struct ConfigError {
    variable: &'static str,
    found: String,
    accepted: String,
}

/// Looks a variable up by its name.
pub type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;

impl Config {
    /// Reads the environment of this process.
    ///
    /// # Errors
    /// [`ConfigError`] names the first variable that is wrong, what was found and what is accepted.
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
    pub fn from_env() -> Result<Config, ConfigError> {
        let lookup = |name: &str| std::env::var_os(name).map(|value| value.to_string_lossy().into_owned());
        let config = Config::read(&lookup)?;
        // Lambda sets it, and whatever stands in for Lambda; the runtime would panic without it.
        required(&lookup, "AWS_LAMBDA_RUNTIME_API", "what Lambda, or cargo lambda watch, sets")?;
        Ok(config)
    }

    /// Reads the variables from `lookup`.
    ///
    /// # Errors
    /// [`ConfigError`] names the first variable that is wrong, what was found and what is accepted.
    pub fn read(lookup: Lookup<'_>) -> Result<Config, ConfigError> {
        let retention_days = number(lookup, name::RETENTION_DAYS, 30, 1, 3650)?;
        let order_age_days = number(lookup, name::MAX_ORDER_AGE_DAYS, 21, 1, 3649)?;
        if order_age_days >= retention_days {
            return Err(ConfigError {
                variable: name::MAX_ORDER_AGE_DAYS,
                found: format!("{order_age_days} found"),
                accepted: format!("less than {}, which is {retention_days}", name::RETENTION_DAYS),
            });
        }
        Ok(Config {
            table: table(lookup)?,
            dead_letter_queue_url: url(lookup, name::DEAD_LETTER_QUEUE_URL)?,
            warehouse_queue_url: url(lookup, name::WAREHOUSE_QUEUE_URL)?,
            notifications_queue_url: url(lookup, name::NOTIFICATIONS_QUEUE_URL)?,
            payment: payment(lookup)?,
            rules: Rules {
                retention: DAY * retention_days,
                max_order_age: DAY * order_age_days,
                max_receive_count: number(lookup, name::MAX_RECEIVE_COUNT, 20, 1, 1000)?,
                lease_grace: Duration::from_millis(
                    number(lookup, name::LEASE_GRACE_MS, 5000, 0, 900_000)?.into(),
                ),
            },
            order_concurrency: number(lookup, name::ORDER_CONCURRENCY, 64, 1, 10_000)? as usize,
            service: dimension(lookup, name::SERVICE, "order-processor")?,
            environment: dimension(lookup, name::ENVIRONMENT, "dev")?,
            log_level: set(lookup, "AWS_LAMBDA_LOG_LEVEL").unwrap_or_else(|| "info".to_owned()),
            version: set(lookup, "AWS_LAMBDA_FUNCTION_VERSION"),
        })
    }
}

fn payment(lookup: Lookup<'_>) -> Result<PaymentConfig, ConfigError> {
    const ACCEPTED: &str = "sandbox or stripe";
    let provider = required(lookup, name::PAYMENT_PROVIDER, ACCEPTED)?;
    let base = match set(lookup, name::STRIPE_API_BASE) {
        Some(_) => url(lookup, name::STRIPE_API_BASE)?,
        None => "https://api.stripe.com".to_owned(),
    };
    let key = key(lookup)?;
    match (provider.as_str(), key) {
        ("sandbox", _) => Ok(PaymentConfig::Sandbox),
        ("stripe", Some(key)) => Ok(PaymentConfig::Stripe { base, key }),
        ("stripe", None) => Err(missing(name::STRIPE_SECRET_ARN, KEY_ACCEPTED)),
        (other, _) => Err(malformed(name::PAYMENT_PROVIDER, other, ACCEPTED)),
    }
}

const KEY_ACCEPTED: &str = "the ARN of a secret, arn:aws:secretsmanager:REGION:ACCOUNT:secret:NAME (or, for local runs, STRIPE_API_KEY)";

/// Neither is ever shown: somebody may have put the key where the ARN belongs.
fn key(lookup: Lookup<'_>) -> Result<Option<KeySource>, ConfigError> {
    let hidden = |variable, found: &str, accepted: &str| ConfigError {
        variable,
        found: format!("{found} found, which is not shown"),
        accepted: accepted.to_owned(),
    };
    if let Some(arn) = set(lookup, name::STRIPE_SECRET_ARN) {
        let parts: Vec<&str> = arn.split(':').collect();
        return match parts[..] {
            ["arn", _, "secretsmanager", _, _, "secret", secret, ..] if !secret.is_empty() => {
                Ok(Some(KeySource::Secret(arn)))
            }
            _ => Err(hidden(name::STRIPE_SECRET_ARN, "something else", KEY_ACCEPTED)),
        };
    }
    match set(lookup, name::STRIPE_API_KEY) {
        Some(key) if key.chars().all(|c| c.is_ascii_graphic()) => Ok(Some(KeySource::Plain(StripeKey(key)))),
        Some(_) => {
            Err(hidden(name::STRIPE_API_KEY, "a value with white space or control characters", "an API key"))
        }
        None => Ok(None),
    }
}

fn table(lookup: Lookup<'_>) -> Result<String, ConfigError> {
    const ACCEPTED: &str = "the name of a DynamoDB table, 3-255 of [A-Za-z0-9_.-]";
    let table = required(lookup, name::ORDERS_TABLE, ACCEPTED)?;
    match made_of(&table, "_.-") && (3..=255).contains(&table.len()) {
        true => Ok(table),
        false => Err(malformed(name::ORDERS_TABLE, &table, ACCEPTED)),
    }
}

/// CloudWatch accepts more, but alarms and the dashboard have to name the same value.
fn dimension(lookup: Lookup<'_>, variable: &'static str, unset: &str) -> Result<String, ConfigError> {
    const ACCEPTED: &str = "1-64 of [A-Za-z0-9_-]";
    let value = lookup(variable).unwrap_or_else(|| unset.to_owned());
    match made_of(&value, "_-") && (1..=64).contains(&value.len()) {
        true => Ok(value),
        false => Err(malformed(variable, &value, ACCEPTED)),
    }
}

fn made_of(text: &str, besides: &str) -> bool {
    text.chars().all(|c| c.is_ascii_alphanumeric() || besides.contains(c))
}

fn url(lookup: Lookup<'_>, variable: &'static str) -> Result<String, ConfigError> {
    const ACCEPTED: &str = "an http:// or https:// URL";
    let url = required(lookup, variable, ACCEPTED)?;
    let parsed: Option<http::Uri> = url.parse().ok();
    // A port that is no number up to 65535 is told only by the port that is missing.
    let whole = |uri: &&http::Uri| {
        let host = uri.host().unwrap_or_default();
        let bare = uri.authority().is_some_and(|authority| authority.as_str().ends_with(host));
        !host.is_empty() && (bare || uri.port_u16().is_some())
    };
    let scheme = parsed.as_ref().filter(whole).and_then(|uri| uri.scheme_str());
    match scheme {
        Some("http" | "https") => Ok(url),
        _ => Err(malformed(variable, &url, ACCEPTED)),
    }
}

fn number(
    lookup: Lookup<'_>,
    variable: &'static str,
    unset: u32,
    least: u32,
    most: u32,
) -> Result<u32, ConfigError> {
    let Some(text) = lookup(variable) else { return Ok(unset) };
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    match text.parse() {
        Ok(number) if digits && (least..=most).contains(&number) => Ok(number),
        _ => Err(malformed(variable, &text, &format!("an integer from {least} to {most}"))),
    }
}

fn set(lookup: Lookup<'_>, variable: &str) -> Option<String> {
    lookup(variable).filter(|value| !value.is_empty())
}

fn required(lookup: Lookup<'_>, variable: &'static str, accepted: &str) -> Result<String, ConfigError> {
    set(lookup, variable).ok_or_else(|| missing(variable, accepted))
}

fn missing(variable: &'static str, accepted: &str) -> ConfigError {
    ConfigError { variable, found: "missing or empty".to_owned(), accepted: accepted.to_owned() }
}

fn malformed(variable: &'static str, found: &str, accepted: &str) -> ConfigError {
    ConfigError { variable, found: format!("{found:?} found"), accepted: accepted.to_owned() }
}

#[cfg(test)]
mod tests;
