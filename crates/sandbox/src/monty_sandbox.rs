//! [`CodeSandbox`] on the `monty` interpreter, inside this process.

use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use moka::sync::Cache;
use monty_types::MontyObject;
use parking_lot::RwLock;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::{
    convert::{self, ConvertError},
    meter::Meter,
    permissions::{FULL_ACCESS_DISABLED, Permissions},
    pool::{Pool, PoolError, PoolOptions},
    port::{CodeOutcome, CodeRequest, CodeSandbox, ExecutionStats, ExpressionRequest, Limits, Phase},
    program::{self, Failure, FailureKind, Program, time_limit_message},
    wrap::is_identifier,
};

/// Time the watching thread adds to the interpreter's own limit before it gives a worker up.
const GRACE: Duration = Duration::from_millis(500);

/// Bytecode and tables weigh a multiple of the text.
const CACHE_FACTOR: usize = 16;

/// Sizes of the sandbox itself; limits of a run come with each request.
#[derive(Debug, Clone, Copy)]
pub struct SandboxOptions {
    /// Programs that may run at the same time.
    pub max_workers: usize,
    /// Workers that may be stuck past their time before nothing new starts.
    pub max_lost_workers: usize,
    /// Stack of a worker; address space, not memory, until used.
    pub stack_bytes: usize,
    /// Estimated bytes of compiled programs kept.
    pub cache_bytes: u64,
}

impl Default for SandboxOptions {
    fn default() -> Self {
        let processors = std::thread::available_parallelism().map_or(2, usize::from);
        Self {
            max_workers: (processors * 2).clamp(2, 32),
            // They finish by themselves (their next check fails) and run at the lowest priority.
            max_lost_workers: (processors * 2).clamp(8, 32),
            // The deepest accepted tree needs less than a tenth even without optimisation.
            stack_bytes: 64 * 1024 * 1024,
            cache_bytes: 32 * 1024 * 1024,
        }
    }
}

type Compiled = Arc<Result<Program, Failure>>;
type Key = [u8; 32];

/// Runs code nodes on worker threads, with a cache of compiled programs.
pub struct MontySandbox {
    pool: Pool,
    cache: Cache<Key, Compiled>,
    /// Memory is counted per process. A run that exceeds its limit while others ran is repeated
    /// alone (code is pure, so twice is once): normal runs share this lock, the repetition holds it.
    memory: RwLock<()>,
    active: AtomicUsize,
    started: AtomicU64,
}

/// Everything a worker needs to run one program; nothing borrowed.
struct Task {
    source: Source,
    cached: Option<Compiled>,
    input: MontyObject,
    limits: Limits,
    permissions: Permissions,
}

#[derive(Clone)]
enum Source {
    Function { source: String, name: String },
    Expression { source: String, names: HashSet<String> },
}

struct Finished {
    fresh: Option<Compiled>,
    stats: ExecutionStats,
    result: Result<Value, Ending>,
}

enum Ending {
    Failed(Failure),
    Convert(ConvertError),
}

impl Default for MontySandbox {
    fn default() -> Self {
        Self::new(SandboxOptions::default())
    }
}

impl MontySandbox {
    /// Starts no thread yet; workers come with the first runs.
    pub fn new(options: SandboxOptions) -> Self {
        Self {
            pool: Pool::new(PoolOptions {
                max_workers: options.max_workers,
                max_lost: options.max_lost_workers,
                stack_bytes: options.stack_bytes,
            }),
            cache: Cache::builder()
                .max_capacity(options.cache_bytes)
                .weigher(|_, compiled: &Compiled| match compiled.as_ref() {
                    Ok(program) => {
                        u32::try_from(program.source_bytes() * CACHE_FACTOR + 1024).unwrap_or(u32::MAX)
                    }
                    Err(_) => 1024,
                })
                .build(),
            memory: RwLock::new(()),
            active: AtomicUsize::new(0),
            started: AtomicU64::new(0),
        }
    }

    /// False where the executable does not install `monty_alloc::LimitedAllocator` as its global
    /// allocator; then [`Limits::memory_bytes`] is not enforced and start-up should say so.
    pub fn memory_limit_is_enforced() -> bool {
        program::allocations_are_counted()
    }

    fn execute(
        &self,
        source: &Source,
        input: &Value,
        limits: Limits,
        permissions: Permissions,
    ) -> CodeOutcome {
        let started = Instant::now();
        let key = source.key();
        let attempt = |cached| -> Result<Finished, Failure> {
            let task = Task {
                source: source.clone(),
                cached,
                input: convert::to_python(input)
                    .map_err(|_| Failure::runtime("the input is nested too deeply"))?,
                limits,
                permissions,
            };
            self.pool
                .run(limits.wall_time, limits.wall_time + GRACE, move || task.perform())
                .map_err(|error| match error {
                    PoolError::TimedOut => Failure::runtime(time_limit_message(&limits)),
                    PoolError::Busy => Failure::runtime("all code workers are busy"),
                    PoolError::Broken => Failure::runtime("the interpreter failed on this code"),
                })
        };
        let (mut finished, had_neighbours) = {
            let _shared = self.memory.read();
            let neighbours = self.active.fetch_add(1, Ordering::AcqRel);
            let order = self.started.fetch_add(1, Ordering::AcqRel) + 1;
            let finished = attempt(self.cache.get(&key));
            self.active.fetch_sub(1, Ordering::AcqRel);
            let joined = self.started.load(Ordering::Acquire) != order;
            (finished, neighbours > 0 || joined)
        };
        if had_neighbours && finished.as_ref().is_ok_and(Finished::ran_out_of_memory) {
            let _alone = self.memory.write();
            finished = attempt(self.cache.get(&key));
        }
        match finished {
            Ok(finished) => {
                self.remember(key, &finished);
                finished.into_outcome()
            }
            Err(failure) => {
                self.cache.invalidate(&key);
                CodeOutcome::Failed {
                    error: source.failure_text(failure.error),
                    phase: failure.phase,
                    stats: Meter::wall_only(started.elapsed(), permissions.as_str()),
                }
            }
        }
    }

