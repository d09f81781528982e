//! A drill: the table is lost to an older copy while orders run, and `docs/runbooks/restore.md` brings the books right. The
//! real function and the real command line, on the local stack.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use order_processor::clock::{Clock, UnixMillis};
use order_processor::local::event_source::{EventSource, EventSourceOptions};
use order_processor::local::function_host::FunctionHost;
use order_processor::local::ledger::{self, Sent};
use order_processor::local::payment_provider::Scripted;
use order_processor::local::resources::{create_table, queue_arn};
use order_processor::record::Status;
use serde_json::{Value, json};

use crate::binary::running::{PATIENCE, Running, STOCK, order};
use crate::orderctl::{Run, run_in};

/// Finished before the copy.
const EARLY: [&str; 3] = ["early-1", "early-2", "early-3"];
/// Charged when the copy was made, and not written down yet.
const UNDER_WAY: [&str; 2] = ["under-way-1", "under-way-2"];
/// Placed, and finished, after it.
const LATE: [&str; 3] = ["late-1", "late-2", "late-3"];
const DECLINED: &str = "declined-1";
/// Placed, charged, cancelled and given back after it.
const CANCELLED: &str = "cancelled-1";
/// Mugs that came in after it.
const DELIVERY: u64 = 5;

const LOOK_EVERY: Duration = Duration::from_millis(20);

type Item = HashMap<String, AttributeValue>;

struct Drill {
    running: Running,
    bodies: BTreeMap<&'static str, String>,
    sent: Vec<Sent>,
}

impl Drill {
    async fn start() -> Drill {
        // No worker runs out of time on a busy machine: each failure here is meant.
        let running = Running::start(|options| {
            options.timeout = Duration::from_secs(6);
            options.visibility = Duration::from_secs(10);
        });
        let running = running.await;
        Drill { running, bodies: BTreeMap::new(), sent: Vec::new() }
    }

    /// The same message, whenever the order is sent.
    async fn send(&mut self, id: &'static str) {
        let body = self.bodies.entry(id).or_insert_with(|| {
            let mut order = order(id);
            if id == DECLINED {
                order["payment_method"] = json!("pm_card_declined");
            }
            order.to_string()
        });
        let message_id = self.running.send(body).await;
        self.sent.push(Sent { message_id, body: body.clone() });
    }

    /// The provider charges the order at its first request, and its answer is lost: the order waits to be tried again.
    async fn send_and_lose_the_answer(&mut self, id: &'static str) {
        let lost = Scripted::status(500).applied();
        self.running.stack.payments().answer_next(&format!("{id}:charge_payment"), lost);
        self.send(id).await;
    }

    async fn orderctl(&self, arguments: &[&str]) -> Run {
        let running = &self.running;
        let table = [
            ("AWS_ENDPOINT_URL_DYNAMODB".to_owned(), running.table_endpoint.clone()),
            ("ORDERS_TABLE".to_owned(), running.table_name.clone()),
        ];
        let variables = running.stack.variables().iter().chain(&table);
        let variables: Vec<(&str, &str)> =
            variables.map(|(name, value)| (name.as_str(), value.as_str())).collect();
        run_in(&variables, &[&["--json"], arguments].concat(), "").await
    }

    async fn done(&self, arguments: &[&str]) -> Value {
        let run = self.orderctl(arguments).await;
        assert_eq!(run.code, 0, "{arguments:?}: {run:?}");
        run.document()
    }

