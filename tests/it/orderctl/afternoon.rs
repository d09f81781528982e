//! An afternoon of trouble, worked through with the commands: the provider is down, orders are parked, some are
//! dead-lettered. The real function runs in processes of its own.

use std::path::PathBuf;
use std::time::Duration;

use order_processor::local::payment_provider::Scripted;
use order_processor::local::stack::{Stack, StackOptions};
use serde_json::{Value, json};

use super::{Run, run, run_in};

/// Far more than all of it takes.
const PATIENCE: Duration = Duration::from_secs(120);

struct Shop {
    stack: Stack,
    endpoint: String,
}

impl Shop {
    async fn open() -> Shop {
        let mut options = StackOptions::new(PathBuf::from(env!("CARGO_BIN_EXE_order-processor")));
        // The first failure is the last receive, so that it parks at once.
        options.max_receive_count = 1;
        let stack = Stack::start(options).await.unwrap();
        let endpoint = format!("http://{}", stack.endpoint());
        Shop { stack, endpoint }
    }

    async fn run(&self, arguments: &[&str]) -> Run {
        run(&[&["--endpoint", self.endpoint.as_str(), "--json"], arguments].concat(), "").await
    }

    async fn json(&self, arguments: &[&str]) -> Value {
        let run = self.run(arguments).await;
        assert_eq!(run.code, 0, "{arguments:?}: {run:?}");
        run.document()
    }

    async fn signed(&self, arguments: &[&str]) -> Value {
        self.json(&[arguments, &["--who", "ann", "--why", "the provider was down"]].concat()).await
    }

    async fn settled(&self, id: &str) -> Value {
        self.run(&["get", id, "--wait", "60"]).await.document()
    }
}

fn order_id(number: usize) -> String {
    format!("ord-{number}")
}

#[tokio::test]
async fn an_afternoon_of_trouble_ends_with_every_order_at_its_right_end() {
    let work = async {
        let shop = Shop::open().await;
        shop.json(&["stock", "set", "mug", "100"]).await;
        // Six orders meet a provider that is down.
        for number in 1..=6 {
            let key = format!("{}:charge_payment", order_id(number));
            // The sixth is charged all the same, and only the answer is lost.
            let script = if number == 6 { Scripted::status(503).applied() } else { Scripted::status(503) };
            shop.stack.payments().answer_next(&key, script);
            shop.json(&["send", "--order-id", &order_id(number)]).await;
        }
        // One conflict with the first, and one message that SQS gave up before anybody had claimed its order.
        for number in 1..=6 {
            assert_eq!(shop.settled(&order_id(number)).await["status"], "PARKED");
        }
        shop.json(&["send", "--order-id", "ord-1", "--item", "mug:9:1299"]).await;
        let dlq = shop.stack.queues().orders_dlq.clone();
        shop.json(&["send", "--order-id", "ord-7", "--queue-url", &dlq]).await;
        assert_eq!(shop.json(&["parked", "list"]).await["parked"].as_array().unwrap().len(), 6);
        let unfinished = shop.json(&["list", "--unfinished"]).await;
        assert_eq!(unfinished["orders"].as_array().unwrap().len(), 6);

        // The provider says that the fifth was never charged: its customer wants it no more.
        shop.signed(&["parked", "mark-not-done", "ord-5", "charge_payment"]).await;
        shop.signed(&["parked", "compensate", "ord-5"]).await;
        // And that the sixth was.
        let ledger = shop.stack.payments().ledger();
        let payment = ledger.payments.iter().find(|payment| payment.order_id.as_deref() == Some("ord-6"));
        let paid = format!("payment_id={}", payment.unwrap().payment_id);
        shop.signed(&["parked", "mark-done", "ord-6", "charge_payment", "--outcome", &paid]).await;
        // The provider is up again.
        let resumed = shop.signed(&["parked", "resume", "--all", "--rate", "1000"]).await;
        assert_eq!(resumed["resumed"], 6);
        while shop.json(&["dlq", "list"]).await["messages"].as_array().unwrap().len() < 2 {}
        let redriven = shop.json(&["dlq", "redrive"]).await;
        assert_eq!(redriven["counts"], json!({ "left": 1, "redriven": 1 }), "{redriven}");

        for number in [1, 2, 3, 4, 6, 7] {
            assert_eq!(shop.settled(&order_id(number)).await["status"], "COMPLETED", "ord-{number}");
        }
        let cancelled = shop.settled("ord-5").await;
        assert_eq!(
            (&cancelled["status"], &cancelled["result"]["reason"]),
            (&json!("REJECTED"), &json!("cancelled"))
        );
        assert_eq!(
            cancelled["changed_by"].as_array().unwrap().len(),
            3,
            "workers carry the log along: {cancelled}"
        );
        assert!(!cancelled["result"].to_string().contains("ann"), "the customer does not see who it was");
        // Six mugs are sold, and each is paid once.
        assert_eq!(shop.json(&["stock", "get", "mug"]).await["available"], 94);
        assert_eq!(shop.stack.payments().ledger().payments.len(), 6);
        let left = shop.json(&["dlq", "list"]).await;
        assert_eq!(left["messages"][0]["reason"], "conflict");
        assert_eq!(shop.json(&["list", "--unfinished"]).await["orders"], json!([]));
        // Table, stock and the provider's books say the same, also of the order that was cancelled before it was paid.
        let provider = format!("http://{}", shop.stack.payment_endpoint());
        let variables = [("STRIPE_API_BASE", provider.as_str()), ("STRIPE_API_KEY", "sk_test_1")];
        let audit = run_in(&variables, &["--endpoint", &shop.endpoint, "audit", "--json"], "").await;
        let audit = audit.document();
        assert_eq!((&audit["balanced"], &audit["charges_compared"]), (&json!(true), &json!(7)), "{audit}");
        shop.stack.shutdown().await;
    };
    tokio::time::timeout(PATIENCE, work).await.expect("took too long");
}
