//! The machine's own limits: bare loops that do what the fleet does, with nothing around it.

pub mod celery;
pub mod inference;
pub mod publishing;
pub mod recording;
pub mod stock;
pub mod tagging;
