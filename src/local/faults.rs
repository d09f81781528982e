//! Faults between an SDK client and a server, below the SDK's own retries, which are thereby tested too.
//!
//! [`Faults::wrap`] numbers the requests that pass from 1 and asks a plan what shall happen to each.
//! The same plan and the same requests give the same faults. A test enumerates the breaking points of a run
//! by running it once with [`Faults::none`] and then once for each entry of [`Faults::log`].

mod refusals;

use std::fmt;
use std::future::pending;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture, SharedHttpConnector};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use axum::body::Bytes;
use tokio::sync::{oneshot, watch};

use crate::local::server::ConnectionCut;
use crate::local::{dynamodb, sqs};

/// What can happen to one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    /// The worker dies before the request leaves it: never applied, the call never returns, [`Faults::crashed`].
    CrashBefore,
    /// The worker dies after the request was applied and before it has the answer.
    CrashAfter,
    /// The connection fails on the way there: not applied, an I/O error.
    LoseRequest,
    /// The connection fails on the way back: applied, an I/O error.
    LoseResponse,
    /// No answer and not applied; the call never returns, so the caller's own timeout decides.
    Hang,
    /// As [`Fault::Hang`], but the request is applied after all, when the caller no longer expects it.
    LandLate(Landing),
    /// The server is alive and says "too fast": not applied.
    Throttle,
    /// DynamoDB says that another transaction holds the item: not applied. Writes only.
    TransactionConflict,
    /// The worker stops in front of this request, as under SIGSTOP, until [`Faults::thaw`]; then it goes on.
    ///
    /// [`Faults::frozen`] tells when. A test must not poll the worker until then, or its timeouts go off.
    Freeze,
}

/// When a late request is applied; never before the caller has dropped the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Landing {
    /// This long after the caller gave up.
    AfterGivingUp(Duration),
    /// Right before the request of this number passes; when told by [`Faults::release`], if that never comes.
    Before(usize),
    /// When told by [`Faults::release`].
    OnRelease,
}

impl Fault {
    /// Every kind of fault once, for loops over all of them.
    pub const ALL: [Fault; 9] = [
        Fault::CrashBefore,
        Fault::CrashAfter,
        Fault::LoseRequest,
        Fault::LoseResponse,
        Fault::Hang,
        Fault::LandLate(Landing::AfterGivingUp(Duration::ZERO)),
        Fault::Throttle,
        Fault::TransactionConflict,
        Fault::Freeze,
    ];

    /// Whether a server could do this to `operation`; where not, the request passes unharmed.
    pub fn applies_to(self, operation: &str) -> bool {
        self != Fault::TransactionConflict || refusals::can_conflict(operation)
    }
}

/// One request that passed.
#[derive(Clone, Debug)]
pub struct Passage {
    /// 1 for the first request, counted over all connectors wrapped by the same [`Faults`].
    pub number: usize,
    /// `DynamoDB PutItem`, `SQS SendMessage`, `POST /v1/payment_intents`.
    pub operation: String,
    /// The request's body.
    pub body: Bytes,
    /// What was done to it.
    pub fault: Option<Fault>,
}

/// A plan of faults and the log of what passed. Clones share both, and are one process.
#[derive(Clone)]
pub struct Faults {
    journal: Arc<Mutex<Journal>>,
    network: watch::Sender<Network>,
    process: watch::Sender<Process>,
}

type Plan = Box<dyn FnMut(&Passage) -> Option<Fault> + Send>;

struct Journal {
    plan: Plan,
    log: Vec<Passage>,
}

/// What is under way, whoever sent it.
#[derive(Default)]
struct Network {
    released: bool,
    /// The number of the request that passes now.
    passing: usize,
    /// When each late request lands that has not landed yet.
    late: Vec<Landing>,
}

impl Network {
    fn is_due(&self, landing: Landing) -> bool {
        self.released || matches!(landing, Landing::Before(number) if number <= self.passing)
    }

    fn lands_before(&self, number: usize) -> bool {
        self.late.iter().any(|landing| matches!(landing, Landing::Before(at) if *at <= number))
    }

    fn landed(&mut self, landing: Landing) {
        if let Some(place) = self.late.iter().position(|late| *late == landing) {
            self.late.swap_remove(place);
        }
    }
}

#[derive(Default)]
struct Process {
    crashed: bool,
    frozen: bool,
}

impl Faults {
    /// Everything passes.
    pub fn none() -> Self {
        Faults::planned_by(|_| None)
    }

    /// `fault` on request `number`, counted from 1, and nothing else.
    pub fn at(number: usize, fault: Fault) -> Self {
        Faults::planned_by(move |passage| (passage.number == number).then_some(fault))
    }

    /// `fault` on the first request of this operation, and nothing else.
    pub fn on_first(operation: &'static str, fault: Fault) -> Self {
        let mut armed = true;
        Faults::planned_by(move |passage| {
            (armed && passage.operation == operation).then(|| {
                armed = false;
                fault
            })
        })
    }

    /// Whatever `plan` says for each request; it is asked once per request, in the order they pass.
    pub fn planned_by(plan: impl FnMut(&Passage) -> Option<Fault> + Send + 'static) -> Self {
        let journal = Journal { plan: Box::new(plan), log: Vec::new() };
        Faults {
            journal: Arc::new(Mutex::new(journal)),
            network: watch::Sender::default(),
            process: watch::Sender::default(),
        }
    }

    /// The same plan and log for another process: its crashes and freezes are its own.
    pub fn another_process(&self) -> Faults {
        Faults { process: watch::Sender::default(), ..self.clone() }
    }

