//! Every limit of the sandbox, spent in as many ways as possible.
//!
//! This binary installs the counting allocator, as the shipped executable does, so that memory
//! limits hold. Its count covers the process, so the tests take turns.

use std::{
    sync::{Mutex, MutexGuard},
    time::{Duration, Instant},
};

use ag_sandbox::{CodeOutcome, CodeRequest, CodeSandbox, Limits, MontySandbox};
use serde_json::{Value, json};

#[global_allocator]
static ALLOCATOR: monty_alloc::LimitedAllocator = monty_alloc::LimitedAllocator;

static TURN: Mutex<()> = Mutex::new(());

fn turn() -> MutexGuard<'static, ()> {
    TURN.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn small_limits() -> Limits {
    Limits {
        wall_time: Duration::from_millis(40),
        memory_bytes: 16 << 20,
        ..Limits::default()
    }
}

fn run_with(sandbox: &MontySandbox, source: &str, input: &Value, limits: Limits) -> CodeOutcome {
    sandbox.run(CodeRequest {
        source,
        function_name: "transform",
        input,
        permissions: "sandbox",
        limits,
    })
}

/// Code that would run for minutes or take gigabytes ends within its limits; each line of the table
/// is a way to spend them.
#[test]
fn time_and_memory_limits_hold() {
    let _turn = turn();
    assert!(MontySandbox::memory_limit_is_enforced());
    let sandbox = MontySandbox::new(ag_sandbox::SandboxOptions {
        max_lost_workers: 100,
        ..Default::default()
    });
    let bodies = [
        "while True: pass",
        "while True:\n        try:\n            pass\n        except:\n            pass",
        "return sum(range(10 ** 15))",
        "return max(range(10 ** 15))",
        "return sum(i for i in range(10 ** 15))",
        "return [i for i in range(10 ** 12)]",
        "return list(range(10 ** 12))",
        "return set(range(10 ** 12))",
        "return sorted(range(10 ** 12))",
        "return tuple(map(str, range(10 ** 12)))",
        "return dict(zip(range(10 ** 12), range(10 ** 12)))",
        "return {i: i for i in range(10 ** 12)}",
        "return (10 ** 12) in map(int, range(10 ** 13))",
        "s = 'a'\n    while True: s = s + s",
        "s = 'a' * 1000\n    return 'b'.join([s] * 10 ** 6)",
        "return 'a' * 10 ** 12",
        "return [0] * 10 ** 12",
        "return b'a' * 10 ** 12",
        "return (1, 2) * 10 ** 11",
        "return 'a'.ljust(10 ** 12)",
        "return 'a'.center(10 ** 12)",
        "return 'a'.zfill(10 ** 12)",
        "return '\\t'.expandtabs(10 ** 12)",
        "return f'{1:1000000000}'",
        "return f'{1.5:.1000000000f}'",
        "return '{:>1000000000}'.format('x')",
        "return ('a' * 10 ** 6).replace('a', 'b' * 10 ** 6)",
        "return ('a' * 10 ** 6).replace('', 'b' * 10 ** 6)",
        "return 7 ** 10 ** 12",
        "return 1 << 10 ** 13",
        "return str(3 ** 10 ** 7)",
        "return (1).to_bytes(10 ** 12, 'big')",
        "l = []\n    while True: l.append(l)",
        "l = [1]\n    while True: l = l + l",
        "l = [1]\n    while True: l.extend(l)",
        "l = [[1] * 1000] * 1000\n    return sum(l * 1000, [])",
        "l = []\n    for i in range(10 ** 9): l = [l]",
        "d = {}\n    i = 0\n    while True:\n        d[i] = 'x' * 100\n        i += 1",
        "def f(): return f() or f()\n    def g(n): return g(n - 1) + g(n - 1) if n else 1\n    return g(60)",
        "s = 'ab' * 10 ** 6\n    return [s.count('b' * 10 ** 5) for i in range(10 ** 6)]",
        "return ('a' * 10 ** 7).split('a') * 10 ** 6",
        "l = list(range(2000))\n    return [l == list(range(2000)) for i in range(10 ** 9)]",
        "return round(10 ** 4000, -(10 ** 12))",
        "l = [1] * 10 ** 5\n    return [x in l for x in range(2, 10 ** 9)]",
        "return reversed([0] * 10 ** 12)",
        "return list(enumerate('a' * 10 ** 12))",
        "return isinstance(1, tuple([int] * 10 ** 12))",
        "s = ''\n    for i in range(10 ** 9): s += 'abc'\n    return s",
        "x = 10 ** 4000\n    while True: x = (x * x) % (10 ** 4001 + 7)",
        "return pow(3, 10 ** 9)",
        "return '{0:{1}}'.format(1, 10 ** 12)",
        "return 'a'.encode().hex() * 10 ** 12",
    ];
    for body in bodies {
        let source = format!("def transform(d):\n    {body}");
        let started = Instant::now();
        let outcome = run_with(&sandbox, &source, &json!({}), small_limits());
        let elapsed = started.elapsed();
        assert!(elapsed < Duration::from_secs(5), "{body}: {elapsed:?}");
        assert!(outcome.stats().memory_rss_mb < 400.0, "{body}: {outcome:?}");
        assert!(matches!(outcome, CodeOutcome::Failed { .. }), "{body}");
    }
}

