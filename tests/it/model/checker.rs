//! The model as the checker wants it: what can happen in a state, and what state follows.

use order_processor::delivery::{Command, Due, Ending, Event};
use order_processor::protocol::{Write, Written};
use order_processor::record::{Refusal, Status};
use order_processor::services::payment;

use super::codes::Duty;
use super::guards::Removed;
use super::operator::Act;
use super::reached::Branch;
use super::table;
use super::world::{Callees, Day, Delivered, Kept, Left, Phase, World};
use super::{Model, course, properties};

/// One thing that happens. Runs are named by their place among those under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// The queue delivers, perhaps for the last time, to a worker of some version.
    Deliver(Delivered),
    /// A run's command is done; a reader of a lease may be `late`, and a new key may be refused.
    Do { run: usize, late: bool, accepts: bool },
    /// A fault meets the run's command.
    Fail { run: usize, fault: Fault },
    /// The run dies.
    Crash { run: usize },
    /// A late write is applied, if its condition still holds.
    Land(usize),
    /// A late call is processed.
    LandCall { index: usize, accepts: bool },
    /// An operator with a command line of some version reads the record, and will write.
    Read { act: Act, code: u8 },
    /// An operator writes.
    Operate(usize),
    /// One more of each SKU comes in.
    Restock,
    /// A day or a month passes in which nobody works on the order.
    Pass,
    /// DynamoDB deletes the expired record.
    Sweep,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    /// Applied; the response is lost, and the SDK sends it again.
    Repeat,
    /// Applied or processed; the response is lost for good.
    LoseResponse,
    /// Applied; the response is lost, and the next attempt is throttled: "not applied", says the SDK.
    LoseThenThrottle,
    /// Not applied, or not processed.
    Refuse,
    /// Given up, and applied or processed later, or never.
    Late,
    /// A call ends so that nobody can know what came of it; it had an effect, or none.
    Unknown { effect: bool },
}

const WRITE_FAULTS: [Fault; 5] =
    [Fault::Repeat, Fault::LoseResponse, Fault::LoseThenThrottle, Fault::Refuse, Fault::Late];
const CALL_FAULTS: [Fault; 3] = [Fault::LoseResponse, Fault::Refuse, Fault::Late];

impl stateright::Model for Model {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        let scene = &self.scene;
        vec![World {
            day: Day::First,
            record: None,
            stock: scene.stock.clone(),
            supplied: scene.stock.clone(),
            tokens: Vec::new(),
            runs: Vec::new(),
            begun: 0,
            late_writes: Vec::new(),
            late_calls: Vec::new(),
            operators: Vec::new(),
            callees: Kept::new(Callees::default()),
            answers: Vec::new(),
            finished: None,
            order: None,
            acts: 0,
            broken: None,
            left: Left {
                deliveries: scene.deliveries,
                faults: scene.faults,
                operator: scene.operator,
                supplies: scene.supplies,
            },
        }]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        // Before its first request, a delivery is as good as not made: it need not be interleaved with the others.
        if let Some(fresh) = world.runs.iter().position(|run| run.is_fresh()) {
            return self.actions_of_run(world, fresh, actions);
        }
        if world.left.deliveries > 0 && world.runs.len() < self.scene.workers {
            for (&message, code) in self
                .scene
                .messages
                .iter()
                .flat_map(|message| self.scene.codes.all().map(move |code| (message, code)))
            {
                actions.push(Action::Deliver(Delivered { message, last: false, code }));
                if self.scene.parking {
                    actions.push(Action::Deliver(Delivered { message, last: true, code }));
                }
            }
        }
        for run in 0..world.runs.len() {
            self.actions_of_run(world, run, actions);
        }
        actions.extend((0..world.late_writes.len()).map(Action::Land));
        for (index, call) in world.late_calls.iter().enumerate() {
            actions.push(Action::LandCall { index, accepts: true });
            if self.may_refuse(call, world) {
                actions.push(Action::LandCall { index, accepts: false });
            }
        }
        self.operator_actions(world, actions);
        if world.left.supplies > 0 {
            actions.push(Action::Restock);
        }
        if self.scene.days && world.runs.is_empty() && world.late_calls.is_empty() && world.day < Day::Month {
            actions.push(Action::Pass);
        }
        let now = course::now(world.day, 0);
        let expiry = world.record.as_ref().and_then(|record| record.expires_at);
        if expiry.is_some_and(|expiry| expiry <= now.to_seconds()) {
            actions.push(Action::Sweep);
        }
    }

    fn next_state(&self, before: &World, action: Action) -> Option<World> {
        if before.broken.is_some() {
            return None;
        }
        let mut world = before.clone();
        match action {
            Action::Deliver(delivered) => {
                world.left.deliveries -= 1;
                self.begin(&mut world, delivered);
            }
            Action::Do { run, late, accepts } => self.act(&mut world, run, late, accepts),
            Action::Fail { run, fault } => {
                world.left.faults -= 1;
                self.fail(&mut world, run, fault);
            }
            Action::Crash { run } => {
                world.left.faults -= 1;
                world.runs.remove(run);
                self.reached.mark(Branch::Crashed);
            }
            Action::Land(index) => {
                let write = world.late_writes.remove(index);
                match self.write(&mut world, &write) {
                    Written::Applied(_) => self.reached.mark(Branch::LandedLate),
                    Written::Refused(_) | Written::Short(_) => self.reached.mark(Branch::LateRefused),
                }
            }
            Action::LandCall { index, accepts } => {
                let call = world.late_calls.remove(index);
                if let Command::Call(due) = &*call {
                    let message = world.order?;
                    self.process(&mut world, message, due, accepts);
                    self.reached.mark(Branch::CallLate);
                }
            }
            Action::Read { act, code } => self.read(&mut world, act, code)?,
            Action::Operate(index) => self.operate(&mut world, index),
            Action::Restock => {
                world.left.supplies -= 1;
                world.stock.iter_mut().chain(&mut world.supplied).for_each(|available| *available += 1);
                self.reached.mark(Branch::Restocked);
            }
            Action::Pass => {
                world.day = if world.day == Day::First { Day::Next } else { Day::Month };
                // The payment provider forgets, and knows by the charge that it was refunded. The warehouse remembers.
                let charge = format!(":{}", payment::STEP.name);
                world.with_callees(|callees| callees.keys.retain(|(key, _)| !key.contains(&charge)));
                world.tokens.clear();
                // A request does not stay in the network for a day, and no worker lives so long.
                world.late_writes.clear();
                self.reached.mark(Branch::DayPassed);
            }
            Action::Sweep => {
                world.record = None;
                self.reached.mark(Branch::Swept);
            }
        }
        self.forget(&mut world);
        Some(world)
    }

    fn properties(&self) -> Vec<stateright::Property<Self>> {
        properties::all()
    }
}

