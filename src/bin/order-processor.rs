//! The Lambda function: reads its configuration, opens its connections, handles batches.

use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent};
use lambda_runtime::{Error, LambdaEvent, service_fn};
use order_processor::batch::Batches;
use order_processor::budget::Budget;
use order_processor::clock::{Clock, UnixMillis};
use order_processor::config::{Config, descriptors};
use order_processor::{function, telemetry};
use serde::Deserialize;
use serde_json::Value;
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

async fn handle(batches: &Batches, event: LambdaEvent<Value>) -> Result<SqsBatchResponse, Error> {
    // What the parser would say quotes the event, and the runtime would log it.
    let batch = SqsEvent::deserialize(&event.payload).map_err(|_| "the event is no SQS event")?;
    let span = tracing::info_span!("invocation", request_id = event.context.request_id);
    let handled = async {
        let budget = Budget::for_invocation(UnixMillis(event.context.deadline), Clock::system());
        batches.handle(&batch, &budget).await
    };
    Ok(handled.instrument(span).await?)
}
