//! What a command found: text for people, one JSON document for programs.

use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use order_processor::record::Status;
use serde_json::Value;

use crate::environment;

/// Exit code: something went wrong.
pub const FAILED: u8 = 1;
/// Exit code: it was asked for in a way that cannot be done.
pub const USAGE: u8 = 2;
/// Exit code: there is no such order, SKU, queue.
pub const NOT_FOUND: u8 = 3;

/// How people see an order ID, or that there is none.
pub fn order_or_none(id: Option<&str>) -> &str {
    id.unwrap_or("(no order ID)")
}

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

    /// The form for people.
    pub fn text(&self) -> &str {
        &self.text
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

/// Rows as lines, their columns aligned; the last one is not padded.
pub fn columns(rows: &[Vec<String>]) -> String {
    let count = rows.iter().map(Vec::len).max().unwrap_or(0);
    let widest =
        |column: usize| rows.iter().filter_map(|row| Some(width(row.get(column)?))).max().unwrap_or(0);
    let widths: Vec<usize> = (0..count).map(widest).collect();
    let mut text = String::new();
    for row in rows {
        let padded = row
            .iter()
            .zip(&widths)
            .map(|(cell, widest)| format!("{cell}{}", " ".repeat(widest - width(cell))));
        text += padded.collect::<Vec<_>>().join("  ").trim_end();
        text.push('\n');
    }
    text
}

/// How wide a cell is on the screen: an escape sequence has no width.
fn width(cell: &str) -> usize {
    let mut parts = cell.split('\u{1b}');
    let first = parts.next().map_or(0, |plain| plain.chars().count());
    first
        + parts.map(|part| part.split_once('m').map_or(0, |(_, plain)| plain.chars().count())).sum::<usize>()
}

/// `text` in an ANSI colour, under the same condition.
pub fn paint(text: &str, colour: u8) -> String {
    if std::io::stdout().is_terminal() && environment::variable("NO_COLOR").is_none() {
        return format!("\u{1b}[{colour}m{text}\u{1b}[0m");
    }
    text.to_owned()
}

#[cfg(test)]
mod tests {
    use super::columns;

    #[test]
    fn columns_are_aligned_and_colours_have_no_width() {
        let row = |cells: [&str; 3]| cells.map(str::to_owned).to_vec();
        let rows = [row(["a", "\u{1b}[31mPARKED\u{1b}[0m", "x"]), row(["long", "é", "y"])];
        assert_eq!(columns(&rows), "a     \u{1b}[31mPARKED\u{1b}[0m  x\nlong  é       y\n");
        assert_eq!(columns(&[]), "");
    }
}
