"""A model server for trying things without a model: it repeats what it is asked.

Speaks as much of the OpenAI protocol as the gateway needs: the list of models, chat with and without streaming.
"""

import json
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

MODEL = "echo"
PORT = 8000


def last_words(messages):
    """Text of the newest message of a user."""
    for message in reversed(messages):
        if message.get("role") != "user":
            continue
        content = message.get("content")
        if isinstance(content, list):
            content = " ".join(part.get("text", "") for part in content if isinstance(part, dict))
        return str(content or "")
    return ""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        if self.path.rstrip("/").endswith("/models"):
            self.answer({"object": "list", "data": [{"id": MODEL, "object": "model", "owned_by": "demo"}]})
        elif self.path == "/health":
            self.answer({"status": "ok"})
        else:
            self.answer({"error": {"message": "not found"}}, 404)

    def do_POST(self):
        try:
            body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", "0"))))
            text = "You said: " + last_words(body.get("messages") or [])
        except (ValueError, AttributeError):
            self.answer({"error": {"message": "the request is not JSON"}}, 400)
            return
        if not self.path.rstrip("/").endswith("/chat/completions"):
            self.answer({"error": {"message": "not found"}}, 404)
            return
        usage = {"prompt_tokens": len(str(body)) // 4, "completion_tokens": len(text) // 4}
        usage["total_tokens"] = sum(usage.values())
        head = {"id": "demo", "created": int(time.time()), "model": MODEL}
        if body.get("stream"):
            self.stream(head, text, usage)
            return
        choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}
        self.answer({**head, "object": "chat.completion", "choices": [choice], "usage": usage})

    def stream(self, head, text, usage):
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        for word in text.split(" "):
            self.event(head, {"content": word + " "}, None, None)
            time.sleep(0.02)
        self.event(head, {}, "stop", usage)
        self.wfile.write(b"data: [DONE]\n\n")
        self.close_connection = True

    def event(self, head, delta, reason, usage):
        choice = {"index": 0, "delta": delta, "finish_reason": reason}
        event = {**head, "object": "chat.completion.chunk", "choices": [choice], "usage": usage}
        self.wfile.write(b"data: " + json.dumps(event).encode() + b"\n\n")
        self.wfile.flush()

    def answer(self, value, status=200):
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Prompts are nobody's business."""


if __name__ == "__main__":
    ThreadingHTTPServer(("0.0.0.0", PORT), Handler).serve_forever()
