//! The queue of orders as an adversary, in virtual time. Pure: whoever calls says when it is.
//!
//! Not the embedded SQS behind the event source of the local stack, for two reasons: that one stamps messages with the
//! machine's time and names them by the machine's chance, so a run could not be repeated to the byte; and it is well
//! behaved, where this one may give a message to two workers at once and forget that it was deleted. What it keeps to
//! is what SQS promises: visibility timeouts, receive counts, and the last receive.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::clock::UnixMillis;

/// How long a received message is hidden, unless the function says otherwise: longer than its timeout and grace.
pub(super) const VISIBILITY: Duration = Duration::from_secs(60);
/// Few, so that the last receive is reached.
pub(super) const MAX_RECEIVE_COUNT: u32 = 5;

/// One delivery of a message.
#[derive(Clone, Debug)]
pub(super) struct Delivered {
    pub(super) id: String,
    pub(super) body: String,
    /// From 1.
    pub(super) receives: u32,
    pub(super) sent_at: UnixMillis,
}

impl Delivered {
    /// `<message ID>#<receive>`.
    pub(super) fn receipt(&self) -> String {
        format!("{}#{}", self.id, self.receives)
    }
}

struct Held {
    body: String,
    sent_at: UnixMillis,
    receives: u32,
    visible_at: UnixMillis,
}

/// The messages that are not deleted.
#[derive(Default)]
pub(super) struct Queue {
    messages: BTreeMap<String, Held>,
    due: BTreeSet<(UnixMillis, String)>,
}

impl Queue {
    /// A message that can be received from `at` on.
    pub(super) fn send(&mut self, id: &str, body: &str, at: UnixMillis) {
        let held = Held { body: body.to_owned(), sent_at: at, receives: 0, visible_at: at };
        self.due.insert((at, id.to_owned()));
        self.messages.insert(id.to_owned(), held);
    }

    /// When the next message can be received.
    pub(super) fn next_visible(&self) -> Option<UnixMillis> {
        self.due.first().map(|(at, _)| *at)
    }

    /// Takes out what was received too often: SQS moves it to the dead-letter queue.
    pub(super) fn exhausted(&mut self, now: UnixMillis) -> Vec<Delivered> {
        let visible = self.due.iter().take_while(|(at, _)| *at <= now).map(|(_, id)| id.clone());
        let ids: Vec<_> = visible.filter(|id| self.messages[id].receives >= MAX_RECEIVE_COUNT).collect();
        ids.into_iter().filter_map(|id| self.remove(&id)).collect()
    }

    /// Hands out up to `most` messages and hides them for the visibility timeout.
    pub(super) fn receive(&mut self, now: UnixMillis, most: usize) -> Vec<Delivered> {
        let visible = self.due.iter().take_while(|(at, _)| *at <= now);
        let ids: Vec<_> = visible.take(most).map(|(_, id)| id.clone()).collect();
        let received = ids.into_iter().filter_map(|id| {
            self.hide(&id, now + VISIBILITY);
            let held = self.messages.get_mut(&id)?;
            held.receives += 1;
            let Held { body, sent_at, receives, .. } = held;
            Some(Delivered { id, body: body.clone(), receives: *receives, sent_at: *sent_at })
        });
        received.collect()
    }

    /// Hides the message of a receipt until `at`. An old receipt counts no more, as the message was received since.
    pub(super) fn hide_received(&mut self, receipt: &str, at: UnixMillis) -> bool {
        let Some((id, receives)) = receipt.split_once('#') else { return false };
        let current = self.messages.get(id).is_some_and(|held| held.receives.to_string() == receives);
        if current {
            self.hide(id, at);
        }
        current
    }

    /// Hides a message until `at`.
    pub(super) fn hide(&mut self, id: &str, at: UnixMillis) {
        if let Some(held) = self.messages.get_mut(id) {
            self.due.remove(&(held.visible_at, id.to_owned()));
            self.due.insert((at, id.to_owned()));
            held.visible_at = at;
        }
    }

    /// Deletes a message, whoever may be at work on it.
    pub(super) fn remove(&mut self, id: &str) -> Option<Delivered> {
        let Held { body, sent_at, receives, visible_at } = self.messages.remove(id)?;
        self.due.remove(&(visible_at, id.to_owned()));
        Some(Delivered { id: id.to_owned(), body, receives, sent_at })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixMillis = UnixMillis(1_000_000);

    fn queue() -> Queue {
        let mut queue = Queue::default();
        queue.send("m1", "one", NOW);
        queue
    }

    #[test]
    fn a_message_is_hidden_for_the_visibility_timeout_and_not_a_millisecond_longer() {
        let mut queue = queue();
        assert_eq!(queue.receive(NOW, 10).len(), 1);
        assert_eq!(queue.next_visible(), Some(NOW + VISIBILITY));
        let before = UnixMillis((NOW + VISIBILITY).0 - 1);
        assert!(queue.receive(before, 10).is_empty());
        assert_eq!(queue.receive(NOW + VISIBILITY, 10)[0].receives, 2);
    }

    #[test]
    fn only_the_latest_receipt_changes_the_visibility() {
        let mut queue = queue();
        let first = queue.receive(NOW, 1).remove(0).receipt();
        assert!(queue.hide_received(&first, NOW));
        assert_eq!(queue.receive(NOW, 1).len(), 1);
        assert!(!queue.hide_received(&first, NOW));
        assert!(!queue.hide_received("m2#1", NOW) && !queue.hide_received("m1", NOW));
    }

    #[test]
    fn a_message_is_received_five_times_and_then_taken_out() {
        let mut queue = queue();
        for _ in 0..MAX_RECEIVE_COUNT {
            assert!(queue.exhausted(NOW).is_empty());
            queue.receive(NOW, 1);
            queue.hide("m1", NOW);
        }
        assert_eq!(queue.exhausted(NOW)[0].body, "one");
        assert_eq!(queue.next_visible(), None);
    }

    #[test]
    fn a_deleted_message_is_gone() {
        let mut queue = queue();
        assert!(queue.remove("m1").is_some() && queue.remove("m1").is_none());
        assert!(queue.receive(NOW, 10).is_empty());
        queue.hide("m1", NOW);
        assert_eq!(queue.next_visible(), None);
    }
}
