//! What `make verify` reports: each rung of the verification says what it tried and what came of it.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Instant;

/// Whether the wide bounds of `make verify` are wanted, not the quick ones of `make test`.
#[expect(clippy::disallowed_methods, reason = "an option of the test run, as `make verify` sets it")]
pub fn thorough() -> bool {
    std::env::var_os("VERIFY").is_some()
}

/// One section of the report.
pub struct Section {
    name: &'static str,
    text: String,
    started: Instant,
}

impl Section {
    /// `name` is the file's, and sorts: `2-model`.
    pub fn new(name: &'static str, title: &str) -> Self {
        Section { name, text: format!("## {title}\n\n"), started: Instant::now() }
    }

    /// One finding.
    pub fn line(&mut self, text: impl AsRef<str>) {
        writeln!(self.text, "- {}", text.as_ref()).unwrap();
    }

    /// What happened, line by line, below the finding.
    pub fn story(&mut self, text: &str) {
        writeln!(self.text, "\n  ```text").unwrap();
        text.lines().for_each(|line| writeln!(self.text, "  {line}").unwrap());
        writeln!(self.text, "  ```").unwrap();
    }

    /// Prints the section, and keeps it for the report if the run was thorough.
    pub fn end(mut self) {
        writeln!(self.text, "- took {:.0?}\n", self.started.elapsed()).unwrap();
        println!("{}", self.text);
        if thorough() {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/verification");
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(folder.join(format!("{}.md", self.name)), self.text).unwrap();
        }
    }
}
