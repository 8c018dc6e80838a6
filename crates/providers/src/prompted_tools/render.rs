//! Writes tools and earlier calls as text.

use serde_json::{Value, json};

use crate::chat::{ChatMessage, ChatRequest, MessageContent, Role, ToolCall, ToolChoice};

/// Turns tools, calls and results of a request into plain text turns.
pub fn to_prompted(req: &mut ChatRequest) {
    for message in &mut req.messages {
        flatten(message);
    }
    let tools = std::mem::take(&mut req.tools);
    if tools.is_empty() || req.tool_choice == ToolChoice::None {
        return;
    }
    let mut text = String::from("You can use these tools:\n");
    for tool in &tools {
        let line =
            json!({ "name": tool.name, "description": tool.description, "parameters": tool.parameters });
        text.push_str(&line.to_string());
        text.push('\n');
    }
    text.push_str(
        "\nTo use a tool, write a call in exactly this form, one per tool use, and then stop and wait for the result:\n\
         <tool_call>{\"name\": \"<tool name>\", \"arguments\": {<arguments as a JSON object>}}</tool_call>\n\
         Without need for a tool, answer directly.",
    );
    match &req.tool_choice {
        ToolChoice::Required => text.push_str("\nThis time you must use a tool."),
        ToolChoice::Named(name) => text.push_str(&format!("\nThis time you must use the tool {name}.")),
        ToolChoice::Auto | ToolChoice::None => {}
    }
    req.tool_choice = ToolChoice::Auto;
    req.append_system(&text);
}

fn flatten(message: &mut ChatMessage) {
    for call in std::mem::take(&mut message.tool_calls) {
        let markup = format!("<tool_call>{}</tool_call>", call_json(&call));
        message.content.append_text(&markup);
    }
    if message.role == Role::Tool {
        message.role = Role::User;
        let id = message.tool_call_id.take().unwrap_or_default();
        let head = if id.is_empty() {
            "[TOOL RESULT]".to_owned()
        } else {
            format!("[TOOL RESULT {id}]")
        };
        match &mut message.content {
            MessageContent::Text(text) => text.insert_str(0, &format!("{head}: ")),
            MessageContent::Parts(parts) => {
                parts.insert(0, crate::chat::ContentPart::Text(format!("{head}:")));
            }
        }
    }
}

fn call_json(call: &ToolCall) -> Value {
    let arguments = match &call.raw_arguments {
        Some(raw) => Value::String(raw.clone()),
        None => Value::Object(call.arguments.clone()),
    };
    json!({ "name": call.name, "arguments": arguments })
}
