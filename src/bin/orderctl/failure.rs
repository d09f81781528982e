//! What went wrong, and the command to try next.

use std::fmt;
use std::process::ExitCode;

use anyhow::anyhow;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use serde_json::json;

use crate::report::{self, FAILED, NOT_FOUND, USAGE};

/// What a script can tell from a failure by its exit code.
#[derive(Debug)]
enum Told {
    /// There is no such thing: exit code 3.
    NotFound(String),
    /// It was asked for in a way that cannot be done: exit code 2, as for what the command line itself refuses.
    Usage(String),
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Told::NotFound(words) | Told::Usage(words)) = self;
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
            anyhow!("{doing}: {code}{message}\nwho you are: aws sts get-caller-identity")
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
        None => ("failed", FAILED),
    };
    let words = report::called(&format!("{error:#}"), name);
    eprintln!("error: {words}");
    if json {
        report::print_document(&json!({ "error": { "kind": kind, "message": words } }));
    }
    ExitCode::from(code)
}
