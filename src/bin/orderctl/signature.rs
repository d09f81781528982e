//! Who changes something, and why: what stands on the record afterwards.

use anyhow::Result;
use clap::Args;
use order_processor::clock::UnixMillis;
use order_processor::protocol::LOGGED_CHARACTERS;
use order_processor::record::Intervention;

use crate::environment::variable;
use crate::failure;
use crate::target::Target;

/// Goes with every command that changes an order.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "On the record")]
pub struct Signature {
    /// Who does this [default: $USER, else the caller's name in AWS]
    #[arg(long, value_name = "NAME", value_parser = words)]
    who: Option<String>,
    /// Why
    #[arg(long, value_name = "TEXT", value_parser = words)]
    why: String,
}

/// What fits on the record, and says something.
fn words(text: &str) -> Result<String, String> {
    let (text, length) = (text.trim(), text.trim().chars().count());
    match length {
        1..=LOGGED_CHARACTERS => Ok(text.to_owned()),
        _ => Err(format!("1 to {LOGGED_CHARACTERS} characters are accepted, {length} found")),
    }
}

impl Signature {
    /// Who it is.
    pub async fn who(&self, target: &Target) -> Result<String> {
        if let Some(who) = self.who.clone().or_else(|| variable("USER")) {
            return Ok(who);
        }
        target
            .caller()
            .await
            .ok_or_else(|| failure::usage("nobody can be named on the record\nsay who you are: --who NAME"))
    }

    /// The entry on the record.
    pub fn entry(&self, who: &str, what: &str, now: UnixMillis) -> Intervention {
        Intervention { at_ms: now, who: who.to_owned(), what: what.to_owned(), why: self.why.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_has_1_to_200_characters() {
        let longest = "é".repeat(200);
        assert_eq!(words(&longest), Ok(longest.clone()));
        assert_eq!(words(" because "), Ok("because".to_owned()));
        for (text, found) in [("", "0 found"), ("   ", "0 found"), (&*"é".repeat(201), "201 found")] {
            let problem = words(text).unwrap_err();
            assert!(problem.contains("1 to 200") && problem.contains(found), "{problem}");
        }
    }
}
