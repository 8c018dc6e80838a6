//! What flows may learn of the machine: its time zone.

/// The machine's time zone; UTC when it cannot be told.
pub fn system_zone() -> jiff::tz::TimeZone {
    jiff::tz::TimeZone::system()
}
