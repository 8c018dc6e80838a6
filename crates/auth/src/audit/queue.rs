//! Records on their way to the disk: a bounded queue and one thread.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    },
    thread::JoinHandle,
    time::Duration,
};

use super::{AuditFile, AuditRecord, AuditSink};

/// Records written at a time.
const BATCH: usize = 256;
/// Pause between two batches. While the thread does not wait for a record, sending one wakes nobody: a request pays
/// for a place in the queue and not for a switch of threads.
const PAUSE: Duration = Duration::from_millis(10);

#[derive(Debug)]
enum Message {
    Record(Box<AuditRecord>),
    /// Everything before it is on disk when the answer comes.
    Flush(SyncSender<()>),
}

/// Writes records on a thread of its own. Dropping it writes what is queued.
///
/// A record that finds the queue full, or the disk refusing, is lost to the file; it is counted and logged, never
/// silently gone.
#[derive(Debug)]
pub struct QueuedAudit {
    sender: Option<SyncSender<Message>>,
    thread: Option<JoinHandle<()>>,
    lost: Arc<AtomicU64>,
}

impl QueuedAudit {
    /// Starts the thread; `capacity` records may wait.
    pub fn start(file: AuditFile, capacity: usize) -> io::Result<Self> {
        let (sender, receiver) = sync_channel(capacity.max(1));
        let lost = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&lost);
        let thread = std::thread::Builder::new()
            .name("audit-log".to_owned())
            .spawn(move || write_all(file, &receiver, &counter))?;
        Ok(Self {
            sender: Some(sender),
            thread: Some(thread),
            lost,
        })
    }

    /// Records that did not reach the file.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    /// Waits until everything recorded before is written. Blocks: for shutdown and tests.
    pub fn flush(&self) {
        let (done, wait) = sync_channel(1);
        if let Some(sender) = &self.sender
            && sender.send(Message::Flush(done)).is_ok()
        {
            // An error means that the thread is gone, and with it what there was to wait for.
            let _ = wait.recv();
        }
    }
}

impl AuditSink for QueuedAudit {
    fn record(&self, record: AuditRecord) {
        let Some(sender) = &self.sender else { return };
        let message = Message::Record(Box::new(record.bounded()));
        if let Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) = sender.try_send(message) {
            let lost = self.lost.fetch_add(1, Ordering::Relaxed) + 1;
            // Powers of two only: a full queue must not fill the log as well.
            if lost.is_power_of_two() {
                tracing::error!(
                    audit.lost = lost,
                    "audit queue is full, {lost} records lost so far"
                );
            }
        }
    }
}

impl Drop for QueuedAudit {
    fn drop(&mut self) {
        self.sender = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a thread of its own, none of the runtime's"
)]
fn write_all(mut file: AuditFile, receiver: &Receiver<Message>, lost: &AtomicU64) {
    let mut failing = false;
    while let Ok(first) = receiver.recv() {
        let mut batch = Vec::new();
        let mut flushes = Vec::new();
        for message in std::iter::once(first).chain(receiver.try_iter().take(BATCH - 1)) {
            match message {
                Message::Record(record) => batch.push(*record),
                Message::Flush(done) => flushes.push(done),
            }
        }
        match file.append(&batch) {
            Ok(()) => failing = false,
            Err(error) => {
                lost.fetch_add(batch.len() as u64, Ordering::Relaxed);
                if !failing {
                    tracing::error!(error = %error, "audit log cannot be written");
                }
                failing = true;
            }
        }
        let pause = flushes.is_empty() && batch.len() < BATCH;
        for done in flushes {
            let _ = done.send(());
        }
        if pause {
            std::thread::sleep(PAUSE);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use jiff::Timestamp;

    use super::*;

    fn record(n: usize) -> AuditRecord {
        AuditRecord {
            request_id: n.to_string(),
            ..AuditRecord::default()
        }
    }

    #[test]
    fn records_reach_the_file_in_order() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let path = dir.path().join("audit_log.jsonl");
        let audit = QueuedAudit::start(AuditFile::new(&path, 0, 10, || Timestamp::UNIX_EPOCH), 2_000)
            .expect("thread");
        for n in 0..1_000 {
            audit.record(record(n));
        }
        audit.flush();
        let lines = fs::read_to_string(&path).expect("read").lines().count();
        assert_eq!((lines, audit.lost()), (1_000, 0));
        audit.record(record(1_000));
        drop(audit);
        let text = fs::read_to_string(&path).expect("read");
        for (n, line) in text.lines().enumerate() {
            assert!(line.contains(&format!("\"request_id\":\"{n}\"")), "{line}");
        }
        assert_eq!(text.lines().count(), 1_001);
    }

    #[test]
    fn what_is_lost_is_counted() {
        let dir = tempfile::tempdir().expect("temporary directory");
        fs::write(dir.path().join("blocked"), "a file").expect("write");
        let path = dir.path().join("blocked/audit_log.jsonl");
        let audit =
            QueuedAudit::start(AuditFile::new(path, 0, 10, || Timestamp::UNIX_EPOCH), 8).expect("thread");
        audit.record(record(1));
        audit.record(record(2));
        audit.flush();
        assert_eq!(audit.lost(), 2);
    }

    #[test]
    fn a_full_queue_does_not_block() {
        // No thread reads this queue.
        let (sender, _receiver) = sync_channel(1);
        let audit = QueuedAudit {
            sender: Some(sender),
            thread: None,
            lost: Arc::default(),
        };
        for n in 0..5 {
            audit.record(record(n));
        }
        assert_eq!(audit.lost(), 4);
    }
}
