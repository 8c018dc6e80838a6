//! The gateway under test, in either of its two forms, behind one door: workloads that run against both are written once.

use std::path::Path;

use anyhow::{Result, bail};

use crate::{
    cli::Options,
    client::Conn,
    cluster::{Cluster, Shape},
    process::{self, Cpu},
    server::Server,
};

/// One process with SQLite, or a cluster.
pub(crate) enum Gateway {
    Embedded(Box<Server>),
    Cluster(Box<Cluster>),
}

impl Gateway {
    /// A running gateway with the flows installed.
    ///
    /// # Errors
    /// It does not come up or refuses the flows.
    pub(crate) async fn running(options: &Options) -> Result<Self> {
        Self::shaped(options, Shape::of(options), &[]).await
    }

    /// The same with so many nodes, if it is a cluster, and more environment.
    ///
    /// # Errors
    /// As [`Gateway::running`].
    pub(crate) async fn shaped(options: &Options, shape: Shape, env: &[(&str, String)]) -> Result<Self> {
        Ok(match options.cluster {
            true => Self::Cluster(Box::new(Cluster::running(options, shape, env).await?)),
            false => Self::Embedded(Box::new(Server::running(options, env).await?)),
        })
    }

    /// The processes of a cluster, for scenarios that are about them.
    ///
    /// # Errors
    /// It is none.
    pub(crate) fn cluster(&mut self) -> Result<&mut Cluster> {
        match self {
            Self::Cluster(cluster) => Ok(cluster),
            Self::Embedded(_) => bail!("the embedded gateway has no nodes"),
        }
    }

    /// The process of an embedded gateway, for scenarios that are about it.
    ///
    /// # Errors
    /// It is a cluster.
    pub(crate) fn embedded(&mut self) -> Result<&mut Server> {
        match self {
            Self::Embedded(server) => Ok(server),
            Self::Cluster(_) => bail!("a cluster is not one process"),
        }
    }

    /// A fresh connection; those to a cluster go to its nodes in turn.
    pub(crate) fn conn(&self) -> Conn {
        match self {
            Self::Embedded(server) => server.conn(),
            Self::Cluster(cluster) => cluster.conn(),
        }
    }

    /// A folder on the disk that is measured.
    pub(crate) fn home(&self) -> &Path {
        match self {
            Self::Embedded(server) => server.home(),
            Self::Cluster(cluster) => cluster.home(),
        }
    }

    /// CPU time so far.
    ///
    /// # Errors
    /// A process is gone.
    pub(crate) fn cpu(&self) -> Result<Cpu> {
        match self {
            Self::Embedded(server) => {
                let mut cpu = Cpu::default();
                cpu.add("gateway", process::cpu(server.pid()?)?);
                Ok(cpu)
            }
            Self::Cluster(cluster) => cluster.cpu(),
        }
    }

    /// Memory of each of the gateway's own processes, in MiB.
    ///
    /// # Errors
    /// One is gone.
    pub(crate) fn memory(&self) -> Result<Vec<f64>> {
        match self {
            Self::Embedded(server) => Ok(vec![process::pss_mib(server.pid()?)?]),
            Self::Cluster(cluster) => cluster.memory(),
        }
    }

    /// Memory of all of them.
    ///
    /// # Errors
    /// One is gone.
    pub(crate) fn pss_mib(&self) -> Result<f64> {
        Ok(self.memory()?.iter().sum())
    }

    /// Makes copies of a run behind the gateway's back, which is how a store comes to a million runs in a minute. The
    /// embedded process is started again.
    ///
    /// # Errors
    /// The database refuses.
    pub(crate) async fn multiply(&mut self, run: &str, count: usize) -> Result<()> {
        match self {
            Self::Embedded(server) => server.multiply(run, count).await,
            Self::Cluster(cluster) => cluster.multiply(run, count).await,
        }
    }
}
