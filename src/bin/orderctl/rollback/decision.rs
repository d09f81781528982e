//! Where to. Pure.

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::failure;
use crate::lambda::{number, weights};

/// What was seen.
#[derive(Debug, Clone)]
pub struct Seen {
    pub version: u64,
    pub weights: Vec<(u64, f64)>,
    /// What the alias must still be when it is moved.
    pub revision: String,
    pub versions: Vec<u64>,
    /// What is being deployed, in words.
    pub deploying: Vec<String>,
    even_in_deployment: bool,
}

/// What is done.
#[derive(Debug, PartialEq, Eq)]
pub struct Decision {
    pub to: u64,
    /// Whether the alias is something else.
    pub changes: bool,
}

impl Seen {
    pub fn new(
        alias: &Value,
        versions: Vec<u64>,
        deploying: Vec<String>,
        even_in_deployment: bool,
    ) -> Result<Seen> {
        let version = number(&alias["FunctionVersion"]).context(
            "the alias is no published version, so there is none before it\nname one: --to VERSION after publishing it",
        )?;
        let revision =
            alias["RevisionId"].as_str().context("Lambda names no revision of the alias")?.to_owned();
        Ok(Seen { version, weights: weights(alias), revision, versions, deploying, even_in_deployment })
    }

    /// What the alias was.
    pub fn words(&self) -> String {
        let shares =
            self.weights.iter().map(|(of, share)| format!(", with {} % for version {of}", share * 100.0));
        format!("version {}{}", self.version, shares.collect::<String>())
    }
}

/// To `wanted`, else to the version before.
pub fn decide(seen: &Seen, wanted: Option<u64>) -> Result<Decision> {
    if !seen.deploying.is_empty() && !seen.even_in_deployment {
        bail!(
            "{}\nwait until it is over; or move the alias all the same: --even-in-deployment",
            seen.deploying.join(", ")
        );
    }
    let to = match wanted {
        Some(wanted) => wanted,
        None => before(seen).with_context(|| {
            format!("no version before {} is published\nname another: --to VERSION", seen.version)
        })?,
    };
    if !seen.versions.contains(&to) {
        let versions: Vec<String> = seen.versions.iter().map(ToString::to_string).collect();
        return Err(failure::not_found(
            format!("version {to} is not published"),
            format!("these are: {}", versions.join(", ")),
        ));
    }
    Ok(Decision { to, changes: to != seen.version || !seen.weights.is_empty() })
}

/// A canary of a newer version leaves the alias at the one before; else that is the one published before.
fn before(seen: &Seen) -> Option<u64> {
    if seen.weights.iter().any(|(version, _)| *version > seen.version) {
        return Some(seen.version);
    }
    seen.versions.iter().copied().filter(|version| *version < seen.version).max()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn seen(version: &str, weights: Value, deploying: &[&str], even: bool) -> Result<Seen> {
        let routing = json!({ "AdditionalVersionWeights": weights });
        let alias = json!({ "FunctionVersion": version, "RevisionId": "r-1", "RoutingConfig": routing });
        Seen::new(&alias, vec![3, 5, 6, 7], deploying.iter().map(|one| (*one).to_owned()).collect(), even)
    }

    fn to(seen: Result<Seen>, wanted: Option<u64>) -> Result<(u64, bool)> {
        decide(&seen?, wanted).map(|Decision { to, changes }| (to, changes))
    }

    #[test]
    fn without_a_canary_it_goes_to_the_version_that_was_published_before() {
        for (from, expected) in [("7", 6), ("6", 5), ("5", 3)] {
            assert_eq!(to(seen(from, json!({}), &[], false), None).unwrap(), (expected, true));
        }
        let first = to(seen("3", json!({}), &[], false), None).unwrap_err();
        assert!(first.to_string().contains("--to VERSION"), "{first}");
    }

    #[test]
    fn a_canary_is_ended_where_it_began() {
        // 6 was given up before: the canary of 7 runs beside 5.
        assert_eq!(to(seen("5", json!({ "7": 0.1 }), &[], false), None).unwrap(), (5, true));
        // A share for an older version is no canary.
        assert_eq!(to(seen("7", json!({ "5": 0.5 }), &[], false), None).unwrap(), (6, true));
        let words = seen("5", json!({ "7": 0.1 }), &[], false).unwrap().words();
        assert_eq!(words, "version 5, with 10 % for version 7");
    }

    #[test]
    fn a_version_that_is_named_must_be_published_and_may_be_newer() {
        assert_eq!(to(seen("5", json!({}), &[], false), Some(7)).unwrap(), (7, true));
        assert_eq!(to(seen("5", json!({}), &[], false), Some(5)).unwrap(), (5, false));
        assert_eq!(to(seen("5", json!({ "7": 0.1 }), &[], false), Some(5)).unwrap(), (5, true));
        let unknown = to(seen("5", json!({}), &[], false), Some(4)).unwrap_err().to_string();
        assert!(unknown.contains("version 4") && unknown.contains("3, 5, 6, 7"), "{unknown}");
    }

    #[test]
    fn a_deployment_in_progress_is_left_alone_unless_it_is_asked_for() {
        let refused =
            to(seen("7", json!({}), &["the stack is UPDATE_IN_PROGRESS"], false), None).unwrap_err();
        let words = refused.to_string();
        assert!(words.contains("UPDATE_IN_PROGRESS") && words.contains("--even-in-deployment"), "{words}");
        assert_eq!(to(seen("7", json!({}), &["it is"], true), None).unwrap(), (6, true));
    }

    #[test]
    fn what_is_no_published_version_or_has_no_revision_is_refused() {
        assert!(seen("$LATEST", json!({}), &[], false).is_err());
        assert!(Seen::new(&json!({ "FunctionVersion": "7" }), vec![6, 7], Vec::new(), false).is_err());
    }
}
