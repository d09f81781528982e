//! The function's metrics, in CloudWatch's embedded metric format: one line of JSON in the log is all it takes.
//!
//! Alarms and the dashboard of `template.yaml` refer to the names in this list; a test holds it against what is emitted.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Mutex;
use std::time::{Duration, SystemTime};

use metrique_writer_core::format::Format;
use metrique_writer_core::unit::NegativeScale;
use metrique_writer_core::{Entry, EntryWriter, MetricFlags, Observation, Value, ValueWriter};
use metrique_writer_format_emf::Emf;

use crate::clock::{UnixMillis, whole_millis};

/// The CloudWatch namespace of all of them.
pub const NAMESPACE: &str = "OrderProcessor";

/// The dimensions of every metric, and no others: an order's ID as a dimension would be a metric per order.
pub const DIMENSIONS: [&str; 2] = ["service", "environment"];

/// The dimensions of [`VERSION_METRICS`]: `version` is the number of the function's version.
pub const VERSION_DIMENSIONS: [&str; 3] = ["service", "environment", "version"];

/// What a new version is judged by while it gets a part of the messages.
///
/// `Faults` are the messages that a version did not take further: dead-lettered (invalid, conflict, stale, future), parked,
/// or failed for any reason but that another worker has the order.
pub const VERSION_METRICS: [Metric; 2] = [count("OrdersReceived"), count("Faults")];

/// One metric of the function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metric {
    /// As CloudWatch shows it.
    pub name: &'static str,
    /// What its values count.
    pub unit: Unit,
}

/// CloudWatch's units, as far as they are used here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Things or events.
    Count,
    /// A time, in milliseconds.
    Milliseconds,
}

impl Unit {
    /// As CloudWatch spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Unit::Count => "Count",
            Unit::Milliseconds => "Milliseconds",
        }
    }
}

/// Every metric.
///
/// A *redelivery* is the same message again (our timeouts or throttles), a *duplicate* is another message for the
/// same order (the producer): they have different causes, hence different metrics. `Parked` counts what is parked as it
/// happens, `ParkedOrders` says how many orders are.
pub const METRICS: [Metric; 27] = [
    count("OrdersReceived"),
    count("OrdersCompleted"),
    count("OrdersRejected"),
    count("Duplicates"),
    count("InProgress"),
    count("Conflicts"),
    count("Invalid"),
    count("Stale"),
    count("Retries"),
    count("Parked"),
    count("ParkedOrders"),
    count("Panics"),
    count("Deferred"),
    count("BatchItemFailures"),
    count("Redeliveries"),
    count("LastAttempt"),
    count("LeaseTakeovers"),
    count("LeaseLost"),
    milliseconds("EndToEndLatency"),
    milliseconds("ProcessingLatency"),
    milliseconds("ReserveInventoryLatency"),
    milliseconds("ChargePaymentLatency"),
    milliseconds("DispatchShipmentLatency"),
    milliseconds("NotifyCustomerLatency"),
    milliseconds("RefundPaymentLatency"),
    count("WriteUnits"),
    count("ColdStart"),
];

const fn count(name: &'static str) -> Metric {
    Metric { name, unit: Unit::Count }
}

const fn milliseconds(name: &'static str) -> Metric {
    Metric { name, unit: Unit::Milliseconds }
}

/// The name of the latency of a step or an undo, as `ChargePaymentLatency` of `charge_payment`.
pub fn latency_of(step: &str) -> String {
    let words = step.split('_').map(|word| {
        let (first, rest) = word.split_at(word.len().min(1));
        first.to_uppercase() + rest
    });
    words.collect::<String>() + "Latency"
}

/// How many values of one metric a line can have (Embedded Metric Format Specification), and so how many messages one
/// [`Tally`] may be about.
pub const MAX_VALUES: usize = 100;

/// What some messages of an invocation came to.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Tally {
    counts: BTreeMap<&'static str, f64>,
    times: BTreeMap<String, Vec<u64>>,
}

