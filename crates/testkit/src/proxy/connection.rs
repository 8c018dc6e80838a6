//! One connection through the proxy.

use std::{net::SocketAddr, sync::atomic::Ordering, time::Duration};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpStream,
        tcp::{ReadHalf, WriteHalf},
    },
    sync::{Notify, mpsc, watch},
    time::{Instant, sleep_until},
};

use super::{Clients, Direction, State, reset};

const CHUNK: usize = 16 * 1024;
/// Pieces under way in one direction; then the sender has to wait, as for a full network.
const UNDER_WAY: usize = 64;

type Changes = watch::Receiver<State>;

pub(super) struct Connection {
    pub(super) target: SocketAddr,
    pub(super) generation: u64,
    /// The last shears that do not concern it.
    pub(super) shears: u64,
    pub(super) changes: Changes,
    pub(super) client: OpenClient,
}

/// Counts a client until it ends its side.
pub(super) struct OpenClient(Clients);

impl OpenClient {
    pub(super) fn new(clients: &Clients) -> Self {
        clients.fetch_add(1, Ordering::SeqCst);
        Self(clients.clone())
    }
}

impl Drop for OpenClient {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Connection {
    pub(super) async fn serve(self, mut client: TcpStream) {
        let changes = &self.changes;
        // A partition holds the first packet too.
        passes(changes, Direction::ToServer).await;
        let Ok(mut server) = TcpStream::connect(self.target).await else {
            return reset(client);
        };
        // Small requests and their answers must not wait for each other.
        let _ = client.set_nodelay(true).and_then(|()| server.set_nodelay(true));
        {
            let (client_in, client_out) = client.split();
            let (server_in, server_out) = server.split();
            let open = self.client;
            let sheared = Notify::new();
            let pump_of = |direction| Pump {
                direction,
                changes,
                blades: Blades::new(self.shears, direction),
                sheared: &sheared,
            };
            let to_server = pump_of(Direction::ToServer).run(client_in, server_out, || drop(open));
            let to_client = pump_of(Direction::ToClient).run(server_in, client_out, || ());
            tokio::select! {
                ((), ()) = async { tokio::join!(to_server, to_client) } => return,
                () = cut(self.generation, changes.clone()) => {}
                () = sheared.notified() => {}
            }
        }
        reset(client);
        reset(server);
    }
}

/// What still passes before a connection is cut.
struct Blades {
    direction: Direction,
    /// The last shears it knows.
    number: u64,
    left: Option<usize>,
}

impl Blades {
    fn new(number: u64, direction: Direction) -> Self {
        Self {
            direction,
            number,
            left: None,
        }
    }

    /// How much of a piece passes.
    fn allow(&mut self, changes: &Changes, piece: usize) -> usize {
        let shears = changes.borrow().shears;
        if shears.number != self.number {
            self.number = shears.number;
            self.left = (shears.direction == self.direction).then_some(shears.bytes);
        }
        match &mut self.left {
            None => piece,
            Some(left) => {
                let passes = piece.min(*left);
                *left -= passes;
                passes
            }
        }
    }
}

/// One direction of a connection.
struct Pump<'a> {
    direction: Direction,
    changes: &'a Changes,
    blades: Blades,
    /// Told when the connection is to be cut.
    sheared: &'a Notify,
}

impl Pump<'_> {
    /// Carries bytes until the end of file, which `ended` hears of at once.
    async fn run(self, mut from: ReadHalf<'_>, mut to: WriteHalf<'_>, ended: impl FnOnce()) {
        let (direction, changes) = (self.direction, self.changes);
        let (sender, mut under_way) = mpsc::channel::<(Instant, Vec<u8>)>(UNDER_WAY);
        let read = async {
            let mut buffer = vec![0; CHUNK];
            loop {
                let n = from.read(&mut buffer).await.unwrap_or(0);
                let due = Instant::now() + latency(changes);
                if n == 0 {
                    break;
                }
                // Read on where the other side takes nothing any more: this one has not ended.
                let _ = sender.send((due, buffer[..n].to_vec())).await;
            }
            drop(sender);
            ended();
        };
        // Takes the queue with it, so that the reader does not wait where nobody takes what it reads.
        let (mut blades, sheared) = (self.blades, self.sheared);
        let write = async move {
            while let Some((due, piece)) = under_way.recv().await {
                sleep_until(due).await;
                passes(changes, direction).await;
                let allowed = blades.allow(changes, piece.len());
                if to.write_all(&piece[..allowed]).await.is_err() {
                    return;
                }
                if allowed < piece.len() {
                    sheared.notify_one();
                    return;
                }
            }
            passes(changes, direction).await;
            // The other side may be gone already.
            let _ = to.shutdown().await;
        };
        tokio::join!(read, write);
    }
}

fn latency(changes: &Changes) -> Duration {
    changes.borrow().fault.latency()
}

/// Returns when nothing holds this direction up.
async fn passes(changes: &Changes, direction: Direction) {
    // Fails only if the proxy is gone, and its connections with it.
    let _ = changes
        .clone()
        .wait_for(|state| !state.fault.holds(direction))
        .await;
}

async fn cut(generation: u64, mut changes: Changes) {
    let _ = changes.wait_for(|state| state.generation > generation).await;
}
