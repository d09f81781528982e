//! `orderctl simulate`.

use order_processor::local::simulation::{self, Plan};
use serde_json::json;

#[tokio::test]
async fn the_command_writes_the_log_and_tells_what_happened_in_both_forms() {
    let log = std::env::temp_dir().join(format!("simulation-{}.log", std::process::id()));
    let arguments =
        ["simulate", "--seed", "7", "--orders", "12", "--workers", "2", "--faults", "0.2", "--log"];
    let arguments: Vec<&str> = arguments.into_iter().chain([log.to_str().unwrap(), "--json"]).collect();
    let told = super::run(&arguments, "").await;
    let document = told.document();
    assert_eq!((told.code, &document["holds"], &document["seed"]), (0, &json!(true), &json!(7)), "{told:?}");
    let lines = std::fs::read_to_string(&log).unwrap();
    std::fs::remove_file(&log).unwrap();
    let again = simulation::run(&Plan { log: true, ..Plan::new(7, 12, 2, 0.2) });
    assert_eq!(lines.trim_end(), again.log.join("\n"), "another process, the same log");
    let text = super::run(&["simulate", "--seed", "7", "--orders", "3", "--faults", "0"], "").await;
    assert_eq!(text.code, 0, "{text:?}");
    assert!(
        text.out.contains("ok  a finished record never changes") && text.err.contains("seed 7"),
        "{text:?}"
    );
}

#[tokio::test]
async fn the_command_takes_its_limits_and_refuses_what_is_one_past_them() {
    let simulate = async |option, value| {
        let few = ["simulate", "--only-orders", "1", "--faults", "0", "--seed", "1"];
        let few = few.into_iter().filter(|word| option != "--faults" || !["--faults", "0"].contains(word));
        let arguments: Vec<&str> = few.chain([option, value]).collect();
        super::run(&arguments, "").await
    };
    for (option, values) in
        [("--orders", ["1", "100000"]), ("--workers", ["1", "64"]), ("--faults", ["0", "1"])]
    {
        for value in values {
            assert_eq!(simulate(option, value).await.code, 0, "{option} {value}");
        }
    }
    for (option, values) in [
        ("--orders", ["0", "100001"]),
        ("--workers", ["0", "65"]),
        ("--faults", ["-0.1", "1.1"]),
        ("--faults", ["NaN", "many"]),
    ] {
        for value in values {
            let refused = simulate(option, value).await;
            assert_eq!(refused.code, 2, "{option} {value}: {refused:?}");
        }
    }
}
