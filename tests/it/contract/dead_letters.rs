//! Messages that will never be orders.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_body_that_is_no_valid_order_is_dead_lettered_with_the_name_of_the_field() {
    let world = World::new().await;
    let mut bad = order_json("ord-1");
    bad["items"][0]["quantity"] = json!(0);
    let outcome = world.deliver(&[message("m1", &bad), raw("m2", "not json"), raw("m3", "")]).await;
    assert_eq!((outcome.outcomes(), outcome.failed.len()), (vec!["invalid"; 3], 0));
    let mut letters = world.drain("DEAD_LETTER_QUEUE_URL").await;
    letters.sort_by_key(|letter| attribute(letter, "source_message_id").map(str::to_owned));
    assert_eq!(letters[0].body(), Some(bad.to_string().as_str()));
    assert_eq!(attribute(&letters[0], "reason"), Some("invalid"));
    assert_eq!(attribute(&letters[0], "order_id"), Some("ord-1"));
    assert!(attribute(&letters[0], "detail").unwrap().starts_with("items[0].quantity: "));
    assert_eq!((letters[1].body(), attribute(&letters[1], "order_id")), (Some("not json"), None));
}

#[tokio::test(start_paused = true)]
async fn a_dead_letter_says_who_sent_it_and_only_its_line_does() {
    let world = World::new().await;
    let outcome = world.deliver(&[message("m1", &order_json("ord-1")), raw("m2", "not json")]).await;
    assert_eq!(outcome.outcomes(), ["completed", "invalid"]);
    assert_eq!(outcome.lines["m2"]["sender_id"], SENDER);
    assert!(!outcome.lines["m1"].contains_key("sender_id"));
    let letters = world.drain("DEAD_LETTER_QUEUE_URL").await;
    assert_eq!(attribute(&letters[0], "sender_id"), Some(SENDER));
}

#[tokio::test(start_paused = true)]
async fn a_card_number_is_masked_and_never_logged() {
    let world = World::new().await;
    let mut card = order_json("ord-1");
    card["payment_method"] = json!("4242424242424242");
    let named = r#"{"4242424242424242": 1}"#;
    let twice = r#"{"4242424242424242": 1, "4242424242424242": 1}"#;
    let outcome = world.deliver(&[message("m1", &card), raw("m2", named), raw("m3", twice)]).await;
    assert_eq!(outcome.outcomes(), ["invalid"; 3]);
    let letters = world.drain("DEAD_LETTER_QUEUE_URL").await;
    assert_eq!(letters.len(), 3);
    let text = format!("{letters:?}{}", world.log_text());
    assert!(text.contains("************4242") && !text.contains("4242424242424242"), "{text}");
}

/// What becomes of the body of a message that is no valid order.
async fn masked(world: &World, body: &str) -> String {
    assert_eq!(world.deliver(&[raw("m1", body)]).await.outcomes(), ["invalid"], "{body}");
    let letters = world.drain("DEAD_LETTER_QUEUE_URL").await;
    letters[0].body().unwrap().to_owned()
}

