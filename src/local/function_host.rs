//! [`FunctionHost`]: runs the built Lambda binary as Lambda would, several environments side by side.
//!
//! Each environment is a process with a Runtime API of its own. An invocation that outlives its timeout costs the
//! process its life before the caller hears of it, so whoever waits for the outcome knows that nobody works on.

mod environment;
mod process;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use nix::sys::signal::Signal;
use tokio::sync::{Mutex, mpsc, oneshot, watch};
use tokio::task::JoinSet;

use crate::clock::Clock;
use environment::Environment;

/// Which program to run, and how.
#[derive(Clone)]
pub struct FunctionOptions {
    /// The binary.
    pub program: PathBuf,
    /// Its arguments; a Lambda function has none.
    pub arguments: Vec<String>,
    /// The whole environment of the process, apart from what Lambda itself sets; nothing is inherited.
    pub variables: Vec<(String, String)>,
    /// How many processes, and so how many invocations at the same time.
    pub environments: usize,
    /// The function's timeout.
    pub timeout: Duration,
    /// Where the deadline sent to the function comes from.
    pub clock: Clock,
    /// Receives each line that a process writes.
    pub output: Arc<dyn Fn(OutputLine) + Send + Sync>,
}

/// A line of a function's standard output or standard error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutputLine {
    /// The process that wrote it.
    pub pid: u32,
    /// Without the line ending.
    pub line: String,
}

/// Why there is no response.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvokeError {
    /// The process ended, reported an error or fell silent before it asked for its first event.
    #[error("the function did not start: {0}")]
    NotStarted(String),
    /// The process was killed at the function's timeout.
    #[error("the function timed out after {0:?}")]
    Timeout(Duration),
    /// The process ended during the invocation.
    #[error("the function's process ended during the invocation: {0}")]
    ExitedEarly(String),
    /// The function reported an error; this is its payload.
    #[error("the function reported an error: {0}")]
    FunctionError(String),
    /// The host was shut down.
    #[error("the function host was shut down")]
    Stopped,
}

/// What an environment is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EnvironmentStatus {
    /// Its process, if there is one.
    pub pid: Option<u32>,
    /// Whether an invocation is running in it.
    pub busy: bool,
    /// Whether it is stopped by [`FunctionHost::pause_one`].
    pub paused: bool,
}

/// The environments. Dropping it kills them; [`FunctionHost::shutdown`] also waits until they are gone.
///
/// If this process itself is killed, a running function notices at its next call of the Runtime API and ends;
/// one that is paused then stays, because only the kernel could end it (PR_SET_PDEATHSIG) and setting that up
/// in a child takes unsafe code.
pub struct FunctionHost {
    jobs: mpsc::Sender<Job>,
    statuses: watch::Sender<Vec<EnvironmentStatus>>,
    first_starts: Mutex<mpsc::Receiver<Result<(), InvokeError>>>,
    environments: JoinSet<()>,
    stop: watch::Sender<bool>,
    size: usize,
}

/// An invocation that waits for a free environment.
struct Job {
    event: Bytes,
    reply: oneshot::Sender<Result<Bytes, InvokeError>>,
}

impl FunctionHost {
    /// Starts the environments; [`Self::ready`] tells how that went.
    pub fn start(options: FunctionOptions) -> FunctionHost {
        let size = options.environments;
        // Callers wait in `send`, so the queue needs no room of its own.
        let (jobs, waiting) = mpsc::channel(1);
        let (started, first_starts) = mpsc::channel(size.max(1));
        let (statuses, stop) =
            (watch::Sender::new(vec![EnvironmentStatus::default(); size]), watch::Sender::new(false));
        let (options, waiting) = (Arc::new(options), Arc::new(Mutex::new(waiting)));
        let mut environments = JoinSet::new();
        for index in 0..size {
            let environment =
                Environment::new(index, Arc::clone(&options), Arc::clone(&waiting), statuses.clone());
            environments.spawn(environment.live(started.clone(), stop.subscribe()));
        }
        FunctionHost { jobs, statuses, first_starts: Mutex::new(first_starts), environments, stop, size }
    }

