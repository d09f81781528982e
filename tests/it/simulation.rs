//! The simulation by seed.

use order_processor::local::simulation::{Plan, run};

#[test]
fn look() {
    for (seed, orders, workers, faults) in [
        (1, 300, 4, 0.05),
        (2, 300, 8, 0.1),
        (2, 300, 8, 0.1),
        (3, 100, 3, 0.5),
        (4, 40, 3, 1.0),
        (5, 100, 2, 0.0),
        (6, 300, 3, 0.03),
    ] {
        let plan = Plan { log: true, ..Plan::new(seed, orders, workers, faults) };
        let t = std::time::Instant::now();
        let outcome = run(&plan);
        println!("{:?} {:?} {:?}", outcome.counts, outcome.took, t.elapsed());
        println!("{:#?}", outcome.violations.iter().take(5).collect::<Vec<_>>());
        println!("unreached {:?}", outcome.unreached());
        let f = format!("/tmp/sim-{seed}.log");
        let log = outcome.log.join("\n");
        if let Ok(old) = std::fs::read_to_string(&f) {
            println!("same: {}", old == log);
            std::fs::write(format!("{f}.2"), &log).unwrap();
        } else {
            std::fs::write(f, log).unwrap();
        }
    }
}
