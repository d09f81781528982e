//! How many orders fit into the files that the process may have open: beyond them no connection can be opened, and
//! orders would be given back for no other reason.

use super::Config;
use super::name::ORDER_CONCURRENCY;

/// How many files a function may have open (AWS Lambda Developer Guide, "Quotas").
pub const ON_LAMBDA: u64 = 1024;
/// An order makes one request at a time, but leaves a connection open wherever it was: one at DynamoDB, one at the
/// payment provider, one at SQS; and a fourth is at SQS for the message of a failed order, which its successor does not
/// wait for.
const PER_ORDER: u64 = 4;
/// Standard streams, the Runtime API, the event loop, look-ups of names, connections that are opened while one is free
/// again.
const RESERVE: u64 = 64;

/// How many files this process may have open; `None` where it cannot be read, or where there is no limit.
pub fn limit() -> Option<u64> {
    soft_limit(&std::fs::read_to_string("/proc/self/limits").ok()?)
}

/// From the text of `/proc/self/limits` (`proc_pid_limits(5)`): the columns are the name, the soft and the hard limit.
fn soft_limit(limits: &str) -> Option<u64> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

/// How many orders fit into so many open files; at least one, which then runs as well as it can.
pub fn most_orders(descriptors: u64) -> usize {
    usize::try_from(descriptors.saturating_sub(RESERVE) / PER_ORDER).unwrap_or(usize::MAX).max(1)
}

impl Config {
    /// The same, with no more orders in flight than fit into so many open files. Says so if that is fewer than asked.
    pub fn within(self, descriptors: Option<u64>) -> Config {
        let Some(descriptors) = descriptors else { return self };
        let (asked, effective) =
            (self.order_concurrency, self.order_concurrency.min(most_orders(descriptors)));
        if effective < asked {
            tracing::warn!(
                variable = ORDER_CONCURRENCY,
                asked,
                effective,
                descriptors,
                "fewer orders in flight than asked for: the process may not open enough files"
            );
        }
        Config { order_concurrency: effective, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: &str = "\
Limit                     Soft Limit           Hard Limit           Units     
Max processes             1024                 2048                 processes 
Max open files            1024                 4096                 files     
Max locked memory         65536                65536                bytes     
";

    #[test]
    fn the_soft_limit_of_open_files_is_read() {
        assert_eq!(soft_limit(LIMITS), Some(1024));
        assert_eq!(
            soft_limit(&LIMITS.replace("1024                 4096", "unlimited            unlimited")),
            None
        );
        assert_eq!(soft_limit("Max open files"), None);
        assert_eq!(soft_limit(""), None);
        if cfg!(target_os = "linux") {
            assert!(limit().is_some());
        }
    }

    #[test]
    fn as_many_orders_as_have_room_and_never_none() {
        for (descriptors, orders) in
            [(0, 1), (64, 1), (71, 1), (72, 2), (1023, 239), (1024, 240), (4096, 1008)]
        {
            assert_eq!(most_orders(descriptors), orders, "{descriptors}");
        }
    }

    #[test]
    fn what_fits_is_left_as_it_is_and_one_more_is_not() {
        let config = |asked: &str, descriptors| {
            let asked = asked.to_owned();
            let lookup = move |name: &str| match name {
                ORDER_CONCURRENCY => Some(asked.clone()),
                "PAYMENT_PROVIDER" => Some("sandbox".to_owned()),
                "ORDERS_TABLE" => Some("orders".to_owned()),
                name if name.ends_with("_URL") => Some("http://localhost/q".to_owned()),
                _ => None,
            };
            Config::read(&lookup).unwrap().within(descriptors).order_concurrency
        };
        assert_eq!((config("240", Some(1024)), config("241", Some(1024))), (240, 240));
        assert_eq!(
            (config("64", Some(1024)), config("64", Some(320)), config("64", Some(319))),
            (64, 64, 63)
        );
        assert_eq!(config("10000", None), 10_000);
    }
}
