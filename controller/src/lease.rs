//! Who leads: what to do next about the Lease. The loop around it reads, writes and waits; it never decides.
//!
//! As client-go does it, so that both may be in one cluster: another's lease has run out when it has not *changed*
//! for its duration by our own clock, whatever time it claims; our own leads until a deadline well before others
//! may take it.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::coordination::v1::LeaseSpec;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;

/// How long a lease lasts. `retry < deadline < duration`, or two could lead at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// After which silence others may take it; whole seconds.
    pub duration: SignedDuration,
    /// For how long after its last renewal the holder may act.
    pub deadline: SignedDuration,
    /// Between two renewals, and between two looks at another's.
    pub retry: SignedDuration,
}

impl Default for Terms {
    fn default() -> Self {
        Self {
            duration: SignedDuration::from_secs(15),
            deadline: SignedDuration::from_secs(10),
            retry: SignedDuration::from_secs(2),
        }
    }
}

/// A Lease as we know it.
#[derive(Clone, Debug, PartialEq)]
pub struct Held {
    /// What it says.
    pub spec: LeaseSpec,
    /// When, by our clock, we first saw it say so; for one that we wrote, when we began to write.
    pub since: Timestamp,
}

/// What to do next.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Make the Lease; it does not exist.
    Create(LeaseSpec),
    /// Replace it, provided that it has not changed meanwhile; whoever succeeds holds it.
    Take(LeaseSpec),
    /// Replace it likewise; it is ours already.
    Renew(LeaseSpec),
    /// Look again then.
    Wait(Timestamp),
}

/// What to do next about a Lease (none if it does not exist).
pub fn next_action(lease: Option<&Held>, me: &str, terms: Terms, now: Timestamp) -> Action {
    let Some(held) = lease else { return Action::Create(taken(None, me, terms, now)) };
    match held.spec.holder_identity.as_deref() {
        Some(holder) if holder == me => renewal(held, terms, now),
        None | Some("") => Action::Take(taken(Some(&held.spec), me, terms, now)),
        Some(_) => {
            let runs_out = later(held.since, theirs(&held.spec, terms));
            if now >= runs_out {
                Action::Take(taken(Some(&held.spec), me, terms, now))
            } else {
                Action::Wait(runs_out.min(later(now, terms.retry)))
            }
        }
    }
}

/// Until when its holder may act; none if that is not us. Asked before every write.
pub fn leads_until(lease: Option<&Held>, me: &str, terms: Terms) -> Option<Timestamp> {
    let held = lease.filter(|held| held.spec.holder_identity.as_deref() == Some(me))?;
    Some(later(held.since, terms.deadline))
}

/// The Lease given up, so that nobody has to wait for it to run out; none if it is not ours.
pub fn released(lease: Option<&Held>, me: &str, now: Timestamp) -> Option<LeaseSpec> {
    let held = lease.filter(|held| held.spec.holder_identity.as_deref() == Some(me))?;
    Some(LeaseSpec {
        holder_identity: Some(String::new()),
        lease_duration_seconds: Some(1),
        renew_time: Some(MicroTime(now)),
        ..held.spec.clone()
    })
}

fn renewal(held: &Held, terms: Terms, now: Timestamp) -> Action {
    let due = later(held.since, terms.retry);
    if now < due {
        return Action::Wait(due);
    }
    Action::Renew(LeaseSpec {
        lease_duration_seconds: Some(seconds(terms.duration)),
        renew_time: Some(MicroTime(now)),
        ..held.spec.clone()
    })
}

fn taken(before: Option<&LeaseSpec>, me: &str, terms: Terms, now: Timestamp) -> LeaseSpec {
    let transitions = before.map(|spec| spec.lease_transitions.unwrap_or(0).saturating_add(1));
    LeaseSpec {
        holder_identity: Some(me.to_owned()),
        lease_duration_seconds: Some(seconds(terms.duration)),
        acquire_time: Some(MicroTime(now)),
        renew_time: Some(MicroTime(now)),
        lease_transitions: Some(transitions.unwrap_or(0)),
        ..before.cloned().unwrap_or_default()
    }
}

/// The duration that a holder asked for; ours if it asked for none that makes sense.
fn theirs(spec: &LeaseSpec, terms: Terms) -> SignedDuration {
    let asked = spec.lease_duration_seconds.filter(|seconds| *seconds > 0);
    asked.map_or(terms.duration, |seconds| SignedDuration::from_secs(seconds.into()))
}

fn later(moment: Timestamp, by: SignedDuration) -> Timestamp {
    moment.saturating_add(by).unwrap_or(Timestamp::MAX)
}

