//! Templates that were broken on purpose: every rule catches what it is for, and says where and what.

use serde_json::{Value, json};

use super::cases::template;
use super::{RULES, every_rule, findings, findings_at_ends};

/// A change of the template: the path, with `/` between, and the value there, or `None` to remove what is there.
type Change = (&'static str, Option<Value>);

/// The rule that must find it, the changes, the resource, and a part of what is wanted.
type Mutation = (&'static str, Vec<Change>, &'static str, &'static str);

fn set(path: &'static str, value: Value) -> Vec<Change> {
    vec![(path, Some(value))]
}

fn remove(path: &'static str) -> Vec<Change> {
    vec![(path, None)]
}

#[rustfmt::skip] // a table
fn mutations_of_queues() -> Vec<Mutation> {
    const R: &str = "a RedrivePolicy";
    vec![
        ("T01", remove("Resources/OrdersQueue/Properties/RedrivePolicy"), "OrdersQueue", R),
        ("T01", remove("Resources/WarehouseQueue/Properties/RedrivePolicy"), "WarehouseQueue", R),
        ("T01", remove("Resources/NotificationsQueue/Properties/RedrivePolicy"), "NotificationsQueue", R),
        ("T01", remove("Resources/NotificationsDeadLetterQueue"), "NotificationsQueue", R),
        ("T01", remove("Resources/NotificationsQueue/Properties/RedrivePolicy/deadLetterTargetArn"), "NotificationsQueue", R),
        ("T01", set("Resources/NotificationsQueue/Properties/RedrivePolicy/deadLetterTargetArn", json!({"Fn::GetAtt": "OrdersQueue.Arn"})), "NotificationsQueue", "that nobody consumes"),
        ("T01", set("Resources/NotificationsQueue/Properties/RedrivePolicy", json!({"Fn::If": ["IsProduction", {"Ref": "AWS::NoValue"}, {"deadLetterTargetArn": {"Fn::GetAtt": ["NotificationsDeadLetterQueue", "Arn"]}, "maxReceiveCount": 10}]})), "NotificationsQueue", R),
        ("T01", set("Resources/OrderProcessor/Properties/Environment/Variables/DEAD_LETTER_QUEUE_URL", json!({"Ref": "WarehouseDeadLetterQueue"})), "OrderProcessorOrders", "DEAD_LETTER_QUEUE_URL"),
        ("T01", remove("Resources/OrderProcessor/Properties/Environment/Variables/NOTIFICATIONS_QUEUE_URL"), "the stack", "notifications queue"),
        ("T02", vec![("Resources/OrdersQueue/Properties/RedrivePolicy/maxReceiveCount", Some(json!(4))), ("Resources/OrderProcessor/Properties/Environment/Variables/MAX_RECEIVE_COUNT", Some(json!(4)))], "OrdersQueue", "from 5 to 1000"),
        ("T02", set("Resources/NotificationsQueue/Properties/RedrivePolicy/maxReceiveCount", json!("4")), "NotificationsQueue", "from 5 to 1000"),
        ("T02", set("Resources/WarehouseQueue/Properties/RedrivePolicy/maxReceiveCount", json!(1001)), "WarehouseQueue", "from 5 to 1000"),
        ("T02", remove("Resources/WarehouseQueue/Properties/RedrivePolicy/maxReceiveCount"), "WarehouseQueue", "from 5 to 1000"),
        ("T02", set("Resources/WarehouseQueue/Properties/RedrivePolicy", json!({"Fn::Sub": "{\"deadLetterTargetArn\":\"${WarehouseDeadLetterQueue.Arn}\",\"maxReceiveCount\":3}"})), "WarehouseQueue", "from 5 to 1000"),
        ("T02", set("Resources/OrderProcessor/Properties/Environment/Variables/MAX_RECEIVE_COUNT", json!("19")), "OrdersQueue", "MAX_RECEIVE_COUNT"),
        ("T02", set("Parameters/MaxReceiveCount/Default", json!(4)), "OrdersQueue", "from 5 to 1000"),
        ("T03", remove("Resources/OrdersDeadLetterQueue/Properties/MessageRetentionPeriod"), "OrdersDeadLetterQueue", "MessageRetentionPeriod"),
        ("T03", set("Resources/OrdersQueue/Properties/MessageRetentionPeriod", json!(1_209_600)), "OrdersDeadLetterQueue", "a longer MessageRetentionPeriod"),
        ("T03", set("Resources/WarehouseQueue/Properties/MessageRetentionPeriod", json!(345_600)), "WarehouseQueue", "of 1209600, not 345600"),
        ("T03", remove("Resources/WarehouseQueue/Properties/MessageRetentionPeriod"), "WarehouseQueue", "of 1209600"),
        ("T03", set("Resources/WarehouseDeadLetterQueue/Properties/MessageRetentionPeriod", json!(1_209_599)), "WarehouseDeadLetterQueue", "of 1209600"),
        ("T03", set("Resources/NotificationsQueue/Properties/MessageRetentionPeriod", json!("864000")), "NotificationsQueue", "of 1209600, not 864000"),
        ("T03", set("Resources/NotificationsDeadLetterQueue/Properties/MessageRetentionPeriod", json!("345600")), "NotificationsDeadLetterQueue", "of 1209600"),
        ("T04", remove("Resources/OrdersDeadLetterQueue/Properties/RedriveAllowPolicy"), "OrdersDeadLetterQueue", "RedriveAllowPolicy"),
        ("T04", set("Resources/OrdersDeadLetterQueue/Properties/RedriveAllowPolicy/redrivePermission", json!("allowAll")), "OrdersDeadLetterQueue", "byQueue"),
        ("T04", set("Resources/WarehouseDeadLetterQueue/Properties/RedriveAllowPolicy/sourceQueueArns", json!([{"Fn::GetAtt": "NotificationsQueue.Arn"}])), "WarehouseDeadLetterQueue", "WarehouseQueue alone"),
        ("T04", set("Resources/WarehouseDeadLetterQueue/Properties/RedriveAllowPolicy/sourceQueueArns/1", json!({"Fn::GetAtt": "OrdersQueue.Arn"})), "WarehouseDeadLetterQueue", "alone"),
        ("T05", remove("Resources/OrdersQueuePolicy/Properties/PolicyDocument/Statement/RefuseWithoutTls"), "OrdersQueue", "SecureTransport"),
        ("T05", remove("Resources/OtherQueuesPolicy/Properties/Queues/0"), "OrdersDeadLetterQueue", "SecureTransport"),
        ("T05", remove("Resources/OtherQueuesPolicy"), "NotificationsDeadLetterQueue", "SecureTransport"),
        ("T05", set("Resources/OrdersQueuePolicy/Properties/PolicyDocument/Statement/RefuseWithoutTls/Effect", json!("Allow")), "OrdersQueue", "denies"),
        ("T05", set("Resources/OrdersQueuePolicy/Properties/PolicyDocument/Statement/RefuseWithoutTls/Condition/Bool/aws:SecureTransport", json!("true")), "OrdersQueue", "SecureTransport"),
        ("T05", set("Resources/OrdersQueuePolicy/Properties/PolicyDocument/Statement/RefuseWithoutTls/Condition/StringEquals", json!({"aws:PrincipalAccount": "1"})), "OrdersQueue", "SecureTransport"),
        ("T05", set("Resources/OrdersQueuePolicy/Properties/PolicyDocument/Statement/RefuseWithoutTls/Action", json!("sqs:SendMessage")), "OrdersQueue", "sqs:*"),
        ("T05", set("Resources/OrdersQueuePolicy/Properties/PolicyDocument/Statement/RefuseWithoutTls/Principal", json!({"AWS": "arn:aws:iam::123456789012:root"})), "OrdersQueue", "SecureTransport"),
        ("T05", set("Resources/OrdersQueuePolicy/Properties/PolicyDocument/Statement/RefuseWithoutTls/Resource", json!({"Fn::GetAtt": "WarehouseQueue.Arn"})), "OrdersQueue", "SecureTransport"),
        ("T05", set("Resources/OtherQueuesPolicy/Properties/Queues/5", json!({"Ref": "OrdersQueue"})), "OrdersQueue", "one policy"),
        ("T06", set("Resources/OrdersQueuePolicy/Properties/PolicyDocument/Statement/1/Fn::If/1/Principal", json!("*")), "OrdersQueuePolicy", "principals by name"),
        ("T06", set("Resources/OrdersQueuePolicy/Properties/PolicyDocument/Statement/1/Fn::If/1/Principal", json!({"AWS": "*"})), "OrdersQueuePolicy", "principals by name"),
        ("T06", set("Resources/OrdersQueuePolicy/Properties/PolicyDocument/Statement/1/Fn::If/1/Principal", json!({"AWS": ["arn:aws:iam::1:role/a", "*"]})), "OrdersQueuePolicy", "principals by name"),
        ("T06", remove("Resources/OrdersQueuePolicy/Properties/PolicyDocument/Statement/1/Fn::If/1/Principal"), "OrdersQueuePolicy", "principals by name"),
        ("T06", set("Resources/OrdersQueuePolicy/Properties/PolicyDocument/Statement/1/Fn::If/1/Action", json!("sqs:*")), "OrdersQueuePolicy", "without wildcards"),
        ("T06", set("Resources/OtherQueuesPolicy/Properties/PolicyDocument/Statement/1", json!({"Effect": "Allow", "Principal": {"Service": "sns.amazonaws.com"}, "Action": "sqs:SendMessage", "Resource": "*"})), "OtherQueuesPolicy", "aws:SourceArn"),
        ("T06", remove("Resources/OrdersQueuePolicy/Properties/PolicyDocument/Statement/2/Fn::If/1/Condition"), "OrdersQueuePolicy", "aws:SourceAccount or"),
        ("T06", remove("Resources/OrdersQueuePolicy/Properties/PolicyDocument/Statement/3/Fn::If/1/Condition"), "OrdersQueuePolicy", "aws:SourceAccount or"),
        ("T06", set("Resources/OrdersQueuePolicy/Properties/PolicyDocument/Statement/3/Fn::If/1/Condition", json!({"ArnNotEquals": {"aws:SourceArn": "arn:aws:events:us-east-1:1:rule/a"}})), "OrdersQueuePolicy", "aws:SourceAccount or"),
        ("T06", set("Resources/OrdersQueuePolicy/Properties/PolicyDocument/Statement/2/Fn::If/1/Condition", json!({"ArnLike": {"aws:SourceArn": "arn:aws:sns:*"}})), "OrdersQueuePolicy", "aws:SourceAccount or"),
        ("T06", remove("Resources/AlarmTopicPolicy/Properties/PolicyDocument/Statement/AlarmsPublish/Condition"), "AlarmTopicPolicy", "aws:SourceAccount"),
        ("T28", remove("Resources/WarehouseOldestMessageAlarm"), "WarehouseQueue", "ApproximateAgeOfOldestMessage"),
        ("T28", set("Resources/NotificationsOldestMessageAlarm/Properties/Dimensions/0/Value", json!({"Fn::GetAtt": "WarehouseQueue.QueueName"})), "NotificationsQueue", "ApproximateAgeOfOldestMessage"),
        ("T28", remove("Resources/OldestMessageAlarm"), "OrdersQueue", "ApproximateAgeOfOldestMessage"),
        ("T28", remove("Resources/WarehouseStuckAlarm"), "WarehouseQueue", "NumberOfMessagesDeleted"),
        ("T28", set("Resources/NotificationsStuckAlarm/Condition", json!("HasOwnTopic")), "NotificationsQueue", "NumberOfMessagesDeleted"),
    ]
}

#[rustfmt::skip]
fn mutations_of_polling() -> Vec<Mutation> {
    const E: &str = "OrderProcessorOrders";
    vec![
        ("T07", set("Mappings/Timing/60/Visibility", json!(360)), E, "at least 361"),
        ("T07", set("Mappings/Timing/60/Visibility", json!("359")), E, "at least 361"),
        ("T07", set("Mappings/Timing/900/Visibility", json!(5401)), E, "at least 5402"),
        ("T07", remove("Resources/OrdersQueue/Properties/VisibilityTimeout"), E, "not 30 s"),
        ("T07", set("Resources/OrderProcessor/Properties/Timeout", json!(901)), E, "at least 5407"),
        ("T07", set("Resources/OrderProcessor/Properties/Events/Orders/Properties/MaximumBatchingWindowInSeconds", json!(300)), E, "at least"),
        ("T08", remove("Resources/OrderProcessor/Properties/Events/Orders/Properties/FunctionResponseTypes"), E, "ReportBatchItemFailures"),
        ("T08", set("Resources/OrderProcessor/Properties/Events/Orders/Properties/FunctionResponseTypes", json!([])), E, "ReportBatchItemFailures"),
        ("T08", set("Resources/OrderProcessor/Properties/Events/Orders/Properties/FunctionResponseTypes", json!(["ReportBatchItemFailure"])), E, "ReportBatchItemFailures"),
        ("T08", remove("Resources/OrderProcessor/Properties/Events"), "the stack", "an event source mapping"),
        ("T08", set("Resources/OrderProcessor/Properties/Events/Orders/Properties/Queue", json!("arn:aws:sqs:us-east-1:123456789012:elsewhere")), E, "a queue of this stack"),
        ("T08", set("Resources/Second", json!({"Type": "AWS::Lambda::EventSourceMapping", "Properties": {"FunctionName": {"Ref": "OrderProcessor"}, "EventSourceArn": {"Fn::Sub": "${OrdersQueue.Arn}"}}})), "Second", "ReportBatchItemFailures"),
        ("T09", vec![("Resources/OrderProcessor/Properties/Events/Orders/Properties/BatchSize", Some(json!(11))), ("Resources/OrderProcessor/Properties/Events/Orders/Properties/MaximumBatchingWindowInSeconds", None)], E, "a batching window"),
        ("T09", set("Resources/OrderProcessor/Properties/Events/Orders/Properties/MaximumBatchingWindowInSeconds", json!("0")), E, "a batching window"),
        ("T09", set("Resources/OrderProcessor/Properties/Events/Orders/Properties/BatchSize", json!(10_001)), E, "from 1 to 10000"),
        ("T09", set("Resources/OrdersQueue/Properties/FifoQueue", json!(true)), E, "from 1 to 10"),
        ("T10", set("Resources/OrderProcessor/Properties/Events/Orders/Properties/ProvisionedPollerConfig", json!({"MinimumPollers": 2})), E, "not both"),
        ("T10", vec![("Resources/OrderProcessor/Properties/Events/Orders/Properties/ScalingConfig", None), ("Resources/OrderProcessor/Properties/Events/Orders/Properties/ProvisionedPollerConfig", Some(json!({"MinimumPollers": 1})))], E, "from 2 to 200"),
        ("T10", set("Parameters/ProvisionedPollers/MaxValue", json!(201)), E, "from 2 to 200"),
        ("T11", set("Resources/OrderProcessor/Properties/ReservedConcurrentExecutions", json!(19)), E, "at most 19"),
        ("T11", set("Resources/OrderProcessor/Properties/Events/Orders/Properties/ScalingConfig", json!({"MaximumConcurrency": 1})), E, "from 2 to 1000"),
        ("T11", set("Resources/OrderProcessor/Properties/Events/Orders/Properties/ScalingConfig", json!({"MaximumConcurrency": "1001"})), E, "from 2 to 1000"),
        ("T11", remove("Resources/OrderProcessor/Properties/Events/Orders/Properties/ScalingConfig"), E, "at most 20"),
        ("T12", set("Resources/OrderProcessor/Properties/Events/Orders/Properties/FilterCriteria", json!({"Filters": [{"Pattern": "{\"body\":{\"v\":[1]}}"}]})), E, "no FilterCriteria"),
        ("T14", set("Mappings/Timing/60/LeaseGraceMs", json!("302000")), E, "a lease, 362000 ms, below"),
        ("T14", set("Resources/OrderProcessor/Properties/Environment/Variables/LEASE_GRACE_MS", json!("5 s")), E, "to be a number"),
        ("T15", set("Resources/OrderProcessor/Properties/Environment/Variables/RETENTION_DAYS", json!(21)), E, "at least 22, not 21"),
        ("T15", set("Parameters/RetentionDays/Default", json!(21)), E, "at least 22, not 21"),
        ("T15", set("Resources/OrdersQueue/Properties/MessageRetentionPeriod", json!(345_601)), E, "at least 23"),
        ("T15", set("Resources/OrderProcessor/Properties/Environment/Variables/MAX_ORDER_AGE_DAYS", json!("30")), E, "below RETENTION_DAYS"),
        ("T15", set("Resources/OrderProcessor/Properties/Environment/Variables/RETENTION_DAYS", json!("a month")), E, "to be numbers"),
        ("T15", set("Parameters/MaxOrderAgeDays/MaxValue", json!(22)), E, "22, below RETENTION_DAYS, 22"),
        ("T15", set("Parameters/RetentionDays/MinValue", json!(21)), E, "at least 22, not 21"),
        ("T24", set("Parameters/MaxReceiveCount/MaxValue", json!(55)), E, "55 receives within"),
        ("T24", set("Resources/OrdersQueue/Properties/MessageRetentionPeriod", json!(315_450)), E, "50 receives within"),
        ("T24", set("Mappings/Timing/900/Visibility", json!(6_005)), E, "50 receives within"),
        ("T24", set("Mappings/Timing/900/LeaseGraceMs", json!("610000")), E, "50 receives within"),
        ("T24", set("Resources/OrdersQueue/Properties/RedrivePolicy/maxReceiveCount", json!("many")), E, "that are numbers"),
    ]
}

#[rustfmt::skip]
fn mutations_of_the_role() -> Vec<Mutation> {
    const F: &str = "FunctionRole";
    const P: &str = "OrderProcessor";
    vec![
        ("T13", remove("Resources/OrderProcessor/Properties/Role"), P, "a Role of this template"),
        ("T13", set("Resources/OrderProcessor/Properties/Role", json!("arn:aws:iam::123456789012:role/admin")), P, "a Role of this template"),
        ("T13", set("Resources/OrderProcessor/Properties/Policies", json!(["AmazonDynamoDBFullAccess"])), P, "no Policies"),
        ("T13", set("Globals/Function/Policies", json!(["AmazonDynamoDBFullAccess"])), P, "no Policies"),
        ("T13", set("Resources/FunctionRole/Properties/ManagedPolicyArns", json!(["arn:aws:iam::aws:policy/AdministratorAccess"])), F, "no managed policy"),
        ("T13", set("Resources/FunctionRole/Properties/Policies/0/PolicyDocument/Statement/ClaimOrders/Action", json!("dynamodb:*")), F, "no right to dynamodb:*"),
        ("T13", set("Resources/FunctionRole/Properties/Policies/0/PolicyDocument/Statement/ClaimOrders/Action", json!(["dynamodb:PutItem", "dynamodb:DeleteItem"])), F, "no right to dynamodb:DeleteItem"),
        ("T13", set("Resources/FunctionRole/Properties/Policies/0/PolicyDocument/Statement/ReadOrders/Action", json!(["dynamodb:GetItem", "DYNAMODB:scan"])), F, "no right to DYNAMODB:scan"),
        ("T13", set("Resources/FunctionRole/Properties/Policies/0/PolicyDocument/Statement/ReadOrders/Resource", json!("*")), F, "no right to dynamodb:GetItem on *"),
        ("T13", set("Resources/FunctionRole/Properties/Policies/0/PolicyDocument/Statement/ReadOrders/Resource", json!({"Fn::Sub": "${OrdersTable.Arn}*"})), F, "no right to dynamodb:GetItem"),
        ("T13", set("Resources/FunctionRole/Properties/Policies/0/PolicyDocument/Statement/ReadOrders", json!({"Effect": "Allow", "NotAction": "dynamodb:DeleteItem", "Resource": "*"})), F, "not of what is not"),
        ("T13", set("Resources/FunctionRole/Properties/Policies/0/PolicyDocument/Statement/CountParkedOrders/Resource", json!({"Fn::GetAtt": "OrdersTable.Arn"})), F, "no right to dynamodb:Query"),
        ("T13", remove("Resources/FunctionRole/Properties/Policies/0/PolicyDocument/Statement/CountParkedOrders"), F, "the right to dynamodb:Query"),
        ("T13", remove("Resources/FunctionRole/Properties/Policies/0/PolicyDocument/Statement/BackOff"), F, "the right to sqs:ChangeMessageVisibility"),
        ("T13", set("Resources/FunctionRole/Properties/Policies/1", json!({"PolicyName": "more", "PolicyDocument": {"Statement": {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}}})), F, "no right to s3:GetObject"),
        ("T13", set("Resources/More", json!({"Type": "AWS::IAM::Policy", "Properties": {"PolicyName": "more", "Roles": [{"Ref": "FunctionRole"}], "PolicyDocument": {"Statement": [{"Effect": "Allow", "Action": "sqs:PurgeQueue", "Resource": {"Fn::GetAtt": "OrdersQueue.Arn"}}]}}})), F, "no right to sqs:PurgeQueue"),
        ("T13", set("Resources/FunctionRole/Properties/AssumeRolePolicyDocument/Statement/0/Principal", json!({"AWS": "*"})), F, "lambda.amazonaws.com alone"),
        ("T13", set("Resources/FunctionRole/Properties/AssumeRolePolicyDocument/Statement/0/Principal", json!({"Service": ["lambda.amazonaws.com", "ec2.amazonaws.com"]})), F, "lambda.amazonaws.com alone"),
    ]
}

#[rustfmt::skip]
fn mutations_of_the_function() -> Vec<Mutation> {
    const P: &str = "OrderProcessor";
    const T: &str = "OrdersTable";
    vec![
        ("T16", set("Resources/OrdersTable/Properties/TimeToLiveSpecification/AttributeName", json!("expire_at")), T, "expires_at"),
        ("T16", set("Resources/OrdersTable/Properties/TimeToLiveSpecification/Enabled", json!(false)), T, "enabled"),
        ("T16", remove("Resources/OrdersTable/Properties/TimeToLiveSpecification"), T, "expires_at"),
        ("T16", set("Resources/OrdersTable/Properties/KeySchema/0/AttributeName", json!("id")), T, "the key pk"),
        ("T16", remove("Resources/OrdersTable/Properties/GlobalSecondaryIndexes"), T, "the index parked"),
        ("T16", set("Resources/OrdersTable/Properties/GlobalSecondaryIndexes/0/KeySchema/0/AttributeName", json!("parked_reason")), T, "of parked_from"),
        ("T16", set("Resources/OrdersTable/Properties/GlobalSecondaryIndexes/0/Projection/ProjectionType", json!("ALL")), T, "of keys only"),
        ("T16", vec![("Resources/OrderProcessor/Properties/Environment/Variables/LEASE_GRACE_MS", None), ("Resources/OrderProcessor/Properties/Environment/Variables/LEASE_GRACE", Some(json!(5000)))], P, "no variable LEASE_GRACE,"),
        ("T16", remove("Resources/OrderProcessor/Properties/Environment/Variables/SERVICE"), P, "the variable SERVICE"),
        ("T16", remove("Resources/OrderProcessor/Properties/Environment/Variables/STRIPE_SECRET_ARN"), P, "the variable STRIPE_SECRET_ARN"),
        ("T16", set("Resources/OrderProcessor/Properties/Environment/Variables/STRIPE_API_KEY", json!("{{resolve:ssm:key}}")), P, "no variable STRIPE_API_KEY"),
        ("T16", set("Globals/Function/Environment/Variables/RETENTION_DAY", json!(30)), P, "no variable RETENTION_DAY,"),
        ("T17", remove("Resources/OrdersTable"), P, "ORDERS_TABLE to be"),
        ("T17", set("Resources/OrderProcessor/Properties/Environment/Variables/ORDERS_TABLE", json!({"Ref": "ExistingTableName"})), P, "ORDERS_TABLE to be"),
        ("T17", set("Resources/OrderProcessor/Properties/Environment/Variables/ORDERS_TABLE", json!("orders")), P, "ORDERS_TABLE to be"),
        ("T17", set("Resources/OrdersTable/Properties/DeletionProtectionEnabled", json!(false)), T, "in production"),
        ("T17", set("Conditions/IsProduction", json!({"Fn::Equals": [{"Ref": "Environment"}, "production"]})), T, "in production"),
        ("T17", set("Resources/OrdersTable/Properties/PointInTimeRecoverySpecification/PointInTimeRecoveryEnabled", json!(false)), T, "point-in-time"),
        ("T17", set("Resources/OrdersTable/Properties/BillingMode", json!("PROVISIONED")), T, "PAY_PER_REQUEST"),
        ("T20", set("Resources/OrderProcessor/Properties/Runtime", json!("provided.al2")), P, "provided.al2023"),
        ("T20", remove("Resources/OrderProcessor/Properties/Architectures"), P, "Architectures"),
        ("T20", remove("Resources/OrderProcessor/Properties/MemorySize"), P, "MemorySize"),
        ("T20", remove("Resources/OrderProcessor/Properties/Timeout"), P, "Timeout"),
        ("T20", set("Resources/OrderProcessor/Properties/Tracing", json!("PassThrough")), P, "Tracing"),
        ("T20", set("Resources/OrderProcessor/Properties/LoggingConfig/LogFormat", json!("Text")), P, "JSON"),
        ("T20", remove("Resources/FunctionLogGroup/Properties/RetentionInDays"), P, "RetentionInDays"),
        ("T21", remove("Resources/OrderProcessor/Properties/AutoPublishAlias"), P, "AutoPublishAlias"),
        ("T21", remove("Resources/OrderProcessor/Properties/AutoPublishAliasAllProperties"), P, "AllProperties"),
        ("T21", set("Resources/OrderProcessor/Properties/DeploymentPreference/Type", json!("AllAtOnce")), P, "a canary"),
        ("T21", set("Resources/OrderProcessor/Properties/DeploymentPreference/Enabled", json!(false)), P, "a canary"),
        ("T21", set("Resources/OrderProcessor/Properties/DeploymentPreference/Alarms", json!([{"Ref": "NewVersionErrorsAlarm"}, {"Ref": "BatchItemFailureRateAlarm"}])), P, "on Faults of the new version"),
        ("T21", set("Resources/OrderProcessor/Properties/DeploymentPreference/Alarms", json!([{"Ref": "NewVersionFaultsAlarm"}, {"Ref": "FunctionErrorsAlarm"}])), P, "on Errors of the new version"),
        ("T21", remove("Resources/NewVersionErrorsAlarm/Properties/Dimensions/2"), P, "on Errors of the new version"),
        ("T20", set("Resources/OrderProcessor/Properties/LoggingConfig/ApplicationLogLevel", json!("WARN")), P, "ApplicationLogLevel"),
        ("T22", remove("Resources/NotificationsDeadLetterQueue/Properties/KmsMasterKeyId"), "NotificationsDeadLetterQueue", "the key that others have"),
        ("T22", remove("Resources/OrderProcessor/Properties/KmsKeyArn"), P, "the key that others have"),
        ("T22", remove("Resources/FunctionLogGroup/Properties/KmsKeyId"), "FunctionLogGroup", "the key that others have"),
        ("T22", remove("Resources/WarehouseQueue/Properties/SqsManagedSseEnabled"), "WarehouseQueue", "encryption at rest"),
        ("T22", set("Resources/OrdersTable/Properties/SSESpecification/SSEEnabled", json!(false)), T, "encryption at rest"),
        ("T23", remove("Resources/OrdersQueue/Properties/MaximumMessageSize"), "OrdersQueue", "65536"),
        ("T23", set("Resources/OrdersQueue/Properties/MaximumMessageSize", json!(65_535)), "OrdersQueue", "65536"),
        ("T23", set("Resources/OrdersDeadLetterQueue/Properties/MaximumMessageSize", json!(65_536)), "OrdersDeadLetterQueue", "None"),
        ("T26", set("Parameters/OrderConcurrency/MaxValue", json!(241)), P, "from 1 to 240, not Some(241)"),
        ("T26", set("Parameters/OrderConcurrency/MinValue", json!(0)), P, "not Some(0)"),
    ]
}

#[rustfmt::skip]
fn mutations_of_what_is_kept() -> Vec<Mutation> {
    const A: &str = "no reference to OrdersTable";
    vec![
        ("T40", set("Resources/OrderProcessor/Properties/Environment/Variables/ORDERS_TABLE", json!({"Ref": "OrdersTable"})), "OrderProcessor", A),
        ("T40", set("Resources/FunctionRole/Properties/Policies/0/PolicyDocument/Statement/ReadOrders/Resource", json!({"Fn::GetAtt": "OrdersTable.Arn"})), "FunctionRole", A),
        ("T40", set("Resources/FunctionRole/Properties/Policies/0/PolicyDocument/Statement/CountParkedOrders/Resource", json!({"Fn::Sub": "${OrdersTable.Arn}/index/parked"})), "FunctionRole", A),
        ("T40", set("Resources/Dashboard/Properties/DashboardBody", json!({"Fn::Sub": "${OrdersTable}"})), "Dashboard", A),
        ("T40", set("Resources/TableThrottlesAlarm/Properties/Metrics/1/MetricStat/Metric/Dimensions/0/Value", json!({"Ref": "OrdersTable"})), "TableThrottlesAlarm", A),
        ("T40", set("Outputs/OrdersTableArn/Value", json!({"Fn::GetAtt": ["OrdersTable", "Arn"]})), "OrdersTableArn", A),
        ("T40", remove("Outputs/BackupVaultName/Condition"), "BackupVaultName", "no reference to BackupVault"),
        ("T41", remove("Resources/OrdersTable/DeletionPolicy"), "OrdersTable", "DeletionPolicy: RetainExceptOnCreate"),
        ("T41", remove("Resources/OrdersTable/UpdateReplacePolicy"), "OrdersTable", "UpdateReplacePolicy: Retain"),
        ("T41", set("Resources/OrdersTable/DeletionPolicy", json!("Delete")), "OrdersTable", "DeletionPolicy: RetainExceptOnCreate"),
        ("T41", remove("Resources/OrdersQueue/DeletionPolicy"), "OrdersQueue", "DeletionPolicy: RetainExceptOnCreate"),
        ("T41", set("Resources/WarehouseDeadLetterQueue/DeletionPolicy", json!("Delete")), "WarehouseDeadLetterQueue", "DeletionPolicy: RetainExceptOnCreate"),
        ("T41", remove("Resources/NotificationsQueue/UpdateReplacePolicy"), "NotificationsQueue", "UpdateReplacePolicy: Retain"),
        ("T41", remove("Resources/OrdersDeadLetterQueue/Properties/QueueName"), "OrdersDeadLetterQueue", "a QueueName of its own"),
        ("T41", remove("Resources/BackupVault/DeletionPolicy"), "BackupVault", "DeletionPolicy: RetainExceptOnCreate"),
        ("T22", remove("Resources/BackupVault/Properties/EncryptionKeyArn"), "BackupVault", "the key that others have"),
    ]
}

#[rustfmt::skip]
fn mutations_of_alarms() -> Vec<Mutation> {
    const M: &str = "a metric of the code";
    vec![
        ("T18", remove("Resources/ParkedAlarm/Properties/AlarmActions"), "ParkedAlarm", "AlarmActions"),
        ("T18", set("Resources/ParkedAlarm/Properties/AlarmActions", json!([])), "ParkedAlarm", "AlarmActions"),
        ("T18", set("Resources/ParkedAlarm/Properties/AlarmActions", json!([{"Ref": "AlarmTopicArn"}])), "ParkedAlarm", "AlarmActions"),
        ("T18", set("Resources/ParkedAlarm/Properties/ActionsEnabled", json!(false)), "ParkedAlarm", "AlarmActions"),
        ("T18", remove("Resources/NotProcessedAlarm/Properties/AlarmActions"), "NotProcessedAlarm", "AlarmActions"),
        ("T18", set("Resources/NotProcessedAlarm/Properties/AlarmDescription", json!("see the wiki")), "NotProcessedAlarm", "a runbook"),
        ("T30", set("Resources/NotProcessedAlarm/Properties/AlarmRule", json!({"Fn::Sub": "ALARM(\"${FunctionErrorsAlarm}\") OR ALARM(\"${OldestMessageAlarm}\")"})), "NotProcessedAlarm", "stack-retry-rate"),
        ("T30", set("Resources/NotProcessedAlarm/Properties/AlarmRule", json!({"Fn::Sub": "ALARM(\"${FunctionErrorsAlarm}\") AND ALARM(\"${FunctionThrottlesAlarm}\") OR ALARM(\"${BatchItemFailureRateAlarm}\") OR ALARM(\"${RetryRateAlarm}\") OR ALARM(\"${OldestMessageAlarm}\")"})), "NotProcessedAlarm", "OR"),
        ("T30", set("Resources/NotProcessedAlarm/Properties/AlarmActions", json!([{"Fn::If": ["HasOwnTopic", {"Ref": "WarningTopic"}, {"Ref": "WarningTopicArn"}]}])), "NotProcessedAlarm", "alarms"),
        ("T30", remove("Resources/NotProcessedAlarm"), "the stack", "a composite alarm"),
        ("T18", remove("Resources/RetryRateAlarm/Properties/TreatMissingData"), "RetryRateAlarm", "notBreaching"),
        ("T18", set("Resources/RetryRateAlarm/Properties/TreatMissingData", json!("missing")), "RetryRateAlarm", "notBreaching"),
        ("T18", remove("Resources/ConflictAlarm/Properties/AlarmDescription"), "ConflictAlarm", "a runbook"),
        ("T18", set("Resources/ConflictAlarm/Properties/AlarmDescription", json!("Conflicts. See the wiki.")), "ConflictAlarm", "a runbook"),
        ("T18", set("Resources/ConflictAlarm/Properties/AlarmDescription", json!({"Fn::Sub": "Conflicts. ${RunbookBase}/conflicts.md"})), "ConflictAlarm", "a runbook"),
        ("T18", remove("Resources/LastAttemptAlarm"), "the stack", "an alarm for last-attempt.md"),
        ("T18", set("Resources/ConcurrencyAlarm/Condition", json!("HasOwnTopic")), "the stack", "an alarm for concurrency.md"),
        ("T19", set("Resources/ParkedAlarm/Properties/MetricName", json!("ParkedOrder")), "ParkedAlarm", M),
        ("T19", set("Resources/ParkedAlarm/Properties/Namespace", json!("OrderProcesser")), "ParkedAlarm", "that AWS has"),
        ("T19", remove("Resources/ParkedAlarm/Properties/Dimensions/1"), "ParkedAlarm", M),
        ("T19", set("Resources/ParkedAlarm/Properties/Dimensions/0/Value", json!("order-processor")), "ParkedAlarm", M),
        ("T19", set("Resources/RetryRateAlarm/Properties/Metrics/1/MetricStat/Metric/MetricName", json!("Redelivery")), "RetryRateAlarm", M),
        ("T19", set("Resources/FunctionErrorsAlarm/Properties/MetricName", json!("Error")), "FunctionErrorsAlarm", "that AWS has"),
        ("T19", set("Resources/OldestMessageAlarm/Properties/Dimensions/0/Name", json!("Queue")), "OldestMessageAlarm", "that AWS has"),
        ("T19", set("Resources/OldestMessageAlarm/Properties/Dimensions/0/Value", json!("orders")), "OldestMessageAlarm", "of this stack"),
        ("T19", set("Resources/Dashboard/Properties/DashboardBody", json!("{")), "Dashboard", "JSON"),
        ("T19", set("Resources/Dashboard/Properties/DashboardBody", json!({"Fn::Sub": "{\"widgets\":[{\"properties\":{\"metrics\":[[\"OrderProcessor\",\"Parked\",\"service\",\"${Service}\",\"environment\",\"${Environment}\"],[\".\",\"Park\",\".\",\".\",\".\",\".\"]]}}]}"})), "Dashboard", M),
        ("T25", set("Parameters/BatchItemFailureRatePercent/MaxValue", json!(100)), "BatchItemFailureRateAlarm", "below Some(100)"),
        ("T25", set("Mappings/Timing/3/SlowMs", json!(3000)), "SlowFunctionAlarm", "below Some(3000)"),
        ("T25", set("Parameters/OldestMessageSeconds/MaxValue", json!(172_801)), "OldestMessageAlarm", "below Some(172801)"),
        ("T25", set("Parameters/OutputAgeSeconds/MaxValue", json!(604_801)), "WarehouseOldestMessageAlarm", "below Some(604801)"),
        ("T25", set("Resources/NotificationsStuckAlarm/Properties/Threshold", json!(1)), "NotificationsStuckAlarm", "below Some(1)"),
        ("T25", remove("Resources/ParkedAlarm/Properties/Threshold"), "ParkedAlarm", "not None"),
        ("T27", set("Resources/ParkedAlarm/Properties/MetricName", json!("Parked")), "the stack", "an alarm on ParkedOrders"),
        ("T27", remove("Resources/ParkedSchedule"), "ParkedAlarm", "a schedule"),
        ("T27", remove("Resources/ParkedSchedulePermission"), "ParkedAlarm", "a schedule"),
        ("T27", set("Resources/ParkedSchedule/Condition", json!("IsProduction")), "ParkedAlarm", "a schedule"),
        ("T27", set("Resources/ParkedSchedule/Properties/State", json!("DISABLED")), "ParkedAlarm", "a schedule"),
        ("T27", set("Resources/ParkedSchedule/Properties/ScheduleExpression", json!("rate(6 minutes)")), "ParkedAlarm", "a schedule"),
        ("T27", set("Resources/ParkedSchedule/Properties/ScheduleExpression", json!("rate(1 hour)")), "ParkedAlarm", "a schedule"),
        ("T27", set("Resources/ParkedSchedule/Properties/Targets/0/Input", json!("{}")), "ParkedAlarm", "a schedule"),
        ("T27", set("Resources/ParkedSchedule/Properties/Targets/0/Arn", json!({"Fn::GetAtt": "OrdersQueue.Arn"})), "ParkedAlarm", "a schedule"),
        ("T27", set("Resources/ParkedAlarm/Properties/Period", json!(30)), "ParkedAlarm", "a Period"),
        ("T27", set("Resources/ParkedAlarm/Properties/Period", json!(600)), "ParkedAlarm", "a Period"),
        ("T27", set("Resources/ParkedAlarm/Properties/Statistic", json!("Sum")), "ParkedAlarm", "the Maximum"),
        ("T27", set("Resources/ParkedAlarm/Properties/EvaluationPeriods", json!(3)), "ParkedAlarm", "at once"),
        ("T29", remove("Resources/ParkedAlarm"), "the stack", "the alarm ParkedAlarm"),
        ("T29", set("Resources/ParkedAlarm/Condition", json!("HasMaximumConcurrency")), "the stack", "the alarm ParkedAlarm"),
        ("T29", set("Resources/ConcurrencyAlarm/Condition", json!("HasMonitoring")), "ConcurrencyAlarm", "a row among"),
        ("T29", set("Resources/Another", json!({"Type": "AWS::CloudWatch::Alarm", "Properties": {}})), "Another", "a row among"),
        ("T29", set("Resources/RetryRateAlarm/Properties/Threshold", json!({"Ref": "RetryRateWarningPercent"})), "RetryRateAlarm", "Threshold to be 10, not 5"),
    ]
}

#[rustfmt::skip]
fn mutations_of_what_is_closed() -> Vec<Mutation> {
    const P: &str = "OrderProcessor";
    const E: &str = "OrderProcessorOrders";
    vec![
        ("T31", set("Resources/OrdersQueue/Properties/DelaySeconds", json!(900)), "OrdersQueue", "no DelaySeconds"),
        ("T31", set("Resources/OrdersTable/Properties/OnDemandThroughput", json!({"MaxWriteRequestUnits": 1})), "OrdersTable", "no OnDemandThroughput"),
        ("T31", set("Resources/OrderProcessor/Properties/VpcConfig", json!({"SubnetIds": ["subnet-1"]})), P, "no VpcConfig"),
        ("T31", set("Resources/OrderProcessor/Properties/FunctionUrlConfig", json!({"AuthType": "NONE"})), P, "no FunctionUrlConfig"),
        ("T31", set("Resources/OrderProcessor/Properties/Layers", json!(["arn:aws:lambda:us-east-1:1:layer:a:1"])), P, "no Layers"),
        ("T31", set("Globals/Function/VpcConfig", json!({"SubnetIds": ["subnet-1"]})), P, "no VpcConfig"),
        ("T31", set("Resources/FunctionRole/Properties/PermissionsBoundary", json!("arn:aws:iam::1:policy/none")), "FunctionRole", "no PermissionsBoundary"),
        ("T31", set("Resources/Open", json!({"Type": "AWS::Lambda::Url", "Properties": {"AuthType": "NONE", "TargetFunctionArn": {"Ref": "OrderProcessor"}}})), "Open", "no resource of type"),
        ("T31", set("Resources/OrderProcessor/Properties/Events/Orders/Properties/Enabled", json!(false)), E, "to be enabled"),
        ("T31", set("Resources/OrderProcessor/Properties/Events/Orders/Properties/KmsKeyArn", json!("arn:aws:kms:us-east-1:1:key/a")), E, "no KmsKeyArn"),
        ("T32", set("Resources/OrderProcessor/Properties/Environment/Variables/PAYMENT_PROVIDER", json!("sandbox")), P, "PAYMENT_PROVIDER to be"),
        ("T32", set("Resources/OrderProcessor/Properties/Environment/Variables/STRIPE_API_BASE", json!("https://api.stripe.example")), P, "STRIPE_API_BASE to be"),
        ("T32", vec![("Resources/OrderProcessor/Properties/Environment/Variables/WAREHOUSE_QUEUE_URL", Some(json!({"Ref": "NotificationsQueue"}))), ("Resources/OrderProcessor/Properties/Environment/Variables/NOTIFICATIONS_QUEUE_URL", Some(json!({"Ref": "WarehouseQueue"})))], P, "stack-warehouse"),
        ("T32", set("Resources/OrderProcessor/Properties/MemorySize", json!(512)), P, "MemorySize to be \"10240\""),
        ("T32", set("Resources/OrderProcessor/Properties/Architectures", json!(["arm64"])), P, "Architectures/0 to be \"x86_64\""),
        ("T32", set("Resources/OrderProcessor/Properties/DeploymentPreference/Enabled", json!(true)), P, "Enabled to be \"false\""),
        ("T32", set("Resources/OrderProcessor/Metadata/BuildProperties/Binary", json!("orderctl")), P, "the binary"),
        ("T32", set("Resources/OrderProcessor/Properties/CodeUri", json!("s3://elsewhere/function.zip")), P, "CodeUri"),
        ("T32", set("Resources/OrderProcessor/Properties/Events/Orders/Properties/BatchSize", json!(10)), E, "BatchSize to be"),
        ("T33", set("Parameters/MaxOrderAgeDays/MaxValue", json!(30)), P, "MAX_ORDER_AGE_DAYS"),
        ("T33", set("Resources/OrderProcessor/Properties/Environment/Variables/LEASE_GRACE_MS", json!("5s")), P, "LEASE_GRACE_MS"),
        ("T33", remove("Resources/OrderProcessor/Properties/Environment/Variables/ORDERS_TABLE"), P, "ORDERS_TABLE"),
        ("T34", set("Outputs/DeadLetterQueueUrl/Value", json!({"Ref": "WarehouseDeadLetterQueue"})), "DeadLetterQueueUrl", "orders-dead-letters"),
        ("T34", remove("Outputs/EventSourceMappingId"), "EventSourceMappingId", "an output"),
        ("T34", set("Outputs/OrdersTableName/Value", json!({"Ref": "OrdersTable"})), "OrdersTableName", "an output"),
        ("T35", set("Resources/FunctionRole/Properties/Policies/0/PolicyDocument/Statement/13", json!({"Effect": "Deny", "Action": "dynamodb:UpdateItem", "Resource": "*"})), "FunctionRole", "that allow"),
        ("T35", set("Resources/FunctionRole/Properties/Policies/0/PolicyDocument/Statement/ClaimOrders/Condition", json!({"StringEquals": {"aws:RequestedRegion": "eu-north-9"}})), "FunctionRole", "without a condition"),
        ("T35", set("Resources/OrdersQueuePolicy/Properties/PolicyDocument/Statement/4", json!({"Effect": "Deny", "Principal": "*", "Action": "sqs:SendMessage", "Resource": "*"})), "OrdersQueuePolicy", "no Deny"),
        ("T35", set("Resources/OrdersQueuePolicy/Properties/PolicyDocument/Statement/1/Fn::If/1/Condition", json!({"IpAddress": {"aws:SourceIp": "192.0.2.1"}})), "OrdersQueuePolicy", "no condition"),
        ("T35", set("Resources/ParkedSchedulePermission/Properties/Principal", json!("*")), "ParkedSchedulePermission", "nobody else"),
        ("T35", set("Resources/Anybody", json!({"Type": "AWS::Lambda::Permission", "Properties": {"Action": "lambda:InvokeFunction", "FunctionName": {"Ref": "OrderProcessor"}, "Principal": "s3.amazonaws.com"}})), "Anybody", "nobody else"),
    ]
}

/// Makes the change; a path through a list names an index or a statement's `Sid`.
fn change(template: &mut Value, (path, value): &Change) {
    let (parent, last) = path.rsplit_once('/').expect("a path");
    let mut place = template;
    for segment in parent.split('/') {
        place = match place {
            Value::Array(entries) => {
                let index = index(entries, segment);
                &mut entries[index]
            }
            other => other.as_object_mut().expect(path).entry(segment).or_insert_with(|| json!({})),
        };
    }
    match (place, value) {
        (Value::Array(entries), value) => {
            let index = index(entries, last);
            match value {
                Some(value) if index == entries.len() => entries.push(value.clone()),
                Some(value) => entries[index] = value.clone(),
                None => drop(entries.remove(index)),
            }
        }
        (place, Some(value)) => drop(place.as_object_mut().expect(path).insert(last.into(), value.clone())),
        (place, None) => drop(place.as_object_mut().expect(path).remove(last).expect(path)),
    }
}

fn index(entries: &[Value], segment: &str) -> usize {
    let named = entries.iter().position(|entry| entry["Sid"] == segment);
    named.or_else(|| segment.parse().ok()).unwrap_or_else(|| panic!("no {segment} in {entries:?}"))
}

fn all() -> Vec<Mutation> {
    let tables = [
        mutations_of_queues(),
        mutations_of_polling(),
        mutations_of_the_role(),
        mutations_of_the_function(),
        mutations_of_alarms(),
        mutations_of_what_is_kept(),
        mutations_of_what_is_closed(),
    ];
    tables.into_iter().flatten().collect()
}

#[test]
fn every_rule_catches_the_templates_that_break_it() {
    let (whole, mut missed) = (template(), Vec::new());
    for (rule, changes, resource, wanted) in all() {
        let mut template = whole.clone();
        for one in &changes {
            change(&mut template, one);
        }
        let start = format!("{rule} {resource}: wants ");
        let is_meant = |one: &String| one.starts_with(&start) && one.contains(wanted);
        let rules = [rule];
        let mut found = findings(&template, &rules).into_iter().chain(findings_at_ends(&template, &rules));
        if !found.any(|one| is_meant(&one)) {
            let found = findings(&template, &every_rule());
            missed.push(format!("{start}..{wanted}.. after {changes:?}, but found {found:#?}"));
        }
    }
    assert!(missed.is_empty(), "{}", missed.join("\n"));
}

#[test]
fn every_rule_has_templates_that_break_it() {
    let rules: Vec<&str> = all().iter().map(|(rule, ..)| *rule).collect();
    for (rule, _) in RULES {
        assert!(rules.contains(&rule), "{rule} was never seen to catch anything");
    }
}
