//! A shell process with its children.

use std::io;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::Command;
use tokio::time::timeout;

/// Bytes kept of each stream; the rest is read and dropped, so that the command is not blocked by a full pipe.
const MAX_STREAM_BYTES: usize = 1024 * 1024;
/// How long output is read after the shell ended: a background child may hold the pipe for ever.
const DRAIN: Duration = Duration::from_millis(500);

pub(super) struct Request<'a> {
    pub(super) command: &'a str,
    pub(super) directory: &'a Path,
    pub(super) environment: &'a [(String, String)],
    pub(super) capture: bool,
    pub(super) timeout: Duration,
}

#[derive(Debug, Default)]
pub(super) struct Captured {
    pub(super) text: String,
    pub(super) truncated: bool,
}

#[derive(Debug)]
pub(super) struct Finished {
    /// `None` when a signal ended it.
    pub(super) code: Option<i32>,
    pub(super) timed_out: bool,
    pub(super) duration: Duration,
    pub(super) stdout: Captured,
    pub(super) stderr: Captured,
}

/// Kills the shell's process group unless it was disarmed. It is also what ends the children when the call is
/// abandoned: the future is dropped, and this with it.
struct Group(Option<Pid>);

impl Group {
    fn kill(&mut self) {
        if let Some(pid) = self.0.take() {
            // Fails only when no member is left.
            let _ = kill_process_group(pid, Signal::KILL);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
    }
}

pub(super) async fn run(request: &Request<'_>) -> io::Result<Finished> {
    let output = || {
        if request.capture {
            Stdio::piped()
        } else {
            Stdio::null()
        }
    };
    let started = Instant::now();
    let mut child = Command::new("/bin/sh")
        .arg("-c")
        .arg(request.command)
        .current_dir(request.directory)
        .env_clear()
        .envs(request.environment.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .stdout(output())
        .stderr(output())
        // A group of its own, so that the whole family can be ended.
        .process_group(0)
        .kill_on_drop(true)
        .spawn()?;
    let pid = child
        .id()
        .and_then(|id| i32::try_from(id).ok())
        .and_then(Pid::from_raw);
    let mut group = Group(pid);
    let mut streams = Streams {
        stdout: Buffer::default(),
        stderr: Buffer::default(),
    };
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let mut reading = Box::pin(async {
        tokio::join!(
            read(stdout, &mut streams.stdout),
            read(stderr, &mut streams.stderr)
        );
    });
    let mut closed = false;
    let mut exit = None;
    let timed_out = timeout(request.timeout, async {
        loop {
            tokio::select! {
                status = child.wait() => {
                    exit = Some(status);
                    break;
                }
                () = &mut reading, if !closed => closed = true,
            }
        }
    })
    .await
    .is_err();
    let status = match exit {
        Some(status) => status?,
        None => {
            group.kill();
            child.wait().await?
        }
    };
    if !closed {
        // What is left in the pipes; who still holds them afterwards is ended.
        if timeout(DRAIN, &mut reading).await.is_err() {
            group.kill();
        }
    }
    drop(reading);
    // The pipes are closed: whoever is left redirected its output and was started to stay. The group id may be reused
    // from here on, so it is not touched again.
    group.0 = None;
    Ok(Finished {
        code: status.code(),
        timed_out,
        duration: started.elapsed(),
        stdout: streams.stdout.finish(),
        stderr: streams.stderr.finish(),
    })
}

struct Streams {
    stdout: Buffer,
    stderr: Buffer,
}

#[derive(Default)]
struct Buffer {
    bytes: Vec<u8>,
    truncated: bool,
}

impl Buffer {
    fn finish(self) -> Captured {
        Captured {
            text: String::from_utf8_lossy(&self.bytes).into_owned(),
            truncated: self.truncated,
        }
    }
}

async fn read(stream: Option<impl AsyncRead + Unpin>, buffer: &mut Buffer) {
    let Some(mut stream) = stream else { return };
    let mut chunk = vec![0_u8; 16 * 1024];
    while let Ok(count) = stream.read(&mut chunk).await {
        if count == 0 {
            return;
        }
        let room = MAX_STREAM_BYTES - buffer.bytes.len();
        buffer.truncated |= count > room;
        buffer.bytes.extend_from_slice(&chunk[..count.min(room)]);
    }
}
