//! A charge that is not made by this very request may have been given back since: a table that was restored to an older
//! copy has forgotten that its order turned back.

use order_processor::record::Refusal;

use super::*;

fn refund(id: &str, status: &str, amount: u64, order: Option<&str>) -> Value {
    let metadata = order.map_or_else(|| json!({}), |order| json!({ "order_id": order }));
    json!({ "id": id, "object": "refund", "status": status, "amount": amount, "metadata": metadata })
}

/// The order turns back as one that was cancelled, in the same words.
#[track_caller]
fn given_back(ending: &Ending) {
    let Ending::Refused(refusal) = ending else { panic!("{ending:?}") };
    assert_eq!(*refusal, Refusal::cancelled());
}

fn refunds(list: &[Value]) -> Scripted {
    Scripted::status(200).body(json!({ "object": "list", "data": list, "has_more": false }))
}

/// The ending of a repeated charge whose payment has these refunds.
async fn repeated(list: &[Value]) -> Ending {
    let shop = Shop::open().await;
    paid(&shop.charge().await);
    shop.script("refunds", refunds(list));
    shop.charge().await
}

#[tokio::test]
async fn a_first_charge_is_one_request_and_a_repeat_looks_at_the_refunds_once() {
    let shop = Shop::open().await;
    let first = shop.charge().await;
    assert_eq!(shop.asked(), [POST]);
    assert_eq!(shop.charge().await, first);
    assert_eq!(shop.asked(), [POST, POST, REFUNDS]);
    let asked = shop.request(2).uri().query().unwrap().to_owned();
    assert!(asked.contains(&format!("payment_intent={PAYMENT}")), "{asked}");
}

#[tokio::test]
async fn a_repeated_charge_that_was_given_back_for_the_order_turns_the_order_back() {
    let shop = Shop::open().await;
    let payment_id = paid(&shop.charge().await);
    let Ending::Done(_) = shop.refund(&payment_id).await else { panic!("not refunded") };
    for _ in 0..2 {
        given_back(&shop.charge().await);
    }
    assert_eq!((shop.charges(), shop.refunds()), (1, 1));
}

#[tokio::test]
async fn a_charge_that_a_look_up_finds_is_looked_at_likewise() {
    for shop in [Shop::open().await, stuck_after_payment().await] {
        let forgotten = shop.charges() == 0;
        if forgotten {
            paid(&shop.charge().await);
        }
        let Ending::Done(_) = shop.refund(PAYMENT).await else { panic!("not refunded") };
        let key_age = if forgotten { memory() } else { FRESH };
        given_back(&shop.charge_order(&order(), key_age, LONG).await);
        assert_eq!(shop.asked().last().unwrap(), REFUNDS);
    }
}

#[tokio::test]
async fn money_that_is_on_its_way_back_is_waited_for() {
    for status in ["pending", "requires_action", "another"] {
        for of in [Some("ord-1"), None] {
            let ending = repeated(&[refund("re_1", status, 2598, of)]).await;
            assert_eq!(unavailable(&ending), format!("the refund is {status}"));
        }
    }
}

#[tokio::test]
async fn a_refund_of_the_order_that_failed_is_for_a_person() {
    for status in ["failed", "canceled"] {
        let failed = refund("re_1", status, 2598, Some("ord-1"));
        let alone = repeated(std::slice::from_ref(&failed)).await;
        assert_eq!(unknown(&alone), format!("the refund re_1 is {status}"));
        let by_hand = refund("re_2", "succeeded", 2598, None);
        given_back(&repeated(&[failed.clone(), by_hand]).await);
        let again = refund("re_2", "pending", 2598, Some("ord-1"));
        assert_eq!(unavailable(&repeated(&[failed, again]).await), "the refund is pending");
    }
}

/// A part that was given back by hand is the shop's own affair; the whole is no payment any more, whoever gave it back.
#[tokio::test]
async fn what_was_given_back_by_hand_counts_once_it_is_the_whole() {
    let part = |amount| refund("re_1", "succeeded", amount, None);
    assert_eq!(paid(&repeated(&[part(2597)]).await), PAYMENT);
    assert_eq!(paid(&repeated(&[refund("re_1", "failed", 2598, None)]).await), PAYMENT);
    given_back(&repeated(&[part(2598)]).await);
    given_back(&repeated(&[part(2000), part(598)]).await);
    assert_eq!(
        unavailable(&repeated(&[part(2000), refund("re_2", "pending", 598, None)]).await),
        "the refund is pending"
    );
    let of_another = refund("re_1", "succeeded", 1, Some("ORD-1"));
    assert_eq!(paid(&repeated(&[of_another]).await), PAYMENT);
}

#[tokio::test]
async fn refunds_that_cannot_be_read_decide_nothing() {
    for script in [
        Scripted::status(500),
        Scripted::status(429),
        Scripted::status(403),
        Scripted::status(200).body(json!({ "id": "re_1", "status": "succeeded" })),
        Scripted::cut(),
    ] {
        let shop = Shop::open().await;
        paid(&shop.charge().await);
        shop.script("refunds", script);
        unavailable(&shop.charge().await);
        paid(&shop.charge().await);
        assert_eq!(shop.charges(), 1);
    }
    let shop = Shop::open().await;
    paid(&shop.charge().await);
    let page = json!({ "object": "list", "data": [], "has_more": true });
    shop.script("refunds", Scripted::status(200).body(page));
    assert_eq!(unknown(&shop.charge().await), "the payment has more refunds than one page shows");
}

#[tokio::test]
async fn only_an_answer_that_says_it_is_a_replay_is_looked_at() {
    for (replayed, asked) in
        [(None, vec![POST]), (Some("false"), vec![POST]), (Some("true"), vec![POST, REFUNDS])]
    {
        let shop = Shop::open().await;
        let mut script = Scripted::status(200).body(json!({ "id": "pi_1", "status": "succeeded" }));
        if let Some(replayed) = replayed {
            script = script.header("idempotent-replayed", replayed);
        }
        shop.script(CHARGE_KEY, script);
        shop.script("refunds", refunds(&[]));
        assert_eq!(paid(&shop.charge().await), "pi_1");
        assert_eq!(shop.asked(), asked, "{replayed:?}");
    }
}
