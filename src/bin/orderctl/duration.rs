//! Durations on the command line.

use std::time::Duration;

/// `500ms`, `2s`, `1.5s`, `1m`, `2h` or `7d`.
pub fn parse(text: &str) -> Result<Duration, String> {
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let problem = || format!("a duration such as 500ms, 2s, 1m, 2h or 7d is accepted, {text:?} found");
    let number: f64 = number.parse().map_err(|_| problem())?;
    let seconds = match unit {
        "ms" => number / 1000.0,
        "s" => number,
        "m" => number * 60.0,
        "h" => number * 3600.0,
        "d" => number * 86_400.0,
        _ => return Err(problem()),
    };
    Duration::try_from_secs_f64(seconds).map_err(|_| problem())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_has_a_number_and_a_unit() {
        assert_eq!(parse("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(parse("1.5s"), Ok(Duration::from_millis(1500)));
        assert_eq!(parse("2m"), Ok(Duration::from_secs(120)));
        assert_eq!(parse("2h"), Ok(Duration::from_secs(7200)));
        assert_eq!(parse("7d"), Ok(Duration::from_secs(604_800)));
        for bad in ["", "5", "s", "-1s", "1w", "1.2.3s"] {
            assert!(parse(bad).unwrap_err().contains("500ms"), "{bad}");
        }
    }
}
