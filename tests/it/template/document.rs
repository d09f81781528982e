//! CloudFormation's YAML as JSON: a short tag becomes the object that it stands for.

use saphyr::{LoadableYamlNode, Scalar, Yaml};
use serde_json::{Map, Value, json};

/// Reads one document. `!Ref X` becomes `{"Ref": "X"}`, `!Sub X` `{"Fn::Sub": "X"}`, and so on.
pub fn parse(text: &str) -> Value {
    let documents = Yaml::load_from_str(text).expect("YAML");
    assert_eq!(documents.len(), 1, "one document");
    value(&documents[0])
}

fn value(node: &Yaml<'_>) -> Value {
    match node {
        Yaml::Value(scalar) => match scalar {
            Scalar::Null => Value::Null,
            Scalar::Boolean(truth) => json!(truth),
            Scalar::Integer(number) => json!(number),
            Scalar::FloatingPoint(number) => json!(number.into_inner()),
            Scalar::String(text) => json!(text),
        },
        Yaml::Sequence(entries) => entries.iter().map(value).collect(),
        Yaml::Mapping(entries) => Value::Object(entries.iter().map(|(k, v)| (key(k), value(v))).collect()),
        Yaml::Tagged(tag, inner) => function(&tag.suffix, value(inner)),
        other => panic!("CloudFormation knows no {other:?}"),
    }
}

fn key(node: &Yaml<'_>) -> String {
    match value(node) {
        Value::String(text) => text,
        other => other.to_string(),
    }
}

fn function(tag: &str, argument: Value) -> Value {
    let name = match tag {
        "Ref" | "Condition" => tag.to_owned(),
        other => format!("Fn::{other}"),
    };
    Value::Object(Map::from_iter([(name, argument)]))
}

#[test]
fn short_tags_are_the_objects_they_stand_for() {
    let read = parse("{ a: !Ref X, b: !GetAtt X.Arn, c: !If [Y, !Sub '${X}', 3], '4': !Not [!Condition Y] }");
    let meant = json!({
        "a": { "Ref": "X" },
        "b": { "Fn::GetAtt": "X.Arn" },
        "c": { "Fn::If": ["Y", { "Fn::Sub": "${X}" }, 3] },
        "4": { "Fn::Not": [{ "Condition": "Y" }] },
    });
    assert_eq!(read, meant);
}
