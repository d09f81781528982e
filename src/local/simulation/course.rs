//! The run itself: what is due is done, what is visible is delivered, until nothing is left.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tracing::Dispatch;

use super::chance::between;
use super::codes::{self, Code};
use super::environment::{Ended, Environment};
use super::journal::Reader;
use super::queue::Delivered;
use super::settings::Settings;
use super::world::World;
use super::{DAY, Outcome, Plan, START, people, provider, traffic};
use crate::clock::UnixMillis;
use crate::local::ledger::{Invariant, Violation, check};
use crate::local::resources::create_table;
use crate::local::stack::TABLE;
use crate::record::{AVAILABLE_ATTRIBUTE, KEY_ATTRIBUTE, stock_key};

/// The most messages in one event.
const BATCH: usize = 10;
/// A run that is not over by then never ends.
const END: Duration = Duration::from_secs(80 * 24 * 3600);

/// A worker's place, and the environments it has had.
struct Place {
    number: u32,
    generation: u32,
    environment: Option<Box<Environment>>,
}

struct Course {
    world: Arc<World>,
    idle: VecDeque<Place>,
    running: JoinSet<(Place, Vec<Delivered>, Ended)>,
    /// What people are about.
    errands: JoinSet<()>,
    batches: u64,
}

pub(super) async fn run(plan: Plan) -> Outcome {
    let world = Arc::new(World::new(plan));
    let _reading = tracing::dispatcher::set_default(&Dispatch::new(Reader(Arc::clone(&world))));
    prepare(&world).await;
    let places = 1..=world.plan.workers;
    let places = places.map(|number| Place { number, generation: 0, environment: None });
    let course = Course {
        idle: places.collect(),
        running: JoinSet::new(),
        errands: JoinSet::new(),
        batches: 0,
        world,
    };
    course.go().await
}

/// The table, its stock, the messages and what people will do.
async fn prepare(world: &Arc<World>) {
    let sdk = world.aws.sdk_config(world.aws.connector());
    let client = aws_sdk_dynamodb::Client::new(&sdk);
    create_table(&client, TABLE).await.expect("an empty database takes a table");
    for (sku, available) in traffic::stock(world.plan.orders) {
        let Ok(sku) = sku.parse() else { continue };
        let put = client.put_item().table_name(TABLE).item(KEY_ATTRIBUTE, AttributeValue::S(stock_key(&sku)));
        let put = put.item(AVAILABLE_ATTRIBUTE, AttributeValue::N(available.to_string()));
        put.send().await.expect("an empty table takes an item");
    }
    let chance = world.chance;
    for number in world.plan.numbers() {
        for message in traffic::messages(chance, number) {
            world.send(&message.id, &message.body, message.at);
        }
    }
    let cancelled = world.plan.numbers();
    let cancelled = cancelled
        .filter_map(|number| Some((traffic::order_id(number), traffic::cancelled_at(chance, number)?)));
    people::plan(world, cancelled);
    provider::prepare(world);
    world.schedule();
}

impl Course {
    async fn go(mut self) -> Outcome {
        let mut over = false;
        while !over && self.world.now() < START + END && self.world.history().violations().is_empty() {
            while let Some(act) = self.due() {
                let world = Arc::clone(&self.world);
                self.errands.spawn(async move { people::act(&world, act).await });
            }
            self.deliver();
            let next = self.next();
            over = next.is_none() && self.running.is_empty() && self.errands.is_empty();
            let moment = Instant::now()
                + next.unwrap_or(START + END).since(self.world.now()).max(Duration::from_millis(1));
            tokio::select! {
                biased;
                Some(ended) = self.running.join_next() => self.ended(ended.expect("the function's panics are caught")),
                Some(done) = self.errands.join_next() => done.expect("people make no faults of their own"),
                () = tokio::time::sleep_until(moment), if !over => {}
                else => {}
            }
        }
        self.outcome(over)
    }

    fn due(&self) -> Option<people::Act> {
        self.world.agenda().take(self.world.now())
    }

    /// When there is something to do for whoever is idle.
    fn next(&self) -> Option<UnixMillis> {
        let receives = !self.idle.is_empty() && !self.world.is_paused();
        let queue = self.world.queue().next_visible().filter(|_| receives);
        let agenda = self.world.agenda().next();
        queue.into_iter().chain(agenda).min()
    }