impl Tally {
    /// `count` more of `name`. A metric that was never counted is not told, one that was counted as none is.
    pub fn count(&mut self, name: &'static str, count: impl Into<f64>) {
        *self.counts.entry(name).or_default() += count.into();
    }

    /// One more value of the time `name`.
    pub fn time(&mut self, name: impl Into<String>, time: Duration) {
        self.times.entry(name.into()).or_default().push(whole_millis(time));
    }
}

/// Where tallies are told.
pub struct Metrics {
    service: String,
    environment: String,
    version: Option<String>,
    format: Mutex<Emf>,
    format_by_version: Mutex<Emf>,
    output: Box<dyn Fn(&str) + Send + Sync>,
}

impl Metrics {
    /// Lines for `output`, each with its line ending, with these two dimensions.
    pub fn new(
        service: impl Into<String>,
        environment: impl Into<String>,
        output: impl Fn(&str) + Send + Sync + 'static,
    ) -> Self {
        let format = |dimensions: &[&str]| {
            let dimensions = dimensions.iter().map(|name| (*name).to_owned()).collect();
            Mutex::new(Emf::all_validations(NAMESPACE.to_owned(), vec![dimensions]))
        };
        Metrics {
            service: service.into(),
            environment: environment.into(),
            version: None,
            format: format(&DIMENSIONS),
            format_by_version: format(&VERSION_DIMENSIONS),
            output: Box::new(output),
        }
    }

    /// The same, and [`Metrics::tell_by_version`] tells of this version of the function.
    pub fn of_version(self, version: Option<String>) -> Self {
        Metrics { version, ..self }
    }

    /// Tells of `tally` as one line. What cannot be told is logged, and changes nothing else.
    pub fn tell(&self, tally: &Tally, now: UnixMillis) {
        self.write(&self.format, None, tally, now);
    }

    /// Tells of `tally`, of [`VERSION_METRICS`], as one line. Where no version is known there is nothing to tell.
    pub fn tell_by_version(&self, tally: &Tally, now: UnixMillis) {
        if let Some(version) = &self.version {
            self.write(&self.format_by_version, Some(version), tally, now);
        }
    }

    fn write(&self, format: &Mutex<Emf>, version: Option<&str>, tally: &Tally, now: UnixMillis) {
        let mut line = Vec::new();
        let entry = Line { metrics: self, version, tally, now };
        let mut format = format.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        match format.format(&entry, &mut line) {
            Ok(()) => (self.output)(&String::from_utf8_lossy(&line)),
            Err(error) => tracing::error!(%error, "metrics could not be told"),
        }
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Metrics({}, {})", self.service, self.environment)
    }
}

struct Line<'a> {
    metrics: &'a Metrics,
    version: Option<&'a str>,
    tally: &'a Tally,
    now: UnixMillis,
}

impl Entry for Line<'_> {
    fn write<'a>(&'a self, writer: &mut impl EntryWriter<'a>) {
        writer.timestamp(SystemTime::UNIX_EPOCH + Duration::from_millis(self.now.0));
        writer.value(DIMENSIONS[0], &self.metrics.service);
        writer.value(DIMENSIONS[1], &self.metrics.environment);
        if let Some(version) = &self.version {
            writer.value(VERSION_DIMENSIONS[2], *version);
        }
        for (name, count) in &self.tally.counts {
            writer.value(*name, &Count(*count));
        }
        for (name, times) in &self.tally.times {
            writer.value(name.as_str(), &Times(times));
        }
    }
}

struct Count(f64);

impl Value for Count {
    fn write(&self, writer: impl ValueWriter) {
        let count = [Observation::Floating(self.0)];
        writer.metric(count, metrique_writer_core::Unit::Count, [], MetricFlags::empty());
    }
}

struct Times<'a>(&'a [u64]);

impl Value for Times<'_> {
    fn write(&self, writer: impl ValueWriter) {
        let times = self.0.iter().map(|millis| Observation::Unsigned(*millis));
        let unit = metrique_writer_core::Unit::Second(NegativeScale::Milli);
        writer.metric(times, unit, [], MetricFlags::empty());
    }
}
