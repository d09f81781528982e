//! What became of a refund. Its key repeats the first answer for ever, so the refund itself is asked for.

use tokio::time::Instant;

use super::client::Ask;
use super::reply::{Object, Reply, Whereabouts, short, whereabouts};
use super::{Stripe, later, paid};
use crate::order::OrderId;
use crate::record::{Outcome, Refusal};
use crate::services::Ending;
use crate::services::payment::{Charge, Refund};

impl Stripe {
    /// The refund that the key's answer names.
    pub(super) async fn of_refund(&self, made: Object, order_id: &OrderId, until: Instant) -> Ending {
        if is_settled(&made) {
            return ending(made);
        }
        let id: String = form_urlencoded::byte_serialize(made.id.as_bytes()).collect();
        match self.0.ask(Ask::get(format!("/v1/refunds/{id}")), until).await {
            Reply::Object(refund) => ending(refund),
            other => later(other, order_id),
        }
    }

    /// The charge is refunded, by whatever refund: done, unless the money can still come back.
    pub(super) async fn refunded(&self, refund: &Refund<'_>, until: Instant) -> Ending {
        let refunds = match self.refunds(refund.payment_id, until).await {
            Reply::List { data, .. } => data,
            // Stripe has said that it is refunded. By which refund, this key may not read.
            Reply::Error { .. } => return Ending::Done(Outcome::nothing()),
            other => return later(other, refund.order_id),
        };
        let on_its_way = refunds.iter().find(|refund| !is_settled(refund));
        let done = on_its_way.or_else(|| refunds.iter().find(|refund| refund.status == "succeeded"));
        done.cloned().map_or(Ending::Done(Outcome::nothing()), ending)
    }

    /// The key will answer an error for ever. If it has made a refund all the same, that is of this order.
    pub(super) async fn refund_of_order(&self, refund: &Refund<'_>, until: Instant) -> Ending {
        let refunds = match self.refunds(refund.payment_id, until).await {
            Reply::List { data, .. } => data,
            other => return later(other, refund.order_id),
        };
        match refunds.into_iter().find(|found| found.names(refund.order_id)) {
            Some(found) => ending(found),
            None => Ending::Unknown("the refund was answered with an error".to_owned()),
        }
    }

    /// A payment that this request has not made: done, unless the customer has the money back by now. Then the order had
    /// turned back, and whoever asks again has forgotten it: the table was restored to an older copy. It turns back again,
    /// in the words in which a cancellation was told then: a customer is told one thing under one key.
    pub(super) async fn unless_given_back(&self, id: String, charge: &Charge<'_>, until: Instant) -> Ending {
        let (refunds, has_more) = match self.refunds(&id, until).await {
            Reply::List { data, has_more } => (data, has_more),
            other => return later(other, charge.order_id),
        };
        if has_more {
            return Ending::Unknown("the payment has more refunds than one page shows".to_owned());
        }
        match whereabouts(&refunds, charge.order_id, charge.amount.minor) {
            Whereabouts::Kept => paid(id),
            Whereabouts::GivenBack => Ending::Refused(Refusal::cancelled()),
            Whereabouts::OnItsWay(refund) | Whereabouts::ComeBack(refund) => ending(refund.clone()),
        }
    }

    async fn refunds(&self, payment_id: &str, until: Instant) -> Reply {
        let query = form_urlencoded::Serializer::new(String::new())
            .append_pair("payment_intent", payment_id)
            .finish();
        self.0.ask(Ask::get(format!("/v1/refunds?{query}")), until).await
    }
}

/// Whether it will not change any more (<https://docs.stripe.com/refunds#refund-statuses>).
fn is_settled(refund: &Object) -> bool {
    matches!(refund.status.as_str(), "succeeded" | "failed" | "canceled")
}

fn ending(refund: Object) -> Ending {
    match refund.status.as_str() {
        "succeeded" => Ending::Done(Outcome::of("refund_id", refund.id).and("status", refund.status)),
        "failed" | "canceled" => {
            Ending::Unknown(format!("the refund {} is {}", short(&refund.id), refund.status))
        }
        status => Ending::Unavailable(format!("the refund is {}", short(status))),
    }
}
