//! A few thousand damaged inputs for each target, and every input that ever failed.
#![allow(clippy::unwrap_used, clippy::panic)]

use engine_fuzz::fuzz::{check, fuzz};
use engine_fuzz::targets::all;
use std::path::Path;
use std::time::Duration;

#[test]
fn damaged_inputs_of_every_kind_break_no_promise() {
    for target in all() {
        let found = fuzz(target.as_ref(), Duration::from_secs(2), 1500, 1);
        assert!(found.failures.is_empty(), "{:?}", found.failures);
        assert!(
            found.answers > 1,
            "{}: everything is answered alike",
            target.name()
        );
    }
}

#[test]
fn inputs_that_once_failed_do_not_fail_again() {
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("regressions");
    for target in all() {
        let Ok(files) = kept.join(target.name()).read_dir() else {
            continue;
        };
        for file in files {
            let path = file.unwrap().path();
            let input = std::fs::read(&path).unwrap();
            if let Err(what) = check(target.as_ref(), &input) {
                panic!("{}: {what}", path.display());
            }
        }
    }
}
