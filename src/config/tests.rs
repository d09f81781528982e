use super::*;

fn read(changes: &[(&str, Option<&str>)]) -> Result<Config, ConfigError> {
    let lookup = |name: &str| match changes.iter().find(|(changed, _)| *changed == name) {
        Some((_, value)) => value.map(str::to_owned),
        None => match name {
            name::ORDERS_TABLE => Some("orders".to_owned()),
            name::PAYMENT_PROVIDER => Some("sandbox".to_owned()),
            name if name.ends_with("_QUEUE_URL") => Some("http://localhost:9324/000000000000/q".to_owned()),
            _ => None,
        },
    };
    Config::read(&lookup)
}

#[track_caller]
fn refused(variable: &str, value: Option<&str>) {
    let stripe = [(name::PAYMENT_PROVIDER, Some("stripe")), (name::STRIPE_API_KEY, Some("sk"))];
    let mut changes = vec![(variable, value)];
    if variable.starts_with("STRIPE") {
        changes.extend(stripe);
    }
    let error = read(&changes).expect_err("accepted").to_string();
    assert!(error.starts_with(&format!("{variable}: ")) && error.contains("accepted: "), "{error}");
    assert!(!error.contains('\n'), "{error}");
}

#[test]
fn the_defaults_are_those_of_the_documentation() {
    let config = read(&[]).unwrap();
    assert_eq!(config.rules.retention, DAY * 30);
    assert_eq!(config.rules.max_order_age, DAY * 21);
    assert_eq!(config.rules.max_receive_count, 20);
    assert_eq!(config.rules.lease_grace, Duration::from_secs(5));
    assert_eq!(config.order_concurrency, 64);
    assert_eq!((config.service.as_str(), config.environment.as_str()), ("order-processor", "dev"));
}

#[test]
fn a_missing_or_malformed_variable_is_named_with_what_is_accepted() {
    for required in
        name::ALL.into_iter().filter(|name| name.ends_with("_QUEUE_URL") || name.starts_with("ORDERS"))
    {
        refused(required, None);
        refused(required, Some(""));
        refused(required, Some("??"));
    }
    refused(name::PAYMENT_PROVIDER, None);
    refused(name::PAYMENT_PROVIDER, Some("paypal"));
    refused(name::STRIPE_API_BASE, Some("api.stripe.com"));
    refused(name::WAREHOUSE_QUEUE_URL, Some("http://localhost:99999/q"));
    for good in ["http://[::1]/q", "http://[::1]:1/q", "https://sqs.eu-west-1.amazonaws.com/1/q"] {
        assert!(read(&[(name::WAREHOUSE_QUEUE_URL, Some(good))]).is_ok(), "{good}");
    }
    for bad in ["my-secret", "arn:", "arn:aws:s3:::bucket", "arn:aws:secretsmanager:r:1:secret:"] {
        refused(name::STRIPE_SECRET_ARN, Some(bad));
    }
    refused(name::STRIPE_API_KEY, Some("a b"));
    for number in
        [name::RETENTION_DAYS, name::MAX_ORDER_AGE_DAYS, name::MAX_RECEIVE_COUNT, name::ORDER_CONCURRENCY]
    {
        for bad in ["", "0", "-1", "+5", "1.5", "many", "99999999999"] {
            refused(number, Some(bad));
        }
    }
    refused(name::LEASE_GRACE_MS, Some("900001"));
}

#[test]
fn orders_must_become_too_old_before_their_records_expire() {
    assert!(read(&[(name::MAX_ORDER_AGE_DAYS, Some("29"))]).is_ok());
    let error = read(&[(name::MAX_ORDER_AGE_DAYS, Some("30"))]).unwrap_err().to_string();
    assert!(error.contains("less than RETENTION_DAYS"), "{error}");
}

#[test]
fn stripe_needs_a_key_and_never_shows_it() {
    let stripe = (name::PAYMENT_PROVIDER, Some("stripe"));
    assert!(read(&[stripe]).unwrap_err().to_string().starts_with("STRIPE_SECRET_ARN: missing"));
    let misplaced = read(&[stripe, (name::STRIPE_SECRET_ARN, Some("sk_live_1"))]).unwrap_err();
    assert!(!misplaced.to_string().contains("sk_live_1"));
    let config = read(&[stripe, (name::STRIPE_API_KEY, Some("sk_live_1"))]).unwrap();
    assert!(!format!("{config:?}").contains("sk_live_1"));
    let arn = "arn:aws:secretsmanager:eu-west-1:1:secret:stripe";
    let config = read(&[stripe, (name::STRIPE_SECRET_ARN, Some(arn))]).unwrap();
    assert!(matches!(config.payment, PaymentConfig::Stripe { key: KeySource::Secret(_), .. }));
}

#[test]
fn the_dimensions_of_the_metrics_are_short_plain_words() {
    let longest = "x".repeat(64);
    for variable in [name::SERVICE, name::ENVIRONMENT] {
        for good in ["p", "Prod_eu-1", &longest] {
            assert!(read(&[(variable, Some(good))]).is_ok(), "{good}");
        }
        for bad in ["", "a b", "a.b", "\u{e9}", &format!("{longest}x")] {
            refused(variable, Some(bad));
        }
    }
}
