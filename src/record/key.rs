//! By what a callee recognises a repeat of a step or undo.

use std::fmt;

/// `<order_id>:<step>`, and from the second generation on its number: `<order_id>:<step>:2`.
///
/// No name of a step has a colon or is a number, so every key is of one order, whatever the order's ID is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IdempotencyKey<'k> {
    /// Of which order.
    pub order_id: &'k str,
    /// Of which step or undo.
    pub step: &'k str,
    /// From 2; the first generation has none.
    pub generation: Option<u32>,
}

impl<'k> IdempotencyKey<'k> {
    /// Reads a key back; `None` if it is none.
    pub fn parse(key: &'k str) -> Option<Self> {
        let numbered = key.rsplit_once(':').and_then(|(first, number)| Some((first, generation(number)?)));
        let (first, generation) = numbered.map_or((key, None), |(first, number)| (first, Some(number)));
        let (order_id, step) = first.rsplit_once(':')?;
        let is_one = !order_id.is_empty() && step.starts_with(|c: char| c.is_ascii_alphabetic());
        is_one.then_some(IdempotencyKey { order_id, step, generation })
    }
}

/// As it is written: no sign, no zero in front.
fn generation(text: &str) -> Option<u32> {
    let number: u32 = text.parse().ok()?;
    (number >= 2 && number.to_string() == text).then_some(number)
}

impl fmt::Display for IdempotencyKey<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let IdempotencyKey { order_id, step, generation } = self;
        write!(f, "{order_id}:{step}")?;
        generation.map_or(Ok(()), |number| write!(f, ":{number}"))
    }
}
