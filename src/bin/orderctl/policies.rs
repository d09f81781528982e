//! The rights that this program takes, as the policies of `infra/policies` grant them.

/// What the commands take that change nothing (`infra/policies/operator-read.json`).
///
/// Looking into a dead-letter queue is receiving from it, and giving back what was received.
pub const READ: [&str; 22] = [
    "cloudformation:DescribeStacks",
    "cloudformation:ListStackResources",
    "cloudwatch:DescribeAlarms",
    "cloudwatch:GetMetricData",
    "codedeploy:ListDeployments",
    "dynamodb:DescribeContinuousBackups",
    "dynamodb:DescribeTable",
    "dynamodb:DescribeTimeToLive",
    "dynamodb:GetItem",
    "dynamodb:Scan",
    "iam:SimulatePrincipalPolicy",
    "lambda:GetAccountSettings",
    "lambda:GetAlias",
    "lambda:GetEventSourceMapping",
    "lambda:GetFunctionConcurrency",
    "lambda:GetFunctionConfiguration",
    "lambda:ListVersionsByFunction",
    "sns:ListSubscriptionsByTopic",
    "sqs:ChangeMessageVisibility",
    "sqs:GetQueueAttributes",
    "sqs:GetQueueUrl",
    "sqs:ReceiveMessage",
];

/// What those take besides that change something (`infra/policies/operator.json`).
#[cfg(test)]
const CHANGE: [&str; 6] = [
    "dynamodb:UpdateItem",
    "lambda:UpdateAlias",
    "lambda:UpdateEventSourceMapping",
    "sqs:DeleteMessage",
    "sqs:SendMessage",
    "sts:GetCallerIdentity",
];

/// `right` as AWS's own documents spell it: its refusals write some in lower case.
pub fn spelled(right: &str) -> &str {
    READ.iter().find(|known| known.eq_ignore_ascii_case(right)).copied().unwrap_or(right)
}

#[cfg(test)]
mod tests;
