use serde_json::{Value, json};

use crate::routes::testing::{Keys, modelled};

const ALL: &str = "/api/gateway/models";

/// The answers recorded on the reference for providers that are hosted, unknown, or not named.
#[tokio::test]
async fn hosted_providers_have_no_residency() {
    let (node, _) = modelled(Keys::Sealed, |_| {});
    let model = json!({"provider": "openai-compatible", "model": "m"});
    let listed = node.get(&format!("{ALL}/loaded")).await.json();
    assert_eq!(
        (&listed["ok"], &listed["operation"], &listed["route_available"]),
        (&json!(true), &json!("list_loaded"), &json!(true))
    );
    let load = node.post(&format!("{ALL}/load"), &model).await.json();
    assert_eq!(
        (
            &load["ok"],
            &load["supported"],
            &load["error"],
            &load["loaded_new"]
        ),
        (
            &json!(false),
            &json!(true),
            &json!("AbstractCore provider does not expose load_model(model_name)."),
            &json!(false)
        )
    );
    assert_eq!(
        (
            &load["affected_models"][0]["action"],
            &load["runtime"]["cache_state"]
        ),
        (&json!("load_failed"), &json!("not_cached"))
    );
    let unknown = node
        .post(&format!("{ALL}/load"), &json!({"provider": "nope", "model": "x"}))
        .await
        .json();
    assert_eq!(
        (&unknown["code"], &unknown["supported"]),
        (&json!("model_residency_error"), &json!(false))
    );
    assert!(
        unknown["error"]
            .as_str()
            .expect("text")
            .starts_with("Unknown provider: nope.")
    );
    for body in [json!({}), json!({"runtime_id": "zz"})] {
        let answer = node.post(&format!("{ALL}/unload"), &body).await.json();
        assert_eq!(
            (&answer["ok"], &answer["error"], &answer["unloaded"]),
            (
                &json!(false),
                &json!("model_residency unload requires runtime_id or provider/model"),
                &json!(false)
            )
        );
    }
    for body in [
        model,
        json!({"runtime_id": "local:text_generation:openai-compatible:m"}),
    ] {
        let answer = node.post(&format!("{ALL}/unload"), &body).await.json();
        assert_eq!(
            (
                &answer["ok"],
                &answer["warnings"],
                &answer["affected_models"][0]["action"]
            ),
            (
                &json!(true),
                &json!(["Requested local runtime was not resident."]),
                &json!("not_found")
            )
        );
    }
    let bad = node.post(&format!("{ALL}/load"), &json!({"pin": "maybe"})).await;
    assert_eq!(bad.status.as_u16(), 422);
    assert_ne!(bad.json(), Value::Null);
}
