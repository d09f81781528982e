//! Mutants of the pure core are tested on a table of steps that is written down once more: see `infra/verify-mutants.sh`.

use order_processor::workflow;

#[path = "../mutants/services.rs"]
mod services;

#[test]
fn mutants_are_tested_on_the_shipped_table_of_steps() {
    let (written, shipped) = (services::workflow(), order_processor::services::workflow());
    assert_eq!(written, shipped, "tests/mutants/services.rs repeats the table of steps");
}
