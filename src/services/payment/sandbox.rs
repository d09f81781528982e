//! A payment provider that moves no money: the token alone decides, as with a provider's test tokens.

use std::time::Duration;

use sha2::{Digest, Sha256};

use super::{Charge, PAYMENT_ID, Payment, Refund, STEP};
use crate::order::hex;
use crate::record::{Outcome, Reason, Refusal};
use crate::services::Ending;

/// How long `pm_card_slow` takes.
const SLOW: Duration = Duration::from_secs(2);

/// `pm_card_declined` declines, `pm_card_unavailable` is down, `pm_card_slow` takes 2 s, every other succeeds.
#[derive(Debug, Clone, Copy, Default)]
pub struct Sandbox;

impl Payment for Sandbox {
    const NAME: &'static str = "sandbox";

    /// The answer is a function of the key, so a key is never forgotten.
    const KEY_MEMORY: Option<Duration> = None;

    async fn charge(&self, charge: Charge<'_>, timeout: Duration) -> Ending {
        match charge.method.as_str() {
            "pm_card_declined" => Ending::Refused(Refusal {
                reason: Reason::PaymentDeclined,
                detail: "card_declined".to_owned(),
            }),
            "pm_card_unavailable" => Ending::Unavailable("the payment provider is down".to_owned()),
            "pm_card_slow" => {
                tokio::time::sleep(SLOW.min(timeout)).await;
                if timeout < SLOW {
                    return Ending::Unavailable("the payment provider gave no answer in time".to_owned());
                }
                paid(charge.key)
            }
            _ => paid(charge.key),
        }
    }

    /// No money moves, so nothing is refunded that another provider may have charged.
    async fn refund(&self, refund: Refund<'_>, _: Duration) -> Ending {
        let payment_id = refund.payment_id;
        let charge_key = format!("{}:{}", refund.order_id, STEP.name);
        if !refund.is_own && payment_id != id("pi", &charge_key) {
            return Ending::Unknown(format!(
                "sandbox has not made the payment {payment_id}: another provider has"
            ));
        }
        Ending::Done(Outcome::of("refund_id", id("re", refund.key)).and("status", "succeeded"))
    }

    async fn find(&self, _: Charge<'_>, _: Duration) -> Ending {
        Ending::Unknown("the sandbox keeps no list of payments".to_owned())
    }
}

fn paid(key: &str) -> Ending {
    Ending::Done(Outcome::of(PAYMENT_ID, id("pi", key)))
}

fn id(prefix: &str, key: &str) -> String {
    format!("{prefix}_{}", hex(&Sha256::digest(key)[..12]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::order::Money;

    async fn charge(token: &str, timeout: Duration) -> Ending {
        let order_id = "ord-1".parse().unwrap();
        let (amount, method) = (Money { minor: 1, currency: "USD".parse().unwrap() }, token.parse().unwrap());
        let charge = Charge {
            key: "ord-1:charge_payment",
            order_id: &order_id,
            amount: &amount,
            method: &method,
            key_age: Duration::ZERO,
        };
        Sandbox.charge(charge, timeout).await
    }

    #[tokio::test(start_paused = true)]
    async fn the_token_alone_decides() {
        let long = Duration::from_secs(10);
        let paid = charge("pm_card_visa", long).await;
        assert!(
            matches!(&paid, Ending::Done(outcome) if outcome.text(PAYMENT_ID).unwrap().starts_with("pi_"))
        );
        assert_eq!(charge("pm_anything", long).await, paid, "the ID is a function of the key");
        assert!(matches!(charge("pm_card_declined", long).await, Ending::Refused(_)));
        assert!(matches!(charge("pm_card_unavailable", long).await, Ending::Unavailable(_)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_card_takes_2_seconds_and_needs_that_much_time() {
        let started = tokio::time::Instant::now();
        assert!(matches!(charge("pm_card_slow", SLOW).await, Ending::Done(_)));
        assert_eq!(started.elapsed(), SLOW);
        let short = SLOW - Duration::from_millis(1);
        assert!(matches!(charge("pm_card_slow", short).await, Ending::Unavailable(_)));
    }
}
