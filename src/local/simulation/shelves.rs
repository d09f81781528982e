//! Who counts stock, and who brings or takes some: `orderctl stock set` and `stock add`. Whatever they state, no reservation
//! is lost.

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use fastrand::Rng;

use super::chance::between;
use super::people::{Act, Agenda};
use super::world::World;
use super::{DAY, START, traffic, wire};
use crate::local::stack::TABLE;
use crate::order::Sku;
use crate::store::StockStatement;

/// Looks at the shelves while the orders come in.
const LOOKS: u32 = 60;
/// From a look at the shelf to the command, at most, where it is not given at once.
const COUNTING: Duration = Duration::from_secs(60);

/// What a command about stock says.
enum Told {
    Done,
    Refused,
}

/// Often while the orders come in, then once a day.
pub(super) fn plan(agenda: &mut Agenda, orders: u32) {
    let rush = traffic::SPACING * orders;
    let often = (1..=LOOKS).map(|look| START + rush * look / LOOKS);
    let daily = (1..=47_u32).map(|day| START + DAY * day + DAY / 3);
    often.chain(daily).zip(1..).for_each(|(at, round)| agenda.plan(at, Act::Count(round)));
}

/// Looks at one shelf, and states what is there by what was seen. If that is refused, what came or went is added.
pub(super) async fn count(world: &Arc<World>, round: u32) {
    let mut random = world.chance.of("count", &round.to_string());
    let name = random.choice(traffic::skus()).unwrap_or_default();
    let Ok(sku) = name.parse::<Sku>() else { return };
    let seen = world.item(&crate::record::stock_key(&sku)).and_then(|item| item["available"].as_u64());
    let available = counted(&mut random, seen);
    let most = if random.bool() { COUNTING } else { Duration::from_millis(20) };
    tokio::time::sleep(between(&mut random, Duration::from_millis(1), most)).await;
    let by = signed(available) - signed(seen.unwrap_or_default());
    let statement = StockStatement::Counted { available, seen, name: format!("count {round}") };
    match state(world, &sku, by, &statement).await {
        Told::Done => world.journal().count("stock set"),
        Told::Refused => {
            world.journal().count("stock sets refused");
            match state(world, &sku, by, &StockStatement::Moved(by)).await {
                Told::Done => world.journal().count("stock added"),
                Told::Refused => world.journal().count("stock not taken"),
            }
        }
    }
}

/// What somebody makes of the number that was seen: a shelf that is nearly empty is filled up.
fn counted(random: &mut Rng, seen: Option<u64>) -> u64 {
    match seen {
        None => random.u64(1..=20),
        Some(few @ ..10) => few + random.u64(5..=30),
        Some(many) => many - 5 + random.u64(0..=10),
    }
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Sends the statement. Whoever is told that it is done relies on it, whatever was written.
async fn state(world: &Arc<World>, sku: &Sku, by: i64, statement: &StockStatement) -> Told {
    let sdk = world.aws.sdk_config(wire::direct(world));
    let client = crate::function::dynamodb_client(&sdk);
    world.stating().insert(sku.to_string(), by);
    let answer = statement.update(&client, TABLE, sku).send().await;
    let unwritten = world.stating().remove(sku.as_str());
    let refused = answer.as_ref().err().and_then(|error| match error.as_service_error() {
        Some(UpdateItemError::ConditionalCheckFailedException(refused)) => Some(refused.item.clone()),
        _ => None,
    });
    let own = refused.flatten().is_some_and(|item| statement.stands_in(&item));
    world.note("stock", &format!("{sku} {statement:?} {}", if answer.is_ok() { "done" } else { "refused" }));
    if answer.is_err() && !own {
        return Told::Refused;
    }
    if let Some(by) = unwritten {
        let now = world.history().available().get(sku.as_str()).copied().unwrap_or_default();
        world.history().observe_statement(sku.as_str(), by, now);
    }
    Told::Done
}
