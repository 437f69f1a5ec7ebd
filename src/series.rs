//! Series: what is remembered of an area, in bounded memory.

pub mod ladder;
pub mod life;
