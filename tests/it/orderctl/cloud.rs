//! A stack as AWS shows it beside its table and queues: CloudFormation, Lambda, CloudWatch, SNS and CodeDeploy.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use axum::body::Bytes;
use http::{Method, Request, Response};
use serde_json::{Value, json};

const FUNCTION: &str = "arn:aws:lambda:us-east-1:000000000000:function:shop-fn";
/// The topic that the stack's alarms tell.
pub const TOPIC: &str = "arn:aws:sns:us-east-1:000000000000:shop-alarms";

/// What a test can change by hand.
pub struct State {
    pub enabled: bool,
    pub alias: Value,
    /// `GetFunctionConfiguration` of each version, `$LATEST` first.
    pub setups: Vec<Value>,
    /// The alarms that are there; the stack has `shop-a` and `shop-b`.
    pub alarms: Vec<Value>,
    pub subscriptions: Vec<&'static str>,
    pub deployments: Vec<&'static str>,
    /// The rights that the caller lacks.
    pub denied: BTreeSet<&'static str>,
    /// Whether somebody else moves the alias whenever it was looked at.
    pub contested: bool,
}

/// The state behind every answer.
#[derive(Clone)]
pub struct Cloud(Arc<Mutex<State>>);

fn setup(version: &str) -> Value {
    json!({ "Version": version, "Timeout": 60, "MemorySize": 512, "Environment": { "Variables": {} } })
}

fn alarm(name: &str) -> Value {
    json!({ "AlarmName": name, "ActionsEnabled": true, "AlarmActions": [TOPIC], "StateValue": "OK" })
}

impl Cloud {
    /// Version 3 of three is live, everything is as deployed, and somebody is told of alarms.
    pub fn new() -> Self {
        Cloud(Arc::new(Mutex::new(State {
            enabled: true,
            alias: json!({ "Name": "live", "FunctionVersion": "3", "RevisionId": "r-1" }),
            setups: ["$LATEST", "1", "2", "3"].map(setup).to_vec(),
            alarms: vec![alarm("shop-a"), alarm("shop-b")],
            subscriptions: vec!["arn:aws:sns:us-east-1:000000000000:shop-alarms:1"],
            deployments: Vec::new(),
            denied: BTreeSet::new(),
            contested: false,
        })))
    }

    /// As if by hand.
    pub fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.0.lock().unwrap());
    }

    /// The alias as it is now.
    pub fn alias(&self) -> Value {
        self.0.lock().unwrap().alias.clone()
    }

    /// The answer, if the request is about anything here.
    pub fn answer(&self, request: &Request<Bytes>) -> Option<Response<Bytes>> {
        let mut state = self.0.lock().unwrap();
        let right = right(request)?;
        if state.denied.contains(right.as_str()) {
            return Some(denied(&right));
        }
        if right.starts_with("sqs:") || right.starts_with("dynamodb:") {
            return None;
        }
        let (service, _) = right.split_once(':')?;
        let service = if service == "cloudwatch" { "monitoring" } else { service };
        let signature = request.headers().get("authorization").and_then(|value| value.to_str().ok());
        if !signature.unwrap_or_default().contains(&format!("/us-east-1/{service}/aws4_request")) {
            return Some(response(403, "{}".to_owned()));
        }
        let content = serde_json::from_slice(request.body()).unwrap_or_default();
        Some(state.of(&right, request, &content))
    }
}

/// What a request takes.
fn right(request: &Request<Bytes>) -> Option<String> {
    if let Some(wanted) = request.headers().get("x-amz-target") {
        let (service, operation) = wanted.to_str().ok()?.split_once('.')?;
        let service = match service {
            "GraniteServiceVersion20100801" => "cloudwatch",
            "CodeDeploy_20141006" => "codedeploy",
            "AmazonSQS" => "sqs",
            _ => "dynamodb",
        };
        return Some(format!("{service}:{operation}"));
    }
    let path = request.uri().path();
    let (get, end) = (request.method() == Method::GET, path.rsplit('/').next()?);
    let of_lambda = |operation: &str| Some(format!("lambda:{operation}"));
    match end {
        "the-mapping" => of_lambda(if get { "GetEventSourceMapping" } else { "UpdateEventSourceMapping" }),
        "live" => of_lambda(if get { "GetAlias" } else { "UpdateAlias" }),
        "configuration" => of_lambda("GetFunctionConfiguration"),
        "versions" => of_lambda("ListVersionsByFunction"),
        "concurrency" => of_lambda("GetFunctionConcurrency"),
        "account-settings" => of_lambda("GetAccountSettings"),
        "" => {
            let operation = form(request, "Action")?;
            let service = if operation.contains("Stack") { "cloudformation" } else { "sns" };
            Some(format!("{service}:{operation}"))
        }
        _ => None,
    }
}

/// A field of a request in the Query protocol.
fn form(request: &Request<Bytes>, name: &str) -> Option<String> {
    let body = std::str::from_utf8(request.body()).ok()?;
    let field = body.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
    field.map(str::to_owned)
}

fn response(status: u16, body: String) -> Response<Bytes> {
    Response::builder().status(status).body(Bytes::from(body)).unwrap()
}

fn refused(status: u16, kind: &str, message: &str) -> Response<Bytes> {
    response(status, json!({ "__type": kind, "Message": message, "message": message }).to_string())
}

/// As SQS says it: in lower case.
fn denied(right: &str) -> Response<Bytes> {
    let right = if right.starts_with("sqs:") { right.to_lowercase() } else { right.to_owned() };
    let message = format!(
        "User: arn:aws:iam::000000000000:user/ann is not authorized to perform: {right} on resource: x"
    );
    let kind = "AccessDeniedException";
    if right.starts_with("sns:") || right.starts_with("cloudformation:") {
        let error = format!(
            "<ErrorResponse><Error><Code>{kind}</Code><Message>{message}</Message></Error></ErrorResponse>"
        );
        return response(403, error);
    }
    refused(403, kind, &message)
}

