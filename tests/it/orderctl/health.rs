//! `orderctl stats`, `audit`, `doctor`, `pause` and `unpause`.

use std::time::Duration;

use aws_sdk_sqs::types::QueueAttributeName;
use order_processor::clock::{Clock, UnixMillis};
use order_processor::function::connector;
use order_processor::local::aws::sdk_config;
use order_processor::local::payment_provider::{PaymentProvider, PaymentStatus, Shown};
use order_processor::local::resources::{Delivery, create_queues};
use order_processor::order::Money;
use order_processor::record::{Outcome, Record, Status};
use order_processor::services::Ending;
use order_processor::services::payment::{Charge, Payment, Refund, Stripe, StripeKey};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::orders::{completed, parked};
use super::parked::claimed;
use super::target::with_a_stack;
use super::{World, run_in};
use crate::local_world::{TABLE, over_http, s, table};

/// A world with the queues of the local stack.
async fn with_all_queues() -> World {
    let (config, address) = over_http().await;
    let (table, sqs) = (table(&config).await, aws_sdk_sqs::Client::new(&sdk_config(address)));
    let delivery = Delivery { visibility: Duration::from_secs(20), max_receive_count: 20 };
    let queue_url = create_queues(&sqs, delivery).await.unwrap().orders;
    World { address, table, sqs, queue_url }
}

#[tokio::test]
async fn stats_count_the_table_the_queues_and_a_log() {
    let world = with_all_queues().await;
    world.put(&completed("ord-1")).await;
    world.put(&parked("ord-2")).await;
    world.put(&Record { claimed_at_ms: UnixMillis(1_700_000_000_000), ..claimed("ord-3") }).await;
    world.run(&["send"]).await;
    let log = [("completed", 1), ("duplicate", 2)].map(|(outcome, receives)| {
        json!({ "outcome": outcome, "order_id": "ord-1", "receive_count": receives }).to_string()
    });
    let run = world.run_with(&["stats", "--log", "-", "--json"], &log.join("\n")).await;
    let stats = run.document();
    assert_eq!(stats["orders"]["by_status"], json!({ "COMPLETED": 1, "PARKED": 1, "IN_PROGRESS": 1 }));
    assert_eq!((&stats["orders"]["taken_over"], &stats["orders"]["total"]), (&json!(2), &json!(3)));
    assert_eq!(stats["orders"]["oldest_unfinished"]["order_id"], "ord-3");
    assert_eq!((&stats["queue"]["visible"], &stats["dead_letters"]["visible"]), (&json!(1), &json!(0)));
    assert_eq!(
        (&stats["deliveries"]["received"], &stats["deliveries"]["duplicate_rate"]),
        (&json!(2), &json!(0.5))
    );
    assert!(world.run(&["stats"]).await.out.contains("oldest unfinished"));
}

#[tokio::test]
async fn stats_of_a_queue_without_dead_letters_say_so() {
    let world = World::new().await;
    world.put(&Record { status: Status::Completed, ..completed("ord-1") }).await;
    assert_eq!(world.json(&["stats"]).await["dead_letters"], Value::Null);
}

pub fn found<'d>(document: &'d Value, rule: &str) -> &'d Value {
    let findings = document["findings"].as_array().unwrap();
    findings.iter().find(|finding| finding["rule"] == rule).unwrap_or_else(|| panic!("{rule}: {document}"))
}

#[tokio::test]
async fn the_doctor_finds_the_local_stack_healthy_and_says_what_it_cannot_see() {
    let world = with_all_queues().await;
    let healthy = world.json(&["doctor"]).await;
    assert_eq!((&healthy["healthy"], &healthy["errors"]), (&json!(true), &json!(0)), "{healthy}");
    for rule in ["dead-letter queue", "receives", "dead letters are kept longer", "TTL", "clock"] {
        assert_eq!(found(&healthy, rule)["level"], "ok", "{healthy}");
    }
    assert_eq!(found(&healthy, "partial responses")["level"], "unknown");
}

