//! An owned order, from checkpoint to checkpoint until it is finished or cannot go on.

use std::time::Duration;

use super::{Command, Disposition, Due, Ending, Event, Handled, Job, Moment, Next, Stage, mismatch};
use crate::protocol::{self, Refused, Settled, Stranded, Write, Written};
use crate::record::{PROVIDER, Record, Refusal};
use crate::workflow::{self, Effect, Illegal, Move, Position, StepId};

/// The reason of a park whose step may be repeated, only not by this message.
const EXHAUSTED: &str = "retries_exhausted";

/// An order that is ours, and what is being done to it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Owned {
    hold: Hold,
    doing: Doing,
}

/// The order as its owner knows it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Hold {
    /// As its last write left it.
    held: Record,
    /// The step that was due when the order became ours: an owner before may have called it. Nobody has called
    /// any step after it.
    found_at: String,
    /// Whether the owner before had not released it.
    took_over: bool,
}

/// The command that is under way, and what for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Doing {
    /// The reservation is written, with its checkpoint.
    Reserving(StepId, Write),
    /// The step or undo is called.
    Calling(Position),
    /// What it came to is written.
    Concluding(Position, Settled, Write),
    /// The order is parked, for this reason.
    Parking(String, Write),
    /// The lease is given up, and then the delivery is over.
    GivingUp(Disposition),
}

/// Why the order is not worked on any more by this delivery.
enum Stop {
    /// Another delivery may go on at the last checkpoint.
    Retry(String),
    /// No time left for the next step.
    Deferred,
    /// A person has to decide.
    Park(String),
    /// The order is somebody else's now: call nothing more, write nothing more.
    Lost(Disposition),
}

/// What the law forbids has happened all the same: an undo was refused, say. No code can put that right.
impl From<Illegal> for Stop {
    fn from(illegal: Illegal) -> Self {
        Stop::Park(illegal.to_string())
    }
}

impl From<Stranded> for Stop {
    fn from(stranded: Stranded) -> Self {
        Stop::Park(stranded.to_string())
    }
}

impl Owned {
    /// The order has become ours.
    pub(super) fn begin(job: &Job<'_>, record: Record, took_over: bool, moment: Moment) -> Next {
        Hold { found_at: record.step.clone(), held: record, took_over }.go_on(job, moment)
    }

    pub(super) fn held(&self) -> &Record {
        &self.hold.held
    }

    pub(super) fn next(self, job: &Job<'_>, event: Event, moment: Moment) -> Next {
        let Owned { hold, doing } = self;
        match (doing, event) {
            (Doing::Reserving(id, write), event) => hold.on_reserved(job, id, &write, event, moment),
            (Doing::Calling(position), Event::Called(ending)) => {
                let settled = hold.settle(job, position, ending);
                let begun = settled.and_then(|settled| hold.conclude(job, position, settled, moment));
                hold.proceed(job, begun, moment)
            }
            (Doing::Calling(_), event) => hold.end(mismatch(&event, "a call was under way")),
            (Doing::Concluding(position, settled, write), event) => {
                hold.on_concluded(job, position, settled, &write, event, moment)
            }
            (Doing::Parking(reason, write), event) => hold.on_parked(reason, &write, event, moment),
            (Doing::GivingUp(disposition), event) => hold.on_given_up(disposition, event),
        }
    }
}

/// What is under way next, or why nothing is.
type Begun = Result<(Doing, Command), Stop>;

impl Hold {
    /// What is due is begun.
    fn go_on(self, job: &Job<'_>, moment: Moment) -> Next {
        if let (true, Some(result)) = (self.held.status.is_finished(), self.held.result.clone()) {
            let now = Some(self.held.status);
            return self.end(Disposition::Finished { now, result });
        }
        let begun = self.begin_step(job, moment);
        self.proceed(job, begun, moment)
    }

    fn begin_step(&self, job: &Job<'_>, moment: Moment) -> Begun {
        let position = protocol::standing(job.workflow, &self.held)?;
        let timeout = moment.call.ok_or(Stop::Deferred)?;
        match (position, self.held.outcomes.get(&self.held.step)) {
            (Position::Forward(id), None) if job.workflow.step(id).effect == Effect::Stock => {
                self.reserve(job, id, moment)
            }
            // An operator stated the outcome, or a migration led back to a step that was done.
            (_, Some(stated)) => {
                let settled = self.settle(job, position, Ending::Done(stated.clone()))?;
                self.conclude(job, position, settled, moment)
            }
            (_, None) => self.call(job, position, timeout, moment),
        }
    }

