//! What can be read must be the same everywhere.

use ag_store::{ArtifactFilter, CandidateQuery, DocumentKind, RunFilter, Store};
use ag_types::{PlaneId, RunKey, RunStatus, TenantScope};

use super::{
    ops::{WAIT_KEYS, all},
    world::{World, text},
};
use crate::build::SYSTEM;

/// A run with its mail and its ledger; how records are cut into segments is the adapter's choice.
async fn run(api: &dyn Store, engine: &dyn Store, scope: &TenantScope, key: RunKey) -> String {
    let page = api.ledger(scope, key.run, 0, 10_000).await.expect("ledger");
    let page = page.map(|page| {
        let records: Vec<_> = page
            .records()
            .map(|(seq, line)| format!("{seq} {line}"))
            .collect();
        (page.status, page.last_seq, records)
    });
    let middle = api.ledger(scope, key.run, 2, 2).await.expect("ledger");
    let middle = middle.map(|page| {
        page.records()
            .map(|(seq, line)| format!("{seq} {line}"))
            .collect::<Vec<_>>()
    });
    let mail = engine.read_mail(&SYSTEM, key, 0).await;
    format!(
        "{} {page:?} {middle:?} {}",
        text(&api.run(scope, key.run).await),
        text(&mail)
    )
}

impl World {
    pub(super) async fn compare_run(&mut self, key: RunKey) {
        let scope = self.scope_of(key);
        all!(self, format!("(run {key:?})"), |backend| {
            run(&*backend.api, &*backend.engine, &scope, key).await
        });
    }

    pub(super) async fn compare_all(&mut self) {
        for key in self.runs.clone() {
            self.compare_run(key).await;
            let scope = self.scope_of(key);
            all!(self, format!("(family of {key:?})"), |backend| {
                format!(
                    "{} {} {} {}",
                    text(&backend.api.children(&scope, key.run).await),
                    text(&backend.api.descendants(&scope, key.run, 3).await),
                    text(&backend.api.descendants(&scope, key.run, 100).await),
                    text(&backend.api.live_below(&scope, key.run).await),
                )
            });
        }
        for scope in self.scopes.clone() {
            self.compare_plane(&scope).await;
        }
        for (scope, id) in self.commands.clone() {
            all!(self, format!("(command {id})"), |backend| {
                text(&backend.api.command(&scope, &id).await)
            });
        }
        let keys = self.runs.clone();
        all!(self, "(tails)".to_owned(), |backend| {
            let tails = backend.api.tails(&SYSTEM, &keys).await;
            text(&tails.map(|mut tails| {
                tails.sort_by_key(|tail| tail.key);
                tails
            }))
        });
        for (pool, limit, after_plane) in [
            ("default", 100, 0),
            ("default", 3, 1),
            ("gpu", 100, 0),
            ("none", 5, 0),
        ] {
            let query = CandidateQuery {
                pool: pool.into(),
                limit,
                after_plane: PlaneId(after_plane),
            };
            all!(self, format!("({query:?})"), |backend| {
                text(&backend.engine.candidates(&SYSTEM, query.clone()).await)
            });
        }
        for session in self.sessions.clone() {
            all!(self, format!("(beat of {session:?})"), |backend| {
                let mut beat = backend
                    .engine
                    .beat(&SYSTEM, session, "default")
                    .await
                    .expect("beat");
                // Where a claim writes nothing, a held run still shows the timer that it was woken by.
                beat.next_wake = None;
                beat.cancels.sort_unstable();
                format!("{beat:?}")
            });
        }
    }

    async fn compare_plane(&mut self, scope: &TenantScope) {
        let filters = [
            RunFilter {
                limit: 100,
                ..RunFilter::default()
            },
            RunFilter {
                limit: 5,
                include_drafts: true,
                root_only: true,
                ..RunFilter::default()
            },
            RunFilter {
                limit: 100,
                status: Some(RunStatus::Waiting),
                ..RunFilter::default()
            },
            RunFilter {
                limit: 7,
                workflow_id: Some("__internal".to_owned()),
                session_id: Some("session-1".to_owned()),
                ..RunFilter::default()
            },
        ];
        for filter in filters {
            all!(self, format!("({filter:?} of {scope:?})"), |backend| {
                text(&backend.api.runs(scope, filter.clone()).await)
            });
        }
        for key in WAIT_KEYS {
            all!(self, format!("(listeners to {key})"), |backend| {
                text(&backend.api.listeners(scope, key).await)
            });
        }
        all!(self, "(rows of the plane)".to_owned(), |backend| {
            let mut lines = vec![
                text(&backend.api.session_listeners(scope, "session-1", 5).await),
                text(&backend.api.generation(scope).await),
                text(&backend.api.artifacts(scope, ArtifactFilter::default()).await),
            ];
            for kind in DocumentKind::ALL {
                lines.push(text(&backend.api.documents(scope, *kind).await));
            }
            for n in 0..4 {
                let id = format!("session_memory_{n}");
                lines.push(text(&backend.api.owner(scope, &id).await));
                let spans = backend.api.spans(scope, &id).await.expect("spans");
                // Numbers rise, that is all.
                lines.extend(spans.into_iter().map(|span| format!("{:?}", span.entry)));
            }
            lines.join("\n")
        });
    }
}
