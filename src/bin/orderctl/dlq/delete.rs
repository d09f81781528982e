//! `orderctl dlq delete`: what is answered, and what can never run.

use anyhow::Result;
use clap::Args;
use order_processor::clock::Clock;
use order_processor::letter::Judgement;
use serde_json::json;

use super::letter::Letter;
use super::mailbox::Mailbox;
use super::prospect::{Judge, sentence};
use super::{Filter, row, summary};
use crate::failure;
use crate::report::{Report, columns};
use crate::target::Target;

/// Delete dead-lettered messages that are settled: their order is answered, or they can never run
///
/// What could run now or later is left, whatever was asked for: an order that is placed in the future, one that only a
/// newer function can read, the only message of an unfinished order.
#[derive(Debug, Args)]
pub struct Delete {
    #[command(flatten)]
    filter: Filter,
    /// Every one that is settled
    #[arg(long, conflicts_with_all = ["order", "reason", "older_than", "newer_than"])]
    all: bool,
    /// Say which, and delete nothing
    #[arg(long)]
    dry_run: bool,
}

impl Delete {
    /// Those that could ever run, or go on, are left. What is not deleted is given back.
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
        let (mut documents, mut rows, mut done, mut bad) = (Vec::new(), Vec::new(), 0_u64, false);
        for letter in &letters {
            // Looked up for each right before it is deleted: the records change meanwhile.
            let judgement = judge.judge(letter).await;
            let (outcome, detail) = self.one(&judgement, letter, mailbox).await;
            done += u64::from(matches!(outcome, "deleted" | "would_be_deleted"));
            bad |= outcome == "failed";
            let mut document = summary(letter, &judgement);
            document["outcome"] = json!(outcome);
            documents.push(document);
            let mut row = row(letter);
            row.extend([outcome.to_owned(), detail]);
            rows.push(row);
        }
        let document = json!({ "dry_run": self.dry_run, "deleted": done, "messages": documents });
        let would = if self.dry_run { "would be " } else { "" };
        let text = format!("{}{done} of {} {would}deleted", columns(&rows), letters.len());
        Ok(Report::new(document, text).failed(bad))
    }

    /// What becomes of one letter, and why.
    async fn one(
        &self,
        judgement: &Judgement,
        letter: &Letter,
        mailbox: &mut Mailbox,
    ) -> (&'static str, String) {
        let why = format!("a redrive would: {}", sentence(letter, judgement));
        if !judgement.settled {
            return ("left", why);
        }
        if self.dry_run {
            return ("would_be_deleted", why);
        }
        if mailbox.is_overdue() {
            return ("failed", "it was held too long: run this again".to_owned());
        }
        match mailbox.delete(letter).await {
            Ok(()) => ("deleted", why),
            Err(error) => ("failed", format!("{error:#}")),
        }
    }
}
