//! The guards of the protocol, each of which the model can do without: then it must find what goes wrong.
//!
//! Nothing of this is in the shipped code. The model bends what the shipped code writes, sees or calls.

use std::borrow::Cow;

use order_processor::protocol::{Guard, Write};
use order_processor::record::{RELEASED, Record, Status};

listed! {
    /// A guard that is left out.
    pub enum Removed {
        ClaimIfAbsent,
        TakeoverOfFenceSeen,
        TakeoverOfUnfinished,
        MigrateFromStepSeen,
        MoveMindsCancellation,
        FencePlusOne,
        OwnersFence,
        OwnersOwner,
        OwnersFenceAndOwner,
        OwnersStepAndToken,
        OwnersStatus,
        OwnersStep,
        NotCancelled,
        ParkInStatusHeld,
        ParkUnfinished,
        GiveUpUnfinished,
        StopWhenLost,
        OwnWriteByOwner,
        OneTransaction,
        EnoughInStock,
        ClientToken,
        SettleFirst,
        RefusalFirst,
        KeyWithoutFence,
        KeyMemory,
        EmptyLookUp,
        NoTtlOnUnfinished,
        AgeWindow,
        Retention,
        Fingerprint,
        CancelBeforeShipment,
        OperatorsFence,
        OperatorsStatus,
        OperatorsFencePlusOne,
        MarkStepDue,
        SettledBeforeTurningBack,
    }
}

/// Whose write it is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Claim,
    Takeover,
    Owner,
    Park,
    GiveUp,
    Cancel,
    Operator,
}

fn kind(write: &Write) -> Kind {
    let guard = &write.guard;
    match (&write.before, &guard.owner, guard.fence) {
        (None, ..) => Kind::Claim,
        (Some(_), Some(_), _) if write.after.status == Status::Parked => Kind::Park,
        (Some(_), Some(_), _) if write.after.lease_until_ms == Some(RELEASED) => Kind::GiveUp,
        (Some(_), Some(_), _) => Kind::Owner,
        (Some(before), None, Some(_)) if write.after.attempts > before.attempts => Kind::Takeover,
        (Some(_), None, None) => Kind::Cancel,
        (Some(_), None, Some(_)) => Kind::Operator,
    }
}

