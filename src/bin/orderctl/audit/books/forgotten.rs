//! Payments of orders that the table knows nothing of: it was restored to an older copy, or lost.

use std::collections::BTreeSet;
use std::time::Duration;

use order_processor::clock::UnixMillis;

use super::{Books, Charge, Contradiction, contradiction};

/// A payment that the provider lists, and whose it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    pub order_id: String,
    pub created: UnixMillis,
    /// The provider's word for where it stands.
    pub status: String,
    pub charge: Charge,
}

/// An order that is sent again is charged once only while the provider remembers the key of the first charge. Stripe's 24
/// hours, less the 5 that an order can be retried: 20 receives, each up to 900 s after the one before; and an hour for
/// whoever sends.
pub const SEND_AGAIN_WITHIN: Duration = Duration::from_secs(18 * 3600);

/// What to do about each payment that has moved money, or still may, and whose order has no record.
pub fn examine(listed: &[Listed], books: &Books<'_>, now: UnixMillis) -> Vec<Contradiction> {
    let records = books.records.iter().map(|record| record.order_id());
    let unreadable = books.unreadable.iter().filter_map(|(key, _)| key.strip_prefix("ORDER#"));
    let known: BTreeSet<&str> = records.chain(unreadable).collect();
    let forgotten = listed.iter().filter(|payment| !known.contains(payment.order_id.as_str()));
    forgotten.filter_map(|payment| Some(contradiction(&payment.order_id, what(payment, now)?))).collect()
}

fn what(payment: &Listed, now: UnixMillis) -> Option<String> {
    let id = &payment.charge.payment_id;
    let may_succeed = ["processing", "requires_capture"].contains(&payment.status.as_str());
    let charged = match payment.charge.succeeded {
        true if payment.charge.is_given_back() => {
            return Some(format!(
                "was charged by {id} and has the money back, and the table has no record: \
                 nothing to do, and if its message comes again, it is rejected"
            ));
        }
        true => format!("is charged by {id}"),
        false if may_succeed => format!("may be charged by {id}, which is {}", payment.status),
        // Declined, or given up: who sends the order again gets the same answer.
        false => return None,
    };
    let until = payment.created + SEND_AGAIN_WITHIN;
    Some(match until > now {
        true => format!(
            "{charged}, and the table has no record: send its message again before {}",
            until.to_rfc3339()
        ),
        false => format!(
            "{charged}, and the table has no record: do NOT send its message again, it would be charged twice \
             once the provider forgets the key; was it shipped? if not, give the money back"
        ),
    })
}
