//! Act: what changes something, or starts a program. Nothing here happens unless the configuration asks for it.

pub mod signal;
pub mod spawn;
