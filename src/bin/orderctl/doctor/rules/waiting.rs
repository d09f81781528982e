//! What waits, and how long it can.

use order_processor::config::name;

use super::{Level, Verdict, advice, number};
use crate::doctor::facts::{Attributes, Facts, queue_name};

/// From when the template's alarm rings by default, in seconds.
const ORDERS_WAIT: u64 = 600;
/// Of the time that a queue keeps a message: whoever empties the others may do so once a day.
const SHARE_OF_OTHERS: u64 = 4;

/// Of the queue of orders, and of those whose messages others fetch.
pub(super) fn oldest_messages(facts: &Facts) -> Option<Verdict> {
    let orders = facts.source.as_ref()?;
    let others = facts.outgoing.values().map(|queue| (queue, kept(queue).map(|kept| kept / SHARE_OF_OTHERS)));
    let queues = [(orders, Some(ORDERS_WAIT))].into_iter().chain(others);
    let (mut worst, mut said) = (Level::Ok, Vec::new());
    for (queue, patience) in queues {
        let (name, kept, patience) = (queue_name(queue)?, kept(queue)?, patience?);
        let told = facts.oldest.as_ref().and_then(|oldest| oldest.get(&name)).copied();
        let age = told.or_else(|| (waiting(queue) == Some(0)).then_some(0));
        let level = match age {
            None => Level::Unknown,
            Some(age) if age * 2 > kept => Level::Error,
            Some(age) if age > patience => Level::Warning,
            Some(_) => Level::Ok,
        };
        worst = if level > worst { level } else { worst };
        said.push(match age {
            Some(age) => format!("{name} {age} s"),
            None => format!("{name} has messages, and CloudWatch tells no age of them"),
        });
    }
    let fix = "see to whoever empties the queue before SQS drops what waits: orderctl stats has the numbers, docs/runbooks/oldest-message.md what to do";
    Some(Verdict { level: worst, what: said.join(", "), fix })
}

fn kept(queue: &Attributes) -> Option<u64> {
    number(queue, "MessageRetentionPeriod")
}

/// How many messages are there, those that are hidden too.
fn waiting(queue: &Attributes) -> Option<u64> {
    let hidden = number(queue, "ApproximateNumberOfMessagesNotVisible")?;
    Some(number(queue, "ApproximateNumberOfMessages")? + hidden)
}

/// What was given up, by the orders' function and by whoever fetches shipments and notifications.
pub(super) fn dead_letters_wait(facts: &Facts) -> Option<Verdict> {
    let dead = |variable| facts.outgoing_dead_letters.get(variable);
    let queues = [
        ("orders", facts.dead_letters.as_ref()),
        ("shipments", dead(name::WAREHOUSE_QUEUE_URL)),
        ("notifications", dead(name::NOTIFICATIONS_QUEUE_URL)),
    ];
    let counted = queues.iter().filter_map(|(of, queue)| Some((of, waiting(queue.as_ref()?)?)));
    let counted: Vec<_> = counted.collect();
    let some = counted.iter().any(|(_, count)| *count > 0);
    // That the others wait is known even if one cannot be read; that nothing waits is not.
    if counted.len() < queues.len() && !some {
        return None;
    }
    let what: Vec<String> = counted.iter().map(|(of, count)| format!("{count} of {of}")).collect();
    let fix = "orderctl dlq list for orders; the runbooks warehouse-dead-letters and notifications-dead-letters for the others";
    advice(!some, what.join(", "), fix)
}