    /// `connector` with the faults in front.
    pub fn wrap(&self, connector: SharedHttpConnector) -> SharedHttpConnector {
        SharedHttpConnector::new(FaultyConnector { faults: self.clone(), connector })
    }

    /// What has passed so far, in order.
    pub fn log(&self) -> Vec<Passage> {
        self.journal().log.clone()
    }

    /// Resolves once a crash was injected; the test then drops the worker.
    ///
    /// From that moment no further request gets through, as from a dead process, until [`Self::revive`].
    pub async fn crashed(&self) {
        reached(&self.process, |process| process.crashed).await;
    }

    /// Lets requests through again, for the worker that takes over. The numbering goes on.
    pub fn revive(&self) {
        self.process.send_modify(|process| process.crashed = false);
    }

    /// Resolves once [`Fault::Freeze`] was injected.
    pub async fn frozen(&self) {
        reached(&self.process, |process| process.frozen).await;
    }

    /// Ends a freeze: the held request goes through.
    pub fn thaw(&self) {
        self.process.send_modify(|process| process.frozen = false);
    }

    /// Applies the requests that land late, now and from now on.
    pub fn release(&self) {
        self.network.send_modify(|network| network.released = true);
    }

    /// [`Self::release`], and resolves when no late request is outstanding. Whoever sent one must have given up.
    pub async fn settle(&self) {
        self.release();
        reached(&self.network, |network| network.late.is_empty()).await;
    }

    /// Resolves when everything has landed that lands before request `number`.
    async fn land_before(&self, number: usize) {
        self.network.send_modify(|network| network.passing = network.passing.max(number));
        reached(&self.network, |network| !network.lands_before(number)).await;
    }

    fn enter(&self, request: &HttpRequest) -> Passage {
        let mut journal = self.journal();
        let mut passage = Passage {
            number: journal.log.len() + 1,
            operation: operation(request),
            body: Bytes::copy_from_slice(request.body().bytes().unwrap_or_default()),
            fault: None,
        };
        passage.fault = (journal.plan)(&passage).filter(|fault| fault.applies_to(&passage.operation));
        journal.log.push(passage.clone());
        passage
    }

    fn journal(&self) -> std::sync::MutexGuard<'_, Journal> {
        self.journal.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn crash(&self) -> Result<HttpResponse, ConnectorError> {
        self.process.send_modify(|process| process.crashed = true);
        pending().await
    }
}

async fn reached<T>(state: &watch::Sender<T>, condition: impl FnMut(&T) -> bool) {
    state.subscribe().wait_for(condition).await.map(drop).expect("the caller keeps the channel open");
}

impl fmt::Debug for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Faults({} passed)", self.journal().log.len())
    }
}

fn operation(request: &HttpRequest) -> String {
    let Some(target) = request.headers().get("x-amz-target") else {
        let path = request.uri().parse::<http::Uri>().map(|uri| uri.path().to_owned()).unwrap_or_default();
        return format!("{} {path}", request.method());
    };
    match (target.strip_prefix(dynamodb::TARGET_PREFIX), target.strip_prefix(sqs::TARGET_PREFIX)) {
        (Some(operation), _) => format!("DynamoDB {operation}"),
        (_, Some(operation)) => format!("SQS {operation}"),
        _ => target.replace('.', " "),
    }
}

#[derive(Debug)]
struct FaultyConnector {
    faults: Faults,
    connector: SharedHttpConnector,
}

impl HttpConnector for FaultyConnector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        HttpConnectorFuture::new(pass(self.faults.clone(), self.connector.clone(), request))
    }
}

async fn pass(
    faults: Faults,
    connector: SharedHttpConnector,
    request: HttpRequest,
) -> Result<HttpResponse, ConnectorError> {
    reached(&faults.process, |process| !process.crashed && !process.frozen).await;
    let passage = faults.enter(&request);
    faults.land_before(passage.number).await;
    match passage.fault {
        None => connector.call(request).await,
        Some(Fault::CrashBefore) => faults.crash().await,
        Some(Fault::CrashAfter) => {
            connector.call(request).await.ok();
            faults.crash().await
        }
        Some(Fault::LoseRequest) => Err(cut()),
        Some(Fault::LoseResponse) => connector.call(request).await.and(Err(cut())),
        Some(Fault::Hang) => pending().await,
        Some(Fault::LandLate(landing)) => {
            let _dropped_when_the_caller_gives_up = land_late(faults, connector, request, landing);
            pending().await
        }
        Some(Fault::Throttle) => Ok(refusals::throttled(&passage.operation)),
        Some(Fault::TransactionConflict) => Ok(refusals::conflict(&passage.operation, &passage.body)),
        Some(Fault::Freeze) => {
            faults.process.send_modify(|process| process.frozen = true);
            reached(&faults.process, |process| !process.frozen).await;
            connector.call(request).await
        }
    }
}

fn cut() -> ConnectorError {
    ConnectorError::io(ConnectionCut.into())
}

/// The task that applies the request later; it starts to count when the returned sender is dropped.
fn land_late(
    faults: Faults,
    connector: SharedHttpConnector,
    request: HttpRequest,
    landing: Landing,
) -> oneshot::Sender<()> {
    let (caller_waits, caller_gave_up) = oneshot::channel::<()>();
    faults.network.send_modify(|network| network.late.push(landing));
    tokio::spawn(async move {
        caller_gave_up.await.ok();
        match landing {
            Landing::AfterGivingUp(delay) => tokio::time::sleep(delay).await,
            Landing::Before(_) | Landing::OnRelease => {
                reached(&faults.network, |network| network.is_due(landing)).await;
            }
        }
        connector.call(request).await.ok();
        faults.network.send_modify(|network| network.landed(landing));
    });
    caller_waits
}
