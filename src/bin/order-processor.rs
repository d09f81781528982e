//! The Lambda function: reads its configuration, opens its connections, handles batches.

use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent};
use lambda_runtime::{Error, LambdaEvent, service_fn};
use order_processor::batch::Batches;
use order_processor::budget::Budget;
use order_processor::clock::{Clock, UnixMillis};
use order_processor::config::{Config, descriptors};
use order_processor::{function, telemetry};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tracing::Instrument;

#[tokio::main]
async fn main() -> Result<(), Error> {
    let config = match Config::from_env() {
        Ok(config) => config,
        Err(error) => {
            eprintln!("{error}");
            std::process::exit(1);
        }
    };
    telemetry::start(&config.log_level);
    let config = config.within(descriptors::limit());
    let metrics = telemetry::metrics(&config);
    let batches = match function::start(config).await {
        Ok(batches) => batches.measured_by(metrics),
        Err(error) => {
            eprintln!("{error}");
            std::process::exit(1);
        }
    };
    let batches = &batches;
    lambda_runtime::run(service_fn(move |event| handle(batches, event))).await
}

/// What the function is invoked for.
enum Request {
    /// By the queue of orders.
    Batch(SqsEvent),
    /// By a schedule, with `{"count": "parked"}`.
    CountParked,
}

impl Request {
    fn read(payload: &Value) -> Result<Self, Error> {
        if *payload == json!({ "count": "parked" }) {
            return Ok(Request::CountParked);
        }
        // What the parser would say quotes the event, and the runtime would log it.
        Ok(Request::Batch(SqsEvent::deserialize(payload).map_err(|_| "the event is no SQS event")?))
    }
}

#[derive(Serialize)]
#[serde(untagged)]
enum Answer {
    Batch(SqsBatchResponse),
    CountParked { parked: u64 },
}

async fn handle(batches: &Batches, event: LambdaEvent<Value>) -> Result<Answer, Error> {
    let request = Request::read(&event.payload)?;
    let span = tracing::info_span!("invocation", request_id = event.context.request_id);
    let handled = async {
        let budget = Budget::for_invocation(UnixMillis(event.context.deadline), Clock::system());
        Ok(match request {
            Request::Batch(batch) => Answer::Batch(batches.handle(&batch, &budget).await?),
            Request::CountParked => Answer::CountParked { parked: batches.count_parked(&budget).await? },
        })
    };
    handled.instrument(span).await
}
