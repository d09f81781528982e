//! `orderctl dev`: the local stack, until Ctrl-C.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use order_processor::local::function_host::OutputLine;
use order_processor::local::stack::Stack;
use serde_json::{Map, Value, json};

use crate::environment;
use crate::local::{self, LogFile};
use crate::log_line::{RecordLine, is_of_metrics};
use crate::report::{Report, print_document, print_text};

/// Run the local stack until Ctrl-C: queue, table, payment provider, function
#[derive(Debug, Args)]
pub struct Dev {
    /// The port of the AWS endpoint, 0 for any that is free
    #[arg(long, value_name = "PORT", default_value_t = 4566)]
    port: u16,
    /// How many processes of the function
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..=64))]
    environments: u8,
    /// Also write what the function says to this file, as the JSON lines they are: for timeline and stats --log
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
}

const STOCK: [(&str, u64); 3] = [("cap", 500), ("mug", 10_000), ("poster", 3)];

impl Dev {
    /// Starts everything, says how to use it, and stops everything.
    ///
    /// Endpoints and commands are the result; what the function says meanwhile goes to standard error.
    pub async fn run(&self, json: bool) -> Result<Report> {
        let adjust = |options: &mut order_processor::local::stack::StackOptions| {
            options.port = self.port;
            options.environments = usize::from(self.environments);
        };
        let log = LogFile::open(self.log.as_deref())?;
        let told = move |line: OutputLine| {
            say(&line);
            log.write(&line.line);
        };
        let stack = local::start(adjust, told).await?;
        let until_asked = async {
            local::load_stock(&local::table(&stack), &STOCK).await?;
            match json {
                true => print_document(&document(&stack)),
                false => print_text(&text(&stack)),
            }
            local::asked_to_end().await
        };
        let ended = until_asked.await;
        eprintln!("stopping");
        stack.shutdown().await;
        ended?;
        Ok(Report::silent())
    }
}

fn say(OutputLine { pid, line }: &OutputLine) {
    match RecordLine::read(line) {
        Some(record) => eprintln!("[{pid}] {}", record.text()),
        None if is_of_metrics(line) => {}
        None => eprintln!("[{pid}] {line}"),
    }
}

fn document(stack: &Stack) -> Value {
    let environment: Map<String, Value> =
        stack.variables().iter().map(|(name, value)| (name.clone(), Value::from(value.as_str()))).collect();
    json!({
        "endpoint": format!("http://{}", stack.endpoint()),
        "payment_endpoint": format!("http://{}", stack.payment_endpoint()),
        "queues": {
            "orders": stack.queues().orders,
            "orders_dlq": stack.queues().orders_dlq,
            "warehouse": stack.queues().warehouse,
            "notifications": stack.queues().notifications,
        },
        "processes": stack.function().environments().iter().filter_map(|one| one.pid).collect::<Vec<_>>(),
        "environment": environment,
    })
}

fn text(stack: &Stack) -> String {
    let endpoint = format!("http://{}", stack.endpoint());
    let queue = &stack.queues().orders;
    let stock: Vec<String> = STOCK.iter().map(|(sku, available)| format!("{available} x {sku}")).collect();
    let body = r#"{"order_id":"ord-1","customer_id":"cus-1","placed_at":"'"$(date -u +%FT%TZ)"'","currency":"USD","items":[{"sku":"mug","quantity":1,"unit_price":1299}],"payment_method":"pm_card_visa"}"#;
    format!(
        "DynamoDB and SQS   {endpoint}\n\
         payment provider   http://{payments}  (its books: /_ledger)\n\
         queue of orders    {queue}\n\
         stock              {stock}\n\
         times              {times}: a crash is over in half a minute\n\
         \n\
         in another terminal:\n\
         \n\
         export AWS_ENDPOINT_URL={endpoint} AWS_REGION=us-east-1 AWS_DEFAULT_REGION=us-east-1 AWS_ACCESS_KEY_ID=local AWS_SECRET_ACCESS_KEY=local\n\
         {orderctl} send --scenario duplicate --order-id ord-7\n\
         aws --endpoint-url {endpoint} sqs send-message --queue-url {queue} --message-body '{body}'\n\
         {orderctl} get ord-7 --wait 30\n\
         \n\
         Ctrl-C stops everything. What the function does:\n",
        orderctl = environment::program(),
        times = local::times(),
        payments = stack.payment_endpoint(),
        stock = stock.join(", "),
    )
}