impl Model {
    fn actions_of_run(&self, world: &World, index: usize, actions: &mut Vec<Action>) {
        let run = &world.runs[index];
        let act = |late, accepts| Action::Do { run: index, late, accepts };
        actions.push(act(false, true));
        if run.course.held().is_none()
            && world.record.as_ref().is_some_and(|record| record.lease_until_ms.is_some())
        {
            actions.push(act(true, true));
        }
        if self.may_refuse(&run.command, world) {
            actions.push(act(false, false));
        }
        if world.left.faults == 0 {
            return;
        }
        if !run.is_fresh() {
            actions.push(Action::Crash { run: index });
        }
        let fail = |fault| Action::Fail { run: index, fault };
        match (&*run.command, run.phase) {
            (Command::Write(_), Phase::Ready) => actions.extend(WRITE_FAULTS.map(fail)),
            (Command::Call(_), _) => {
                actions.extend(CALL_FAULTS.map(fail));
                if self.scene.parking {
                    actions.push(fail(Fault::Unknown { effect: true }));
                    actions.push(fail(Fault::Unknown { effect: false }));
                }
            }
            (Command::Write(_), _) | (Command::Find, _) => actions.push(fail(Fault::Refuse)),
            (Command::End(_), _) => {}
        }
    }

    /// Whether the callee may say no: to a key that it does not know, or if a search lags.
    fn may_refuse(&self, command: &Command, world: &World) -> bool {
        let Command::Call(due) = command else { return false };
        let known = world.callees.remembered(&self.key(due)).is_some();
        match self.scene.codes.duty(&due.held.step) {
            Duty::Charge => course::may_be_forgotten(due) || (self.scene.declines && !known),
            Duty::Ship => self.scene.refuses && !known,
            Duty::Refund | Duty::Tell | Duty::Other => false,
        }
    }

