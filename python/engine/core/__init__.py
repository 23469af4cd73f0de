"""The one door to Rust: books, frames and forecasts as Python sees them."""
