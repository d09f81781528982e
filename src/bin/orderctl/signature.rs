//! Who changes something, and why: what stands on the record afterwards.

use anyhow::{Result, anyhow};
use clap::Args;
use clap::builder::NonEmptyStringValueParser;
use order_processor::clock::UnixMillis;
use order_processor::record::Intervention;

use crate::environment::variable;
use crate::target::Target;

/// Goes with every command that changes an order.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "On the record")]
pub struct Signature {
    /// Who does this [default: $USER, else the caller's name in AWS]
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    who: Option<String>,
    /// Why
    #[arg(long, value_name = "TEXT", value_parser = NonEmptyStringValueParser::new())]
    why: String,
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
            .ok_or_else(|| anyhow!("nobody can be named on the record\nsay who you are: --who NAME"))
    }

    /// The entry on the record.
    pub fn entry(&self, who: &str, what: &str, now: UnixMillis) -> Intervention {
        Intervention { at_ms: now, who: who.to_owned(), what: what.to_owned(), why: self.why.clone() }
    }
}
