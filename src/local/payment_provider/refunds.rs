//! Refunds: what an operation requires, and what it does to the ledger.

use std::time::Duration;

use serde_json::{Value, json};

use super::api::{Call, Execution, charge_id};
use super::ledger::{Ledger, Payment, PaymentStatus, Refund, RefundStatus};
use super::reply::Reply;
use crate::clock::UnixMillis;

const PATH: &str = "/v1/refunds";

/// `POST /v1/refunds`. What is not settled at once is settled `later`.
pub(super) fn refund(ledger: &mut Ledger, call: &Call, now: UnixMillis, later: Duration) -> Execution {
    let payment = match refundable(ledger, call) {
        Err(reply) => return Execution::refused(reply),
        Ok(payment) => payment,
    };
    let (status, end) = course(&payment.payment_method);
    let refund = Refund {
        refund_id: format!("re_{:024}", ledger.refunds.len() + 1),
        payment_id: payment.payment_id.clone(),
        order_id: payment.order_id.clone(),
        idempotency_key: call.idempotency_key.clone(),
        amount: payment.amount,
        created: now,
        status,
        settles: end.map(|end| (now + later, end)),
    };
    let mut body = body(&refund, payment);
    body["metadata"] = call.metadata();
    ledger.refunds.push(refund);
    Execution { reply: Reply::ok(body), kept: true, takes: Duration::ZERO }
}

/// How a refund begins and what becomes of it, by the card: <https://docs.stripe.com/testing#refunds>, and one that
/// fails while it is on its way.
fn course(card: &str) -> (RefundStatus, Option<RefundStatus>) {
    match card {
        "pm_card_pendingRefund" => (RefundStatus::Pending, Some(RefundStatus::Succeeded)),
        "pm_card_pendingRefundFail" => (RefundStatus::Pending, Some(RefundStatus::Failed)),
        "pm_card_refundFail" => (RefundStatus::Succeeded, Some(RefundStatus::Failed)),
        _ => (RefundStatus::Succeeded, None),
    }
}

fn refundable<'a>(ledger: &'a Ledger, call: &Call) -> Result<&'a Payment, Reply> {
    call.only(&["payment_intent", "reason"])?;
    let payment_id = call.require("payment_intent")?;
    let payment = ledger
        .payment(payment_id)
        .ok_or_else(|| Reply::no_such("payment_intent", "payment_intent", payment_id))?;
    if payment.status != PaymentStatus::Succeeded {
        let message =
            format!("This PaymentIntent ({payment_id}) does not have a successful charge to refund.");
        return Err(Reply::refused("payment_intent_unexpected_state", message));
    }
    if ledger.refunds.iter().any(|refund| refund.payment_id == payment_id && refund.status.holds()) {
        let message = format!("Charge {} has already been refunded.", charge_id(payment));
        return Err(Reply::refused("charge_already_refunded", message));
    }
    Ok(payment)
}

/// `GET /v1/refunds/{id}`
pub(super) fn retrieve(ledger: &Ledger, id: &str) -> Reply {
    let found = ledger.refunds.iter().find(|refund| refund.refund_id == id);
    match found.and_then(|refund| Some(body(refund, ledger.payment(&refund.payment_id)?))) {
        Some(body) => Reply::ok(body),
        None => Reply::missing("refund", "refund", id),
    }
}

/// `GET /v1/refunds?payment_intent={id}`, newest first.
pub(super) fn list(ledger: &Ledger, call: &Call) -> Reply {
    let payment_id = match call.require("payment_intent") {
        Err(reply) => return reply,
        Ok(payment_id) => payment_id,
    };
    let Some(payment) = ledger.payment(payment_id) else {
        return Reply::no_such("payment_intent", "payment_intent", payment_id);
    };
    let refunds = ledger.refunds.iter().rev().filter(|refund| refund.payment_id == payment_id);
    Reply::list(PATH, refunds.map(|refund| body(refund, payment)).collect())
}

fn body(refund: &Refund, payment: &Payment) -> Value {
    json!({
        "id": refund.refund_id,
        "object": "refund",
        "amount": refund.amount,
        "currency": payment.currency,
        "payment_intent": refund.payment_id,
        "charge": charge_id(payment),
        "metadata": refund.order_id.as_ref().map_or_else(|| json!({}), |order_id| json!({ "order_id": order_id })),
        "created": refund.created.0 / 1000,
        "status": refund.status,
    })
}
