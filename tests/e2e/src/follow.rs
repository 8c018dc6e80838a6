//! A client that follows a run over as many connections and nodes as it takes.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use serde_json::Value;

use crate::{Api, client::Refused};

/// Pause before a connection is tried again.
const PAUSE: Duration = Duration::from_millis(100);

/// How a client names the cursor it goes on from.
#[derive(Debug, Clone, Copy)]
pub enum Resume {
    /// `after`.
    After,
    /// `Last-Event-ID`.
    LastEventId,
    /// A stale `after` beside a newer header: the larger wins.
    Both,
}

/// What a client received.
#[derive(Debug, Default)]
pub struct Followed {
    /// Records in the order in which they came, over all connections.
    pub records: Vec<Value>,
    /// Connections that were opened.
    pub connections: usize,
}

/// A client's manners.
#[derive(Debug, Clone, Copy)]
pub struct Reader {
    /// How it names its cursor.
    pub resume: Resume,
    /// It leaves after this many records and goes on at the next node.
    pub burst: usize,
    /// Whether it comes back after a broken connection or a 503.
    pub patient: bool,
    /// Time for all of it.
    pub limit: Duration,
}

impl Reader {
    /// Reads a run to its `done`, one node after the other.
    ///
    /// # Errors
    /// A gap, a repetition, something after `done`, no `done` in time.
    pub async fn follow(self, nodes: &[Api], run: &str) -> Result<Followed> {
        self.go_on(nodes, run, Vec::new()).await
    }

    /// The same after the first records, which came over other connections.
    ///
    /// # Errors
    /// As [`Reader::follow`].
    pub async fn go_on(self, nodes: &[Api], run: &str, records: Vec<Value>) -> Result<Followed> {
        let mut followed = Followed {
            records,
            connections: 0,
        };
        let end = Instant::now() + self.limit;
        let mut turns = nodes.iter().cycle();
        while Instant::now() < end {
            let Some(api) = turns.next() else { break };
            followed.connections += 1;
            match self.one_connection(api, run, &mut followed.records).await {
                Ok(true) => return Ok(followed),
                Ok(false) => {}
                Err(error) if self.patient && is_passing(&error) => tokio::time::sleep(PAUSE).await,
                Err(error) => return Err(error),
            }
        }
        anyhow::bail!(
            "run {run}: no done within {:?}, {} records over {} connections",
            self.limit,
            followed.records.len(),
            followed.connections
        )
    }

    /// True at `done`, false when the connection ended before.
    async fn one_connection(self, api: &Api, run: &str, records: &mut Vec<Value>) -> Result<bool> {
        let (after, header) = match self.resume {
            Resume::After => (records.len(), None),
            Resume::LastEventId => (0, Some(records.len())),
            Resume::Both => (records.len() / 2, Some(records.len())),
        };
        let mut stream = api.stream(run, after, header).await?;
        let mut received = 0;
        while let Some(event) = stream.next().await? {
            let data: Value = serde_json::from_str(&event.data)?;
            if event.name == "done" {
                let count = records.len();
                ensure!(
                    data["cursor"] == count,
                    "run {run}: done at {data}, {count} records"
                );
                ensure!(
                    stream.next().await?.is_none(),
                    "run {run}: something came after done"
                );
                return Ok(true);
            }
            let cursor = records.len() + 1;
            ensure!(event.name == "step", "run {run}: an event {event:?}");
            ensure!(
                event.id == Some(cursor.to_string()) && data["cursor"] == cursor,
                "run {run}: expected {cursor}, got {:?} {data}",
                event.id
            );
            records.push(data["record"].clone());
            received += 1;
            if received == self.burst {
                break;
            }
        }
        Ok(false)
    }
}

fn is_passing(error: &anyhow::Error) -> bool {
    Refused::is_unavailable(error) || error.downcast_ref::<reqwest::Error>().is_some()
}
