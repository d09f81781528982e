//! What Stripe's answers are taken for: charged or declined only if they say so.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Bytes;
use futures_util::FutureExt;
use order_processor::local::connector::connector;
use order_processor::order::Order;
use order_processor::record::{Outcome, Outcomes};
use order_processor::services::payment::{ChargePayment, Stripe, StripeKey};
use order_processor::services::{Call, Ending, Service};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::TestCaseResult;
use serde_json::{Value, json};

use super::input::{changed_bytes, changed_json};
use super::{Reached, corpus, fuzz};
use crate::world::order_json;

const BRANCHES: [&str; 18] = [
    "charge: done",
    "charge: refused",
    "charge: unavailable",
    "charge: unknown",
    "then: GET search",
    "then: GET pi_1",
    "then: POST cancel",
    "then: GET refunds",
    "then: GET re_1",
    "charge: done, though made before",
    "charge: refused, given back",
    "look-up: done",
    "look-up: refused",
    "look-up: unavailable",
    "look-up: unknown",
    "refund: done",
    "refund: unavailable",
    "refund: unknown",
];

/// An answer of the provider.
#[derive(Clone, Debug)]
struct Answer {
    status: u16,
    replayed: Option<String>,
    body: Vec<u8>,
}

/// What the provider is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Question {
    Charge,
    /// The key may be forgotten.
    LookUp,
    Refund,
}

#[test]
fn no_answer_is_a_charge_or_a_decline_unless_it_says_so() {
    let files = corpus("stripe");
    let files = files.iter().map(|(_, bytes)| serde_json::from_slice::<Value>(bytes).unwrap());
    let scripts: Vec<Vec<Answer>> =
        files.map(|file| file["answers"].as_array().unwrap().iter().map(answer).collect()).collect();
    let questions = [Question::Charge, Question::LookUp, Question::Refund];
    let reached = Reached::default();
    for (script, question) in scripts.iter().flat_map(|script| questions.map(|question| (script, question))) {
        check(question, script, &reached).unwrap_or_else(|error| panic!("{script:?}: {error}"));
    }
    let answers = changed_scripts(scripts);
    let cases = (select(questions.to_vec()), answers);
    fuzz("stripe", 3000, &cases, &BRANCHES, reached, |(question, answers), reached| {
        check(question, &answers, reached)
    });
}

/// Answers: those of a script, or others in their places.
fn changed_scripts(scripts: Vec<Vec<Answer>>) -> impl Strategy<Value = Vec<Answer>> {
    let bodies: Vec<Vec<u8>> = scripts.iter().flatten().map(|answer| answer.body.clone()).collect();
    let trees = bodies.iter().filter_map(|body| serde_json::from_slice(body).ok()).collect();
    let names = &[
        "error",
        "id",
        "status",
        "data",
        "type",
        "code",
        "decline_code",
        "amount",
        "metadata",
        "order_id",
        "payment_intent",
    ];
    let body = prop_oneof![
        1 => changed_bytes(bodies),
        3 => changed_json(trees, names, values()).prop_map(|json| json.to_string().into_bytes()),
    ];
    let status = prop_oneof![
        4 => select(vec![200_u16, 200, 200, 402, 402, 500]),
        2 => select(vec![201, 204, 299, 300, 302, 400, 401, 403, 404, 409, 429, 499, 503, 599, 600]),
        1 => 200..1000_u16,
    ];
    let replayed = option::of(select(vec!["true", "true", "false", "TRUE", ""]).prop_map(str::to_owned));
    let other =
        (status, replayed, body).prop_map(|(status, replayed, body)| Answer { status, replayed, body });
    (select(scripts), vec((prop::bool::weighted(0.7), other), 4)).prop_map(|(script, others)| {
        let of_the_script = |(index, (keep, other)): (usize, (bool, Answer))| {
            script.get(index).filter(|_| keep).cloned().unwrap_or(other)
        };
        others.into_iter().enumerate().map(of_the_script).collect()
    })
}

fn values() -> Vec<Value> {
    let words = [
        "succeeded",
        "canceled",
        "requires_payment_method",
        "requires_action",
        "requires_capture",
        "processing",
        "pending",
        "re_1",
        "failed",
        "Succeeded",
        "",
        "card_error",
        "charge_already_refunded",
        "ord-1",
        "ORD-1",
        "usd",
        "pi_2",
    ];
    let mut values = words.map(|word| json!(word)).to_vec();
    values.extend([
        json!(null),
        json!(0),
        json!(2598),
        json!(2598.0),
        json!(-1),
        json!({}),
        json!([]),
        json!(true),
    ]);
    values
}

fn answer(json: &Value) -> Answer {
    let body = json["body"].as_str().map_or_else(|| json["body"].to_string(), str::to_owned).into_bytes();
    let status = json["status"].as_u64().unwrap().try_into().unwrap();
    Answer { status, replayed: json["replayed"].as_str().map(str::to_owned), body }
}

/// What was asked, and the answer to it.
type Asked = Vec<(String, Answer)>;

