//! The tables of `docs/cost.md`, each between two marks.

use std::cell::RefCell;
use std::fmt::Write as _;
use std::path::PathBuf;

/// A table in Markdown.
pub struct Table(String);

impl Table {
    pub fn new(heads: &[&str]) -> Self {
        let mut table = Table(String::new());
        table.row(heads.iter().map(|head| (*head).to_owned()));
        table.0 += &format!("|{}\n", "---|".repeat(heads.len()));
        table
    }

    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        let cells: Vec<String> = cells.into_iter().collect();
        writeln!(self.0, "| {} |", cells.join(" | ")).unwrap();
    }
}

/// The page, and what is wrong with it so far.
pub struct Page {
    text: RefCell<String>,
    differs: RefCell<Vec<String>>,
}

#[expect(clippy::disallowed_methods, reason = "an option of the test run, as `make cost` sets it")]
fn is_to_be_written() -> bool {
    std::env::var_os("COST").is_some_and(|what| what == "write")
}

fn path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/cost.md")
}

impl Page {
    pub fn read() -> Self {
        let text = std::fs::read_to_string(path()).expect("docs/cost.md");
        Page { text: RefCell::new(text), differs: RefCell::default() }
    }

    /// Puts the table between the marks of that name, and notes whether it stood there.
    pub fn holds(&self, name: &str, table: &Table) {
        let mut text = self.text.borrow_mut();
        let (begin, end) = (format!("<!-- {name} -->\n"), format!("<!-- end of {name} -->"));
        let from = text.find(&begin).unwrap_or_else(|| panic!("no mark {begin:?}")) + begin.len();
        let to = from + text[from..].find(&end).unwrap_or_else(|| panic!("no mark {end:?}"));
        let wanted = format!("\n{}\n", table.0);
        if text[from..to] != wanted {
            self.differs.borrow_mut().push(format!("{name}:\n{}instead of\n{}", wanted, &text[from..to]));
            text.replace_range(from..to, &wanted);
        }
    }

    /// # Panics
    /// If the page says something else than what was measured, unless it is to be written.
    pub fn end(self) {
        let differs = self.differs.into_inner();
        if is_to_be_written() {
            std::fs::write(path(), self.text.into_inner()).expect("docs/cost.md can be written");
        } else {
            assert!(
                differs.is_empty(),
                "docs/cost.md is to say (make cost writes it)\n{}",
                differs.join("\n")
            );
        }
    }
}
