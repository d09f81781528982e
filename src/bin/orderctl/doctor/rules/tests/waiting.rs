//! What waits.

use super::*;

fn oldest(ages: &[(&str, u64)]) -> Facts {
    let ages = ages.iter().map(|(name, age)| ((*name).to_owned(), *age)).collect();
    Facts { oldest: Some(ages), ..healthy() }
}

#[test]
fn a_message_that_waits_too_long_is_found_in_each_queue() {
    let of = |ages: &[(&str, u64)]| level(&oldest(ages), "oldest messages");
    // 345,600 s are kept, of shipments and notifications too.
    for (name, patience) in [("orders", 600), ("w", 86_400), ("n", 86_400)] {
        let aged = |age| of(&[("orders", 0), (name, age)]);
        assert_eq!((aged(patience), aged(patience + 1)), (Level::Ok, Level::Warning), "{name}");
        assert_eq!((aged(172_800), aged(172_801)), (Level::Warning, Level::Error), "{name}");
    }
    assert_eq!(of(&[("orders", 172_801), ("n", 86_401)]), Level::Error, "the worst of them");
}

#[test]
fn an_age_that_nobody_tells_is_no_age_only_if_the_queue_is_empty() {
    // The queue of orders has messages, the others have none.
    assert_eq!(level(&oldest(&[("w", 1)]), "oldest messages"), Level::Unknown);
    assert_eq!(level(&oldest(&[("orders", 1)]), "oldest messages"), Level::Ok);
    assert_eq!(level(&Facts { oldest: None, ..healthy() }, "oldest messages"), Level::Unknown);
    assert_eq!(level(&oldest(&[("w", 86_401)]), "oldest messages"), Level::Warning, "one is enough to know");
    let mut empty = Facts { oldest: None, ..healthy() };
    for count in ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"] {
        empty.source.as_mut().unwrap().insert(count.to_owned(), "0".to_owned());
    }
    assert_eq!(level(&empty, "oldest messages"), Level::Ok);
}

#[test]
fn dead_letters_are_told_of_each_of_the_three_queues() {
    let one = |count: &str| attributes(&[("ApproximateNumberOfMessages", "0"), (count, "1")]);
    let (seen, hidden) = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible");
    assert_eq!(level(&dead(seen, "1"), "dead letters"), Level::Warning);
    assert_eq!(level(&dead(hidden, "1"), "dead letters"), Level::Warning);
    for variable in ["WAREHOUSE_QUEUE_URL", "NOTIFICATIONS_QUEUE_URL"] {
        let mut facts = healthy();
        facts.outgoing_dead_letters.get_mut(variable).unwrap().extend(one(hidden));
        assert_eq!(level(&facts, "dead letters"), Level::Warning, "{variable}");
        facts.outgoing_dead_letters.remove(variable);
        assert_eq!(level(&facts, "dead letters"), Level::Unknown, "{variable}");
        facts.dead_letters.as_mut().unwrap().insert(seen.to_owned(), "1".to_owned());
        assert_eq!(level(&facts, "dead letters"), Level::Warning, "one is enough to know");
    }
    assert_eq!(level(&healthy(), "dead letters"), Level::Ok);
}
