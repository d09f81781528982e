//! A template with its parameters put in, as CloudFormation would do it: no intrinsic function is left.
//!
//! What exists only after a deployment gets a name that is a function of the resource, so that two spellings of one
//! queue's ARN are the same text.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

const REGION: &str = "us-east-1";
const ACCOUNT: &str = "123456789012";
/// Stands before the ID of a resource that is referred to although its condition does not hold.
pub const ABSENT: &str = "absent:";

/// A template and the values of its parameters.
pub struct Scope<'a> {
    template: &'a Value,
    parameters: BTreeMap<&'a str, Value>,
}

impl<'a> Scope<'a> {
    /// Parameters that are not in `overrides` have their defaults.
    pub fn new(template: &'a Value, overrides: &BTreeMap<String, String>) -> Self {
        let mut parameters = BTreeMap::new();
        for (name, parameter) in template["Parameters"].as_object().expect("parameters") {
            let value = overrides.get(name).map(|value| json!(value));
            let value = value.or_else(|| parameter.get("Default").cloned());
            parameters.insert(name.as_str(), value.unwrap_or_else(|| panic!("{name} has no value")));
        }
        for name in overrides.keys() {
            assert!(parameters.contains_key(name.as_str()), "there is no parameter {name}");
        }
        Scope { template, parameters }
    }

    /// The value of every parameter.
    pub fn values(&self) -> BTreeMap<String, String> {
        self.parameters.iter().map(|(name, value)| ((*name).to_owned(), text(value))).collect()
    }

    /// `None` is `AWS::NoValue`: the property, or the entry of the list, is not there.
    pub fn resolve(&self, value: &Value) -> Option<Value> {
        match value {
            Value::Object(entries) => match entries.iter().next() {
                Some((name, argument)) if entries.len() == 1 && is_function(name, argument) => {
                    self.call(name, argument)
                }
                _ => {
                    let entries = entries.iter();
                    let kept = entries.filter_map(|(key, value)| Some((key.clone(), self.resolve(value)?)));
                    Some(Value::Object(kept.collect::<Map<_, _>>()))
                }
            },
            Value::Array(entries) => {
                Some(Value::Array(entries.iter().filter_map(|entry| self.resolve(entry)).collect()))
            }
            other => Some(other.clone()),
        }
    }

    /// Whether a condition holds; for what has none, it does.
    pub fn holds(&self, condition: Option<&Value>) -> bool {
        let Some(name) = condition else { return true };
        let definition = &self.template["Conditions"][name.as_str().expect("a condition's name")];
        assert!(!definition.is_null(), "there is no condition {name}");
        self.truth(definition)
    }

    /// The texts of the assertions of `Rules` that refuse these parameters.
    pub fn refusals(&self) -> Vec<String> {
        let rules = self.template["Rules"].as_object().into_iter().flatten();
        let due = rules.filter(|(_, rule)| rule.get("RuleCondition").is_none_or(|when| self.truth(when)));
        let assertions = due.flat_map(|(_, rule)| rule["Assertions"].as_array().expect("assertions"));
        let failed = assertions.filter(|assertion| !self.truth(&assertion["Assert"]));
        failed.map(|assertion| assertion["AssertDescription"].as_str().expect("a text").to_owned()).collect()
    }

    fn truth(&self, value: &Value) -> bool {
        match self.resolve(value) {
            Some(Value::Bool(truth)) => truth,
            other => panic!("{value} is no condition: {other:?}"),
        }
    }

    fn call(&self, name: &str, argument: &Value) -> Option<Value> {
        if name == "Ref" {
            return self.reference(argument.as_str().expect("a name"));
        }
        if name == "Condition" {
            return Some(json!(self.holds(Some(argument))));
        }
        if name == "Fn::If" {
            return self.resolve(&argument[if self.holds(argument.get(0)) { 1 } else { 2 }]);
        }
        let resolved = self.resolve(argument).unwrap_or_default();
        let arguments = resolved.as_array().cloned().unwrap_or_else(|| vec![resolved.clone()]);
        Some(match (name, &arguments[..]) {
            ("Fn::GetAtt", [path]) => {
                let (id, attribute) = path.as_str()?.split_once('.').expect("RESOURCE.ATTRIBUTE");
                self.attribute(id, attribute)
            }
            ("Fn::GetAtt", [id, property, attribute]) => {
                self.attribute(id.as_str()?, &format!("{}.{}", property.as_str()?, attribute.as_str()?))
            }
            ("Fn::GetAtt", [id, attribute]) => self.attribute(id.as_str()?, attribute.as_str()?),
            ("Fn::Sub", [pattern]) => json!(self.substitute(pattern.as_str()?, &Map::new())),
            ("Fn::Sub", [pattern, names]) => json!(self.substitute(pattern.as_str()?, names.as_object()?)),
            ("Fn::FindInMap", [map, first, second]) => {
                self.template["Mappings"][text(map)][text(first)][text(second)].clone()
            }
            ("Fn::Join", [separator, parts]) => {
                json!(parts.as_array()?.iter().map(text).collect::<Vec<_>>().join(&text(separator)))
            }
            ("Fn::Split", [separator, whole]) => {
                text(whole).split(&text(separator)).map(|part| json!(part)).collect()
            }
            ("Fn::Select", [index, list]) => list[text(index).parse::<usize>().ok()?].clone(),
            ("Fn::Equals", [one, other]) => json!(text(one) == text(other)),
            ("Fn::Not", [truth]) => json!(!truth.as_bool()?),
            ("Fn::And", all) => json!(all.iter().all(|truth| truth == true)),
            ("Fn::Or", any) => json!(any.iter().any(|truth| truth == true)),
            _ => panic!("the tests do not know {name} of {argument}"),
        })
    }

