//! What the kernel says about a process: memory, time, and what lies in its sockets.

use std::time::Duration;

use anyhow::{Context as _, Result};

/// Resident memory in bytes.
///
/// # Errors
/// There is no such process.
pub(crate) fn resident(pid: u32) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line
        .and_then(|line| line.split_whitespace().next())
        .context("VmRSS")?;
    Ok(kib.parse::<u64>()? * 1_024)
}

/// Processor time used so far.
///
/// # Errors
/// There is no such process.
pub(crate) fn used(pid: u32) -> Result<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name may hold anything, and ends with the last parenthesis.
    let (_, fields) = stat.rsplit_once(')').context("a process without a name")?;
    let fields: Vec<&str> = fields.split_whitespace().collect();
    let ticks = |n: usize| fields.get(n).and_then(|field| field.parse::<u64>().ok());
    let ticks = ticks(11).zip(ticks(12)).map(|(user, system)| user + system);
    let per_second = rustix::param::clock_ticks_per_second();
    Ok(Duration::from_secs_f64(
        ticks.context("times")? as f64 / per_second as f64,
    ))
}

/// Bytes that wait to be sent, of each connection that was made to a port of this machine.
///
/// # Errors
/// The table cannot be read.
pub(crate) fn send_queues(port: u16) -> Result<Vec<u64>> {
    let table = std::fs::read_to_string("/proc/net/tcp")?;
    Ok(table
        .lines()
        .skip(1)
        .filter_map(|line| queue_of(line, port))
        .collect())
}

/// The queue of an established connection whose own end is the port.
fn queue_of(line: &str, port: u16) -> Option<u64> {
    let mut fields = line.split_whitespace().skip(1);
    let (_, own) = fields.next()?.split_once(':')?;
    if u16::from_str_radix(own, 16).ok()? != port {
        return None;
    }
    // 0A is the listener.
    let state = fields.nth(1)?;
    let (unsent, _) = fields.next()?.split_once(':')?;
    (state != "0A").then(|| u64::from_str_radix(unsent, 16).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_is_understood() {
        let own = std::process::id();
        assert!(resident(own).expect("memory") > 100_000);
        assert!(used(own).expect("time") < Duration::from_secs(3_600));
        let line =
            "   1: 0100007F:1F90 0100007F:C350 01 000012FF:00000000 00:00000000 00000000     0        0 1 1";
        assert_eq!(queue_of(line, 8_080), Some(0x12FF));
        assert_eq!(queue_of(line, 8_081), None);
        assert_eq!(
            queue_of(&line.replace(" 01 ", " 0A "), 8_080),
            None,
            "the listener"
        );
    }
}
