//! [`EventSource`]: polls a queue and invokes a function with batches, as Lambda's SQS event source does.
//!
//! <https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html>. It deletes what succeeded and
//! leaves the rest to the queue: messages come back when their visibility ends, and the queue's redrive policy
//! moves them to a dead-letter queue. A FIFO queue holds back a group while one of its messages is out.

mod batch;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{DeleteMessageBatchRequestEntry, Message, MessageSystemAttributeName};
use axum::body::Bytes;
use futures_util::future::{BoxFuture, FutureExt};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

use batch::{Failed, event, failed_items};

/// Which queue, and in what portions.
#[derive(Clone, Debug)]
pub struct EventSourceOptions {
    /// The queue to poll.
    pub queue_url: String,
    /// The same as the function sees it in its events.
    pub queue_arn: String,
    /// The most messages in one event; above 10 only with a batching window.
    pub batch_size: usize,
    /// How long to gather messages after the first one; zero takes what one receive gives.
    pub batching_window: Duration,
    /// How many batches may be out at the same time.
    pub concurrency: usize,
}

/// What has happened so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Events given to the function.
    pub batches: u64,
    /// Messages in them, each delivery counted.
    pub messages: u64,
    /// Messages deleted because the function was done with them.
    pub deleted: u64,
    /// Messages left in the queue, because the function named them or failed as a whole.
    pub failed: u64,
    /// Events for which the function failed as a whole.
    pub failed_batches: u64,
}

/// A running poller. Dropping it abandons the batches that are out; [`EventSource::shutdown`] waits for them.
pub struct EventSource {
    stop: watch::Sender<bool>,
    poll: Poll,
    poller: JoinSet<()>,
    counters: Arc<Counters>,
}

/// Begins to poll.
type Poll = Box<dyn Fn() -> BoxFuture<'static, ()> + Send + Sync>;

#[derive(Default)]
struct Counters {
    batches: AtomicU64,
    messages: AtomicU64,
    deleted: AtomicU64,
    failed: AtomicU64,
    failed_batches: AtomicU64,
}

impl EventSource {
    /// Starts polling. `invoke` runs the function: an event in, its response or any error out.
    pub fn start<I, F, E>(sqs: Client, options: EventSourceOptions, invoke: I) -> EventSource
    where
        I: Fn(Bytes) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Result<Bytes, E>> + Send + 'static,
        E: fmt::Display + Send + 'static,
    {
        let (stop, counters) = (watch::Sender::new(false), Arc::<Counters>::default());
        let poller = Poller { sqs, options, invoke, counters: Arc::clone(&counters) };
        let stopped = stop.clone();
        let poll: Poll = Box::new(move || poller.clone().poll(stopped.subscribe()).boxed());
        let mut source = EventSource { stop, poll, poller: JoinSet::new(), counters };
        source.resume();
        source
    }

    /// What has happened so far.
    pub fn progress(&self) -> Progress {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Progress {
            batches: read(&self.counters.batches),
            messages: read(&self.counters.messages),
            deleted: read(&self.counters.deleted),
            failed: read(&self.counters.failed),
            failed_batches: read(&self.counters.failed_batches),
        }
    }

    /// Receives nothing more until [`EventSource::resume`], and waits for the batches that are out: a mapping that is
    /// disabled.
    pub async fn pause(&mut self) {
        self.stop.send_replace(true);
        while self.poller.join_next().await.is_some() {}
    }

    /// Polls, if it does not already.
    pub fn resume(&mut self) {
        if self.poller.is_empty() {
            self.stop.send_replace(false);
            self.poller.spawn((self.poll)());
        }
    }

    /// Receives nothing more and waits for the batches that are out.
    pub async fn shutdown(mut self) {
        self.pause().await;
    }
}

/// SQS's own maximum, for a receive and for a batch of deletions.
const SQS_BATCH: usize = 10;

/// The longest long poll SQS offers: an idle queue costs three requests a minute.
const LONG_POLL_SECONDS: i32 = 20;

/// Between two looks at the queue while a batch is gathered; SQS's own waits come in whole seconds.
const GATHERING_PAUSE: Duration = Duration::from_millis(50);

/// After a receive that failed, so that a server that is gone is not asked in a tight loop.
const FAILURE_PAUSE: Duration = Duration::from_secs(1);

#[derive(Clone)]
struct Poller<I> {
    sqs: Client,
    options: EventSourceOptions,
    invoke: I,
    counters: Arc<Counters>,
}

