//! What a metric is: name, description, unit, label names.

use metrics::{Key, Label, Level, Metadata, Recorder, Unit};

use super::series::{OTHER, Series};

static METADATA: Metadata<'static> = Metadata::new("gateway", Level::INFO, None);

/// A counter with `N` labels.
#[derive(Debug)]
pub struct Counter<const N: usize>(Core<N, metrics::Counter>);

/// A gauge with `N` labels.
#[derive(Debug)]
pub struct Gauge<const N: usize>(Core<N, metrics::Gauge>);

/// A histogram with `N` labels.
#[derive(Debug)]
pub struct Histogram<const N: usize>(Core<N, metrics::Histogram>, &'static [f64]);

#[derive(Debug)]
struct Core<const N: usize, H> {
    name: &'static str,
    help: &'static str,
    unit: Unit,
    labels: [&'static str; N],
    series: Series<H>,
}

/// The kind of a metric, with a histogram's bucket bounds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Kind {
    Counter,
    Gauge,
    Histogram(&'static [f64]),
}

/// What is written about a metric.
#[derive(Debug, Clone, Copy)]
pub(super) struct Info {
    pub(super) name: &'static str,
    pub(super) help: &'static str,
    pub(super) unit: Unit,
    pub(super) labels: &'static [&'static str],
    pub(super) kind: Kind,
}

/// Any declared metric.
pub(super) trait Definition: Sync {
    fn info(&'static self) -> Info;

    /// Brings a counter or gauge without labels into being.
    fn touch(&self);
}

impl<const N: usize, H: Clone> Core<N, H> {
    const fn new(name: &'static str, help: &'static str, unit: Unit, labels: [&'static str; N]) -> Self {
        Self {
            name,
            help,
            unit,
            labels,
            series: Series::new(),
        }
    }

    /// The handle for these label values.
    fn handle(&self, values: [&str; N], register: impl FnOnce(&dyn Recorder, &Key) -> H) -> H {
        self.series.handle(&values, |is_admitted| {
            let values = if is_admitted { values } else { [OTHER; N] };
            let labels: Vec<Label> = self
                .labels
                .iter()
                .zip(values)
                .map(|(name, value)| Label::new(*name, value.to_owned()))
                .collect();
            let key = Key::from_parts(self.name, labels);
            metrics::with_recorder(|recorder| register(recorder, &key))
        })
    }

    fn info(&'static self, kind: Kind) -> Info {
        Info {
            name: self.name,
            help: self.help,
            unit: self.unit,
            labels: &self.labels,
            kind,
        }
    }
}

impl<const N: usize> Counter<N> {
    pub(super) const fn new(
        name: &'static str,
        help: &'static str,
        unit: Unit,
        labels: [&'static str; N],
    ) -> Self {
        Self(Core::new(name, help, unit, labels))
    }

    /// The handle for these label values, in declared order.
    pub fn with(&self, values: [&str; N]) -> metrics::Counter {
        self.0
            .handle(values, |recorder, key| recorder.register_counter(key, &METADATA))
    }
}

impl<const N: usize> Gauge<N> {
    pub(super) const fn new(
        name: &'static str,
        help: &'static str,
        unit: Unit,
        labels: [&'static str; N],
    ) -> Self {
        Self(Core::new(name, help, unit, labels))
    }

    /// The handle for these label values, in declared order.
    pub fn with(&self, values: [&str; N]) -> metrics::Gauge {
        self.0
            .handle(values, |recorder, key| recorder.register_gauge(key, &METADATA))
    }
}

impl<const N: usize> Histogram<N> {
    pub(super) const fn new(
        name: &'static str,
        help: &'static str,
        unit: Unit,
        buckets: &'static [f64],
        labels: [&'static str; N],
    ) -> Self {
        Self(Core::new(name, help, unit, labels), buckets)
    }

    /// The handle for these label values, in declared order.
    pub fn with(&self, values: [&str; N]) -> metrics::Histogram {
        self.0.handle(values, |recorder, key| {
            recorder.register_histogram(key, &METADATA)
        })
    }
}

impl<const N: usize> Definition for Counter<N> {
    fn info(&'static self) -> Info {
        self.0.info(Kind::Counter)
    }

    fn touch(&self) {
        self.with([""; N]).increment(0);
    }
}

impl<const N: usize> Definition for Gauge<N> {
    fn info(&'static self) -> Info {
        self.0.info(Kind::Gauge)
    }

    fn touch(&self) {
        self.with([""; N]).increment(0.0);
    }
}

impl<const N: usize> Definition for Histogram<N> {
    fn info(&'static self) -> Info {
        self.0.info(Kind::Histogram(self.1))
    }

    fn touch(&self) {}
}

/// `2xx` for 204: the label for an HTTP status.
#[must_use]
pub fn status_class(status: u16) -> &'static str {
    match status / 100 {
        1 => "1xx",
        2 => "2xx",
        3 => "3xx",
        4 => "4xx",
        5 => "5xx",
        _ => OTHER,
    }
}
