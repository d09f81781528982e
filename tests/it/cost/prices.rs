//! AWS's list prices in us-east-1, in dollars, without the free tier. A month has 730 hours.
//!
//! They change, and differ by Region: `make cost` with others tells what a page with those would say.

use order_processor::metrics::{METRICS, VERSION_METRICS};

use super::usage::{Usage, count};
use crate::template::alarms::metrics_of;
use crate::template::stack::Stack;

const MILLION: f64 = 1e6;
const GB: f64 = 1024.0 * 1024.0 * 1024.0;
const MONTH_S: f64 = 730.0 * 3600.0;

// DynamoDB, on demand; storage and point-in-time recovery by GB and month.
const WRITE_UNIT: f64 = 0.625 / MILLION;
const READ_UNIT: f64 = 0.125 / MILLION;
const STORED_GB: f64 = 0.25 + 0.20;
/// A finished record, with what DynamoDB adds to each item.
const RECORD_BYTES: f64 = 1024.0;

/// SQS, a standard queue; 64 KiB are one request, and ten messages may be in one.
const SQS_REQUEST: f64 = 0.40 / MILLION;

// Lambda on arm64.
const INVOCATION: f64 = 0.20 / MILLION;
const GB_SECOND: f64 = 0.000_013_333_4;
const MEMORY_GB: f64 = 0.5;
/// The requests of one batch that wait for each other: nine at most, at 5 ms.
const OWN_S: f64 = 0.045;
/// A payment provider's answer to a charge.
const CHARGE_S: f64 = 0.7;
/// X-Ray samples one in twenty.
const TRACE: f64 = 5.0 / MILLION / 20.0;

// CloudWatch.
const LOG_GB: f64 = 0.50;
/// What it counts beside the bytes of each line.
const LINE_BYTES: f64 = 26.0;
/// What Lambda itself writes of an invocation, as JSON: its start and its report.
const PLATFORM_BYTES: f64 = 600.0;
const ALARM_METRIC: f64 = 0.10;
const COMPOSITE_ALARM: f64 = 0.50;
const METRIC: f64 = 0.30;
const DASHBOARD: f64 = 3.00;

/// A poller waits 20 s for messages, and Lambda starts five.
const EMPTY_RECEIVES: f64 = 5.0 * MONTH_S / 20.0;
/// To count the parked orders.
const COUNT_S: f64 = 0.02;

/// How a million messages are divided.
pub struct Invocations {
    pub batch: usize,
    /// How often each waits for the payment provider.
    pub rounds: usize,
    pub leaves_records: bool,
}

/// DynamoDB, SQS, Lambda, logs and a month of storage, for a million messages that take `usage` a batch.
pub fn of_million(usage: &Usage, of: Invocations) -> [f64; 5] {
    let (batch, rounds) = (count(of.batch), count(of.rounds));
    let invocations = MILLION / batch;
    let table = usage.write_units * WRITE_UNIT + usage.read_units * READ_UNIT;
    // The producer sends one by one; the poller receives and deletes ten at a time.
    let pollers = 2.0 * (batch / 10.0).ceil();
    let queues = (batch + pollers + usage.sqs_requests) * SQS_REQUEST;
    let seconds = OWN_S + rounds * CHARGE_S;
    let function = INVOCATION + seconds * MEMORY_GB * GB_SECOND + TRACE;
    let log = usage.record_bytes + usage.metric_bytes + usage.lines * LINE_BYTES + PLATFORM_BYTES;
    let stored = if of.leaves_records { MILLION * RECORD_BYTES / GB * STORED_GB } else { 0.0 };
    [
        table * invocations,
        queues * invocations,
        function * invocations,
        log / GB * LOG_GB * invocations,
        stored,
    ]
}

/// Alarms, metrics, dashboard, polling and counting, for a month.
pub fn idle(stack: &Stack) -> [f64; 5] {
    let alarms = stack.of("AWS::CloudWatch::Alarm");
    let alarms = count(alarms.map(|(_, alarm)| metrics_of(alarm).len()).sum());
    let composites = count(stack.of("AWS::CloudWatch::CompositeAlarm").count());
    let dashboards = count(stack.of("AWS::CloudWatch::Dashboard").count());
    let counts: f64 =
        stack.of("AWS::Scheduler::Schedule").chain(stack.of("AWS::Events::Rule")).map(per_month).sum();
    let counting = INVOCATION + COUNT_S * MEMORY_GB * GB_SECOND + PLATFORM_BYTES / GB * LOG_GB;
    let metrics = count(METRICS.len() + VERSION_METRICS.len());
    [
        alarms * ALARM_METRIC + composites * COMPOSITE_ALARM,
        metrics * METRIC,
        dashboards * DASHBOARD,
        EMPTY_RECEIVES * SQS_REQUEST,
        counts * counting,
    ]
}

fn per_month((id, schedule): (&str, &serde_json::Value)) -> f64 {
    match schedule["ScheduleExpression"].as_str() {
        Some("rate(1 minute)") => MONTH_S / 60.0,
        Some("rate(5 minutes)") => MONTH_S / 300.0,
        other => panic!("how often is {id} in a month? {other:?}"),
    }
}
