//! The X-Ray trace header goes from the event into the logs and into what is sent on.

use serde_json::{Map, Value, json};

use crate::world::{Message, World, message, order_json, raw};

const HEADER: &str = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1";
const TRACE_ID: &str = "1-5759e988-bd862e3fe1be46a994272793";

fn traced(message: Message, header: &str) -> Message {
    Message { trace: Some(header.to_owned()), ..message }
}

/// The trace header of every message that was sent, in order.
fn sent_with(world: &World) -> Vec<Value> {
    let sent = world.faults.log().into_iter().filter(|passage| passage.operation == "SQS SendMessage");
    let header = |body: &[u8]| {
        let body: Value = serde_json::from_slice(body).unwrap();
        body["MessageSystemAttributes"]["AWSTraceHeader"]["StringValue"].clone()
    };
    sent.map(|passage| header(&passage.body)).collect()
}

fn lines(world: &World) -> Vec<Map<String, Value>> {
    world.log_text().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test(start_paused = true)]
async fn shipment_notification_and_dead_letter_belong_to_the_trace_of_their_message() {
    let world = World::new().await;
    let outcome = world.deliver(&[traced(message("m1", &order_json("ord-1")), HEADER)]).await;
    assert_eq!(sent_with(&world), [json!(HEADER), json!(HEADER)]);
    assert_eq!(outcome.lines["m1"]["trace_id"], json!(TRACE_ID));
    world.deliver(&[traced(raw("m2", "{}"), HEADER)]).await;
    assert_eq!(sent_with(&world)[2..], [json!(HEADER)]);
}

#[tokio::test(start_paused = true)]
async fn what_is_no_trace_header_goes_nowhere() {
    let world = World::new().await;
    let hostile = "Root=me@example.com;Parent=53995c3f42cd8ad8";
    let outcome = world.deliver(&[traced(message("m1", &order_json("ord-1")), hostile)]).await;
    assert_eq!(outcome.outcomes(), ["completed"]);
    assert_eq!(sent_with(&world), [Value::Null, Value::Null]);
    assert!(!outcome.lines["m1"].contains_key("trace_id") && !world.log_text().contains("example.com"));
}

#[tokio::test(start_paused = true)]
async fn every_line_within_a_record_and_a_step_says_which() {
    let world = World::new().await;
    let mut refused = order_json("ord-1");
    refused["payment_method"] = json!("pm_card_misconfigured");
    let script = order_processor::local::payment_provider::Scripted::status(400);
    world.payments.answer_next("ord-1", script);
    world.deliver(&[traced(message("m1", &refused), HEADER)]).await;
    let lines = lines(&world);
    let complaint =
        lines.iter().find(|line| line["level"] == "ERROR").expect("the provider's refusal is logged");
    let spans = complaint["spans"].as_array().unwrap();
    assert_eq!(
        (&spans[0]["name"], &spans[0]["order_id"], &spans[0]["message_id"], &spans[0]["trace_id"]),
        (&json!("record"), &json!("ord-1"), &json!("m1"), &json!(TRACE_ID))
    );
    assert_eq!((&spans[1]["name"], &spans[1]["step"]), (&json!("step"), &json!("charge_payment")));
}
