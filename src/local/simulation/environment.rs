//! A worker: one environment of the shipped function, with faults of its own between it and everything else, and a
//! clock that is a little wrong.

use std::sync::Arc;
use std::time::Duration;

use aws_smithy_runtime_api::client::http::SharedHttpConnector;
use serde_json::{Value, json};

use super::chance::{between, millis};
use super::codes::Code;
use super::mischief;
use super::provider;
use super::queue::Delivered;
use super::settings::Settings;
use super::wire::{self, PAYMENTS, QUEUES, SOURCE_ARN};
use super::world::World;
use crate::batch::Batches;
use crate::budget::Budget;
use crate::clock::{Clock, UnixMillis};
use crate::config::{Config, name};
use crate::function;
use crate::local::faults::{Fault, Faults, Passage};
use crate::local::stack::TABLE;
use crate::services::payment::{Sandbox, Stripe, StripeKey};

/// Clocks of two workers differ by twice this at most.
const SKEW: Duration = Duration::from_secs(30);
/// Then Lambda starts a new one.
const LIFE: u32 = 40;

pub(super) struct Environment {
    pub(super) name: String,
    pub(super) code: Code,
    pub(super) settings: Settings,
    batches: Batches,
    faults: Faults,
    clock: Clock,
    invocations: u32,
}

/// How an invocation ended.
pub(super) enum Ended {
    /// The IDs of the messages that failed.
    Answered(Box<Environment>, Vec<String>),
    /// No answer: none of its messages is done.
    Died(&'static str),
}

impl Environment {
    pub(super) fn start(world: &Arc<World>, name: String, code: Code, settings: Settings) -> Self {
        let faults = Faults::planned_by({
            let world = Arc::clone(world);
            move |passage| meet(&world, passage)
        });
        let connector = faults.wrap(wire::connector(world, &name));
        let sdk =
            world.aws.sdk_config(connector.clone()).into_builder().retry_config(function::retries()).build();
        let stripe = stripe(world, connector);
        let clock = skewed(world, &name);
        let random = world.chance.random("function", &name);
        let (config, time) = (config(&settings), clock.clone());
        let batches = match settings.sandbox {
            true => code.assemble(config, &sdk, Sandbox, time, random),
            false => code.assemble(config, &sdk, stripe, time, random),
        };
        settings.changes().for_each(|change| world.journal().count(change));
        world.note("start", &format!("{name} {code:?} {settings:?}"));
        Environment { name, code, settings, batches, faults, clock, invocations: 0 }
    }

    /// Whether Lambda would take a new one for the next event.
    pub(super) fn is_old(&self) -> bool {
        self.invocations >= LIFE
    }

    /// Runs the function on a batch, as Lambda would: until it answers, dies, or its time is over.
    pub(super) async fn invoke(mut self: Box<Self>, world: Arc<World>, batch: &[Delivered]) -> Ended {
        self.invocations += 1;
        let Ok(event) = serde_json::from_value(event(batch)) else { return Ended::Died("no event") };
        let timeout = self.settings.timeout;
        let deadline = tokio::time::Instant::now() + timeout;
        let budget = Budget::for_invocation(self.clock.now() + timeout, self.clock.clone());
        let faults = self.faults.clone();
        let mut handling = Box::pin(self.batches.handle(&event, &budget));
        let answer = loop {
            tokio::select! {
                biased;
                () = faults.crashed() => return Ended::Died("crashed"),
                () = faults.frozen() => {
                    let moment = format!("{}/{}", self.name, self.invocations);
                    thaw_later(&world, &moment).await;
                    faults.thaw();
                }
                answer = &mut handling => break answer,
                () = tokio::time::sleep_until(deadline) => return Ended::Died("timed out"),
            }
        };
        drop(handling);
        if tokio::time::Instant::now() > deadline {
            return Ended::Died("woke after its deadline");
        }
        match answer {
            Ok(answer) => {
                let failed =
                    answer.batch_item_failures.into_iter().map(|failure| failure.item_identifier).collect();
                Ended::Answered(self, failed)
            }
            Err(_) => Ended::Died("failed as a whole"),
        }
    }
}

/// With the key that is in the secret now, and the one that is there when it is read again.
fn stripe(world: &Arc<World>, connector: SharedHttpConnector) -> Stripe {
    let world = Arc::clone(world);
    let secret = move || StripeKey(provider::api_key(*world.key_number()));
    let now = secret();
    Stripe::reading_again(connector, PAYMENTS, now, move || Box::pin(std::future::ready(Ok(secret()))))
}

fn meet(world: &World, passage: &Passage) -> Option<Fault> {
    // The SDK's jitter comes from the thread's generator; whatever drew from it before does not matter after this.
    fastrand::seed(world.chance.number("jitter", &world.now().0.to_string()));
    let faulty = world.is_faulty();
    let payer = world.payer(&passage.operation);
    let (name, fault) = world.mischief().decide(passage, payer, faulty)?;
    let kind = mischief::kind(fault);
    world.journal().count(&format!("fault {kind}"));
    world.note("fault", &format!("{kind} {name}"));
    Some(fault)
}

/// Mostly past every lease, sometimes so short that nobody notices.
async fn thaw_later(world: &World, moment: &str) {
    let mut random = world.chance.of("freeze", moment);
    let (least, most) = if random.f64() < 0.3 { (100, 3_000) } else { (12_000, 180_000) };
    tokio::time::sleep(between(&mut random, Duration::from_millis(least), Duration::from_millis(most))).await;
    world.note("thaw", moment);
}

fn skewed(world: &Arc<World>, name: &str) -> Clock {
    let ahead = world.chance.of("skew", name).u64(0..=2 * millis(SKEW));
    let clock = world.clock.clone();
    Clock::from_fn(move || UnixMillis(clock.now().0 + ahead - millis(SKEW)))
}

fn config(settings: &Settings) -> Config {
    let lookup = |variable: &str| {
        Some(match variable {
            name::ORDERS_TABLE => TABLE.to_owned(),
            name::DEAD_LETTER_QUEUE_URL => format!("{QUEUES}dead-letters"),
            name::WAREHOUSE_QUEUE_URL => format!("{QUEUES}warehouse"),
            name::NOTIFICATIONS_QUEUE_URL => format!("{QUEUES}notifications"),
            name::PAYMENT_PROVIDER => "sandbox".to_owned(),
            _ => return settings.value(variable),
        })
    };
    Config::read(&lookup).expect("these variables are right")
}

fn event(batch: &[Delivered]) -> Value {
    let record = |message: &Delivered| {
        json!({
            "messageId": message.id, "receiptHandle": message.receipt(), "body": message.body,
            "attributes": {
                "ApproximateReceiveCount": message.receives.to_string(),
                "SentTimestamp": message.sent_at.0.to_string(),
            },
            "messageAttributes": {}, "md5OfBody": "", "eventSource": "aws:sqs",
            "eventSourceARN": SOURCE_ARN, "awsRegion": "us-east-1",
        })
    };
    json!({ "Records": batch.iter().map(record).collect::<Vec<_>>() })
}
