//! One delivery, event by event: what is done next, and how it ends.

mod owned;
mod owning;
mod parking;
mod stranded;

use super::*;
use crate::protocol;
use crate::record::{Fence, Outcomes, Owner, REFUSAL, Reason};
use crate::services::workflow;

/// The present moment of these tests.
const NOW: UnixMillis = UnixMillis(1_795_482_001_123);
/// How long a call may take.
const CALL: Duration = Duration::from_secs(10);
/// How long ago an order was claimed that somebody else claimed.
const CLAIMED_AGO: u64 = 60_000;

const RESERVE: &str = "reserve_inventory";
const CHARGE: &str = "charge_payment";
const SHIP: &str = "dispatch_shipment";
const TELL: &str = "notify_customer";
const REFUND: &str = "refund_payment";

/// A delivery and all that is decided by.
struct Scene {
    workflow: Workflow,
    rules: Rules,
    order: Order,
    receive_count: u32,
    may_claim: bool,
    claimant: Claimant,
}

impl Scene {
    /// The first delivery of an order that was placed this moment.
    fn new() -> Self {
        let message = serde_json::json!({
            "order_id": "ord-1",
            "customer_id": "cus-42",
            "placed_at": NOW.to_rfc3339(),
            "currency": "USD",
            "items": [{ "sku": "mug", "quantity": 2, "unit_price": 1299 }],
            "payment_method": "pm_card_visa",
        });
        let days = |days: u64| Duration::from_secs(days * 24 * 3600);
        let owner = Owner("me".to_owned());
        Scene {
            workflow: workflow(),
            rules: Rules {
                retention: days(30),
                max_order_age: days(21),
                max_receive_count: 20,
                lease_grace: Duration::from_secs(5),
            },
            order: Order::parse(&message.to_string()).unwrap(),
            receive_count: 1,
            may_claim: true,
            claimant: Claimant { owner, lease_until: UnixMillis(NOW.0 + 15_000) },
        }
    }

    fn job(&self) -> Job<'_> {
        let Scene { workflow, rules, order, receive_count, may_claim, claimant } = self;
        let (receive_count, may_claim) = (*receive_count, *may_claim);
        let delivery = Delivery { order, message: "{the message}", receive_count, may_claim };
        Job { workflow, rules, delivery, claimant }
    }

    fn begin(&self) -> Play<'_> {
        self.begin_at(Moment { now: NOW, call: Some(CALL) })
    }

    fn begin_at(&self, moment: Moment) -> Play<'_> {
        let (course, command) = Course::begin(&self.job(), moment);
        Play { scene: self, moment, course, command }
    }

    /// The delivery has taken over `record`.
    fn resuming(&self, record: Record) -> Play<'_> {
        self.begin().refused(record).applied()
    }

    /// The order at `step`, as a worker left it whose lease ends this moment.
    fn left_at(&self, status: Status, step: &str) -> Record {
        let other = Claimant { owner: Owner("other".to_owned()), lease_until: NOW };
        let claimed = UnixMillis(NOW.0 - CLAIMED_AGO);
        let first = protocol::claim(&self.workflow, &self.order, &other, claimed).after;
        let mut outcomes = Outcomes::default();
        if step != RESERVE {
            outcomes = outcomes.with(RESERVE, Outcome::reserved([("mug".parse().unwrap(), 2)]));
        }
        if [SHIP, REFUND].contains(&step) {
            outcomes = outcomes.with(CHARGE, paid().at(claimed));
        }
        if status == Status::Compensating {
            outcomes = outcomes.with(REFUSAL, declined().to_outcome().at(claimed));
        }
        Record { status, step: step.to_owned(), outcomes, ..first }
    }
}

/// How far a delivery has come, and what it is told to do.
struct Play<'a> {
    scene: &'a Scene,
    moment: Moment,
    course: Course,
    command: Command,
}

impl Play<'_> {
    fn then(self, event: Event) -> Self {
        let (course, command) = self.course.next(&self.scene.job(), event, self.moment);
        Play { course, command, ..self }
    }

    /// From now on, there is no time left for a call.
    fn out_of_time(self) -> Self {
        Play { moment: Moment { call: None, ..self.moment }, ..self }
    }

    fn applied(self) -> Self {
        let after = self.write().after.clone();
        self.then(applied(after))
    }

    fn refused(self, found: Record) -> Self {
        self.then(Event::Written(Written::Refused(Some(Box::new(found)))))
    }

    fn called(self, ending: Ending) -> Self {
        self.due();
        self.then(Event::Called(ending))
    }

    #[track_caller]
    fn write(&self) -> &Write {
        let Command::Write(write) = &self.command else { panic!("not a write: {:?}", self.command) };
        write
    }

    #[track_caller]
    fn due(&self) -> &Due {
        let Command::Call(due) = &self.command else { panic!("not a call: {:?}", self.command) };
        due
    }

    #[track_caller]
    fn end(&self) -> &Handled {
        let Command::End(handled) = &self.command else { panic!("not the end: {:?}", self.command) };
        assert_eq!(self.course.held(), None, "what is over holds nothing");
        handled
    }

    #[track_caller]
    fn ends_with(&self, disposition: &Disposition) {
        assert_eq!(self.end().disposition, *disposition);
    }
}

fn applied(record: Record) -> Event {
    Event::Written(Written::Applied(Box::new(record)))
}

fn retry(why: impl Into<String>) -> Disposition {
    Disposition::Retry { why: why.into() }
}

