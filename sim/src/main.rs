//! `tickiz-sim`: starts the simulators, says on standard output as one line of JSON where they listen, and runs until it is
//! interrupted.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::Parser;
use tickiz_sim::Settings;

/// Simulated payment gateways, for tests and development.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Where to listen; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Where a gateway's webhooks go, `gateway=URL`; may be given once for each gateway.
    #[arg(long = "webhooks-to", value_name = "GATEWAY=URL")]
    webhooks_to: Vec<String>,
    /// A JSON file with the gateways' keys; without it the published test keys are used.
    #[arg(long, env = "TICKIZ_SIM_SECRETS_FILE")]
    secrets: Option<PathBuf>,
    /// The same as JSON text.
    #[arg(long, env = "TICKIZ_SIM_SECRETS", hide_env_values = true, conflicts_with = "secrets")]
    secrets_json: Option<String>,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let text = match (&arguments.secrets, arguments.secrets_json) {
        (Some(path), _) => std::fs::read_to_string(path).with_context(|| format!("secrets file {}", path.display()))?,
        (None, Some(text)) => text,
        (None, None) => "{}".into(),
    };
    let mut settings: Settings = serde_json::from_str(&text).context("secrets")?;
    for target in &arguments.webhooks_to {
        settings.send_webhooks(target)?;
    }
    let running = tickiz_sim::start(arguments.listen, settings).await?;
    println!("{}", running.describe());
    tokio::signal::ctrl_c().await?;
    running.stop().await;
    Ok(())
}