impl<I, F, E> Poller<I>
where
    I: Fn(Bytes) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Result<Bytes, E>> + Send + 'static,
    E: fmt::Display + Send + 'static,
{
    async fn poll(self, mut stop: watch::Receiver<bool>) {
        let slots = Arc::new(Semaphore::new(self.options.concurrency));
        let mut batches = JoinSet::new();
        loop {
            let (slot, messages) = tokio::select! {
                // A stop between two polls must win over a queue that always has messages.
                biased;
                _ = stop.wait_for(|stop| *stop) => break,
                next = self.next_batch(&slots) => next,
            };
            while batches.try_join_next().is_some() {}
            let poller = self.clone();
            batches.spawn(async move {
                poller.process(messages).await;
                drop(slot);
            });
        }
        while batches.join_next().await.is_some() {}
    }

    /// Waits for a free slot first: a message received before that would spend its visibility waiting.
    async fn next_batch(&self, slots: &Arc<Semaphore>) -> (OwnedSemaphorePermit, Vec<Message>) {
        let slot = Arc::clone(slots).acquire_owned().await.expect("the semaphore is never closed");
        loop {
            let mut messages = self.receive(self.options.batch_size, LONG_POLL_SECONDS).await;
            if !messages.is_empty() {
                self.gather(&mut messages).await;
                return (slot, messages);
            }
        }
    }

    /// Fills the batch until it is full or its window is over.
    async fn gather(&self, messages: &mut Vec<Message>) {
        let end = Instant::now() + self.options.batching_window;
        while messages.len() < self.options.batch_size && Instant::now() < end {
            let more = self.receive(self.options.batch_size - messages.len(), 0).await;
            if more.is_empty() {
                tokio::time::sleep_until(end.min(Instant::now() + GATHERING_PAUSE)).await;
            }
            messages.extend(more);
        }
    }

    async fn receive(&self, most: usize, wait_seconds: i32) -> Vec<Message> {
        let received = self
            .sqs
            .receive_message()
            .queue_url(&self.options.queue_url)
            .max_number_of_messages(i32::try_from(most.min(SQS_BATCH)).unwrap_or(1))
            .wait_time_seconds(wait_seconds)
            .message_system_attribute_names(MessageSystemAttributeName::All)
            .message_attribute_names("All")
            .send()
            .await;
        match received {
            Ok(output) => output.messages.unwrap_or_default(),
            Err(error) => {
                tracing::warn!(error = %aws_sdk_sqs::error::DisplayErrorContext(error), "could not receive");
                tokio::time::sleep(FAILURE_PAUSE).await;
                Vec::new()
            }
        }
    }

    async fn process(&self, messages: Vec<Message>) {
        self.counters.batches.fetch_add(1, Ordering::Relaxed);
        count(&self.counters.messages, messages.len());
        let event = event(&messages, &self.options.queue_arn);
        let failed = match (self.invoke)(event).await {
            Ok(response) => failed_items(&response, &messages),
            Err(error) => {
                tracing::warn!(%error, "the function failed");
                Failed::Batch
            }
        };
        let done: Vec<Message> = match failed {
            Failed::Batch => {
                self.counters.failed_batches.fetch_add(1, Ordering::Relaxed);
                count(&self.counters.failed, messages.len());
                return;
            }
            Failed::Items(failed) => {
                count(&self.counters.failed, failed.len());
                messages.into_iter().filter(|message| !batch::names(&failed, message)).collect()
            }
        };
        for portion in done.chunks(SQS_BATCH) {
            self.delete(portion).await;
        }
    }

    /// What cannot be deleted comes again, as on AWS.
    async fn delete(&self, messages: &[Message]) {
        let entries = messages.iter().enumerate().map(|(index, message)| {
            DeleteMessageBatchRequestEntry::builder()
                .id(index.to_string())
                .receipt_handle(message.receipt_handle.clone().unwrap_or_default())
                .build()
                .expect("ID and receipt handle are set")
        });
        let request = self.sqs.delete_message_batch().queue_url(&self.options.queue_url);
        match request.set_entries(Some(entries.collect())).send().await {
            Ok(output) => count(&self.counters.deleted, output.successful.len()),
            Err(error) => {
                tracing::warn!(error = %aws_sdk_sqs::error::DisplayErrorContext(error), "could not delete");
            }
        }
    }
}

fn count(counter: &AtomicU64, more: usize) {
    counter.fetch_add(more as u64, Ordering::Relaxed);
}
