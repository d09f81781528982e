//! Who is told when something is wrong, and how long messages wait.

use serde_json::Value;

use super::{Attributes, Facts};
use crate::cloudwatch::CloudWatch;
use crate::deployment::{Resources, of_type};
use crate::sns;
use crate::target::Target;

/// The stack's alarms, and the subscriptions of the topics that they tell.
pub async fn alarms(target: &Target, facts: &mut Facts, resources: Option<&Resources>) {
    let Some(resources) = resources else { return };
    let names = of_type(resources, &["AWS::CloudWatch::Alarm", "AWS::CloudWatch::CompositeAlarm"]);
    let names: Vec<String> = names.into_iter().map(str::to_owned).collect();
    let read = CloudWatch(target.sdk()).alarms(&names).await;
    facts.alarm_names = Some(names);
    facts.alarms = facts.note("the alarms", "cloudwatch:DescribeAlarms", read);
    let alarms = facts.alarms.iter().flatten();
    let mut topics: Vec<String> = alarms.flat_map(actions).filter(|action| is_topic(action)).collect();
    topics.sort();
    topics.dedup();
    for topic in topics {
        let read = sns::subscriptions(target.sdk(), &topic).await;
        let read = facts.note("a topic that alarms tell", "sns:ListSubscriptionsByTopic", read);
        facts.topics.extend(read.map(|subscriptions| (topic, subscriptions)));
    }
}

/// The ARNs of what an alarm tells.
pub fn actions(alarm: &Value) -> Vec<String> {
    let actions = alarm["AlarmActions"].as_array().into_iter().flatten();
    actions.filter_map(|action| action.as_str().map(str::to_owned)).collect()
}

/// Whether what an alarm tells is a topic.
pub fn is_topic(action: &str) -> bool {
    action.split(':').nth(2) == Some("sns")
}

/// As SQS tells CloudWatch, of the queues that somebody is to empty.
pub async fn oldest_messages(target: &Target, facts: &mut Facts) {
    let queues: Vec<String> = facts.source.iter().chain(facts.outgoing.values()).filter_map(name).collect();
    if target.stack().is_some() && !queues.is_empty() {
        let read = CloudWatch(target.sdk()).oldest_messages(&queues).await;
        facts.oldest = facts.note("the age of the oldest messages", "cloudwatch:GetMetricData", read);
    }
}

/// A queue's name.
pub fn name(queue: &Attributes) -> Option<String> {
    Some(queue.get("QueueArn")?.rsplit(':').next()?.to_owned())
}