    fn reference(&self, name: &str) -> Option<Value> {
        Some(match name {
            "AWS::NoValue" => return None,
            "AWS::Region" => json!(REGION),
            "AWS::AccountId" => json!(ACCOUNT),
            "AWS::Partition" => json!("aws"),
            "AWS::StackName" => json!("stack"),
            parameter if self.parameters.contains_key(parameter) => self.parameters[parameter].clone(),
            resource if self.is_absent(resource) => json!(format!("{ABSENT}{resource}")),
            resource => match self.kind(resource) {
                "AWS::SQS::Queue" => {
                    json!(format!("https://sqs.{REGION}.amazonaws.com/{ACCOUNT}/{}", self.name(resource)))
                }
                "AWS::SNS::Topic" => self.attribute(resource, "Arn"),
                _ => json!(self.name(resource)),
            },
        })
    }

    fn is_absent(&self, id: &str) -> bool {
        !self.holds(self.template["Resources"].get(id).and_then(|resource| resource.get("Condition")))
    }

    fn attribute(&self, id: &str, attribute: &str) -> Value {
        if self.is_absent(id) {
            return json!(format!("{ABSENT}{id}"));
        }
        let name = self.name(id);
        json!(match (self.kind(id), attribute) {
            ("AWS::SQS::Queue", "QueueName") => name,
            ("AWS::SQS::Queue", "Arn") => format!("arn:aws:sqs:{REGION}:{ACCOUNT}:{name}"),
            ("AWS::SNS::Topic", "Arn" | "TopicArn") => format!("arn:aws:sns:{REGION}:{ACCOUNT}:{name}"),
            ("AWS::DynamoDB::Table", "Arn") => format!("arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{name}"),
            ("AWS::Logs::LogGroup", "Arn") => format!("arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{name}:*"),
            ("AWS::IAM::Role", "Arn") => format!("arn:aws:iam::{ACCOUNT}:role/{name}"),
            _ => format!("{name}.{attribute}"),
        })
    }

    fn kind(&self, id: &str) -> &str {
        self.template["Resources"][id]["Type"].as_str().unwrap_or_default()
    }

    /// The name that a resource's own properties give it, or one made of its ID.
    fn name(&self, id: &str) -> String {
        let properties = &self.template["Resources"][id]["Properties"];
        let given = ["QueueName", "TopicName", "TableName", "LogGroupName", "AlarmName", "RoleName"];
        let given = given.iter().find_map(|key| properties.get(key)).and_then(|name| self.resolve(name));
        given.map_or_else(|| format!("stack-{id}"), |name| text(&name))
    }

    fn substitute(&self, pattern: &str, names: &Map<String, Value>) -> String {
        let mut parts = pattern.split("${");
        let mut whole = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let (name, rest) = part.split_once('}').expect("a closing brace");
            let value = match (names.get(name), name.split_once('.')) {
                (Some(value), _) => Some(value.clone()),
                (None, Some((id, attribute))) => Some(self.attribute(id, attribute)),
                (None, None) => self.reference(name),
            };
            whole.push_str(&text(&value.unwrap_or_default()));
            whole.push_str(rest);
        }
        whole
    }
}

/// An IAM condition block or a rule's `Condition: NAME` beside other keys is none; neither is `Condition: {..}`.
fn is_function(name: &str, argument: &Value) -> bool {
    name == "Ref" || name.starts_with("Fn::") || (name == "Condition" && argument.is_string())
}

/// A scalar as CloudFormation compares it: `3` and `'3'` are one.
pub fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
