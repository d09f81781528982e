//! A batch of SQS messages: each record by itself, and a response that names the records that failed.
//!
//! The response starts from "every record failed" and loses what is proven done; whatever goes wrong in between
//! makes SQS deliver a message again, never lose it.

mod dead_letter;
mod measures;
mod message;
mod order_of_work;
mod visibility;

use std::collections::BTreeSet;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use aws_lambda_events::event::sqs::{BatchItemFailure, SqsBatchResponse, SqsEvent};
use futures_util::FutureExt;
use futures_util::future::join_all;
use tokio::sync::{Semaphore, SetOnce};
use tracing::Instrument;

use crate::budget::Budget;
use crate::clock::{Clock, whole_millis};
use crate::delivery::{Delivery, Disposition, Handled};
use crate::letter::Reason;
use crate::metrics::Metrics;
use crate::order::Order;
use crate::processor::{Processor, Run};
use crate::queue::Queue;
use crate::random::Random;
use crate::record::Status;
use crate::store::StoreError;
use crate::trace::TraceHeader;
use dead_letter::DeadLetter;
use message::{Message, Unread};
use order_of_work::{Before, order_of_work};
pub use visibility::Redelivery;
use visibility::{Delay, SourceQueues};

/// Handles batches.
pub struct Batches {
    processor: Processor,
    dead_letters: Queue,
    sources: SourceQueues,
    concurrency: usize,
    clock: Clock,
    random: Random,
    metrics: Option<Metrics>,
    warm: AtomicBool,
}

/// A record failed that has no message ID, so that only the whole batch can be given back.
#[derive(Debug, thiserror::Error)]
#[error("a record without a message ID failed: the whole batch is given back")]
pub struct NamelessFailure;

/// What became of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Verdict {
    /// The log field `outcome`.
    outcome: &'static str,
    /// When the record failed: when SQS shall deliver it again.
    again: Option<Delay>,
    /// Details for the log.
    run: Option<Run>,
    result: Option<String>,
    detail: Option<String>,
    /// Since the batch came, set when the verdict is pronounced.
    took: Duration,
}

impl Verdict {
    fn new(outcome: &'static str, again: Option<Delay>) -> Self {
        Verdict { outcome, again, run: None, result: None, detail: None, took: Duration::ZERO }
    }

    fn deleted(outcome: &'static str) -> Self {
        Verdict::new(outcome, None)
    }

    fn failed(outcome: &'static str, again: Delay) -> Self {
        Verdict::new(outcome, Some(again))
    }

    /// Whether the record is one that can never be an order, or not any more.
    fn is_dead_letter(&self) -> bool {
        Reason::named(self.outcome).is_some()
    }

    fn because(self, detail: impl Into<String>) -> Self {
        Verdict { detail: Some(detail.into()), ..self }
    }
}

/// The records of a batch and the verdicts that are known so far.
struct Work<'e> {
    messages: Vec<Message<'e>>,
    before: Vec<Before>,
    verdicts: Vec<SetOnce<Verdict>>,
    in_flight: Semaphore,
    /// As many, for what is said to SQS of failed records: so many connections there beside those of orders.
    telling: Semaphore,
}

impl Batches {
    /// Batches for `processor`. `sqs` is for the source queues that events name.
    pub fn new(
        processor: Processor,
        dead_letters: Queue,
        sqs: aws_sdk_sqs::Client,
        concurrency: usize,
        clock: Clock,
        random: Random,
    ) -> Self {
        Batches {
            processor,
            dead_letters,
            sources: SourceQueues::new(sqs),
            concurrency,
            clock,
            random,
            metrics: None,
            warm: AtomicBool::new(false),
        }
    }

    /// The same, and what becomes of each batch is told in these metrics, if any.
    pub fn measured_by(self, metrics: Option<Metrics>) -> Self {
        Batches { metrics, ..self }
    }

    /// Handles the records of `event` and says which of them SQS shall deliver again.
    ///
    /// Nothing goes on after this returns: a frozen environment would resume it inside another invocation.
    ///
    /// # Errors
    /// [`NamelessFailure`] if a failed record cannot be named; the whole batch is then delivered again.
    pub async fn handle(
        &self,
        event: &SqsEvent,
        budget: &Budget,
    ) -> Result<SqsBatchResponse, NamelessFailure> {
        self.handle_messages(event.records.iter().map(Message::read).collect(), budget).await
    }

    async fn handle_messages(
        &self,
        messages: Vec<Message<'_>>,
        budget: &Budget,
    ) -> Result<SqsBatchResponse, NamelessFailure> {
        let work = Work {
            before: order_of_work(&messages),
            verdicts: messages.iter().map(|_| SetOnce::new()).collect(),
            in_flight: Semaphore::new(self.concurrency),
            telling: Semaphore::new(self.concurrency),
            messages,
        };
        let records = (0..work.messages.len()).map(|index| self.record(&work, index, budget));
        // Past this, Lambda ends the worker with no response at all: everything without a verdict has failed.
        if tokio::time::timeout(budget.respond(), join_all(records)).await.is_err() {
            let late =
                Verdict::failed("deferred", Delay::short(&self.random)).because("no time was left for it");
            (0..work.messages.len()).for_each(|index| self.pronounce(&work, index, &late));
        }
        self.measure(&work);
        response(&work)
    }

