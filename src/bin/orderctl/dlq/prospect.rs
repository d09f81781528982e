//! What is on record about a letter, and what that comes to, in words.

use std::time::Duration;

use order_processor::clock::Clock;
use order_processor::config::name;
use order_processor::letter::{self, Judgement, Prospect};
use order_processor::services;
use serde_json::Value;

use super::letter::Letter;
use crate::environment::variable;
use crate::lambda::{Invoked, Lambda};
use crate::table::Table;
use crate::target::Target;

/// Says what messages would come to.
pub struct Judge {
    table: Table,
    law: letter::Judge,
}

impl Judge {
    /// By the table of `target`, and the age that its function is told, else this program.
    pub async fn new(target: &Target) -> Judge {
        let max_age = max_age(target).await;
        Judge { table: Table::of(target), law: letter::Judge { workflow: services::workflow(), max_age } }
    }

    /// By one consistent read of each order that may be meant, made now.
    pub async fn judge(&self, letter: &Letter) -> Judgement {
        let mut records = Vec::new();
        for id in &letter.content.ids {
            match self.table.order(id).await {
                Ok(found) => records.extend(found),
                Err(error) => return Judgement::unknown(format!("{error:#}")),
            }
        }
        self.law.judge(&letter.content, &records, Clock::system().now())
    }
}

/// The age beyond which the function claims no order as new, if it can be found out.
async fn max_age(target: &Target) -> Option<Duration> {
    let told = match target.mapping_id() {
        Some(id) => {
            let lambda = Lambda(target.sdk());
            let invoked = Invoked::of(&lambda.mapping(id).await.ok()?).ok()?;
            told(&lambda.function(&invoked.function, invoked.qualifier.as_deref()).await.ok()?)
        }
        None if target.stack().is_some() => return None,
        None => variable(name::MAX_ORDER_AGE_DAYS)?,
    };
    Some(Duration::from_secs(told.parse::<u64>().ok()? * 86_400))
}

/// What a function is told that Lambda describes so.
fn told(function: &Value) -> String {
    let told = function["Environment"]["Variables"][name::MAX_ORDER_AGE_DAYS].as_str();
    told.map_or_else(|| (letter::DEFAULT_MAX_AGE.as_secs() / 86_400).to_string(), str::to_owned)
}

/// What more there is to say, for programs.
pub fn detail(prospect: &Prospect) -> Option<String> {
    match prospect {
        Prospect::InProgress(until) => Some(until.to_rfc3339()),
        Prospect::UnknownVersion(version) => Some(version.to_string()),
        Prospect::Resume { step } => Some(step.clone()),
        Prospect::ParkedWithoutMessage => Some("its message was erased".to_owned()),
        Prospect::Unknown(why) => Some(why.clone()),
        _ => None,
    }
}

/// What a redrive would do with the letter, for people.
pub fn sentence(letter: &Letter, judgement: &Judgement) -> String {
    let order = letter.order_id().map_or("ORDER", |id| id.as_str());
    let words = words(&judgement.prospect, order);
    // Its prospect has changed since the function said why it is there, or this program reads it otherwise.
    if judgement.comes_back && judgement.may_be_sent() && !words.starts_with(BACK) {
        let said = letter.content.reason.name();
        return format!("{words}; but the function called it {said}, so only with --even-hopeless");
    }
    words
}

const BACK: &str = "come back";

fn words(prospect: &Prospect, order: &str) -> String {
    match prospect {
        Prospect::Invalid => format!("{BACK}: it is no valid order"),
        Prospect::Unreadable => {
            "show what it is: this program cannot read it, and the function may".to_owned()
        }
        Prospect::AnsweredAlready => "get the stored answer: nothing runs".to_owned(),
        Prospect::Parked => "be deleted: the order is parked, and the record keeps its message".to_owned(),
        Prospect::ParkedWithoutMessage => format!(
            "leave it: the order is parked, its message was erased, and this is the only one: save its body, and \
             orderctl parked resume {order} --message FILE --why TEXT"
        ),
        Prospect::InProgress(until) => {
            format!("wait: a worker owns the order until {}", until.to_rfc3339())
        }
        Prospect::UnknownVersion(version) => {
            format!(
                "wait, or go on: the order is of workflow version {version}, which this program does not know"
            )
        }
        Prospect::Resume { step } => format!("go on at {step}"),
        Prospect::Conflict => format!("{BACK}: another order has this ID"),
        Prospect::Stale { sure: true } => format!("{BACK}: it was placed too long ago"),
        Prospect::Stale { sure: false } => {
            format!(
                "{BACK}, if the function has the default {}: it was placed long ago",
                name::MAX_ORDER_AGE_DAYS
            )
        }
        Prospect::Future => format!("{BACK}: it is placed in the future"),
        Prospect::Run => "run as a new order".to_owned(),
        Prospect::Unknown(why) => format!("leave it: {why}"),
    }
}
