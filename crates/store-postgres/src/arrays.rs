//! Array parameters: rows of a batch turned into one array per column.

use ag_store::{NewRun, OutMail, Placement, RunColumns, Segment};
use sqlx::{Postgres, postgres::PgArguments, query::Query};
use uuid::Uuid;

use crate::stamp::Stamp;

/// A statement under construction.
pub(crate) type Statement<'q> = Query<'q, Postgres, PgArguments>;

/// A struct of column vectors that binds them in the order of its fields.
macro_rules! arrays {
    ($(#[$meta:meta])* $name:ident { $($field:ident: $type:ty),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Default)]
        pub(crate) struct $name<'a> {
            $(pub(crate) $field: Vec<$type>,)+
        }
        impl $name<'_> {
            /// Binds every column.
            pub(crate) fn bind<'q>(&self, statement: $crate::arrays::Statement<'q>) -> $crate::arrays::Statement<'q> {
                statement$(.bind(&self.$field))+
            }
        }
    };
}
pub(crate) use arrays;

arrays! {
    /// States of runs, as the functions of the schema take them.
    States {
        status: &'a str, node: &'a str, wait_reason: Option<&'a str>, wait_key: Option<&'a str>,
        wait_until: Option<Stamp>, paused: bool, error: Option<&'a str>, lifecycle: Option<&'a str>, steps: i32,
        llm: i32, tool: i32, tokens: i64, updated: Stamp, wait: Option<&'a str>, vars: &'a str, meta: &'a str,
        output: Option<&'a str>,
    }
}

impl<'a> States<'a> {
    pub(crate) fn push(&mut self, columns: &'a RunColumns) {
        self.status.push(columns.status.as_str());
        self.node.push(&columns.current_node);
        self.wait_reason
            .push(columns.wait_reason.map(|reason| reason.as_str()));
        self.wait_key.push(columns.wait_key.as_deref());
        self.wait_until.push(columns.wait_until.map(Stamp));
        self.paused.push(columns.paused);
        self.error.push(columns.error.as_deref());
        self.lifecycle.push(columns.lifecycle.as_deref());
        self.steps.push(columns.counters.steps);
        self.llm.push(columns.counters.llm_calls);
        self.tool.push(columns.counters.tool_calls);
        self.tokens.push(columns.counters.tokens_total);
        self.updated.push(columns.updated_at.into());
        self.wait.push(columns.wait.as_deref());
        self.vars.push(&columns.vars);
        self.meta.push(&columns.meta);
        self.output.push(columns.output.as_deref());
    }
}

arrays! {
    /// Ledger segments.
    Segments { ix: i32, run: Uuid, first: i64, last: i64, records: &'a str }
}

impl<'a> Segments<'a> {
    pub(crate) fn push(&mut self, ix: i32, run: Uuid, segments: &'a [Segment]) {
        for segment in segments {
            self.ix.push(ix);
            self.run.push(run);
            self.first.push(segment.first_seq);
            self.last.push(segment.last_seq);
            self.records.push(&segment.lines);
        }
    }
}

arrays! {
    /// Mail to send.
    Letters { ix: i32, run: Uuid, kind: &'a str, body: &'a str, command: Option<&'a str> }
}

impl<'a> Letters<'a> {
    pub(crate) fn push(&mut self, ix: i32, mail: &'a [OutMail]) {
        for mail in mail {
            self.ix.push(ix);
            self.run.push(mail.to.0);
            self.kind.push(mail.kind.as_str());
            self.body.push(&mail.body);
            self.command.push(mail.command_id.as_deref());
        }
    }
}

/// Placement of a new run in columns.
pub(crate) struct Place {
    pub(crate) name: &'static str,
    pub(crate) owner: Option<i64>,
    pub(crate) epoch: i64,
    pub(crate) wake: Option<Stamp>,
}

impl From<Placement> for Place {
    fn from(placement: Placement) -> Self {
        let (name, owner, epoch, wake) = match placement {
            Placement::Ready => ("ready", None, 0, None),
            Placement::Held { session, epoch } => ("held", Some(session.0), epoch, None),
            Placement::Rest { wake_at } => ("rest", None, 0, wake_at.map(Stamp)),
            Placement::Terminal => ("terminal", None, 0, None),
        };
        Self {
            name,
            owner,
            epoch,
            wake,
        }
    }
}

/// Bytes of a state and its records, roughly.
pub(crate) fn weight(
    columns: &RunColumns,
    segments: &[Segment],
    mail: &[OutMail],
    children: &[NewRun],
) -> usize {
    let texts = [&columns.wait, &columns.output, &columns.lifecycle];
    let texts: usize = texts.into_iter().flatten().map(|text| text.len()).sum();
    let segments: usize = segments.iter().map(|segment| segment.lines.len()).sum();
    let mail: usize = mail.iter().map(|mail| mail.body.len()).sum();
    let children: usize = children
        .iter()
        .map(|child| weight(&child.columns, &child.segments, &[], &[]))
        .sum();
    256 + columns.vars.len() + columns.meta.len() + texts + segments + mail + children
}
