//! What goes wrong at the payment provider: answers that stay, payments that are decided late or never, a search that
//! shows the past, refunds that fail, and an API key that is revoked before there is another.

use std::time::Duration;

use axum::body::Bytes;
use http::StatusCode;
use serde_json::Value;

use super::chance::{Chance, between};
use super::people::Act;
use super::world::World;
use super::{START, traffic};
use crate::clock::UnixMillis;
use crate::local::payment_provider::{Payment, PaymentStatus, RefundStatus, Scripted, Shown};
use crate::local::server::Answer;
use crate::protocol::Statement;
use crate::record::Outcome;
use crate::services::payment::PAYMENT_ID;

/// Stripe's search shows a payment after "under a minute".
const SEARCH_LAG: Duration = Duration::from_secs(50);
/// For so long it may show what a payment was before.
const SEARCH_PAST: Duration = Duration::from_secs(3600);
/// From then on charges end as usual. When the faults stop, a day later, no key has a stored error any more.
const TROUBLE: Duration = Duration::from_secs(20 * 3600);
/// Of its answers, so many do.
const PAST: f64 = 0.9;
/// What a payment was on its way.
const EARLIER: [PaymentStatus; 3] =
    [PaymentStatus::RequiresPaymentMethod, PaymentStatus::RequiresConfirmation, PaymentStatus::Processing];

/// The API key with this number.
pub(super) fn api_key(number: u32) -> String {
    format!("sk_test_simulation_{number}")
}

/// Plans what will go wrong, if anything does.
pub(super) fn prepare(world: &World) {
    if world.plan.faults == 0.0 {
        return;
    }
    let chance = world.chance;
    world.payments.search_shows(move |payment, now| shown(chance, payment, now));
    world.plan.numbers().for_each(|number| trouble(world, number));
    world.agenda().plan(START + TROUBLE, Act::EndTrouble);
    if world.mischief().surely("provider", "key") {
        let mut random = chance.of("key", "revoked");
        let rush = traffic::sent_at(world.plan.orders).since(START);
        let at = START + between(&mut random, rush / 5, rush / 2);
        let renewed = at + between(&mut random, rush, rush * 2);
        world.agenda().plan(at, Act::RevokeKey);
        world.agenda().plan(renewed, Act::RenewKey);
    }
}

/// A payment that is young is not shown, or as it was.
fn shown(chance: Chance, payment: &Payment, now: UnixMillis) -> Shown {
    let age = now.since(payment.created);
    let (key, moment) = (payment.idempotency_key.as_deref().unwrap_or_default(), now.0 / 1000);
    let mut random = chance.of("search", &format!("{key} {moment}"));
    if age >= SEARCH_PAST || random.f64() >= PAST {
        return if age < SEARCH_LAG { Shown::Nothing } else { Shown::AsItIs };
    }
    random.choice(EARLIER).map_or(Shown::AsItIs, Shown::As)
}

/// How a first charge ends, if it ends as it seldom does.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Trouble {
    StoredAfterPayment,
    Stored,
    KeyInUse,
    /// Paid in the end, while somebody cancels.
    LatePaid,
    LateDeclined,
    /// Paid in the end, unless it is given up.
    Unconfirmed,
    /// Likewise.
    Uncaptured,
}

/// Some are more likely than others: those that a search has to settle.
const TROUBLES: [Trouble; 8] = [
    Trouble::StoredAfterPayment,
    Trouble::StoredAfterPayment,
    Trouble::Stored,
    Trouble::KeyInUse,
    Trouble::LatePaid,
    Trouble::LateDeclined,
    Trouble::Unconfirmed,
    Trouble::Uncaptured,
];

impl Trouble {
    fn of(chance: Chance, id: &str) -> Trouble {
        chance.of("provider", id).choice(TROUBLES).unwrap_or(Trouble::KeyInUse)
    }

    fn script(self, later: Duration) -> Scripted {
        let processing = Scripted::comes_to(PaymentStatus::Processing);
        let open = |status| Scripted::comes_to(status).and_later(later, PaymentStatus::Succeeded);
        match self {
            Trouble::StoredAfterPayment => Scripted::status(500).stored().applied(),
            Trouble::Stored => Scripted::status(500).stored(),
            Trouble::KeyInUse => Scripted::status(409),
            Trouble::LatePaid => processing.and_later(later, PaymentStatus::Succeeded),
            Trouble::LateDeclined => processing.and_later(later, PaymentStatus::RequiresPaymentMethod),
            Trouble::Unconfirmed => open(PaymentStatus::RequiresAction),
            Trouble::Uncaptured => open(PaymentStatus::RequiresCapture),
        }
    }
}

/// The first charge of some orders ends as it seldom does.
fn trouble(world: &World, number: u32) {
    let id = traffic::order_id(number);
    let Some(name) = world.mischief().strikes(&id, "provider") else { return };
    let mut random = world.chance.of("provider course", &id);
    let later = between(&mut random, Duration::from_secs(20), Duration::from_secs(120));
    let script = Trouble::of(world.chance, &id).script(later);
    world.payments.answer_next(&format!("{id}:charge_payment"), script);
    world.journal().count("provider troubles");
    world.note("provider", &name);
}

