//! Who sees to parked orders: states what came of a step by the books of whoever was asked, places what stands nowhere,
//! turns back, and resumes. Each looks at `parked show` first, and some act by that look much later.

use std::sync::Arc;
use std::time::Duration;

use super::chance::between;
use super::codes::Code;
use super::command_line::{CommandLine, Refusal};
use super::people::Act;
use super::world::World;
use crate::local::receiver::Deliveries;
use crate::protocol::{self, NotAllowed, Statement};
use crate::record::{Outcome, Record, Status};
use crate::services::payment::{self, Payment, Sandbox};
use crate::services::{notifications, warehouse};
use crate::workflow::{Position, Workflow};

/// Out of a hundred who see to a parked order: turned back rather than resumed, if that can be.
const TURNED_BACK: u32 = 15;
/// Its step, which is no payment, is looked up rather than called again.
const LOOKED_UP: u32 = 50;
/// They act by a look that is minutes old.
const OLD_LOOKS: u32 = 40;
/// And a colleague sees to the order in between.
const COLLEAGUES: u32 = 50;
/// Their command breaks off between the record and the message.
const BROKEN_OFF: u32 = 10;
/// From then on whoever sees to the same order has the command line that is deployed.
const VAIN: u32 = 4;

/// What somebody wants to do, having looked.
struct Decision {
    statement: Option<Statement>,
    place: Option<Position>,
    turn_back: bool,
}

/// Sees to the order, if it waits for somebody; if it waits still, then once more.
pub(super) async fn see_to(world: &Arc<World>, id: &str) {
    let mut command_line = CommandLine::new(world, "see to", id);
    if world.agenda().round(&format!("seen to {id}")) >= VAIN {
        command_line.code = Code::Third;
    }
    let Some(seen) = command_line.look().await.filter(waits) else { return };
    let decision = decide(world, &command_line, &seen);
    if command_line.chance("old look").u32(0..100) < OLD_LOOKS {
        command_line.seen = Some(seen.fence);
        wait(world, &command_line, id).await;
    }
    let done = carry_out(world, &mut command_line, &seen, decision).await;
    if done.is_err() && command_line.look().await.is_some_and(|record| waits(&record)) {
        let at = world.attended("park", id);
        world.agenda().plan(at, Act::SeeTo(id.to_owned()));
    }
}

/// As `orderctl parked list` has it: parked, or resumed while no worker has taken its message up.
fn waits(record: &Record) -> bool {
    record.status == Status::Parked || (Status::UNFINISHED.contains(&record.status) && record.order.is_some())
}

/// Until the look is old. Others may be quicker.
async fn wait(world: &Arc<World>, command_line: &CommandLine<'_>, id: &str) {
    let mut random = command_line.chance("wait");
    let minute = Duration::from_secs(60);
    let later = between(&mut random, minute, minute * 30);
    if random.u32(0..100) < COLLEAGUES {
        world.agenda().plan(world.now() + later / 2, Act::SeeTo(id.to_owned()));
    }
    tokio::time::sleep(later).await;
}

/// What can be done, as this command line shows it, and what is to be.
fn decide(world: &World, command_line: &CommandLine<'_>, seen: &Record) -> Decision {
    let workflow = command_line.code.workflow();
    let turn_back = command_line.chance("turn back").u32(0..100) < TURNED_BACK;
    let looks_up = command_line.chance("look up").u32(0..100) < LOOKED_UP;
    let can_be_stated = protocol::mark(&workflow, seen, &seen.step, Statement::NotDone, world.now()).is_ok();
    Decision {
        statement: if can_be_stated { world.stated(seen, looks_up) } else { None },
        place: place_of(&workflow, seen, turn_back),
        turn_back,
    }
}

/// Where an order stands that stands nowhere: at the first step of which nothing is known; or at what is undone first.
fn place_of(workflow: &Workflow, seen: &Record, turn_back: bool) -> Option<Position> {
    let accepted = |to: &Position| protocol::place(workflow, seen, *to, "", seen.updated_at_ms).is_ok();
    let back = Position::Backward(workflow.next_undo(&seen.outcomes));
    let mut steps = workflow.steps();
    let due = steps.find(|(_, step)| seen.outcomes.get(step.name).is_none());
    let forward = due.map(|(id, _)| Position::Forward(id));
    let [first, second] = if turn_back { [Some(back), forward] } else { [forward, Some(back)] };
    first.filter(accepted).or(second.filter(accepted))
}

