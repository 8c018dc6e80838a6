//! A compiled source: checked, rewritten, turned into bytecode, and its execution under limits.

use std::{
    collections::HashSet,
    sync::{Once, atomic::Ordering},
};

use monty::MontyRun;
use monty_types::{
    AssertMessageAnnotations, BASELINE_MEMORY, CompileOptions, ExcType, LIVE_MEMORY, MontyException,
    MontyObject, PrintWriter, ResourceLimits, ResourceTracker,
};

use parking_lot::Mutex;

use crate::{
    port::{Limits, Phase},
    screen::{self, UNDEFINED_PREFIX},
    syntax,
    wrap::is_identifier,
};

/// Script name inside the interpreter; no message that leaves shows it.
const SCRIPT: &str = "<unknown>";

/// Global that carries the input of a function program.
const INPUT: &str = "_ag_input";

/// A refusal or an exception, with the text for clients.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Failure {
    pub(crate) error: String,
    pub(crate) phase: Phase,
    pub(crate) kind: FailureKind,
}

/// What the caller may have to react to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FailureKind {
    /// The code's own doing.
    Code,
    /// The process grew past the limit, maybe because of a neighbour.
    Memory,
}

impl Failure {
    pub(crate) fn compile(error: String) -> Self {
        Self {
            error,
            phase: Phase::Compile,
            kind: FailureKind::Code,
        }
    }

    pub(crate) fn runtime(message: impl std::fmt::Display) -> Self {
        Self {
            error: format!("Runtime error: {message}"),
            phase: Phase::Runtime,
            kind: FailureKind::Code,
        }
    }
}

/// Bytecode plus what is needed to call it and to read its errors.
///
/// The interpreter's program is not `Sync` (it memoises calls) and remembers the peak size of its
/// heap as the initial size of the next one, so every execution gets a copy of the pristine one.
#[derive(Debug)]
pub(crate) struct Program {
    pristine: Mutex<MontyRun>,
    source_bytes: usize,
    inputs: Vec<String>,
    entry: Entry,
}

#[derive(Debug)]
enum Entry {
    /// The last line calls this function; exceptions whose outermost frame is an earlier line
    /// happened while the module loaded.
    Function {
        name: String,
        call_line: u32,
    },
    Expression,
}

impl Program {
    /// Compiles a module and a call of one of its functions.
    pub(crate) fn function(source: &str, name: &str) -> Result<Self, Failure> {
        let screened = screen::module(source).map_err(Failure::compile)?;
        // A name nothing binds must not reach a builtin; the prefix makes it undefined.
        let callee = if is_identifier(name) && screened.bound.contains(name) {
            name.to_owned()
        } else {
            format!("{UNDEFINED_PREFIX}function")
        };
        let mut code = screened.source;
        // The comment line ends a source whose last line is continued by a backslash.
        code.push_str("\n#\n");
        let call_line = u32::try_from(syntax::line_of(&code, code.len())).unwrap_or(u32::MAX);
        code.push_str(&format!("{callee}({INPUT})"));
        let inputs = vec![INPUT.to_owned()];
        let run = compile(code, inputs.clone())?;
        let entry = Entry::Function {
            name: name.to_owned(),
            call_line,
        };
        Ok(Self::new(run, inputs, entry))
    }

    /// Compiles one expression over the given names.
    pub(crate) fn expression(source: &str, names: &HashSet<String>) -> Result<Self, Failure> {
        let screened =
            screen::expression(source, names).map_err(|text| Failure::compile(expression_text(&text)))?;
        let inputs: Vec<String> = screened
            .free
            .into_iter()
            .filter(|name| names.contains(name))
            .collect();
        let code = format!("({}\n)", screened.source);
        let run = compile(code, inputs.clone()).map_err(|failure| Failure {
            error: expression_text(&failure.error),
            ..failure
        })?;
        Ok(Self::new(run, inputs, Entry::Expression))
    }

    fn new(run: MontyRun, inputs: Vec<String>, entry: Entry) -> Self {
        let source_bytes = run.code().len();
        Self {
            pristine: Mutex::new(run),
            source_bytes,
            inputs,
            entry,
        }
    }

    /// Length of the compiled text, a measure of the program's own size.
    pub(crate) fn source_bytes(&self) -> usize {
        self.source_bytes
    }

    /// Names whose values [`execute`](Self::execute) takes, in order.
    pub(crate) fn inputs(&self) -> &[String] {
        &self.inputs
    }

