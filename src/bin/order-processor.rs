//! The Lambda function: reads its configuration, opens its connections, handles batches.

use order_processor::function::Function;
use order_processor::{config::Config, telemetry};

#[tokio::main]
async fn main() -> Result<(), lambda_runtime::Error> {
    let config = match Config::from_env() {
        Ok(config) => config,
        Err(error) => {
            eprintln!("{error}");
            std::process::exit(1);
        }
    };
    telemetry::start(&config.log_level);
    let function = Function::start(config).await?;
    let function = &function;
    lambda_runtime::run(lambda_runtime::service_fn(move |event| function.invoke(event))).await
}
