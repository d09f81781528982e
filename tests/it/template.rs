//! What `template.yaml` must hold, as rules over the template with its parameters put in: see `mutations`, which
//! proves of each rule that it catches what it is for.

mod alarm_mutations;
pub mod alarms;
pub mod cases;
mod closed;
mod deployment;
mod document;
mod ends;
mod expected;
mod function;
mod kept;
mod memory;
mod mutations;
mod polling;
mod queues;
mod resolve;
mod role;
mod rows;
pub mod stack;

use serde_json::Value;

use self::cases::{cases, template};
use self::stack::Stack;

/// The resource, and what is wanted of it.
type Findings = Vec<(String, String)>;

/// A rule's name, and what finds where it is broken.
type Rule = (&'static str, fn(&Stack) -> Findings);

const RULES: [Rule; 37] = [
    ("T01", queues::t01_whatever_is_consumed_has_dead_letters),
    ("T02", queues::t02_the_function_knows_the_receive_count),
    ("T03", queues::t03_messages_are_kept_until_somebody_can_act),
    ("T04", queues::t04_a_dead_letter_queue_takes_from_its_source_alone),
    ("T05", queues::t05_queues_refuse_requests_without_tls),
    ("T06", queues::t06_only_named_principals_are_allowed),
    ("T07", polling::t07_nothing_is_redelivered_while_its_worker_lives),
    ("T08", polling::t08_only_failed_records_come_back),
    ("T09", polling::t09_a_large_batch_has_a_window),
    ("T10", polling::t10_one_way_of_scaling),
    ("T11", polling::t11_the_poller_asks_for_no_more_than_is_reserved),
    ("T12", polling::t12_no_message_is_filtered_away),
    ("T13", role::t13_the_role_allows_what_is_needed_and_no_more),
    ("T14", polling::t14_the_lease_ends_before_the_redelivery),
    ("T15", polling::t15_an_order_is_remembered_longer_than_its_messages),
    ("T16", function::t16_the_template_and_the_code_name_the_same_things),
    ("T17", function::t17_the_table_is_the_stacks_own_or_named_and_can_be_restored),
    ("T18", alarms::t18_every_alarm_is_heard_and_explained),
    ("T19", alarms::t19_only_metrics_that_exist_are_referred_to),
    ("T20", function::t20_the_function_says_how_it_runs),
    ("T21", function::t21_a_new_version_can_be_rolled_back),
    ("T22", function::t22_a_key_that_is_given_is_used_everywhere),
    ("T23", function::t23_only_the_source_queue_caps_its_messages),
    ("T24", polling::t24_a_message_is_given_up_before_it_expires),
    ("T25", alarms::t25_every_alarm_can_ring_in_time),
    ("T26", function::t26_as_many_orders_run_at_once_as_are_asked_for),
    ("T27", alarms::t27_parked_orders_are_counted_while_they_wait),
    ("T28", queues::t28_what_nobody_takes_is_told_of),
    ("T29", expected::t29_every_alarm_is_as_its_row_says),
    ("T30", expected::t30_one_cause_calls_once),
    ("T31", closed::t31_nothing_is_there_that_no_rule_knows),
    ("T32", closed::t32_the_function_is_what_its_parameters_say),
    ("T33", closed::t33_the_function_starts_with_its_variables),
    ("T34", closed::t34_the_outputs_name_what_they_say),
    ("T35", closed::t35_rights_are_given_plainly),
    ("T40", kept::t40_nothing_refers_to_what_is_not_there),
    ("T41", kept::t41_what_holds_orders_is_kept),
];

/// What `rules`, but for those that are forgone, find in a stack, as `RULE RESOURCE: wants WHAT (CASE)`.
fn of(stack: &Stack, case: &str, rules: &[&str], but: &[&str]) -> Vec<String> {
    let rules = RULES.into_iter().filter(|(rule, _)| rules.contains(rule) && !but.contains(rule));
    let found = rules.flat_map(|(rule, find)| find(stack).into_iter().map(move |one| (rule, one)));
    found.map(|(rule, (id, wanted))| format!("{rule} {id}: wants {wanted} ({case})")).collect()
}

/// Every finding of these rules in any of the cases.
fn findings(template: &Value, rules: &[&str]) -> Vec<String> {
    let cases = cases().into_iter();
    cases.flat_map(|(case, overrides)| of(&Stack::new(template, &overrides), &case, rules, &[])).collect()
}

/// Every finding of these rules at the ends of parameters.
fn findings_at_ends<'a>(template: &'a Value, rules: &'a [&'a str]) -> impl Iterator<Item = String> + 'a {
    ends::accepted(template).flat_map(|case| of(&case.stack, &case.name, rules, &case.forgone))
}

fn every_rule() -> [&'static str; RULES.len()] {
    RULES.map(|(rule, _)| rule)
}

#[test]
fn the_template_keeps_every_rule_with_all_kinds_of_parameters() {
    let found = findings(&template(), &every_rule());
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn the_template_keeps_every_rule_at_both_ends_of_each_parameter_and_of_each_pair() {
    let found: Vec<String> = findings_at_ends(&template(), &every_rule()).take(20).collect();
    assert!(found.is_empty(), "{}", found.join("\n"));
}
