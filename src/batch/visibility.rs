//! When SQS shall deliver a failed record again.

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_sqs::Client;
use tokio::sync::Mutex;

use super::message::Message;
use crate::clock::UnixMillis;
use crate::queue::{describe, timeouts};
use crate::random::Random;

/// The longest visibility timeout that SQS accepts: 12 hours (Amazon SQS API Reference, `ChangeMessageVisibility`).
const VISIBILITY_MAX: Duration = Duration::from_secs(43_200);
/// The first wait after a transient failure is half of this to all of it.
const BACKOFF_BASE: Duration = Duration::from_secs(10);
/// The longest wait after a transient failure: a provider's outage is noticed to be over within this.
const BACKOFF_MAX: Duration = Duration::from_secs(900);
/// Added to the end of a lease, at most, so that the duplicates of an order do not come back all at once.
const LEASE_JITTER: Duration = Duration::from_secs(2);
/// After a record that found no time: another invocation has time at once.
const SHORT: Duration = Duration::from_secs(2);

/// When to deliver again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Delay {
    /// After this long.
    For(Duration),
    /// At this moment, and a moment more.
    Until(UnixMillis, Duration),
}

impl Delay {
    /// Exponential in the number of receives, with equal jitter: 5 to 900 seconds.
    pub(super) fn backoff(receive_count: u32, random: &Random) -> Self {
        let doublings = receive_count.saturating_sub(1).min(16);
        let most = (BACKOFF_BASE * 2_u32.pow(doublings)).min(BACKOFF_MAX);
        Delay::For(most / 2 + (most / 2).mul_f64(random.fraction()))
    }

    /// When a lease is over.
    pub(super) fn until(lease_end: UnixMillis, random: &Random) -> Self {
        Delay::Until(lease_end, LEASE_JITTER.mul_f64(random.fraction()))
    }

    /// Soon.
    pub(super) fn short(random: &Random) -> Self {
        Delay::For(SHORT.mul_f64(1.0 + random.fraction()))
    }

    /// In whole seconds from `now`, as SQS wants it: rounded up, 0 to 43,200.
    fn seconds(self, now: UnixMillis) -> i32 {
        let wait = match self {
            Delay::For(wait) => wait,
            Delay::Until(moment, more) => moment.since(now) + more,
        };
        let seconds = wait.min(VISIBILITY_MAX).as_millis().div_ceil(1000);
        i32::try_from(seconds).unwrap_or(i32::MAX)
    }
}

/// The queues that events name, and their URLs as far as they are known.
pub(super) struct SourceQueues {
    client: Client,
    urls: Mutex<HashMap<String, String>>,
}

impl SourceQueues {
    pub(super) fn new(client: Client) -> Self {
        SourceQueues { client, urls: Mutex::default() }
    }

    /// Sets the visibility of a failed record. If that fails, the queue's own visibility timeout decides, so it
    /// is logged and changes nothing.
    pub(super) async fn make_visible(
        &self,
        message: &Message<'_>,
        delay: Delay,
        now: UnixMillis,
        timeout: Duration,
    ) {
        let seconds = delay.seconds(now);
        let changed = tokio::time::timeout(timeout, self.change(message, seconds, timeout)).await;
        if let Err(why) = changed.unwrap_or_else(|_| Err("no answer in time".to_owned())) {
            tracing::warn!(message_id = message.message_id, seconds, why, "the visibility could not be set");
        }
    }

    async fn change(&self, message: &Message<'_>, seconds: i32, timeout: Duration) -> Result<(), String> {
        let receipt = message.receipt_handle.ok_or("the record has no receipt handle")?;
        let arn = message.source_arn.ok_or("the record has no source ARN")?;
        let url = self.url(arn, timeout).await?;
        let request = self.client.change_message_visibility().queue_url(url).receipt_handle(receipt);
        let request = request.visibility_timeout(seconds).customize().config_override(timeouts(timeout, 2));
        request.send().await.map(|_| ()).map_err(|error| describe(&error))
    }

    /// The lock is held while asking, so that a batch asks once.
    async fn url(&self, arn: &str, timeout: Duration) -> Result<String, String> {
        let mut urls = self.urls.lock().await;
        if let Some(url) = urls.get(arn) {
            return Ok(url.clone());
        }
        // arn:partition:sqs:region:account:name
        let parts: Vec<&str> = arn.split(':').collect();
        let [_, _, "sqs", _, account, name] = parts[..] else {
            return Err(format!("{arn} is no queue's ARN"));
        };
        let request = self.client.get_queue_url().queue_name(name).queue_owner_aws_account_id(account);
        let request = request.customize().config_override(timeouts(timeout, 2));
        let answer = request.send().await.map_err(|error| describe(&error))?;
        let url = answer.queue_url.ok_or("the queue has no URL")?;
        urls.insert(arn.to_owned(), url.clone());
        Ok(url)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backoff_doubles_from_5_to_900_seconds() {
        let random = Random::from_seed(1);
        for (receive_count, least, most) in
            [(0, 5, 10), (1, 5, 10), (2, 10, 20), (7, 320, 640), (8, 450, 900), (1000, 450, 900)]
        {
            for _ in 0..100 {
                let seconds = Delay::backoff(receive_count, &random).seconds(UnixMillis(0));
                assert!((least..=most).contains(&seconds), "{receive_count}: {seconds}");
            }
        }
    }

    #[test]
    fn a_lease_is_waited_for_and_a_little_longer() {
        let random = Random::from_seed(1);
        let seconds = Delay::until(UnixMillis(10_001), &random).seconds(UnixMillis(1));
        assert!((10..=12).contains(&seconds), "{seconds}");
        assert!((0..=2).contains(&Delay::until(UnixMillis(1), &random).seconds(UnixMillis(10_000))));
    }

    #[test]
    fn visibility_stays_within_what_sqs_accepts() {
        let day = Duration::from_secs(86_400);
        assert_eq!(Delay::For(day).seconds(UnixMillis(0)), 43_200);
        assert_eq!(Delay::For(Duration::from_secs(43_200)).seconds(UnixMillis(0)), 43_200);
        assert_eq!(Delay::Until(UnixMillis(0), Duration::ZERO).seconds(UnixMillis(5)), 0);
    }
}
