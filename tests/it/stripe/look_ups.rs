//! `GET /v1/payment_intents/search`: when the key is forgotten, or will answer an error for ever. It only finds.

use super::*;

/// A shop whose key for the charge will answer 500 for ever.
async fn stuck() -> Shop {
    let shop = Shop::open().await;
    shop.script(CHARGE_KEY, Scripted::status(500).stored());
    unavailable(&shop.charge().await);
    shop
}

#[tokio::test]
async fn a_key_is_trusted_up_to_the_limit_and_looked_up_from_it_on() {
    let day = Duration::from_secs(24 * 3600);
    assert!(memory() < day, "a request may be under way for a while");
    for (key_age, asked) in [
        (FRESH, POST),
        (memory() - Duration::from_millis(1), POST),
        (memory(), SEARCH),
        (memory() + Duration::from_millis(1), SEARCH),
        (day * 20, SEARCH),
    ] {
        let shop = Shop::open().await;
        shop.charge_order(&order(), key_age, LONG).await;
        assert_eq!(shop.asked(), [asked], "{key_age:?}");
        assert_eq!(shop.charges(), usize::from(asked == POST));
    }
}

#[tokio::test]
async fn a_look_up_asks_for_the_order_by_its_id_in_the_metadata() {
    let shop = Shop::open().await;
    shop.charge_order(&order(), memory(), LONG).await;
    let request = shop.request(0);
    let query = form(request.uri().query().unwrap().as_bytes());
    assert_eq!(query, [("query".into(), "metadata['order_id']:'ord-1'".into())].into());
    assert_eq!(request.headers()["authorization"], "Bearer sk_test_1");
    assert_eq!(request.headers()["stripe-version"], "2025-03-31.basil");
    assert!(request.headers().get("idempotency-key").is_none() && request.body().is_empty());
}

#[tokio::test]
async fn whatever_the_search_shows_the_payment_itself_says_what_became_of_it() {
    for past in STATUSES {
        let forgotten = Shop::open().await;
        let id = paid(&forgotten.charge().await);
        forgotten.world.payments.search_shows(move |_, _| Shown::As(past));
        let found = forgotten.charge_order(&order(), memory(), LONG).await;
        assert_eq!(paid(&found), id, "{past:?}");
        assert_eq!(forgotten.asked(), [POST, SEARCH, GET, REFUNDS], "{past:?}");

        let stuck = stuck_after_payment().await;
        stuck.world.payments.search_shows(move |_, _| Shown::As(past));
        assert_eq!(paid(&stuck.charge().await), id, "{past:?}");
        assert_eq!(stuck.asked(), [POST, POST, SEARCH, GET, REFUNDS], "{past:?}");
        assert_eq!(stuck.charges(), 1);
    }
}

#[tokio::test]
async fn a_payment_that_the_search_shows_as_paid_and_that_is_not_is_not_paid() {
    let shop = stuck_after_payment().await;
    shop.world.payments.set_status("ord-1", PaymentStatus::Canceled);
    shop.world.payments.search_shows(|_, _| Shown::As(PaymentStatus::Succeeded));
    declined(&shop.charge().await);
}

/// The search may lag by minutes: <https://docs.stripe.com/search#data-freshness>.
const LAG: Duration = Duration::from_secs(300);

#[tokio::test]
async fn an_empty_search_is_asked_again_for_five_minutes_and_then_it_is_for_a_person() {
    let moment = Duration::from_millis(1);
    for (key_age, over) in [(FRESH, false), (LAG - moment, false), (LAG, true), (LAG * 10, true)] {
        let shop = stuck().await;
        let ending = shop.charge_order(&order(), key_age, LONG).await;
        match over {
            true => assert_eq!(unknown(&ending), "the payment provider finds no payment"),
            false => assert_eq!(unavailable(&ending), "the payment provider finds no payment yet"),
        }
        assert_eq!(shop.charges(), 0);
    }
}

