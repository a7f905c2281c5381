//! A deterministic simulation of two replicas on one store, under faults: the use cases, the planner and the
//! in-memory store, with a virtual clock and virtual notifications. It checks all promises of the delivery contract.
//!
//! A seed determines all steps, and the steps determine all that happens. If a promise is broken, the test shrinks the
//! steps: it leaves out all that the failure does not need. Then it prints the seed, the shrunk steps and the check
//! that failed. CONTRIBUTING.md says how to run the simulation for longer, or with one seed.
//!
//! - `step`: the steps, and their generation from a seed.
//! - `world`: runs the steps. `operations`: the steps that concern servers and time. `drain`: ends the simulation.
//! - `client`: what the clients do and know. `replica`: the servers. `store`: the store, with its faults. `notify`: the
//!   notifications. `time`: the clocks.
//! - `oracle`: checks each operation of the store. `answers`: checks each answer to a client.
//! - `shrink`: shrinks steps that break a promise. `regressions`: steps that broke a promise once, and that run each
//!   time. `defect`: deliberate defects that the simulation must find.
#![allow(clippy::unwrap_used, reason = "a test")]

mod answers;
mod client;
mod defect;
mod drain;
mod notify;
mod operations;
mod oracle;
mod regressions;
mod replica;
mod shrink;
mod step;
mod store;
mod time;
mod world;

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use self::defect::Defect;
use self::oracle::Violation;
use self::regressions::REGRESSIONS;
use self::step::{Step, generate};
use self::world::World;

/// How many steps one run of the test has in total, with all seeds. `WOOSH_SIMULATION_STEPS` can set another number.
const STEPS: u64 = 1_000_000;
/// The number of steps of each seed.
const STEPS_PER_SEED: usize = 1000;

/// Verifies promises D1 to D10 with random seeds.
#[test]
fn no_promise_is_broken_under_any_sequence_of_steps() {
    if let Some(seed) = number("WOOSH_SIMULATION_SEED") {
        return check(seed).unwrap_or_else(|report| panic!("{report}"));
    }
    let first = fastrand::u64(..1 << 48);
    let end = first + number("WOOSH_SIMULATION_STEPS").unwrap_or(STEPS).div_ceil(STEPS_PER_SEED as u64);
    println!("seeds {first} to {}", end - 1);
    let next = AtomicU64::new(first);
    let work = || {
        while let Some(seed) = Some(next.fetch_add(1, Ordering::Relaxed)).filter(|seed| *seed < end) {
            check(seed).inspect_err(|_| next.store(end, Ordering::Relaxed))?;
        }
        Ok(())
    };
    let checked: Result<(), String> = thread::scope(|scope| {
        let workers = thread::available_parallelism().map_or(1, usize::from);
        let workers: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        workers.into_iter().try_for_each(|worker| worker.join().unwrap())
    });
    checked.unwrap_or_else(|report| panic!("{report}"));
}

#[test]
fn no_promise_is_broken_by_steps_that_once_did() {
    for (name, steps) in REGRESSIONS {
        assert_eq!(simulate(steps, None), Ok(()), "{name}");
    }
}

#[test]
fn a_seed_always_does_the_same() {
    for seed in 0..3 {
        let trace = |()| {
            let mut world = World::new(None, true);
            generate(seed, STEPS_PER_SEED).into_iter().try_for_each(|step| world.step(step)).unwrap();
            world.drain().unwrap();
            world.into_trace()
        };
        let (one, other) = (trace(()), trace(()));
        assert!(one.len() > STEPS_PER_SEED, "the trace is empty");
        assert_eq!(one, other);
    }
}

#[test]
fn defects_are_found_and_shrunk_to_a_few_steps() {
    for (defect, check, most) in [
        (Defect::SendsLost, "D1", 1),
        (Defect::KeysIgnored, "D4", 2),
        (Defect::NotificationsLost, "D8", 2),
        (Defect::EndedSessionsCached, "D9", 5),
        (Defect::IncarnationsKept, "D3", 2),
    ] {
        let found = (0..50).find_map(|seed| find(seed, Some(defect)));
        let (steps, violation) = found.unwrap_or_else(|| panic!("{defect:?} was not found"));
        assert!(violation.check.starts_with(check), "{defect:?}: {violation:?}");
        assert!(steps.len() <= most, "{defect:?}: {steps:?}");
    }
}

/// Runs the steps of a seed. Returns a report if a promise is broken.
fn check(seed: u64) -> Result<(), String> {
    let Some((steps, Violation { check, detail })) = find(seed, None) else { return Ok(()) };
    let mut world = World::new(None, true);
    let _ = steps.iter().try_for_each(|step| world.step(*step)).and_then(|()| world.drain());
    Err(format!(
        "seed {seed} breaks a promise: {check}\n{detail}\n\nshrunk to {} steps:\n{steps:#?}\n\n{}\n\n\
         WOOSH_SIMULATION_SEED={seed} cargo test -p woosh-domain --test simulation no_promise",
        steps.len(),
        world.into_trace().join("\n")
    ))
}

/// Runs the steps of a seed. If a promise is broken, returns the shrunk steps, and the violation.
fn find(seed: u64, defect: Option<Defect>) -> Option<(Vec<Step>, Violation)> {
    let steps = generate(seed, STEPS_PER_SEED);
    let (count, violation) = simulate(&steps, defect).err()?;
    let fails = |steps: &[Step]| simulate(steps, defect).is_err_and(|(_, other)| other.check == violation.check);
    let steps = shrink::shrink(steps[..count].to_vec(), fails);
    let (_, violation) = simulate(&steps, defect).err()?;
    Some((steps, violation))
}

/// Runs steps. If a promise is broken, returns how many steps had run by then, and the violation.
fn simulate(steps: &[Step], defect: Option<Defect>) -> Result<(), (usize, Violation)> {
    let mut world = World::new(defect, false);
    for (index, step) in steps.iter().enumerate() {
        world.step(*step).map_err(|violation| (index + 1, violation))?;
    }
    world.drain().map_err(|violation| (steps.len(), violation))
}

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} has to be a number")))
}
