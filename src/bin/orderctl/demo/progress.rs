//! How far the demonstration is, on standard error: a bar for a terminal, now and then a line for anything else.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use tokio::time::Instant;

/// Between two lines where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// Shows how many messages are done.
pub struct Progress {
    bar: ProgressBar,
    total: u64,
    next_line: Instant,
}

impl Progress {
    /// Of `total` messages.
    pub fn new(total: u64) -> Self {
        let bar = ProgressBar::new(total);
        let style = ProgressStyle::with_template("{bar:30} {pos}/{len} messages  {elapsed}  {msg}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        Progress { bar, total, next_line: Instant::now() + LINE_EVERY }
    }

    /// Now `done` of them are, and `more`.
    pub fn show(&mut self, done: u64, more: String) {
        if !self.bar.is_hidden() {
            self.bar.set_position(done);
            self.bar.set_message(more);
        } else if Instant::now() >= self.next_line {
            self.next_line += LINE_EVERY;
            eprintln!("{done}/{} messages  {more}", self.total);
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
