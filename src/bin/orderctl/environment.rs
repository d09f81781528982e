//! The variables of this process's environment.

/// The value of `name`, unless it is unset or empty.
#[expect(clippy::disallowed_methods, reason = "the one place of the command line that reads the environment")]
pub fn variable(name: &str) -> Option<String> {
    let value = std::env::var_os(name)?.to_string_lossy().into_owned();
    (!value.is_empty()).then_some(value)
}

/// Whether one of `names` is set.
pub fn any(names: &[&str]) -> bool {
    names.iter().any(|name| variable(name).is_some())
}

/// This program as it was called, so that a hint can be pasted where it is read.
pub fn program() -> String {
    std::env::args().next().filter(|name| !name.is_empty()).unwrap_or_else(|| "orderctl".to_owned())
}
