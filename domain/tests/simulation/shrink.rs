//! Shrinks a sequence of steps that breaks a promise, until no step can be left out (delta debugging).

use crate::step::Step;

/// Maximum number of steps for which removing pairs is tried. More steps would have too many pairs.
const MAX_STEPS_FOR_PAIRS: usize = 40;

/// Returns a shorter or simpler sequence that still breaks the promise that `steps` breaks. `fails` says whether a
/// sequence breaks this promise.
pub(crate) fn shrink(mut steps: Vec<Step>, fails: impl Fn(&[Step]) -> bool) -> Vec<Step> {
    loop {
        let before = steps.clone();
        steps = remove_pairs(simplify(remove(steps, &fails), &fails), &fails);
        if steps == before {
            return steps;
        }
    }
}

/// Removes steps that the failure does not need, first many at once, then one by one.
fn remove(mut steps: Vec<Step>, fails: impl Fn(&[Step]) -> bool) -> Vec<Step> {
    let mut chunk = steps.len().div_ceil(2);
    while chunk > 0 {
        let mut start = 0;
        while start < steps.len() {
            let end = (start + chunk).min(steps.len());
            let candidate = [&steps[..start], &steps[end..]].concat();
            if fails(&candidate) {
                steps = candidate;
            } else {
                start = end;
            }
        }
        chunk /= 2;
    }
    steps
}

/// Removes pairs of steps that can only be left out together, such as a request and its end. Does nothing if there are
/// more than [`MAX_STEPS_FOR_PAIRS`] steps.
fn remove_pairs(mut steps: Vec<Step>, fails: impl Fn(&[Step]) -> bool) -> Vec<Step> {
    let pairs = |count: usize| (0..count).flat_map(move |one| (one + 1..count).map(move |other| (one, other)));
    let without = |steps: &[Step], (one, other): (usize, usize)| {
        [&steps[..one], &steps[one + 1..other], &steps[other + 1..]].concat()
    };
    while steps.len() <= MAX_STEPS_FOR_PAIRS {
        let mut candidates = pairs(steps.len()).map(|pair| without(&steps, pair));
        let Some(smaller) = candidates.find(|candidate| fails(candidate)) else { break };
        steps = smaller;
    }
    steps
}

/// Replaces each request or sweep in flight by one that runs to its end within its step. Undoes a replacement if the
/// steps then no longer break the promise.
fn simplify(mut steps: Vec<Step>, fails: impl Fn(&[Step]) -> bool) -> Vec<Step> {
    for index in 0..steps.len() {
        let before = steps[index];
        if let Step::Request { in_flight, .. } | Step::Sweep { in_flight, .. } = &mut steps[index] {
            *in_flight = false;
        }
        if steps[index] != before && !fails(&steps) {
            steps[index] = before;
        }
    }
    steps
}

#[test]
fn shrinking_leaves_the_steps_that_matter() {
    let steps: Vec<_> = (0..100).map(Step::Progress).collect();
    let fails = |steps: &[Step]| [17, 18, 70].iter().all(|index| steps.contains(&Step::Progress(*index)));
    assert_eq!(shrink(steps, fails), [17, 18, 70].map(Step::Progress));
}