    /// The transactional step: refused or cancelled, it has not taken effect.
    fn reserve(&self, job: &Job<'_>, id: StepId, moment: Moment) -> Begun {
        let position = Position::Forward(id);
        if self.held.cancel_requested.is_some() {
            return self.conclude(job, position, Settled::Cancelled { outcome: None }, moment);
        }
        let done = job.workflow.next(position, workflow::Event::Done, &self.held.outcomes)?;
        let Move::Advance(to) = done else {
            return Err(Stop::Park(format!("{} cannot be the last step", self.held.step)));
        };
        let write = protocol::reserve(job.workflow, &self.held, job.delivery.order, to, moment.now);
        Ok((Doing::Reserving(id, write.clone()), Command::Write(Box::new(write))))
    }

    fn call(&self, job: &Job<'_>, position: Position, timeout: Duration, moment: Moment) -> Begun {
        if let (Some(asked), Some(callee)) = (self.held.callee.as_deref(), job.workflow.callee(position))
            && asked != callee
            && !self.says_who_undoes(job, position)
        {
            let step = &self.held.step;
            return Err(Stop::Park(format!("{asked} may have been asked for {step}: {callee} cannot know")));
        }
        let refusal = self.held.outcomes.refusal();
        let key_age = match self.held.step == self.found_at {
            true => moment.now.since(self.held.keys_since()),
            false => Duration::ZERO,
        };
        let key = self.held.idempotency_key(&self.held.step);
        let due = Due { position, held: self.held.clone(), key, key_age, refusal, timeout };
        Ok((Doing::Calling(position), Command::Call(Box::new(due))))
    }

    /// Whether the outcome of the step that is undone names who did it. Whoever else is asked refuses, and has done nothing.
    fn says_who_undoes(&self, job: &Job<'_>, position: Position) -> bool {
        let Position::Backward(id) = position else { return false };
        let done = self.held.outcomes.get(job.workflow.step(id).name);
        done.is_some_and(|done| done.text(PROVIDER).is_some())
    }

    /// What the ending of the call comes to, if anything is settled by it.
    fn settle(&self, job: &Job<'_>, position: Position, ending: Ending) -> Result<Settled, Stop> {
        let cancelled = self.held.cancel_requested.is_some()
            && matches!(position, Position::Forward(_))
            && job.workflow.cancellable().contains(&self.held.step.as_str());
        match ending {
            Ending::Done(outcome) if cancelled => Ok(Settled::Cancelled { outcome: Some(outcome) }),
            Ending::Done(outcome) => Ok(Settled::Done(outcome)),
            Ending::Refused(refusal) => Ok(Settled::Refused(refusal)),
            Ending::Unavailable(why) => Err(Stop::Retry(why)),
            Ending::Unknown(why) => Err(Stop::Park(why)),
        }
    }

    /// What was settled is written down.
    fn conclude(&self, job: &Job<'_>, position: Position, settled: Settled, moment: Moment) -> Begun {
        let (order, retention) = (job.delivery.order, job.rules.retention);
        let write =
            protocol::conclude(job.workflow, &self.held, position, &settled, order, retention, moment.now)?;
        Ok((Doing::Concluding(position, settled, write.clone()), Command::Write(Box::new(write))))
    }

    fn on_reserved(mut self, job: &Job<'_>, id: StepId, write: &Write, event: Event, moment: Moment) -> Next {
        let settled = match on_written(write, event, moment) {
            Ok(Came::On(record)) => {
                self.held = *record;
                return self.go_on(job, moment);
            }
            Ok(Came::Short(refusal)) => Settled::Refused(refusal),
            Ok(Came::Cancelled) => Settled::Cancelled { outcome: None },
            Err(stop) => return self.stop(job, stop, moment),
        };
        let begun = self.conclude(job, Position::Forward(id), settled, moment);
        self.proceed(job, begun, moment)
    }

    fn on_concluded(
        mut self,
        job: &Job<'_>,
        position: Position,
        settled: Settled,
        write: &Write,
        event: Event,
        moment: Moment,
    ) -> Next {
        let begun = match (on_written(write, event, moment), settled) {
            (Ok(Came::On(record)), _) => {
                self.held = *record;
                return self.go_on(job, moment);
            }
            // Only the checkpoint of a step that took effect minds a cancellation.
            (Ok(Came::Cancelled), Settled::Done(outcome)) => {
                let settled = Settled::Cancelled { outcome: Some(outcome) };
                self.conclude(job, position, settled, moment)
            }
            (Ok(Came::Cancelled | Came::Short(_)), _) => Err(unexpected()),
            (Err(stop), _) => Err(stop),
        };
        self.proceed(job, begun, moment)
    }

    fn proceed(self, job: &Job<'_>, begun: Begun, moment: Moment) -> Next {
        match begun {
            Ok((doing, command)) => self.doing(doing, command),
            Err(stop) => self.stop(job, stop, moment),
        }
    }