    /// The table at a moment at which the orders under way are charged, and the records do not know it.
    async fn copy(&self) -> Vec<Item> {
        loop {
            let items = self.running.scan().await;
            let is = |item: &Item, name: &str, value: &str| {
                item.get(name).and_then(|found| found.as_s().ok()).is_some_and(|found| found == value)
            };
            let is_charged = |id: &str| {
                let ledger = self.running.stack.payments().ledger();
                ledger.charges_of(id).len() == 1
                    && items.iter().any(|item| {
                        is(item, "pk", &format!("ORDER#{id}"))
                            && is(item, "status", Status::InProgress.as_str())
                            && is(item, "step", "charge_payment")
                    })
            };
            if UNDER_WAY.iter().all(|id| is_charged(id)) {
                return items;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// What happens after the copy was made, all of which it has forgotten.
    async fn go_on(&mut self) {
        for id in LATE.into_iter().chain([DECLINED]) {
            self.send(id).await;
        }
        self.send_and_lose_the_answer(CANCELLED).await;
        self.running.said(|line| line["order_id"] == CANCELLED && line["outcome"] == "retry").await;
        self.running.stack.pause().await;
        self.done(&["cancel", CANCELLED, "--who", "ann", "--why", "wanted no more"]).await;
        self.running.stack.resume();
        self.done(&["stock", "add", "mug", &format!("+{DELIVERY}")]).await;
        self.running.queue_empty().await;
        let cancelled = self.running.record(CANCELLED).await.unwrap();
        assert_eq!(cancelled.status, Status::Rejected);
        assert_eq!(self.running.stack.payments().ledger().settled_refunds_of(CANCELLED).len(), 1);
    }

    /// The table is gone, and the copy is there under another name.
    async fn restore(&mut self, copy: Vec<Item>) {
        let restored = format!("{}-restored", self.running.table_name);
        let table = &self.running.table;
        create_table(table, &restored).await.unwrap();
        for item in copy {
            table.put_item().table_name(&restored).set_item(Some(item)).send().await.unwrap();
        }
        table.delete_table().table_name(&self.running.table_name).send().await.unwrap();
        self.running.table_name = restored;
    }

    /// The function anew, on the table that was restored: what a deployment with another `ExistingTableName` makes.
    async fn adopt(&self) -> (EventSource, FunctionHost) {
        let table = [("ORDERS_TABLE", self.running.table_name.as_str())];
        let function = FunctionHost::start(self.running.function_options(2, &table));
        function.ready().await.unwrap();
        let stack = &self.running.stack;
        let options = EventSourceOptions {
            queue_url: stack.queues().orders.clone(),
            queue_arn: queue_arn("orders"),
            batch_size: 10,
            batching_window: Duration::ZERO,
            concurrency: 2,
        };
        let sqs = aws_sdk_sqs::Client::new(&stack.sdk_config());
        let invoker = function.invoker();
        let source = EventSource::start(sqs, options, move |event| {
            let invoker = invoker.clone();
            async move { invoker.invoke(event).await }
        });
        (source, function)
    }

    /// What the audit says of orders without a record, by order.
    async fn forgotten(&self, since: UnixMillis) -> BTreeMap<String, String> {
        let run = self.orderctl(&["audit", "--since", &since.to_rfc3339()]).await;
        let audit = run.document();
        let text = |one: &Value, name: &str| one[name].as_str().unwrap().to_owned();
        let told = audit["contradictions"].as_array().unwrap().iter();
        let told: BTreeMap<String, String> =
            told.map(|one| (text(one, "subject"), text(one, "what"))).collect();
        assert_eq!(run.code, i32::from(!told.is_empty()), "{run:?}");
        assert!(told.values().all(|what| what.contains("the table has no record")), "{told:?}");
        told
    }

    /// Every order charged once, shipped under one key, told one thing, and the stock right.
    async fn balance(&self, answered_from: usize) {
        let mut facts = self.running.facts(self.sent.clone()).await;
        facts.stock_before.insert("mug".to_owned(), STOCK + DELIVERY);
        // The answers of a forgotten order had another `finished_at`; since the table is back, each has one.
        facts.answers.clear();
        for line in &self.running.records()[answered_from..] {
            if let (Some(id), Some(result)) = (line["order_id"].as_str(), line["result"].as_str()) {
                facts.answers.entry(id.to_owned()).or_default().insert(result.to_owned());
            }
        }
        assert_eq!(facts.answers.len(), self.bodies.len(), "each was answered again");
        let violations: Vec<String> = ledger::check(&facts).iter().map(ToString::to_string).collect();
        assert!(violations.is_empty(), "{violations:#?}");
        let completed = facts.records.iter().filter(|record| record.status == Status::Completed);
        assert_eq!(completed.count(), EARLY.len() + UNDER_WAY.len() + LATE.len());
        for id in UNDER_WAY.into_iter().chain(LATE) {
            let shipment = &facts.shipments[&format!("{id}:dispatch_shipment")];
            assert!(shipment.times > 1, "the warehouse sees a repeat, and drops it");
        }
    }
}

async fn drill() {
    let mut drill = Drill::start().await;
    for id in EARLY {
        drill.send(id).await;
    }
    drill.running.deleted(EARLY.len()).await;
    for id in UNDER_WAY {
        drill.send_and_lose_the_answer(id).await;
    }
    let copied_at = Clock::system().now();
    let copy = drill.copy().await;
    drill.go_on().await;

    // The disaster, and the runbook: pause, the copy in place of the table, and what it has
    // forgotten.
    drill.running.stack.pause().await;
    drill.restore(copy).await;
    let forgotten = drill.forgotten(copied_at).await;
    let expected: BTreeSet<&str> = LATE.into_iter().chain([CANCELLED]).collect();
    assert_eq!(forgotten.keys().map(String::as_str).collect::<BTreeSet<_>>(), expected);
    for (id, what) in &forgotten {
        let todo = if id == CANCELLED { "has the money back" } else { "send its message again before" };
        assert!(what.contains(todo), "{id} {what}");
    }
    // What people stated is stated again, and what was placed since, and some time before, is sent again.
    drill.done(&["stock", "add", "mug", &format!("+{DELIVERY}")]).await;
    let answered_from = drill.running.records().len();
    for id in EARLY.into_iter().chain(UNDER_WAY).chain(LATE).chain([DECLINED, CANCELLED]) {
        drill.send(id).await;
    }
    let (source, function) = drill.adopt().await;
    drill.running.queue_empty().await;
    source.shutdown().await;
    function.shutdown().await;

    drill.balance(answered_from).await;
    assert_eq!(drill.forgotten(copied_at).await, BTreeMap::new());
    drill.running.end().await;
}

#[tokio::test]
async fn a_table_that_is_lost_to_an_older_copy_is_brought_right_by_the_runbook() {
    tokio::time::timeout(PATIENCE, drill()).await.expect("took too long");
}
