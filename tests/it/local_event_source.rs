//! The event source with a queue in the process and a function that is a closure.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_sdk_sqs as sqs;
use aws_sdk_sqs::types::QueueAttributeName;
use axum::body::Bytes;
use order_processor::local::event_source::{EventSource, EventSourceOptions, Progress};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::local_world::{in_process, queue};

/// A queue with a dead-letter queue behind it.
struct World {
    client: sqs::Client,
    queue_url: String,
    dead_url: String,
}

/// What a function is given and answers.
type Answer = Result<String, String>;

impl World {
    async fn new(max_receive_count: u32) -> World {
        let client = sqs::Client::new(&in_process());
        let dead_url = queue(&client, "orders-dlq", &[]).await;
        let policy = json!({
            "deadLetterTargetArn": "arn:aws:sqs:us-east-1:000000000000:orders-dlq",
            "maxReceiveCount": max_receive_count,
        });
        let policy = policy.to_string();
        let attributes = [
            (QueueAttributeName::VisibilityTimeout, "20"),
            (QueueAttributeName::RedrivePolicy, policy.as_str()),
        ];
        let queue_url = queue(&client, "orders", &attributes).await;
        World { client, queue_url, dead_url }
    }

    fn options(&self) -> EventSourceOptions {
        EventSourceOptions {
            queue_url: self.queue_url.clone(),
            queue_arn: "arn:aws:sqs:us-east-1:000000000000:orders".to_owned(),
            batch_size: 10,
            batching_window: Duration::ZERO,
            concurrency: 2,
        }
    }

    async fn send(&self, body: &str) {
        self.client.send_message().queue_url(&self.queue_url).message_body(body).send().await.unwrap();
    }

    /// Starts an event source whose function is `answer`.
    fn start(
        &self,
        options: EventSourceOptions,
        answer: impl Fn(&Value) -> Answer + Send + Sync + 'static,
    ) -> EventSource {
        let answer = Arc::new(answer);
        EventSource::start(self.client.clone(), options, move |event: Bytes| {
            let answer = Arc::clone(&answer);
            async move { answer(&serde_json::from_slice(&event).unwrap()).map(Bytes::from) }
        })
    }
}