impl Question {
    /// Asks a provider that gives these answers. What it was asked for, and what came of it.
    fn ask(self, answers: &[Answer]) -> (Asked, Ending) {
        let left: Arc<Mutex<VecDeque<Answer>>> = Arc::new(Mutex::new(answers.iter().cloned().collect()));
        let asked: Arc<Mutex<Asked>> = Arc::default();
        let book = Arc::clone(&asked);
        let http = connector(move |request| {
            let answer = left.lock().unwrap().pop_front();
            let answer = answer.unwrap_or(Answer { status: 500, replayed: None, body: Vec::new() });
            let what = format!("{} {}", request.method(), request.uri().path());
            book.lock().unwrap().push((what, answer.clone()));
            async move {
                let mut response = http::Response::builder().status(answer.status);
                if let Some(replayed) = &answer.replayed {
                    response = response.header("idempotent-replayed", replayed);
                }
                Ok(response.body(Bytes::from(answer.body)).unwrap())
            }
        });
        let service =
            ChargePayment(Stripe::new(http, "http://payments.invalid", StripeKey("sk_test_1".to_owned())));
        let order = Order::parse(&order_json("ord-1").to_string()).unwrap();
        let outcomes = Outcomes::default().with("charge_payment", Outcome::of("payment_id", "pi_1"));
        let key_age = if self == Question::LookUp { Duration::from_secs(24 * 3600) } else { Duration::ZERO };
        let call = Call {
            order: &order,
            outcomes: &outcomes,
            refusal: None,
            key: "ord-1:charge_payment",
            key_age,
            timeout: Duration::from_secs(10),
            trace: None,
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let answer = if self == Question::Refund { service.undo(&call) } else { service.call(&call) };
        // Every answer is there at once, so nothing is waited for.
        let ending = runtime.block_on(async { answer.now_or_never().expect("an ending") });
        let asked = asked.lock().unwrap().clone();
        (asked, ending)
    }
}

const CHARGE: &str = "POST /v1/payment_intents";
const REFUND: &str = "POST /v1/refunds";
const OPEN: [&str; 4] =
    ["requires_payment_method", "requires_confirmation", "requires_action", "requires_capture"];

/// The answers to requests that begin and end so.
fn to<'a>(asked: &'a Asked, begin: &str, end: &str) -> Vec<&'a Answer> {
    let to = asked.iter().filter(|(what, _)| what.starts_with(begin) && what.ends_with(end));
    to.map(|(_, answer)| answer).collect()
}

/// The order's payments, as they say themselves that they are.
fn payments(asked: &Asked) -> Vec<Value> {
    let searched = asked.iter().any(|(what, _)| what.ends_with("/search"));
    let itself = asked.iter().filter(|(what, _)| {
        what.strip_prefix("GET /v1/payment_intents/").is_some_and(|named| named != "search")
    });
    let said = itself.filter(|(_, answer)| answer.is_success()).map(|(_, answer)| answer.json());
    said.filter(|payment| !searched || is_of_the_order(payment)).collect()
}

/// Whether the answer to the charge says that it is paid.
fn is_charged(asked: &Asked, is_meant: impl Fn(&Answer) -> bool) -> bool {
    to(asked, CHARGE, "intents").into_iter().filter(|answer| is_meant(answer)).any(|answer| {
        let json = answer.json();
        answer.is_success() && json["id"].is_string() && json["status"] == "succeeded"
    })
}

/// Whether something says that the order was paid before it was asked for now.
fn was_paid(asked: &Asked) -> bool {
    let paid = payments(asked).into_iter().filter(|payment| payment["status"] == "succeeded");
    is_charged(asked, Answer::is_replay) || paid.count() == 1
}

/// What a list says of refunds that have not failed: how much in all, and whether it is all there, is done, and names the
/// order. Of those that failed: whether one was of the order.
fn given_back(asked: &Asked) -> Option<(u64, bool, bool, bool)> {
    let list = to(asked, "GET /v1/refunds", "").into_iter().find(|answer| answer.is_success())?.json();
    let refunds = list["data"].as_array()?;
    let of_order = |refund: &Value| refund["metadata"]["order_id"] == "ord-1";
    let (failed, held): (Vec<&Value>, Vec<&Value>) =
        refunds.iter().partition(|refund| refund["status"] == "failed" || refund["status"] == "canceled");
    let amount = held.iter().filter_map(|refund| refund["amount"].as_u64()).fold(0, u64::saturating_add);
    let settled = held.iter().all(|refund| refund["status"] == "succeeded");
    let named = held.iter().any(|refund| of_order(refund));
    Some((amount, settled, named, failed.iter().any(|refund| of_order(refund))))
}

/// Whether something says that the order is paid: now, or before and not given back.
fn is_paid(asked: &Asked) -> bool {
    let kept = given_back(asked).is_some_and(|(amount, _, named, failed)| amount < 2598 && !named && !failed);
    is_charged(asked, |answer| !answer.is_replay()) || (was_paid(asked) && kept)
}

