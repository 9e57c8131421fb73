//! Defences: against the reference's transforms, against other programs, and by their definitions.

mod definitions;
mod others;
mod reference;
mod registry;
