//! The loop: choose an input, damage it, repair its seal, run it, and keep it where it is new.

use crate::chance::Chance;
use crate::coverage::Reached;
use crate::memory;
use crate::mutate::damaged;
use crate::targets::Target;
use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

/// The most that a decoder may set aside for an input: what it holds is a small multiple of it.
const MOST_MEMORY: usize = 64 << 20;
const MOST_KEPT: usize = 2000;
const MOST_FAILURES: usize = 5;

/// An input on which a property does not hold.
#[derive(Debug, Clone)]
pub struct Failure {
    /// The target's name.
    pub target: &'static str,
    /// Which property, or what the panic said.
    pub what: String,
    /// The input, made shorter while it fails the same way.
    pub input: Vec<u8>,
}

/// What a run came to.
#[derive(Debug, Default)]
pub struct Found {
    /// How many inputs were run.
    pub cases: u64,
    /// How many were kept because they were new.
    pub kept: usize,
    /// How many kinds of answers there were.
    pub answers: usize,
    /// How many places in the code were reached; 0 where they are not counted.
    pub places: usize,
    /// The longest that one took.
    pub slowest: Duration,
    /// The most memory that one took.
    pub most_memory: usize,
    /// What failed.
    pub failures: Vec<Failure>,
}

/// Runs a target for some time, or for so many cases, whichever ends first.
pub fn fuzz(target: &dyn Target, time: Duration, most_cases: u64, seed: u64) -> Found {
    let (mut chance, mut found) = (Chance::new(seed), Found::default());
    let (mut reached, mut answers) = (Reached::default(), HashSet::new());
    let mut kept = target.seeds();
    let words = target.words();
    for seed in kept.clone() {
        try_one(target, &seed, &mut reached, &mut answers, &mut found);
    }
    let began = Instant::now();
    while began.elapsed() < time && found.cases < most_cases && found.failures.len() < MOST_FAILURES
    {
        let recent = chance.once_in(2) && kept.len() > 16;
        let from = if recent { kept.len() - 16 } else { 0 };
        let seed = &kept[from + chance.below(kept.len() - from)];
        let mut input = damaged(seed, &kept, &words, target.longest(), &mut chance);
        if !chance.once_in(16) {
            target.repair(&mut input);
        }
        let is_new = try_one(target, &input, &mut reached, &mut answers, &mut found);
        if is_new && kept.len() < MOST_KEPT {
            kept.push(input);
            found.kept += 1;
        }
    }
    found.answers = answers.len();
    found.places = reached.places();
    found
}

/// Runs one input; returns what kind of answer came.
///
/// # Errors
/// The property that does not hold, a panic's words among them.
pub fn check(target: &dyn Target, input: &[u8]) -> Result<String, String> {
    let before = memory::begin();
    let ran = catch_unwind(AssertUnwindSafe(|| target.run(input)));
    let most = memory::most(before);
    let answer = ran.unwrap_or_else(|panic| {
        let said = panic.downcast_ref::<String>().cloned();
        let said = said.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string));
        Err(format!("panic: {}", said.unwrap_or_default()))
    })?;
    if most > MOST_MEMORY {
        return Err(format!("{} bytes set aside for {}", most, input.len()));
    }
    Ok(answer)
}

fn try_one(
    target: &dyn Target,
    input: &[u8],
    reached: &mut Reached,
    answers: &mut HashSet<String>,
    found: &mut Found,
) -> bool {
    found.cases += 1;
    let (began, before) = (Instant::now(), memory::begin());
    Reached::begin();
    let answer = check(target, input);
    let mut is_new = reached.has_news();
    found.slowest = found.slowest.max(began.elapsed());
    found.most_memory = found.most_memory.max(memory::most(before));
    match answer {
        Ok(answer) => is_new |= answers.insert(answer),
        Err(what) => found.failures.push(Failure {
            target: target.name(),
            input: shortened(target, input, &what),
            what,
        }),
    }
    is_new
}

/// Takes pieces away from an input as long as it fails the same way.
fn shortened(target: &dyn Target, input: &[u8], what: &str) -> Vec<u8> {
    let mut best = input.to_vec();
    let mut piece = best.len() / 2;
    while piece > 0 {
        let mut at = 0;
        while at + piece <= best.len() {
            let mut shorter = best.clone();
            shorter.drain(at..at + piece);
            target.repair(&mut shorter);
            let is_shorter = shorter.len() < best.len(); // a repair may have filled it up again
            if is_shorter && check(target, &shorter).err().as_deref() == Some(what) {
                best = shorter;
            } else {
                at += piece;
            }
        }
        piece /= 2;
    }
    best
}
