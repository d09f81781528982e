//! What a template makes with certain parameters: resources, and who is wired to whom.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::resolve::{Scope, text};

/// Resources whose condition holds, by logical ID, with nothing left to resolve.
pub struct Stack {
    resources: BTreeMap<String, Value>,
    /// The values of the template's parameters, defaults included.
    pub parameters: BTreeMap<String, String>,
    outputs: BTreeMap<String, Value>,
    /// What the template's own rules say against the parameters.
    pub refusals: Vec<String>,
    /// Where an event source invokes a function, however the template spells it.
    pub mappings: Vec<Mapping>,
}

/// An event source mapping.
pub struct Mapping {
    pub id: String,
    pub properties: Value,
    /// The properties of the function that it invokes.
    pub function: Value,
}

const FUNCTIONS: [&str; 2] = ["AWS::Serverless::Function", "AWS::Lambda::Function"];

impl Stack {
    /// `template` with `overrides` in place of defaults.
    pub fn new(template: &Value, overrides: &BTreeMap<String, String>) -> Stack {
        let scope = Scope::new(template, overrides);
        let mut resources = BTreeMap::new();
        for (id, resource) in template["Resources"].as_object().expect("resources") {
            if !scope.holds(resource.get("Condition")) {
                continue;
            }
            let mut resource = resource.clone();
            resource.as_object_mut().expect("a resource").remove("Condition");
            if resource["Type"] == FUNCTIONS[0]
                && let Some(global) = template.pointer("/Globals/Function")
            {
                let own = resource["Properties"].take();
                resource["Properties"] = inherited(global, own);
            }
            resources.insert(id.clone(), scope.resolve(&resource).expect("a resource"));
        }
        let outputs = template["Outputs"].as_object().into_iter().flatten();
        let outputs = outputs.filter(|(_, output)| scope.holds(output.get("Condition")));
        let outputs = outputs.filter_map(|(id, output)| Some((id.clone(), scope.resolve(&output["Value"])?)));
        let outputs = outputs.collect();
        let mappings = mappings(&resources);
        Stack { resources, outputs, parameters: scope.values(), refusals: scope.refusals(), mappings }
    }

    /// Logical ID and properties of every resource of a type.
    pub fn of(&self, kind: &str) -> impl Iterator<Item = (&str, &Value)> {
        let of_kind = self.resources.iter().filter(move |(_, resource)| resource["Type"] == kind);
        of_kind.map(|(id, resource)| (id.as_str(), &resource["Properties"]))
    }

    /// Resources and outputs, by logical ID.
    pub fn everything(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.resources.iter().chain(&self.outputs).map(|(id, value)| (id.as_str(), value))
    }

    /// Resources as a whole, by logical ID.
    pub fn resources(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.resources.iter().map(|(id, resource)| (id.as_str(), resource))
    }

    /// The value of an output.
    pub fn output(&self, name: &str) -> Option<&Value> {
        self.outputs.get(name)
    }

    /// A resource as a whole, with its policies for deletion.
    pub fn whole(&self, id: &str) -> &Value {
        &self.resources[id]
    }

    /// The functions.
    pub fn functions(&self) -> impl Iterator<Item = (&str, &Value)> {
        FUNCTIONS.into_iter().flat_map(|kind| self.of(kind))
    }

    /// The queues.
    pub fn queues(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.of("AWS::SQS::Queue")
    }

    /// A queue by its ARN or its URL.
    pub fn queue(&self, address: &Value) -> Option<(&str, &Value)> {
        self.queues().find(|(id, queue)| {
            let name = queue_name(id, queue);
            address.as_str().is_some_and(|address| address.rsplit([':', '/']).next() == Some(&name))
        })
    }

    /// The ARN that `resolve` gives a queue.
    pub fn queue_arn(&self, address: &Value) -> Option<String> {
        let (id, queue) = self.queue(address)?;
        Some(format!("arn:aws:sqs:us-east-1:123456789012:{}", queue_name(id, queue)))
    }

    /// The queue that a mapping reads.
    pub fn source<'a>(&'a self, mapping: &Mapping) -> Option<(&'a str, &'a Value)> {
        self.queue(&mapping.properties["EventSourceArn"])
    }

    /// Whether the stack is the one that customers depend on.
    pub fn is_production(&self) -> bool {
        self.functions().any(|(_, function)| variable(function, "ENVIRONMENT") == Some(&json!("prod")))
    }
}

fn queue_name(id: &str, queue: &Value) -> String {
    queue["QueueName"].as_str().map_or_else(|| format!("stack-{id}"), str::to_owned)
}

/// What SAM does with `Globals`: maps are merged, lists are joined, and the function's own value wins.
fn inherited(global: &Value, own: Value) -> Value {
    match (global, own) {
        (Value::Object(global), Value::Object(mut own)) => {
            for (key, value) in global {
                let mine = own.remove(key).unwrap_or_default();
                own.insert(key.clone(), inherited(value, mine));
            }
            Value::Object(own)
        }
        (Value::Array(global), Value::Array(own)) => global.iter().cloned().chain(own).collect(),
        (global, Value::Null) => global.clone(),
        (_, own) => own,
    }
}

fn mappings(resources: &BTreeMap<String, Value>) -> Vec<Mapping> {
    let none = Map::new();
    let mut found = Vec::new();
    for (id, resource) in resources {
        if resource["Type"] == FUNCTIONS[0] {
            let events = resource["Properties"]["Events"].as_object().unwrap_or(&none);
            for (event, definition) in events.iter().filter(|(_, definition)| definition["Type"] == "SQS") {
                let mut properties = definition["Properties"].clone();
                properties["EventSourceArn"] = properties["Queue"].clone();
                let function = resource["Properties"].clone();
                found.push(Mapping { id: format!("{id}{event}"), properties, function });
            }
        }
        if resource["Type"] == "AWS::Lambda::EventSourceMapping" {
            let properties = resource["Properties"].clone();
            let target = text(&properties["FunctionName"]);
            let invoked = resources.iter().find(|(id, resource)| {
                FUNCTIONS.iter().any(|kind| resource["Type"] == *kind) && target.contains(id.as_str())
            });
            let function = invoked.map_or(Value::Null, |(_, resource)| resource["Properties"].clone());
            found.push(Mapping { id: id.clone(), properties, function });
        }
    }
    found
}

/// An environment variable of a function.
pub fn variable<'a>(function: &'a Value, name: &str) -> Option<&'a Value> {
    function["Environment"]["Variables"].get(name)
}

/// A number, also when it is written as a text.
pub fn number(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_str()?.parse().ok())
}

/// A truth, also when it is written as a text.
pub fn truth(value: &Value) -> bool {
    value == true || value.as_str().is_some_and(|text| text.eq_ignore_ascii_case("true"))
}

/// A list, also when its only entry stands alone; nothing is an empty one.
pub fn list(value: &Value) -> Vec<&Value> {
    match value {
        Value::Null => vec![],
        Value::Array(entries) => entries.iter().collect(),
        one => vec![one],
    }
}

/// An object, also when it is written as the text of one.
pub fn object(value: &Value) -> Value {
    let parsed = value.as_str().and_then(|text| serde_json::from_str(text).ok());
    parsed.unwrap_or_else(|| value.clone())
}
