//! The requests to CloudWatch's API that are needed here.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result};
use aws_config::SdkConfig;
use http::Method;
use order_processor::clock::{Clock, UnixMillis};
use serde_json::{Value, json};

use crate::signed::{self, Question};

/// CloudWatch's own maximum for one request.
const ALARMS_AT_A_TIME: usize = 100;
/// SQS tells its queues' metrics once a minute, some minutes late.
const LOOKBACK: Duration = Duration::from_secs(15 * 60);

/// CloudWatch's API.
pub struct CloudWatch<'a>(pub &'a SdkConfig);

impl CloudWatch<'_> {
    /// Those of the alarms with these names that are there, composite ones too.
    pub async fn alarms(&self, names: &[String]) -> Result<Vec<Value>> {
        let mut found = Vec::new();
        for names in names.chunks(ALARMS_AT_A_TIME) {
            let content = json!({
                "AlarmNames": names,
                "AlarmTypes": ["MetricAlarm", "CompositeAlarm"],
                "MaxRecords": ALARMS_AT_A_TIME,
            });
            let wanted = "GraniteServiceVersion20100801.DescribeAlarms";
            let answer = self.ask("cloudwatch:DescribeAlarms", wanted, &content).await?;
            found.extend(
                answer["MetricAlarms"].as_array().context("CloudWatch's answer has no alarms")?.clone(),
            );
            found.extend(answer["CompositeAlarms"].as_array().into_iter().flatten().cloned());
        }
        Ok(found)
    }

    /// The age in seconds of the oldest message of each queue, by its name, where SQS has told one lately.
    pub async fn oldest_messages(&self, queues: &[String]) -> Result<BTreeMap<String, u64>> {
        let UnixMillis(now) = Clock::system().now();
        let (start, end) = (now.saturating_sub(LOOKBACK.as_millis() as u64) / 1000, now / 1000);
        let queries: Vec<Value> =
            queues.iter().enumerate().map(|(place, queue)| oldest_of(place, queue)).collect();
        let content = json!({ "StartTime": start, "EndTime": end, "MetricDataQueries": queries });
        let wanted = "GraniteServiceVersion20100801.GetMetricData";
        let answer = self.ask("cloudwatch:GetMetricData", wanted, &content).await?;
        let results = answer["MetricDataResults"].as_array().context("CloudWatch's answer has no results")?;
        let age = |(place, queue): (usize, &String)| {
            let result = results.iter().find(|result| result["Id"] == id(place))?;
            // The newest comes first.
            Some((queue.clone(), result["Values"][0].as_f64()? as u64))
        };
        Ok(queues.iter().enumerate().filter_map(age).collect())
    }

    async fn ask(&self, right: &'static str, wanted: &'static str, content: &Value) -> Result<Value> {
        let question = Question {
            right,
            service: "monitoring",
            region: None,
            method: Method::POST,
            path: "/",
            content_type: "application/x-amz-json-1.0",
            wanted: Some(wanted),
            body: content.to_string(),
        };
        signed::json(self.0, question).await
    }
}

fn id(place: usize) -> String {
    format!("q{place}")
}

fn oldest_of(place: usize, queue: &str) -> Value {
    let metric = json!({
        "Namespace": "AWS/SQS",
        "MetricName": "ApproximateAgeOfOldestMessage",
        "Dimensions": [{ "Name": "QueueName", "Value": queue }],
    });
    json!({ "Id": id(place), "MetricStat": { "Metric": metric, "Period": 60, "Stat": "Maximum" } })
}
