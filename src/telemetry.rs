//! Logs: one wide JSON line per record on Lambda, readable text in a terminal.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::time::UtcTime;

/// Starts logging to standard output: JSON where a machine reads it, text where a person does.
///
/// `level` applies to this program alone: what the SDK would tell at a lower level includes whole requests.
pub fn start(level: &str) {
    let filter = EnvFilter::builder().parse_lossy(format!("warn,order_processor={level}"));
    let logs = tracing_subscriber::fmt().with_env_filter(filter).with_target(false);
    let time = UtcTime::rfc_3339();
    if std::io::stdout().is_terminal() {
        logs.with_timer(time).init();
    } else {
        logs.with_timer(time)
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .with_span_list(false)
            .init();
    }
}
