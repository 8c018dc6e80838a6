//! Client construction.

use std::time::Duration;

use reqwest::{Client, ClientBuilder, Method, RequestBuilder, redirect};
use url::Url;

use crate::policy::{OutboundError, OutboundPolicy, check_url};
use crate::resolver::GuardedResolver;
use crate::tls;

/// What differs between the users of outgoing HTTP.
#[derive(Clone, Debug)]
pub struct ClientOptions {
    /// TCP and TLS set-up together.
    pub connect_timeout: Duration,
    /// Whole exchange; `None` when each request sets its own.
    pub timeout: Option<Duration>,
    /// Silence between two reads of a body.
    pub read_timeout: Option<Duration>,
    /// Redirects followed; each target is checked. 0 hands the 3xx answer to the caller.
    pub max_redirects: usize,
    /// Idle connections kept per host. Model servers see hundreds of calls at once; a small pool would reconnect.
    pub pool_max_idle_per_host: usize,
    /// Sent as `User-Agent`.
    pub user_agent: Option<String>,
}

impl Default for ClientOptions {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(10),
            timeout: None,
            read_timeout: None,
            max_redirects: 0,
            pool_max_idle_per_host: 512,
            user_agent: None,
        }
    }
}

/// Builds a client whose resolver and redirects follow `policy`.
///
/// All clients share one TLS configuration; connections belong to a client: build one per policy and clone it. Address
/// literals do not pass through a resolver; call [`check_url`] before each request or use [`OutboundClient`].
/// Proxies of the environment are not used: the guard could not see through them.
///
/// # Errors
/// [`OutboundError::Build`] when TLS cannot be set up.
pub fn client(policy: &OutboundPolicy, opts: &ClientOptions) -> Result<Client, OutboundError> {
    // Fails only when a provider is installed already, which serves as well.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = match tls::shared() {
        Ok(config) => builder(policy, opts).tls_backend_preconfigured(config),
        Err(error) => {
            // A minimal container without root certificates can still talk to model servers over plain HTTP.
            tracing::warn!(%error, "no root certificates found, outgoing https connections will fail");
            builder(policy, opts).tls_certs_only([])
        }
    };
    builder.build().map_err(OutboundError::Build)
}

fn builder(policy: &OutboundPolicy, opts: &ClientOptions) -> ClientBuilder {
    let mut builder = Client::builder()
        .no_proxy()
        .tcp_nodelay(true)
        // A model call may be silent for an hour; a peer that died meanwhile must not hold it for two.
        .tcp_keepalive(Duration::from_secs(30))
        .tcp_keepalive_interval(Duration::from_secs(15))
        .http2_keep_alive_interval(Duration::from_secs(30))
        .http2_keep_alive_timeout(Duration::from_secs(20))
        .http2_adaptive_window(true)
        .connect_timeout(opts.connect_timeout)
        .pool_max_idle_per_host(opts.pool_max_idle_per_host)
        .pool_idle_timeout(Duration::from_secs(55))
        .referer(false)
        .dns_resolver(GuardedResolver::new(policy.clone()))
        .redirect(redirects(policy.clone(), opts.max_redirects));
    if let Some(timeout) = opts.timeout {
        builder = builder.timeout(timeout);
    }
    if let Some(timeout) = opts.read_timeout {
        builder = builder.read_timeout(timeout);
    }
    if let Some(agent) = &opts.user_agent {
        builder = builder.user_agent(agent);
    }
    builder
}

fn redirects(policy: OutboundPolicy, max: usize) -> redirect::Policy {
    if max == 0 {
        return redirect::Policy::none();
    }
    redirect::Policy::custom(move |attempt| {
        if attempt.previous().len() > max {
            return attempt.error("too many redirects");
        }
        match check_url(&policy, attempt.url()) {
            Ok(()) => attempt.follow(),
            Err(error) => attempt.error(error),
        }
    })
}

/// A client together with its policy: no request can skip the check.
#[derive(Clone, Debug)]
pub struct OutboundClient {
    policy: OutboundPolicy,
    client: Client,
}

/// Builds an [`OutboundClient`].
///
/// # Errors
/// As [`client`].
pub fn outbound_client(
    policy: OutboundPolicy,
    opts: &ClientOptions,
) -> Result<OutboundClient, OutboundError> {
    let client = client(&policy, opts)?;
    Ok(OutboundClient { policy, client })
}

impl OutboundClient {
    /// Starts a request after judging `url`.
    ///
    /// # Errors
    /// As [`check_url`].
    pub fn request(&self, method: Method, url: Url) -> Result<RequestBuilder, OutboundError> {
        check_url(&self.policy, &url)?;
        Ok(self.client.request(method, url))
    }

    /// The policy this client was built with.
    #[must_use]
    pub fn policy(&self) -> &OutboundPolicy {
        &self.policy
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;
    use crate::allowlist::Allowlist;

    /// Answers every connection with `reply`; counts them.
    async fn serve(reply: String) -> (u16, Arc<AtomicUsize>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
        let port = listener.local_addr().expect("address").port();
        let hits = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&hits);
        tokio::spawn(async move {
            while let Ok((mut socket, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                let mut buffer = [0_u8; 2048];
                let _ = socket.read(&mut buffer).await;
                let _ = socket.write_all(reply.as_bytes()).await;
            }
        });
        (port, hits)
    }

    fn chain(error: &dyn std::error::Error) -> String {
        let mut text = error.to_string();
        let mut source = error.source();
        while let Some(inner) = source {
            text = format!("{text}: {inner}");
            source = inner.source();
        }
        text
    }

    #[tokio::test]
    async fn resolved_private_address_is_refused_before_connecting() {
        let (port, hits) = serve("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok".to_owned()).await;
        let url = format!("http://localhost:{port}/");
        // The bare client: only the resolver stands in the way.
        let user = client(
            &OutboundPolicy::user(Allowlist::default()),
            &ClientOptions::default(),
        )
        .expect("client");
        let error = user.get(&url).send().await.expect_err("refused");
        assert!(
            chain(&error).contains("outbound address not allowed: localhost"),
            "{}",
            chain(&error)
        );
        assert_eq!(hits.load(Ordering::SeqCst), 0);

        let operator = client(&OutboundPolicy::operator(), &ClientOptions::default()).expect("client");
        assert_eq!(operator.get(&url).send().await.expect("answer").status(), 200);
    }

    #[tokio::test]
    async fn redirect_to_a_refused_address_is_not_followed() {
        let (port, _) = serve(
            "HTTP/1.1 302 Found\r\nlocation: http://169.254.169.254/latest\r\ncontent-length: 0\r\n\r\n"
                .to_owned(),
        )
        .await;
        let opts = ClientOptions {
            max_redirects: 5,
            ..ClientOptions::default()
        };
        let client = outbound_client(OutboundPolicy::operator(), &opts).expect("client");
        let url = Url::parse(&format!("http://127.0.0.1:{port}/")).expect("url");
        let error = client
            .request(Method::GET, url)
            .expect("allowed")
            .send()
            .await
            .expect_err("refused");
        assert!(
            chain(&error).contains("outbound address not allowed: 169.254.169.254"),
            "{}",
            chain(&error)
        );
    }
}
