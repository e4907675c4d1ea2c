//! The console of mqdeck: state in, frames out.
