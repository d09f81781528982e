//! One run: messages in, processes killed, and everything that happened gathered.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use order_processor::clock::{Clock, UnixMillis};
use order_processor::local::ledger::{DeadLetter, Facts, Sent};
use order_processor::local::stack::Stack;

use super::journal::{Entries, Journal};
use super::mischief::Mischief;
use super::progress::Progress;
use super::traffic;
use crate::failure;
use crate::local;
use crate::outbox::{self, Message};

/// What is to be done.
pub struct Plan {
    pub orders: u64,
    pub seed: u64,
    /// `None`: no process is killed.
    pub kill_every: Option<Duration>,
    /// `None`: no process is frozen.
    pub freeze_every: Option<Duration>,
    /// When to give up, from the start; `None` for a time that is ample for so many messages.
    pub within: Option<Duration>,
}

/// What happened.
pub struct Outcome {
    pub facts: Facts,
    pub entries: Entries,
    /// Messages by what they are.
    pub sent: BTreeMap<&'static str, u64>,
    /// Processes killed.
    pub kills: u64,
    /// Processes stopped past their deadline, and woken.
    pub freezes: u64,
    /// From the first message until the queue was empty.
    pub took: Duration,
    /// Orders finished, and in which time, until nothing was visible in the queue for the first time.
    pub rush: (u64, Duration),
}

/// Between two looks at the queue. The embedded queue answers in far less.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// A run that is killed now and then takes a minute; whatever takes longer than this hangs.
const PATIENCE: Duration = Duration::from_secs(120);
/// More for many messages: at this rate something is wrong.
const PATIENCE_PER_MESSAGE: Duration = Duration::from_millis(50);
/// More messages than this do not wait in the queue: the function sees no difference, and memory would.
const BACKLOG: u64 = 5000;
/// Messages sent between two looks at that.
const PORTION: usize = 500;

/// Sends, kills, waits until the queue is empty, and gathers.
pub async fn run(plan: &Plan, stack: &Stack, journal: &Journal) -> Result<Outcome> {
    let stock = traffic::stock(plan.orders);
    local::load_stock(&local::table(stack), &stock).await?;
    let started = Clock::system().now();
    let messages = traffic::messages(plan.orders, plan.seed, started);
    let ample = PATIENCE + PATIENCE_PER_MESSAGE * u32::try_from(messages.len()).unwrap_or(u32::MAX);
    let patience = plan.within.unwrap_or(ample);
    let watch = Watch::new(plan, stack, messages.len());
    let ended = tokio::time::timeout(patience, watch.until_empty(send(stack, &messages))).await;
    let Ok(ended) = ended else { bail!(too_late(stack, messages.len(), patience)) };
    let (ids, watched) = ended?;
    everything_is_said(stack, journal).await;

    let sent = messages.iter().zip(ids);
    let sent = sent.map(|(message, message_id)| Sent { message_id, body: message.body.clone() }).collect();
    let entries = journal.read();
    let stock_before = stock.iter().map(|(sku, available)| ((*sku).to_owned(), *available)).collect();
    let facts = facts(stack, sent, stock_before, &entries).await?;
    let finished = facts.records.iter().filter(|record| record.updated_at_ms <= watched.rushed_until).count();
    Ok(Outcome {
        sent: by_kind(&messages),
        kills: watched.kills,
        freezes: watched.freezes,
        took: Clock::system().now().since(started),
        rush: (finished as u64, watched.rushed_until.since(started)),
        entries,
        facts,
    })
}

/// Sends no faster than the function works, and returns the message IDs.
async fn send(stack: &Stack, messages: &[Message]) -> Result<Vec<String>> {
    let sqs = aws_sdk_sqs::Client::new(&stack.sdk_config());
    let queue = &stack.queues().orders;
    let mut ids = Vec::with_capacity(messages.len());
    for portion in messages.chunks(PORTION) {
        while stack.depth(queue).await.context("looking at the queue")?.visible >= BACKLOG {
            tokio::time::sleep(LOOK_EVERY).await;
        }
        ids.extend(outbox::send(&sqs, queue, portion).await?);
    }
    Ok(ids)
}

fn too_late(stack: &Stack, messages: usize, patience: Duration) -> String {
    format!(
        "the queue is not empty after {patience:?}: {} of {messages} messages are done",
        stack.progress().deleted
    )
}

struct Watch<'a> {
    stack: &'a Stack,
    mischief: Mischief,
    progress: Progress,
    watched: Watched,
}

#[derive(Default)]
struct Watched {
    kills: u64,
    freezes: u64,
    /// When nothing was visible for the first time.
    rushed_until: UnixMillis,
}

impl<'a> Watch<'a> {
    fn new(plan: &Plan, stack: &'a Stack, messages: usize) -> Self {
        Watch {
            stack,
            mischief: Mischief::new(plan.kill_every, plan.freeze_every, plan.seed),
            progress: Progress::new(messages as u64),
            watched: Watched::default(),
        }
    }

