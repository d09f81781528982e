//! `orderctl dlq delete`: what is settled, and would only come back.

use anyhow::Result;
use clap::Args;
use order_processor::clock::Clock;
use order_processor::order::OrderId;
use serde_json::json;

use super::Filter;
use super::mailbox::Mailbox;
use super::prospect::Judge;
use crate::failure;
use crate::report::{Report, columns, order_or_none};
use crate::target::Target;

/// Delete dead-lettered messages that are settled. Only those that could do nothing: what may run is redriven
#[derive(Debug, Args)]
pub struct Delete {
    #[command(flatten)]
    filter: Filter,
    /// Every one that could do nothing
    #[arg(long, conflicts_with_all = ["order", "reason", "older_than", "newer_than"])]
    all: bool,
    /// Say which, and delete nothing
    #[arg(long)]
    dry_run: bool,
}

impl Delete {
    /// Those that could run, or go on, are left. What is not deleted is given back.
    pub async fn run(&self, target: &Target) -> Result<Report> {
        if self.filter.is_empty() && !self.all {
            let which = "say which: --order, --reason, --older-than, --newer-than, or --all";
            return Err(failure::usage(which));
        }
        let mut mailbox = Mailbox::open(target).await?;
        let deleted = self.through(target, &mut mailbox).await;
        mailbox.give_back().await;
        deleted
    }

    async fn through(&self, target: &Target, mailbox: &mut Mailbox) -> Result<Report> {
        let (judge, now) = (Judge::new(target).await, Clock::system().now());
        let letters = mailbox.take(|letter| self.filter.takes(letter, now.since(letter.sent_at))).await?;
        let (mut documents, mut rows, mut done) = (Vec::new(), Vec::new(), 0_u64);
        for letter in &letters {
            let prospect = judge.prospect(letter).await;
            let settled = prospect.is_hopeless() || prospect.is_answered();
            let outcome = match (settled, self.dry_run) {
                (false, _) => "left",
                (true, true) => "would_be_deleted",
                (true, false) => {
                    mailbox.delete(letter).await?;
                    "deleted"
                }
            };
            done += u64::from(settled);
            let mut document = letter.summary();
            document["outcome"] = json!(outcome);
            documents.push(document);
            let order = order_or_none(letter.order_id.as_ref().map(OrderId::as_str)).to_owned();
            let reason = letter.reason.name().to_owned();
            rows.push(vec![
                letter.message_id.clone(),
                order,
                reason,
                outcome.to_owned(),
                prospect.sentence(),
            ]);
        }
        let document = json!({ "dry_run": self.dry_run, "deleted": done, "messages": documents });
        let would = if self.dry_run { "would be " } else { "" };
        let text = format!("{}{done} of {} {would}deleted", columns(&rows), letters.len());
        Ok(Report::new(document, text))
    }
}