#[tokio::test(start_paused = true)]
async fn a_masked_message_names_the_same_order_whatever_its_id_looks_like() {
    let world = World::new().await;
    // Digits that pass the check of card numbers or contain such, a card number itself, and more than any has.
    for id in ["4242424242424242", "942424242424242424", "4242-4242-4242-4242", "12345678901234567890123"] {
        let mut order = order_json(id);
        order["customer_id"] = json!(id);
        order["items"][0]["sku"] = json!(id);
        order["express"] = json!(true);
        for body in [
            order.to_string(),
            format!(r#"{{"order_id" : "ord-1", "order_id": "{id}", "items": "#),
            format!(r#"{{"note: "broken", "sku": "{id}", "order\u005fid":"{id}"}}"#),
        ] {
            assert_eq!(masked(&world, &body).await, body);
        }
    }
    let body = r#"{"order_id":"\u00342424242424242\u0034\u0032","pan":"\u00342424242424242\u0034\u0032"}"#;
    let expected = r#"{"order_id":"\u00342424242424242\u0034\u0032","pan":"************4242"}"#;
    assert_eq!(masked(&world, body).await, expected);
}

#[tokio::test(start_paused = true)]
async fn a_payment_method_that_is_refused_as_a_card_number_is_masked_whatever_its_prefix() {
    let world = World::new().await;
    for card in ["0000000000000000", "9999999999999995", "9999-9999-9999-9995", "99999--99999-9-9-9-99-5"] {
        let mut order = order_json("ord-1");
        order["payment_method"] = json!(card);
        let body = masked(&world, &order.to_string()).await;
        assert!(!body.contains(card) && body.contains("ord-1"), "{body}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_log_tells_nothing_of_the_customer() {
    let world = World::new().await;
    let mut order = order_json("ord-1");
    order["metadata"] = json!({ "email": "someone@example.com" });
    let mut typo = order.clone();
    typo["somebody@example.com"] = json!(1);
    let mut down = order_json("ord-2");
    down["payment_method"] = json!("pm_card_unavailable");
    world.deliver(&[message("m1", &order), message("m2", &typo), message("m3", &down)]).await;
    let log = world.log_text();
    for secret in ["example.com", "cus-42", "pm_card", "sk_test", "1299"] {
        assert!(!log.contains(secret), "{secret}: {log}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_is_kept_until_the_dead_letter_queue_has_it() {
    let world = World::new().await;
    let dead_letter = world.variables["DEAD_LETTER_QUEUE_URL"].clone();
    let to_it = move |body: &[u8]| String::from_utf8_lossy(body).contains(&dead_letter);
    let faults = Faults::planned_by(move |passage| to_it(&passage.body).then_some(Fault::LoseRequest));
    let world = world.under(faults);
    world.deliver(&[message("m0", &order_json("ord-1"))]).await;
    let outcome = world.deliver(&[message("m1", &other_order("ord-1")), raw("m2", "{}")]).await;
    assert_eq!((outcome.outcomes(), outcome.failed.len()), (vec!["conflict", "invalid"], 2));
}

#[tokio::test(start_paused = true)]
async fn an_order_outside_the_window_is_not_claimed_as_new() {
    let world = World::new().await;
    let at = |id: &str, placed_at: UnixMillis| {
        let mut order = order_json(id);
        order["placed_at"] = json!(placed_at.to_rfc3339());
        order
    };
    let (now, day, hour) = (world.clock.now(), 86_400_000, 3_600_000);
    let outcome = world
        .deliver(&[
            message("m1", &at("ord-1", UnixMillis(now.0 - 21 * day - 1))),
            message("m2", &at("ord-2", UnixMillis(now.0 - 21 * day))),
            message("m3", &at("ord-3", UnixMillis(now.0 + hour))),
            message("m4", &at("ord-4", UnixMillis(now.0 + hour + 1000))),
        ])
        .await;
    assert_eq!(outcome.outcomes(), ["stale", "completed", "completed", "future"]);
    assert!(outcome.failed.is_empty());
    assert_eq!((world.record("ord-1").await, world.record("ord-4").await), (None, None));
    let reasons = world.drain("DEAD_LETTER_QUEUE_URL").await;
    let mut reasons: Vec<_> = reasons.iter().map(|letter| attribute(letter, "reason").unwrap()).collect();
    reasons.sort_unstable();
    assert_eq!(reasons, ["future", "stale"]);
}

#[tokio::test(start_paused = true)]
async fn an_old_message_of_a_known_order_is_as_any_other() {
    let world = World::new().await;
    let first = world.deliver(&[message("m1", &order_json("ord-1"))]).await;
    claimed(&world, "ord-2", Duration::ZERO).await;
    let old = |mut order: Value| {
        order["placed_at"] = json!("2026-01-01T00:00:00Z");
        order
    };
    let outcome = world
        .deliver(&[
            message("m2", &old(order_json("ord-1"))),
            message("m3", &old(order_json("ord-2"))),
            message("m4", &old(other_order("ord-1"))),
        ])
        .await;
    assert_eq!(outcome.outcomes(), ["duplicate", "completed", "conflict"]);
    assert_eq!(outcome.result("m2"), first.result("m1"));
}

#[tokio::test(start_paused = true)]
async fn a_record_lives_until_its_order_is_too_old_to_be_claimed() {
    let world = World::new().await;
    let mut order = order_json("ord-1");
    let placed_at = UnixMillis(world.clock.now().0 + 3_600_000);
    order["placed_at"] = json!(placed_at.to_rfc3339());
    world.deliver(&[message("m1", &order)]).await;
    let record = world.record("ord-1").await.unwrap();
    assert_eq!(record.expires_at, Some(UnixSeconds(placed_at.0.div_ceil(1000) + 30 * 86_400)));
}

#[tokio::test(start_paused = true)]
async fn messages_to_a_fifo_dead_letter_queue_have_a_group_and_a_deduplication_id() {
    let mut world = World::new().await;
    let fifo = crate::local_world::queue(
        &world.sqs,
        "dead.fifo",
        &[(aws_sdk_sqs::types::QueueAttributeName::FifoQueue, "true")],
    )
    .await;
    world.variables.insert("DEAD_LETTER_QUEUE_URL", fifo);
    world.deliver(&[raw("m1", "x")]).await;
    world.deliver(&[message("m2", &order_json("ord-1")), message("m3", &other_order("ord-1"))]).await;
    let sent: Vec<Value> = world
        .faults
        .log()
        .iter()
        .filter(|passage| passage.operation == "SQS SendMessage")
        .map(|passage| serde_json::from_slice(&passage.body).unwrap())
        .filter(|body: &Value| body["QueueUrl"].as_str().unwrap().ends_with(".fifo"))
        .collect();
    assert_eq!(
        (&sent[0]["MessageGroupId"], &sent[1]["MessageGroupId"]),
        (&json!("invalid"), &json!("ord-1"))
    );
    assert!(sent.iter().all(|body| body["MessageDeduplicationId"].as_str().unwrap().len() == 64));
}