#[tokio::test]
async fn the_doctor_fails_with_the_fix_where_messages_can_be_lost() {
    let world = World::new().await;
    let run = world.run(&["doctor", "--json"]).await;
    assert_eq!(run.code, 1);
    let finding = found(&run.document(), "dead-letter queue").clone();
    assert_eq!(finding["level"], "error");
    assert!(finding["fix"].as_str().unwrap().contains("RedrivePolicy"), "{finding}");
    assert!(world.run(&["doctor"]).await.out.contains("fix: "));
    let world = with_all_queues().await;
    let dlq = world.queue_url.replace("orders", "orders-dlq");
    let set = world.sqs.set_queue_attributes().queue_url(&dlq);
    set.attributes(QueueAttributeName::MessageRetentionPeriod, "345600").send().await.unwrap();
    let run = world.run(&["doctor", "--json"]).await;
    assert_eq!(
        (run.code, &found(&run.document(), "dead letters are kept longer")["level"]),
        (1, &json!("error"))
    );
}

#[tokio::test]
async fn a_stack_is_paused_and_unpaused_and_a_dry_run_does_neither() {
    let world = with_a_stack().await;
    let states = |document: Value| {
        (document["before"].clone(), document["after"].clone(), document["changed"].clone())
    };
    let on_stack = |command| [command, "--stack", "shop"];
    let dry = world.json(&[&on_stack("pause")[..], &["--dry-run"]].concat()).await;
    assert_eq!(states(dry), (json!("Enabled"), json!("Enabled"), json!(false)));
    assert_eq!(
        states(world.json(&on_stack("pause")).await),
        (json!("Enabled"), json!("Disabled"), json!(true))
    );
    assert_eq!(
        states(world.json(&on_stack("pause")).await),
        (json!("Disabled"), json!("Disabled"), json!(false))
    );
    let doctor = world.run(&[&on_stack("doctor")[..], &["--json"]].concat()).await.document();
    assert_eq!(found(&doctor, "mapping")["level"], "error", "{doctor}");
    assert_eq!(
        states(world.json(&on_stack("unpause")).await),
        (json!("Disabled"), json!("Enabled"), json!(true))
    );
}

#[tokio::test]
async fn what_is_no_deployed_stack_cannot_be_paused() {
    let world = World::new().await;
    for command in ["pause", "unpause", "rollback"] {
        let run = world.run(&[command]).await;
        assert!(run.code == 1 && run.err.contains("--stack NAME"), "{run:?}");
    }
}

#[tokio::test]
async fn an_audit_tells_what_cannot_be_and_reads_what_is_no_record() {
    let world = World::new().await;
    world.run(&["stock", "set", "mug", "5"]).await;
    world.put(&completed("ord-1")).await;
    let audit = world.json(&["audit"]).await;
    assert_eq!((&audit["balanced"], &audit["stock"]["mug"]["sold"]), (&json!(true), &json!(2)), "{audit}");
    world.put(&Record { expires_at: None, ..completed("ord-2") }).await;
    let item =
        world.table.put_item().table_name(TABLE).item("pk", s("ORDER#ord-3")).item("status", s("LOST"));
    item.send().await.unwrap();
    let run = world.run(&["audit", "--json"]).await;
    let audit = run.document();
    assert_eq!((run.code, &audit["orders"]), (1, &json!(3)));
    let subjects = audit["contradictions"].as_array().unwrap().iter();
    let subjects: Vec<_> = subjects.map(|one| one["subject"].as_str().unwrap()).collect();
    assert_eq!(subjects, ["ORDER#ord-3", "ord-2", "pi_1", "shp_1"], "{audit}");
    assert!(world.run(&["audit"]).await.out.contains("never expires"));
}

/// A provider behind a port, where `ord-1` was charged and its refund failed afterwards; its address and the payment.
async fn with_a_failed_refund() -> (PaymentProvider, String, String) {
    let provider = PaymentProvider::new(Clock::system()).with_refunds_taking(Duration::ZERO);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(provider.clone().serve(listener, std::future::pending()));
    let stripe = Stripe::new(connector(), &base, StripeKey("sk_test_1".to_owned()));
    let (order_id, timeout) = ("ord-1".parse().unwrap(), Duration::from_secs(10));
    let amount = Money { minor: 2598, currency: "USD".parse().unwrap() };
    let (method, key_age) = ("pm_card_refundFail".parse().unwrap(), Duration::ZERO);
    let charge = Charge { key: "1", order_id: &order_id, amount: &amount, method: &method, key_age };
    let Ending::Done(charged) = stripe.charge(charge, timeout).await else { panic!("not charged") };
    let payment_id = charged.text("payment_id").unwrap();
    let refund = Refund { key: "2", order_id: &order_id, payment_id, is_own: true };
    let refunded = stripe.refund(refund, timeout).await;
    assert!(matches!(refunded, Ending::Done(_)), "{refunded:?}");
    (provider, base, payment_id.to_owned())
}

