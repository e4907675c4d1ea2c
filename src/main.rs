//! mqdeck: a RocketMQ-compatible broker and name server with a terminal console over them.

#[allow(clippy::print_stdout)]
fn main() -> anyhow::Result<()> {
    let args: Vec<String> = std::env::args().collect();
    let mut config = engine::config::EngineConfig {
        data_dir: args[1].clone().into(),
        listen: "127.0.0.1".parse()?,
        advertise: "127.0.0.1".parse()?,
        broker: engine::config::BrokerConfig::default(),
        namesrv: engine::config::NamesrvConfig::default(),
        net_threads: None,
    };
    config.namesrv.listen_port = args[2].parse()?;
    config.broker.listen_port = args[3].parse()?;
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let engine = engine::engine::Engine::start(config)?;
    println!("ready namesrv={} broker={}", engine.namesrv_addr(), engine.broker_addr());
    let rt = tokio::runtime::Runtime::new()?;
    rt.block_on(tokio::signal::ctrl_c())?;
    engine.stop()?;
    Ok(())
}