    /// Runs to the end or to the first limit. `print` writes nowhere.
    pub(crate) fn execute(&self, inputs: Vec<MontyObject>, limits: &Limits) -> Result<MontyObject, Failure> {
        let tracker = ResourceTracker::new(ResourceLimits {
            max_duration: Some(limits.wall_time),
            max_memory: memory_ceiling(limits.memory_bytes),
            max_recursion_depth: limits.recursion,
            ..ResourceLimits::default()
        });
        let run = self.pristine.lock().clone();
        run.run(inputs, tracker, PrintWriter::Disabled)
            .map_err(|exception| self.describe(&exception, limits))
    }

    fn describe(&self, exception: &MontyException, limits: &Limits) -> Failure {
        let raw = exception.message().unwrap_or_default();
        let (message, kind) = match exception.exc_type() {
            ExcType::TimeoutError if raw.starts_with("time limit exceeded") => {
                (time_limit_message(limits), FailureKind::Code)
            }
            ExcType::MemoryError if raw.starts_with("memory limit exceeded") => {
                let mib = limits.memory_bytes as f64 / (1024.0 * 1024.0);
                (format!("memory limit of {mib} MiB exceeded"), FailureKind::Memory)
            }
            ExcType::KeyError => (key_error_text(&screen::visible_text(raw)), FailureKind::Code),
            _ => (screen::visible_text(raw), FailureKind::Code),
        };
        let Entry::Function { name, call_line } = &self.entry else {
            return Failure {
                error: message,
                phase: Phase::Runtime,
                kind,
            };
        };
        let frames = exception.traceback();
        // An entry function with other parameters fails at its own first line, without a call frame.
        let in_call = frames.first().is_none_or(|frame| frame.start.line >= *call_line)
            || (frames.len() == 1 && message.starts_with(&format!("{name}() ")));
        if !in_call {
            return Failure {
                error: format!("Execution error: {message}"),
                phase: Phase::Load,
                kind,
            };
        }
        let missing = frames.len() == 1
            && exception.exc_type() == ExcType::NameError
            && (message == format!("name '{name}' is not defined")
                || message == "name 'function' is not defined");
        if missing {
            let error = format!("Function '{name}' not defined in code");
            return Failure {
                error,
                phase: Phase::Load,
                kind,
            };
        }
        Failure {
            error: format!("Runtime error: {message}"),
            phase: Phase::Runtime,
            kind,
        }
    }
}

/// Python shows the missing key's repr; the interpreter keeps `str(key)`. A key that reads as a
/// number or tuple is shown bare, which is right unless it was text.
fn key_error_text(key: &str) -> String {
    let bare = key.parse::<f64>().is_ok()
        || matches!(key, "None" | "True" | "False")
        || (key.starts_with('(') && key.ends_with(')'));
    if bare {
        key.to_owned()
    } else {
        MontyObject::String(key.to_owned()).py_repr()
    }
}

/// Text of a run that outlived its time, as the interpreter or the watching thread says it.
pub(crate) fn time_limit_message(limits: &Limits) -> String {
    format!("time limit of {} s exceeded", limits.wall_time.as_secs_f64())
}

fn compile(code: String, inputs: Vec<String>) -> Result<MontyRun, Failure> {
    let options = CompileOptions {
        // Plain CPython messages: a failed bare assert has an empty one.
        assert_message_annotations: AssertMessageAnnotations::Off,
    };
    MontyRun::new(code, SCRIPT, inputs, options).map_err(|exception| {
        let line = exception.traceback().last().map_or(1, |frame| frame.start.line);
        let raw = exception.message().unwrap_or("invalid syntax");
        let message = match raw.strip_prefix("The monty syntax parser does not yet support ") {
            Some(construct) => format!("{construct}: not supported in code nodes"),
            None => screen::visible_text(raw),
        };
        Failure::compile(syntax::error_text(&message, line as usize))
    })
}

/// Expressions report bare messages, as `str()` of the exception would read.
fn expression_text(text: &str) -> String {
    text.strip_prefix("Syntax error: ")
        .unwrap_or(text)
        .replace("(<unknown>, line", "(<string>, line")
}

/// The interpreter compares process-wide live bytes with its limit, so the limit of one run is what
/// is live now plus its allowance. `None` where the executable lacks the counting allocator.
fn memory_ceiling(allowance: usize) -> Option<usize> {
    // The interpreter subtracts a baseline that starts at "everything"; zero makes the count absolute.
    static ABSOLUTE: Once = Once::new();
    ABSOLUTE.call_once(|| BASELINE_MEMORY.store(0, Ordering::Relaxed));
    let live = LIVE_MEMORY.load(Ordering::Relaxed);
    (live > 0).then(|| live.saturating_add(allowance))
}

/// Whether the executable counts its allocations, without which no memory limit holds.
pub(crate) fn allocations_are_counted() -> bool {
    LIVE_MEMORY.load(Ordering::Relaxed) > 0
}
