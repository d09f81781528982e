//! The same JSON in other words: white space, escapes, another order of fields and lines.

use fastrand::Rng;
use serde_json::Value;

/// `json`, with every choice that JSON leaves open made at random. The elements of `items` change places too.
pub fn respelled(json: &Value, random: &mut Rng) -> String {
    let mut text = String::new();
    write(&mut text, json, false, random);
    text
}

fn write(text: &mut String, json: &Value, is_items: bool, random: &mut Rng) {
    space(text, random);
    match json {
        Value::Object(fields) => {
            let mut fields: Vec<_> = fields.iter().collect();
            random.shuffle(&mut fields);
            list(text, "{}", fields, random, |text, (name, value), random| {
                string(text, name, random);
                space(text, random);
                text.push(':');
                write(text, value, name == "items", random);
            });
        }
        Value::Array(elements) => {
            let mut elements: Vec<_> = elements.iter().collect();
            if is_items {
                random.shuffle(&mut elements);
            }
            list(text, "[]", elements, random, |text, element, random| write(text, element, false, random));
        }
        Value::String(value) => string(text, value, random),
        other => text.push_str(&other.to_string()),
    }
    space(text, random);
}

fn list<T>(
    text: &mut String,
    brackets: &str,
    elements: Vec<T>,
    random: &mut Rng,
    mut write: impl FnMut(&mut String, T, &mut Rng),
) {
    text.push_str(&brackets[..1]);
    for (number, element) in elements.into_iter().enumerate() {
        if number > 0 {
            text.push(',');
        }
        space(text, random);
        write(text, element, random);
    }
    text.push_str(&brackets[1..]);
}

fn string(text: &mut String, value: &str, random: &mut Rng) {
    text.push('"');
    for c in value.chars() {
        if matches!(c, '"' | '\\' | '\0'..='\u{1f}') || random.u8(..4) == 0 {
            for unit in c.encode_utf16(&mut [0; 2]) {
                text.push_str(&format!("\\u{unit:04x}"));
            }
        } else {
            text.push(c);
        }
    }
    text.push('"');
}

fn space(text: &mut String, random: &mut Rng) {
    text.push_str(random.choice(["", "", "", " ", "\n", "\t", "\r\n"]).unwrap());
}
