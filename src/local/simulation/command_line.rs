//! The command line as people use it on one order: it reads the record, decides by the protocol, and writes a moment later,
//! signed, and on condition that the record is the one that was read. It may be of any version of the code, and whoever
//! uses it may have decided by an older look (`--seen N`).

use std::sync::Arc;
use std::time::Duration;

use super::chance::between;
use super::codes::Code;
use super::people::{self, PATIENCE};
use super::world::World;
use crate::clock::UnixMillis;
use crate::order::OrderId;
use crate::protocol::{NotAllowed, Write, Written, signed};
use crate::record::{Fence, Intervention, Record};
use crate::store::Store;
use crate::workflow::Workflow;

/// From the command line's read to its write, at most: it also asks who it is that runs it.
const GAP: Duration = Duration::from_millis(200);

/// What a command says that has changed nothing.
#[derive(Debug)]
pub(super) enum Refusal {
    /// The protocol does not allow it.
    NotAllowed(NotAllowed),
    /// The record is not the one any more that was decided by.
    Changed,
    /// There is no record.
    Missing,
}

/// Somebody who runs commands for one errand.
pub(super) struct CommandLine<'w> {
    world: &'w Arc<World>,
    store: Store,
    errand: String,
    id: String,
    runs: u32,
    /// Of which version it is.
    pub(super) code: Code,
    /// The fence of the record that was looked at, if that goes with the next command.
    pub(super) seen: Option<Fence>,
}

impl<'w> CommandLine<'w> {
    /// Of a version that the errand's name decides: `what` is to be done about the order `id`, for the so-manieth time.
    pub(super) fn new(world: &'w Arc<World>, what: &str, id: &str) -> Self {
        let round = world.agenda().round(&format!("errand {what} {id}"));
        let errand = format!("{what} {id} {round}");
        let code = world.chance.of("command line", &errand).choice(Code::ALL).unwrap_or(Code::Third);
        let store = people::store(world);
        CommandLine { world, store, errand, id: id.to_owned(), runs: 0, code, seen: None }
    }

    /// All chance of this errand, for each purpose.
    pub(super) fn chance(&self, purpose: &str) -> fastrand::Rng {
        self.world.chance.of(purpose, &self.errand)
    }

    /// The record as it is now.
    pub(super) async fn look(&self) -> Option<Record> {
        let id: OrderId = self.id.parse().ok()?;
        self.store.find(&id, PATIENCE).await.ok()?
    }

    /// The record, if it is the one that was looked at.
    pub(super) async fn read(&self) -> Result<Record, Refusal> {
        let found = self.look().await.ok_or(Refusal::Missing)?;
        if self.seen.is_some_and(|seen| seen != found.fence) {
            self.world.journal().count("old looks refused");
            return Err(Refusal::Changed);
        }
        Ok(found)
    }

    /// Runs the command `what`. A command line that does not know the record's version says so, and is then put away for
    /// the one that is deployed.
    pub(super) async fn run(
        &mut self,
        what: &str,
        decide: impl Fn(&Workflow, &Record, UnixMillis) -> Result<Write, NotAllowed>,
    ) -> Result<Record, Refusal> {
        let seen = self.read().await?;
        match decide(&self.code.workflow(), &seen, self.world.now()) {
            Ok(write) => self.write(what, write).await,
            Err(NotAllowed::UnknownVersion(_)) if self.code != Code::Third => {
                self.world.journal().count("versions refused");
                self.code = Code::Third;
                let seen = self.read().await?;
                let write = decide(&self.code.workflow(), &seen, self.world.now());
                self.write(what, write.map_err(Refusal::NotAllowed)?).await
            }
            Err(refused) => Err(Refusal::NotAllowed(refused)),
        }
    }

    /// Writes what was decided, a moment later.
    pub(super) async fn write(&mut self, what: &str, write: Write) -> Result<Record, Refusal> {
        self.runs += 1;
        let by = Intervention {
            at_ms: self.world.now(),
            who: "somebody".to_owned(),
            what: what.to_owned(),
            why: self.errand.clone(),
        };
        let write = signed(write, &by);
        let moment = &mut self.chance(&format!("gap {}", self.runs));
        tokio::time::sleep(between(moment, Duration::from_millis(1), GAP)).await;
        let Ok(Written::Applied(record)) = self.store.write(&write, PATIENCE).await else {
            self.world.journal().count("commands too late");
            return Err(Refusal::Changed);
        };
        if self.code != Code::Third {
            self.world.journal().count("commands of other versions");
        }
        self.world.note(what, &format!("{} by {:?}", self.id, self.code));
        self.seen = None;
        Ok(*record)
    }
}
