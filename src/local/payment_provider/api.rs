//! Requests taken apart, and payments: what an operation requires, and what it does to the ledger.

use std::time::Duration;

use axum::body::Bytes;
use http::{HeaderMap, Method, StatusCode};
use serde_json::{Value, json};

use super::ledger::{Ledger, Payment, PaymentStatus};
use super::reply::Reply;
use super::{Index, Shown};
use crate::clock::UnixMillis;

/// A request, taken apart.
pub(super) struct Call {
    pub(super) method: Method,
    pub(super) path: String,
    /// Of the form body, or of the query where there is no body; sorted.
    pub(super) parameters: Vec<(String, String)>,
    pub(super) idempotency_key: Option<String>,
    /// The order it is about, as far as the request says.
    pub(super) order_id: Option<String>,
    /// The secret API key, if there is one.
    pub(super) api_key: Option<String>,
}

/// What an operation did.
pub(super) struct Execution {
    pub(super) reply: Reply,
    /// Whether a repeat under the same key gets this reply. Stripe keeps what happened from the moment a request
    /// is valid and begins to run; a refused parameter is not kept.
    pub(super) kept: bool,
    pub(super) takes: Duration,
}

impl Call {
    pub(super) fn read(request: &http::Request<Bytes>) -> Call {
        let (headers, uri) = (request.headers(), request.uri());
        let encoded = match *request.method() {
            Method::POST => request.body().as_ref(),
            _ => uri.query().unwrap_or_default().as_bytes(),
        };
        let mut parameters: Vec<_> = form_urlencoded::parse(encoded).into_owned().collect();
        parameters.sort();
        let mut call = Call {
            method: request.method().clone(),
            path: uri.path().to_owned(),
            parameters,
            idempotency_key: header(headers, "idempotency-key"),
            order_id: None,
            api_key: header(headers, "authorization").and_then(|value| api_key(&value)),
        };
        let searched = call.get("query").and_then(searched_order);
        call.order_id = call.get("metadata[order_id]").or(searched).map(str::to_owned);
        call
    }

    /// The payment or refund that the path names, and what is to be done with it.
    pub(super) fn resource(&self) -> Option<(&str, &str)> {
        let (_, rest) = self.path.strip_prefix("/v1/")?.split_once('/')?;
        Some(rest.split_once('/').unwrap_or((rest, "")))
    }

