//! Answers that are not Stripe's: of other servers in between, broken off, endless.

use std::convert::Infallible;

use axum::Router;
use axum::body::Body;
use axum::response::Response;
use futures_util::{StreamExt, stream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;

const LIMIT: usize = 1024 * 1024;

/// A shop whose client is that of a server which answers everything with what `answer` makes.
async fn of(answer: impl Fn() -> Response + Clone + Send + Sync + 'static) -> Shop {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let router = Router::new().fallback(move || std::future::ready(answer()));
    tokio::spawn(async move { axum::serve(listener, router).await });
    let stripe = Stripe::new(connector(), &base, StripeKey("sk_test_1".to_owned()));
    Shop { stripe, ..Shop::open().await }
}

fn response(status: u16, body: impl Into<Body>) -> Response {
    Response::builder().status(status).body(body.into()).unwrap()
}

/// A payment that succeeded, in an answer of `size` bytes.
fn succeeded(size: usize) -> String {
    let body = r#"{"id":"pi_1","status":"succeeded","padding":""}"#;
    let padding = "x".repeat(size - body.len());
    body.replace(r#""padding":"""#, &format!(r#""padding":"{padding}""#))
}

#[tokio::test]
async fn an_answer_that_is_no_json_decides_nothing() {
    for status in [200, 201, 204, 301, 302, 304, 400, 402, 404, 409, 429, 500, 502, 503, 599] {
        for body in ["", "<html>Bad gateway</html>", "{", "null", "[]", r#"{"id":"pi_1"}"#, "\u{0}"] {
            let has_no_body = [204, 304].contains(&status);
            let body = if has_no_body { "" } else { body };
            let shop = of(move || response(status, body)).await;
            unavailable(&shop.charge().await);
            unavailable(&shop.refund("pi_1").await);
        }
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed_with_the_key() {
    let shop = of(|| {
        let mut redirect = response(307, "");
        redirect
            .headers_mut()
            .insert("location", "http://elsewhere.invalid/v1/payment_intents".parse().unwrap());
        redirect
    })
    .await;
    let why = unavailable(&shop.charge().await);
    assert!(why.contains("307"), "{why}");
}

#[tokio::test]
async fn an_answer_is_read_up_to_the_limit_and_not_one_byte_further() {
    let shop = of(|| response(200, succeeded(LIMIT))).await;
    assert_eq!(paid(&shop.charge().await), "pi_1");
    let shop = of(|| response(200, succeeded(LIMIT + 1))).await;
    assert_eq!(unavailable(&shop.charge().await), "the answer is too large");
}

#[tokio::test]
async fn an_endless_answer_is_not_read_to_its_end() {
    let shop = of(|| {
        let chunk = axum::body::Bytes::from(vec![b' '; 64 * 1024]);
        response(200, Body::from_stream(stream::repeat(chunk).map(Ok::<_, Infallible>)))
    })
    .await;
    assert_eq!(unavailable(&shop.charge().await), "the answer is too large");
}

#[tokio::test]
async fn an_answer_that_breaks_off_decides_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let (mut connection, _) = listener.accept().await.unwrap();
        let mut request = [0; 4096];
        assert!(connection.read(&mut request).await.unwrap() > 0);
        let answer = r#"{"id":"pi_1","status":"succeeded"}"#;
        let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n";
        connection.write_all(format!("{head}{answer}").as_bytes()).await.unwrap();
    });
    let stripe = Stripe::new(connector(), &base, StripeKey("sk_test_1".to_owned()));
    let shop = Shop { stripe, ..Shop::open().await };
    assert_eq!(unavailable(&shop.charge().await), "the connection ended before the answer did");
}

#[tokio::test]
async fn an_answer_that_stalls_decides_nothing() {
    let shop = of(|| {
        let head = axum::body::Bytes::from(r#"{"id":"pi_1","status":"succeeded"}"#);
        let stalled = stream::once(std::future::ready(Ok::<_, Infallible>(head))).chain(stream::pending());
        response(200, Body::from_stream(stalled))
    })
    .await;
    let why = unavailable(&shop.charge_order(&order(), FRESH, SHORT).await);
    assert_eq!(why, "the payment provider gave no answer in time");
}

#[tokio::test]
async fn the_secret_key_is_never_shown() {
    let shop = Shop::open().await;
    assert!(!format!("{:?}", shop.stripe).contains("sk_test_1"));
}