    fn remember(&self, key: Key, finished: &Finished) {
        if let Some(fresh) = &finished.fresh {
            self.cache.insert(key, Arc::clone(fresh));
        }
    }
}

impl CodeSandbox for MontySandbox {
    fn run(&self, request: CodeRequest<'_>) -> CodeOutcome {
        let refused = |error: String, permissions: &str| CodeOutcome::Failed {
            error,
            phase: Phase::Compile,
            stats: Meter::wall_only(Duration::ZERO, permissions),
        };
        let permissions = match Permissions::parse(request.permissions) {
            Ok(permissions) => permissions,
            Err(error) => return refused(error, request.permissions),
        };
        if permissions == Permissions::FullAccess {
            return refused(FULL_ACCESS_DISABLED.to_owned(), permissions.as_str());
        }
        let source = Source::Function {
            source: request.source.to_owned(),
            name: request.function_name.to_owned(),
        };
        self.execute(&source, request.input, request.limits, permissions)
    }

    fn evaluate(&self, request: ExpressionRequest<'_>) -> CodeOutcome {
        let mut names: HashSet<String> = ["x", "input"].map(str::to_owned).into();
        if let Value::Object(map) = request.input {
            names.extend(map.keys().filter(|key| is_identifier(key)).cloned());
        }
        let source = Source::Expression {
            source: request.expression.to_owned(),
            names,
        };
        self.execute(&source, request.input, request.limits, Permissions::Sandbox)
    }
}

impl Task {
    /// Runs on a worker.
    fn perform(self) -> Finished {
        let meter = Meter::start();
        let (compiled, fresh) = match self.cached {
            Some(compiled) => (compiled, None),
            None => {
                let compiled = Arc::new(self.source.compile());
                (Arc::clone(&compiled), Some(compiled))
            }
        };
        let result = match compiled.as_ref() {
            Ok(program) => program
                .execute(self.source.arguments(program, self.input), &self.limits)
                .map_err(Ending::Failed)
                .and_then(|object| {
                    convert::to_json(object, self.limits.output_bytes).map_err(Ending::Convert)
                }),
            Err(failure) => Err(Ending::Failed(failure.clone())),
        };
        Finished {
            fresh,
            stats: meter.finish(self.permissions),
            result,
        }
    }
}

impl Source {
    fn key(&self) -> Key {
        let mut hash = Sha256::new();
        match self {
            Self::Function { source, name } => {
                hash.update(b"function\0");
                hash.update(name.as_bytes());
                hash.update(b"\0");
                hash.update(source.as_bytes());
            }
            Self::Expression { source, names } => {
                hash.update(b"expression\0");
                let mut names: Vec<&String> = names.iter().collect();
                names.sort();
                for name in names {
                    hash.update(name.as_bytes());
                    hash.update(b"\0");
                }
                hash.update(b"\0");
                hash.update(source.as_bytes());
            }
        }
        hash.finalize().into()
    }

    fn compile(&self) -> Result<Program, Failure> {
        match self {
            Self::Function { source, name } => Program::function(source, name),
            Self::Expression { source, names } => Program::expression(source, names),
        }
    }

    /// Values for the program's inputs. Keys of the input win over `x` and `input`.
    fn arguments(&self, program: &Program, input: MontyObject) -> Vec<MontyObject> {
        if matches!(self, Self::Function { .. }) {
            return vec![input];
        }
        let value_of = |name: &String| {
            let found = match &input {
                MontyObject::Dict(pairs) => pairs
                    .iter()
                    .find(|(key, _)| matches!(key, MontyObject::String(text) if text == name))
                    .map(|(_, value)| value.clone()),
                _ => None,
            };
            found.unwrap_or_else(|| input.clone())
        };
        program.inputs().iter().map(value_of).collect()
    }

    /// Expressions report bare texts, also for failures around the interpreter.
    fn failure_text(&self, error: String) -> String {
        match self {
            Self::Function { .. } => error,
            Self::Expression { .. } => error
                .strip_prefix("Runtime error: ")
                .map_or(error.clone(), str::to_owned),
        }
    }
}

impl Finished {
    fn ran_out_of_memory(&self) -> bool {
        matches!(&self.result, Err(Ending::Failed(failure)) if failure.kind == FailureKind::Memory)
    }

    fn into_outcome(self) -> CodeOutcome {
        let stats = self.stats;
        match self.result {
            Ok(value) => CodeOutcome::Ok { value, stats },
            Err(Ending::Failed(failure)) => CodeOutcome::Failed {
                error: failure.error,
                phase: failure.phase,
                stats,
            },
            Err(Ending::Convert(ConvertError::Unserialisable { type_name, error })) => {
                CodeOutcome::Unserialisable {
                    type_name,
                    error,
                    stats,
                }
            }
            Err(Ending::Convert(error)) => {
                let failure = Failure::runtime(match error {
                    ConvertError::TooLarge { limit } => format!("the result is larger than {limit} bytes"),
                    _ => "the result is nested too deeply".to_owned(),
                });
                CodeOutcome::Failed {
                    error: failure.error,
                    phase: failure.phase,
                    stats,
                }
            }
        }
    }
}