    fn deliver(&mut self) {
        if self.world.is_paused() {
            return;
        }
        let now = self.world.now();
        let exhausted = self.world.queue().exhausted(now);
        exhausted.into_iter().for_each(|message| self.world.exhausted(message));
        while let Some(mut place) = self.idle.pop_front() {
            self.batches += 1;
            let most = self.world.chance.of("batch", &self.batches.to_string()).usize(1..=BATCH);
            let batch = self.world.queue().receive(now, most);
            let Some(first) = batch.first() else { return self.idle.push_front(place) };
            let environment = place.take_environment(&self.world, Code::invoked(&self.world, first));
            for message in &batch {
                let about = format!("{} receive {} to {}", message.id, message.receives, environment.name);
                self.world.note("deliver", &about);
                self.world.delivered(&message.id, &message.body);
                self.give_twice(message);
            }
            let world = Arc::clone(&self.world);
            self.running.spawn(async move {
                let ended = environment.invoke(world, &batch).await;
                (place, batch, ended)
            });
        }
    }

    /// A standard queue may give a message to two workers at once.
    fn give_twice(&self, message: &Delivered) {
        if let Some(moment) = self.unkind(&message.id, "twice", Duration::from_millis(50)) {
            self.world.queue().hide(&message.id, moment);
        }
    }

    /// When the message is visible again, if the queue is unkind to it now.
    fn unkind(&self, id: &str, what: &str, most: Duration) -> Option<UnixMillis> {
        if !self.world.is_faulty() {
            return None;
        }
        let name = self.world.mischief().strikes(id, what)?;
        self.world.journal().count(&format!("queue {what}"));
        self.world.note("queue", &name);
        let random = &mut self.world.chance.of("unkind", &name);
        Some(self.world.now() + between(random, Duration::ZERO, most))
    }

    fn ended(&mut self, (mut place, batch, ended): (Place, Vec<Delivered>, Ended)) {
        match ended {
            Ended::Answered(environment, failed) => {
                place.environment = Some(environment);
                let done = batch.iter().filter(|message| !failed.contains(&message.id));
                done.for_each(|message| self.delete(message));
            }
            Ended::Died(why) => {
                self.world.journal().count("restarts");
                self.world.note("restart", &format!("w{}.{}: {why}", place.number, place.generation));
            }
        }
        self.idle.push_back(place);
    }

    /// The deletion may be lost, and then the message comes again.
    fn delete(&self, message: &Delivered) {
        match self.unkind(&message.id, "undeleted", Duration::from_secs(600)) {
            Some(moment) => self.world.queue().hide(&message.id, moment),
            None => drop(self.world.queue().remove(&message.id)),
        }
    }

    fn outcome(self, over: bool) -> Outcome {
        let world = self.world;
        let mut violations: Vec<_> = world.history().violations().iter().cloned().collect();
        // A run that broke something in the middle ends there: its books would only say that it did not go on.
        if violations.is_empty() {
            violations = check(&world.facts());
            violations.extend(world.restless());
            violations.extend(codes::left_over(&world));
            violations.extend(world.lost());
            violations.extend((!over).then(|| Violation {
                invariant: Invariant::EveryMessageEnds,
                subject: "the queue".to_owned(),
                detail: "messages are left after 80 days".to_owned(),
            }));
        }
        violations.sort();
        for violation in &violations {
            world.note("violation", &violation.to_string());
        }
        let mut journal = world.journal();
        Outcome {
            counts: std::mem::take(&mut journal.counts),
            log: journal.lines.take().unwrap_or_default(),
            faults: world.mischief().happened(),
            took: world.now().since(START).min(DAY * 1000),
            violations,
        }
    }
}

impl Place {
    /// The environment that is there, or a new one; one of another version is given no more events, nor one whose settings
    /// are long gone.
    fn take_environment(&mut self, world: &Arc<World>, code: Code) -> Box<Environment> {
        let present = Settings::present(world);
        let there = self
            .environment
            .take()
            .filter(|there| !there.is_old() && there.code == code && there.settings.live_on(&present));
        match there {
            Some(environment) => environment,
            None => {
                self.generation += 1;
                let name = format!("w{}.{}", self.number, self.generation);
                Box::new(Environment::start(world, name, code, present))
            }
        }
    }
}
