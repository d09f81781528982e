//! What the provider has done, for tests and demos to check.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::clock::UnixMillis;

/// The books: every payment, every refund, and how often each idempotency key was used.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Ledger {
    /// In the order they were made, declined ones included.
    pub payments: Vec<Payment>,
    /// In the order they were made.
    pub refunds: Vec<Refund>,
    /// Requests per idempotency key, refused and scripted ones included.
    pub calls: BTreeMap<String, u64>,
}

/// One payment intent.
#[derive(Clone, Debug, Serialize)]
pub struct Payment {
    /// `pi_...`
    pub payment_id: String,
    /// `metadata[order_id]`
    pub order_id: Option<String>,
    /// The key of the request that made it.
    pub idempotency_key: Option<String>,
    /// In minor units.
    pub amount: u64,
    /// ISO 4217 in lower case.
    pub currency: String,
    /// The token.
    pub payment_method: String,
    /// Money has moved only if it says [`PaymentStatus::Succeeded`].
    pub status: PaymentStatus,
    /// When it was made.
    pub created: UnixMillis,
    /// What will become of it, and when.
    #[serde(skip)]
    pub(in crate::local) settles: Option<(UnixMillis, PaymentStatus)>,
}

/// Stripe's name for where a payment stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PaymentStatus {
    /// Charged.
    Succeeded,
    /// Declined: waits for another card.
    RequiresPaymentMethod,
    /// Made without `confirm=true`.
    RequiresConfirmation,
    /// Waits for the customer to authenticate.
    RequiresAction,
    /// The money is held, and not taken yet.
    RequiresCapture,
    /// Undecided; ends on its own.
    Processing,
    /// Given up.
    Canceled,
}

/// One refund, always of the full amount.
#[derive(Clone, Debug, Serialize)]
pub struct Refund {
    /// `re_...`
    pub refund_id: String,
    /// The payment it undoes.
    pub payment_id: String,
    /// The order of that payment.
    pub order_id: Option<String>,
    /// The key of the request that made it.
    pub idempotency_key: Option<String>,
    /// In minor units.
    pub amount: u64,
    /// When it was made.
    pub created: UnixMillis,
    /// Money is back only if it says [`RefundStatus::Succeeded`].
    pub status: RefundStatus,
    /// What will become of it, and when.
    #[serde(skip)]
    pub(in crate::local) settles: Option<(UnixMillis, RefundStatus)>,
}

/// Stripe's name for where a refund stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RefundStatus {
    /// On its way.
    Pending,
    /// Waits for the customer, as for details of a bank.
    RequiresAction,
    /// The money is back.
    Succeeded,
    /// The money came back to the account: the customer has not got it.
    Failed,
    /// Called off before it was done.
    Canceled,
}

impl RefundStatus {
    /// Whether the money is on its way or back. Else the charge can be refunded again.
    pub fn holds(self) -> bool {
        !matches!(self, RefundStatus::Failed | RefundStatus::Canceled)
    }
}

impl Ledger {
    /// The payments of an order that moved money. More than one is a customer charged twice.
    pub fn charges_of(&self, order_id: &str) -> Vec<&Payment> {
        self.payments_of(order_id).filter(|payment| payment.status == PaymentStatus::Succeeded).collect()
    }

    /// The refunds of an order, failed ones included.
    pub fn refunds_of(&self, order_id: &str) -> Vec<&Refund> {
        self.refunds.iter().filter(|refund| refund.order_id.as_deref() == Some(order_id)).collect()
    }

    /// Those of them by which the customer has the money back.
    pub fn settled_refunds_of(&self, order_id: &str) -> Vec<&Refund> {
        let mut refunds = self.refunds_of(order_id);
        refunds.retain(|refund| refund.status == RefundStatus::Succeeded);
        refunds
    }

    /// How many requests came with this idempotency key.
    pub fn calls_under(&self, key: &str) -> u64 {
        self.calls.get(key).copied().unwrap_or_default()
    }

    pub(super) fn payments_of<'a>(&'a self, order_id: &str) -> impl DoubleEndedIterator<Item = &'a Payment> {
        self.payments.iter().filter(move |payment| payment.order_id.as_deref() == Some(order_id))
    }

    pub(super) fn payment(&self, payment_id: &str) -> Option<&Payment> {
        self.payments.iter().find(|payment| payment.payment_id == payment_id)
    }

    /// The payment that was made under this idempotency key.
    pub(super) fn payment_under(&mut self, key: Option<&str>) -> Option<&mut Payment> {
        self.payments.iter_mut().find(|payment| key.is_some() && payment.idempotency_key.as_deref() == key)
    }

    /// Every payment and refund becomes what it has become by now.
    pub(super) fn settle(&mut self, now: UnixMillis) {
        for payment in &mut self.payments {
            if let Some((at, status)) = payment.settles
                && at <= now
            {
                (payment.status, payment.settles) = (status, None);
            }
        }
        for refund in &mut self.refunds {
            if let Some((at, status)) = refund.settles
                && at <= now
            {
                (refund.status, refund.settles) = (status, None);
            }
        }
    }

    pub(super) fn set_status(&mut self, order_id: &str, status: PaymentStatus) {
        let of_the_order = |payment: &&mut Payment| payment.order_id.as_deref() == Some(order_id);
        self.payments.iter_mut().filter(of_the_order).for_each(|payment| payment.status = status);
    }
}
