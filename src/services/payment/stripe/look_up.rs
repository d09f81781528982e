//! What became of an order's payments. A search finds them and shows the past; each payment itself says what it is.

use std::time::Duration;

use tokio::time::Instant;

use super::client::Ask;
use super::reply::{Object, Reply, Verdict, short, verdict};
use super::{Stripe, declined, later};
use crate::services::Ending;
use crate::services::payment::Charge;

/// An empty search is asked again for so long after the charge. Stripe's index is mostly a minute behind, and more
/// while it has trouble (<https://docs.stripe.com/search#data-freshness>): then a person looks.
pub(super) const SEARCH_LAG: Duration = Duration::from_secs(5 * 60);

impl Stripe {
    /// Searches the order's payments, and settles them. If there is none, and the key is younger than `indexed`, the
    /// search may be behind.
    pub(super) async fn look_up(&self, charge: &Charge<'_>, indexed: Duration, until: Instant) -> Ending {
        let (data, has_more) = match self.0.ask(Ask::get(search(charge)), until).await {
            Reply::List { data, has_more } => (data, has_more),
            other => return later(other, charge.order_id),
        };
        if has_more {
            return Ending::Unknown("the order has more payments than one page shows".to_owned());
        }
        let mut payments = Vec::new();
        for found in data.into_iter().filter(|found| found.is_of(charge)) {
            match self.payment(&found.id, charge, until).await {
                Ok(payment) if payment.is_of(charge) => payments.push(payment),
                Ok(_) => {}
                Err(ending) => return ending,
            }
        }
        if !payments.is_empty() {
            return self.settle(&payments, charge, until).await;
        }
        match charge.key_age < indexed {
            true => Ending::Unavailable("the payment provider finds no payment yet".to_owned()),
            false => Ending::Unknown("the payment provider finds no payment".to_owned()),
        }
    }

    /// Settles the one payment that an answer under the order's own key names.
    pub(super) async fn of_payment(&self, id: &str, charge: &Charge<'_>, until: Instant) -> Ending {
        match self.payment(id, charge, until).await {
            Ok(payment) => self.settle(&[payment], charge, until).await,
            Err(ending) => ending,
        }
    }

    async fn payment(&self, id: &str, charge: &Charge<'_>, until: Instant) -> Result<Object, Ending> {
        match self.0.ask(Ask::get(path(id)), until).await {
            Reply::Object(payment) => Ok(payment),
            other => Err(later(other, charge.order_id)),
        }
    }

    /// A payment that could still be made is given up before the order is told that it was declined.
    async fn settle(&self, payments: &[Object], charge: &Charge<'_>, until: Instant) -> Ending {
        let open = match verdict(payments) {
            Verdict::Paid(payment) => return self.unless_given_back(payment.id.clone(), charge, until).await,
            Verdict::PaidTwice(one, two) => {
                let (one, two) = (short(&one.id), short(&two.id));
                return Ending::Unknown(format!("the order is charged more than once: {one} and {two}"));
            }
            Verdict::Wait(payment) => {
                return Ending::Unavailable(format!("the payment is {}", short(&payment.status)));
            }
            Verdict::Unpaid { open } => open,
        };
        for payment in &open {
            match self.0.ask(Ask::post_again(format!("{}/cancel", path(&payment.id))), until).await {
                Reply::Object(payment) if payment.status == "canceled" => {}
                Reply::Object(_) => return Ending::Unavailable("the payment is not canceled yet".to_owned()),
                other => return later(other, charge.order_id),
            }
        }
        declined(open.first().map_or("canceled", |payment| &payment.status))
    }
}

/// An order ID has no character that the search language treats specially.
fn search(charge: &Charge<'_>) -> String {
    let query = format!("metadata['order_id']:'{}'", charge.order_id);
    let query = form_urlencoded::Serializer::new(String::new()).append_pair("query", &query).finish();
    format!("/v1/payment_intents/search?{query}")
}

/// The ID comes from an answer, so it is escaped.
fn path(id: &str) -> String {
    let id: String = form_urlencoded::byte_serialize(id.as_bytes()).collect();
    format!("/v1/payment_intents/{id}")
}
