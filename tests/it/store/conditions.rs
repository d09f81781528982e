//! [`Guard::holds`] is DynamoDB's answer, and a change is what DynamoDB makes of an item: whatever is checked
//! against the pure protocol is checked against the table.

use order_processor::clock::UnixSeconds;
use order_processor::order::{Fingerprint, Sku};
use order_processor::protocol::{Guard, StockMove};
use proptest::option;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::Value;

use super::*;

const ALL_STATUS: [Status; 5] =
    [Status::InProgress, Status::Compensating, Status::Completed, Status::Rejected, Status::Parked];

fn few_steps() -> impl Strategy<Value = String> {
    prop::sample::select(vec![RESERVE, CHARGE, SHIP, "a step of another version", ""]).prop_map(str::to_owned)
}

fn few_owners() -> impl Strategy<Value = Owner> {
    prop::sample::select(vec!["me", "other", "Ä 🦀", ""]).prop_map(|name| Owner(name.to_owned()))
}

fn few_fences() -> impl Strategy<Value = Fence> {
    prop::sample::select(vec![0, 1, 2, u64::MAX]).prop_map(Fence)
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![Just(String::new()), "[a-z]{1,8}", any::<String>()]
}

fn outcomes() -> impl Strategy<Value = Outcomes> {
    let fact = (text(), text(), option::of(any::<u64>())).prop_map(|(name, text, at)| {
        let outcome = Outcome::of(&format!("f{name}"), text);
        at.map_or(outcome.clone(), |at| outcome.at(UnixMillis(at)))
    });
    let stock = prop::collection::vec(("[A-Za-z0-9._-]{1,64}", any::<u32>()), 0..4).prop_map(|lines| {
        Outcome::reserved(lines.into_iter().map(|(sku, n)| (sku.parse::<Sku>().unwrap(), n)))
    });
    let outcome = prop_oneof![fact, stock, Just(Outcome::nothing())];
    prop::collection::vec((few_steps(), outcome), 0..4).prop_map(|all| {
        let named =
            |outcomes: Outcomes, (step, outcome): (String, _)| outcomes.with(&format!("s{step}"), outcome);
        all.into_iter().fold(Outcomes::default(), named)
    })
}

prop_compose! {
    fn rarely_set()(
        reserved_at_ms in option::of(any::<u64>().prop_map(UnixMillis)),
        parked_from in option::of(prop::sample::select(ALL_STATUS.to_vec())),
        parked_reason in option::of(text()),
        order in option::of(text()),
        callee in option::of(text()),
        settled_step in option::of(few_steps()),
        key_epoch_ms in option::of(any::<u64>().prop_map(UnixMillis)),
        key_generation in prop::collection::btree_map("s[a-z]{0,3}", any::<u32>(), 0..3),
        result in option::of(text()),
        expires_at in option::of(any::<u64>().prop_map(UnixSeconds)),
    ) -> Record {
        Record {
            reserved_at_ms, parked_from, parked_reason, order, callee, settled_step, key_epoch_ms, key_generation, result, expires_at,
            ..claim().after
        }
    }
}

prop_compose! {
    fn a_record()(
        rare in rarely_set(),
        status in prop::sample::select(ALL_STATUS.to_vec()),
        fence in few_fences(),
        owner in few_owners(),
        step in few_steps(),
        outcomes in outcomes(),
        lease in option::of(any::<u64>()),
        fingerprint in text(),
        (workflow_version, attempts) in any::<(u32, u64)>(),
        (claimed, updated) in any::<(u64, u64)>(),
        cancel_requested in option::of(text()),
    ) -> Record {
        Record {
            status, fence, owner, step, outcomes, workflow_version, attempts, cancel_requested,
            fingerprint: Fingerprint::stored(fingerprint),
            lease_until_ms: lease.map(UnixMillis),
            claimed_at_ms: UnixMillis(claimed),
            updated_at_ms: UnixMillis(updated),
            ..rare
        }
    }
}

prop_compose! {
    /// Any condition that says something.
    fn a_guard()(
        absent in prop::bool::weighted(0.2),
        fence in option::of(few_fences()),
        owner in option::of(few_owners()),
        status in prop::collection::vec(prop::sample::select(ALL_STATUS.to_vec()), 0..4),
        step in prop::collection::vec(few_steps(), 0..4),
        not_cancelled in any::<bool>(),
    ) -> Guard {
        Guard { absent, fence, owner, status, step, not_cancelled }
    }
}

/// The condition that this very record meets, with one part of it left as it was.
fn fitted(guard: Guard, record: &Record, spared: usize) -> Guard {
    let fits = |part: usize| part != spared;
    Guard {
        absent: guard.absent && !fits(0),
        fence: if fits(1) { guard.fence.map(|_| record.fence) } else { guard.fence },
        owner: if fits(2) { guard.owner.map(|_| record.owner.clone()) } else { guard.owner },
        status: if fits(3) { [guard.status, vec![record.status]].concat() } else { guard.status },
        step: if fits(4) { [guard.step, vec![record.step.clone()]].concat() } else { guard.step },
        not_cancelled: guard.not_cancelled && (!fits(5) || record.cancel_requested.is_none()),
    }
}

