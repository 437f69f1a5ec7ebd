//! Series: what is remembered of an area, in bounded memory.

pub mod anatomy;
pub mod histogram;
pub mod ladder;
pub mod life;
pub mod marks;
