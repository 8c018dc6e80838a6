//! Telling somebody how far it is.

/// Hears of the import; called from worker threads, seldom enough to print.
pub trait Progress: Send + Sync {
    /// A phase begins; `total` in `unit`, 0 when unknown.
    fn begin(&self, phase: &str, total: u64, unit: &'static str);
    /// So much of the phase is done.
    fn advance(&self, done: u64);
    /// The phase has ended.
    fn end(&self);
}

/// Tells nobody.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Progress for Silent {
    fn begin(&self, _: &str, _: u64, _: &'static str) {}
    fn advance(&self, _: u64) {}
    fn end(&self) {}
}