/// One command after the other, the first by what was seen. The last gives the order back to the workers.
async fn carry_out(
    world: &Arc<World>,
    command_line: &mut CommandLine<'_>,
    seen: &Record,
    decision: Decision,
) -> Result<(), Refusal> {
    if let Some(to) = decision.place {
        command_line
            .run("place", |workflow, seen, now| protocol::place(workflow, seen, to, "operator", now))
            .await?;
        world.journal().count("placements");
    }
    if let Some(statement) = decision.statement {
        let mark = |workflow: &Workflow, found: &Record, now| {
            protocol::mark(workflow, found, &seen.step, statement.clone(), now)
        };
        command_line.run("mark", mark).await?;
        world.journal().count("marks");
    }
    if decision.turn_back {
        turn_back(world, command_line).await?;
    }
    resume(world, command_line, seen.order_id()).await
}

/// `parked compensate`, where it can be: else the order goes on.
async fn turn_back(world: &Arc<World>, command_line: &mut CommandLine<'_>) -> Result<(), Refusal> {
    let compensate = |workflow: &Workflow, seen: &Record, now| {
        protocol::compensate_parked(workflow, seen, "operator", now)
    };
    match command_line.run("compensate", compensate).await {
        Ok(_) => world.journal().count("turned back"),
        Err(Refusal::NotAllowed(why)) if why != NotAllowed::NotParked(Status::Parked) => {
            world.note("not turned back", &why.to_string());
        }
        Err(refusal) => return Err(refusal),
    }
    Ok(())
}

/// First the record, then its message to the queue. Whoever is interrupted in between does it again.
async fn resume(world: &Arc<World>, command_line: &mut CommandLine<'_>, id: &str) -> Result<(), Refusal> {
    let seen = command_line.read().await?;
    let kept = seen.order.clone();
    let erased = || world.message_of(&seen).filter(|_| seen.status == Status::Parked);
    // Nobody has it any more, or a worker has it.
    let Some(message) = kept.or_else(erased) else { return Ok(()) };
    let write = protocol::resume_with(&seen, &message, world.now()).map_err(Refusal::NotAllowed)?;
    match write {
        Some(write) => drop(command_line.write("resume", write).await?),
        None => world.journal().count("resumes repeated"),
    }
    if command_line.chance("broken off").u32(0..100) < BROKEN_OFF {
        world.journal().count("resumes broken off");
        return Err(Refusal::Changed);
    }
    world.send_as(&format!("r-{id}"), &message);
    Ok(())
}

impl World {
    /// What the books of whoever was asked say of the step that is due.
    fn stated(&self, seen: &Record, looks_up: bool) -> Option<Statement> {
        let (id, step) = (seen.order_id(), seen.step.as_str());
        if step == payment::STEP.name {
            return self.charged(id);
        }
        if Some(step) == payment::STEP.undo {
            let charged = seen.outcomes.get(payment::STEP.name);
            return match charged.and_then(|charged| charged.text(payment::PROVIDER)) {
                // It has moved no money.
                Some(Sandbox::NAME) => Some(Statement::Done(Outcome::of("status", "nothing to refund"))),
                _ => self.refunded(id),
            };
        }
        looks_up.then(|| self.received(&seen.idempotency_key(step), step))
    }

    /// Whether there is a message under the step's key.
    fn received(&self, key: &str, step: &str) -> Statement {
        let books = self.books();
        let (received, outcome): (&Deliveries, Outcome) = match step {
            step if step == warehouse::STEP.name => {
                (&books.shipments, Outcome::of("shipment_id", warehouse::shipment_id(key)))
            }
            step if step == notifications::STEP.name => (&books.notifications, Outcome::nothing()),
            _ => (&books.others, Outcome::of("asked", key)),
        };
        if received.contains_key(key) { Statement::Done(outcome) } else { Statement::NotDone }
    }
}
