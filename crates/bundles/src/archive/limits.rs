//! Size limits of a bundle file.

/// Hard limits applied while a bundle is read. All sizes are bytes.
///
/// The defaults accept every bundle an editor produces with an order of magnitude to spare, and bound
/// what a refused file can cost to a buffer and a fraction of a second.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The uploaded file (`MAX_BUNDLE_BYTES`).
    pub max_archive_bytes: u64,
    /// Entries of the archive, directories included. At most 65,534: zip64 is not read.
    pub max_entries: usize,
    /// Length of one entry name.
    pub max_name_bytes: usize,
    /// Inflated size of one entry.
    pub max_entry_bytes: u64,
    /// Sum of all inflated sizes.
    pub max_total_bytes: u64,
    /// Largest inflated : compressed ratio, for one entry and for the file.
    pub max_ratio: u64,
    /// Entries and archives that inflate to less than this are not judged by ratio: short repetitive
    /// JSON is legitimate and cheap.
    pub ratio_floor_bytes: u64,
    /// `manifest.json`.
    pub max_manifest_bytes: u64,
    /// One flow document.
    pub max_flow_bytes: u64,
    /// All flow documents of a bundle.
    pub max_flows_bytes: u64,
    /// JSON values in one document; bounds the memory a parsed document can take, which is many times
    /// its text for `[[],[],…]`.
    pub max_json_values: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_archive_bytes: 78_643_200,
            max_entries: 4096,
            max_name_bytes: 512,
            max_entry_bytes: 80 << 20,
            max_total_bytes: 128 << 20,
            max_ratio: 100,
            ratio_floor_bytes: 1 << 20,
            max_manifest_bytes: 1 << 20,
            max_flow_bytes: 8 << 20,
            max_flows_bytes: 64 << 20,
            max_json_values: 1_000_000,
        }
    }
}
