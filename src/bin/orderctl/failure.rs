//! What went wrong, and the command to try next.

use std::fmt;
use std::process::ExitCode;

use anyhow::anyhow;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use serde_json::json;

use crate::policies;
use crate::report::{self, FAILED, NOT_FOUND, USAGE};

/// What a script can tell from a failure by its exit code.
#[derive(Debug)]
enum Told {
    /// There is no such thing: exit code 3.
    NotFound(String),
    /// It was asked for in a way that cannot be done: exit code 2, as for what the command line itself refuses.
    Usage(String),
    /// Whoever asked may not: exit code 1. With the right that it takes, if AWS names it.
    Denied { words: String, right: Option<String> },
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Told::NotFound(words) | Told::Usage(words) | Told::Denied { words, .. }) = self;
        f.write_str(words)
    }
}

impl std::error::Error for Told {}

/// `what` was wrong, and what is accepted.
pub fn usage(what: impl Into<String>) -> anyhow::Error {
    anyhow::Error::new(Told::Usage(what.into()))
}

/// `what` is not there; `next` says what to try.
pub fn not_found(what: impl Into<String>, next: impl fmt::Display) -> anyhow::Error {
    anyhow::Error::new(Told::NotFound(format!("{}\n{next}", what.into())))
}

/// Whether AWS refused because whoever asked lacks a right; and which, if it is known.
pub fn denied(error: &anyhow::Error) -> Option<Option<&str>> {
    match error.downcast_ref() {
        Some(Told::Denied { right, .. }) => Some(right.as_deref()),
        _ => None,
    }
}

fn lacks(words: &str, right: Option<&str>) -> anyhow::Error {
    let takes = right.map_or(String::new(), |right| format!("it takes the right {right}; "));
    let words = format!("{words}\n{takes}who you are: aws sts get-caller-identity");
    anyhow::Error::new(Told::Denied { words, right: right.map(str::to_owned) })
}

/// The right that AWS says is missing. What a policy denies explicitly, no right would help.
fn named_right(message: &str) -> Option<&str> {
    let right = message.split_once("not authorized to perform: ")?.1.split_whitespace().next()?;
    (!message.contains(EXPLICIT)).then(|| policies::spelled(right))
}

const EXPLICIT: &str = "explicit deny";

/// A signed request that AWS refused while `doing` something; `right` is what it takes.
pub fn refused(
    doing: impl fmt::Display,
    status: u16,
    code: &str,
    message: &str,
    right: &str,
) -> anyhow::Error {
    let words = [code, message].into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(": ");
    let words = format!("{doing}: {status} {words}").trim_end().to_owned();
    let says_so = ["AccessDenied", "AccessDeniedException", "AuthorizationError"].contains(&code);
    // Another one than the request's own, where a key is behind it.
    let named = named_right(message).or(says_so.then_some(right));
    match status {
        _ if named.is_some() && !message.contains(EXPLICIT) => lacks(&words, named),
        404 => not_found(words, "is the stack deployed? --stack NAME"),
        412 => anyhow!("{words}\nsomebody else has changed it since it was looked at: look again"),
        _ => anyhow!(words),
    }
}

/// An AWS call that failed while `doing` something.
pub fn aws<E, R>(doing: impl fmt::Display, error: SdkError<E, R>) -> anyhow::Error
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    R: fmt::Debug + Send + Sync + 'static,
{
    if !matches!(error, SdkError::ServiceError(_)) {
        let cause = root_cause(&error);
        return anyhow!("{doing}: no answer: {cause}\n{}", NO_ANSWER);
    }
    let code = error.code().unwrap_or("an error without a code").to_owned();
    let message = error.message().map(|message| format!(": {message}")).unwrap_or_default();
    match code.rsplit('.').next().unwrap_or(&code) {
        "QueueDoesNotExist" | "NonExistentQueue" | "ResourceNotFoundException" => {
            anyhow!("{doing}: {code}{message}\n{NAMES}")
        }
        "ExpiredToken" | "ExpiredTokenException" | "UnrecognizedClientException" | "InvalidClientTokenId" => {
            anyhow!("{doing}: {code}{message}\nrenew your credentials: aws sso login, or set AWS_PROFILE")
        }
        "AccessDenied" | "AccessDeniedException" => {
            let words = format!("{doing}: {code}{message}");
            if message.contains(EXPLICIT) { anyhow!(words) } else { lacks(&words, named_right(&message)) }
        }
        _ => anyhow!("{doing}: {code}{message}"),
    }
}

const NO_ANSWER: &str = "is the endpoint right and is something listening? `make dev` starts a local stack";
const NAMES: &str =
    "name the right one with --stack NAME, or with --table and --queue-url; `make dev` starts a local stack";

/// The innermost error: the SDK's own words for a lost connection are only "dispatch failure".
fn root_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

/// Says it on standard error, and with `json` also in the one document on standard output.
pub fn print(error: &anyhow::Error, json: bool, name: &str) -> ExitCode {
    let (kind, code) = match error.downcast_ref() {
        Some(Told::NotFound(_)) => ("not_found", NOT_FOUND),
        Some(Told::Usage(_)) => ("usage", USAGE),
        Some(Told::Denied { .. }) | None => ("failed", FAILED),
    };
    let words = report::called(&format!("{error:#}"), name);
    eprintln!("error: {words}");
    if json {
        report::print_document(&json!({ "error": { "kind": kind, "message": words } }));
    }
    ExitCode::from(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_names_the_right_that_it_takes() {
        let told = "User: arn:aws:iam::000000000000:user/x is not authorized to perform: sqs:getqueueattributes on resource: y";
        assert_eq!(named_right(told), Some("sqs:GetQueueAttributes"));
        assert_eq!(named_right("no"), None);
        let (own, named) = ("a:B", "sqs:GetQueueAttributes");
        for (code, message, right) in
            [("AccessDeniedException", "", own), ("", told, named), ("AuthorizationError", "no", own)]
        {
            let error = refused("asking", 403, code, message, own);
            assert_eq!(denied(&error), Some(Some(right)), "{error}");
            assert!(error.to_string().contains(right), "{error}");
        }
        let explicitly = format!("{told} with an explicit deny in a resource-based policy");
        assert_eq!(named_right(&explicitly), None);
        assert_eq!(denied(&refused("asking", 403, "AccessDeniedException", &explicitly, own)), None);
        for (status, code) in [(403, "InvalidClientTokenId"), (404, "ResourceNotFoundException"), (500, "")] {
            assert_eq!(denied(&refused("asking", status, code, "no", "a:B")), None, "{code}");
        }
    }
}
