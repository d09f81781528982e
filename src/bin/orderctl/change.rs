//! One change of one order by a person: read, decide by the protocol, write on condition, tell.

use anyhow::{Result, anyhow, bail};
use clap::Args;
use order_processor::clock::{Clock, UnixMillis};
use order_processor::order::OrderId;
use order_processor::protocol::{NotAllowed, Write, signed};
use order_processor::record::Record;
use serde_json::{Value, json};

use crate::get;
use crate::report::{Report, coloured};
use crate::signature::Signature;
use crate::table::{Table, Written};
use crate::target::Target;

/// Goes with every command that changes one order.
#[derive(Debug, Clone, Args)]
pub struct Change {
    /// Say what would happen, and change nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Refuse unless the record's fence is this: the one you decided by, as `get` and `parked show` print it
    #[arg(long, value_name = "FENCE")]
    pub seen: Option<u64>,
    #[command(flatten)]
    pub signature: Signature,
}

/// What a change came to.
pub struct Changed {
    pub before: Record,
    pub after: Record,
}

impl Change {
    /// Writes what `decide` says for the record as it is now, with `what` in its log.
    pub async fn make(
        &self,
        target: &Target,
        id: &OrderId,
        what: &str,
        decide: impl FnOnce(&Record, &str, UnixMillis) -> Result<Write, NotAllowed>,
    ) -> Result<Changed> {
        let table = Table::of(target);
        let Some(before) = table.order(id).await? else { return Err(get::missing(id)) };
        self.check(&before)?;
        let (now, who) = (Clock::system().now(), self.signature.who(target).await?);
        let write = decide(&before, &who, now).map_err(|refused| anyhow!("{id}: {refused}"))?;
        let write = signed(write, &self.signature.entry(&who, what, now));
        if self.dry_run {
            return Ok(Changed { before, after: write.after });
        }
        match table.write(&write).await? {
            Written::Done(after) => Ok(Changed { before, after: *after }),
            Written::Moved(found) => {
                bail!("{id}: {}\nlook again: orderctl get {id}", moved(found.as_deref()))
            }
        }
    }

    /// Whether the record is the one that was decided by.
    pub fn check(&self, record: &Record) -> Result<()> {
        match self.seen {
            Some(seen) if seen != record.fence.0 => bail!(
                "{id}: the record has changed: its fence is {}, not {seen}; nothing was written\n\
                 look again: orderctl get {id}",
                record.fence.0,
                id = record.order_id()
            ),
            _ => Ok(()),
        }
    }
}

/// What became of a record that somebody else changed between the read and the write.
pub fn moved(found: Option<&Record>) -> String {
    match found {
        Some(now) => format!(
            "the record changed meanwhile and is {} at {}, fence {}; nothing was written",
            now.status, now.step, now.fence.0
        ),
        None => "the record is gone; nothing was written".to_owned(),
    }
}

impl Changed {
    /// The change, with what it means in words.
    pub fn report(&self, what: &str, dry_run: bool, meaning: &str) -> Report {
        let document = json!({
            "order_id": self.before.order_id(),
            "action": what,
            "dry_run": dry_run,
            "before": state(&self.before),
            "after": state(&self.after),
            "meaning": meaning,
        });
        let id = self.before.order_id();
        let would = if dry_run { "would " } else { "" };
        let text = format!("{id}  {}  {would}{what}: {meaning}", coloured(self.after.status));
        Report::new(document, text)
    }
}

fn state(record: &Record) -> Value {
    json!({
        "status": record.status,
        "step": record.step,
        "fence": record.fence,
        "parked_from": record.parked_from,
        "cancel_requested": record.cancel_requested,
        "message_kept": record.order.is_some(),
    })
}
