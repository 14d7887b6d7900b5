//! The line alone.
