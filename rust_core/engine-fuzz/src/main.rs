//! `engine-fuzz`: fuzz the core's decoders for some time, and print one JSON line.
//!
//! The exit code is 0 where every property held, 1 where one did not.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use engine_fuzz::coverage::Reached;
use engine_fuzz::fuzz::{Found, fuzz};
use engine_fuzz::memory::Counting;
use engine_fuzz::targets::{Target, all};
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

struct Wanted {
    seconds: f64,
    cases: u64,
    seed: u64,
    targets: Vec<String>,
    failures: PathBuf,
}

fn main() -> ExitCode {
    let wanted = match wanted(std::env::args().skip(1)) {
        Ok(wanted) => wanted,
        Err(wrong) => {
            let _ = writeln!(std::io::stderr(), "engine-fuzz: {wrong}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    std::panic::set_hook(Box::new(|_| ()));
    let mut targets = all();
    targets
        .retain(|one| wanted.targets.is_empty() || wanted.targets.iter().any(|n| n == one.name()));
    #[allow(clippy::cast_precision_loss)]
    let share = Duration::from_secs_f64(wanted.seconds / targets.len().max(1) as f64);
    let found: Vec<(&'static str, Found)> = targets
        .iter()
        .map(|target| (target.name(), told(target.as_ref(), share, &wanted)))
        .collect();
    let mut failed = Vec::new();
    for failure in found.iter().flat_map(|(_, found)| &found.failures) {
        let folder = wanted.failures.join(failure.target);
        let file = folder.join(format!("{:016x}", hashed(&failure.input)));
        std::fs::create_dir_all(&folder).expect("a folder for failures");
        std::fs::write(&file, &failure.input).expect("a file for a failure");
        failed.push((failure, file));
    }
    let listed: Vec<String> = failed
        .iter()
        .map(|(failure, file)| {
            format!(
                r#"{{"target":"{}","what":{},"file":{}}}"#,
                failure.target,
                text(&failure.what),
                text(&file.display().to_string())
            )
        })
        .collect();
    let each = |show: fn(&Found) -> String| -> String {
        let shown = found
            .iter()
            .map(|(name, found)| format!(r#""{name}":{}"#, show(found)));
        shown.collect::<Vec<_>>().join(",")
    };
    let line = format!(
        r#"{{"cases":{{{}}},"kept":{{{}}},"places":{{{}}},"slowest_ms":{{{}}},"guided":{},"seed":{},"failures":[{}]}}"#,
        each(|found| found.cases.to_string()),
        each(|found| found.kept.to_string()),
        each(|found| found.places.to_string()),
        each(|found| found.slowest.as_millis().to_string()),
        Reached::is_guided(),
        wanted.seed,
        listed.join(",")
    );
    let _ = writeln!(std::io::stdout(), "{line}");
    ExitCode::from(u8::from(!failed.is_empty()))
}

fn told(target: &dyn Target, time: Duration, wanted: &Wanted) -> Found {
    let found = fuzz(target, time, wanted.cases, wanted.seed);
    let _ = writeln!(
        std::io::stderr(),
        "fuzz {}: {} cases, {} kept, {} places, {} kinds of answers, {} failures",
        target.name(),
        found.cases,
        found.kept,
        found.places,
        found.answers,
        found.failures.len()
    );
    found
}

const USAGE: &str = "usage: engine-fuzz [--seconds N] [--cases N] [--seed N] [--target NAME]… \
                     [--failures FOLDER]";

fn wanted(mut arguments: impl Iterator<Item = String>) -> Result<Wanted, String> {
    let mut wanted = Wanted {
        seconds: 10.0,
        cases: u64::MAX,
        seed: 1,
        targets: Vec::new(),
        failures: PathBuf::from("target/fuzz-failures"),
    };
    while let Some(flag) = arguments.next() {
        let value = arguments.next().ok_or(format!("{flag} wants a value"))?;
        let wrong = format!("{flag}: not a number: {value}");
        match flag.as_str() {
            "--seconds" => wanted.seconds = value.parse().map_err(|_| wrong)?,
            "--cases" => wanted.cases = value.parse().map_err(|_| wrong)?,
            "--seed" => wanted.seed = value.parse().map_err(|_| wrong)?,
            "--target" => wanted.targets.push(value),
            "--failures" => wanted.failures = PathBuf::from(value),
            _ => return Err(format!("no flag {flag}")),
        }
    }
    Ok(wanted)
}

fn hashed(bytes: &[u8]) -> u64 {
    let step = |sum: u64, byte: &u8| (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01B3);
    bytes.iter().fold(0xCBF2_9CE4_8422_2325, step)
}

/// Returns a JSON string.
fn text(words: &str) -> String {
    let mut out = String::from('"');
    for c in words.chars() {
        match c {
            '"' | '\\' => {
                out.push('\\');
                out.push(c);
            }
            c if c.is_control() => write!(out, "\\u{:04x}", u32::from(c)).unwrap_or_default(),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