fn paid() -> Outcome {
    Outcome::of("payment_id", "pi_1")
}

fn shipped() -> Outcome {
    Outcome::of("shipment_id", "shp_1")
}

fn declined() -> Refusal {
    Refusal { reason: Reason::PaymentDeclined, detail: "card_declined".to_owned() }
}

#[test]
fn a_new_order_is_claimed_and_goes_from_step_to_step_until_it_is_completed() {
    let scene = Scene::new();
    let claimed = scene.begin();
    assert_eq!(*claimed.write(), protocol::claim(&scene.workflow, &scene.order, &scene.claimant, NOW));
    assert_eq!(claimed.course.held(), None, "nothing is held before the claim is answered");
    let record = claimed.write().after.clone();
    let reserved = claimed.applied();
    assert_eq!(reserved.course.held(), Some(&record));
    assert_eq!(reserved.write().after.step, CHARGE);
    assert_eq!(reserved.write().stock.len(), 1);
    let mut play = reserved.applied();
    for (step, outcome) in [(CHARGE, paid()), (SHIP, shipped()), (TELL, Outcome::nothing())] {
        assert_eq!(play.due().key, format!("ord-1:{step}"));
        assert_eq!((play.due().timeout, play.due().refusal.as_ref()), (CALL, None));
        assert_eq!(Some(&play.due().held), play.course.held());
        play = play.called(Ending::Done(outcome.clone()));
        assert_eq!(play.write().after.outcomes.get(step), Some(&outcome.at(NOW)));
        play = play.applied();
    }
    let Disposition::Finished { now: Some(Status::Completed), result } = &play.end().disposition else {
        panic!("{:?}", play.end());
    };
    assert!(result.contains(r#""payment_id":"pi_1","shipment_id":"shp_1""#), "{result}");
    assert_eq!((play.end().attempt, play.end().took_over, play.end().lost_lease), (Some(1), false, false));
}

/// A play at each stage, with what it says it is doing and the events that belong there.
fn every_stage<'a>(scene: &'a Scene, looking: &'a Scene) -> Vec<(Play<'a>, &'static str, Vec<&'static str>)> {
    let calling = || scene.begin().applied().applied();
    let over = || calling().called(Ending::Unavailable("down".to_owned())).applied();
    let taking_over = scene.begin().refused(scene.left_at(Status::InProgress, CHARGE));
    vec![
        (looking.begin(), "the order was looked for", vec!["found", "none found", "no answer"]),
        (scene.begin(), "the order was claimed", vec!["applied", "refused", "no answer"]),
        (taking_over, "the order was taken over", vec!["applied", "refused", "no answer"]),
        (scene.begin().applied(), "a write was under way", vec!["applied", "refused", "short", "no answer"]),
        (calling(), "a call was under way", vec!["done"]),
        (
            calling().called(Ending::Done(paid())),
            "a write was under way",
            vec!["applied", "refused", "short", "no answer"],
        ),
        (
            calling().called(Ending::Unknown("who knows".to_owned())),
            "a write was under way",
            vec!["applied", "refused", "short", "no answer"],
        ),
        (over(), "everything was done", vec![]),
    ]
}

#[test]
fn an_event_that_does_not_belong_to_the_stage_brings_the_message_back() {
    let (scene, looking) = (Scene::new(), Scene { may_claim: false, ..Scene::new() });
    let record = Box::new(scene.left_at(Status::InProgress, CHARGE));
    let shortage = protocol::Shortage { sku: "mug".parse().unwrap(), wanted: 2, left: Some(1) };
    let events = [
        ("found", Event::Found(Some(record.clone())), "the answer of a look-up"),
        ("none found", Event::Found(None), "the answer of a look-up"),
        ("applied", Event::Written(Written::Applied(record)), "the answer of a write"),
        ("refused", Event::Written(Written::Refused(None)), "the answer of a write"),
        ("short", Event::Written(Written::Short(shortage)), "the answer of a write"),
        ("done", Event::Called(Ending::Done(paid())), "the end of a call"),
        ("no answer", Event::NoAnswer("throttled".to_owned()), "no answer"),
    ];
    let mut foreign = 0;
    for (name, event, words) in events {
        for (play, doing, accepted) in every_stage(&scene, &looking) {
            let held = play.course.held().is_some();
            let play = play.then(event.clone());
            if !accepted.contains(&name) {
                foreign += 1;
                play.ends_with(&retry(format!("{words} came while {doing}")));
                assert_eq!(play.end().attempt, held.then_some(1), "{name} while {doing}");
            }
        }
    }
    assert_eq!(foreign, 8 * 7 - 3 * 3 - 3 * 4 - 1, "every other pair belongs together");
}

#[test]
fn whatever_comes_of_giving_up_the_delivery_ends_as_it_was_to_end() {
    let scene = Scene::new();
    let given_up = || scene.begin().applied().applied().called(Ending::Unavailable("down".to_owned()));
    assert_eq!(given_up().write().after.lease_until_ms, Some(UnixMillis(0)));
    for event in [
        Event::Written(Written::Refused(None)),
        Event::Found(None),
        Event::Called(Ending::Done(paid())),
        applied(given_up().write().after.clone()),
    ] {
        given_up().then(event).ends_with(&retry("down"));
    }
    let told = given_up().then(Event::NoAnswer("throttled".to_owned()));
    told.ends_with(&retry("down; the lease could not be released: throttled"));
}