/// A charge may have been made a moment before its key was taken for forgotten.
#[tokio::test]
async fn the_five_minutes_begin_when_the_last_charge_can_have_been_made() {
    for (key_age, over) in [
        (memory(), false),
        (memory() + LAG - Duration::from_millis(1), false),
        (memory() + LAG, true),
        (Duration::from_secs(24 * 3600), true),
    ] {
        let shop = Shop::open().await;
        match (shop.charge_order(&order(), key_age, LONG).await, over) {
            (ending, true) => drop(unknown(&ending)),
            (ending, false) => drop(unavailable(&ending)),
        }
        assert_eq!(shop.asked(), [SEARCH]);
    }
}

#[tokio::test]
async fn a_payment_that_the_search_does_not_show_yet_is_found_once_it_does() {
    let shop = stuck_after_payment().await;
    shop.world.payments.search_shows(|_, _| Shown::Nothing);
    unavailable(&shop.charge().await);
    shop.world.payments.search_shows(|_, _| Shown::AsItIs);
    paid(&shop.charge().await);
    assert_eq!(shop.charges(), 1);
}

#[tokio::test]
async fn the_payment_of_another_order_is_never_taken_for_this_one() {
    let shop = Shop::open().await;
    paid(&shop.charge_order(&Order::parse(&order_json("ORD-1").to_string()).unwrap(), FRESH, LONG).await);
    unknown(&shop.charge_order_forgotten().await);
    for in_search in [true, false] {
        let other = |change: fn(&mut Value)| found_other(in_search, change);
        assert_eq!(paid(&other(|_| {}).await), "pi_1");
        unknown(&other(|payment| payment["metadata"]["order_id"] = json!("ORD-1")).await);
        unknown(&other(|payment| payment["amount"] = json!(2599)).await);
        unknown(&other(|payment| payment["currency"] = json!("eur")).await);
    }
}

/// The ending of a look-up that finds a payment of which the search, or the payment itself, says something else.
async fn found_other(in_search: bool, change: fn(&mut Value)) -> Ending {
    let shop = Shop::open().await;
    let right = json!({
        "id": "pi_1", "status": "succeeded", "amount": 2598, "currency": "usd", "metadata": { "order_id": "ord-1" },
    });
    let mut other = right.clone();
    change(&mut other);
    let (shown, got) = if in_search { (other, right) } else { (right, other) };
    let shown = json!({ "object": "search_result", "data": [shown] });
    shop.script("search", Scripted::status(200).body(shown));
    shop.script("pi_1", Scripted::status(200).body(got));
    shop.script("refunds", Scripted::status(200).body(json!({ "object": "list", "data": [] })));
    shop.charge_order_forgotten().await
}

/// A shop in which a search finds payments of these statuses, which are so.
async fn with_payments(statuses: &[&str]) -> Shop {
    let shop = Shop::open().await;
    let payment =
        |(number, status): (usize, &&str)| json!({ "id": format!("pi_{number}"), "status": status });
    let payments: Vec<Value> = statuses.iter().enumerate().map(payment).collect();
    for payment in &payments {
        shop.script(payment["id"].as_str().unwrap(), Scripted::status(200).body(payment.clone()));
    }
    let found = json!({ "object": "search_result", "data": payments });
    shop.script("search", Scripted::status(200).body(found));
    shop.script("refunds", Scripted::status(200).body(json!({ "object": "list", "data": [] })));
    shop
}

#[tokio::test]
async fn among_several_payments_the_one_that_succeeded_counts() {
    let shop = with_payments(&["canceled", "requires_action", "processing", "succeeded"]).await;
    assert_eq!(paid(&shop.charge_order_forgotten().await), "pi_3");
    assert!(shop.asked().iter().all(|asked| !asked.contains("cancel")), "{:?}", shop.asked());
}

#[tokio::test]
async fn an_order_that_was_charged_twice_is_for_a_person_who_is_told_both_payments() {
    let shop = with_payments(&["succeeded", "canceled", "succeeded"]).await;
    let why = unknown(&shop.charge_order_forgotten().await);
    assert!(why.contains("pi_0") && why.contains("pi_2") && !why.contains("pi_1"), "{why}");
}

