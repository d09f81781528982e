//! [`Stack`]: everything together, on loopback ports of this machine.
//!
//! An order sent to the queue is received by the event source, given to a process of the built function,
//! and ends in the table, at the payment provider and in the receivers of shipments and notifications.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use aws_config::SdkConfig;
use aws_sdk_sqs::error::DisplayErrorContext;
use aws_sdk_sqs::types::QueueAttributeName;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::clock::Clock;
use crate::local::aws::{self, EmbeddedAws, REGION};
use crate::local::event_source::{EventSource, EventSourceOptions, Progress};
use crate::local::function_host::{FunctionHost, FunctionOptions, InvokeError, OutputLine};
use crate::local::payment_provider::PaymentProvider;
use crate::local::receiver::Receiver;
use crate::local::resources::{Delivery, QueueUrls, create_queues, create_table, queue_arn};

/// What to run, and how patiently.
#[derive(Clone)]
pub struct StackOptions {
    /// The built function.
    pub function: PathBuf,
    /// Its arguments; none, unless another program stands in for the function.
    pub arguments: Vec<String>,
    /// Variables for the function beyond, or instead of, [`Stack::variables`].
    pub variables: Vec<(String, String)>,
    /// How many processes of it.
    pub environments: usize,
    /// Its timeout.
    pub timeout: Duration,
    /// What a lease lasts beyond that.
    pub grace: Duration,
    /// How long a received order is hidden: longer than timeout and grace, or a takeover could come too early.
    pub visibility: Duration,
    /// How often an order is received before it is a dead letter.
    pub max_receive_count: u32,
    /// The most orders in one event.
    pub batch_size: usize,
    /// How long to gather them.
    pub batching_window: Duration,
    /// The base URL of a DynamoDB outside this process that is to hold the table; `None` for the embedded one.
    pub table_endpoint: Option<String>,
    /// The name of the table. There must be none of that name yet.
    pub table: String,
    /// The port of the AWS endpoint, 0 for any.
    pub port: u16,
    /// The port of the payment provider, 0 for any.
    pub payment_port: u16,
    /// Where the servers and deadlines have their time from.
    pub clock: Clock,
    /// Receives each line the function writes.
    pub output: Arc<dyn Fn(OutputLine) + Send + Sync>,
}

impl StackOptions {
    /// Two environments and short times, so that a crash is over within half a minute. On AWS all of them are longer.
    pub fn new(function: PathBuf) -> Self {
        StackOptions {
            function,
            arguments: Vec::new(),
            variables: Vec::new(),
            environments: 2,
            timeout: Duration::from_secs(3),
            grace: Duration::from_secs(1),
            visibility: Duration::from_secs(20),
            max_receive_count: 20,
            batch_size: 10,
            batching_window: Duration::ZERO,
            table_endpoint: None,
            table: TABLE.to_owned(),
            port: 0,
            payment_port: 0,
            clock: Clock::system(),
            output: Arc::new(|_| {}),
        }
    }
}

