//! What is fuzzed: each target knows good inputs, how to seal a damaged one, and what must hold.

use engine_core::book::Book;

pub mod definitions;
pub mod frame;
pub mod planner;
pub mod snapshot;
pub mod story;

/// Something that reads bytes.
pub trait Target {
    /// Returns its name.
    fn name(&self) -> &'static str;

    /// Returns inputs that are good, the more different the better.
    fn seeds(&self) -> Vec<Vec<u8>>;

    /// Returns the most bytes that are tried.
    fn longest(&self) -> usize {
        8192
    }

    /// Returns numbers that mean something in its inputs.
    fn words(&self) -> Vec<u64> {
        Vec::new()
    }

    /// Writes lengths, magic and checksum anew, so that the rest is looked at.
    fn repair(&self, _input: &mut Vec<u8>) {}

    /// Reads an input; returns what kind of answer came, without numbers.
    ///
    /// # Errors
    /// The property that does not hold.
    fn run(&self, input: &[u8]) -> Result<String, String>;
}

/// Returns all targets.
#[must_use]
pub fn all() -> Vec<Box<dyn Target>> {
    vec![
        Box::new(frame::Frames::new()),
        Box::new(snapshot::Snapshots::new()),
        Box::new(definitions::Definitions::new()),
        Box::new(definitions::Shares::new()),
        Box::new(story::Stories),
        Box::new(planner::Planners::new()),
        Box::new(planner::Histories),
    ]
}

/// Returns what an answer says, but not what was found: answers of one kind look alike.
#[must_use]
pub fn kind(said: &impl std::fmt::Display) -> String {
    let said = said.to_string();
    let said = said.split(", was").next().unwrap_or_default();
    let words = said
        .split(' ')
        .filter(|word| !word.contains(|c: char| c.is_ascii_digit()));
    words.collect::<Vec<_>>().join(" ")
}

/// Requires a property.
///
/// # Errors
/// `what` where it does not hold.
pub fn holds(is_so: bool, what: &str) -> Result<(), String> {
    if is_so { Ok(()) } else { Err(what.to_string()) }
}

/// Requires what holds of every book: its parts add up, and it is what a snapshot of it restores.
///
/// # Errors
/// What does not hold.
pub fn sound(book: &Book) -> Result<(), String> {
    book.verify()
        .map_err(|error| format!("the book does not verify: {}", kind(&error)))?;
    let saved = book.snapshot();
    let again = Book::restore(&saved)
        .map_err(|error| format!("its own snapshot is refused: {}", kind(&error)))?;
    holds(again.snapshot() == saved, "a restored book is another one")
}