#[tokio::test]
async fn one_payment_that_is_not_decided_is_waited_for_and_nothing_is_given_up_meanwhile() {
    let shop = with_payments(&["requires_action", "processing"]).await;
    assert_eq!(unavailable(&shop.charge_order_forgotten().await), "the payment is processing");
    assert!(shop.asked().iter().all(|asked| !asked.contains("cancel")), "{:?}", shop.asked());
}

#[tokio::test]
async fn all_payments_are_given_up_before_the_order_is_declined() {
    let shop = with_payments(&["requires_payment_method", "canceled", "requires_capture"]).await;
    for id in ["pi_0", "pi_2"] {
        shop.script(id, Scripted::status(200).body(json!({ "id": id, "status": "canceled" })));
    }
    declined(&shop.charge_order_forgotten().await);
    let canceled: Vec<String> = shop.asked().into_iter().filter(|asked| asked.ends_with("/cancel")).collect();
    assert_eq!(canceled, ["pi_0", "pi_2"].map(|id| format!("POST /v1/payment_intents/{id}/cancel")));

    let shop = with_payments(&["requires_payment_method", "requires_capture"]).await;
    shop.script("pi_0", Scripted::status(200).body(json!({ "id": "pi_0", "status": "canceled" })));
    shop.script("pi_1", Scripted::status(500));
    unavailable(&shop.charge_order_forgotten().await);
}

#[tokio::test]
async fn more_payments_than_one_page_shows_are_for_a_person() {
    let shop = Shop::open().await;
    let page = json!({ "object": "search_result", "has_more": true, "data": [] });
    shop.script("search", Scripted::status(200).body(page));
    unknown(&shop.charge_order_forgotten().await);
}

impl Shop {
    async fn charge_order_forgotten(&self) -> Ending {
        self.charge_order(&order(), memory() + LAG, LONG).await
    }
}

#[tokio::test]
async fn a_look_up_without_an_answer_is_made_again_later() {
    for script in [
        Scripted::status(429),
        Scripted::status(500),
        Scripted::status(500).header("idempotent-replayed", "true"),
        Scripted::status(401),
        Scripted::status(402).body(error("card_error", "card_declined")),
        Scripted::cut(),
        Scripted::hang(),
    ] {
        for asked in ["search", PAYMENT] {
            let shop = Shop::open().await;
            paid(&shop.charge().await);
            shop.script(asked, script.clone());
            unavailable(&shop.charge_order(&order(), memory() + LAG, SHORT).await);
            paid(&shop.charge_order_forgotten().await);
            assert_eq!(shop.charges(), 1, "{asked}: {script:?}");
        }
    }
}

#[tokio::test]
async fn an_answer_to_another_question_decides_nothing() {
    let one = Scripted::status(200).body(json!({ "id": "pi_1", "status": "succeeded" }));
    let many = Scripted::status(200).body(json!({ "object": "search_result", "data": [] }));
    for (asked, script) in [("search", one), (PAYMENT, many)] {
        let shop = Shop::open().await;
        paid(&shop.charge().await);
        shop.script(asked, script);
        unavailable(&shop.charge_order_forgotten().await);
    }
}

#[tokio::test]
async fn only_a_5xx_that_says_it_is_a_replay_is_looked_up() {
    for (script, asked) in [
        (Scripted::status(500), vec![POST]),
        (Scripted::status(500).header("idempotent-replayed", "false"), vec![POST]),
        (Scripted::status(500).header("idempotent-replayed", "true"), vec![POST, SEARCH]),
        (Scripted::status(503).header("idempotent-replayed", "true"), vec![POST, SEARCH]),
        (Scripted::status(429).header("idempotent-replayed", "true"), vec![POST]),
        (Scripted::status(400).header("idempotent-replayed", "true"), vec![POST]),
    ] {
        let shop = Shop::open().await;
        shop.script(CHARGE_KEY, script.clone());
        shop.charge().await;
        assert_eq!(shop.asked(), asked, "{script:?}");
    }
}
