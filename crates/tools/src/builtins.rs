//! Tools that belong to agents: the agent loop turns them into effects, so there is nothing to run here.

use serde_json::{Value, json};

use crate::spec::ArgType::{Boolean, Integer, Object, String as Text, Strings};
use crate::spec::{Arg, Example, ToolSpec};

fn spec(
    name: &'static str,
    description: &'static str,
    when_to_use: &'static str,
    args: Vec<Arg>,
    example: (&'static str, Value),
) -> ToolSpec {
    ToolSpec {
        name,
        description,
        when_to_use,
        args,
        examples: vec![Example {
            description: example.0,
            arguments: example.1,
        }],
        toolset: "agent",
        tags: &[],
    }
}

pub(crate) fn specs() -> Vec<ToolSpec> {
    vec![
        ask_user(),
        recall_memory(),
        inspect_vars(),
        remember(),
        remember_note(),
        compact_memory(),
        delegate_agent(),
    ]
}

fn ask_user() -> ToolSpec {
    spec(
        "ask_user",
        "Ask the user one question and wait for the answer.",
        "When a decision or a fact only the user has is needed to go on.",
        vec![
            Arg::required("question", Text, "The question, complete in itself."),
            Arg::optional(
                "choices",
                Strings,
                Value::Null,
                "Answers to choose from; free text stays possible.",
            ),
        ],
        (
            "Let the user choose",
            json!({"question": "Which environment?", "choices": ["staging", "production"]}),
        ),
    )
}

fn recall_memory() -> ToolSpec {
    spec(
        "recall_memory",
        "Find earlier conversation spans and notes that are no longer in view, by text, time, tags or people.",
        "Before answering from earlier work, or when the summary of a span is not enough.",
        vec![
            Arg::optional(
                "span_id",
                Text,
                Value::Null,
                "Id or 1-based index of one span to show in full.",
            ),
            Arg::optional("query", Text, Value::Null, "Words to look for."),
            Arg::optional("since", Text, Value::Null, "Earliest time, ISO 8601."),
            Arg::optional("until", Text, Value::Null, "Latest time, ISO 8601."),
            Arg::optional(
                "tags",
                Object,
                Value::Null,
                "Tags a span must carry, name to value.",
            ),
            Arg::optional("tags_mode", Text, "all", "`all` or `any` of the tags."),
            Arg::optional("usernames", Strings, Value::Null, "Authors."),
            Arg::optional("locations", Strings, Value::Null, "Places."),
            Arg::optional("limit_spans", Integer, 5, "Most spans to return."),
            Arg::optional(
                "connected",
                Boolean,
                false,
                "Also return spans linked by topic or person.",
            ),
            Arg::optional("neighbor_hops", Integer, 1, "How far to follow such links."),
            Arg::optional("max_messages", Integer, -1, "Most messages to show; -1 for all."),
            Arg::optional("scope", Text, "run", "`run`, `session`, `global` or `all`."),
            Arg::optional(
                "recall_level",
                Text,
                Value::Null,
                "Effort: `urgent`, `standard` or `deep`.",
            ),
        ],
        (
            "Find a decision",
            json!({"query": "database choice", "scope": "session"}),
        ),
    )
}

fn inspect_vars() -> ToolSpec {
    spec(
        "inspect_vars",
        "Read a variable of a run by its path.",
        "To check the state of this run or of a delegated one.",
        vec![
            Arg::optional("path", Text, "scratchpad", "Dots and [n], or a JSON pointer."),
            Arg::optional("keys_only", Boolean, false, "Only list keys or the length."),
            Arg::optional(
                "target_run_id",
                Text,
                Value::Null,
                "Another run of the same tree.",
            ),
        ],
        (
            "See what there is",
            json!({"path": "scratchpad", "keys_only": true}),
        ),
    )
}

fn remember() -> ToolSpec {
    spec(
        "remember",
        "Tag an archived span, so that it is found again by topic or person.",
        "After a span turned out to matter.",
        vec![
            Arg::required("span_id", Text, "Id or 1-based index of the span."),
            Arg::required("tags", Object, "Tags, name to value."),
            Arg::optional("merge", Boolean, true, "Keep the tags the span already has."),
        ],
        (
            "Tag the first span",
            json!({"span_id": "1", "tags": {"topic": "billing"}}),
        ),
    )
}

fn remember_note() -> ToolSpec {
    spec(
        "remember_note",
        "Store a short note for later recall.",
        "For facts, decisions and preferences that should outlive the conversation in view.",
        vec![
            Arg::required("note", Text, "The note, understandable on its own."),
            Arg::optional("tags", Object, Value::Null, "Tags, name to value."),
            Arg::optional(
                "sources",
                Object,
                Value::Null,
                "Where it comes from: run_id, span_ids, message_ids.",
            ),
            Arg::optional("location", Text, Value::Null, "Place it is about."),
            Arg::optional("scope", Text, "run", "`run`, `session` or `global`."),
        ],
        (
            "Keep a preference",
            json!({"note": "The user wants metric units.", "tags": {"topic": "preferences"}}),
        ),
    )
}

fn compact_memory() -> ToolSpec {
    spec(
        "compact_memory",
        "Replace older messages by a summary; they stay available to recall_memory.",
        "When the conversation grows long and most of it is settled.",
        vec![
            Arg::optional(
                "preserve_recent",
                Integer,
                6,
                "Newest messages to keep as they are.",
            ),
            Arg::optional(
                "compression_mode",
                Text,
                "standard",
                "`light`, `standard` or `heavy`.",
            ),
            Arg::optional("focus", Text, Value::Null, "What the summary must not lose."),
        ],
        ("Keep the open questions", json!({"focus": "open questions"})),
    )
}

fn delegate_agent() -> ToolSpec {
    spec(
        "delegate_agent",
        "Give a self-contained task to a helper agent with its own context and get its answer.",
        "When a part of the work needs much reading of which only the outcome matters.",
        vec![
            Arg::required(
                "task",
                Text,
                "The task, with everything the helper must know to judge success.",
            ),
            Arg::optional("context", Text, "", "Background for the helper."),
            Arg::optional(
                "tools",
                Strings,
                Value::Null,
                "Tools it may use; default: those of this agent.",
            ),
        ],
        (
            "Summarise a folder",
            json!({"task": "List every HTTP route in src/ with its handler.", "tools": ["search_files", "read_file"]}),
        ),
    )
}