/// What `change` makes of `item`, attribute by attribute.
fn changed(item: &Record, before: &Record, after: &Record) -> Record {
    let mut attributes = item.attributes();
    for (name, value) in before.changes_to(after) {
        match value {
            Some(value) => attributes.insert(name, value),
            None => attributes.remove(&name),
        };
    }
    serde_json::from_value(Value::Object(attributes)).unwrap()
}

/// Runs `check` on `cases` random values, within one runtime and one table.
fn on_random<T: std::fmt::Debug>(
    cases: u32,
    strategy: impl Strategy<Value = T>,
    check: impl AsyncFn(&Table, T) -> Result<(), TestCaseError>,
) {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    let table = runtime.block_on(Table::new());
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    TestRunner::new(config)
        .run(&strategy, |value| runtime.block_on(check(&table, value)))
        .unwrap_or_else(|failure| panic!("{failure}"));
}

async fn put_or_remove(table: &Table, item: Option<&Record>) {
    match item {
        Some(record) => table.put(record).await,
        None => table.remove().await,
    }
}

/// That the table answers as the guard does, and holds what follows from it.
async fn agree(
    table: &Table,
    write: &Write,
    item: Option<&Record>,
    expected: &Record,
) -> Result<bool, TestCaseError> {
    put_or_remove(table, item).await;
    let written = table.write(write).await.map_err(|error| TestCaseError::fail(error.to_string()))?;
    let holds = write.guard.holds(item);
    if holds {
        let returned = if write.stock.is_empty() { expected } else { &write.after };
        prop_assert_eq!(&written, &Written::Applied(Box::new(returned.clone())), "{:?}", &write.guard);
    } else {
        prop_assert_eq!(&written, &Written::Refused(item.cloned().map(Box::new)), "{:?}", &write.guard);
    }
    let there = table.record().await;
    prop_assert_eq!(there.as_ref(), if holds { Some(expected) } else { item });
    Ok(holds)
}

#[test]
fn a_guard_holds_on_an_item_if_and_only_if_dynamodb_says_so() {
    let counts = std::cell::Cell::new((0, 0));
    let records = (a_record(), a_record(), a_record());
    let cases = (a_guard(), 0..7_usize, records, any::<u64>(), any::<bool>());
    on_random(500, cases, async |table, (guard, spared, (item, before, after), fence, in_a_transaction)| {
        // A transaction of the same order, step and fence would be taken for a repeat.
        let after = Record { fence: Fence(fence), ..after };
        let guard = fitted(guard, &item, spared);
        prop_assume!(guard != Guard::default() && before != after);
        let moved = u64::from(in_a_transaction);
        let stock = (0..moved).map(|_| StockMove::Release("mug".parse().unwrap(), 1)).collect();
        let mugs = table.available("mug").await;
        let expected = changed(&item, &before, &after);
        let write = Write { guard, before: Some(before), after, stock };
        let holds = agree(table, &write, Some(&item), &expected).await?;
        prop_assert_eq!(table.available("mug").await, mugs + if holds { moved } else { 0 });
        let (held, refused) = counts.get();
        counts.set(if holds { (held + 1, refused) } else { (held, refused + 1) });
        Ok(())
    });
    let (held, refused) = counts.get();
    assert!(held > 100 && refused > 100, "{held} held, {refused} were refused");
}

#[test]
fn a_guard_holds_where_there_is_no_item_if_and_only_if_dynamodb_says_so() {
    let guards = (a_guard(), 0..6_usize).prop_map(|(guard, only)| match only {
        0 => Guard { absent: true, ..Guard::default() },
        1 => Guard { absent: true, not_cancelled: true, ..Guard::default() },
        2 => Guard { not_cancelled: true, ..Guard::default() },
        _ => guard,
    });
    on_random(200, (guards, option::of(a_record()), a_record()), async |table, (guard, item, after)| {
        prop_assume!(guard != Guard::default());
        let write = Write { guard, before: None, after: after.clone(), stock: Vec::new() };
        agree(table, &write, item.as_ref(), &after).await.map(drop)
    });
}

#[test]
fn any_change_of_a_record_makes_exactly_the_record_that_was_meant() {
    on_random(200, (a_record(), a_record()), async |table, (before, after)| {
        prop_assume!(before != after);
        let guard = Guard { fence: Some(before.fence), ..Guard::default() };
        let write = Write { guard, before: Some(before.clone()), after: after.clone(), stock: Vec::new() };
        prop_assert!(agree(table, &write, Some(&before), &after).await?);
        Ok(())
    });
}

#[tokio::test(start_paused = true)]
async fn a_write_without_a_condition_is_never_applied() {
    for mut write in [claim(), checkpoint(), reserve()] {
        let table = Table::new().await;
        put_or_remove(&table, write.before.as_ref()).await;
        write.guard = Guard::default();
        let error = table.write(&write).await.unwrap_err();
        assert!(matches!(error, StoreError::NotApplied(_)), "{error}");
        assert_eq!((table.record().await, table.both().await), (write.before, (10, 10)));
    }
}
