//! What is done to the function's processes while there is work: SIGKILL, and SIGSTOP past their deadline.

use std::ops::Range;
use std::time::Duration;

use fastrand::Rng;
use order_processor::local::stack::Stack;
use tokio::time::Instant;

/// How long a process is stopped: longer than the function's timeout, so that its invocation has failed when it
/// wakes. Some wake while their orders still are hidden, others long after somebody else took them over.
const FROZEN_MS: Range<u64> = 4_000..25_000;
/// So many at a time, or nobody would be left to take anything over.
const FROZEN_AT_ONCE: usize = 2;

/// Kills and freezes now and then.
pub struct Mischief {
    kill: Rhythm,
    freeze: Rhythm,
    random: Rng,
    frozen: Vec<Frozen>,
    /// Processes killed.
    pub kills: u64,
    /// Processes stopped past their deadline, and woken.
    pub freezes: u64,
}

struct Frozen {
    pid: u32,
    wakes_at: Instant,
    awake: bool,
}

/// `every`: never if there is none.
struct Rhythm {
    every: Option<Duration>,
    next: Instant,
}

impl Rhythm {
    fn new(every: Option<Duration>) -> Self {
        Rhythm { every, next: Instant::now() + every.unwrap_or_default() }
    }

    /// Only while there is a queue, but at least once: each costs the visibility timeout, and the last of them
    /// would otherwise go on for ever.
    fn is_due(&self, rush: bool, so_far: u64) -> bool {
        self.every.is_some() && (rush || so_far == 0) && Instant::now() >= self.next
    }

    fn done(&mut self) {
        self.next = Instant::now() + self.every.unwrap_or_default();
    }
}

impl Mischief {
    /// The random numbers of `seed` say how long processes are stopped.
    pub fn new(kill_every: Option<Duration>, freeze_every: Option<Duration>, seed: u64) -> Self {
        Mischief {
            kill: Rhythm::new(kill_every),
            freeze: Rhythm::new(freeze_every),
            random: Rng::with_seed(seed),
            frozen: Vec::new(),
            kills: 0,
            freezes: 0,
        }
    }

    /// Does what is due. `rush`: there is work that waits.
    pub fn act(&mut self, stack: &Stack, rush: bool) {
        self.wake(stack);
        if self.kill.is_due(rush, self.kills) && stack.kill_one().is_some() {
            self.kills += 1;
            self.kill.done();
        }
        if self.freeze.is_due(rush, self.freezes)
            && self.frozen.len() < FROZEN_AT_ONCE
            && let Some(pid) = stack.function().pause_one()
        {
            let wakes_at = Instant::now() + Duration::from_millis(self.random.u64(FROZEN_MS));
            self.frozen.push(Frozen { pid, wakes_at, awake: false });
            self.freezes += 1;
            self.freeze.done();
        }
    }

    /// Whether no process is left that was stopped: one that woke goes on with what it was doing until it is replaced.
    pub fn is_over(&self) -> bool {
        self.frozen.is_empty()
    }

    fn wake(&mut self, stack: &Stack) {
        for frozen in self.frozen.iter_mut().filter(|frozen| !frozen.awake) {
            if Instant::now() >= frozen.wakes_at {
                stack.function().resume(frozen.pid);
                frozen.awake = true;
            }
        }
        let environments = stack.function().environments();
        // One that answered just before it was stopped has nothing to go on with, and is not replaced.
        let at_work = |frozen: &Frozen| {
            environments.iter().any(|one| one.pid == Some(frozen.pid) && (one.busy || !frozen.awake))
        };
        self.frozen.retain(at_work);
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use order_processor::local::stack::StackOptions;

    use super::*;

    #[test]
    fn some_wake_while_their_orders_are_hidden_and_some_after_they_were_taken_over() {
        let StackOptions { timeout, visibility, .. } = StackOptions::new(PathBuf::new());
        assert!(Duration::from_millis(FROZEN_MS.start) > timeout);
        assert!(Duration::from_millis(FROZEN_MS.end) > visibility + timeout);
    }
}
