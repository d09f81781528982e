//! The table and the queues the function needs, created through the SDK on any endpoint.
//!
//! They have the shape that `template.yaml` gives them on AWS.

use std::time::Duration;

use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType, Projection,
    ProjectionType, ScalarAttributeType, TimeToLiveSpecification,
};
use aws_sdk_sqs::types::QueueAttributeName;

use crate::local::aws::{ACCOUNT_ID, REGION};
use crate::store::{PARKED_FROM_ATTRIBUTE, PARKED_INDEX};

/// The attribute by which DynamoDB deletes finished orders.
pub const TTL_ATTRIBUTE: &str = "expires_at";

/// Where the queues are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueUrls {
    /// Orders to be processed.
    pub orders: String,
    /// Orders that were not, and why.
    pub orders_dlq: String,
    /// Shipments for the warehouse.
    pub warehouse: String,
    /// Messages to customers.
    pub notifications: String,
    /// What the receivers of the two above could not process.
    pub downstream_dlq: String,
}

/// How the queue of orders delivers.
#[derive(Clone, Copy, Debug)]
pub struct Delivery {
    /// How long a received order is hidden.
    pub visibility: Duration,
    /// How often an order is received before SQS moves it to the dead-letter queue.
    pub max_receive_count: u32,
}

/// Creates the table: string key `pk`, on demand, TTL on [`TTL_ATTRIBUTE`], and the index of parked orders.
///
/// # Errors
/// Whatever DynamoDB says, a table of that name included.
pub async fn create_table(
    client: &aws_sdk_dynamodb::Client,
    name: &str,
) -> Result<(), aws_sdk_dynamodb::Error> {
    let text =
        |name| AttributeDefinition::builder().attribute_name(name).attribute_type(ScalarAttributeType::S);
    let key = |name| KeySchemaElement::builder().attribute_name(name).key_type(KeyType::Hash).build();
    let keys_only = Projection::builder().projection_type(ProjectionType::KeysOnly).build();
    let parked = GlobalSecondaryIndex::builder().index_name(PARKED_INDEX).projection(keys_only);
    client
        .create_table()
        .table_name(name)
        .billing_mode(BillingMode::PayPerRequest)
        .attribute_definitions(text("pk").build()?)
        .attribute_definitions(text(PARKED_FROM_ATTRIBUTE).build()?)
        .key_schema(key("pk")?)
        .global_secondary_indexes(parked.key_schema(key(PARKED_FROM_ATTRIBUTE)?).build()?)
        .send()
        .await?;
    let ttl = TimeToLiveSpecification::builder().attribute_name(TTL_ATTRIBUTE).enabled(true);
    client.update_time_to_live().table_name(name).time_to_live_specification(ttl.build()?).send().await?;
    Ok(())
}

/// Creates the queues.
///
/// # Errors
/// Whatever SQS says, a queue of the same name with other attributes included.
pub async fn create_queues(
    client: &aws_sdk_sqs::Client,
    delivery: Delivery,
) -> Result<QueueUrls, aws_sdk_sqs::Error> {
    let dead_letters = [(QueueAttributeName::MessageRetentionPeriod, FOURTEEN_DAYS.to_owned())];
    let orders = [
        (QueueAttributeName::VisibilityTimeout, delivery.visibility.as_secs().to_string()),
        (QueueAttributeName::RedrivePolicy, redrive("orders-dlq", delivery.max_receive_count)),
    ];
    let downstream =
        [(QueueAttributeName::RedrivePolicy, redrive("downstream-dlq", DOWNSTREAM_MAX_RECEIVE_COUNT))];
    Ok(QueueUrls {
        orders_dlq: create_queue(client, "orders-dlq", &dead_letters).await?,
        downstream_dlq: create_queue(client, "downstream-dlq", &dead_letters).await?,
        orders: create_queue(client, "orders", &orders).await?,
        warehouse: create_queue(client, "warehouse", &downstream).await?,
        notifications: create_queue(client, "notifications", &downstream).await?,
    })
}

/// The ARN of a queue of [`EmbeddedAws`](crate::local::aws::EmbeddedAws).
pub fn queue_arn(name: &str) -> String {
    format!("arn:aws:sqs:{REGION}:{ACCOUNT_ID}:{name}")
}

/// SQS's maximum: dead letters wait for a human.
const FOURTEEN_DAYS: &str = "1209600";

/// Receivers of shipments and notifications have nothing to wait for, so a few attempts tell.
const DOWNSTREAM_MAX_RECEIVE_COUNT: u32 = 5;

fn redrive(dead_letter_queue: &str, max_receive_count: u32) -> String {
    serde_json::json!({
        "deadLetterTargetArn": queue_arn(dead_letter_queue),
        "maxReceiveCount": max_receive_count,
    })
    .to_string()
}

async fn create_queue(
    client: &aws_sdk_sqs::Client,
    name: &str,
    attributes: &[(QueueAttributeName, String)],
) -> Result<String, aws_sdk_sqs::Error> {
    let attributes = attributes.iter().cloned().collect();
    let created = client.create_queue().queue_name(name).set_attributes(Some(attributes)).send().await?;
    Ok(created.queue_url.unwrap_or_default())
}
