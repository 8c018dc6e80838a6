//! `healthcheck`: asks the process beside it, for containers without a shell.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    process::ExitCode,
    time::Duration,
};

use ag_config::Config;
use ag_outbound::{ClientOptions, OutboundPolicy};
use anyhow::{Context as _, bail};

/// Longer than the probe itself takes to give up on the database.
const LIMIT: Duration = Duration::from_secs(5);

/// Succeeds if the process of the same configuration is ready; without a metrics port, if its API answers.
pub(crate) async fn run(config: &Config) -> anyhow::Result<ExitCode> {
    let url = address(config)?;
    let http =
        ag_outbound::client(&OutboundPolicy::operator(), &ClientOptions::default()).context("HTTP client")?;
    let answer = http.get(&url).timeout(LIMIT).send().await;
    let status = answer.with_context(|| format!("{url} does not answer"))?.status();
    if !status.is_success() {
        bail!("{url} answers {status}");
    }
    Ok(ExitCode::SUCCESS)
}

fn address(config: &Config) -> anyhow::Result<String> {
    let telemetry = &config.telemetry;
    let (host, port, path) = match telemetry.metrics_port {
        Some(port) => (telemetry.metrics_addr.as_str(), port, "/health/ready"),
        None => (
            config.server.host.as_deref().unwrap_or("127.0.0.1"),
            config.server.port,
            "/api/health",
        ),
    };
    let ip = match host {
        "localhost" => IpAddr::V4(Ipv4Addr::LOCALHOST),
        host => host
            .trim_start_matches('[')
            .trim_end_matches(']')
            .parse()
            .with_context(|| format!("{host} is no address"))?,
    };
    // What listens everywhere listens here.
    let ip = match ip {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    Ok(format!("http://{}{path}", SocketAddr::new(ip, port)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        let cases = [
            (Some(9_464), "0.0.0.0", None, "http://127.0.0.1:9464/health/ready"),
            (Some(9_464), "10.0.0.7", None, "http://10.0.0.7:9464/health/ready"),
            (Some(9_464), "::", None, "http://[::1]:9464/health/ready"),
            (None, "127.0.0.1", None, "http://127.0.0.1:8080/api/health"),
            (
                None,
                "127.0.0.1",
                Some("0.0.0.0"),
                "http://127.0.0.1:8080/api/health",
            ),
            (
                None,
                "127.0.0.1",
                Some("localhost"),
                "http://127.0.0.1:8080/api/health",
            ),
        ];
        for (metrics_port, metrics_addr, host, expected) in cases {
            let mut config = Config::default();
            config.telemetry.metrics_port = metrics_port;
            config.telemetry.metrics_addr = metrics_addr.to_owned();
            config.server.host = host.map(str::to_owned);
            assert_eq!(address(&config).expect("an address"), expected);
        }
    }
}
