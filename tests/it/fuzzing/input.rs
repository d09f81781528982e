//! Inputs: what the corpus holds, changed as bytes and as JSON.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::{Value, json};

/// Pieces that mean something to a parser.
const TOKENS: [&str; 24] = [
    "{",
    "}",
    "[",
    "]",
    "\"",
    ":",
    ",",
    "\\",
    "\\u0000",
    "\\ud800",
    "\u{0}",
    "\u{feff}",
    "é",
    "null",
    "true",
    "2.0",
    "2e0",
    "-0",
    "1e999",
    "18446744073709551616",
    "\"order_id\":\"x\",",
    "{}",
    " ",
    "\n",
];

/// One change of bytes.
#[derive(Clone, Debug)]
enum Cut {
    Set(Index, u8),
    Insert(Index, &'static str),
    Remove(Index, usize),
    Repeat(Index, usize),
    Truncate(Index),
}

/// `inputs`, with some of their bytes changed, and bytes of nobody's making.
pub fn changed_bytes(inputs: Vec<Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    let changed = (select(inputs), vec(cut(), 0..5)).prop_map(|(bytes, cuts)| cut_bytes(bytes, &cuts));
    let text = any::<String>().prop_map(String::into_bytes);
    let json = any_json().prop_map(|json| json.to_string().into_bytes());
    prop_oneof![17 => changed, 1 => vec(any::<u8>(), 0..100), 1 => text, 1 => json]
}

fn cut() -> impl Strategy<Value = Cut> {
    prop_oneof![
        (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Cut::Set(at, byte)),
        (any::<Index>(), select(&TOKENS[..])).prop_map(|(at, token)| Cut::Insert(at, token)),
        (any::<Index>(), 1..32_usize).prop_map(|(at, length)| Cut::Remove(at, length)),
        (any::<Index>(), 1..32_usize).prop_map(|(at, length)| Cut::Repeat(at, length)),
        any::<Index>().prop_map(Cut::Truncate),
    ]
}

fn cut_bytes(mut bytes: Vec<u8>, cuts: &[Cut]) -> Vec<u8> {
    for cut in cuts {
        let length = bytes.len();
        let range = |at: &Index, most: usize| {
            let start = at.index(length + 1);
            start..(start + most).min(length)
        };
        match cut {
            Cut::Set(at, byte) => bytes[range(at, 1)].fill(*byte),
            Cut::Insert(at, token) => drop(bytes.splice(range(at, 0), token.bytes())),
            Cut::Remove(at, most) => drop(bytes.drain(range(at, *most))),
            Cut::Repeat(at, most) => {
                let piece = bytes[range(at, *most)].to_vec();
                drop(bytes.splice(range(at, 0), piece));
            }
            Cut::Truncate(at) => bytes.truncate(at.index(length + 1)),
        }
    }
    bytes
}

/// One change of a JSON value, at one of its parts.
#[derive(Clone, Debug)]
enum Edit {
    Replace(Index, Value),
    Remove(Index),
    Repeat(Index),
    Add(Index, String, Value),
}

/// `inputs`, with some of their parts replaced by `values`, removed, repeated, or `values` added under `names`.
pub fn changed_json(
    inputs: Vec<Value>,
    names: &'static [&'static str],
    values: Vec<Value>,
) -> impl Strategy<Value = Value> {
    let value = prop_oneof![9 => select(values), 1 => any_json()].boxed();
    let edit = prop_oneof![
        4 => (any::<Index>(), value.clone()).prop_map(|(at, value)| Edit::Replace(at, value)),
        1 => any::<Index>().prop_map(Edit::Remove),
        1 => any::<Index>().prop_map(Edit::Repeat),
        1 => (any::<Index>(), select(names), value)
            .prop_map(|(at, name, value)| Edit::Add(at, name.to_owned(), value)),
    ]
    .boxed();
    // One change tells most: what two of them come to is mostly refused for either.
    let edits = prop_oneof![3 => vec(edit.clone(), 1), 1 => vec(edit, 0..4)];
    (select(inputs), edits).prop_map(|(value, edits)| edits.iter().fold(value, edited))
}

fn edited(mut value: Value, edit: &Edit) -> Value {
    let paths = paths(&value);
    let (Edit::Replace(at, _) | Edit::Remove(at) | Edit::Repeat(at) | Edit::Add(at, ..)) = edit;
    let path = at.get(&paths);
    match edit {
        Edit::Replace(_, new) => *value.pointer_mut(path).unwrap() = new.clone(),
        Edit::Remove(_) => remove(&mut value, path),
        Edit::Repeat(_) => {
            let part = value.pointer(path).cloned().unwrap();
            if let Some((Value::Array(list), _)) = parent(&mut value, path) {
                list.push(part);
            }
        }
        Edit::Add(_, name, new) => match value.pointer_mut(path).unwrap() {
            Value::Object(fields) => drop(fields.insert(name.clone(), new.clone())),
            Value::Array(list) => list.push(new.clone()),
            _ => {}
        },
    }
    value
}

fn remove(value: &mut Value, path: &str) {
    match parent(value, path) {
        Some((Value::Object(fields), name)) => drop(fields.remove(&name)),
        Some((Value::Array(list), index)) => drop(list.remove(index.parse().unwrap())),
        _ => {}
    }
}

/// What the part at `path` is in, and its name or number there.
fn parent<'v>(value: &'v mut Value, path: &str) -> Option<(&'v mut Value, String)> {
    let (parent, name) = path.rsplit_once('/')?;
    Some((value.pointer_mut(parent)?, name.replace("~1", "/").replace("~0", "~")))
}

/// The JSON pointer of every part, the whole first.
fn paths(value: &Value) -> Vec<String> {
    let parts: Vec<(String, &Value)> = match value {
        Value::Object(fields) => {
            let escaped = |name: &String| name.replace('~', "~0").replace('/', "~1");
            fields.iter().map(|(name, part)| (escaped(name), part)).collect()
        }
        Value::Array(list) => list.iter().enumerate().map(|(n, part)| (n.to_string(), part)).collect(),
        _ => Vec::new(),
    };
    let below = parts
        .into_iter()
        .flat_map(|(name, part)| paths(part).into_iter().map(move |path| format!("/{name}{path}")));
    std::iter::once(String::new()).chain(below).collect()
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(|value| json!(value)),
        any::<i64>().prop_map(|value| json!(value)),
        any::<u64>().prop_map(|value| json!(value)),
        any::<f64>().prop_map(|value| json!(value)),
        any::<String>().prop_map(|value| json!(value)),
    ];
    leaf.prop_recursive(6, 32, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::Array),
            vec((any::<String>(), inner), 0..4).prop_map(|fields| fields.into_iter().collect()),
        ]
    })
}