    /// The run's command is done, and the run is told.
    fn act(&self, world: &mut World, index: usize, late: bool, accepts: bool) {
        let run = world.runs[index].clone();
        let event = match &*run.command {
            Command::Find => Event::Found(world.found()),
            Command::Write(write) if run.phase == Phase::Looking => {
                if self.may_land(write, world) {
                    self.reached.mark(Branch::NoAnswer);
                    Event::NoAnswer("unknown".to_owned())
                } else {
                    Event::Written(Written::Refused(world.found()))
                }
            }
            Command::Write(write)
                if self.removed == Some(Removed::OneTransaction) && !write.stock.is_empty() =>
            {
                match self.without_transaction(world, index, write) {
                    Some(written) => Event::Written(written),
                    None => return,
                }
            }
            Command::Write(write) => Event::Written(self.write(world, write)),
            Command::Call(due) if self.unsettled(due) => Event::Called(Ending::Refused(Refusal::cancelled())),
            Command::Call(due) => Event::Called(self.process(world, run.delivered.message, due, accepts)),
            Command::End(_) => return,
        };
        if let Event::Written(Written::Short(_)) = event {
            self.reached.mark(Branch::Short);
        }
        self.feed(world, index, event, late);
    }

    /// Without that guard, a cancelled step is not called again to learn what came of it.
    fn unsettled(&self, due: &Due) -> bool {
        self.removed == Some(Removed::SettleFirst)
            && due.held.status == Status::InProgress
            && due.held.cancel_requested.is_some()
            && due.held.step == payment::STEP.name
    }

    /// First the stock, then the order, and a crash may come in between.
    fn without_transaction(&self, world: &mut World, index: usize, write: &Write) -> Option<Written> {
        if world.runs[index].phase != Phase::StockMoved {
            if let Some(shortage) = table::shortage(world, &write.stock) {
                return Some(Written::Short(shortage));
            }
            table::move_stock(world, &write.stock);
            world.runs[index].phase = Phase::StockMoved;
            return None;
        }
        let mut alone = write.clone();
        alone.stock.clear();
        Some(self.write(world, &alone))
    }

    fn fail(&self, world: &mut World, index: usize, fault: Fault) {
        let run = world.runs[index].clone();
        let no_answer = || Event::NoAnswer("no answer".to_owned());
        let unavailable = || Event::Called(Ending::Unavailable("no answer".to_owned()));
        match (&*run.command, fault) {
            (Command::Write(write), Fault::Repeat) => {
                self.write(world, write);
                self.reached.mark(Branch::ResponseLost);
                world.runs[index].phase = Phase::Retrying;
            }
            (Command::Write(write), Fault::LoseResponse) => {
                self.write(world, write);
                world.runs[index].phase = Phase::Looking;
            }
            (Command::Write(write), Fault::LoseThenThrottle) => {
                self.write(world, write);
                self.feed(world, index, no_answer(), false);
            }
            (Command::Write(write), Fault::Late) => {
                world.late_writes.push(Kept::new((**write).clone()));
                world.runs[index].phase = Phase::Looking;
            }
            (Command::Call(due), Fault::LoseResponse) => {
                self.process(world, run.delivered.message, due, true);
                self.feed(world, index, unavailable(), false);
            }
            (Command::Call(due), Fault::Unknown { effect }) => {
                if effect {
                    self.process(world, run.delivered.message, due, true);
                }
                self.feed(world, index, Event::Called(Ending::Unknown("unknown".to_owned())), false);
            }
            (Command::Call(_), Fault::Late) => {
                world.late_calls.push(run.command.clone());
                self.feed(world, index, unavailable(), false);
            }
            (Command::Call(_), _) => self.feed(world, index, unavailable(), false),
            (Command::Write(_) | Command::Find | Command::End(_), _) => {
                self.feed(world, index, no_answer(), false);
            }
        }
    }

    /// Leaves out what can change nothing any more, so that fewer states look different: late writes whose fence is
    /// over, and owners whose next write has such a fence, as they are refused and stop.
    fn forget(&self, world: &mut World) {
        let Some(record) = world.record.clone().filter(|_| self.removed.is_none()) else { return };
        let is_over = |write: &Write| match write.guard.fence {
            Some(fence) => fence < record.fence || record.status.is_finished(),
            None => write.guard.absent,
        };
        world.late_writes.retain(|write| !is_over(write));
        world.runs.retain(|run| match &*run.command {
            Command::Write(write) if run.course.held().is_some() && run.phase != Phase::Looking => {
                let over = write.guard.fence.is_some_and(|fence| fence < record.fence);
                if over {
                    self.reached.mark(Branch::LeaseLost);
                }
                !over
            }
            _ => true,
        });
    }

    /// Whether a call under this key is under way: then nobody can state what came of it.
    pub fn is_under_way(&self, world: &World, step: &str) -> bool {
        let mut commands = world.runs.iter().map(|run| &run.command).chain(&world.late_calls);
        commands.any(|command| matches!(&**command, Command::Call(due) if due.held.step == step))
    }
}
