//! A TCP proxy that can misbehave, between a process and what it depends on.

mod connection;

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    sync::watch,
    task::{JoinHandle, JoinSet},
};

/// What happens to traffic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Nothing: bytes pass as they come.
    Pass,
    /// Bytes pass this much later, in each direction.
    Latency(Duration),
    /// Connections stay open and are accepted, but nothing passes: a partition. What is sent meanwhile arrives when
    /// it ends.
    Blackhole,
    /// The same in one direction.
    HalfOpen(Direction),
    /// Connections are reset, new ones as soon as they are accepted.
    Reset,
    /// Connections are reset and nobody listens.
    Refuse,
}

/// A direction of traffic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From the client.
    ToServer,
    /// From the server.
    ToClient,
}

impl Fault {
    fn holds(self, direction: Direction) -> bool {
        match self {
            Self::Blackhole => true,
            Self::HalfOpen(held) => held == direction,
            Self::Pass | Self::Latency(_) | Self::Reset | Self::Refuse => false,
        }
    }

    fn latency(self) -> Duration {
        match self {
            Self::Latency(latency) => latency,
            _ => Duration::ZERO,
        }
    }

    fn ends_connections(self) -> bool {
        matches!(self, Self::Reset | Self::Refuse)
    }
}

#[derive(Debug, Clone)]
struct State {
    fault: Fault,
    /// Ports that get new connections in turn.
    targets: Arc<[u16]>,
    /// Connections of an earlier generation end.
    generation: u64,
    shears: Shears,
}

/// Connections that are older than the latest ones are cut after some more bytes.
#[derive(Debug, Clone, Copy)]
struct Shears {
    number: u64,
    direction: Direction,
    bytes: usize,
}

/// A proxy on a free port of the loopback interface. Its connections end with it.
#[derive(Debug)]
pub struct FaultProxy {
    address: SocketAddr,
    state: watch::Sender<State>,
    clients: Clients,
    accepting: JoinHandle<()>,
}

/// Connections that their clients have not ended.
type Clients = Arc<AtomicUsize>;

impl FaultProxy {
    /// Stands before a port of the loopback interface.
    ///
    /// # Errors
    /// No port can be bound.
    pub async fn start(target: u16) -> io::Result<Self> {
        Self::start_balanced(vec![target]).await
    }

    /// Stands before several ports, which get new connections in turn.
    ///
    /// # Errors
    /// No port can be bound.
    pub async fn start_balanced(targets: Vec<u16>) -> io::Result<Self> {
        let listener = listen(SocketAddr::from(([127, 0, 0, 1], crate::guard::port())))?;
        let address = listener.local_addr()?;
        let initial = State {
            fault: Fault::Pass,
            targets: targets.into(),
            generation: 0,
            shears: Shears {
                number: 0,
                direction: Direction::ToClient,
                bytes: 0,
            },
        };
        let (state, changes) = watch::channel(initial);
        let clients = Clients::default();
        let accepting = Accepting {
            address,
            changes,
            clients: clients.clone(),
        };
        Ok(Self {
            address,
            state,
            clients,
            accepting: tokio::spawn(accepting.run(listener)),
        })
    }

    /// Port for clients.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Connections that their clients have not ended.
    #[must_use]
    pub fn clients(&self) -> usize {
        self.clients.load(Ordering::SeqCst)
    }

    /// From now on traffic fares like this.
    pub fn set(&self, fault: Fault) {
        self.state.send_modify(|state| {
            state.fault = fault;
            state.generation += u64::from(fault.ends_connections());
        });
    }

    /// New connections go to this port from now on; open ones stay where they are.
    pub fn lead_to(&self, target: u16) {
        self.state.send_modify(|state| state.targets = Arc::new([target]));
    }

    /// Resets the open connections, once; new ones are as before.
    pub fn cut(&self) {
        self.state.send_modify(|state| state.generation += 1);
    }

    /// Each connection that is open now passes this many more bytes in a direction and is then reset, in the middle of
    /// a message if that is where they end; new ones are as before. With 0, the next byte ends a connection.
    pub fn cut_after(&self, direction: Direction, bytes: usize) {
        self.state.send_modify(|state| {
            state.shears = Shears {
                number: state.shears.number + 1,
                direction,
                bytes,
            };
        });
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// Binds also while connections of an earlier listener linger.
fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(1_024)
}

struct Accepting {
    address: SocketAddr,
    changes: watch::Receiver<State>,
    clients: Clients,
}

impl Accepting {
    async fn run(mut self, first: TcpListener) {
        let mut listener = Some(first);
        // Aborted with this task.
        let mut connections = JoinSet::new();
        let mut turn = 0;
        loop {
            let state = self.changes.borrow_and_update().clone();
            if state.fault == Fault::Refuse {
                listener = None;
            } else if listener.is_none() {
                listener = listen(self.address).ok();
            }
            tokio::select! {
                stream = incoming(listener.as_ref()) => match stream {
                    Ok(stream) if state.fault.ends_connections() => reset(stream),
                    Ok(stream) => {
                        let Some(&target) = state.targets.get(turn % state.targets.len().max(1)) else {
                            return;
                        };
                        turn += 1;
                        let connection = connection::Connection {
                            target: SocketAddr::from(([127, 0, 0, 1], target)),
                            generation: state.generation,
                            shears: state.shears.number,
                            changes: self.changes.clone(),
                            client: connection::OpenClient::new(&self.clients),
                        };
                        connections.spawn(connection.serve(stream));
                    }
                    Err(_) => {}
                },
                changed = self.changes.changed() => if changed.is_err() { return },
                Some(_) = connections.join_next() => {}
            }
        }
    }
}

async fn incoming(listener: Option<&TcpListener>) -> io::Result<TcpStream> {
    match listener {
        Some(listener) => listener.accept().await.map(|(stream, _)| stream),
        None => {
            // Nobody listens on purpose, or the port is taken for a moment.
            tokio::time::sleep(Duration::from_millis(50)).await;
            Err(io::ErrorKind::NotConnected.into())
        }
    }
}

/// Ends a connection at once, without the usual farewell.
fn reset(stream: TcpStream) {
    // Without it the connection is closed in the usual way.
    let _ = stream.set_zero_linger();
    drop(stream);
}