impl State {
    fn of(&mut self, right: &str, request: &Request<Bytes>, content: &Value) -> Response<Bytes> {
        let found = match right {
            "cloudformation:DescribeStacks" => return describe_stacks(request),
            "cloudformation:ListStackResources" => return response(200, stack_resources()),
            "sns:ListSubscriptionsByTopic" => return response(200, self.subscriptions()),
            "lambda:GetEventSourceMapping" => self.mapping(),
            "lambda:UpdateEventSourceMapping" => {
                self.enabled = content["Enabled"].as_bool().unwrap();
                self.mapping()
            }
            "lambda:GetFunctionConfiguration" => self.invoked(request),
            "lambda:ListVersionsByFunction" => json!({ "Versions": self.setups }),
            "lambda:GetFunctionConcurrency" => json!({}),
            "lambda:GetAccountSettings" => {
                json!({ "AccountLimit": { "UnreservedConcurrentExecutions": 1250 } })
            }
            "lambda:GetAlias" => self.look(),
            "lambda:UpdateAlias" => return self.point(content),
            "cloudwatch:DescribeAlarms" => json!({ "MetricAlarms": self.alarms }),
            "cloudwatch:GetMetricData" => json!({ "MetricDataResults": [{ "Id": "q0", "Values": [601.0] }] }),
            "codedeploy:ListDeployments" => json!({ "deployments": self.deployments }),
            _ => return refused(404, "UnknownOperationException", right),
        };
        response(200, found.to_string())
    }

    fn mapping(&self) -> Value {
        let state = if self.enabled { "Enabled" } else { "Disabled" };
        json!({ "State": state, "BatchSize": 10, "FunctionArn": format!("{FUNCTION}:live") })
    }

    fn invoked(&self, request: &Request<Bytes>) -> Value {
        let version = match request.uri().query() {
            Some("Qualifier=live") => &self.alias["FunctionVersion"],
            _ => &json!("$LATEST"),
        };
        self.setups.iter().find(|setup| setup["Version"] == *version).unwrap().clone()
    }

    fn look(&mut self) -> Value {
        let seen = self.alias.clone();
        if self.contested {
            self.alias["RevisionId"] = json!("r-2");
        }
        seen
    }

    fn point(&mut self, content: &Value) -> Response<Bytes> {
        if content["RevisionId"] != self.alias["RevisionId"] {
            return refused(412, "PreconditionFailedException", "the RevisionId does not match");
        }
        self.alias =
            json!({ "Name": "live", "FunctionVersion": content["FunctionVersion"], "RevisionId": "r-3" });
        let weights = &content["RoutingConfig"]["AdditionalVersionWeights"];
        if !weights.as_object().unwrap().is_empty() {
            self.alias["RoutingConfig"] = content["RoutingConfig"].clone();
        }
        response(200, self.alias.to_string())
    }

    fn subscriptions(&self) -> String {
        let members = self.subscriptions.iter().map(|arn| {
            format!("<member><Protocol>email</Protocol><SubscriptionArn>{arn}</SubscriptionArn></member>")
        });
        let members = members.collect::<String>();
        format!(
            "<R><ListSubscriptionsByTopicResult><Subscriptions>{members}</Subscriptions></ListSubscriptionsByTopicResult></R>"
        )
    }
}

fn stack_resources() -> String {
    let resources = [
        ("AWS::CloudWatch::Alarm", "shop-a"),
        ("AWS::CloudWatch::Alarm", "shop-b"),
        ("AWS::CodeDeploy::Application", "shop-app"),
        ("AWS::CodeDeploy::DeploymentGroup", "shop-group"),
    ];
    let members = resources.map(|(kind, id)| {
        format!(
            "<member><LogicalResourceId>x</LogicalResourceId><ResourceType>{kind}</ResourceType>\
             <PhysicalResourceId>{id}</PhysicalResourceId><ResourceStatus>CREATE_COMPLETE</ResourceStatus>\
             <LastUpdatedTimestamp>2026-11-24T01:00:00Z</LastUpdatedTimestamp></member>"
        )
    });
    format!(
        "<ListStackResourcesResponse><ListStackResourcesResult><StackResourceSummaries>{}</StackResourceSummaries>\
         </ListStackResourcesResult></ListStackResourcesResponse>",
        members.concat()
    )
}

fn describe_stacks(request: &Request<Bytes>) -> Response<Bytes> {
    if form(request, "StackName").as_deref() != Some("shop") {
        let error = "<ErrorResponse><Error><Type>Sender</Type><Code>ValidationError</Code>\
            <Message>Stack with id other does not exist</Message></Error></ErrorResponse>";
        return response(400, error.to_owned());
    }
    let queue = format!("http://{}/000000000000/stack-orders", request.headers()["host"].to_str().unwrap());
    let output = |key: &str, value: &str| {
        format!("<member><OutputKey>{key}</OutputKey><OutputValue>{value}</OutputValue></member>")
    };
    let outputs = output("OrdersQueueUrl", &queue)
        + &output("OrdersTableName", "orders")
        + &output("EventSourceMappingId", "the-mapping");
    response(
        200,
        format!(
            "<DescribeStacksResponse><DescribeStacksResult><Stacks><member><StackName>shop</StackName>\
             <CreationTime>2026-11-24T01:00:00Z</CreationTime><StackStatus>CREATE_COMPLETE</StackStatus>\
             <Outputs>{outputs}</Outputs></member></Stacks></DescribeStacksResult></DescribeStacksResponse>"
        ),
    )
}
