//! The claim protocol, explored exhaustively within bounds: the shipped decisions, every interleaving, every fault.

/// An enum and the list of its variants, from one list.
macro_rules! listed {
    ($(#[$about:meta])* pub enum $name:ident { $($variant:ident),* $(,)? }) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name { $($variant),* }

        impl $name {
            pub const ALL: &[$name] = &[$($name::$variant),*];
        }
    };
}

mod checker;
mod codes;
mod course;
mod guards;
mod operator;
mod properties;
mod reached;
mod table;
mod trace;
mod world;

use std::sync::Arc;
use std::time::{Duration, Instant};

use order_processor::delivery::Rules;
use order_processor::record::Record;
use stateright::{Checker, HasDiscoveries, Model as _};

use crate::evidence::{self, Section};
use crate::side_by_side::on_every_core;
use codes::Codes;
use course::{Decision, Orders};
use guards::Removed;
use operator::Act;
use reached::{Branch, Reached};
use world::{Kept, Memory, Message};

/// How long an answer is kept.
const RETENTION: Duration = Duration::from_secs(30 * 24 * 3600);

/// The bounds of a check: what may happen, and how often.
#[derive(Clone, Debug)]
pub struct Scene {
    name: &'static str,
    /// Available at first, by SKU.
    stock: Vec<u64>,
    /// How many workers are at work at one time.
    workers: usize,
    deliveries: u8,
    faults: u8,
    messages: Vec<Message>,
    /// The payment provider may decline.
    declines: bool,
    /// The warehouse may refuse.
    refuses: bool,
    /// A delivery may be the last, and a call may end so that nobody knows.
    parking: bool,
    /// How often somebody cancels or operates, and what they may do.
    operator: u8,
    /// How many of them at one time.
    operators: usize,
    acts: Vec<Act>,
    /// How often new stock comes in.
    supplies: u8,
    /// Days and months may pass.
    days: bool,
    /// The code of the workers and of the operators.
    codes: Codes,
}

/// The model of a scene, with all its guards or without one.
pub struct Model {
    scene: Scene,
    removed: Option<Removed>,
    rules: Rules,
    orders: Orders,
    reached: Arc<Reached>,
    decisions: Memory<Decision>,
    merged: Memory<Kept<Record>>,
}

impl Model {
    fn new(scene: Scene, removed: Option<Removed>, reached: &Arc<Reached>) -> Self {
        Model {
            removed,
            rules: course::rules(removed),
            orders: Orders::of(scene.stock.len()),
            reached: reached.clone(),
            decisions: Memory::default(),
            merged: Memory::default(),
            scene,
        }
    }
}

impl Scene {
    /// One order and its message, delivered so often, with so many faults.
    fn new(name: &'static str, deliveries: u8, faults: u8) -> Self {
        Scene {
            name,
            stock: vec![1, 1],
            workers: 3,
            deliveries,
            faults,
            messages: vec![Message::Original],
            declines: true,
            refuses: true,
            parking: false,
            operator: 0,
            operators: 1,
            acts: vec![],
            supplies: 0,
            days: false,
            codes: Codes::shipped(),
        }
    }

    /// Old and new code at work at once, in any order: deployed to a few, to all, rolled back, deployed again.
    fn migrating(name: &'static str, codes: Codes) -> Self {
        let scene = Scene::new(name, 2, 1);
        Scene { codes, stock: vec![1], refuses: false, ..scene }.with_operator(1, &[Act::Cancel])
    }

    fn with_operator(self, operator: u8, acts: &[Act]) -> Self {
        Scene { operator, acts: acts.to_vec(), ..self }
    }
}

/// What is explored: together every branch is reached.
fn scenes() -> Vec<Scene> {
    let wide = evidence::thorough();
    let by = |quick, thorough| if wide { thorough } else { quick };
    let faults = Scene::new("crashes, lost responses, late writes", by(2, 3), 2);
    let stock = Scene {
        stock: vec![1, 0],
        supplies: 1,
        declines: false,
        refuses: false,
        ..Scene::new("out of stock, and restocked at any moment", by(2, 3), by(1, 2))
    };
    let cancel = Scene { refuses: wide, ..Scene::new("cancelled at any moment", by(2, 3), 1) };
    let cancel = cancel.with_operator(1, &[Act::Cancel]);
    let parked = Scene {
        parking: true,
        stock: vec![1],
        declines: wide,
        refuses: wide,
        ..Scene::new("parked, and an operator decides", 2, by(1, 2))
    };
    let parked = parked.with_operator(by(2, 3), &[Act::Cancel, Act::Resume, Act::Mark, Act::TurnBack]);
    let others = Scene {
        messages: vec![Message::Original, Message::Rebuilt, Message::Conflicting],
        stock: vec![1],
        ..Scene::new("conflicting and rebuilt messages", by(2, 3), 1)
    };
    let days = Scene {
        messages: vec![Message::Original, Message::Conflicting],
        stock: vec![1],
        days: true,
        parking: true,
        workers: 2,
        ..Scene::new("days pass: keys forgotten, records swept", by(2, 3), 1)
    };
    // What does not fit with everything above it, once more with less beside it and one fault more.
    let cancel_in_trouble = Scene { deliveries: 2, faults: 2, ..cancel.clone() };
    let days_of_trouble =
        Scene { messages: vec![Message::Original], deliveries: 2, faults: 2, ..days.clone() };
    let mut scenes = vec![faults, stock, cancel, parked, others, days];
    scenes.extend(migrations());
    scenes.extend([cancel_in_trouble, days_of_trouble].into_iter().filter(|_| wide));
    scenes
}

/// Orders in flight while the table of steps changes.
fn migrations() -> Vec<Scene> {
    let decided = Scene {
        parking: true,
        declines: false,
        ..Scene::migrating("parked, and decided by operators of either version", Codes::without_packing())
    };
    let decided = decided.with_operator(2, &[Act::Resume, Act::Mark, Act::TurnBack]);
    let in_trouble = Scene {
        faults: 2,
        declines: false,
        ..Scene::migrating(
            "the last step before the shipment removed, in more trouble",
            Codes::without_packing(),
        )
    };
    let changes = [
        Scene::migrating("a step before the charge removed", Codes::without_a_check()),
        Scene::migrating("the last step before the shipment removed", Codes::without_packing()),
        Scene::migrating("a step after the shipment removed", Codes::without_an_invoice()),
        Scene::migrating("a step added on either side", Codes::with_a_check_and_an_invoice()),
        Scene::migrating("a step moved past the charge", Codes::with_the_check_after_the_charge()),
    ];
    let wide = [decided, in_trouble].into_iter().filter(|_| evidence::thorough());
    changes.into_iter().chain(wide).collect()
}

#[test]
fn whatever_happens_within_the_bounds_the_order_takes_effect_once() {
    let mut section = Section::new("2-model", "The protocol, exhaustively");
    let reached = Arc::new(Reached::default());
    let threads = if evidence::thorough() { 2 } else { 1 };
    for scene in scenes() {
        let started = Instant::now();
        let checker = Model::new(scene.clone(), None, &reached).checker().threads(threads).spawn_dfs().join();
        section.line(format!(
            "{}: {} workers x {} deliveries x {} faults, {} SKUs: {} states of {} generated, {} deep, {:.0?}",
            scene.name,
            scene.workers.min(scene.deliveries.into()),
            scene.deliveries,
            scene.faults,
            scene.stock.len(),
            checker.unique_state_count(),
            checker.state_count(),
            checker.max_depth(),
            started.elapsed(),
        ));
        if let Some((law, path)) = checker.discoveries().into_iter().next() {
            let what = path.last_state().broken.unwrap_or(law);
            panic!("{}: broken: {what}\n{}", scene.name, trace::of(checker.model(), path));
        }
    }
    let missed: Vec<_> = Branch::ALL.iter().filter(|branch| reached.count(**branch) == 0).collect();
    let counts: Vec<_> =
        Branch::ALL.iter().map(|branch| format!("{branch:?} {}", reached.count(*branch))).collect();
    section.line(format!("branches: {}", counts.join(", ")));
    section.end();
    assert!(missed.is_empty(), "never reached: {missed:?}");
}

/// How long a missing guard is looked for in one scene.
const PATIENCE: Duration = Duration::from_secs(45);

/// The scenes in which the lack of a guard shows soonest: small, so that the shortest story is found.
fn scenes_without(removed: Removed) -> Vec<Scene> {
    use Removed::*;
    let plain = |deliveries, faults| Scene { stock: vec![1], ..Scene::new("small", deliveries, faults) };
    let parked = |operator, acts: &[Act]| {
        let scene = Scene { parking: true, declines: false, refuses: false, ..plain(2, 1) };
        scene.with_operator(operator, acts)
    };
    match removed {
        NotCancelled | SettleFirst | CancelBeforeShipment => {
            vec![plain(2, 1).with_operator(1, &[Act::Cancel])]
        }
        RefusalFirst => vec![Scene { stock: vec![0], supplies: 1, ..plain(2, 1) }],
        EnoughInStock => vec![Scene { stock: vec![0], ..plain(1, 0) }],
        Fingerprint => vec![Scene { messages: vec![Message::Original, Message::Conflicting], ..plain(2, 1) }],
        KeyMemory | EmptyLookUp => {
            vec![Scene { days: true, parking: true, ..plain(2, 2) }]
        }
        NoTtlOnUnfinished | AgeWindow | Retention => vec![Scene { days: true, ..plain(2, 1) }],
        MigrateFromStepSeen => vec![Scene::migrating("small", Codes::without_packing())],
        MoveMindsCancellation => vec![Scene::migrating("small", Codes::without_packing())],
        SettledBeforeTurningBack => vec![parked(2, &[Act::Resume, Act::TurnBack])],
        OperatorsFence | OperatorsStatus | OperatorsFencePlusOne | MarkStepDue => {
            vec![Scene { operators: 2, ..parked(4, &[Act::Resume, Act::Mark, Act::TurnBack]) }]
        }
        OwnersFence => vec![Scene { faults: 2, ..parked(2, &[Act::Resume, Act::TurnBack]) }, plain(3, 1)],
        _ => vec![plain(2, 1), parked(2, &[Act::Cancel, Act::Resume]), plain(2, 2), plain(3, 1)],
    }
}

/// What goes wrong without a guard, as a law and a story, and how many states were looked at.
struct Search {
    found: Option<(&'static str, String)>,
    states: usize,
    /// No scene took too long to be looked at to its end.
    patient: bool,
    took: Duration,
}

impl Search {
    fn without(removed: Removed) -> Self {
        let started = Instant::now();
        let mut search = Search { found: None, states: 0, patient: true, took: Duration::ZERO };
        for scene in scenes_without(removed) {
            let begun = Instant::now();
            let checker = Model::new(scene, Some(removed), &Arc::default()).checker();
            let checker = checker.finish_when(HasDiscoveries::Any).timeout(PATIENCE).spawn_bfs().join();
            // The shortest story, and always the same.
            let discovery = checker
                .discoveries()
                .into_iter()
                .min_by_key(|(law, path)| (path.clone().into_vec().len(), *law));
            search.found = discovery.map(|(law, path)| {
                let what = path.last_state().broken.unwrap_or(law);
                (what, trace::of(checker.model(), path))
            });
            search.states += checker.unique_state_count();
            search.patient &= begun.elapsed() < PATIENCE;
            if search.found.is_some() {
                break;
            }
        }
        Search { took: started.elapsed(), ..search }
    }
}

#[test]
fn without_any_one_guard_something_breaks() {
    let mut section = Section::new("3-guards", "Every guard is needed");
    let wide = evidence::thorough();
    let all = Removed::ALL.iter().copied();
    let guards: Vec<_> = all.filter(|removed| wide || removed.shows_soon()).collect();
    let searches = on_every_core(&guards, |removed| Search::without(*removed));
    let mut unexplained = Vec::new();
    for (removed, search) in guards.iter().zip(&searches) {
        let (words, states, took) = (removed.words(), search.states, search.took);
        match (&search.found, removed.explanation()) {
            (Some((law, story)), None) => {
                section.line(format!("{words}: broken after {took:.0?}: {law}"));
                section.story(story);
            }
            (None, Some(why)) => {
                let all = if search.patient { "all" } else { "the first" };
                section.line(format!("{words}: nothing breaks in {all} {states} states, {took:.0?}. {why}"));
            }
            (found, _) => {
                println!("{removed:?} {found:?} {took:?}");
                unexplained.push(removed);
            }
        }
    }
    section.end();
    assert!(unexplained.is_empty(), "these break nothing, or are explained for nothing: {unexplained:?}");
}