/// Whether something says that the order was paid, and that the customer has the money back.
fn is_given_back(asked: &Asked) -> bool {
    let back =
        given_back(asked).is_some_and(|(amount, settled, named, _)| settled && (amount >= 2598 || named));
    was_paid(asked) && back
}

/// Whether something says that the order will never be paid.
fn is_declined(asked: &Asked) -> bool {
    let card = to(asked, CHARGE, "intents").into_iter().any(|answer| {
        let error = &answer.json()["error"];
        let status = error["payment_intent"]["status"].as_str().unwrap_or_default();
        let may_be_paid = ["succeeded", "processing", "requires_capture"].contains(&status);
        let amount = error["code"] == "amount_too_small" || error["code"] == "amount_too_large";
        (answer.status == 402 && error["type"] == "card_error" && !may_be_paid)
            || (answer.status == 400 && error["type"] == "invalid_request_error" && amount)
    });
    let payments = payments(asked);
    let is = |payment: &Value, statuses: &[&str]| statuses.iter().any(|status| payment["status"] == *status);
    let open = payments.iter().filter(|payment| is(payment, &OPEN)).count();
    let canceled = to(asked, CHARGE, "/cancel").into_iter();
    let canceled =
        canceled.filter(|answer| answer.is_success() && answer.json()["status"] == "canceled").count();
    let over = payments.iter().all(|payment| is(payment, &OPEN) || is(payment, &["canceled"]));
    card || (!payments.is_empty() && over && open == canceled)
}

/// Whether something says that the customer has the money back.
fn is_refunded(asked: &Asked) -> bool {
    let says_itself = asked.iter().any(|(_, answer)| {
        let json = answer.json();
        let listed = json["data"].as_array().into_iter().flatten();
        let mut refunds = listed.chain([&json]);
        answer.is_success() && refunds.any(|one| one["id"].is_string() && one["status"] == "succeeded")
    });
    let all = to(asked, REFUND, "").into_iter().any(|answer| {
        (400..500).contains(&answer.status)
            && answer.error_code().as_deref() == Some("charge_already_refunded")
    });
    let pending = |one: &Value| ["pending", "requires_action"].iter().any(|status| one["status"] == *status);
    let last = asked.last().map(|(_, answer)| answer).filter(|answer| answer.is_success());
    let last = last.map(Answer::json).unwrap_or_default();
    let on_its_way = last["data"].as_array().is_some_and(|listed| listed.iter().any(pending));
    (says_itself || all) && !pending(&last) && !on_its_way
}

fn is_of_the_order(payment: &Value) -> bool {
    let right = |field: &Value, wanted: &dyn Fn(&Value) -> bool| field.is_null() || wanted(field);
    right(&payment["metadata"]["order_id"], &|id| id == "ord-1")
        && right(&payment["amount"], &|amount| *amount == 2598)
        && right(&payment["currency"], &|currency| {
            currency.as_str().is_some_and(|currency| currency.eq_ignore_ascii_case("usd"))
        })
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// Where an error has no code, its type stands in.
    fn error_code(&self) -> Option<String> {
        let json = self.json();
        let code = json["error"]["code"].as_str().or(json["error"]["type"].as_str());
        code.map(str::to_owned)
    }

    fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    fn is_replay(&self) -> bool {
        self.replayed.as_deref() == Some("true")
    }
}

fn check(question: Question, answers: &[Answer], reached: &Reached) -> TestCaseResult {
    let (asked, ending) = question.ask(answers);
    let name = match question {
        Question::Charge => "charge",
        Question::LookUp => "look-up",
        Question::Refund => "refund",
    };
    for (what, _) in &asked[1..] {
        let (method, path) = what.split_once(' ').unwrap();
        reached.count(format!("then: {method} {}", path.rsplit('/').next().unwrap()));
    }
    let kind = match &ending {
        Ending::Done(_) if question == Question::Refund => {
            prop_assert!(is_refunded(&asked), "refunded, though nothing says so: {:?}", asked);
            "done"
        }
        Ending::Done(_) => {
            prop_assert!(is_paid(&asked), "paid, though nothing says so: {:?}", asked);
            if !is_charged(&asked, |answer| !answer.is_replay()) {
                reached.count(format!("{name}: done, though made before"));
            }
            "done"
        }
        Ending::Refused(_) => {
            if is_given_back(&asked) {
                reached.count(format!("{name}: refused, given back"));
            }
            let declined = question != Question::Refund && (is_declined(&asked) || is_given_back(&asked));
            prop_assert!(declined, "declined, though nothing says so: {:?}", asked);
            "refused"
        }
        Ending::Unavailable(_) => "unavailable",
        Ending::Unknown(_) => "unknown",
    };
    reached.count(format!("{name}: {kind}"));
    let words = format!("{ending:?}");
    prop_assert!(!words.contains("sk_test_1") && !words.contains("pm_card"), "tells a secret: {}", words);
    Ok(())
}
