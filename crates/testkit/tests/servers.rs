//! Scratch servers come, go, come back, and leave nothing behind.

use ag_testkit::{ScratchNats, ScratchRedis};
use tokio::net::TcpStream;

async fn answers(url: &str) -> bool {
    let (_, address) = url.split_once("://").expect("a URL");
    TcpStream::connect(address).await.is_ok()
}

#[tokio::test]
async fn a_nats_server_can_be_killed_and_restarted() {
    let Some(mut server) = ScratchNats::start().await else {
        return;
    };
    let (url, first) = (server.url(), server.pid());
    assert!(answers(&url).await);
    server.kill();
    assert!(!answers(&url).await);
    assert_eq!(server.pid(), None);
    server.wipe();
    server.restart().await;
    assert!(answers(&url).await);
    assert_ne!(server.pid(), first);
    drop(server);
    assert!(!answers(&url).await);
}

#[tokio::test]
async fn a_redis_server_can_be_killed_and_restarted() {
    let Some(mut server) = ScratchRedis::start().await else {
        return;
    };
    let url = server.url();
    assert_eq!(server.command("SET a 1").await, "+OK\r\n");
    server.restart().await;
    assert_eq!(server.url(), url);
    assert_eq!(
        server.command("GET a").await,
        "$-1\r\n",
        "a restarted one is empty"
    );
    server.kill();
    assert!(!answers(&url).await);
}

#[tokio::test]
async fn a_server_ends_in_order_when_asked() {
    let Some(mut server) = ScratchRedis::start().await else {
        return;
    };
    server.stop().await;
    assert_eq!(server.pid(), None);
    assert!(!answers(&server.url()).await);
    server.restart().await;
    assert!(answers(&server.url()).await);
}
