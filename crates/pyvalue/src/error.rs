//! The exceptions that Python would raise, as values.

/// Which Python exception class an error stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PyErrorKind {
    AttributeError,
    IndexError,
    /// A subclass of `ValueError` in Python.
    JsonDecodeError,
    KeyError,
    MemoryError,
    OverflowError,
    RecursionError,
    TypeError,
    ValueError,
    ZeroDivisionError,
    /// A power whose result is a complex number. Python computes it without an error and fails when
    /// the result is serialised, so a node may want to report it at another moment than the others.
    ComplexResult,
}

/// A Python exception: its class and the text that `str(exception)` gives.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct PyError {
    pub kind: PyErrorKind,
    pub message: String,
}

impl PyError {
    pub fn new(kind: PyErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
        }
    }

    /// A `ValueError`.
    pub fn value(message: impl Into<String>) -> Self {
        Self::new(PyErrorKind::ValueError, message)
    }

    /// A `TypeError`.
    pub fn type_error(message: impl Into<String>) -> Self {
        Self::new(PyErrorKind::TypeError, message)
    }

    /// The Python class name, as in `type(exception).__name__`.
    pub fn class_name(&self) -> &'static str {
        match self.kind {
            PyErrorKind::AttributeError => "AttributeError",
            PyErrorKind::IndexError => "IndexError",
            PyErrorKind::JsonDecodeError => "JSONDecodeError",
            PyErrorKind::KeyError => "KeyError",
            PyErrorKind::MemoryError => "MemoryError",
            PyErrorKind::OverflowError => "OverflowError",
            PyErrorKind::RecursionError => "RecursionError",
            PyErrorKind::TypeError | PyErrorKind::ComplexResult => "TypeError",
            PyErrorKind::ValueError => "ValueError",
            PyErrorKind::ZeroDivisionError => "ZeroDivisionError",
        }
    }
}
