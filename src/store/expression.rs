//! A [`Write`] as DynamoDB's expressions.

use std::collections::HashMap;

use serde::Serialize;

use super::AttributeValue;
use crate::protocol::{Guard, Write};
use crate::record::{KEY_ATTRIBUTE, Record};

/// The parts of a conditional request. Every name is a placeholder, so that no attribute is a reserved word.
#[derive(Clone, Default)]
pub(super) struct Expression {
    /// The whole item, where it is put.
    pub(super) item: Option<HashMap<String, AttributeValue>>,
    pub(super) condition: String,
    pub(super) update: String,
    pub(super) names: Option<HashMap<String, String>>,
    pub(super) values: Option<HashMap<String, AttributeValue>>,
}

impl Expression {
    pub(super) fn of(write: &Write) -> Self {
        let mut expression = Expression::default();
        expression.condition = expression.guard(&write.guard);
        match &write.before {
            Some(before) => expression.update = expression.changes(before, &write.after),
            None => expression.item = Some(item(&write.after)),
        }
        expression
    }

    fn guard(&mut self, guard: &Guard) -> String {
        let mut all = Vec::new();
        if guard.absent {
            all.push(format!("attribute_not_exists({})", self.name(KEY_ATTRIBUTE)));
        }
        if let Some(fence) = guard.fence {
            all.push(self.one_of("fence", &[fence]));
        }
        if let Some(owner) = &guard.owner {
            all.push(self.one_of("owner", &[owner]));
        }
        if !guard.status.is_empty() {
            all.push(self.one_of("status", &guard.status));
        }
        if !guard.step.is_empty() {
            all.push(self.one_of("step", &guard.step));
        }
        if guard.not_cancelled {
            all.push(format!("attribute_not_exists({})", self.name("cancel_requested")));
        }
        all.join(" AND ")
    }

    fn one_of<T: Serialize>(&mut self, name: &str, accepted: &[T]) -> String {
        let values: Vec<String> = accepted.iter().map(|value| self.value(value)).collect();
        format!("{} IN ({})", self.name(name), values.join(", "))
    }

    fn changes(&mut self, before: &Record, after: &Record) -> String {
        let (mut set, mut remove) = (Vec::new(), Vec::new());
        for (name, value) in before.changes_to(after) {
            let place = self.name(&name);
            match value {
                Some(value) => set.push(format!("{place} = {}", self.value(&value))),
                None => remove.push(place),
            }
        }
        let clause = |verb: &str, parts: &[String]| match parts {
            [] => String::new(),
            parts => format!("{verb} {} ", parts.join(", ")),
        };
        (clause("SET", &set) + &clause("REMOVE", &remove)).trim_end().to_owned()
    }

    fn name(&mut self, name: &str) -> String {
        let placeholder = format!("#{name}");
        self.names.get_or_insert_default().insert(placeholder.clone(), name.to_owned());
        placeholder
    }

    fn value<T: Serialize>(&mut self, value: &T) -> String {
        let values = self.values.get_or_insert_default();
        let placeholder = format!(":v{}", values.len());
        values.insert(placeholder.clone(), attribute(value));
        placeholder
    }
}

fn item(record: &Record) -> HashMap<String, AttributeValue> {
    record.attributes().iter().map(|(name, value)| (name.clone(), attribute(value))).collect()
}

fn attribute<T: Serialize>(value: &T) -> AttributeValue {
    serde_dynamo::to_attribute_value(value).expect("strings, numbers and maps of them are attribute values")
}

#[cfg(test)]
mod tests;