/// Some operations on huge integers check no clock. The caller gets its answer in time, and the
/// worker comes home once the operation ends: afterwards the sandbox works on.
#[test]
fn operations_that_check_no_clock_do_not_block_the_caller() {
    let _turn = turn();
    let sandbox = MontySandbox::new(ag_sandbox::SandboxOptions {
        max_workers: 1,
        ..Default::default()
    });
    let limits = Limits {
        wall_time: Duration::from_millis(20),
        memory_bytes: 1 << 20,
        ..Limits::default()
    };
    for body in [
        "x = 3\n    while True: x = x * x",
        "return str(3 ** 10 ** 6)",
        "x = 3 ** 10 ** 5\n    return x * x * x * x // 7 ** 1000",
    ] {
        let started = Instant::now();
        let outcome = run_with(
            &sandbox,
            &format!("def transform(d):\n    {body}"),
            &json!({}),
            limits,
        );
        assert!(
            matches!(outcome, CodeOutcome::Failed { .. }),
            "{body}: {outcome:?}"
        );
        assert!(started.elapsed() < Duration::from_secs(3), "{body}");
    }
    let outcome = run_with(
        &sandbox,
        "def transform(d): return 1",
        &json!({}),
        Limits::default(),
    );
    assert!(matches!(outcome, CodeOutcome::Ok { .. }), "{outcome:?}");
}

