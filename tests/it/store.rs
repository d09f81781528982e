//! The shipped store over the real SDK and an embedded DynamoDB: what is written, what is refused, and what an
//! answer that never came means.

mod answers;
mod conditions;
mod parked;
mod reasons;
mod stock;
mod unclear;
mod writes;

use std::time::Duration;

use aws_sdk_dynamodb as dynamodb;
use order_processor::budget::Patience;
use order_processor::clock::UnixMillis;
use order_processor::function;
use order_processor::local::aws::{EmbeddedAws, sdk_config};
use order_processor::local::faults::{Fault, Faults};
use order_processor::order::Order;
use order_processor::protocol::{self, Claimant, Ending, Statement, Write, Written};
use order_processor::random::Random;
use order_processor::record::{Fence, Outcome, Outcomes, Owner, Reason, Record, Refusal, Status};
use order_processor::services::workflow;
use order_processor::store::{Store, StoreError};
use order_processor::workflow::{Position, StepId};

use crate::local_world::{TABLE, a_clock, n, s, table_named};
use crate::world::order_json;

const NOW: UnixMillis = UnixMillis(1_795_482_001_123);
const PATIENCE: Patience = Patience { attempt: Duration::from_secs(1), total: Duration::from_secs(3) };

const RESERVE: &str = "reserve_inventory";
const CHARGE: &str = "charge_payment";
const SHIP: &str = "dispatch_shipment";
const TELL: &str = "notify_customer";
const REFUND: &str = "refund_payment";