/// Waits on the paused clock until the counters say so.
async fn until(source: &EventSource, condition: impl Fn(Progress) -> bool) -> Progress {
    let end = Instant::now() + Duration::from_secs(600);
    while !condition(source.progress()) {
        assert!(Instant::now() < end, "never happened: {:?}", source.progress());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    source.progress()
}

fn bodies(event: &Value) -> Vec<String> {
    let records = event["Records"].as_array().unwrap();
    records.iter().map(|record| record["body"].as_str().unwrap().to_owned()).collect()
}

fn failed(records: &[&Value]) -> Answer {
    let items: Vec<Value> =
        records.iter().map(|record| json!({ "itemIdentifier": record["messageId"] })).collect();
    Ok(json!({ "batchItemFailures": items }).to_string())
}

#[tokio::test(start_paused = true)]
async fn messages_the_function_is_done_with_are_deleted() {
    let world = World::new(5).await;
    for body in ["a", "b", "c"] {
        world.send(body).await;
    }
    let source = world.start(world.options(), |_| Ok("{}".to_owned()));
    let progress = until(&source, |progress| progress.deleted == 3).await;
    assert_eq!((progress.messages, progress.failed), (3, 0));
    source.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn a_paused_source_takes_nothing_and_goes_on_counting_once_it_resumes() {
    let world = World::new(5).await;
    world.send("a").await;
    let mut source = world.start(world.options(), |_| Ok("{}".to_owned()));
    until(&source, |progress| progress.deleted == 1).await;
    source.pause().await;
    world.send("b").await;
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert_eq!(source.progress().messages, 1);
    source.resume();
    source.resume();
    let progress = until(&source, |progress| progress.deleted == 2).await;
    assert_eq!((progress.messages, progress.failed), (2, 0));
    source.pause().await;
    source.pause().await;
    source.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn a_failed_item_comes_back_alone_after_its_visibility() {
    let world = World::new(5).await;
    world.send("good").await;
    world.send("bad once").await;
    let deliveries = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&deliveries);
    let source = world.start(world.options(), move |event| {
        let records: Vec<&Value> = event["Records"].as_array().unwrap().iter().collect();
        seen.lock().unwrap().extend(bodies(event));
        let first = |record: &&Value| {
            record["body"] == "bad once" && record["attributes"]["ApproximateReceiveCount"] == "1"
        };
        failed(&records.into_iter().filter(first).collect::<Vec<_>>())
    });
    let start = Instant::now();
    until(&source, |progress| progress.deleted == 2).await;
    assert!(start.elapsed() >= Duration::from_secs(20));
    let mut deliveries = deliveries.lock().unwrap().clone();
    deliveries.sort();
    assert_eq!(deliveries, ["bad once", "bad once", "good"]);
    source.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn a_function_error_and_a_response_without_sense_delete_nothing() {
    for answer in [Err("crashed".to_owned()), Ok("nonsense".to_owned())] {
        let world = World::new(5).await;
        world.send("a").await;
        world.send("b").await;
        let source = world.start(world.options(), move |_| answer.clone());
        let progress = until(&source, |progress| progress.failed >= 2).await;
        assert_eq!(progress.deleted, 0);
        assert!(progress.failed_batches > 0);
        source.shutdown().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_that_always_fails_ends_in_the_dead_letter_queue() {
    let world = World::new(2).await;
    world.send("poison").await;
    let source = world.start(world.options(), |_| Err("crashed".to_owned()));
    until(&source, |progress| progress.failed == 2).await;
    let dead = world.client.receive_message().queue_url(&world.dead_url);
    let mut received = Vec::new();
    while received.is_empty() {
        let output = dead.clone().wait_time_seconds(20).send().await.unwrap();
        received = output.messages.unwrap_or_default();
    }
    assert_eq!(received[0].body.as_deref(), Some("poison"));
    assert_eq!(source.progress().messages, 2);
    source.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn a_batching_window_gathers_what_arrives_within_it() {
    let world = World::new(5).await;
    let options =
        EventSourceOptions { batch_size: 25, batching_window: Duration::from_secs(2), ..world.options() };
    let source = world.start(options, |_| Ok(String::new()));
    for body in 0..15 {
        world.send(&body.to_string()).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let progress = until(&source, |progress| progress.deleted == 15).await;
    assert_eq!(progress.batches, 1);
    source.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn no_more_batches_are_out_than_there_are_environments() {
    let world = World::new(5).await;
    let options = EventSourceOptions { batch_size: 1, ..world.options() };
    let out = Arc::new(Mutex::new((0, 0)));
    let counter = Arc::clone(&out);
    let source = EventSource::start(world.client.clone(), options, move |_| {
        let counter = Arc::clone(&counter);
        async move {
            {
                let mut counter = counter.lock().unwrap();
                counter.0 += 1;
                counter.1 = counter.1.max(counter.0);
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
            counter.lock().unwrap().0 -= 1;
            Ok::<_, String>(Bytes::new())
        }
    });
    for body in 0..6 {
        world.send(&body.to_string()).await;
    }
    until(&source, |progress| progress.deleted == 6).await;
    assert_eq!(out.lock().unwrap().1, 2);
    source.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn shutdown_waits_for_the_batch_that_is_out() {
    let world = World::new(5).await;
    world.send("slow").await;
    let finished = Arc::new(Mutex::new(false));
    let flag = Arc::clone(&finished);
    let source = EventSource::start(world.client.clone(), world.options(), move |_| {
        let flag = Arc::clone(&flag);
        async move {
            tokio::time::sleep(Duration::from_secs(3)).await;
            *flag.lock().unwrap() = true;
            Ok::<_, String>(Bytes::new())
        }
    });
    until(&source, |progress| progress.batches == 1).await;
    source.shutdown().await;
    assert!(*finished.lock().unwrap());
}

#[tokio::test(start_paused = true)]
async fn a_fifo_group_waits_for_its_failed_message() {
    let client = sqs::Client::new(&in_process());
    let attributes = [(QueueAttributeName::FifoQueue, "true"), (QueueAttributeName::VisibilityTimeout, "20")];
    let queue_url = queue(&client, "orders.fifo", &attributes).await;
    for body in ["1", "2"] {
        let send = client.send_message().queue_url(&queue_url).message_body(body);
        send.message_group_id("g").message_deduplication_id(body).send().await.unwrap();
    }
    let world = World { client, queue_url: queue_url.clone(), dead_url: queue_url };
    let order = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&order);
    let source = world.start(world.options(), move |event| {
        let mut seen = seen.lock().unwrap();
        seen.extend(bodies(event));
        if seen.len() == 1 { Err("the first time".to_owned()) } else { Ok(String::new()) }
    });
    until(&source, |progress| progress.deleted == 2).await;
    assert_eq!(*order.lock().unwrap(), ["1", "1", "2"]);
    source.shutdown().await;
}