    /// What a script may name it by, the most particular first.
    pub(super) fn subjects(&self) -> impl Iterator<Item = &str> {
        let named = match self.resource() {
            Some((id, _)) => Some(id),
            None => self.path.strip_prefix("/v1/").filter(|_| self.method == Method::GET),
        };
        [self.idempotency_key.as_deref(), self.order_id.as_deref(), named].into_iter().flatten()
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub(super) fn require(&self, name: &str) -> Result<&str, Reply> {
        self.get(name).filter(|value| !value.is_empty()).ok_or_else(|| {
            Reply::invalid(name, "parameter_missing", format!("Missing required param: {name}."))
        })
    }

    /// Refuses every parameter that is neither known nor metadata, and metadata beyond Stripe's limits.
    pub(super) fn only(&self, known: &[&str]) -> Result<(), Reply> {
        for (name, value) in &self.parameters {
            if name.starts_with("metadata[") && name.ends_with(']') {
                if value.len() > MAX_METADATA_VALUE {
                    let message = format!("Metadata values can have up to {MAX_METADATA_VALUE} characters.");
                    return Err(Reply::invalid(name, "parameter_invalid_string_too_long", message));
                }
            } else if !known.contains(&name.as_str()) {
                let message = format!("Received unknown parameter: {name}");
                return Err(Reply::invalid(name, "parameter_unknown", message));
            }
        }
        Ok(())
    }

    pub(super) fn metadata(&self) -> Value {
        let entries = self.parameters.iter().filter_map(|(name, value)| {
            let key = name.strip_prefix("metadata[")?.strip_suffix(']')?;
            Some((key.to_owned(), Value::from(value.as_str())))
        });
        Value::Object(entries.collect())
    }
}

/// <https://docs.stripe.com/api/metadata>
const MAX_METADATA_VALUE: usize = 500;

/// "The amount value supports up to eight digits", <https://docs.stripe.com/api/payment_intents/create>.
const MAX_AMOUNT: u64 = 99_999_999;

/// Entries of a list, if nobody says how many, and at most.
const USUAL_PAGE: u64 = 10;
const LARGEST_PAGE: u64 = 100;

/// The answer time of a slow card.
const SLOW: Duration = Duration::from_secs(2);

/// `POST /v1/payment_intents`
pub(super) fn charge(ledger: &mut Ledger, call: &Call, now: UnixMillis) -> Execution {
    let (amount, currency, method) = match charge_parameters(call) {
        Ok(parameters) => parameters,
        Err(reply) => return Execution::refused(reply),
    };
    if method == "pm_card_unavailable" {
        return Execution::refused(Reply::usual(StatusCode::SERVICE_UNAVAILABLE));
    }
    let decline = decline(method);
    let status = match (call.get("confirm"), decline) {
        (Some("true"), None) => PaymentStatus::Succeeded,
        (Some("true"), Some(_)) => PaymentStatus::RequiresPaymentMethod,
        _ => PaymentStatus::RequiresConfirmation,
    };
    let payment = Payment {
        payment_id: format!("pi_{:024}", ledger.payments.len() + 1),
        order_id: call.order_id.clone(),
        idempotency_key: call.idempotency_key.clone(),
        amount,
        currency: currency.to_owned(),
        payment_method: method.to_owned(),
        status,
        created: now,
        settles: None,
    };
    let mut intent = intent(&payment);
    intent["metadata"] = call.metadata();
    ledger.payments.push(payment);
    let reply = match decline {
        Some((code, decline_code, message)) if status == PaymentStatus::RequiresPaymentMethod => {
            Reply::declined(code, decline_code, message, intent)
        }
        _ => Reply::ok(intent),
    };
    let takes = if method == "pm_card_slow" { SLOW } else { Duration::ZERO };
    Execution { reply, kept: true, takes }
}

fn charge_parameters(call: &Call) -> Result<(u64, &str, &str), Reply> {
    call.only(&[
        "amount",
        "currency",
        "payment_method",
        "payment_method_types[]",
        "payment_method_types[0]",
        "confirm",
        "error_on_requires_action",
        "description",
    ])?;
    let amount = call.require("amount")?;
    let amount: u64 = amount.parse().map_err(|_| {
        Reply::invalid("amount", "parameter_invalid_integer", format!("Invalid integer: {amount}"))
    })?;
    if amount == 0 {
        let message = "This value must be greater than or equal to 1.".to_owned();
        return Err(Reply::invalid("amount", "parameter_invalid_integer", message));
    }
    if amount > MAX_AMOUNT {
        let message = format!("Amount must be no more than {MAX_AMOUNT}.");
        return Err(Reply::invalid("amount", "amount_too_large", message));
    }
    let currency = call.require("currency")?;
    if currency.len() != 3 || !currency.bytes().all(|byte| byte.is_ascii_lowercase()) {
        return Err(Reply::refused("currency_invalid", format!("Invalid currency: {currency}.")));
    }
    for flag in ["confirm", "error_on_requires_action"] {
        if let Some(value) = call.get(flag)
            && !matches!(value, "true" | "false")
        {
            return Err(Reply::invalid(
                flag,
                "parameter_invalid_boolean",
                format!("Invalid boolean: {value}"),
            ));
        }
    }
    Ok((amount, currency, call.require("payment_method")?))
}

/// Code, decline code and message for the tokens of cards that are refused, after
/// <https://docs.stripe.com/testing#declined-payments>; any other card is good.
fn decline(payment_method: &str) -> Option<(&'static str, &'static str, &'static str)> {
    let declined = ("card_declined", "generic_decline", "Your card was declined.");
    match payment_method {
        "pm_card_declined" | "pm_card_chargeDeclined" | "pm_card_visa_chargeDeclined" => Some(declined),
        "pm_card_chargeDeclinedInsufficientFunds" | "pm_card_visa_chargeDeclinedInsufficientFunds" => {
            Some(("card_declined", "insufficient_funds", "Your card has insufficient funds."))
        }
        "pm_card_authenticationRequired" => {
            Some(("authentication_required", "authentication_required", "Your card requires authentication."))
        }
        _ => None,
    }
}

/// `GET /v1/payment_intents/search`, newest first, each as `index` shows it.
pub(super) fn search(ledger: &Ledger, call: &Call, now: UnixMillis, index: &Index) -> Reply {
    let order_id = match call.require("query").map(searched_order) {
        Err(reply) => return reply,
        Ok(None) => {
            let message =
                "Only queries of the form metadata['order_id']:'...' are understood here.".to_owned();
            return Reply::invalid("query", "parameter_invalid_string", message);
        }
        Ok(Some(order_id)) => order_id,
    };
    // As Stripe has it, the search does not tell upper from lower case.
    let named = |payment: &&Payment| {
        payment.order_id.as_deref().is_some_and(|found| found.eq_ignore_ascii_case(order_id))
    };
    let shown = |payment: &Payment| match index(payment, now) {
        Shown::AsItIs => Some(intent(payment)),
        Shown::As(status) => Some(intent(&Payment { status, ..payment.clone() })),
        Shown::Nothing => None,
    };
    let indexed = ledger.payments.iter().rev().filter(named).filter_map(shown);
    Reply::ok(json!({
        "object": "search_result",
        "url": "/v1/payment_intents/search",
        "has_more": false,
        "next_page": null,
        "data": indexed.collect::<Vec<_>>(),
    }))
}

/// `GET /v1/payment_intents`, newest first: <https://docs.stripe.com/api/payment_intents/list>, and for its pages
/// <https://docs.stripe.com/api/pagination>.
pub(super) fn list(ledger: &Ledger, call: &Call) -> Reply {
    page(ledger, call).unwrap_or_else(|refused| refused)
}

fn page(ledger: &Ledger, call: &Call) -> Result<Reply, Reply> {
    call.only(&["created[gte]", "limit", "starting_after"])?;
    let number = |name: &str| {
        let read = |text: &str| {
            let invalid =
                || Reply::invalid(name, "parameter_invalid_integer", format!("Invalid integer: {text}"));
            text.parse::<u64>().map_err(|_| invalid())
        };
        call.get(name).map(read).transpose()
    };
    let limit = number("limit")?.unwrap_or(USUAL_PAGE);
    if !(1..=LARGEST_PAGE).contains(&limit) {
        let message = format!("Limit must be between 1 and {LARGEST_PAGE}.");
        return Err(Reply::invalid("limit", "parameter_invalid_integer", message));
    }
    let from = number("created[gte]")?.unwrap_or_default();
    let newest_first = ledger.payments.iter().rev();
    let mut left: Vec<&Payment> = newest_first.filter(|payment| payment.created.0 / 1000 >= from).collect();
    if let Some(id) = call.get("starting_after") {
        ledger.payment(id).ok_or_else(|| Reply::no_such("starting_after", "payment_intent", id))?;
        let place = left.iter().position(|payment| payment.payment_id == id);
        left.drain(..place.map_or(0, |place| place + 1));
    }
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let has_more = left.len() > limit;
    let shown = left.into_iter().take(limit).map(intent).collect();
    let mut reply = Reply::list("/v1/payment_intents", shown);
    reply.body["has_more"] = json!(has_more);
    Ok(reply)
}

/// `GET /v1/payment_intents/{id}`
pub(super) fn retrieve(ledger: &Ledger, id: &str) -> Reply {
    match ledger.payment(id) {
        Some(payment) => Reply::ok(intent(payment)),
        None => Reply::missing("intent", "payment_intent", id),
    }
}

/// `POST /v1/payment_intents/{id}/cancel`
pub(super) fn cancel(ledger: &mut Ledger, id: &str) -> Execution {
    let Some(payment) = ledger.payments.iter_mut().find(|payment| payment.payment_id == id) else {
        return Execution::refused(Reply::missing("intent", "payment_intent", id));
    };
    if matches!(
        payment.status,
        PaymentStatus::Succeeded | PaymentStatus::Canceled | PaymentStatus::Processing
    ) {
        let message = "You cannot cancel this PaymentIntent because of its status.".to_owned();
        return Execution::refused(Reply::unexpected_state(message, intent(payment)));
    }
    (payment.status, payment.settles) = (PaymentStatus::Canceled, None);
    Execution { reply: Reply::ok(intent(payment)), kept: true, takes: Duration::ZERO }
}

impl Execution {
    pub(super) fn refused(reply: Reply) -> Self {
        Execution { reply, kept: false, takes: Duration::ZERO }
    }
}

pub(super) fn intent(payment: &Payment) -> Value {
    let charged = payment.status == PaymentStatus::Succeeded;
    json!({
        "id": payment.payment_id,
        "object": "payment_intent",
        "amount": payment.amount,
        "amount_received": if charged { payment.amount } else { 0 },
        "currency": payment.currency,
        "created": payment.created.0 / 1000,
        "latest_charge": charged.then(|| charge_id(payment)),
        "livemode": false,
        "metadata": payment.order_id.as_ref().map_or_else(|| json!({}), |order_id| json!({ "order_id": order_id })),
        "payment_method": payment.payment_method,
        "status": payment.status,
    })
}

pub(super) fn charge_id(payment: &Payment) -> String {
    payment.payment_id.replacen("pi_", "ch_", 1)
}

fn searched_order(query: &str) -> Option<&str> {
    let value = query.trim().strip_prefix("metadata['order_id']:")?;
    let quoted = |quote: char| value.strip_prefix(quote)?.strip_suffix(quote);
    quoted('\'').or_else(|| quoted('"'))
}

fn api_key(authorization: &str) -> Option<String> {
    authorization.strip_prefix("Bearer ").map(|key| key.trim().to_owned()).filter(|key| !key.is_empty())
}

fn header(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name)?.to_str().ok().map(str::to_owned)
}