fn seconds(span: SignedDuration) -> i32 {
    i32::try_from(span.as_secs()).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + seconds).unwrap()
    }

    fn next(lease: Option<&Held>, now: i64) -> Action {
        next_action(lease, "me", Terms::default(), at(now))
    }

    fn held_by(holder: &str, since: i64) -> Held {
        let spec = LeaseSpec {
            holder_identity: Some(holder.to_owned()),
            lease_duration_seconds: Some(15),
            // Its holder's clock may be anywhere: ours decides.
            renew_time: Some(MicroTime(at(-100_000))),
            lease_transitions: Some(4),
            ..LeaseSpec::default()
        };
        Held { spec, since: at(since) }
    }

    #[test]
    fn a_lease_that_is_not_there_is_made() {
        let Action::Create(spec) = next(None, 0) else { panic!() };
        assert_eq!(spec.holder_identity.as_deref(), Some("me"));
        assert_eq!((spec.lease_duration_seconds, spec.lease_transitions), (Some(15), Some(0)));
        assert_eq!(
            (spec.acquire_time.clone(), spec.renew_time),
            (Some(MicroTime(at(0))), spec.acquire_time)
        );
    }

    #[test]
    fn anothers_is_taken_when_it_has_not_changed_for_its_duration() {
        let theirs = held_by("other", 0);
        assert_eq!(next(Some(&theirs), 0), Action::Wait(at(2)));
        assert_eq!(next(Some(&theirs), 14), Action::Wait(at(15)));
        let Action::Take(spec) = next(Some(&theirs), 15) else { panic!() };
        assert_eq!(
            (spec.holder_identity.as_deref(), spec.lease_transitions),
            (Some("me"), Some(5))
        );
        assert_eq!(leads_until(Some(&theirs), "me", Terms::default()), None);
    }

    #[test]
    fn one_that_was_given_up_is_taken_at_once() {
        let ours = held_by("me", 0);
        let free = Held { spec: released(Some(&ours), "me", at(1)).unwrap(), since: at(1) };
        assert!(matches!(next(Some(&free), 1), Action::Take(_)));
        assert_eq!(released(Some(&free), "me", at(1)), None);
        assert_eq!(leads_until(Some(&free), "me", Terms::default()), None);
    }

    #[test]
    fn ours_is_renewed_in_time_and_leads_until_the_deadline() {
        let ours = held_by("me", 0);
        assert_eq!(next(Some(&ours), 1), Action::Wait(at(2)));
        let Action::Renew(spec) = next(Some(&ours), 2) else { panic!() };
        assert_eq!((spec.renew_time, spec.lease_transitions), (Some(MicroTime(at(2))), Some(4)));
        assert_eq!(leads_until(Some(&ours), "me", Terms::default()), Some(at(10)));
    }

    /// Two that see every write at once, and whose clocks differ: at no moment may both act.
    #[test]
    fn two_never_lead_at_once() {
        let terms = Terms::default();
        for (stops, skew) in [(7, 0), (7, 3600), (23, -3600), (40, 5)] {
            let mut spec: Option<LeaseSpec> = None;
            let mut seen: [Option<Held>; 2] = [None, None];
            let mut led = [false, false];
            for second in 0..120 {
                for (who, name) in ["a", "b"].into_iter().enumerate() {
                    let now = at(second + if who == 1 { skew } else { 0 });
                    // The first one stops for a while: a long pause of its process.
                    if who == 0 && (stops..stops + 30).contains(&second) {
                        continue;
                    }
                    if seen[who].as_ref().map(|it| &it.spec) != spec.as_ref() {
                        seen[who] = spec.clone().map(|spec| Held { spec, since: now });
                    }
                    match next_action(seen[who].as_ref(), name, terms, now) {
                        Action::Create(new) | Action::Take(new) | Action::Renew(new) => {
                            seen[who] = Some(Held { spec: new.clone(), since: now });
                            spec = Some(new);
                        }
                        Action::Wait(_) => {}
                    }
                }
                let leads = |who: usize, name, skew| {
                    let until = leads_until(seen[who].as_ref(), name, terms);
                    until.is_some_and(|until| at(second + skew) < until)
                };
                let now = [leads(0, "a", 0), leads(1, "b", skew)];
                assert!(now != [true, true], "both lead at {second}, stopped at {stops}");
                led = [led[0] || now[0], led[1] || now[1]];
            }
            assert_eq!(led, [true, true], "stopped at {stops}");
        }
    }
}
