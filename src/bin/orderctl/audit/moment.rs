//! Moments on the command line.

use order_processor::clock::UnixMillis;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// RFC 3339, such as `2026-11-24T01:00:00Z`.
pub fn parse(text: &str) -> Result<UnixMillis, String> {
    let moment = OffsetDateTime::parse(text, &Rfc3339).ok();
    let millis = moment.and_then(|moment| u64::try_from(moment.unix_timestamp_nanos() / 1_000_000).ok());
    let problem = || format!("an RFC 3339 time such as 2026-11-24T01:00:00Z is accepted, {text:?} found");
    millis.map(UnixMillis).ok_or_else(problem)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_in_rfc_3339() {
        assert_eq!(parse("2026-11-24T01:00:01.123Z"), Ok(UnixMillis(1_795_482_001_123)));
        assert_eq!(parse("2026-11-24T03:00:01.123+02:00"), Ok(UnixMillis(1_795_482_001_123)));
        for bad in ["", "2026-11-24", "2026-11-24T01:00:00", "1795482001", "1960-01-01T00:00:00Z", "2h"] {
            assert!(parse(bad).unwrap_err().contains("2026-11-24T01:00:00Z"), "{bad}");
        }
    }
}
