//! mqdeck: a RocketMQ-compatible broker and name server with a terminal console over them.

fn main() {}
