//! The Runtime API as a function speaks it, without a process.

use aws_smithy_runtime_api::client::http::{HttpConnector, SharedHttpConnector};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_types::body::SdkBody;
use axum::body::Bytes;
use order_processor::clock::UnixMillis;
use order_processor::local::runtime_api::RuntimeApi;

const DEADLINE: UnixMillis = UnixMillis(1_795_482_001_123);

/// A function that does what the test tells it.
struct Function {
    base: String,
    client: SharedHttpConnector,
}

impl Function {
    fn of(api: &RuntimeApi) -> Function {
        let client = SharedHttpConnector::new(aws_smithy_http_client::Connector::builder().build_http());
        Function { base: format!("http://{}", api.address()), client }
    }

    async fn get(&self, path: &str) -> HttpResponse {
        self.client.call(HttpRequest::get(format!("{}{path}", self.base)).unwrap()).await.unwrap()
    }

    async fn post(&self, path: &str, body: &'static str) -> HttpResponse {
        let mut request = HttpRequest::new(SdkBody::from(body));
        request.set_method("POST").unwrap();
        request.set_uri(format!("{}{path}", self.base)).unwrap();
        self.client.call(request).await.unwrap()
    }

    async fn next(&self) -> HttpResponse {
        self.get("/2018-06-01/runtime/invocation/next").await
    }

    async fn finish(&self, request_id: &str, how: &str, body: &'static str) -> u16 {
        let path = format!("/2018-06-01/runtime/invocation/{request_id}/{how}");
        self.post(&path, body).await.status().as_u16()
    }
}

#[tokio::test]
async fn an_event_goes_out_with_its_deadline_and_the_response_comes_back() {
    let mut api = RuntimeApi::start().await.unwrap();
    let function = Function::of(&api);
    let (outcome, ()) = tokio::join!(api.run(Bytes::from_static(b"{}"), DEADLINE), async {
        let event = function.next().await;
        assert_eq!(event.headers().get("lambda-runtime-deadline-ms"), Some("1795482001123"));
        let request_id = event.headers().get("lambda-runtime-aws-request-id").unwrap();
        assert_eq!(function.finish("another-request", "response", "\"wrong\"").await, 400);
        assert_eq!(function.finish(request_id, "response", "\"right\"").await, 202);
        assert_eq!(function.finish(request_id, "response", "\"again\"").await, 400);
    });
    assert_eq!(outcome.unwrap(), "\"right\"");
}

#[tokio::test]
async fn a_reported_error_ends_the_invocation() {
    let mut api = RuntimeApi::start().await.unwrap();
    let function = Function::of(&api);
    let (outcome, ()) = tokio::join!(api.run(Bytes::from_static(b"{}"), DEADLINE), async {
        let event = function.next().await;
        let request_id = event.headers().get("lambda-runtime-aws-request-id").unwrap();
        assert_eq!(function.finish(request_id, "error", "{\"errorType\":\"Any\"}").await, 202);
    });
    assert_eq!(outcome.unwrap_err(), "{\"errorType\":\"Any\"}");
}

#[tokio::test]
async fn a_function_has_started_when_it_first_asks_and_has_not_when_it_reports_an_error() {
    let mut api = RuntimeApi::start().await.unwrap();
    let function = Function::of(&api);
    tokio::select! {
        started = api.initialized() => started.unwrap(),
        _ = function.next() => panic!("there is no event"),
    }

    let mut api = RuntimeApi::start().await.unwrap();
    let function = Function::of(&api);
    let path = "/2018-06-01/runtime/init/error";
    let (started, _) =
        tokio::join!(api.initialized(), function.post(path, "{\"errorMessage\":\"no table\"}"));
    assert_eq!(started.unwrap_err(), "{\"errorMessage\":\"no table\"}");
}

#[tokio::test]
async fn an_extension_may_register() {
    let api = RuntimeApi::start().await.unwrap();
    let registered = Function::of(&api).post("/2020-01-01/extension/register", "{\"events\":[]}").await;
    assert_eq!(registered.status().as_u16(), 200);
    assert!(registered.headers().get("lambda-extension-identifier").is_some());
}
