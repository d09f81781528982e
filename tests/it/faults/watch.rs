//! What is seen of the records in front of every request about them: what must hold at every moment, not only at the end.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use order_processor::local::aws::EmbeddedAws;
use serde_json::{Value, json};

use crate::local_world::TABLE;

/// The records as they were seen last, and what was wrong with them. Clones share both.
#[derive(Clone, Default)]
pub struct Watch(Arc<Mutex<Seen>>);

#[derive(Default)]
struct Seen {
    items: BTreeMap<String, Value>,
    statuses: BTreeSet<String>,
    violations: Vec<String>,
}

impl Watch {
    /// Looks at the record of an order, and says its status: empty if there is none.
    pub fn look(&self, aws: &EmbeddedAws, order: &str) -> String {
        let key = json!({ "TableName": TABLE, "Key": { "pk": { "S": format!("ORDER#{order}") } } });
        let answer = aws.dynamodb().answer("GetItem", key.to_string().as_bytes());
        let item = serde_json::from_slice::<Value>(answer.body()).unwrap()["Item"].take();
        let status = item["status"]["S"].as_str().unwrap_or_default().to_owned();
        self.0.lock().unwrap().see(order, &status, item);
        status
    }

    pub fn statuses(&self) -> BTreeSet<String> {
        self.0.lock().unwrap().statuses.clone()
    }

    pub fn violations(&self) -> Vec<String> {
        self.0.lock().unwrap().violations.clone()
    }
}

impl Seen {
    fn see(&mut self, order: &str, status: &str, now: Value) {
        let before = self.items.get(order).unwrap_or(&Value::Null);
        if *before == now {
            return;
        }
        let wrong = contradiction(before, &now);
        self.violations.extend(wrong.map(|what| format!("{order}: {what}: {before} -> {now}")));
        self.statuses.insert(status.to_owned());
        self.items.insert(order.to_owned(), now);
    }
}

/// What is wrong with a record that was `before` and is `now`.
fn contradiction(before: &Value, now: &Value) -> Option<&'static str> {
    let fence = |item: &Value| item["fence"]["N"].as_str().map_or(0, |fence| fence.parse::<u64>().unwrap());
    let finished = before.get("result").is_some();
    if finished {
        return Some("a finished record changed");
    }
    if fence(now) < fence(before) {
        return Some("the fence decreased");
    }
    let other_owner = !before.is_null() && before["owner"] != now["owner"];
    (other_owner && fence(now) == fence(before)).then_some("the owner changed and the fence did not")
}

#[test]
fn a_record_that_goes_wrong_on_the_way_is_noticed() {
    let record = |fence: &str, owner: &str| json!({ "fence": { "N": fence }, "owner": { "S": owner } });
    let mut finished = record("2", "b");
    finished["result"] = json!({ "S": "{}" });
    for (before, now, wrong) in [
        (Value::Null, record("1", "a"), None),
        (record("1", "a"), record("1", "a"), None),
        (record("1", "a"), record("2", "b"), None),
        (record("2", "b"), finished.clone(), None),
        (record("2", "b"), record("1", "b"), Some("the fence decreased")),
        (record("2", "b"), Value::Null, Some("the fence decreased")),
        (record("1", "a"), record("1", "b"), Some("the owner changed and the fence did not")),
        (finished.clone(), record("2", "b"), Some("a finished record changed")),
        (finished, Value::Null, Some("a finished record changed")),
    ] {
        assert_eq!(contradiction(&before, &now), wrong, "{before} -> {now}");
    }
}
