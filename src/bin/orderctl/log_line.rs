//! The function's log lines, read.

use order_processor::clock::UnixMillis;
use serde::Deserialize;

use crate::report::order_or_none;

/// The line of one record: the fields that are looked at.
#[derive(Debug, Clone, Deserialize)]
pub struct RecordLine {
    #[serde(default)]
    pub timestamp: String,
    pub outcome: String,
    pub order_id: Option<String>,
    pub receive_count: Option<u64>,
    #[serde(default)]
    pub took_over: bool,
    #[serde(default)]
    pub deleted: bool,
    pub latency_ms: Option<u64>,
    pub result: Option<String>,
    pub detail: Option<String>,
}

/// The lines about an order in a log, in its order.
pub fn of_order(log: &str, id: &str) -> Vec<RecordLine> {
    let lines = log.lines().filter_map(RecordLine::read);
    lines.filter(|line| line.order_id.as_deref() == Some(id)).collect()
}

/// Whether it is a line of metrics, which says nothing to people.
pub fn is_of_metrics(line: &str) -> bool {
    serde_json::from_str::<serde_json::Value>(line).is_ok_and(|line| line.get("_aws").is_some())
}

impl RecordLine {
    /// When it was written.
    pub fn at(&self) -> Option<UnixMillis> {
        let moment =
            time::OffsetDateTime::parse(&self.timestamp, &time::format_description::well_known::Rfc3339)
                .ok()?;
        u64::try_from(moment.unix_timestamp_nanos() / 1_000_000).ok().map(UnixMillis)
    }

    /// The line as JSON, unless it is about something else than a record.
    pub fn read(line: &str) -> Option<RecordLine> {
        serde_json::from_str(line).ok()
    }

    /// The line for people.
    pub fn text(&self) -> String {
        let time = self.timestamp.get(11..23).unwrap_or_default();
        let order = order_or_none(self.order_id.as_deref());
        let mut text = format!("{time}  {:<11}  {order}", self.outcome);
        if self.took_over {
            text += "  taken over";
        }
        if let Some(receives) = self.receive_count.filter(|receives| *receives > 1) {
            text += &format!("  receive {receives}");
        }
        if let Some(millis) = self.latency_ms {
            text += &format!("  {millis} ms");
        }
        for more in [&self.result, &self.detail].into_iter().flatten() {
            text += "  ";
            text += more;
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::{RecordLine, is_of_metrics};

    #[test]
    fn a_record_line_is_told_in_one_line_and_others_are_left_alone() {
        let line = r#"{"timestamp":"2026-11-24T01:00:01.123456Z","level":"INFO","message":"record",
            "outcome":"duplicate","order_id":"ord-1","receive_count":2,"latency_ms":7,"deleted":true,"result":"{}"}"#;
        let text = RecordLine::read(line).unwrap().text();
        assert_eq!(text, "01:00:01.123  duplicate    ord-1  receive 2  7 ms  {}");
        assert!(RecordLine::read("thread panicked").is_none());
        assert!(!is_of_metrics("thread panicked") && !is_of_metrics(line));
        assert!(is_of_metrics(r#"{"_aws":{"Timestamp":1}}"#));
        assert!(RecordLine::read(r#"{"level":"WARN","message":"slow"}"#).is_none());
    }
}
