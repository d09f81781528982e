//! What every alarm is, field by field: the other spelling of the template, against which it is held.

/// Who is told.
#[derive(Clone, Copy)]
pub enum Tells {
    /// Somebody is called: an order or its shipment is late, lost, or waits for a person.
    Pages,
    /// It can wait until the morning, or is part of what calls somebody.
    Warns,
}

/// What a metric is of.
#[derive(Clone, Copy)]
pub enum Of {
    /// This function, by the dimensions of its own metrics.
    Ours,
    /// A queue, by its name after the stack's.
    Queue(&'static str),
    Function,
    Table,
    /// The version that was deployed last, by our metrics of versions.
    OurVersion,
    /// The same, as Lambda counts it.
    FunctionVersion,
}

/// A metric, and how it is gathered.
#[derive(Clone, Copy)]
pub struct Metric {
    /// In an expression; a metric without one stands alone.
    pub id: &'static str,
    pub name: &'static str,
    pub of: Of,
    pub statistic: &'static str,
    /// In seconds.
    pub period: i64,
}

/// What must be exceeded.
#[derive(Clone, Copy)]
pub enum Above {
    Number(i64),
    Parameter(&'static str),
    /// Of the timeout, which is in seconds, in milliseconds.
    PercentOfTimeout(i64),
}

/// When the alarm is there, beside `Monitoring`.
#[derive(Clone, Copy, PartialEq)]
pub enum When {
    Always,
    Capped,
}

/// One alarm.
#[derive(Clone)]
pub struct Row {
    /// Its logical ID.
    pub alarm: &'static str,
    /// Its name after the stack's.
    pub name: &'static str,
    pub tells: Tells,
    pub above: Above,
    /// So many periods of so many.
    pub periods: [i64; 2],
    pub metrics: Vec<Metric>,
    /// With the names of parameters in braces; empty for a metric that stands alone.
    pub expression: &'static str,
    /// The page, where it is not named as the alarm is.
    pub page: &'static str,
    pub when: When,
}

impl Row {
    fn computed(self, expression: &'static str) -> Row {
        Row { expression, ..self }
    }

    fn on_page(self, page: &'static str) -> Row {
        Row { page, ..self }
    }

