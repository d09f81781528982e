//! Which table and queue a command means.

use aws_sdk_sqs as sqs;
use order_processor::local::aws::{EmbeddedAws, sdk_config};
use order_processor::local::server;
use serde_json::json;
use tokio::net::TcpListener;

use super::cloud::Cloud;
use super::{Run, World, run_in};
use crate::local_world::{a_clock, queue};

#[tokio::test]
async fn the_environment_names_endpoint_table_and_queue_and_options_come_first() {
    let world = World::new().await;
    let (endpoint, other) = (format!("http://{}", world.address), queue(&world.sqs, "others", &[]).await);
    let variables = [("AWS_ENDPOINT_URL", endpoint.as_str()), ("ORDERS_QUEUE_URL", other.as_str())];
    let sent = |run: Run| run.document()["queue_url"].as_str().map(str::to_owned);
    let by_environment = run_in(&variables, &["send", "--json"], "").await;
    assert_eq!(sent(by_environment).as_ref(), Some(&other));
    let options = ["send", "--json", "--queue-url", world.queue_url.as_str()];
    assert_eq!(sent(run_in(&variables, &options, "").await).as_ref(), Some(&world.queue_url));

    let variables = [("AWS_ENDPOINT_URL", endpoint.as_str()), ("ORDERS_TABLE", "nowhere")];
    assert!(run_in(&variables, &["list"], "").await.err.contains("nowhere"));
    assert_eq!(run_in(&variables, &["list", "--table", "orders"], "").await.code, 0);
}

/// A stack, in front of the world's other services.
pub async fn with_a_stack() -> World {
    with_a_cloud().await.0
}

/// The same, and what stands behind the stack.
pub async fn with_a_cloud() -> (World, Cloud) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (aws, cloud) = (EmbeddedAws::at(address, a_clock()), Cloud::new());
    let behind = cloud.clone();
    tokio::spawn(server::serve(listener, std::future::pending(), move |request| {
        let (aws, cloud) = (aws.clone(), behind.clone());
        async move {
            Ok(match cloud.answer(&request) {
                Some(answer) => answer,
                None => aws.answer(request).await,
            })
        }
    }));
    let config = sdk_config(address);
    queue(&sqs::Client::new(&config), "stack-orders", &[]).await;
    (World::at(&config, address).await, cloud)
}

#[tokio::test]
async fn a_stack_names_table_and_queue_whatever_the_environment_says() {
    let world = with_a_stack().await;
    let endpoint = format!("http://{}", world.address);
    let variables =
        [("ORDERS_TABLE", "nowhere"), ("ORDERS_QUEUE_URL", "http://127.0.0.1:1/000000000000/nowhere")];
    let target = ["--endpoint", endpoint.as_str(), "--stack", "shop", "--json"];
    let run = run_in(&variables, &[&target[..], &["send", "--order-id", "ord-1"]].concat(), "").await;
    assert_eq!(run.code, 0, "{run:?}");
    assert!(run.document()["queue_url"].as_str().unwrap().ends_with("/stack-orders"));
    let run = run_in(&variables, &[&target[..], &["list"]].concat(), "").await;
    assert_eq!(run.document(), json!({ "orders": [], "more": false }));
}

#[tokio::test]
async fn a_stack_that_is_not_there_is_exit_code_3() {
    let world = with_a_stack().await;
    let run = world.run(&["list", "--stack", "other", "--json"]).await;
    assert_eq!((run.code, &run.document()["error"]["kind"]), (3, &json!("not_found")));
    assert!(run.err.contains("other") && run.err.contains("make deploy"), "{}", run.err);
}
