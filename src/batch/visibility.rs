//! When SQS shall deliver a failed record again.

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_sqs::Client;
use tokio::sync::Mutex;

use super::message::Message;
use crate::clock::{UnixMillis, whole_millis};
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
        i32::try_from(self.whole_seconds(now).as_secs()).unwrap_or(i32::MAX)
    }

    fn whole_seconds(self, now: UnixMillis) -> Duration {
        let wait = match self {
            Delay::For(wait) => wait,
            Delay::Until(moment, more) => moment.since(now) + more,
        };
        Duration::from_secs(whole_millis(wait.min(VISIBILITY_MAX)).div_ceil(1000))
    }
}

/// What decides how long SQS goes on delivering a message whose order fails every time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Redelivery {
    /// The function's timeout.
    pub timeout: Duration,
    /// From Lambda's deadline to the end of the lease.
    pub lease_grace: Duration,
    /// The visibility timeout of the queue.
    pub visibility: Duration,
    /// The queue's `maxReceiveCount`.
    pub max_receive_count: u32,
}

impl Redelivery {
    /// The longest that a message stays hidden between two receives: until the queue would show it, and the longest
    /// wait that the function asks for, since it can ask only while the message is hidden.
    ///
    /// How long it then waits for a poller (behind a cap on concurrency, or while the event source is off) is not in
    /// it: nothing bounds that.
    pub fn longest_wait(&self) -> Duration {
        let whole_lease = self.timeout + self.lease_grace + LEASE_JITTER;
        self.visibility + Delay::For(BACKOFF_MAX.max(SHORT * 2).max(whole_lease)).whole_seconds(UnixMillis(0))
    }

    /// The longest from the first receive to the one after the last, at which SQS dead-letters the message. If the
    /// queue's retention is not longer, SQS may drop the message before: no park, no dead letter.
    pub fn longest(&self) -> Duration {
        self.longest_wait() * self.max_receive_count
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

    /// With a visibility timeout that shows what the function adds to it.
    fn redelivery(timeout: u64, grace: u64) -> Redelivery {
        Redelivery {
            timeout: Duration::from_secs(timeout),
            lease_grace: Duration::from_secs(grace),
            visibility: Duration::from_secs(6 * timeout + 2),
            max_receive_count: 20,
        }
    }

    #[test]
    fn the_longest_wait_is_the_visibility_and_the_longest_that_the_function_asks_for() {
        for (timeout, grace, asked) in
            [(3, 1, 900), (60, 5, 900), (893, 5, 900), (894, 5, 901), (900, 5, 907)]
        {
            let redelivery = redelivery(timeout, grace);
            assert_eq!(
                redelivery.longest_wait() - redelivery.visibility,
                Duration::from_secs(asked),
                "{timeout}"
            );
            assert_eq!(redelivery.longest(), redelivery.longest_wait() * 20);
        }
    }

    #[test]
    fn no_delay_is_longer_than_the_longest_wait() {
        let random = Random::from_seed(1);
        for (timeout, grace) in [(3, 1), (60, 5), (900, 5), (900, 900), (900, 50_000)] {
            let redelivery = redelivery(timeout, grace);
            let most = redelivery.longest_wait() - redelivery.visibility;
            let now = UnixMillis(1);
            let lease_end = now + redelivery.timeout + redelivery.lease_grace;
            for receive_count in 0..1000 {
                let backoff = Delay::backoff(receive_count, &random);
                let all = [backoff, Delay::until(lease_end, &random), Delay::short(&random)];
                for delay in all.into_iter().chain([Delay::Until(lease_end, LEASE_JITTER)]) {
                    assert!(delay.whole_seconds(now) <= most, "{delay:?} of {timeout} s and {grace} s");
                }
            }
        }
    }
}
