//! The parameters that the template is tested with: its defaults, those of `samconfig.toml`, and everything that can be
//! given. `ends` has the ends of each.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use super::document;
use super::resolve::text;
use super::stack::Stack;

pub type Overrides = BTreeMap<String, String>;

pub fn file(name: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap()
}

/// The template as it is in the repository.
pub fn template() -> Value {
    document::parse(&file("template.yaml"))
}

fn overrides(pairs: &[(&str, &str)]) -> Overrides {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn samconfig(environment: &str) -> Overrides {
    let config: toml::Table = file("samconfig.toml").parse().unwrap();
    let listed = config[environment]["global"]["parameters"]["parameter_overrides"].as_array().unwrap();
    let pairs = listed.iter().map(|pair| pair.as_str().unwrap().split_once('=').expect("NAME=VALUE"));
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

const KEY: &str = "arn:aws:kms:us-east-1:123456789012:key/one";
const SECRET: &str = "arn:aws:secretsmanager:us-east-1:123456789012:secret:stripe-x";
const TOPIC: &str = "arn:aws:sns:us-east-1:123456789012:on-call";
const WARNINGS: &str = "arn:aws:sns:us-east-1:123456789012:in-the-morning";
const TOPICS: &str = "arn:aws:sns:us-east-1:123456789012:orders,arn:aws:sns:us-east-1:210987654321:orders";
const RULES: &str = "arn:aws:events:us-east-1:123456789012:rule/orders";
const RUNBOOKS: &str = "https://git.example.com/orders/docs/runbooks";
const PRODUCERS: &str = "arn:aws:iam::123456789012:role/shop,arn:aws:iam::210987654321:role/app";

/// Whatever can be given, given.
pub fn everything() -> Overrides {
    overrides(&[
        ("Environment", "prod"),
        ("KmsKeyArn", KEY),
        ("PaymentProvider", "stripe"),
        ("StripeSecretArn", SECRET),
        ("ProducerPrincipals", PRODUCERS),
        ("ProducerTopics", TOPICS),
        ("ProducerRules", RULES),
        ("MaximumConcurrency", "20"),
        ("ReserveConcurrency", "true"),
        ("AlarmTopicArn", TOPIC),
        ("WarningTopicArn", WARNINGS),
        ("CanaryDeployment", "true"),
        ("Service", "shop-orders"),
        ("RunbookBase", RUNBOOKS),
        ("BackupPlan", "true"),
    ])
}

/// The same on a table that is there already.
pub fn adopting() -> Overrides {
    let mut overrides = everything();
    overrides.insert("ExistingTableName".into(), "orders-restored".into());
    overrides
}

/// Name and parameters of every case.
pub fn cases() -> Vec<(String, Overrides)> {
    let mut cases = vec![("defaults".to_owned(), Overrides::new())];
    for environment in ["default", "dev", "staging", "prod"] {
        cases.push((environment.to_owned(), samconfig(environment)));
    }
    cases.push(("everything".to_owned(), everything()));
    cases.push(("everything on a table that is there".to_owned(), adopting()));
    cases
}

/// What the template's own rules say against `pairs`.
fn refusals(pairs: &[(&str, &str)]) -> Vec<String> {
    Stack::new(&template(), &overrides(pairs)).refusals
}

#[test]
fn the_parameters_of_every_environment_are_within_their_limits() {
    let template = template();
    for (case, overrides) in cases() {
        for (name, value) in overrides {
            let parameter = &template["Parameters"][&name];
            let allowed = parameter["AllowedValues"].as_array();
            let listed = allowed.is_none_or(|allowed| allowed.iter().any(|one| text(one) == value));
            let number = |bound: &str| parameter[bound].as_i64();
            let least = number("MinValue").is_none_or(|least| value.parse::<i64>().unwrap() >= least);
            let most = number("MaxValue").is_none_or(|most| value.parse::<i64>().unwrap() <= most);
            assert!(listed && least && most, "{case}: {name}={value}");
        }
    }
}

#[test]
fn every_environment_of_samconfig_is_accepted_and_prod_once_it_is_filled_in() {
    let template = template();
    for environment in ["default", "dev", "staging"] {
        let refused = Stack::new(&template, &samconfig(environment)).refusals;
        assert!(refused.is_empty(), "{environment}: {refused:?}");
    }
    let mut prod = samconfig("prod");
    let refused = Stack::new(&template, &prod).refusals;
    let found = |words: &str| refused.iter().any(|text| text.contains(words));
    assert!(found("AlarmEmail is still the placeholder") && found("RunbookBase is still the placeholder"));
    assert!(found("PaymentProvider=sandbox") && refused.len() == 3, "{refused:?}");
    prod.extend(overrides(&[("AlarmEmail", "on-call@example.org"), ("RunbookBase", RUNBOOKS)]));
    prod.extend(overrides(&[("PaymentProvider", "stripe"), ("StripeSecretArn", SECRET)]));
    assert!(Stack::new(&template, &prod).refusals.is_empty());
}

#[test]
fn parameters_that_do_not_go_together_are_refused() {
    let refused = [
        (&[("PaymentProvider", "stripe")][..], "needs StripeSecretArn"),
        (&[("ReserveConcurrency", "true")], "needs a MaximumConcurrency"),
        (&[("MaximumConcurrency", "1")], "0 or at least 2"),
        (&[("Environment", "prod")], "needs AlarmTopicArn or AlarmEmail"),
        (&[("Environment", "prod"), ("Monitoring", "false")], "Environment=prod needs Monitoring=true"),
        (&[("Environment", "prod")], "needs RunbookBase"),
        (&[("Environment", "prod")], "SandboxInProduction=true"),
        (&[("ProvisionedPollers", "2"), ("MaximumConcurrency", "2")], "exclude each other"),
        (&[("ProvisionedPollers", "1")], "ProvisionedPollers is 0 or at least 2"),
        (&[("CanaryDeployment", "true"), ("Monitoring", "false")], "CanaryDeployment=true needs Monitoring"),
        (&[("AlarmTopicArn", TOPIC)], "given together, or neither"),
        (&[("WarningTopicArn", TOPIC)], "given together, or neither"),
        (&[("AlarmTopicArn", TOPIC), ("AlarmEmail", "a@example.org")], "subscribes to the stack's own topic"),
    ];
    for (pairs, expected) in refused {
        let found = refusals(pairs);
        assert!(found.iter().any(|text| text.contains(expected)), "{pairs:?}: {found:?}");
    }
    assert!(refusals(&[("PaymentProvider", "stripe"), ("StripeSecretArn", SECRET)]).is_empty());
    assert!(refusals(&[("ReserveConcurrency", "true"), ("MaximumConcurrency", "2")]).is_empty());
    let watched = [
        ("Environment", "prod"),
        ("AlarmTopicArn", TOPIC),
        ("WarningTopicArn", WARNINGS),
        ("RunbookBase", RUNBOOKS),
    ];
    let stripe = [("PaymentProvider", "stripe"), ("StripeSecretArn", SECRET)];
    assert!(refusals(&[&watched[..], &stripe].concat()).is_empty());
    assert!(refusals(&[&watched[..], &[("SandboxInProduction", "true")]].concat()).is_empty());
    assert_eq!(refusals(&watched).len(), 1);
    for base in ["http://api.stripe.com", "https://api.stripe.example"] {
        assert_eq!(
            refusals(&[&watched[..], &stripe, &[("StripeApiBase", base)]].concat()).len(),
            1,
            "{base}"
        );
    }
}

#[test]
fn a_stack_on_a_table_that_is_there_makes_none_and_uses_that_one_everywhere() {
    let stack = Stack::new(&template(), &adopting());
    assert_eq!(stack.of("AWS::DynamoDB::Table").count(), 0);
    let using = |id: &str| {
        stack.everything().any(|(found, value)| found == id && value.to_string().contains("orders-restored"))
    };
    for id in ["OrderProcessor", "FunctionRole", "TableThrottlesAlarm", "Dashboard", "BackedUpTable"] {
        assert!(using(id), "{id}");
    }
    for output in ["OrdersTableName", "OrdersTableArn"] {
        assert!(using(output), "{output}");
    }
}

#[test]
fn a_stack_without_monitoring_has_neither_alarms_nor_a_topic() {
    let stack = Stack::new(&template(), &overrides(&[("Monitoring", "false")]));
    for kind in ["AWS::CloudWatch::Alarm", "AWS::CloudWatch::Dashboard", "AWS::SNS::Topic"] {
        assert_eq!(stack.of(kind).count(), 0, "{kind}");
    }
}