    /// Tells how many orders wait for a person, and returns it.
    ///
    /// # Errors
    /// [`StoreError`] if the table gave no answer: then nothing is told, least of all that there are none.
    pub async fn count_parked(&self, budget: &Budget) -> Result<u64, StoreError> {
        let parked = self.processor.count_parked(budget).await?;
        if let Some(metrics) = &self.metrics {
            metrics.tell(&measures::parked(parked, self.is_cold()), self.clock.now());
        }
        Ok(parked)
    }

    /// Whether this is the first invocation, which is so once.
    fn is_cold(&self) -> bool {
        !self.warm.swap(true, Ordering::Relaxed)
    }

    fn measure(&self, work: &Work<'_>) {
        let Some(metrics) = &self.metrics else { return };
        let (now, rules) = (self.clock.now(), self.processor.rules());
        let write_units = self.processor.take_write_units();
        let invocation = measures::Invocation { cold: self.is_cold(), write_units };
        let records = work.messages.iter().zip(&work.verdicts);
        let records: Vec<_> =
            records.filter_map(|(message, verdict)| Some((message, verdict.get()?))).collect();
        metrics.tell_by_version(&measures::by_version(records.iter().copied()), now);
        for tally in measures::tallies(records, &invocation, rules, now) {
            metrics.tell(&tally, now);
        }
    }

    /// One record, from its turn to its verdict.
    async fn record(&self, work: &Work<'_>, index: usize, budget: &Budget) {
        let message = &work.messages[index];
        let verdict = AssertUnwindSafe(self.take_turn(work, index, budget)).catch_unwind().await;
        let verdict = verdict.unwrap_or_else(|_| self.panicked(message));
        // Those that wait for it need not wait for SQS, too.
        self.pronounce(work, index, &verdict);
        if let Some(delay) = &verdict.again {
            let _slot = work.telling.acquire().await;
            let changed = self.sources.make_visible(message, *delay, self.clock.now(), budget.message());
            changed.instrument(span(message)).await;
        }
    }

    async fn take_turn(&self, work: &Work<'_>, index: usize, budget: &Budget) -> Verdict {
        let message = &work.messages[index];
        let may_claim = match self.wait_for_turn(work, index).await {
            Turn::Decided(verdict) => return verdict,
            Turn::Run { may_claim } => may_claim,
        };
        let _slot = work.in_flight.acquire().await;
        let run = self.judge(message, may_claim, budget).instrument(span(message));
        tokio::time::timeout(budget.work(), run).await.unwrap_or_else(|_| {
            // As a crash would end it: the lease ends by itself.
            Verdict::failed("retry", Delay::backoff(message.receive_count, &self.random))
                .because("no answer before the deadline")
        })
    }

    fn panicked(&self, message: &Message<'_>) -> Verdict {
        Verdict::failed("panic", Delay::backoff(message.receive_count, &self.random))
    }

    fn pronounce(&self, work: &Work<'_>, index: usize, verdict: &Verdict) {
        let (message, pronounced) = (&work.messages[index], &work.verdicts[index]);
        let verdict = Verdict { took: message.started.elapsed(), ..verdict.clone() };
        if let (Ok(()), Some(verdict)) = (pronounced.set(verdict), pronounced.get()) {
            self.log(message, verdict);
        }
    }

    async fn wait_for_turn(&self, work: &Work<'_>, index: usize) -> Turn {
        if let Some(before) = work.before[index].in_group {
            let verdict = work.verdicts[before].wait().await;
            if let Some(again) = verdict.again {
                return Turn::Decided(
                    Verdict::failed("deferred", again).because("an earlier one of its group failed"),
                );
            }
        }
        let Some(before) = work.before[index].of_order else { return Turn::Run { may_claim: true } };
        let verdict = work.verdicts[before].wait().await;
        let same = work.messages[index].fingerprint() == work.messages[before].fingerprint();
        match (&verdict.again, verdict.outcome) {
            // Whoever was deleted left a record, and whoever panicked left a lease or nothing: the table decides.
            (None, _) => Turn::Run { may_claim: true },
            (Some(_), "panic") if same => Turn::Run { may_claim: true },
            // The same order failed a moment ago: it would fail again. On its last receive it must be parked, though.
            (Some(again), outcome)
                if same && !self.processor.rules().is_last(work.messages[index].receive_count) =>
            {
                Turn::Decided(Verdict::failed(outcome, *again).because("as the one before it in the batch"))
            }
            // The first in the batch is the order, even if it has no record yet.
            (Some(_), _) => Turn::Run { may_claim: same },
        }
    }

