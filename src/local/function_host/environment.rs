//! One execution environment: a process at a time, and what is done when it ends.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use tokio::sync::{Mutex, mpsc, watch};

use super::process::Process;
use super::{EnvironmentStatus, FunctionOptions, InvokeError, Job};

/// Lambda allows the init phase 10 seconds.
const INIT_LIMIT: Duration = Duration::from_secs(10);

pub(super) struct Environment {
    index: usize,
    options: Arc<FunctionOptions>,
    jobs: Arc<Mutex<mpsc::Receiver<Job>>>,
    statuses: watch::Sender<Vec<EnvironmentStatus>>,
    /// `None` between the end of one process and the start of the next.
    process: Option<Process>,
}

impl Environment {
    pub(super) fn new(
        index: usize,
        options: Arc<FunctionOptions>,
        jobs: Arc<Mutex<mpsc::Receiver<Job>>>,
        statuses: watch::Sender<Vec<EnvironmentStatus>>,
    ) -> Self {
        Environment { index, options, jobs, statuses, process: None }
    }

    /// Starts a process, reports how that went, and takes jobs until `stop` says true.
    pub(super) async fn live(
        mut self,
        started: mpsc::Sender<Result<(), InvokeError>>,
        mut stop: watch::Receiver<bool>,
    ) {
        tokio::select! {
            () = self.serve(started) => {}
            _ = stop.wait_for(|stop| *stop) => {}
        }
        self.end_process().await;
    }

    async fn serve(&mut self, started: mpsc::Sender<Result<(), InvokeError>>) {
        let outcome = self.start_process().await;
        started.send(outcome).await.ok();
        while let Some(job) = self.next_job().await {
            self.set_status(|status| status.busy = true);
            self.work(job).await;
            self.set_status(|status| status.busy = false);
        }
    }

    /// The next job for this environment. A process that ends in the meantime is replaced when a job comes.
    async fn next_job(&mut self) -> Option<Job> {
        let jobs = Arc::clone(&self.jobs);
        let next = async move { jobs.lock().await.recv().await };
        tokio::pin!(next);
        if let Some(process) = &mut self.process {
            tokio::select! {
                job = &mut next => return job,
                _ = process.exited() => self.end_process().await,
            }
        }
        next.await
    }

    async fn work(&mut self, job: Job) {
        if let Err(error) = self.start_process().await {
            job.reply.send(Err(error)).ok();
            return;
        }
        let outcome = self.run(job.event).await;
        let survived = matches!(outcome, Ok(_) | Err(InvokeError::FunctionError(_)));
        if survived {
            job.reply.send(outcome).ok();
            return;
        }
        if self.is_paused() {
            job.reply.send(outcome).ok();
            self.outlive().await;
            self.end_process().await;
        } else {
            self.end_process().await;
            job.reply.send(outcome).ok();
        }
        // A failure here will be met again, and reported, by the next job.
        self.start_process().await.ok();
    }

    async fn run(&mut self, event: Bytes) -> Result<Bytes, InvokeError> {
        let timeout = self.options.timeout;
        let deadline = self.options.clock.now() + timeout;
        let Some(process) = &mut self.process else {
            return Err(InvokeError::NotStarted("no process".to_owned()));
        };
        let (api, exited) = process.split();
        tokio::select! {
            biased;
            outcome = api.run(event, deadline) => {
                outcome.map_err(|error| InvokeError::FunctionError(String::from_utf8_lossy(&error).into_owned()))
            }
            status = exited => Err(InvokeError::ExitedEarly(status)),
            () = tokio::time::sleep(timeout) => Err(InvokeError::Timeout(timeout)),
        }
    }

    /// A paused process past its deadline: once resumed, it may finish, within the time of another invocation.
    async fn outlive(&mut self) {
        let mut statuses = self.statuses.subscribe();
        let index = self.index;
        if statuses.wait_for(|statuses| !statuses[index].paused).await.is_err() {
            return;
        }
        if let Some(process) = &mut self.process {
            let (api, exited) = process.split();
            tokio::select! {
                () = api.finished_anything() => {}
                _ = exited => {}
                () = tokio::time::sleep(self.options.timeout) => {}
            }
        }
    }

    /// Starts a process unless there is one, and waits until it asks for its first event.
    async fn start_process(&mut self) -> Result<(), InvokeError> {
        if self.process.is_some() {
            return Ok(());
        }
        let process = Process::start(&self.options).await.map_err(|error| {
            InvokeError::NotStarted(format!("{}: {error}", self.options.program.display()))
        })?;
        let pid = process.pid;
        let process = self.process.insert(process);
        let (api, exited) = process.split();
        let outcome = tokio::select! {
            biased;
            outcome = api.initialized() => outcome.map_err(|error| String::from_utf8_lossy(&error).into_owned()),
            status = exited => Err(status),
            () = tokio::time::sleep(INIT_LIMIT) => Err(format!("no event was asked for within {INIT_LIMIT:?}")),
        };
        match outcome {
            Ok(()) => {
                self.set_status(|status| status.pid = Some(pid));
                Ok(())
            }
            Err(reason) => {
                self.end_process().await;
                Err(InvokeError::NotStarted(reason))
            }
        }
    }

    async fn end_process(&mut self) {
        self.set_status(|status| {
            status.pid = None;
            status.paused = false;
        });
        if let Some(process) = self.process.take() {
            process.end().await;
        }
    }

    fn is_paused(&self) -> bool {
        self.statuses.borrow()[self.index].paused
    }

    fn set_status(&self, change: impl FnOnce(&mut EnvironmentStatus)) {
        self.statuses.send_modify(|statuses| change(&mut statuses[self.index]));
    }
}