impl Removed {
    /// The guard in words.
    pub fn words(self) -> &'static str {
        match self {
            Removed::ClaimIfAbsent => "claim: attribute_not_exists(pk)",
            Removed::TakeoverOfFenceSeen => "take over: fence = :seen",
            Removed::TakeoverOfUnfinished => "take over: status IN (IN_PROGRESS, COMPENSATING)",
            Removed::MigrateFromStepSeen => "a migrating takeover: status = :seen AND step = :seen",
            Removed::MoveMindsCancellation => "a migrating takeover: attribute_not_exists(cancel_requested)",
            Removed::FencePlusOne => "take over: fence + 1",
            Removed::OwnersFence => "owner's writes: fence = :f",
            Removed::OwnersOwner => "owner's writes: owner = :me",
            Removed::OwnersFenceAndOwner => "owner's writes: fence = :f AND owner = :me",
            Removed::OwnersStepAndToken => "checkpoints: step = :this, and the client token",
            Removed::OwnersStatus => "checkpoints: status = :held",
            Removed::OwnersStep => "checkpoints: step = :this",
            Removed::NotCancelled => "reserve, charge: attribute_not_exists(cancel_requested)",
            Removed::ParkInStatusHeld => "park: the status that its owner knows",
            Removed::ParkUnfinished => "park: an unfinished status",
            Removed::GiveUpUnfinished => "give up: an unfinished status",
            Removed::StopWhenLost => "a refused owner stops",
            Removed::OwnWriteByOwner => "own-write test on fence and owner",
            Removed::OneTransaction => "stock and checkpoint in one transaction",
            Removed::EnoughInStock => "reserve: available >= :n",
            Removed::ClientToken => "transactions: client token",
            Removed::SettleFirst => "settle before compensating",
            Removed::RefusalFirst => "refusal written before it is told",
            Removed::KeyWithoutFence => "key without fence or attempt",
            Removed::KeyMemory => "look up a payment whose key may be forgotten",
            Removed::EmptyLookUp => "an empty look-up is no answer",
            Removed::NoTtlOnUnfinished => "no TTL on unfinished records",
            Removed::AgeWindow => "an old message is not claimed",
            Removed::Retention => "retention longer than the age window",
            Removed::Fingerprint => "another fingerprint is a conflict",
            Removed::CancelBeforeShipment => "cancel: before the shipment",
            Removed::OperatorsFence => "operator: fence = :seen",
            Removed::OperatorsStatus => "operator: status = PARKED",
            Removed::OperatorsFencePlusOne => "operator: fence + 1",
            Removed::MarkStepDue => "operator: mark the step that is due",
            Removed::SettledBeforeTurningBack => "operator: turn back only from a settled step",
        }
    }

    /// Whether the model finds in seconds what goes wrong without it.
    pub fn shows_soon(self) -> bool {
        let slow = [
            Removed::TakeoverOfFenceSeen,
            Removed::ParkInStatusHeld,
            Removed::EmptyLookUp,
            Removed::KeyMemory,
            Removed::OperatorsFence,
            Removed::OperatorsFencePlusOne,
        ];
        self.explanation().is_none() && !slow.contains(&self)
    }

    /// Why the model finds nothing without it, where that is so.
    pub fn explanation(self) -> Option<&'static str> {
        match self {
            Removed::OwnersFence | Removed::OwnersOwner => Some(
                "An owner's name is as new as its fence; without both, it breaks. Both are kept: one number, one name",
            ),
            Removed::OwnersStatus => Some(
                "An owner that does not know what came of a write stops, so the step alone says the status",
            ),
            Removed::OwnersStep | Removed::ClientToken => {
                Some("They answer for each other when the SDK repeats a request; without both, it breaks")
            }
            Removed::OperatorsStatus | Removed::MarkStepDue => Some(
                "Whoever changes a parked order raises its fence, so the fence alone says both. Kept, so that a record \
                 that was repaired by hand with its fence left as it was is refused all the same",
            ),
            _ => None,
        }
    }

    /// `write` as it is sent: without the guard, if it is one of those that have it.
    pub fn bent(removed: Option<Self>, write: &Write) -> Cow<'_, Write> {
        removed.and_then(|removed| removed.bend(write)).map_or(Cow::Borrowed(write), Cow::Owned)
    }

    /// The write without the guard; nothing where it says the same.
    fn bend(self, write: &Write) -> Option<Write> {
        let mut bent = write.clone();
        let guard = &mut bent.guard;
        match (self, kind(write)) {
            (Removed::ClaimIfAbsent, Kind::Claim) => guard.absent = false,
            (Removed::TakeoverOfFenceSeen, Kind::Takeover) | (Removed::OperatorsFence, Kind::Operator) => {
                guard.fence = None;
            }
            (Removed::TakeoverOfUnfinished, Kind::Takeover)
            | (Removed::OwnersStatus, Kind::Owner)
            | (Removed::ParkUnfinished, Kind::Park)
            | (Removed::GiveUpUnfinished, Kind::GiveUp)
            | (Removed::OperatorsStatus, Kind::Operator) => guard.status.clear(),
            (Removed::MigrateFromStepSeen, Kind::Takeover) if !guard.step.is_empty() => {
                guard.status = Status::UNFINISHED.to_vec();
                guard.step.clear();
            }
            (Removed::MoveMindsCancellation, Kind::Takeover) => guard.not_cancelled = false,
            (Removed::ParkInStatusHeld, Kind::Park) => guard.status = Status::UNFINISHED.to_vec(),
            (Removed::FencePlusOne, Kind::Takeover) | (Removed::OperatorsFencePlusOne, Kind::Operator) => {
                bent.after.fence = write.before.as_ref().map_or(write.after.fence, |before| before.fence);
            }
            (Removed::OwnersFence, Kind::Owner | Kind::Park | Kind::GiveUp) => guard.fence = None,
            (Removed::OwnersOwner, Kind::Owner | Kind::Park | Kind::GiveUp) => guard.owner = None,
            (Removed::OwnersFenceAndOwner, Kind::Owner | Kind::Park | Kind::GiveUp) => {
                (guard.fence, guard.owner) = (None, None);
            }
            (Removed::OwnersStep | Removed::OwnersStepAndToken, Kind::Owner)
            | (Removed::MarkStepDue, Kind::Operator) => guard.step.clear(),
            (Removed::NotCancelled, Kind::Owner) => guard.not_cancelled = false,
            (Removed::CancelBeforeShipment, Kind::Cancel) => *guard = Guard::default(),
            (Removed::NoTtlOnUnfinished, Kind::Claim) => {
                bent.after.expires_at = Some((write.after.claimed_at_ms + super::RETENTION).to_seconds());
            }
            _ => return None,
        }
        Some(bent)
    }

    /// Whether a refused owner that does not look at fence and owner takes `found` for its own write.
    pub fn takes_for_own(self, write: &Write, found: &Record) -> bool {
        let (Removed::OwnWriteByOwner, Some(before)) = (self, &write.before) else { return false };
        let mut changes = before.changes_to(&write.after);
        changes.retain(|name, _| !["fence", "owner", "updated_at_ms", "outcomes"].contains(&name.as_str()));
        let found = found.attributes();
        changes.iter().all(|(name, value)| found.get(name) == value.as_ref())
    }
}
