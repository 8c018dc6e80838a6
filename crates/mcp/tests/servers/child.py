"""A tool server over standard streams, written from the protocol's description, for the tests of the client."""
import json
import os
import sys
import time

TOOLS = [
    {"name": "echo", "description": "Says it back", "inputSchema": {
        "type": "object", "properties": {"text": {"type": "string"}, "times": {"type": "integer", "default": 1}},
        "required": ["text"]}},
    {"name": "env", "description": "Names of variables", "inputSchema": {"type": "object", "properties": {}}},
    {"name": "hidden", "description": "Not offered", "inputSchema": {"type": "object"}},
    {"name": "sleep", "description": "Never answers", "inputSchema": {"type": "object"}},
    {"name": "die", "description": "Ends the server", "inputSchema": {"type": "object"}},
    {"name": "draw", "description": "A picture", "inputSchema": {"type": "object"}},
    {"name": "big", "description": "Too much", "inputSchema": {"type": "object"}},
]


def answer(message, result):
    sys.stdout.write(json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": result}) + "\n")
    sys.stdout.flush()


def text(message, words, failed=False):
    answer(message, {"content": [{"type": "text", "text": words}], "isError": failed})


def call(message):
    name, arguments = message["params"]["name"], message["params"].get("arguments", {})
    if name == "echo":
        if not isinstance(arguments.get("text"), str):
            return text(message, "text is missing", failed=True)
        return text(message, arguments["text"] * arguments.get("times", 1))
    if name == "env":
        return text(message, ",".join(sorted(os.environ)))
    if name == "die":
        os._exit(3)
    if name == "big":
        return text(message, "x" * 3_000_000)
    if name == "draw":
        return answer(message, {"content": [{"type": "text", "text": "here"},
                                            {"type": "image", "data": "iVBORw==", "mimeType": "image/png"}]})
    if name == "sleep":
        return None
    sys.stdout.write(json.dumps({"jsonrpc": "2.0", "id": message["id"],
                                 "error": {"code": -32602, "message": "no such tool"}}) + "\n")
    sys.stdout.flush()


print("a word to whom it may concern", file=sys.stderr)
for line in sys.stdin:
    message = json.loads(line)
    method = message.get("method")
    if method == "initialize":
        answer(message, {"protocolVersion": message["params"]["protocolVersion"], "capabilities": {"tools": {}},
                         "serverInfo": {"name": "child", "version": "1"}})
    elif method == "tools/list":
        answer(message, {"tools": TOOLS})
    elif method == "tools/call":
        call(message)
    elif method == "notifications/cancelled" and len(sys.argv) > 1:
        with open(sys.argv[1], "w") as out:
            out.write("cancelled")
    elif "id" in message:
        answer(message, {})