    async fn judge(&self, message: &Message<'_>, may_claim: bool, budget: &Budget) -> Verdict {
        let order = match &message.order {
            Ok(order) => order,
            Err(Unread::Invalid(invalid)) => {
                return self.dead_letter(message, DeadLetter::invalid(message, invalid), budget).await;
            }
            Err(Unread::Panicked) => return self.panicked(message),
        };
        let delivery =
            Delivery { order, message: message.body, receive_count: message.receive_count, may_claim };
        let run = self.processor.handle(delivery, message.trace.as_ref(), budget).await;
        let verdict = self.verdict(message, order, &run.handled, budget).await;
        Verdict { run: Some(run), ..verdict }
    }

    async fn verdict(
        &self,
        message: &Message<'_>,
        order: &Order,
        handled: &Handled,
        budget: &Budget,
    ) -> Verdict {
        match &handled.disposition {
            Disposition::Finished { now, result } => {
                let outcome = match now {
                    Some(Status::Completed) => "completed",
                    Some(_) => "rejected",
                    None => "duplicate",
                };
                Verdict { result: Some(result.clone()), ..Verdict::deleted(outcome) }
            }
            Disposition::Parked { reason } => {
                Verdict { detail: reason.clone(), ..Verdict::deleted("parked") }
            }
            Disposition::Busy { until } => Verdict::failed("in_progress", Delay::until(*until, &self.random)),
            Disposition::Retry { why } => {
                Verdict::failed("retry", Delay::backoff(message.receive_count, &self.random)).because(why)
            }
            Disposition::Deferred => Verdict::failed("deferred", Delay::short(&self.random)),
            Disposition::Conflict { stored } => {
                self.dead_letter(message, DeadLetter::conflict(message, order, stored), budget).await
            }
            Disposition::Stale => self.dead_letter(message, DeadLetter::stale(message, order), budget).await,
            Disposition::Future => {
                self.dead_letter(message, DeadLetter::future(message, order), budget).await
            }
        }
    }

    /// Acknowledged only once the dead-letter queue has it.
    async fn dead_letter(&self, message: &Message<'_>, letter: DeadLetter, budget: &Budget) -> Verdict {
        let outcome = letter.reason.name();
        match self.dead_letters.send(&letter.message, message.trace.as_ref(), budget.message()).await {
            Ok(()) => Verdict::deleted(outcome).because(letter.place),
            Err(error) => Verdict::failed(outcome, Delay::backoff(message.receive_count, &self.random))
                .because(error.to_string()),
        }
    }

    /// One wide line per record. Never a body, a token, a customer's ID or data.
    fn log(&self, message: &Message<'_>, verdict: &Verdict) {
        let order_id = message.order_id().map(ToString::to_string);
        let age_ms = message.sent_at.map(|sent| whole_millis(self.clock.now().since(sent)));
        let handled = verdict.run.as_ref().map(|run| &run.handled);
        // Whom to ask about a dead letter.
        let sender_id = message.sender.filter(|_| verdict.is_dead_letter());
        tracing::info!(
            outcome = verdict.outcome,
            order_id,
            message_id = message.message_id,
            receive_count = message.receive_count,
            attempt = handled.and_then(|handled| handled.attempt).unwrap_or(0),
            took_over = handled.is_some_and(|handled| handled.took_over),
            lost_lease = handled.is_some_and(|handled| handled.lost_lease),
            deleted = verdict.again.is_none(),
            latency_ms = whole_millis(verdict.took),
            age_ms,
            sender_id,
            trace_id = message.trace.as_ref().map(TraceHeader::trace_id),
            result = verdict.result,
            detail = verdict.detail,
            "record"
        );
    }
}

/// What every line about a record is told with.
fn span(message: &Message<'_>) -> tracing::Span {
    tracing::info_span!(
        "record",
        order_id = message.order_id().map(tracing::field::display),
        message_id = message.message_id,
        trace_id = message.trace.as_ref().map(TraceHeader::trace_id),
    )
}

enum Turn {
    Run { may_claim: bool },
    Decided(Verdict),
}

/// Every record failed, but for those that are proven done.
fn response(work: &Work<'_>) -> Result<SqsBatchResponse, NamelessFailure> {
    let failed = work.messages.iter().zip(&work.verdicts);
    let failed = failed.filter(|(_, verdict)| verdict.get().is_none_or(|verdict| verdict.again.is_some()));
    let failed: BTreeSet<&str> = failed.map(|(message, _)| message.message_id).collect();
    if failed.contains("") {
        return Err(NamelessFailure);
    }
    let mut response = SqsBatchResponse::default();
    for id in failed {
        let mut failure = BatchItemFailure::default();
        id.clone_into(&mut failure.item_identifier);
        response.batch_item_failures.push(failure);
    }
    Ok(response)
}

#[cfg(all(test, feature = "local"))]
mod tests;
