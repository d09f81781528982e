//! `kill -9` before and after every request of every path. The requests are counted, not
//! listed, so that a new step joins by itself.

use std::future::pending;

use futures_util::{StreamExt, stream};
use order_processor::local::ledger::Sent;
use order_processor::record::{Record, Status};
use serde_json::{Value, json};

use super::gate::{Plan, Side, Stop};
use super::running::{PATIENCE, Running, order, section, server_name};
use super::worker::Worker;

/// Cases under way at the same moment: they wait for leases most of the time.
pub const SIDE_BY_SIDE: usize = 12;

/// A path through the workflow.
#[derive(Clone, Copy)]
pub struct Path {
    pub name: &'static str,
    payment_method: &'static str,
    cancelled: bool,
    pub status: Status,
}

pub const HAPPY: Path =
    Path { name: "happy", payment_method: "pm_card_visa", cancelled: false, status: Status::Completed };
const DECLINED: Path =
    Path { name: "declined", payment_method: "pm_card_declined", cancelled: false, status: Status::Rejected };
const REFUNDED: Path =
    Path { name: "refunded", payment_method: "pm_card_visa", cancelled: true, status: Status::Rejected };

pub const PATHS: [Path; 3] = [HAPPY, DECLINED, REFUNDED];

/// Every request, on these sides.
pub fn stops(requests: usize, sides: &[Side]) -> impl Iterator<Item = Stop> {
    (1..=requests).flat_map(move |request| sides.iter().map(move |side| Stop { request, side: *side }))
}

impl Path {
    pub fn order(&self, id: &str) -> Value {
        let mut order = order(id);
        order["payment_method"] = json!(self.payment_method);
        order
    }

    /// Behind a gate which stops what is to be stopped.
    pub async fn worker<'r>(
        &self,
        running: &'r Running,
        environments: usize,
        stop: Option<Stop>,
    ) -> Worker<'r> {
        let case =
            stop.map_or("undisturbed".to_owned(), |Stop { request, side }| format!("{side:?}-{request}"));
        let id = format!("{}-{case}", self.name);
        let cancelled = self.cancelled.then(|| id.clone());
        let plan = Plan { stop, cancelled, gathered: None };
        Worker::start(running, environments, &self.order(&id), plan).await
    }

    /// How many requests the path makes without a disturbance, and its message.
    pub async fn undisturbed(&self, running: &Running) -> (usize, Sent) {
        let worker = self.worker(running, 1, None).await;
        let record = worker.deliver_until_done().await;
        assert_eq!((record.status, record.attempts), (self.status, 1), "{}", self.name);
        let requests = worker.gate.operations().len();
        let sent = worker.sent();
        worker.host.shutdown().await;
        (requests, sent)
    }
}

/// The process is killed at `stop`, and the message delivered again.
async fn killed_at(running: &Running, path: &Path, stop: Stop) -> (Record, Sent) {
    let worker = path.worker(running, 1, Some(stop)).await;
    let killer = async {
        worker.gate.stopped().await;
        worker.host.kill_one().expect("a process in the middle of an invocation");
        worker.gate.admit_others();
        pending().await
    };
    let record = tokio::time::timeout(PATIENCE, async {
        tokio::select! {
            record = worker.deliver_until_done() => record,
            () = killer => unreachable!("it only kills"),
        }
    });
    let record = record.await.unwrap_or_else(|_| panic!("{}, {stop:?}: took too long", path.name));
    assert!(worker.gate.was_stopped(), "{}, {stop:?}: nobody was killed", path.name);
    assert_eq!(record.status, path.status, "{}, {stop:?}", path.name);
    let sent = worker.sent();
    worker.host.shutdown().await;
    (record, sent)
}

#[tokio::test]
async fn a_process_killed_at_any_request_is_succeeded_and_the_order_takes_effect_once() {
    let running = Running::start(|options| options.environments = 0).await;
    let mut section = section("kills", "killed at every request");
    let (mut sent, mut cases) = (Vec::new(), Vec::new());
    for path in PATHS {
        let (requests, message) = path.undisturbed(&running).await;
        sent.push(message);
        cases.extend(stops(requests, &[Side::Before, Side::After]).map(|stop| (path, stop)));
        section.line(format!("{}: killed before and after each of {requests} requests", path.name));
    }
    let ended = cases.iter().map(|(path, stop)| killed_at(&running, path, *stop));
    let ended: Vec<_> = stream::iter(ended).buffer_unordered(SIDE_BY_SIDE).collect().await;
    let takeovers = ended.iter().filter(|(record, _)| record.attempts > 1).count();
    let kills = ended.len();
    sent.extend(ended.into_iter().map(|(_, sent)| sent));
    running.books(sent).await;
    section.line(format!("{kills} kills, {takeovers} takeovers, on {}; the ledger balances", server_name()));
    section.end();
    assert!(takeovers > kills / 2, "{takeovers} takeovers of {kills}");
    running.end().await;
}
