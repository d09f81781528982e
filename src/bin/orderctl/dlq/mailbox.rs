//! The dead-letter queue while somebody looks into it: what is held is hidden from others until it is given back.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Result;
use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{
    ChangeMessageVisibilityBatchRequestEntry, MessageSystemAttributeName, QueueAttributeName,
};
use futures_util::future::join_all;
use tokio::time::Instant;

use super::letter::Letter;
use crate::failure;
use crate::target::Target;

/// How long a message is hidden at most, should this program end before it gives it back.
const HELD: Duration = Duration::from_secs(300);
/// SQS's own maximum for one request.
const BATCH: usize = 10;
/// A queue is spread over many machines, and an answer may leave some out: so often empty means empty.
const EMPTY: u32 = 2;

/// The queue and what is held of it.
pub struct Mailbox {
    client: Client,
    url: String,
    held: BTreeMap<String, String>,
    opened: Instant,
}

impl Mailbox {
    /// The dead-letter queue of `target`.
    pub async fn open(target: &Target) -> Result<Mailbox> {
        Ok(Mailbox {
            client: target.sqs(),
            url: target.dead_letter_queue().await?,
            held: BTreeMap::new(),
            opened: Instant::now(),
        })
    }

    /// Whether others may see again what is held, because this has taken so long.
    pub fn is_overdue(&self) -> bool {
        self.opened.elapsed() >= HELD
    }

    /// Everything that is there and that `wanted` takes, once each, in its order. All of it is held, also what is not
    /// wanted, so that nothing comes twice. A group of a FIFO queue shows no more than one delivery's worth.
    pub async fn take(&mut self, wanted: impl Fn(&Letter) -> bool) -> Result<Vec<Letter>> {
        let mut letters = BTreeMap::new();
        let (expected, mut empty) = (self.count().await?, 0);
        while empty == 0 || (letters.len() < expected && empty < EMPTY) {
            // A long poll asks all of the queue's machines; the first look need not wait.
            let wait = i32::from(empty > 0);
            let received = self.receive(wait).await?;
            empty = if received.is_empty() { empty + 1 } else { 0 };
            for letter in received {
                self.held.insert(letter.message_id.clone(), letter.receipt.clone());
                letters.insert(letter.message_id.clone(), letter);
            }
        }
        let mut wanted: Vec<Letter> = letters.into_values().filter(wanted).collect();
        wanted.sort_by_key(Letter::place);
        Ok(wanted)
    }

    /// How many are visible, as far as SQS knows.
    async fn count(&self) -> Result<usize> {
        let name = QueueAttributeName::ApproximateNumberOfMessages;
        let request = self.client.get_queue_attributes().queue_url(&self.url).attribute_names(name.clone());
        let found =
            request.send().await.map_err(|error| failure::aws("reading the dead-letter queue", error))?;
        let count = found.attributes.and_then(|mut all| all.remove(&name));
        Ok(count.and_then(|count| count.parse().ok()).unwrap_or(0))
    }

    async fn receive(&self, wait_seconds: i32) -> Result<Vec<Letter>> {
        let request = self.client.receive_message().queue_url(&self.url).max_number_of_messages(BATCH as i32);
        let request = request.wait_time_seconds(wait_seconds).visibility_timeout(HELD.as_secs() as i32);
        let request = request.message_system_attribute_names(MessageSystemAttributeName::All);
        let received = request.message_attribute_names("All").send().await;
        let received = received.map_err(|error| failure::aws("reading the dead-letter queue", error))?;
        Ok(received.messages.unwrap_or_default().into_iter().map(Letter::read).collect())
    }

    /// Takes a message out for good.
    pub async fn delete(&mut self, letter: &Letter) -> Result<()> {
        let request = self.client.delete_message().queue_url(&self.url).receipt_handle(&letter.receipt);
        request.send().await.map_err(|error| failure::aws("deleting from the dead-letter queue", error))?;
        self.held.remove(&letter.message_id);
        Ok(())
    }

    /// Lets others see again what is held. What fails comes back by itself.
    pub async fn give_back(&mut self) {
        let receipts: Vec<String> = std::mem::take(&mut self.held).into_values().collect();
        let requests = receipts.chunks(BATCH).map(|portion| {
            let entries = portion.iter().enumerate().map(|(index, receipt)| {
                let entry = ChangeMessageVisibilityBatchRequestEntry::builder().id(index.to_string());
                entry
                    .receipt_handle(receipt)
                    .visibility_timeout(0)
                    .build()
                    .expect("ID and receipt handle are set")
            });
            let request = self.client.change_message_visibility_batch().queue_url(&self.url);
            request.set_entries(Some(entries.collect())).send()
        });
        if join_all(requests).await.iter().any(Result::is_err) {
            eprintln!(
                "some messages could not be given back; they are visible again in {} s",
                HELD.as_secs()
            );
        }
    }
}
