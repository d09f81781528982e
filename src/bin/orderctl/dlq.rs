//! `orderctl dlq`: the messages that nobody processes, why, and what a redrive would come to.

mod delete;
mod letter;
mod mailbox;
mod prospect;
mod redrive;

use std::time::Duration;

use anyhow::Result;
use clap::{Args, Subcommand};
use order_processor::clock::Clock;
use order_processor::letter::{Judgement, Reason};
use order_processor::order::OrderId;
use serde_json::{Value, json};

use crate::report::{Report, columns, order_or_none};
use crate::target::Target;
use crate::{duration, failure};
use delete::Delete;
use letter::{Letter, reasons};
use mailbox::Mailbox;
use prospect::{Judge, detail, sentence};
use redrive::Redrive;

/// List, show, redrive and delete the dead-lettered messages
#[derive(Debug, Args)]
pub struct Dlq {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// The messages, and what each would come to now. Looking hides them from others for the moment
    List {
        #[command(flatten)]
        filter: Filter,
    },
    /// One message in full, with the customer's data
    Show {
        /// Its message ID, or the ID of its order
        #[arg(value_name = "ID")]
        id: String,
    },
    Redrive(Redrive),
    Delete(Delete),
}

/// Which messages are meant. Without any of these: all.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Which")]
pub struct Filter {
    /// Those of this order
    #[arg(long, value_name = "ORDER")]
    order: Option<OrderId>,
    /// Those with this reason; may be repeated. exhausted: those of which the function said nothing, so SQS moved them
    #[arg(long, value_name = "REASON", value_parser = reasons())]
    reason: Vec<Reason>,
    /// Those sent longer ago than this, as in 2h or 7d
    #[arg(long, value_name = "DURATION", value_parser = duration::parse)]
    older_than: Option<Duration>,
    /// Those sent within this, as in 2h or 7d
    #[arg(long, value_name = "DURATION", value_parser = duration::parse)]
    newer_than: Option<Duration>,
}

impl Filter {
    fn is_empty(&self) -> bool {
        let Filter { order, reason, older_than, newer_than } = self;
        order.is_none() && reason.is_empty() && older_than.is_none() && newer_than.is_none()
    }

    fn takes(&self, letter: &Letter, age: Duration) -> bool {
        self.order.as_ref().is_none_or(|order| letter.content.ids.contains(order))
            && (self.reason.is_empty() || self.reason.contains(&letter.content.reason))
            && self.older_than.is_none_or(|least| age > least)
            && self.newer_than.is_none_or(|most| age <= most)
    }
}

impl Dlq {
    /// Does what was asked for.
    pub async fn run(&self, target: &Target) -> Result<Report> {
        match &self.command {
            Command::List { filter } => list(target, filter).await,
            Command::Show { id } => show(target, id).await,
            Command::Redrive(redrive) => redrive.run(target).await,
            Command::Delete(delete) => delete.run(target).await,
        }
    }
}

/// What is in the queue, of that what the filter takes; everything is given back.
async fn look(target: &Target, filter: &Filter) -> Result<Vec<Letter>> {
    let mut mailbox = Mailbox::open(target).await?;
    let taken = mailbox.take(|_| true).await;
    mailbox.give_back().await;
    let now = Clock::system().now();
    let letters = taken?.into_iter();
    Ok(letters.filter(|letter| filter.takes(letter, now.since(letter.sent_at))).collect())
}

async fn list(target: &Target, filter: &Filter) -> Result<Report> {
    let letters = look(target, filter).await?;
    let judge = Judge::new(target).await;
    let (mut documents, mut rows) = (Vec::new(), Vec::new());
    for letter in &letters {
        let judgement = judge.judge(letter).await;
        documents.push(summary(letter, &judgement));
        let mut row = row(letter);
        row.push(letter.sent_at.to_rfc3339());
        row.push(format!("a redrive would: {}", sentence(letter, &judgement)));
        rows.push(row);
    }
    let document = json!({ "messages": documents });
    if letters.is_empty() {
        return Ok(Report::new(document, "no such message is in the dead-letter queue"));
    }
    let report = Report::new(document, columns(&rows));
    Ok(report.and_next("orderctl dlq redrive --dry-run"))
}

async fn show(target: &Target, id: &str) -> Result<Report> {
    let letters = look(target, &Filter::default()).await?;
    let is_meant = |letter: &&Letter| {
        letter.message_id == id || letter.content.ids.iter().any(|order| order.as_str() == id)
    };
    let Some(letter) = letters.iter().find(is_meant) else {
        let next = "what there is: orderctl dlq list; somebody else may be looking at it at the moment";
        return Err(failure::not_found(format!("no message {id} is in the dead-letter queue"), next));
    };
    let judgement = Judge::new(target).await.judge(letter).await;
    let mut document = summary(letter, &judgement);
    document["attributes"] = json!(letter.texts());
    document["body"] = json!(letter.body);
    let mut rows = vec![vec!["message".to_owned(), letter.message_id.clone()]];
    rows.push(vec!["why it is there".to_owned(), letter.content.reason.name().to_owned()]);
    rows.push(vec!["sent".to_owned(), letter.sent_at.to_rfc3339()]);
    rows.extend(letter.sender_id().map(|sender| vec!["by".to_owned(), sender.to_owned()]));
    rows.extend(letter.texts().into_iter().map(|(name, value)| vec![name, value]));
    rows.push(vec!["a redrive would".to_owned(), sentence(letter, &judgement)]);
    Ok(Report::new(document, format!("{}{}", columns(&rows), letter.body)))
}

/// A letter and what it would come to, for programs.
fn summary(letter: &Letter, judgement: &Judgement) -> Value {
    let mut document = letter.summary();
    document["would"] = json!(judgement.prospect.name());
    document["detail_now"] = json!(detail(&judgement.prospect));
    document
}

/// What every table of letters begins with.
fn row(letter: &Letter) -> Vec<String> {
    let order = order_or_none(letter.order_id().map(OrderId::as_str)).to_owned();
    vec![letter.message_id.clone(), order, letter.content.reason.name().to_owned()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_takes_what_fits_all_of_it_at_its_limits() {
        let letter = letter::tests::conflict();
        let takes = |filter: Filter, seconds| filter.takes(&letter, Duration::from_secs(seconds));
        let hour = Some(Duration::from_secs(3600));
        assert!(takes(Filter::default(), 0));
        assert!(!takes(Filter { older_than: hour, ..Filter::default() }, 3600));
        assert!(takes(Filter { older_than: hour, ..Filter::default() }, 3601));
        assert!(takes(Filter { newer_than: hour, ..Filter::default() }, 3600));
        assert!(!takes(Filter { newer_than: hour, ..Filter::default() }, 3601));
        let order = |id: &str| Some(id.parse().unwrap());
        let reason = vec![Reason::Stale, Reason::Conflict];
        assert!(takes(Filter { order: order("ord-1"), reason: reason.clone(), ..Filter::default() }, 0));
        assert!(!takes(Filter { order: order("ord-2"), reason, ..Filter::default() }, 0));
        assert!(!takes(Filter { reason: vec![Reason::Invalid], ..Filter::default() }, 0));
    }
}
