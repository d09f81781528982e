//! Whether somebody is told when something is wrong.

use serde_json::Value;

use super::{Verdict, advice, by_environment, unknown, verdict};
use crate::doctor::facts::{Facts, actions, is_topic};

fn name(alarm: &Value) -> &str {
    alarm["AlarmName"].as_str().unwrap_or_default()
}

pub(super) fn alarms(facts: &Facts) -> Option<Verdict> {
    let names = facts.alarm_names.as_ref()?;
    if names.is_empty() {
        let what = "the stack has none (Monitoring=false)".to_owned();
        return by_environment(facts, false, what, "Monitoring=true: nobody is told of what fails or waits");
    }
    let alarms = facts.alarms.as_ref()?;
    let gone = names.iter().filter(|wanted| !alarms.iter().any(|alarm| name(alarm) == *wanted));
    let off = alarms
        .iter()
        .filter(|alarm| alarm["ActionsEnabled"] != true)
        .map(|alarm| ("switched off", name(alarm)));
    let mute =
        alarms.iter().filter(|alarm| actions(alarm).is_empty()).map(|alarm| ("without actions", name(alarm)));
    let bad = gone.map(|name| ("not there", name.as_str())).chain(off).chain(mute);
    let bad: Vec<String> = bad.map(|(how, name)| format!("{name} is {how}")).collect();
    let what = match bad.is_empty() {
        true => format!("all {} of the stack are there and tell somebody", names.len()),
        false => bad.join(", "),
    };
    let fix = "aws cloudwatch enable-alarm-actions for one that is switched off; make one that is gone again as template.yaml has it: CloudFormation does not miss it before it changes there";
    verdict(bad.is_empty(), what, fix)
}

pub(super) fn ringing(facts: &Facts) -> Option<Verdict> {
    let alarms = facts.alarms.as_ref()?;
    if alarms.is_empty() {
        return unknown("there is no alarm");
    }
    let ringing = alarms.iter().filter(|alarm| alarm["StateValue"] == "ALARM").map(name);
    let ringing: Vec<&str> = ringing.collect();
    let what = if ringing.is_empty() { "no alarm rings".to_owned() } else { ringing.join(", ") };
    advice(ringing.is_empty(), what, "the runbook that the alarm's description names")
}

/// A topic without a subscription tells nobody, and one that waits for its confirmation does not either.
pub(super) fn subscribers(facts: &Facts) -> Option<Verdict> {
    let topics = facts.alarms.as_ref()?.iter().flat_map(actions).filter(|action| is_topic(action));
    let topics: Vec<String> = topics.collect();
    if topics.is_empty() {
        return unknown("no alarm tells a topic");
    }
    let pending = |all: &[String]| all.iter().filter(|one| *one == "PendingConfirmation").count();
    let bad = facts.topics.iter().filter_map(|(topic, all)| match (pending(all), all.len()) {
        (_, 0) => Some(format!("{topic} has none")),
        (0, _) => None,
        (waiting, _) => Some(format!("{topic} has {waiting} that nobody has confirmed")),
    });
    let bad: Vec<String> = bad.collect();
    // That one topic has none is known even if another cannot be read.
    if bad.is_empty() && !topics.iter().all(|topic| facts.topics.contains_key(topic)) {
        return None;
    }
    let what = if bad.is_empty() { "every topic of the alarms has some".to_owned() } else { bad.join(", ") };
    let fix = "subscribe whoever is on call (AlarmEmail, or aws sns subscribe), and follow the link in the mail that SNS sent: alarms ring unheard";
    by_environment(facts, bad.is_empty(), what, fix)
}