    /// The order is left so that whoever comes next can go on.
    fn stop(self, job: &Job<'_>, stop: Stop, moment: Moment) -> Next {
        let last = job.rules.is_last(job.delivery.receive_count);
        match stop {
            Stop::Lost(disposition) => self.lost(disposition),
            Stop::Park(reason) => self.park(job, &reason.clone(), reason, moment),
            Stop::Retry(why) if last => self.park(job, EXHAUSTED, format!("{EXHAUSTED}: {why}"), moment),
            Stop::Deferred if last => self.park(job, EXHAUSTED, format!("{EXHAUSTED}: no time left"), moment),
            Stop::Retry(why) => self.give_up(Disposition::Retry { why }, moment),
            Stop::Deferred => self.give_up(Disposition::Deferred, moment),
        }
    }

    /// With `reason` on the record; the log is told `why`.
    fn park(self, job: &Job<'_>, reason: &str, why: String, moment: Moment) -> Next {
        let write = protocol::park(&self.held, reason, job.delivery.message, moment.now);
        self.doing(Doing::Parking(why, write.clone()), Command::Write(Box::new(write)))
    }

    fn on_parked(self, reason: String, write: &Write, event: Event, moment: Moment) -> Next {
        match on_written(write, event, moment) {
            Ok(Came::On(_)) => self.end(Disposition::Parked { reason: Some(reason) }),
            Err(Stop::Lost(disposition)) => self.lost(disposition),
            Ok(_) | Err(_) => self.end(Disposition::Retry { why: format!("parking failed ({reason})") }),
        }
    }

    /// Also if nobody knows whether the last write landed: it carries this owner's fence, and may land until the next
    /// one's.
    fn give_up(self, disposition: Disposition, moment: Moment) -> Next {
        let write = protocol::give_up(&self.held, moment.now);
        self.doing(Doing::GivingUp(disposition), Command::Write(Box::new(write)))
    }

    /// Best effort: if it failed, the lease ends by itself.
    fn on_given_up(self, disposition: Disposition, event: Event) -> Next {
        match (disposition, event) {
            (Disposition::Retry { why }, Event::NoAnswer(error)) => self
                .end(Disposition::Retry { why: format!("{why}; the lease could not be released: {error}") }),
            (disposition, Event::Written(Written::Refused(_))) => self.lost(disposition),
            (disposition, _) => self.end(disposition),
        }
    }

    fn doing(self, doing: Doing, command: Command) -> Next {
        (Stage::Owned(Box::new(Owned { hold: self, doing })), command)
    }

    fn end(self, disposition: Disposition) -> Next {
        self.over(disposition, false)
    }

    fn lost(self, disposition: Disposition) -> Next {
        self.over(disposition, true)
    }

    fn over(self, disposition: Disposition, lost_lease: bool) -> Next {
        let (attempt, took_over) = (Some(self.held.attempts), self.took_over);
        let handled = Handled { disposition, attempt, took_over, lost_lease };
        (Stage::Over, Command::End(handled))
    }
}

/// How an owner's write went on.
enum Came {
    /// The order is as written, or as it was written before.
    On(Box<Record>),
    /// There is not enough in stock; nothing was written.
    Short(Refusal),
    /// Somebody asked to cancel; nothing was written.
    Cancelled,
}

fn on_written(write: &Write, event: Event, moment: Moment) -> Result<Came, Stop> {
    let found = match event {
        Event::Written(Written::Applied(record)) => return Ok(Came::On(record)),
        Event::Written(Written::Short(shortage)) => return Ok(Came::Short(shortage.refusal())),
        Event::Written(Written::Refused(found)) => found,
        Event::NoAnswer(why) => return Err(Stop::Retry(why)),
        Event::Found(_) | Event::Called(_) => {
            return Err(Stop::Lost(mismatch(&event, "a write was under way")));
        }
    };
    match (protocol::on_refused(write, found.as_deref()), found) {
        (Refused::Written, Some(record)) => Ok(Came::On(record)),
        (Refused::Cancelled, _) => Ok(Came::Cancelled),
        (Refused::Finished { result }, _) => Err(Stop::Lost(Disposition::Finished { now: None, result })),
        (Refused::Lost { until: Some(until) }, _) if until > moment.now => {
            Err(Stop::Lost(Disposition::Busy { until }))
        }
        (Refused::Lost { .. } | Refused::Written, _) => {
            Err(Stop::Lost(Disposition::Retry { why: "the lease is lost".to_owned() }))
        }
    }
}

/// A write was refused for a reason that is none of its conditions.
fn unexpected() -> Stop {
    Stop::Retry("the table refused a write for no reason that it can have".to_owned())
}
