//! Both ends of every parameter, alone and in pairs, as far as the template's own rules let them be chosen. The ends are
//! the template's: its `MinValue`, `MaxValue` and `AllowedValues`.

use std::collections::BTreeSet;

use serde_json::Value;

use super::cases::{Overrides, adopting, everything, template};
use super::resolve::text;
use super::stack::{Stack, number};

/// A parameter and one of its values.
type End = (String, String);

/// The ends of a parameter. Of a list of words every one: each may mean something else.
fn ends(name: &str, parameter: &Value) -> Vec<End> {
    let listed: Vec<String> = parameter["AllowedValues"].as_array().into_iter().flatten().map(text).collect();
    let values = if parameter["Type"] == "Number" {
        let numbers: Vec<i64> = listed.iter().filter_map(|value| value.parse().ok()).collect();
        let least = number(&parameter["MinValue"]).or(numbers.iter().min().copied());
        let most = number(&parameter["MaxValue"]).or(numbers.iter().max().copied());
        let bounds = [least, most].map(|bound| bound.unwrap_or_else(|| panic!("{name} has no bound")));
        bounds.map(|bound| bound.to_string()).to_vec()
    } else if listed.is_empty() {
        let given = adopting().get(name).cloned();
        [text(&parameter["Default"])].into_iter().chain(given).collect()
    } else {
        listed
    };
    values.into_iter().map(|value| (name.to_owned(), value)).collect()
}

/// The ends of every parameter that `is_meant`.
fn ends_of(template: &Value, is_meant: impl Fn(&Value) -> bool) -> Vec<Vec<End>> {
    let parameters = template["Parameters"].as_object().expect("parameters");
    let meant = parameters.iter().filter(|(_, parameter)| is_meant(parameter));
    meant.map(|(name, parameter)| ends(name, parameter)).collect()
}

/// What has ends of its own: a number, or a list of what is allowed. Other parameters are texts.
fn is_bounded(parameter: &Value) -> bool {
    parameter["Type"] == "Number" || parameter.get("AllowedValues").is_some()
}

/// Every end alone, and every pair of ends of two parameters that are bounded.
fn choices(template: &Value) -> Vec<Vec<End>> {
    let alone = ends_of(template, |_| true).into_iter().flatten();
    let mut choices: Vec<Vec<End>> = alone.map(|end| vec![end]).collect();
    let bounded = ends_of(template, is_bounded);
    for (place, these) in bounded.iter().enumerate() {
        for those in &bounded[place + 1..] {
            choices.extend(
                these.iter().flat_map(|one| those.iter().map(|other| vec![one.clone(), other.clone()])),
            );
        }
    }
    choices
}

/// What stands beside an end: nothing but defaults, or everything that can be given.
fn surroundings() -> [(&'static str, Overrides); 2] {
    [("defaults", Overrides::new()), ("everything", everything())]
}

/// A rule, and the value of a parameter by which a person chooses to go without what it wants.
const FORGONE: [(&str, &str, &str); 2] =
    [("T18", "Monitoring", "false"), ("T21", "CanaryDeployment", "false")];

/// Ends of parameters, and what stands beside them.
pub struct Case {
    pub name: String,
    choice: Vec<End>,
    /// Rules that these parameters ask to do without.
    pub forgone: Vec<&'static str>,
    pub stack: Stack,
}

impl Case {
    fn new(template: &Value, beside: &str, choice: Vec<End>, mut overrides: Overrides) -> Case {
        overrides.extend(choice.iter().cloned());
        let named: Vec<String> = choice.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let is = |name: &str, value: &str| {
            let default = || text(&template["Parameters"][name]["Default"]);
            overrides.get(name).cloned().unwrap_or_else(default) == value
        };
        let forgone = FORGONE.into_iter().filter(|(_, name, value)| is(name, value));
        Case {
            name: format!("{beside}, {}", named.join(", ")),
            choice,
            forgone: forgone.map(|(rule, ..)| rule).collect(),
            stack: Stack::new(template, &overrides),
        }
    }
}

/// Every choice that the template's own rules accept.
pub fn accepted(template: &Value) -> impl Iterator<Item = Case> + '_ {
    let cases = choices(template).into_iter().flat_map(move |choice| {
        let surroundings = surroundings().into_iter();
        surroundings.map(move |(beside, overrides)| Case::new(template, beside, choice.clone(), overrides))
    });
    cases.filter(|case| case.stack.refusals.is_empty())
}

/// Two numbers that are not given together.
const EXCLUDED: [&str; 2] = ["MaximumConcurrency", "ProvisionedPollers"];

#[test]
fn every_end_can_be_chosen_and_numbers_go_with_each_other() {
    let template = template();
    let tried: BTreeSet<Vec<End>> = accepted(&template).map(|case| case.choice).collect();
    let numbers = |name: &str| template["Parameters"][name]["Type"] == "Number" || name == "FunctionTimeout";
    let exclude = |choice: &[End]| {
        EXCLUDED.iter().all(|name| choice.iter().any(|(chosen, value)| chosen == name && value != "0"))
    };
    let wanted = choices(&template);
    let wanted =
        wanted.iter().filter(|choice| choice.len() == 1 || choice.iter().all(|(name, _)| numbers(name)));
    let wanted = wanted.filter(|choice| !exclude(choice));
    let missing: Vec<_> = wanted.filter(|choice| !tried.contains(*choice)).collect();
    assert!(missing.is_empty(), "never accepted: {missing:?}");
}
