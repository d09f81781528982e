//! Whether somebody is told.

use super::*;

fn alarms(change: impl Fn(&mut Vec<Value>)) -> Facts {
    let mut facts = healthy();
    change(facts.alarms.as_mut().unwrap());
    facts
}

fn in_production(mut facts: Facts) -> Facts {
    deployed(&mut facts, |setup| setup["Environment"]["Variables"]["ENVIRONMENT"] = json!("prod"));
    facts
}

#[test]
fn an_alarm_that_is_gone_or_tells_nobody_is_found_by_its_name() {
    for (facts, how) in [
        (alarms(|all| drop(all.pop())), "b is not there"),
        (alarms(|all| all[1]["ActionsEnabled"] = json!(false)), "b is switched off"),
        (alarms(|all| all[1]["AlarmActions"] = json!([])), "b is without actions"),
    ] {
        let finding = findings(&facts).into_iter().find(|finding| finding.rule == "alarms").unwrap();
        assert!(finding.level == Level::Error && finding.what == how, "{finding:?}");
        assert_eq!(level(&facts, "ringing"), Level::Ok);
    }
    assert_eq!(level(&healthy(), "alarms"), Level::Ok);
    assert_eq!(level(&Facts { alarms: None, ..healthy() }, "alarms"), Level::Unknown);
}

#[test]
fn a_stack_without_alarms_is_found_and_in_production_is_an_error() {
    let none = || Facts { alarm_names: Some(Vec::new()), alarms: Some(Vec::new()), ..healthy() };
    assert_eq!(level(&none(), "alarms"), Level::Warning);
    assert_eq!(level(&in_production(none()), "alarms"), Level::Error);
    assert_eq!(level(&Facts { alarm_names: None, ..healthy() }, "alarms"), Level::Unknown);
}

#[test]
fn what_rings_is_told() {
    let facts = alarms(|all| all[0]["StateValue"] = json!("ALARM"));
    let finding = findings(&facts).into_iter().find(|finding| finding.rule == "ringing").unwrap();
    assert_eq!((finding.level, finding.what.as_str()), (Level::Warning, "a"));
    assert_eq!(level(&healthy(), "ringing"), Level::Ok);
    for unread in [None, Some(Vec::new())] {
        assert_eq!(level(&Facts { alarms: unread, ..healthy() }, "ringing"), Level::Unknown);
    }
}

#[test]
fn a_topic_without_a_confirmed_subscription_is_found() {
    let of = |subscriptions: &[&str]| {
        let subscriptions = subscriptions.iter().map(|one| (*one).to_owned()).collect();
        Facts { topics: [(TOPIC.to_owned(), subscriptions)].into(), ..healthy() }
    };
    for bad in [&[][..], &["PendingConfirmation"], &["arn:1", "PendingConfirmation"]] {
        assert_eq!(level(&of(bad), "subscribers"), Level::Warning, "{bad:?}");
        assert_eq!(level(&in_production(of(bad)), "subscribers"), Level::Error, "{bad:?}");
    }
    assert_eq!(level(&of(&["arn:1"]), "subscribers"), Level::Ok);
    assert_eq!(level(&Facts { topics: BTreeMap::new(), ..healthy() }, "subscribers"), Level::Unknown);
    // A second topic, whose subscriptions could not be read.
    let other = json!(["arn:aws:sns:eu-west-1:000000000000:other"]);
    let unread = alarms(|all| all[1]["AlarmActions"] = other.clone());
    assert_eq!(level(&unread, "subscribers"), Level::Unknown);
    assert_eq!(level(&Facts { topics: of(&[]).topics, ..unread }, "subscribers"), Level::Warning);
    // What is no topic has no subscriptions.
    let lambda = json!([TOPIC, "arn:aws:lambda:eu-west-1:000000000000:function:page"]);
    assert_eq!(level(&alarms(|all| all[1]["AlarmActions"] = lambda.clone()), "subscribers"), Level::Ok);
}