    fn only(self, when: When) -> Row {
        Row { when, ..self }
    }
}

fn row(
    alarm: &'static str,
    name: &'static str,
    tells: Tells,
    above: Above,
    periods: [i64; 2],
    metrics: &[Metric],
) -> Row {
    let (metrics, when) = (metrics.to_vec(), When::Always);
    Row { alarm, name, tells, above, periods, metrics, expression: "", page: name, when }
}

const fn of(of: Of, id: &'static str, name: &'static str, statistic: &'static str, period: i64) -> Metric {
    Metric { id, name, of, statistic, period }
}

/// A count of the function's own, for a minute.
const fn ours(id: &'static str, name: &'static str) -> Metric {
    of(Of::Ours, id, name, "Sum", 60)
}

/// Of the function, as Lambda counts it, for a minute.
const fn lambda(id: &'static str, name: &'static str, statistic: &'static str) -> Metric {
    of(Of::Function, id, name, statistic, 60)
}

const VISIBLE: &str = "ApproximateNumberOfMessagesVisible";
const HIDDEN: &str = "ApproximateNumberOfMessagesNotVisible";
const AGE: &str = "ApproximateAgeOfOldestMessage";

/// The share of messages above a volume below which there is no share.
macro_rules! share_of_many {
    ($part:literal) => {
        concat!("IF(received > {RateVolumeFloor}, 100 * FILL(", $part, ", 0) / received, 0)")
    };
}

const NONE_TAKEN: &str = "IF(FILL(waiting, 0) + FILL(hidden, 0) > 0 AND FILL(deleted, 0) == 0, 1, 0)";

fn none_taken(queue: &'static str) -> [Metric; 3] {
    [
        of(Of::Queue(queue), "waiting", VISIBLE, "Maximum", 3600),
        of(Of::Queue(queue), "hidden", HIDDEN, "Maximum", 3600),
        of(Of::Queue(queue), "deleted", "NumberOfMessagesDeleted", "Sum", 3600),
    ]
}

/// All of them.
#[rustfmt::skip] // a table
pub fn rows() -> Vec<Row> {
    use Above::{Number, Parameter, PercentOfTimeout};
    use Of::{Ours, Queue, Table};
    use Of::{FunctionVersion, OurVersion};
    use Tells::{Pages, Warns};
    vec![
        // Queues.
        row("OrdersDeadLettersAlarm", "dead-letters", Pages, Number(0), [1, 1], &[of(Queue("orders-dead-letters"), "", VISIBLE, "Maximum", 60)]),
        row("NewDeadLettersAlarm", "new-dead-letters", Pages, Number(0), [1, 1], &[of(Queue("orders-dead-letters"), "letters", VISIBLE, "Maximum", 60)]).computed("DIFF(letters)").on_page("dead-letters"),
        row("WarehouseDeadLettersAlarm", "warehouse-dead-letters", Pages, Number(0), [1, 1], &[of(Queue("warehouse-dead-letters"), "", VISIBLE, "Maximum", 60)]),
        row("NotificationsDeadLettersAlarm", "notifications-dead-letters", Pages, Number(0), [1, 1], &[of(Queue("notifications-dead-letters"), "", VISIBLE, "Maximum", 60)]),
        row("InFlightAlarm", "in-flight", Pages, Number(96_000), [1, 1], &[of(Queue("orders"), "", HIDDEN, "Maximum", 60)]),
        row("OldestMessageAlarm", "oldest-message", Warns, Parameter("OldestMessageSeconds"), [3, 5], &[of(Queue("orders"), "", AGE, "Maximum", 60)]),
        row("WarehouseOldestMessageAlarm", "warehouse-oldest-message", Pages, Parameter("OutputAgeSeconds"), [3, 5], &[of(Queue("warehouse"), "", AGE, "Maximum", 60)]),
        row("NotificationsOldestMessageAlarm", "notifications-oldest-message", Pages, Parameter("OutputAgeSeconds"), [3, 5], &[of(Queue("notifications"), "", AGE, "Maximum", 60)]),
        row("WarehouseStuckAlarm", "warehouse-stuck", Pages, Number(0), [24, 24], &none_taken("warehouse")).computed(NONE_TAKEN).on_page("warehouse-oldest-message"),
        row("NotificationsStuckAlarm", "notifications-stuck", Pages, Number(0), [24, 24], &none_taken("notifications")).computed(NONE_TAKEN).on_page("notifications-oldest-message"),
        // Messages.
        row("RetryRateWarningAlarm", "retry-rate-warning", Warns, Parameter("RetryRateWarningPercent"), [3, 5], &[ours("redeliveries", "Redeliveries"), ours("received", "OrdersReceived")]).computed(share_of_many!("redeliveries")).on_page("retry-rate"),
        row("RetryRateAlarm", "retry-rate", Warns, Parameter("RetryRatePercent"), [3, 5], &[ours("redeliveries", "Redeliveries"), ours("received", "OrdersReceived")]).computed(share_of_many!("redeliveries")),
        row("DuplicateRateAlarm", "duplicate-rate", Warns, Parameter("DuplicateRatePercent"), [3, 5], &[ours("duplicates", "Duplicates"), ours("received", "OrdersReceived")]).computed(share_of_many!("duplicates")),
        row("ConflictAlarm", "conflict", Pages, Number(0), [1, 1], &[ours("", "Conflicts")]),
        row("BatchItemFailureRateAlarm", "batch-item-failure-rate", Warns, Parameter("BatchItemFailureRatePercent"), [2, 3], &[ours("failures", "BatchItemFailures"), ours("received", "OrdersReceived")]).computed("100 * FILL(failures, 0) / received"),
        row("LastAttemptAlarm", "last-attempt", Pages, Number(0), [1, 1], &[ours("", "LastAttempt")]),
        row("ParkedAlarm", "parked", Pages, Number(0), [1, 1], &[of(Ours, "", "ParkedOrders", "Maximum", 300)]),
        row("NewlyParkedAlarm", "newly-parked", Pages, Number(0), [1, 1], &[ours("", "Parked")]).on_page("parked"),
        // What was deployed last.
        row("NewVersionFaultsAlarm", "new-version-faults", Pages, Parameter("NewVersionFaultPercent"), [1, 1], &[of(OurVersion, "faults", "Faults", "Sum", 60), of(OurVersion, "received", "OrdersReceived", "Sum", 60)]).computed("IF(received > 4, 100 * FILL(faults, 0) / received, 0)").on_page("rollback"),
        row("NewVersionErrorsAlarm", "new-version-errors", Pages, Number(0), [1, 1], &[of(FunctionVersion, "", "Errors", "Sum", 60)]).on_page("rollback"),
        // The function and the table.
        row("SilentAlarm", "silent", Pages, Number(0), [2, 2], &[of(Of::Function, "invocations", "Invocations", "Sum", 300), of(Ours, "counts", "ParkedOrders", "SampleCount", 300)]).computed("IF(FILL(invocations, 0) > 0 AND FILL(counts, 0) == 0, 1, 0)"),
        row("FunctionErrorsAlarm", "function-errors", Warns, Number(0), [1, 1], &[lambda("", "Errors", "Sum")]),
        row("FunctionThrottlesAlarm", "function-throttles", Warns, Number(0), [3, 5], &[lambda("", "Throttles", "Sum")]),
        row("SlowFunctionAlarm", "slow-function", Warns, PercentOfTimeout(80), [3, 5], &[lambda("", "Duration", "p99")]),
        row("ConcurrencyAlarm", "concurrency", Warns, Number(80), [3, 5], &[lambda("running", "ConcurrentExecutions", "Maximum")]).computed("100 * running / {MaximumConcurrency}").only(When::Capped),
        row("TransactionConflictsAlarm", "transaction-conflicts", Warns, Parameter("TransactionConflicts"), [3, 5], &[of(Table, "", "TransactionConflict", "Sum", 60)]),
        row("TableThrottlesAlarm", "table-throttles", Warns, Number(0), [3, 5], &[of(Table, "reads", "ReadThrottleEvents", "Sum", 60), of(Table, "writes", "WriteThrottleEvents", "Sum", 60)]).computed("FILL(reads, 0) + FILL(writes, 0)"),
    ]
}
