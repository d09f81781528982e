//! The simulation by seed: that it repeats, that nothing is broken, and that it finds what is.

use axum::body::Bytes;
use order_processor::local::ledger::Invariant;
use order_processor::local::simulation::{BRANCHES, Outcome, Plan, Tamper, run, shrink};
use serde_json::{Value, json};

use crate::evidence::{self, Section};
use crate::side_by_side::on_every_core;

#[track_caller]
fn holds(plan: &Plan) -> Outcome {
    let outcome = run(plan);
    assert!(outcome.violations.is_empty(), "{}\n{:#?}", plan.command(), outcome.violations);
    outcome
}

#[test]
fn the_same_seed_gives_the_same_log_to_the_byte_and_another_seed_another() {
    let log = |seed| run(&Plan { log: true, ..Plan::new(seed, 15, 4, 0.15) }).log.join("\n");
    let logs = [1, 2, 3].map(log);
    assert_eq!(logs, [1, 2, 3].map(log));
    assert!(logs[0] != logs[1] && logs[1] != logs[2]);
    assert!(logs.iter().all(|log| log.lines().count() > 100));
}

#[test]
fn whatever_the_seed_no_invariant_breaks_and_every_branch_is_reached() {
    let mut section = Section::new("5-simulation", "Simulation by seed");
    let few = [(104, 300, 4, 0.08), (2, 40, 1, 0.3), (3, 8, 8, 1.0), (4, 40, 2, 0.0)];
    let fixed = (10..16)
        .map(|seed| (seed, 300, u32::try_from(seed).unwrap() % 7 + 2, 0.03 + 0.01 * (seed % 8) as f64));
    let random = (0..3).map(|_| (fastrand::u64(1000..1_000_000), 300, 5, 0.06));
    let more = fixed.chain(random).take(if evidence::thorough() { usize::MAX } else { 0 });
    let plans: Vec<Plan> = few
        .into_iter()
        .chain(more)
        .map(|(seed, orders, workers, faults)| Plan::new(seed, orders, workers, faults))
        .collect();
    let outcomes = on_every_core(&plans, holds);
    let count = |what: &str| outcomes.iter().map(|outcome| outcome.counts[what]).sum::<u64>();
    let (orders, deliveries) = (count("claims"), count("deliveries"));
    let nowhere = |branch: &&&str| outcomes.iter().all(|outcome| outcome.unreached().contains(*branch));
    let unreached: Vec<_> = BRANCHES.iter().filter(nowhere).collect();
    let seeds: Vec<String> = plans.iter().map(|plan| plan.seed.to_string()).collect();
    section.line(format!("seeds {}", seeds.join(", ")));
    section
        .line(format!("{orders} orders, {deliveries} deliveries, no invariant of {} broken", invariants()));
    section.line(format!("reached: {}", BRANCHES.join(", ")));
    section.end();
    assert!(unreached.is_empty(), "never reached {unreached:?}");
}

fn invariants() -> usize {
    Invariant::ALL.len() + Invariant::THROUGHOUT.len()
}

/// A function whose requests are changed so breaks `invariant`, and one of a few seeds must show it.
#[track_caller]
fn is_found(
    invariant: Invariant,
    tamper: impl Fn(&mut http::Request<Bytes>) + Send + Sync + 'static,
) -> (Plan, Outcome) {
    let tamper = Tamper::new(tamper);
    let mut runs = (1..=6).map(|seed| {
        let plan = Plan { tamper: Some(tamper.clone()), ..Plan::new(seed, 60, 4, 0.1) };
        let outcome = run(&plan);
        (plan, outcome)
    });
    runs.find(|(_, outcome)| broken(outcome).contains(&invariant)).expect("no seed found it")
}

fn broken(outcome: &Outcome) -> Vec<Invariant> {
    outcome.violations.iter().map(|violation| violation.invariant).collect()
}

