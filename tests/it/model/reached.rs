//! The branches that a check has been through: a check that never took over an order would prove nothing about it.

use std::sync::atomic::{AtomicU64, Ordering};

listed! {
    /// A way that a run, an operator or the world can go.
    pub enum Branch {
        Claimed,
        OwnClaimRecognised,
        TakenOver,
        OwnWriteRecognised,
        CancellationSeen,
        LeaseLost,
        Short,
        Declined,
        ShipmentRefused,
        Refunded,
        LookedUp,
        Completed,
        Rejected,
        Duplicate,
        Parked,
        ParkedAnswer,
        Busy,
        Retry,
        Conflict,
        Stale,
        Crashed,
        ResponseLost,
        NoAnswer,
        LandedLate,
        LateRefused,
        CallLate,
        Cancelled,
        Resumed,
        Marked,
        TurnedBack,
        OperatorTooLate,
        Restocked,
        Swept,
        DayPassed,
    }
}

/// How often each branch was taken, over all threads of a check.
pub struct Reached([AtomicU64; Branch::ALL.len()]);

impl Default for Reached {
    fn default() -> Self {
        Reached([const { AtomicU64::new(0) }; Branch::ALL.len()])
    }
}

impl Reached {
    pub fn mark(&self, branch: Branch) {
        self.0[branch as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub fn count(&self, branch: Branch) -> u64 {
        self.0[branch as usize].load(Ordering::Relaxed)
    }
}