thread_local! {
    /// Every test has a thread of its own.
    static TIME_PASSES: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

/// The store behind `faults`, and a client that nothing happens to.
struct Table {
    name: String,
    store: Store,
    faults: Faults,
    observer: dynamodb::Client,
}

impl Table {
    async fn new() -> Self {
        Table::under(Faults::none()).await
    }

    /// Ten mugs and ten cups.
    async fn under(faults: Faults) -> Self {
        let (name, sdk, connector) = match server() {
            None => {
                let aws = EmbeddedAws::in_process(a_clock());
                (TABLE.to_owned(), aws.sdk_config(aws.connector()), aws.connector())
            }
            Some(url) => {
                // Where sockets are waited for, time has to pass by itself.
                if !TIME_PASSES.replace(true) {
                    tokio::time::resume();
                }
                let connector = function::connector();
                let sdk = sdk_config(([127, 0, 0, 1], 0).into()).into_builder().endpoint_url(url);
                (format!("orders-{:016x}", fastrand::u64(..)), sdk.build(), connector)
            }
        };
        let observer = table_named(&sdk, &name).await;
        let config = sdk.into_builder().http_client(function::http_client(faults.wrap(connector)));
        let client = function::dynamodb_client(&config.retry_config(function::retries()).build());
        let table = Table { store: Store::new(client, &name, Random::from_seed(1)), name, faults, observer };
        table.stock("mug", 10).await;
        table.stock("cup", 10).await;
        table
    }

    async fn write(&self, write: &Write) -> Result<Written, StoreError> {
        self.store.write(write, PATIENCE).await
    }

    async fn put(&self, record: &Record) {
        let item = serde_dynamo::to_item(record).unwrap();
        self.observer.put_item().table_name(&self.name).set_item(Some(item)).send().await.unwrap();
    }

    async fn remove(&self) {
        let request = self.observer.delete_item().table_name(&self.name).key("pk", s("ORDER#ord-1"));
        request.send().await.unwrap();
    }

    /// The order's item, as it is.
    async fn record(&self) -> Option<Record> {
        let request = self.observer.get_item().table_name(&self.name).key("pk", s("ORDER#ord-1"));
        let item = request.consistent_read(true).send().await.unwrap().item;
        item.map(|item| serde_dynamo::from_item(item).unwrap())
    }

    async fn stock(&self, sku: &str, available: u64) {
        let item = self.observer.put_item().table_name(&self.name).item("pk", s(&format!("STOCK#{sku}")));
        item.item("available", n(available)).send().await.unwrap();
    }

    async fn available(&self, sku: &str) -> u64 {
        let request = self.observer.get_item().table_name(&self.name).key("pk", s(&format!("STOCK#{sku}")));
        request.send().await.unwrap().item.unwrap()["available"].as_n().unwrap().parse().unwrap()
    }

    /// Mugs and cups.
    async fn both(&self) -> (u64, u64) {
        (self.available("mug").await, self.available("cup").await)
    }

    /// What passed, without the service's name.
    fn requests(&self) -> Vec<String> {
        let operations = self.faults.log().into_iter().map(|passage| passage.operation);
        operations.map(|operation| operation.replace("DynamoDB ", "")).collect()
    }
}

/// The server that `make test-dynamodb-local` names; otherwise these tests run on the embedded one.
#[expect(clippy::disallowed_methods, reason = "the server to test on is named by the environment")]
fn server() -> Option<String> {
    std::env::var("STORE_TEST_ENDPOINT").ok()
}

/// `fault` on every request but reads.
fn on_every_write(fault: Fault) -> Faults {
    Faults::planned_by(move |passage| (passage.operation != "DynamoDB GetItem").then_some(fault))
}

/// Two mugs and three cups.
fn order() -> Order {
    let mut order = order_json("ord-1");
    order["items"] = serde_json::json!([
        { "sku": "mug", "quantity": 2, "unit_price": 1299 }, { "sku": "cup", "quantity": 3, "unit_price": 100 },
    ]);
    Order::parse(&order.to_string()).unwrap()
}

fn claimant(name: &str) -> Claimant {
    Claimant { owner: Owner(name.to_owned()), lease_until: NOW + Duration::from_secs(15) }
}

fn step(name: &str) -> StepId {
    let workflow = workflow();
    let found = workflow.steps().find(|(_, step)| step.name == name);
    found.unwrap_or_else(|| panic!("no step {name}")).0
}

fn paid() -> Outcome {
    Outcome::of("payment_id", "pi_1")
}

fn claim() -> Write {
    protocol::claim(&workflow(), &order(), &claimant("me"), NOW)
}

/// A record of mine at `step`, with the outcomes that it has there.
fn held(status: Status, step: &str) -> Record {
    let mut outcomes = Outcomes::default();
    if step != RESERVE {
        let lines = order().items.into_iter().map(|item| (item.sku, item.quantity));
        outcomes = outcomes.with(RESERVE, Outcome::reserved(lines));
    }
    if [SHIP, TELL, REFUND].contains(&step) {
        outcomes = outcomes.with(CHARGE, paid().at(NOW));
    }
    Record { status, step: step.to_owned(), fence: Fence(3), attempts: 3, outcomes, ..claim().after }
}

/// The write after each of mine, a second later.
fn later() -> UnixMillis {
    NOW + Duration::from_secs(1)
}

fn reserve() -> Write {
    protocol::reserve(&workflow(), &held(Status::InProgress, RESERVE), &order(), step(CHARGE), later())
}

fn checkpoint() -> Write {
    let held = held(Status::InProgress, CHARGE);
    protocol::checkpoint(&workflow(), &held, paid(), Position::Forward(step(SHIP)), later())
}

fn release() -> Write {
    finish(Status::Rejected, &held(Status::Compensating, TELL))
}

fn finish(status: Status, held: &Record) -> Write {
    let ending = Ending {
        status,
        result: r#"{"order_id":"ord-1"}"#.to_owned(),
        retention: Duration::from_secs(30 * 86_400),
        placed_at: NOW,
    };
    protocol::finish(&workflow(), held, Outcome::nothing(), &ending, later())
}

/// Every write of the protocol, with its name.
fn every_write() -> Vec<(&'static str, Write)> {
    let workflow = workflow();
    let going = |step: &str| held(Status::InProgress, step);
    let back = |step: &str| held(Status::Compensating, step);
    let parked = protocol::park(&going(CHARGE), "outcome unknown", "{the message}", NOW).after;
    let settled = Record { settled_step: Some(CHARGE.to_owned()), ..parked.clone() };
    let refusal = Refusal { reason: Reason::PaymentDeclined, detail: "card_declined".to_owned() };
    let mark = |statement| protocol::mark(&workflow, &parked, CHARGE, statement, later()).unwrap();
    let to_tell = Position::Backward(step(TELL));
    let unreserved = Record { outcomes: Outcomes::default(), ..back(TELL) };
    vec![
        ("claim", claim()),
        ("take over", protocol::take_over(&workflow, &going(CHARGE), &claimant("successor"), later())),
        (
            "take over on the way back",
            protocol::take_over(&workflow, &back(REFUND), &claimant("successor"), later()),
        ),
        ("reserve", reserve()),
        ("checkpoint", checkpoint()),
        ("complete", finish(Status::Completed, &going(TELL))),
        (
            "begin compensation",
            protocol::begin_compensation(
                &workflow,
                &going(CHARGE),
                Some(paid()),
                &refusal,
                step(CHARGE),
                later(),
            ),
        ),
        ("undo", protocol::checkpoint(&workflow, &back(REFUND), Outcome::nothing(), to_tell, later())),
        ("release and reject", release()),
        ("reject without stock", finish(Status::Rejected, &unreserved)),
        ("park", protocol::park(&going(CHARGE), "outcome unknown", "{the message}", later())),
        ("give up", protocol::give_up(&back(REFUND), later())),
        ("cancel", protocol::cancel(&workflow, &going(CHARGE), "support", later()).unwrap()),
        ("resume", protocol::resume(&parked, later()).unwrap().unwrap()),
        ("mark done", mark(Statement::Done(paid()))),
        ("mark not done", mark(Statement::NotDone)),
        ("compensate", protocol::compensate_parked(&workflow, &settled, "an operator", later()).unwrap()),
    ]
}
