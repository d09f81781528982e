//! What `demo` and `dev` share: the built function, the stack around it, and the signal that ends it.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, anyhow, bail};
use aws_sdk_dynamodb::types::AttributeValue;
use order_processor::local::function_host::OutputLine;
use order_processor::local::stack::{Stack, StackError, StackOptions};
use order_processor::record::{AVAILABLE_ATTRIBUTE, KEY_ATTRIBUTE};
use tokio::signal::unix::{SignalKind, signal};

use crate::failure;
use crate::table::Table;

/// The function, built beside this program and so with the same profile.
pub fn function() -> Result<PathBuf> {
    let this = std::env::current_exe().context("finding this program")?;
    let function = this.with_file_name("order-processor");
    if !function.is_file() {
        let release = this.parent().is_some_and(|folder| folder.ends_with("release"));
        let profile = if release { " --release" } else { "" };
        bail!(
            "the function is not built: there is no {}\nbuild it: cargo build --locked{profile} --bin order-processor",
            function.display()
        );
    }
    Ok(function)
}

/// A stack of the built function. `output` receives each line it writes.
pub async fn start(
    adjust: impl FnOnce(&mut StackOptions),
    output: impl Fn(OutputLine) + Send + Sync + 'static,
) -> Result<Stack> {
    let mut options = StackOptions { output: Arc::new(output), ..StackOptions::new(function()?) };
    adjust(&mut options);
    Stack::start(options).await.map_err(|error| match error {
        StackError::Port { .. } => {
            anyhow!(
                "the local stack did not start: {error}\nanother one may run; take any free port: --port 0"
            )
        }
        error => anyhow!("the local stack did not start: {error}"),
    })
}

/// A file for what the function says, if one is asked for.
pub struct LogFile(Option<File>);

impl LogFile {
    /// Lines are appended to `path`.
    pub fn open(path: Option<&Path>) -> Result<Self> {
        let open = |path: &Path| {
            let file = File::options().create(true).append(true).open(path);
            file.with_context(|| format!("opening {}", path.display()))
        };
        path.map(open).transpose().map(LogFile)
    }

    /// Appends a line. Whoever watches loses nothing if the disk is full.
    pub fn write(&self, line: &str) {
        self.0.as_ref().map(|mut file| writeln!(file, "{line}"));
    }
}

/// The times of such a stack, for people who wait.
pub fn times() -> String {
    let StackOptions { timeout, grace, visibility, .. } = StackOptions::new(PathBuf::new());
    format!("function timeout {timeout:?}, lease grace {grace:?}, visibility {visibility:?}")
}

/// The stack's table, for reading.
pub fn table(stack: &Stack) -> Table {
    Table::new(stack.dynamodb().clone(), stack.table())
}

/// Fills a table that nobody uses yet.
pub async fn load_stock(table: &Table, stock: &[(&str, u64)]) -> Result<()> {
    for (sku, available) in stock {
        let put = table.client().put_item().table_name(table.name());
        let put = put.item(KEY_ATTRIBUTE, AttributeValue::S(format!("STOCK#{sku}")));
        let put = put.item(AVAILABLE_ATTRIBUTE, AttributeValue::N(available.to_string()));
        put.send().await.map_err(|error| failure::aws("loading stock", error))?;
    }
    Ok(())
}

/// Resolves at Ctrl-C, and when a supervisor asks this process to end.
pub async fn asked_to_end() -> Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("listening for signals")?;
    tokio::select! {
        interrupt = tokio::signal::ctrl_c() => interrupt.context("listening for signals"),
        _ = terminate.recv() => Ok(()),
    }
}
