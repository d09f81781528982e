//! What the tests of the embedded servers share: a table, queues, and a way to reach them.

use std::net::SocketAddr;

use aws_config::SdkConfig;
use aws_sdk_dynamodb as dynamodb;
use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_sqs as sqs;
use aws_sdk_sqs::types::QueueAttributeName;
use order_processor::clock::{Clock, UnixMillis};
use order_processor::local::aws::{EmbeddedAws, sdk_config};
use order_processor::local::resources::create_table;
use tokio::net::TcpListener;

pub const TABLE: &str = "orders";

/// A moment that is fixed, so that nothing depends on when the tests run.
pub fn a_clock() -> Clock {
    Clock::from_fn(|| UnixMillis(1_795_482_001_123))
}

pub fn in_process() -> SdkConfig {
    let aws = EmbeddedAws::in_process(a_clock());
    aws.sdk_config(aws.connector())
}

/// The same over a loopback port, until the runtime of the test ends.
pub async fn over_http() -> (SdkConfig, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(EmbeddedAws::at(address, a_clock()).serve(listener, std::future::pending()));
    (sdk_config(address), address)
}

pub async fn table(config: &SdkConfig) -> dynamodb::Client {
    table_named(config, TABLE).await
}

pub async fn table_named(config: &SdkConfig, name: &str) -> dynamodb::Client {
    let client = dynamodb::Client::new(config);
    create_table(&client, name).await.unwrap();
    client
}

pub async fn queue(client: &sqs::Client, name: &str, attributes: &[(QueueAttributeName, &str)]) -> String {
    let mut request = client.create_queue().queue_name(name);
    for (attribute, value) in attributes {
        request = request.attributes(attribute.clone(), *value);
    }
    request.send().await.unwrap().queue_url.unwrap()
}

pub fn s(value: &str) -> AttributeValue {
    AttributeValue::S(value.to_owned())
}

pub fn n(value: u64) -> AttributeValue {
    AttributeValue::N(value.to_string())
}
