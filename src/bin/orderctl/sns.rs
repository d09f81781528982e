//! The one request to SNS's API that is needed here.

use anyhow::{Result, ensure};
use aws_config::SdkConfig;

use crate::signed::Question;
use crate::xml;

/// The subscriptions of a topic, each as its ARN, or as `PendingConfirmation` until its owner has confirmed it.
pub async fn subscriptions(sdk: &SdkConfig, topic: &str) -> Result<Vec<String>> {
    let (mut found, mut next) = (Vec::new(), None::<String>);
    loop {
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.extend_pairs([("Action", "ListSubscriptionsByTopic"), ("Version", "2010-03-31")]);
        form.append_pair("TopicArn", topic).extend_pairs(next.iter().map(|next| ("NextToken", next)));
        let question = Question::query("sns", "sns:ListSubscriptionsByTopic", form.finish());
        let answer = xml::answer(sdk, question).await?;
        ensure!(answer.contains("<ListSubscriptionsByTopicResult"), "SNS's answer has no subscriptions");
        next = None;
        for (name, text) in xml::texts(&answer, &["SubscriptionArn", "NextToken"])? {
            match name.as_str() {
                "NextToken" => next = Some(text).filter(|token| !token.is_empty()),
                _ => found.push(text),
            }
        }
        if next.is_none() {
            return Ok(found);
        }
    }
}