#[tokio::test]
async fn an_audit_asks_the_provider_for_payments_and_refunds_as_they_are() {
    let world = World::new().await;
    world.run(&["stock", "set", "mug", "5"]).await;
    let (provider, base, payment_id) = with_a_failed_refund().await;
    // The search is long behind: it shows a payment that has not succeeded.
    provider.search_shows(|_, _| Shown::As(PaymentStatus::RequiresPaymentMethod));
    let refunded = Outcome::of("refund_id", "re_1").and("status", "succeeded");
    let outcomes = completed("ord-1").outcomes.without("dispatch_shipment").with("refund_payment", refunded);
    let outcomes = outcomes.with("charge_payment", Outcome::of("payment_id", &payment_id));
    world.put(&Record { status: Status::Rejected, outcomes, ..completed("ord-1") }).await;
    let endpoint = format!("http://{}", world.address);
    let variables = [("STRIPE_API_BASE", base.as_str()), ("STRIPE_API_KEY", "sk_test_1")];
    let arguments = ["--endpoint", &endpoint, "audit", "--json"];
    let audit = || run_in(&variables, &arguments, "");
    let run = audit().await;
    let what = &run.document()["contradictions"][0]["what"];
    let told = format!("is rejected, but {payment_id} is refunded with 0 of 2598");
    assert!(
        what.as_str().is_some_and(|what| what.starts_with(&told) && what.ends_with("is failed")),
        "{run:?}"
    );
    // A search that shows nothing is no reason to overlook the payment that the record names.
    provider.search_shows(|_, _| Shown::Nothing);
    assert_eq!(audit().await.document()["contradictions"][0]["what"], *what);
    provider.refund_by_hand(&payment_id).unwrap();
    let audit = audit().await;
    assert_eq!((audit.code, &audit.document()["balanced"]), (0, &json!(true)), "{audit:?}");
}

#[tokio::test]
async fn an_audit_since_a_moment_finds_every_payment_whose_order_has_no_record() {
    let world = World::new().await;
    world.run(&["stock", "set", "mug", "5"]).await;
    let provider = PaymentProvider::new(Clock::system());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(provider.clone().serve(listener, std::future::pending()));
    let stripe = Stripe::new(connector(), &base, StripeKey("sk_test_1".to_owned()));
    let amount = Money { minor: 2598, currency: "USD".parse().unwrap() };
    let timeout = Duration::from_secs(10);
    // More than a page shows, and the oldest of them is the one that is known.
    for number in 0..=100 {
        let (key, order_id) = (format!("key-{number}"), format!("ord-{number}").parse().unwrap());
        let (method, key_age) = ("pm_card_visa".parse().unwrap(), Duration::ZERO);
        let charge = Charge { key: &key, order_id: &order_id, amount: &amount, method: &method, key_age };
        let Ending::Done(charged) = stripe.charge(charge, timeout).await else { panic!("not charged") };
        if number == 0 {
            let outcomes = completed("ord-0").outcomes.with("charge_payment", charged);
            world.put(&Record { outcomes, ..completed("ord-0") }).await;
        }
    }
    let endpoint = format!("http://{}", world.address);
    let variables = [("STRIPE_API_BASE", base.as_str()), ("STRIPE_API_KEY", "sk_test_1")];
    let audit = |since: String| {
        let arguments = [
            "--endpoint".to_owned(),
            endpoint.clone(),
            "audit".into(),
            "--json".into(),
            "--since".into(),
            since,
        ];
        async move {
            let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
            run_in(&variables, &arguments, "").await
        }
    };
    let run = audit("2020-01-01T00:00:00Z".to_owned()).await;
    let document = run.document();
    let told = document["contradictions"].as_array().unwrap();
    assert_eq!((run.code, told.len(), &document["payments_listed"]), (1, 100, &json!(101)), "{run:?}");
    let forgotten =
        |one: &Value| one["what"].as_str().unwrap().contains("the table has no record: send its message");
    assert!(told.iter().all(forgotten), "{document}");
    let tomorrow = Clock::system().now() + Duration::from_secs(86_400);
    let run = audit(tomorrow.to_rfc3339()).await;
    assert_eq!((run.code, &run.document()["payments_listed"]), (0, &json!(0)), "{run:?}");

    let without_key = world.run(&["audit", "--since", "2020-01-01T00:00:00Z"]).await;
    assert!(without_key.code == 2 && without_key.err.contains("STRIPE_API_KEY"), "{without_key:?}");
}