/// Why the stack did not come up.
#[derive(Debug, thiserror::Error)]
pub enum StackError {
    /// A port is taken, most likely.
    #[error("cannot listen on 127.0.0.1:{port}: {source}")]
    Port {
        /// The port asked for.
        port: u16,
        /// What the machine says.
        source: io::Error,
    },
    /// The table could not be created.
    #[error("cannot create the table: {}", DisplayErrorContext(.0))]
    Table(#[from] aws_sdk_dynamodb::Error),
    /// A queue could not be created.
    #[error("cannot create the queues: {0}")]
    Queues(#[from] aws_sdk_sqs::Error),
    /// The function did not start.
    #[error(transparent)]
    Function(#[from] InvokeError),
}

/// The name of the table, unless another one is asked for.
pub const TABLE: &str = "orders";

/// What the provider takes for a key. It takes anything.
const PAYMENT_KEY: &str = "sk_test_local";

/// The running stack. Dropping it kills the function's processes; [`Stack::shutdown`] also waits for the end.
pub struct Stack {
    endpoint: SocketAddr,
    payment_endpoint: SocketAddr,
    queues: QueueUrls,
    dynamodb: aws_sdk_dynamodb::Client,
    table: String,
    variables: Vec<(String, String)>,
    aws: EmbeddedAws,
    payments: PaymentProvider,
    // In the order in which they are to end: who takes in work first, the servers last.
    event_source: EventSource,
    function: FunctionHost,
    warehouse: Receiver,
    notifications: Receiver,
    stop_servers: watch::Sender<bool>,
    servers: JoinSet<io::Result<()>>,
}

/// How many messages a queue holds, as SQS counts them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueueDepth {
    /// Ready to be received.
    pub visible: u64,
    /// Received and hidden.
    pub in_flight: u64,
    /// Sent with a delay that is not over.
    pub delayed: u64,
}

impl Stack {
    /// Starts everything and returns when the function is ready for its first event.
    ///
    /// # Errors
    /// [`StackError`]; nothing is left running then.
    pub async fn start(options: StackOptions) -> Result<Stack, StackError> {
        let (aws_listener, endpoint) = listen(options.port).await?;
        let (payment_listener, payment_endpoint) = listen(options.payment_port).await?;
        let aws = EmbeddedAws::at(endpoint, options.clock.clone());
        let payments = PaymentProvider::new(options.clock.clone());
        let in_process = aws.sdk_config(aws.connector());
        let sqs = aws_sdk_sqs::Client::new(&in_process);
        let dynamodb = dynamodb(options.table_endpoint.as_deref(), &in_process);
        create_table(&dynamodb, &options.table).await?;
        let delivery =
            Delivery { visibility: options.visibility, max_receive_count: options.max_receive_count };
        let queues = create_queues(&sqs, delivery).await?;

        let stop_servers = watch::Sender::new(false);
        let mut servers = JoinSet::new();
        servers.spawn(aws.clone().serve(aws_listener, stopped(&stop_servers)));
        servers.spawn(payments.clone().serve(payment_listener, stopped(&stop_servers)));

        let variables = variables(&options, endpoint, payment_endpoint, &queues);
        let function = FunctionHost::start(function_options(&options, variables.clone()));
        function.ready().await?;
        let invoker = function.invoker();
        let event_source =
            EventSource::start(sqs.clone(), event_source_options(&options, &queues), move |event| {
                let invoker = invoker.clone();
                async move { invoker.invoke(event).await }
            });
        Ok(Stack {
            endpoint,
            payment_endpoint,
            dynamodb,
            table: options.table,
            variables,
            aws,
            payments,
            event_source,
            function,
            warehouse: Receiver::start(sqs.clone(), queues.warehouse.clone()),
            notifications: Receiver::start(sqs, queues.notifications.clone()),
            queues,
            stop_servers,
            servers,
        })
    }

    /// Where SQS is served, and DynamoDB, unless the table is elsewhere.
    pub fn endpoint(&self) -> SocketAddr {
        self.endpoint
    }

    /// Where the payment provider is served.
    pub fn payment_endpoint(&self) -> SocketAddr {
        self.payment_endpoint
    }

    /// The queues.
    pub fn queues(&self) -> &QueueUrls {
        &self.queues
    }

    /// What the function's environment says, which also serves a shell with the AWS CLI.
    pub fn variables(&self) -> &[(String, String)] {
        &self.variables
    }

    /// For SDK clients of this stack, over HTTP.
    pub fn sdk_config(&self) -> SdkConfig {
        aws::sdk_config(self.endpoint)
    }

    /// A client for the table, wherever that is.
    pub fn dynamodb(&self) -> &aws_sdk_dynamodb::Client {
        &self.dynamodb
    }

    /// The name of the table.
    pub fn table(&self) -> &str {
        &self.table
    }

    /// The embedded AWS itself. It has the table only if no other DynamoDB was asked for.
    pub fn aws(&self) -> &EmbeddedAws {
        &self.aws
    }

    /// The payment provider with its ledger.
    pub fn payments(&self) -> &PaymentProvider {
        &self.payments
    }

    /// The processes of the function.
    pub fn function(&self) -> &FunctionHost {
        &self.function
    }

    /// The receiver of shipments.
    pub fn warehouse(&self) -> &Receiver {
        &self.warehouse
    }

    /// The receiver of messages to customers.
    pub fn notifications(&self) -> &Receiver {
        &self.notifications
    }

    /// What the event source has done so far.
    pub fn progress(&self) -> Progress {
        self.event_source.progress()
    }

    /// Takes no orders from the queue, and waits for those that are out; see [`EventSource::pause`].
    pub async fn pause(&mut self) {
        self.event_source.pause().await;
    }

    /// Takes orders again.
    pub fn resume(&mut self) {
        self.event_source.resume();
    }

    /// SIGKILL for a process in the middle of an invocation; see [`FunctionHost::kill_one`].
    pub fn kill_one(&self) -> Option<u32> {
        self.function.kill_one()
    }

    /// How full a queue is.
    ///
    /// # Errors
    /// Whatever SQS says, such as that there is no such queue.
    pub async fn depth(&self, queue_url: &str) -> Result<QueueDepth, aws_sdk_sqs::Error> {
        let client = aws_sdk_sqs::Client::new(&self.aws.sdk_config(self.aws.connector()));
        let request = client.get_queue_attributes().queue_url(queue_url);
        let attributes =
            request.attribute_names(QueueAttributeName::All).send().await?.attributes.unwrap_or_default();
        let count = |name| attributes.get(&name).and_then(|value| value.parse().ok()).unwrap_or_default();
        Ok(QueueDepth {
            visible: count(QueueAttributeName::ApproximateNumberOfMessages),
            in_flight: count(QueueAttributeName::ApproximateNumberOfMessagesNotVisible),
            delayed: count(QueueAttributeName::ApproximateNumberOfMessagesDelayed),
        })
    }

    /// Takes no new orders, lets running invocations end, and stops everything. No process is left.
    pub async fn shutdown(mut self) {
        self.event_source.shutdown().await;
        self.function.shutdown().await;
        drop((self.warehouse, self.notifications));
        self.stop_servers.send_replace(true);
        while self.servers.join_next().await.is_some() {}
    }
}

async fn listen(port: u16) -> Result<(TcpListener, SocketAddr), StackError> {
    let refused = |source| StackError::Port { port, source };
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.map_err(refused)?;
    let address = listener.local_addr().map_err(refused)?;
    Ok((listener, address))
}

fn stopped(stop: &watch::Sender<bool>) -> impl Future<Output = ()> + Send + use<> {
    let mut stop = stop.subscribe();
    async move {
        // A sender that is gone is as good as a stop.
        stop.wait_for(|stop| *stop).await.ok();
    }
}

/// For the table: the embedded DynamoDB without a detour through HTTP, or another one.
fn dynamodb(endpoint: Option<&str>, in_process: &SdkConfig) -> aws_sdk_dynamodb::Client {
    let Some(endpoint) = endpoint else { return aws_sdk_dynamodb::Client::new(in_process) };
    let http = crate::function::http_client(crate::function::connector());
    let elsewhere = in_process.to_builder().endpoint_url(endpoint).http_client(http);
    aws_sdk_dynamodb::Client::new(&elsewhere.build())
}

fn variables(
    options: &StackOptions,
    endpoint: SocketAddr,
    payment_endpoint: SocketAddr,
    queues: &QueueUrls,
) -> Vec<(String, String)> {
    [
        ("AWS_ENDPOINT_URL", format!("http://{endpoint}")),
        ("AWS_REGION", REGION.to_owned()),
        // Version 1 of the AWS CLI knows only this one.
        ("AWS_DEFAULT_REGION", REGION.to_owned()),
        ("AWS_ACCESS_KEY_ID", "local".to_owned()),
        ("AWS_SECRET_ACCESS_KEY", "local".to_owned()),
        ("ORDERS_TABLE", options.table.clone()),
        ("ORDERS_QUEUE_URL", queues.orders.clone()),
        ("DEAD_LETTER_QUEUE_URL", queues.orders_dlq.clone()),
        ("WAREHOUSE_QUEUE_URL", queues.warehouse.clone()),
        ("NOTIFICATIONS_QUEUE_URL", queues.notifications.clone()),
        ("PAYMENT_PROVIDER", "stripe".to_owned()),
        ("STRIPE_API_BASE", format!("http://{payment_endpoint}")),
        ("STRIPE_API_KEY", PAYMENT_KEY.to_owned()),
        ("MAX_RECEIVE_COUNT", options.max_receive_count.to_string()),
        ("LEASE_GRACE_MS", options.grace.as_millis().to_string()),
        ("RETENTION_DAYS", "30".to_owned()),
        ("MAX_ORDER_AGE_DAYS", "21".to_owned()),
        ("ORDER_CONCURRENCY", "64".to_owned()),
    ]
    .into_iter()
    .chain(options.table_endpoint.clone().map(|endpoint| ("AWS_ENDPOINT_URL_DYNAMODB", endpoint)))
    .map(|(name, value)| (name.to_owned(), value))
    .collect()
}

fn function_options(options: &StackOptions, mut variables: Vec<(String, String)>) -> FunctionOptions {
    variables.extend(options.variables.iter().cloned());
    FunctionOptions {
        program: options.function.clone(),
        arguments: options.arguments.clone(),
        variables,
        environments: options.environments,
        timeout: options.timeout,
        clock: options.clock.clone(),
        output: Arc::clone(&options.output),
    }
}

fn event_source_options(options: &StackOptions, queues: &QueueUrls) -> EventSourceOptions {
    EventSourceOptions {
        queue_url: queues.orders.clone(),
        queue_arn: queue_arn("orders"),
        batch_size: options.batch_size,
        batching_window: options.batching_window,
        concurrency: options.environments,
    }
}