    /// Resolves when every environment has asked for its first event. To be called once.
    ///
    /// # Errors
    /// [`InvokeError::NotStarted`] as soon as one could not; it tries again at its first invocation.
    pub async fn ready(&self) -> Result<(), InvokeError> {
        let mut first_starts = self.first_starts.lock().await;
        for _ in 0..self.size {
            first_starts.recv().await.unwrap_or(Err(InvokeError::Stopped))?;
        }
        Ok(())
    }

    /// Runs `event` in the next free environment.
    ///
    /// # Errors
    /// Every [`InvokeError`]. After a timeout or an early exit the process is gone, unless it was paused.
    pub async fn invoke(&self, event: Bytes) -> Result<Bytes, InvokeError> {
        self.invoker().invoke(event).await
    }

    /// A handle that invokes and nothing else.
    pub fn invoker(&self) -> Invoker {
        Invoker { jobs: self.jobs.clone() }
    }

    /// What each environment is doing.
    pub fn environments(&self) -> Vec<EnvironmentStatus> {
        self.statuses.borrow().clone()
    }

    /// Resolves when some environment is as `condition` wants it.
    pub async fn until(&self, condition: impl Fn(&EnvironmentStatus) -> bool) -> EnvironmentStatus {
        let mut statuses = self.statuses.subscribe();
        let statuses = statuses.wait_for(|statuses| statuses.iter().any(&condition)).await;
        let statuses = statuses.expect("self keeps the channel open");
        statuses.iter().copied().find(condition).expect("waited for")
    }

    /// Resolves when no environment has this process any more.
    pub async fn ended(&self, pid: u32) {
        let mut statuses = self.statuses.subscribe();
        let gone = |statuses: &Vec<EnvironmentStatus>| statuses.iter().all(|status| status.pid != Some(pid));
        statuses.wait_for(gone).await.expect("self keeps the channel open");
    }

    /// SIGKILL for a process in the middle of an invocation; its process ID, or `None` if all are idle.
    pub fn kill_one(&self) -> Option<u32> {
        let busy = self.busy()?;
        process::signal(busy, Signal::SIGKILL);
        Some(busy)
    }

    /// SIGSTOP for a process in the middle of an invocation; its process ID, or `None` if all are idle.
    ///
    /// A paused process is not killed at its timeout: the invocation fails, and the process goes on when it is
    /// resumed, as one that the network or a hypervisor had cut off.
    pub fn pause_one(&self) -> Option<u32> {
        let busy = self.busy()?;
        process::signal(busy, Signal::SIGSTOP);
        self.mark_paused(busy, true);
        Some(busy)
    }

    /// SIGCONT for a paused process. It may finish what it was doing and is then replaced.
    pub fn resume(&self, pid: u32) {
        process::signal(pid, Signal::SIGCONT);
        self.mark_paused(pid, false);
    }

    /// Kills every process and waits until they are gone. Running invocations end with [`InvokeError::Stopped`].
    pub async fn shutdown(mut self) {
        self.stop.send_replace(true);
        while self.environments.join_next().await.is_some() {}
    }

    fn busy(&self) -> Option<u32> {
        let statuses = self.statuses.borrow();
        statuses.iter().find(|status| status.busy && !status.paused).and_then(|status| status.pid)
    }

    fn mark_paused(&self, pid: u32, paused: bool) {
        self.statuses.send_modify(|statuses| {
            let of_the_process = |status: &&mut EnvironmentStatus| status.pid == Some(pid);
            statuses.iter_mut().filter(of_the_process).for_each(|status| status.paused = paused);
        });
    }
}

/// Invokes a [`FunctionHost`]'s function.
#[derive(Clone)]
pub struct Invoker {
    jobs: mpsc::Sender<Job>,
}

impl Invoker {
    /// As [`FunctionHost::invoke`].
    ///
    /// # Errors
    /// As [`FunctionHost::invoke`].
    pub async fn invoke(&self, event: Bytes) -> Result<Bytes, InvokeError> {
        let (reply, outcome) = oneshot::channel();
        self.jobs.send(Job { event, reply }).await.map_err(|_| InvokeError::Stopped)?;
        outcome.await.unwrap_or(Err(InvokeError::Stopped))
    }
}
