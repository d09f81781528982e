//! Logs and metrics: one wide JSON line per record and one of metrics per batch on Lambda, readable text in a terminal.

use std::io::{IsTerminal, Write};

use tracing::Subscriber;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::time::UtcTime;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, fmt};

use crate::config::Config;
use crate::metrics::Metrics;

/// Starts logging to standard output: JSON where a machine reads it, text where a person does.
pub fn start(level: &str) {
    if std::io::stdout().is_terminal() {
        let text = fmt().with_env_filter(filter(level)).with_target(false).with_timer(UtcTime::rfc_3339());
        text.init();
    } else {
        json(level, std::io::stdout).init();
    }
}

/// Lines of JSON: what an event says at the top, and the spans it happened in (invocation, record, step) in `spans`.
pub fn json<W>(level: &str, output: W) -> impl Subscriber + Send + Sync + 'static
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let lines = fmt().json().flatten_event(true).with_current_span(false).with_target(false);
    lines.with_env_filter(filter(level)).with_timer(UtcTime::rfc_3339()).with_writer(output).finish()
}

/// `level` applies to this program alone: what the SDK would tell at a lower level includes whole requests.
fn filter(level: &str) -> EnvFilter {
    EnvFilter::builder().parse_lossy(format!("warn,order_processor={level}"))
}

/// Metrics go where the log goes, for CloudWatch to find them there; a person at a terminal is spared them.
pub fn metrics(config: &Config) -> Option<Metrics> {
    if std::io::stdout().is_terminal() {
        return None;
    }
    // A log that nobody takes is no reason to fail.
    let output = |line: &str| drop(std::io::stdout().lock().write_all(line.as_bytes()));
    let metrics = Metrics::new(&config.service, &config.environment, output);
    Some(metrics.of_version(config.version.clone()))
}
