//! What a role may do, as IAM itself decides it.

use std::collections::BTreeMap;

use anyhow::{Result, bail};
use aws_config::SdkConfig;

use crate::signed::Question;
use crate::xml;

/// Whether `role` may do each of `actions` on `resource` (`SimulatePrincipalPolicy`).
pub async fn decisions(
    sdk: &SdkConfig,
    role: &str,
    actions: &[&str],
    resource: &str,
) -> Result<BTreeMap<String, bool>> {
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.extend_pairs([("Action", "SimulatePrincipalPolicy"), ("Version", "2010-05-08")]);
    form.append_pair("PolicySourceArn", role).append_pair("ResourceArns.member.1", resource);
    for (number, action) in (1..).zip(actions) {
        form.append_pair(&format!("ActionNames.member.{number}"), action);
    }
    let right = "iam:SimulatePrincipalPolicy";
    let question = Question { region: Some("us-east-1"), ..Question::query("iam", right, form.finish()) };
    read(&xml::answer(sdk, question).await?)
}

/// Action and decision stand side by side, in no order that is promised.
fn read(answer: &str) -> Result<BTreeMap<String, bool>> {
    let (mut decisions, mut action, mut decision) = (BTreeMap::new(), None, None);
    for (name, text) in xml::texts(answer, &["EvalActionName", "EvalDecision"])? {
        *(if name == "EvalActionName" { &mut action } else { &mut decision }) = Some(text);
        if action.is_some() && decision.is_some() {
            decisions.extend(action.take().zip(decision.take().map(|decision| decision == "allowed")));
        }
    }
    if decisions.is_empty() {
        bail!("IAM's answer has no decision");
    }
    Ok(decisions)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(action: &str, decision: &str) -> String {
        format!(
            "<member><EvalActionName>{action}</EvalActionName><EvalDecision>{decision}</EvalDecision></member>"
        )
    }

    #[test]
    fn an_action_is_allowed_only_if_iam_says_allowed() {
        let members =
            [member("a:B", "allowed"), member("c:D", "implicitDeny"), member("e:F", "explicitDeny")];
        let turned =
            "<member><EvalDecision>allowed</EvalDecision><EvalActionName>g:H</EvalActionName></member>";
        let decisions = read(&format!("<R><E>{}{turned}</E></R>", members.concat())).unwrap();
        let expected = [("a:B", true), ("c:D", false), ("e:F", false), ("g:H", true)];
        assert_eq!(decisions, expected.map(|(action, may)| (action.to_owned(), may)).into());
    }

    #[test]
    fn an_answer_that_cannot_be_understood_is_no_decision() {
        for answer in ["", "<R/>", "{}", "<R><EvalDecision>allowed</EvalDecision></R>"] {
            assert!(read(answer).is_err(), "{answer}");
        }
    }
}
