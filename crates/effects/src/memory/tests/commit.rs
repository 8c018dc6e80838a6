//! How rows reach the store.

use super::{conversations::other_run, *};

/// The rows of an effect are in the commit of the run that executed it.
#[tokio::test]
async fn rows_ride_on_the_commit() {
    let world = World::new(vec![]);
    let session = SessionId(7);
    let opened = NewSession {
        id: session,
        pool: "default".into(),
        node: "test".to_owned(),
    };
    world.store.open_session(&SYSTEM, opened).await.expect("session");
    let id = other_run(&world, true).await;
    let key = RunKey {
        run: id,
        plane: world.scope.plane,
    };
    let claim = world
        .store
        .claim(&SYSTEM, session, &[key], &[])
        .await
        .expect("claim");
    let claimed = &claim.runs[0];
    let payload = json!({"note": "n", "scope": "global"});
    let answer = handler(&world, EffectKind::MemoryNote)
        .handle(&world.ctx(), &request(EffectKind::MemoryNote, payload))
        .await;
    assert!(matches!(answer.memory.as_slice(), [MemoryRow::Span(_)]));
    let commit = Commit {
        session,
        key,
        epoch: claimed.epoch,
        rev: claimed.rev,
        rest: Rest::Keep,
        seen: 0,
        progress: false,
        pool: None,
        columns: claimed.columns.clone().expect("state"),
        segments: vec![],
        last_seq: 0,
        children: vec![],
        mail: vec![],
        outcomes: vec![],
        artifacts: answer.artifacts,
        owners: answer.owners,
        memory: answer.memory,
    };
    world.store.commit(&SYSTEM, commit).await.expect("commit");
    assert_eq!(
        world
            .store
            .spans(&world.scope, "global_memory")
            .await
            .expect("read")
            .len(),
        1
    );
}
