//! One process of the function.

use std::io;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::{Child, Command};

use super::{FunctionOptions, OutputLine};
use crate::local::aws::REGION;
use crate::local::runtime_api::{FUNCTION_NAME, RuntimeApi};

/// A running function and the Runtime API it talks to. Dropping it kills it.
pub(super) struct Process {
    pub(super) pid: u32,
    pub(super) api: RuntimeApi,
    child: Child,
}

/// Sends a signal to a process and whatever it has started.
pub(super) fn signal(pid: u32, signal: Signal) {
    if let Ok(group) = i32::try_from(pid) {
        // It may have ended by itself just now, and then there is nothing left to signal.
        killpg(Pid::from_raw(group), signal).ok();
    }
}

impl Process {
    /// Starts the program in a process group of its own.
    ///
    /// # Errors
    /// If there is no such program, or no port for its Runtime API.
    pub(super) async fn start(options: &FunctionOptions) -> io::Result<Process> {
        let api = RuntimeApi::start().await?;
        let mut child = Command::new(&options.program)
            .args(&options.arguments)
            .env_clear()
            .envs(lambda_variables(&api, options))
            .envs(options.variables.iter().cloned())
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let pid = child.id().ok_or_else(|| io::Error::other("the process has no ID"))?;
        deliver_lines(child.stdout.take(), pid, options);
        deliver_lines(child.stderr.take(), pid, options);
        Ok(Process { pid, api, child })
    }

    /// Resolves when the process ends, and says how.
    pub(super) async fn exited(&mut self) -> String {
        described(self.child.wait().await)
    }

    /// The Runtime API beside a future that resolves when the process ends.
    pub(super) fn split(&mut self) -> (&mut RuntimeApi, impl Future<Output = String>) {
        let Process { api, child, .. } = self;
        (api, async { described(child.wait().await) })
    }

    /// Kills the process and waits until it is gone.
    pub(super) async fn end(mut self) {
        self.kill();
        self.child.wait().await.ok();
    }

    fn kill(&self) {
        if self.child.id().is_some() {
            signal(self.pid, Signal::SIGCONT);
            signal(self.pid, Signal::SIGKILL);
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

fn described(status: io::Result<ExitStatus>) -> String {
    status.map_or_else(|error| error.to_string(), |status| status.to_string())
}

/// <https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html#configuration-envvars-runtime>
fn lambda_variables(api: &RuntimeApi, options: &FunctionOptions) -> Vec<(&'static str, String)> {
    vec![
        ("AWS_LAMBDA_RUNTIME_API", api.address().to_string()),
        ("AWS_LAMBDA_FUNCTION_NAME", FUNCTION_NAME.to_owned()),
        ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST".to_owned()),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256".to_owned()),
        ("AWS_LAMBDA_FUNCTION_TIMEOUT", options.timeout.as_secs().to_string()),
        ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand".to_owned()),
        ("AWS_LAMBDA_LOG_GROUP_NAME", format!("/aws/lambda/{FUNCTION_NAME}")),
        ("AWS_LAMBDA_LOG_STREAM_NAME", "local".to_owned()),
        ("AWS_EXECUTION_ENV", "AWS_Lambda_provided.al2023".to_owned()),
        ("AWS_REGION", REGION.to_owned()),
        ("AWS_DEFAULT_REGION", REGION.to_owned()),
        ("AWS_ACCESS_KEY_ID", "local".to_owned()),
        ("AWS_SECRET_ACCESS_KEY", "local".to_owned()),
        // Or the SDK would ask the network for credentials if those above were ever missing.
        ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
        ("PATH", "/usr/local/bin:/usr/bin:/bin".to_owned()),
        ("TZ", ":UTC".to_owned()),
        ("_HANDLER", "bootstrap".to_owned()),
    ]
}

fn deliver_lines(
    stream: Option<impl AsyncRead + Unpin + Send + 'static>,
    pid: u32,
    options: &FunctionOptions,
) {
    let Some(stream) = stream else { return };
    let output = Arc::clone(&options.output);
    tokio::spawn(async move {
        let mut reader = BufReader::new(stream);
        let mut line = Vec::new();
        while reader.read_until(b'\n', &mut line).await.is_ok_and(|read| read > 0) {
            let text = String::from_utf8_lossy(&line).trim_end_matches(['\r', '\n']).to_owned();
            output(OutputLine { pid, line: text });
            line.clear();
        }
    });
}