/// The card of an order that may be cancelled after its charge: its refund takes a while, or fails in the end.
pub(super) fn card_to_refund(chance: Chance, id: &str, is_cancelled: bool) -> Option<&'static str> {
    if !is_cancelled && Trouble::of(chance, id) != Trouble::LatePaid {
        return None;
    }
    chance.of("refund", id).choice(["pm_card_pendingRefund", "pm_card_pendingRefundFail"])
}

impl World {
    /// Answers a request to the provider, and notes what it is for.
    pub(super) async fn pay(&self, request: http::Request<Bytes>) -> Answer {
        let path = request.uri().path().to_owned();
        let answer = self.payments.answer(request).await;
        if let Ok(response) = &answer {
            self.watch_payment(&path, response);
        }
        answer
    }

    fn watch_payment(&self, path: &str, response: &http::Response<Bytes>) {
        let body: Value = serde_json::from_slice(response.body()).unwrap_or_default();
        if path == "/v1/payment_intents" {
            self.watch_charge(&body);
        }
        let what = match path {
            _ if response.status() == StatusCode::UNAUTHORIZED => "keys refused",
            "/v1/payment_intents/search" if self.is_past(&body) => "searches of the past",
            path if path.ends_with("/cancel") && body["status"] == "canceled" => "payments given up",
            path if path.starts_with("/v1/refunds/") && body["status"] == "pending" => "refunds waited for",
            path if path.starts_with("/v1/refunds/") && body["status"] == "failed" => "refunds failed",
            _ => return,
        };
        self.journal().count(what);
    }

    /// Who waits for a payment that will be made cancels soon.
    fn watch_charge(&self, body: &Value) {
        let id = body["metadata"]["order_id"].as_str().unwrap_or_default();
        if body["status"] == "processing" && Trouble::of(self.chance, id) == Trouble::LatePaid {
            let mut random = self.chance.of("provider cancel", id);
            let soon = between(&mut random, Duration::ZERO, Duration::from_secs(10));
            self.agenda().plan(self.now() + soon, Act::Cancel(id.to_owned()));
        }
    }

    /// Whether a search shows anything that is not so.
    fn is_past(&self, body: &Value) -> bool {
        let ledger = self.payments.ledger();
        let mut shown = body["data"].as_array().into_iter().flatten();
        shown.any(|shown| {
            let mut payments = ledger.payments.iter();
            let payment = payments.find(|payment| shown["id"] == payment.payment_id.as_str());
            payment.is_some_and(|payment| shown["status"] != serde_json::json!(payment.status))
        })
    }

    /// The order that a request to the provider is about, if its path says it.
    pub(super) fn payer(&self, operation: &str) -> Option<String> {
        let named = operation.split('/').find(|part| part.starts_with("pi_") || part.starts_with("re_"))?;
        let ledger = self.payments.ledger();
        let payments = ledger.payments.iter().map(|payment| (&payment.payment_id, &payment.order_id));
        let refunds = ledger.refunds.iter().map(|refund| (&refund.refund_id, &refund.order_id));
        payments.chain(refunds).find(|(id, _)| *id == named).and_then(|(_, order)| order.clone())
    }

    pub(super) fn revoke_key(&self) {
        let number = *self.key_number();
        self.payments.revoke(&api_key(number));
        self.note("key", &format!("{number} is revoked"));
    }

    pub(super) fn renew_key(&self) {
        *self.key_number() += 1;
        self.journal().count("keys renewed");
        self.note("key", &format!("{} is in the secret", self.key_number()));
    }

    /// What the provider's books say of the order's charge. Nothing, while it may still come to one.
    pub(super) fn charged(&self, id: &str) -> Option<Statement> {
        let ledger = self.payments.ledger();
        let of_order = |payment: &&Payment| payment.order_id.as_deref() == Some(id);
        let mut payments = ledger.payments.iter().filter(of_order);
        if payments.any(|payment| payment.settles.is_some()) {
            return None;
        }
        let mut charges: Vec<_> =
            ledger.charges_of(id).into_iter().map(|charge| &charge.payment_id).collect();
        charges.sort();
        Some(match charges.first() {
            Some(payment_id) => Statement::Done(Outcome::of(PAYMENT_ID, *payment_id)),
            None => Statement::NotDone,
        })
    }

    /// That the customer has the money back, if need be because somebody sees to it at the provider's desk. Nothing, while
    /// a refund is on its way.
    pub(super) fn refunded(&self, id: &str) -> Option<Statement> {
        let ledger = self.payments.ledger();
        let held = ledger.refunds_of(id).into_iter().find(|refund| refund.status.holds()).cloned();
        let refund_id = match held {
            Some(refund) if refund.status == RefundStatus::Succeeded => refund.refund_id,
            Some(_) => return None,
            None => {
                let charges = ledger.charges_of(id);
                self.journal().count("refunds by hand");
                self.payments.refund_by_hand(&charges.first()?.payment_id)?
            }
        };
        Some(Statement::Done(Outcome::of("refund_id", refund_id).and("status", "succeeded")))
    }
}