/// Makes `part` of every condition true, whatever the item says.
fn without(part: &'static str) -> impl Fn(&mut http::Request<Bytes>) + Send + Sync + 'static {
    move |request| {
        let Ok(mut body) = serde_json::from_slice::<Value>(request.body()) else { return };
        let writes = match body.get_mut("TransactItems").and_then(Value::as_array_mut) {
            Some(items) => items.iter_mut().map(|item| &mut item["Update"]).collect(),
            None => vec![&mut body],
        };
        for write in writes {
            let Some(condition) = write.get("ConditionExpression").and_then(Value::as_str) else { continue };
            let parts = condition.split(" AND ").map(|condition| match condition.starts_with(part) {
                true => format!("({condition} OR attribute_exists(#owner) OR attribute_not_exists(#owner))"),
                false => condition.to_owned(),
            });
            let condition = parts.collect::<Vec<_>>().join(" AND ");
            if condition.contains(" OR ") {
                write["ExpressionAttributeNames"]["#owner"] = json!("owner");
                write["ConditionExpression"] = json!(condition);
            }
        }
        *request.body_mut() = Bytes::from(body.to_string());
    }
}

#[test]
fn a_payment_key_that_differs_between_attempts_is_found_and_shrunk_to_one_order() {
    let (plan, outcome) = is_found(Invariant::ChargedOnce, |request| {
        let attempt = fastrand::u64(..);
        if let Some(key) = request.headers_mut().get_mut("idempotency-key") {
            *key = format!("{}:{attempt}", key.to_str().unwrap()).parse().unwrap();
        }
    });
    let shrunk = shrink(&plan, &outcome).unwrap();
    assert_eq!(shrunk.plan.only_orders.as_ref().unwrap().len(), 1, "{}", shrunk.plan.command());
    assert!(shrunk.plan.only_faults.as_ref().unwrap().len() <= 2, "{}", shrunk.plan.command());
    let (again, first) = (run(&shrunk.plan), shrunk.outcome);
    assert_eq!((&again.violations, &again.log), (&first.violations, &first.log));
    let order = &again.violations[0].subject;
    let events = again.last_events(30);
    assert!(events.len() > 3 && events.iter().any(|line| line.contains(order.as_str())), "{events:#?}");
}

#[test]
fn a_claim_that_does_not_look_is_found() {
    is_found(Invariant::StockNeverLost, without("attribute_not_exists(#pk)"));
}

#[test]
fn a_stock_that_is_not_minded_by_its_checkpoint_is_found() {
    is_found(Invariant::StockNeverLost, |request| {
        let Ok(mut body) = serde_json::from_slice::<Value>(request.body()) else { return };
        if let Some(items) = body.get_mut("TransactItems").and_then(Value::as_array_mut) {
            items.truncate(1);
            body["ClientRequestToken"] = json!(fastrand::u64(..).to_string());
            *request.body_mut() = Bytes::from(body.to_string());
        }
    });
}

#[test]
fn a_statement_of_stock_that_minds_no_reservation_is_found() {
    is_found(Invariant::StockNeverLost, |request| {
        let Ok(mut body) = serde_json::from_slice::<Value>(request.body()) else { return };
        if body["ConditionExpression"] == "#available = :seen" {
            body["ConditionExpression"] = json!("#available = :seen OR attribute_exists(#available)");
            *request.body_mut() = Bytes::from(body.to_string());
        }
    });
}

#[test]
fn an_owner_who_minds_neither_fence_nor_owner_is_found() {
    is_found(Invariant::FenceNeverDecreases, |request| {
        for part in ["#fence", "#owner"] {
            without(part)(request);
        }
    });
}

#[test]
fn an_owner_who_minds_nothing_at_all_is_found() {
    is_found(Invariant::FinishedNeverChanges, |request| {
        for part in ["#fence", "#owner", "#status", "#step"] {
            without(part)(request);
        }
    });
}