    /// Until everything is sent, and every queue that the function reads or writes to is empty.
    async fn until_empty(
        mut self,
        sending: impl Future<Output = Result<Vec<String>>>,
    ) -> Result<(Vec<String>, Watched)> {
        let mut sending = std::pin::pin!(sending);
        let mut sent = None;
        let mut looks = tokio::time::interval(LOOK_EVERY);
        loop {
            tokio::select! {
                ids = &mut sending, if sent.is_none() => sent = Some(ids?),
                _ = looks.tick() => {
                    if self.look(sent.is_some()).await? && let Some(ids) = sent.take() {
                        return Ok((ids, self.watched));
                    }
                }
            }
        }
    }

    /// Whether everything is done.
    async fn look(&mut self, all_sent: bool) -> Result<bool> {
        let queues = self.stack.queues();
        let orders = self.stack.depth(&queues.orders).await.context("looking at the queue")?;
        let left = orders.visible + orders.in_flight + orders.delayed;
        if all_sent && orders.visible == 0 && self.watched.rushed_until == UnixMillis::default() {
            self.watched.rushed_until = Clock::system().now();
        }
        let rush = self.watched.rushed_until == UnixMillis::default() && orders.visible > 0;
        self.mischief.act(self.stack, rush);
        (self.watched.kills, self.watched.freezes) = (self.mischief.kills, self.mischief.freezes);
        let waiting = orders.visible == 0 && self.watched.kills + self.watched.freezes > 0;
        let hidden = if waiting { "hidden since their worker was lost" } else { "in flight" };
        let lost = format!("{} killed, {} frozen", self.watched.kills, self.watched.freezes);
        self.progress.show(self.stack.progress().deleted, format!("{} {hidden}, {lost}", orders.in_flight));
        if !all_sent || left > 0 || !self.mischief.is_over() {
            return Ok(false);
        }
        let mut downstream = 0;
        for queue in [&queues.warehouse, &queues.notifications] {
            let depth = self.stack.depth(queue).await.context("looking at the queue")?;
            downstream += depth.visible + depth.in_flight;
        }
        Ok(downstream == 0)
    }
}

/// Log lines come through a pipe, a moment after the deletion that followed them.
async fn everything_is_said(stack: &Stack, journal: &Journal) {
    let said = async {
        while journal.deleted() < stack.progress().deleted {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let _ = tokio::time::timeout(Duration::from_secs(5), said).await;
}

async fn facts(
    stack: &Stack,
    sent: Vec<Sent>,
    stock_before: BTreeMap<String, u64>,
    entries: &Entries,
) -> Result<Facts> {
    let table = local::table(stack);
    Ok(Facts {
        sent,
        out_of_window: BTreeSet::new(),
        records: table.orders(&[], usize::MAX).await?.0,
        payments: stack.payments().ledger(),
        shipments: stack.warehouse().deliveries(),
        notifications: stack.notifications().deliveries(),
        stock_before,
        stock_stated: BTreeMap::new(),
        stock_after: table.stock().await?,
        answers: entries.answers.clone(),
        dead_letters: dead_letters(stack).await?,
    })
}

/// Everything in the dead-letter queue. It is hidden by that, and the stack ends before it comes back.
async fn dead_letters(stack: &Stack) -> Result<Vec<DeadLetter>> {
    let queue = &stack.queues().orders_dlq;
    let expected = stack.depth(queue).await.context("looking at the dead-letter queue")?.visible;
    let sqs = aws_sdk_sqs::Client::new(&stack.sdk_config());
    let mut letters = Vec::new();
    loop {
        let request = sqs.receive_message().queue_url(queue).max_number_of_messages(10);
        let received = request.message_attribute_names("All").send().await;
        let received = received.map_err(|error| failure::aws("reading the dead-letter queue", error))?;
        let some = received.messages.unwrap_or_default();
        if some.is_empty() {
            break;
        }
        letters.extend(some.iter().map(dead_letter));
    }
    if (letters.len() as u64) < expected {
        bail!("{expected} messages are in the dead-letter queue, but only {} came out", letters.len());
    }
    Ok(letters)
}

fn dead_letter(message: &aws_sdk_sqs::types::Message) -> DeadLetter {
    let attribute = |name| {
        let value = message.message_attributes.as_ref()?.get(name)?;
        value.string_value.clone()
    };
    DeadLetter {
        source_message_id: attribute("source_message_id").unwrap_or_default(),
        reason: attribute("reason").unwrap_or_default(),
        body: message.body.clone().unwrap_or_default(),
    }
}

fn by_kind(messages: &[Message]) -> BTreeMap<&'static str, u64> {
    let mut kinds = BTreeMap::new();
    for message in messages {
        *kinds.entry(message.what).or_default() += 1;
    }
    kinds
}