/// Sources and values that are deep rather than large: each must end in an answer, not in a stack
/// overflow, which nothing could catch.
#[test]
fn deep_code_and_deep_values_end_in_an_answer() {
    let _turn = turn();
    let sandbox = MontySandbox::default();
    let mut sources: Vec<String> = Vec::new();
    for depth in [50, 190, 500, 1100, 20_000] {
        for (open, close) in [
            ("(", ")"),
            ("[", "]"),
            ("{1:", "}"),
            ("-", ""),
            ("not ", ""),
            ("~", ""),
            ("lambda: ", ""),
            ("d + ", ""),
            ("d.", ""),
            ("d if d else ", ""),
            ("d ** ", ""),
            ("d == ", ""),
            ("d and ", ""),
            ("f'{", "}'"),
            ("[d for d in ", "]"),
            ("str(", ")"),
            ("await ", ""),
            ("*", ""),
        ] {
            sources.push(format!(
                "def transform(d):\n    return {}d{}",
                open.repeat(depth),
                close.repeat(depth)
            ));
        }
        sources.push(format!("def transform(d):\n    return d{}", "()".repeat(depth)));
        sources.push(format!("def transform(d):\n    return d{}", "[0]".repeat(depth)));
        sources.push(format!("{}d", "x = ".repeat(depth)));
        let blocks: String = (0..depth.min(1100))
            .map(|level| format!("{}if d:\n", " ".repeat(level)))
            .collect();
        sources.push(format!("{blocks}{}pass", " ".repeat(depth.min(1100))));
        let functions: String = (0..depth.min(300))
            .map(|level| format!("{}def f():\n", " ".repeat(level)))
            .collect();
        sources.push(format!("{functions}{}pass", " ".repeat(depth.min(300))));
        let branches = "    elif d: pass\n".repeat(depth);
        sources.push(format!(
            "def transform(d):\n    if d: pass\n{branches}    return 1"
        ));
    }
    let nested =
        "x = 1\n    for i in range(100000): x = [x]\n    y = 1\n    for i in range(100000): y = [y]\n    ";
    let looped = "x = []\n    x.append(x)\n    y = []\n    y.append(y)\n    ";
    for setup in [
        nested,
        looped,
        "x = {}\n    x['x'] = x\n    y = {'x': x}\n    ",
        "x = ()\n    for i in range(50000): x = (x,)\n    y = x\n    ",
    ] {
        for body in [
            "return x",
            "return str(x)",
            "return x == y",
            "return x < y",
            "return {str: x}",
            "return sorted([x, y])",
            "return isinstance(x, x)",
            "return f'{x!r}'",
            "return sum(x, y)",
            "return set([x])",
            "return max([x, y])",
            "return (x, [y])",
        ] {
            sources.push(format!("def transform(d):\n    {setup}{body}"));
        }
    }
    for body in [
        "def f(n): return sorted([1, 2], key=lambda i: f(n + 1))\n    return f(0)",
        "def f(n): return list(map(f, [n + 1]))\n    return f(0)",
        "def f(n): return max([1, 2], key=f)\n    return f(0)",
        "def f(*a, **k): return f(*a, 1, **k)\n    return f()",
        "f = lambda: f()\n    return f()",
        "def f(n):\n        try:\n            return f(n + 1)\n        except:\n            return f(n + 1)\n    return f(0)",
        "async def f(): return await f()\n    return f()",
    ] {
        sources.push(format!("def transform(d):\n    {body}"));
    }
    for source in sources {
        let limits = Limits {
            recursion: 1000,
            ..small_limits()
        };
        // Reaching the next line is the assertion; the answer itself is free.
        let outcome = run_with(&sandbox, &source, &json!(1), limits);
        assert!(outcome.stats().duration_ms < 5000.0);
    }
}

/// Memory is counted for the whole process, so a run can be over its limit because of another one;
/// it is repeated alone and succeeds.
#[test]
fn a_neighbour_does_not_cost_a_run_its_memory() {
    let _turn = turn();
    let sandbox = MontySandbox::new(ag_sandbox::SandboxOptions {
        max_workers: 4,
        ..Default::default()
    });
    let modest = "def transform(d):\n    l = []\n    for i in range(40):\n        l = [[j] for j in range(1000)]\n    return len(l)";
    let greedy = "def transform(d):\n    l = []\n    while True: l.append('x' * 1000)";
    let generous = Limits {
        memory_bytes: 64 << 20,
        wall_time: Duration::from_secs(5),
        ..Limits::default()
    };
    let tight = Limits {
        memory_bytes: 4 << 20,
        ..generous
    };
    std::thread::scope(|scope| {
        let neighbour = scope.spawn(|| {
            for _ in 0..3 {
                let outcome = run_with(&sandbox, greedy, &json!({}), generous);
                assert!(
                    matches!(outcome, CodeOutcome::Failed { ref error, .. } if error.contains("memory limit")),
                    "{outcome:?}"
                );
            }
        });
        while !neighbour.is_finished() {
            let outcome = run_with(&sandbox, modest, &json!({}), tight);
            assert!(matches!(outcome, CodeOutcome::Ok { .. }), "{outcome:?}");
        }
        assert!(neighbour.join().is_ok());
    });
}

/// Calls of one program share its compilation: the second call is far cheaper than the first.
#[test]
fn programs_are_compiled_once() {
    let sandbox = MontySandbox::default();
    // Long enough that compiling dominates by orders of magnitude, whatever the machine does.
    let padding = "def helper(a): return [a, a + 1, {'k': a}]\n".repeat(500);
    let source = format!("{padding}def transform(d): return d['a']");
    let first = run_with(&sandbox, &source, &json!({"a": 1}), Limits::default());
    let again: Vec<f64> = (0..5)
        .map(|_| {
            run_with(&sandbox, &source, &json!({"a": 1}), Limits::default())
                .stats()
                .cpu_time_ms
        })
        .collect();
    let best = again.iter().copied().fold(f64::INFINITY, f64::min);
    assert!(
        best * 2.0 < first.stats().cpu_time_ms,
        "first {:?}, then {again:?}",
        first.stats()
    );
}
