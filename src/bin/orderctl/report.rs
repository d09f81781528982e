//! What a command found: text for people, one JSON document for programs.

use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use order_processor::record::Status;
use serde_json::Value;

use crate::environment;

/// Exit code: something went wrong.
pub const FAILED: u8 = 1;
/// Exit code: there is no such order, SKU, queue.
pub const NOT_FOUND: u8 = 3;

/// The result of a command.
#[derive(Debug)]
pub struct Report {
    document: Value,
    text: String,
    next: Vec<String>,
    failed: bool,
}

impl Report {
    /// The same result in both forms.
    pub fn new(document: Value, text: impl Into<String>) -> Self {
        Report { document, text: text.into(), next: Vec::new(), failed: false }
    }

    /// Everything was said while the command ran.
    pub fn silent() -> Self {
        Report::new(Value::Null, "")
    }

    /// With a command to try next.
    pub fn and_next(mut self, command: impl Into<String>) -> Self {
        self.next.push(command.into());
        self
    }

    /// With exit code 1 if `failed`: the result is there, but it is not a good one.
    pub fn failed(self, failed: bool) -> Self {
        Report { failed, ..self }
    }

    /// Results to standard output, hints to standard error.
    ///
    /// `name` is how hints call this program: with the options that name the target.
    pub fn print(&self, json: bool, name: &str) -> ExitCode {
        if json && !self.document.is_null() {
            print_document(&self.document);
        } else if !json && !self.text.is_empty() {
            print_text(self.text.trim_end());
        }
        if !self.next.is_empty() && !json {
            eprintln!("\nnext: {}", called(&self.next.join("\n      "), name));
        }
        ExitCode::from(if self.failed { FAILED } else { 0 })
    }
}

/// `words` with every `orderctl` in them called by its full name.
pub fn called(words: &str, name: &str) -> String {
    words.replace("orderctl ", &format!("{name} "))
}

/// One JSON document. Whoever reads a part and closes the pipe has got what they wanted.
pub fn print_document(document: &Value) {
    print_text(&format!("{document:#}"));
}

/// A line, or several.
pub fn print_text(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{text}").and_then(|()| out.flush());
}

/// The name of a status, in colour if a person looks at it and has not set `NO_COLOR`.
pub fn coloured(status: Status) -> String {
    let colour = match status {
        Status::Completed => 32,
        Status::Rejected | Status::Parked => 31,
        Status::InProgress | Status::Compensating => 33,
    };
    paint(status.as_str(), colour)
}

/// `text` in an ANSI colour, under the same condition.
pub fn paint(text: &str, colour: u8) -> String {
    if std::io::stdout().is_terminal() && environment::variable("NO_COLOR").is_none() {
        return format!("\u{1b}[{colour}m{text}\u{1b}[0m");
    }
    text.to_owned()
}
