//! A process that is stopped in the middle of an order, overtaken, and woken: the zombie changes nothing.

use futures_util::{StreamExt, stream};
use order_processor::local::function_host::InvokeError;
use order_processor::local::ledger::Sent;

use super::gate::{Side, Stop};
use super::kills::{HAPPY, PATHS, Path, SIDE_BY_SIDE, stops};
use super::running::{PATIENCE, Running, section, server_name};
use crate::evidence::thorough;

/// The process sleeps from `stop` past its deadline and its lease, while another finishes the order. Then the request
/// that was under way lands, and the process wakes.
async fn frozen_at(running: &Running, path: &Path, stop: Stop) -> (bool, Sent) {
    let case = format!("{}, {stop:?}", path.name);
    let worker = path.worker(running, 2, Some(stop)).await;
    let (overrun, zombie) = tokio::join!(worker.deliver(1), async {
        worker.gate.stopped().await;
        let zombie = worker.host.pause_one().expect("a process in the middle of an invocation");
        worker.gate.admit_others();
        zombie
    });
    assert!(matches!(overrun, Err(InvokeError::Timeout(_))), "{case}: {overrun:?}");
    let finished = worker.deliver_until_done().await;
    assert_eq!(finished.status, path.status, "{case}");
    worker.gate.release().await;
    worker.host.resume(zombie);
    worker.host.ended(zombie).await;
    assert_eq!(worker.record().await.as_ref(), Some(&finished), "{case}: the zombie changed the record");
    let sent = worker.sent();
    worker.host.shutdown().await;
    (finished.attempts > 1, sent)
}

#[tokio::test]
async fn a_process_frozen_past_its_lease_and_woken_changes_nothing() {
    let running = Running::start(|options| options.environments = 0).await;
    let mut section = section("freezes", "frozen past its lease and woken");
    let (paths, sides): (&[Path], &[Side]) =
        if thorough() { (&PATHS, &[Side::Before, Side::After]) } else { (&[HAPPY], &[Side::Before]) };
    let (mut sent, mut cases) = (Vec::new(), Vec::new());
    for path in paths {
        let (requests, message) = path.undisturbed(&running).await;
        sent.push(message);
        section.line(format!("{}: frozen {} each of {requests} requests", path.name, in_words(sides)));
        cases.extend(stops(requests, sides).map(|stop| (path, stop)));
    }
    let frozen = cases.iter().map(async |(path, stop)| {
        let frozen = tokio::time::timeout(PATIENCE, frozen_at(&running, path, *stop)).await;
        frozen.unwrap_or_else(|_| panic!("{}, {stop:?}: took too long", path.name))
    });
    let ended: Vec<_> = stream::iter(frozen).buffer_unordered(SIDE_BY_SIDE).collect().await;
    let (freezes, takeovers) = (ended.len(), ended.iter().filter(|(overtaken, _)| *overtaken).count());
    sent.extend(ended.into_iter().map(|(_, sent)| sent));
    running.books(sent).await;
    section
        .line(format!("{freezes} freezes, {takeovers} takeovers, on {}; the ledger balances", server_name()));
    section.end();
    assert!(takeovers > freezes / 2, "{takeovers} takeovers of {freezes}");
    running.end().await;
}

fn in_words(sides: &[Side]) -> &'static str {
    if sides.len() == 1 { "before" } else { "before and after" }
}
