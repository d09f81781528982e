//! The direction of imports, held: see `ARCHITECTURE.md`.

use std::path::{Path, PathBuf};

/// Every source file below `src`, but for unit tests, without its comments.
fn sources() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path: PathBuf = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs")
                && !path.ends_with("tests.rs")
            {
                let name = path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
                files.push((name, without_comments(&std::fs::read_to_string(&path).unwrap())));
            }
        }
    }
    assert!(files.len() > 20, "the sources are found");
    files
}

fn without_comments(source: &str) -> String {
    let lines = source.lines().map(|line| if line.trim_start().starts_with("//") { "" } else { line });
    lines.collect::<Vec<_>>().join("\n")
}

fn is_in(name: &str, places: &[&str]) -> bool {
    places.iter().any(|place| name == format!("{place}.rs") || name.starts_with(&format!("{place}/")))
}

fn only(text: &str, places: &[&str]) {
    for (name, source) in sources().iter().filter(|(name, _)| !is_in(name, places)) {
        assert!(!source.contains(text), "{name} names {text}");
    }
}

#[test]
fn only_the_store_and_the_edges_name_the_dynamodb_sdk() {
    only("aws_sdk_dynamodb", &["store", "function", "local", "bin"]);
}

#[test]
fn only_queues_and_the_edges_name_the_sqs_sdk() {
    only("aws_sdk_sqs", &["queue", "batch", "function", "local", "bin"]);
}

#[test]
fn only_the_batch_and_the_function_binary_name_lambda_crates() {
    only("lambda_runtime", &["bin/order-processor"]);
    only("aws_lambda_events", &["batch", "bin/order-processor"]);
}

#[test]
fn the_function_never_names_the_local_stack() {
    for (name, source) in sources() {
        let outside = !is_in(&name, &["local", "lib", "bin/orderctl"]);
        assert!(!outside || !source.contains("crate::local"), "{name} names the local stack");
    }
}

#[test]
fn arrows_point_one_way() {
    // From the top down: a layer names only those after it.
    let layers = [
        "function",
        "config",
        "batch",
        "processor",
        "services",
        "store",
        "queue",
        "budget",
        "letter",
        "delivery",
        "protocol",
        "answer",
        "workflow",
        "record",
        "order",
        "metrics",
        "trace",
        "clock",
        "random",
    ];
    for (name, source) in sources() {
        let Some(layer) = layers.iter().position(|layer| is_in(&name, &[layer])) else { continue };
        for above in &layers[..layer] {
            assert!(
                !source.contains(&format!("crate::{above}::")),
                "{name} names {above}, which is above it"
            );
        }
    }
}

#[test]
fn no_file_is_longer_than_400_lines() {
    for (name, source) in sources() {
        assert!(source.lines().count() <= 400, "{name}: {} lines", source.lines().count());
    }
}
