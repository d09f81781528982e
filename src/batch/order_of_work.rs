//! Which records of a batch must wait for which.

use std::collections::HashMap;

use super::message::Message;

/// The records that must have a verdict before this one starts. Both stand earlier in the batch, so nothing ever
/// waits in a circle.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Before {
    /// The one before in its FIFO group.
    pub(super) in_group: Option<usize>,
    /// The one before with the same order ID.
    pub(super) of_order: Option<usize>,
}

pub(super) fn order_of_work(messages: &[Message<'_>]) -> Vec<Before> {
    let (mut groups, mut orders) = (HashMap::new(), HashMap::new());
    let before = messages.iter().enumerate().map(|(index, message)| Before {
        in_group: message.group.and_then(|group| groups.insert(group, index)),
        of_order: message.order.as_ref().ok().and_then(|order| orders.insert(&order.id, index)),
    });
    before.collect()
}
