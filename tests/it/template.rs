//! The template and the code name the same things.

use std::collections::BTreeSet;
use std::path::Path;

use order_processor::config::name;
use order_processor::record::{KEY_ATTRIBUTE, TTL_ATTRIBUTE};

fn template() -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("template.yaml")).unwrap()
}

/// The keys of the mapping under `Variables:`.
fn variables(template: &str) -> BTreeSet<&str> {
    let mut lines = template.lines().skip_while(|line| line.trim() != "Variables:");
    let indent = |line: &str| line.len() - line.trim_start().len();
    let own = indent(lines.next().expect("the function has variables"));
    let inside = lines.take_while(|line| line.trim().is_empty() || indent(line) > own);
    let entries: Vec<&str> =
        inside.filter(|line| !line.trim().is_empty() && !line.trim().starts_with('#')).collect();
    let first = indent(entries[0]);
    let entries = entries.into_iter().filter(|line| indent(line) == first);
    entries.filter_map(|line| line.trim().split_once(':').map(|(name, _)| name)).collect()
}

#[test]
fn the_template_sets_every_variable_of_the_code_and_no_other() {
    let mut expected: BTreeSet<&str> = name::ALL.into();
    // A key in clear text is for local runs only.
    expected.remove(name::STRIPE_API_KEY);
    let template = template();
    assert_eq!(variables(&template), expected);
}

#[test]
fn the_template_names_the_key_and_the_ttl_attribute_of_the_code() {
    let template = template();
    assert!(template.contains(&format!("AttributeName: {TTL_ATTRIBUTE}, Enabled: true")));
    assert!(template.contains(&format!("AttributeName: {KEY_ATTRIBUTE}, KeyType: HASH")));
}
