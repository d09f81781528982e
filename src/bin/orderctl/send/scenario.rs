//! The messages of known situations.

use clap::ValueEnum;
use order_processor::clock::UnixMillis;

use crate::draft::Draft;
use crate::outbox::Message;

/// A situation the processor has to get right.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Scenario {
    /// One order, an exact copy of its message, and a message that the producer built anew: runs once
    Duplicate,
    /// Two different orders under one ID: whichever arrives first runs, the other is dead-lettered
    Conflict,
    /// No valid order: dead-lettered
    Poison,
    /// The card is declined: rejected, nothing is left reserved
    Declined,
    /// More than there is: rejected
    SoldOut,
    /// Many orders at once
    Burst,
}

/// More than a stock of a demonstration has, and the most a line may want.
const TOO_MANY: u64 = 10_000;
const BURST: u32 = 100;

impl Scenario {
    /// The messages of `count` orders like `draft`.
    pub fn messages(self, draft: &Draft, count: Option<u32>, now: UnixMillis) -> Vec<Message> {
        let count = count.unwrap_or(if self == Scenario::Burst { BURST } else { 1 });
        let drafts = (1..=count).map(|number| match number {
            1 => draft.clone(),
            _ => Draft { order_id: format!("{}-{number}", draft.order_id), ..draft.clone() },
        });
        drafts.enumerate().flat_map(|(index, draft)| self.of_one(draft, index, now)).collect()
    }

    fn of_one(self, mut draft: Draft, index: usize, now: UnixMillis) -> Vec<Message> {
        match self {
            Scenario::Duplicate => vec![
                Message::new("the order", draft.body()),
                Message::new("an exact copy", draft.body()),
                Message::new("built anew by the producer", draft.rebuilt(now)),
            ],
            Scenario::Conflict => vec![
                Message::new("the order", draft.body()),
                Message::new("another order under the same ID", draft.contradicted().body()),
            ],
            Scenario::Poison => vec![poison(&draft, index)],
            Scenario::Declined => {
                draft.payment_method = "pm_card_declined".to_owned();
                vec![Message::new("with a card that is declined", draft.body())]
            }
            Scenario::SoldOut => {
                draft.items.iter_mut().for_each(|line| line.quantity = TOO_MANY);
                vec![Message::new("wants more than there is", draft.body())]
            }
            Scenario::Burst => vec![Message::new("the order", draft.body())],
        }
    }
}

/// One of the ways in which a message is no order; which, `index` decides.
pub fn poison(draft: &Draft, index: usize) -> Message {
    let body = draft.body();
    match index % 4 {
        0 => Message::new("cut off", &body[..body.len() / 2]),
        1 => {
            let mut none = draft.clone();
            none.items.iter_mut().for_each(|line| line.quantity = 0);
            Message::new("a quantity of 0", none.body())
        }
        2 => Message::new("an unknown field", body.replacen('{', r#"{"express":true,"#, 1)),
        _ => Message::new("a field named twice", body.replacen('{', r#"{"currency":"EUR","#, 1)),
    }
}
