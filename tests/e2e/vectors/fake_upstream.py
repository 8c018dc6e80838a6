#!/usr/bin/env python3
"""Scripted, deterministic stand-in for an OpenAI-compatible model server.

Only the Python standard library is used (3.9+).  It is a test tool: no model
runs here, every reply is computed from a small JSON script, and every request
is logged so that a test can check what was sent upstream.

    python3 fake_upstream.py --port 18161 [--script script.json] [--log requests.jsonl]
    python3 fake_upstream.py --port 0 --port-file port.txt      # a free port, written when ready

Model endpoints (all below /v1, the prefix may be left out):

    GET  /v1/models                      fixed list, see MODELS
    POST /v1/chat/completions            stream true/false, tools, response_format
    POST /v1/completions                 legacy text completion
    POST /v1/embeddings                  8 numbers per text, derived from its words
    POST /v1/images/generations          1x1 PNG, b64_json or url
    POST /v1/images/edits                1x1 PNG
    POST /v1/audio/speech                80 ms of silence, 8 kHz mono WAV
    POST /v1/audio/transcriptions        {"text": "transcript of N bytes"}

Control endpoints (for tests, never called by a gateway):

    GET    /_fake/health                 {"ok": true, "requests": N}
    POST   /_fake/script                 replace the script and reset all counters + log
    POST   /_fake/reset                  reset counters + log, keep the script
    GET    /_fake/log                    {"items": [...]} every model request since reset

The script
----------
A script is a JSON object:

    {"rules": [RULE, ...], "default": REPLY, "models": ["further model id", ...]}

Rules are tried in order; the first that matches and is not used up answers.
Without a match the `default` reply is used; without that, chat echoes the last
user message as "echo: <text>".

RULE:
    {"when": {CONDITIONS}, "times": 1, "reply": REPLY}
    {"when": {CONDITIONS}, "replies": [REPLY, REPLY, ...]}   # one per use, last one repeats

CONDITIONS (all given ones must hold; an empty object always matches):
    endpoint          "chat" (default) | "embeddings" | "images" | "speech"
                      | "transcriptions" | "models" | "completions" | "any"
    last_user         text contained in the last message with role user
    last_user_is      exact text of that message (time/place header removed)
    any               text contained in any message
    system            text contained in any system message
    last_role         role of the last message
    tool_result       text contained in the last message with role tool
    has_tools         true/false: request carries a non-empty `tools`
    tool              a tool of this name is offered
    response_format   true/false: request carries `response_format`
    stream            true/false
    model             exact model id
    turn              number of this request (1 = first) for this endpoint since reset
    min_turn/max_turn the same as a range

REPLY (all fields optional):
    content           assistant text
    json              any JSON value; sent as compact text content
    from_schema       true: content is a JSON value made up from the JSON schema in the
                      request's `response_format` (strings "text", integers 1, numbers 0.5,
                      booleans true, arrays with one item, first enum value)
    tool_calls        [{"name": "...", "arguments": {...} | "raw string", "id": "call_1"}]
    reasoning         text placed in message.reasoning_content
    finish_reason     default "stop", or "tool_calls" when there are tool calls
    usage             {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}
    status            HTTP status other than 200 -> body {"error": {...}}
    error             error message text or object used with `status`
    delay_ms          sleep before answering (capped at 120 000)
    hang              true: hold the connection open for 120 s at most, then close it
    close             true: close the connection without an answer
    raw               string sent verbatim as the body (invalid JSON tests)
    chunks            list of strings: how `content` is cut when streaming
    embedding         explicit vector(s) for an embeddings request
    b64               base64 body for image/speech
    text              text of a transcription

`{{last_user}}` inside `content` is replaced by the last user text (time/place header removed).
Tool call ids default to call_<turn>_<index>.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import os
import re
import struct
import sys
import threading
import time
import zlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

MODELS = [
    "gpt-4o-mini",
    "fake-chat",
    "fake-embed",
    "fake-image",
    "fake-tts",
    "fake-stt",
]
CREATED = 1_700_000_000
USAGE = {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}
MAX_WAIT_S = 120.0
EMBED_DIM = 8
# A gateway may put time/place information in front of user text: either a block
# <runtime_metadata>{...}</runtime_metadata> or one line such as "[2026-01-31T10:00:00 FR]".
HEADER = re.compile(r"^\s*(?:<runtime_metadata>.*?</runtime_metadata>|\[\d{4}[-/][^\]\n]{4,120}\])\s*", re.S)


def png_1x1() -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data) & 0xFFFFFFFF)

    ihdr = struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0)
    idat = zlib.compress(b"\x00\x10\x20\x30", 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", ihdr) + chunk(b"IDAT", idat) + chunk(b"IEND", b"")


def wav_silence(samples: int = 640, rate: int = 8000) -> bytes:
    data = b"\x00\x00" * samples
    fmt = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, rate, rate * 2, 2, 16)
    body = b"WAVE" + fmt + struct.pack("<4sI", b"data", len(data)) + data
    return struct.pack("<4sI", b"RIFF", len(body)) + body


def embed(text: str) -> list:
    """Bag-of-words vector: each lower-case word adds 1 to a bucket chosen by its hash."""
    vec = [0.0] * EMBED_DIM
    for word in re.findall(r"\w+", str(text).lower()):
        h = hashlib.sha256(word.encode("utf-8")).digest()
        vec[h[0] % EMBED_DIM] += 1.0
        vec[h[1] % EMBED_DIM] += 0.5
    norm = sum(v * v for v in vec) ** 0.5
    if norm == 0:
        vec[0] = 1.0
        norm = 1.0
    return [round(v / norm, 6) for v in vec]


def message_text(message) -> str:
    content = message.get("content") if isinstance(message, dict) else None
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        parts = []
        for item in content:
            if isinstance(item, dict) and isinstance(item.get("text"), str):
                parts.append(item["text"])
            elif isinstance(item, dict) and item.get("type"):
                parts.append("<%s>" % item["type"])
        return "\n".join(parts)
    return "" if content is None else str(content)


def from_schema(schema, defs=None, depth: int = 0):
    """A small deterministic instance of a JSON schema."""
    if not isinstance(schema, dict) or depth > 8:
        return None
    defs = defs or schema.get("$defs") or schema.get("definitions") or {}
    ref = schema.get("$ref")
    if isinstance(ref, str):
        return from_schema(defs.get(ref.rsplit("/", 1)[-1]), defs, depth + 1)
    if "const" in schema:
        return schema["const"]
    if isinstance(schema.get("enum"), list) and schema["enum"]:
        return schema["enum"][0]
    for key in ("anyOf", "oneOf", "allOf"):
        options = schema.get(key)
        if isinstance(options, list) and options:
            best = next((o for o in options if isinstance(o, dict) and o.get("type") != "null"), options[0])
            return from_schema(best, defs, depth + 1)
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = next((k for k in kind if k != "null"), "null")
    if kind == "object" or "properties" in schema:
        return {k: from_schema(v, defs, depth + 1) for k, v in (schema.get("properties") or {}).items()}
    if kind == "array":
        return [from_schema(schema.get("items") or {"type": "string"}, defs, depth + 1)]
    return {"string": "text", "integer": 1, "number": 0.5, "boolean": True}.get(kind)


def last_of(messages, role: str) -> str:
    for message in reversed(messages):
        if isinstance(message, dict) and message.get("role") == role:
            return message_text(message)
    return ""


class State:
    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.script = {}
        self.used = {}
        self.turns = {}
        self.log = []
        self.log_path = None

    def load(self, script) -> None:
        if not isinstance(script, dict):
            raise ValueError("script must be a JSON object")
        with self.lock:
            self.script = script
            self._reset_locked()

    def reset(self) -> None:
        with self.lock:
            self._reset_locked()

    def _reset_locked(self) -> None:
        self.used = {}
        self.turns = {}
        self.log = []

    def choose(self, endpoint: str, body: dict, entry: dict):
        """Count the request, log it and return (turn, reply or None)."""
        with self.lock:
            turn = self.turns.get(endpoint, 0) + 1
            self.turns[endpoint] = turn
            entry["turn"] = turn
            self.log.append(entry)
            if self.log_path:
                with open(self.log_path, "a", encoding="utf-8") as fh:
                    fh.write(json.dumps(entry, ensure_ascii=False) + "\n")
            for index, rule in enumerate(self.script.get("rules") or []):
                if not isinstance(rule, dict):
                    continue
                used = self.used.get(index, 0)
                times = rule.get("times")
                if isinstance(times, int) and used >= times:
                    continue
                if not matches(rule.get("when") or {}, endpoint, body, turn):
                    continue
                self.used[index] = used + 1
                replies = rule.get("replies")
                if isinstance(replies, list) and replies:
                    return turn, dict(replies[min(used, len(replies) - 1)])
                return turn, dict(rule.get("reply") or {})
            default = self.script.get("default")
            return turn, dict(default) if isinstance(default, dict) else None


def matches(when: dict, endpoint: str, body: dict, turn: int) -> bool:
    want = when.get("endpoint", "chat")
    if want != "any" and want != endpoint:
        return False
    messages = body.get("messages") if isinstance(body.get("messages"), list) else []
    tools = body.get("tools") if isinstance(body.get("tools"), list) else []
    for key, value in when.items():
        if key == "endpoint":
            continue
        if key == "last_user":
            ok = value in last_of(messages, "user")
        elif key == "last_user_is":
            ok = HEADER.sub("", last_of(messages, "user")).strip() == str(value).strip()
        elif key == "any":
            ok = any(value in message_text(m) for m in messages)
        elif key == "system":
            ok = any(value in message_text(m) for m in messages if isinstance(m, dict) and m.get("role") == "system")
        elif key == "last_role":
            ok = bool(messages) and messages[-1].get("role") == value
        elif key == "tool_result":
            ok = value in last_of(messages, "tool")
        elif key == "has_tools":
            ok = bool(tools) == bool(value)
        elif key == "tool":
            ok = value in [tool_name(t) for t in tools]
        elif key == "response_format":
            ok = bool(body.get("response_format")) == bool(value)
        elif key == "stream":
            ok = bool(body.get("stream")) == bool(value)
        elif key == "model":
            ok = body.get("model") == value
        elif key == "turn":
            ok = turn == value
        elif key == "min_turn":
            ok = turn >= value
        elif key == "max_turn":
            ok = turn <= value
        elif key == "input":
            ok = value in json.dumps(body.get("input"), ensure_ascii=False)
        else:
            ok = False
        if not ok:
            return False
    return True


def tool_name(tool) -> str:
    if not isinstance(tool, dict):
        return ""
    fn = tool.get("function")
    if isinstance(fn, dict):
        return str(fn.get("name") or "")
    return str(tool.get("name") or "")


STATE = State()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "fake-upstream/1"
    # Head and body are written separately: without this a kept connection waits for delayed acknowledgements.
    disable_nagle_algorithm = True

    def log_message(self, *args) -> None:  # quiet
        return

    # -- plumbing --------------------------------------------------------
    def read_body(self) -> bytes:
        try:
            length = int(self.headers.get("Content-Length") or 0)
        except ValueError:
            length = 0
        return self.rfile.read(length) if length > 0 else b""

    def send_bytes(self, status: int, data: bytes, content_type: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def send_json(self, status: int, value) -> None:
        self.send_bytes(status, json.dumps(value, ensure_ascii=False).encode("utf-8"), "application/json")

    def drop(self) -> None:
        self.close_connection = True
        try:
            self.connection.close()
        except OSError:
            pass

    # -- routing ---------------------------------------------------------
    def do_GET(self) -> None:
        path = self.path.split("?", 1)[0].rstrip("/")
        if path == "/_fake/health":
            return self.send_json(200, {"ok": True, "requests": len(STATE.log)})
        if path == "/_fake/log":
            with STATE.lock:
                items = list(STATE.log)
            return self.send_json(200, {"items": items})
        if path in ("/v1/models", "/models"):
            extra = STATE.script.get("models") if isinstance(STATE.script.get("models"), list) else []
            data = [{"id": m, "object": "model", "created": CREATED, "owned_by": "fake"} for m in MODELS + extra]
            return self.send_json(200, {"object": "list", "data": data})
        return self.send_json(404, {"error": {"message": "unknown path", "type": "invalid_request_error"}})

    def do_POST(self) -> None:
        path = self.path.split("?", 1)[0].rstrip("/")
        raw = self.read_body()
        if path == "/_fake/script":
            try:
                STATE.load(json.loads(raw.decode("utf-8") or "{}"))
            except Exception as exc:  # bad script is a test-author error
                return self.send_json(400, {"ok": False, "error": str(exc)})
            return self.send_json(200, {"ok": True})
        if path == "/_fake/reset":
            STATE.reset()
            return self.send_json(200, {"ok": True})

        tail = path[3:] if path.startswith("/v1") else path
        endpoint = {
            "/chat/completions": "chat",
            "/completions": "completions",
            "/embeddings": "embeddings",
            "/images/generations": "images",
            "/images/edits": "images",
            "/audio/speech": "speech",
            "/audio/transcriptions": "transcriptions",
        }.get(tail)
        if endpoint is None:
            return self.send_json(404, {"error": {"message": "unknown path", "type": "invalid_request_error"}})

        body = {}
        if "json" in (self.headers.get("Content-Type") or ""):
            try:
                parsed = json.loads(raw.decode("utf-8") or "{}")
                body = parsed if isinstance(parsed, dict) else {}
            except ValueError:
                return self.send_json(400, {"error": {"message": "body is not JSON", "type": "invalid_request_error"}})
        else:
            body = {"_bytes": len(raw)}
        turn, reply = STATE.choose(endpoint, body, {"endpoint": endpoint, "path": tail, "body": body})
        try:
            self.answer(endpoint, body, turn, reply or {}, scripted=reply is not None)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    # -- answers ---------------------------------------------------------
    def answer(self, endpoint: str, body: dict, turn: int, reply: dict, *, scripted: bool) -> None:
        delay = reply.get("delay_ms")
        if isinstance(delay, (int, float)) and delay > 0:
            time.sleep(min(delay / 1000.0, MAX_WAIT_S))
        if reply.get("hang"):
            time.sleep(MAX_WAIT_S)
            return self.drop()
        if reply.get("close"):
            return self.drop()
        if isinstance(reply.get("raw"), str):
            return self.send_bytes(int(reply.get("status") or 200), reply["raw"].encode("utf-8"), "application/json")
        status = reply.get("status")
        if isinstance(status, int) and status != 200:
            err = reply.get("error")
            if not isinstance(err, dict):
                err = {"message": str(err or "scripted failure"), "type": "server_error", "code": status}
            return self.send_json(status, {"error": err})

        if endpoint == "chat":
            return self.answer_chat(body, turn, reply, scripted)
        if endpoint == "completions":
            text = str(reply.get("content") or "echo: " + str(body.get("prompt") or ""))
            return self.send_json(200, {
                "id": "cmpl-fake-%d" % turn, "object": "text_completion", "created": CREATED,
                "model": body.get("model"), "choices": [{"index": 0, "text": text, "finish_reason": "stop"}],
                "usage": reply.get("usage") or USAGE,
            })
        if endpoint == "embeddings":
            inputs = body.get("input")
            inputs = inputs if isinstance(inputs, list) else [inputs]
            fixed = reply.get("embedding")
            data = []
            for i, text in enumerate(inputs):
                vec = embed(text)
                if isinstance(fixed, list) and fixed:
                    vec = fixed[i % len(fixed)] if isinstance(fixed[0], list) else fixed
                data.append({"object": "embedding", "index": i, "embedding": vec})
            n = sum(len(str(x).split()) for x in inputs)
            return self.send_json(200, {
                "object": "list", "data": data, "model": body.get("model"),
                "usage": {"prompt_tokens": n, "total_tokens": n},
            })
        if endpoint == "images":
            data = base64.b64decode(reply["b64"]) if isinstance(reply.get("b64"), str) else png_1x1()
            n = body.get("n") if isinstance(body.get("n"), int) and body.get("n") > 0 else 1
            item = {"b64_json": base64.b64encode(data).decode("ascii")}
            return self.send_json(200, {"created": CREATED, "data": [dict(item) for _ in range(min(n, 8))]})
        if endpoint == "speech":
            data = base64.b64decode(reply["b64"]) if isinstance(reply.get("b64"), str) else wav_silence()
            return self.send_bytes(200, data, "audio/wav")
        if endpoint == "transcriptions":
            text = str(reply.get("text") or "transcript of %d bytes" % int(body.get("_bytes") or 0))
            return self.send_json(200, {"text": text})

    def answer_chat(self, body: dict, turn: int, reply: dict, scripted: bool) -> None:
        messages = body.get("messages") if isinstance(body.get("messages"), list) else []
        last_user = HEADER.sub("", last_of(messages, "user")).strip()
        content = reply.get("content")
        if reply.get("from_schema"):
            fmt = body.get("response_format") if isinstance(body.get("response_format"), dict) else {}
            schema = fmt.get("json_schema") if isinstance(fmt.get("json_schema"), dict) else {}
            content = json.dumps(from_schema(schema.get("schema") or {}), ensure_ascii=False, separators=(",", ":"))
        elif "json" in reply:
            content = json.dumps(reply["json"], ensure_ascii=False, separators=(",", ":"))
        calls = []
        for i, call in enumerate(reply.get("tool_calls") or []):
            args = call.get("arguments", {})
            calls.append({
                "id": call.get("id") or "call_%d_%d" % (turn, i + 1),
                "type": "function",
                "function": {
                    "name": call.get("name", ""),
                    "arguments": args if isinstance(args, str) else json.dumps(args, ensure_ascii=False),
                },
            })
        if content is None and not calls:
            content = "" if scripted and "content" in reply else "echo: " + last_user
        if isinstance(content, str):
            content = content.replace("{{last_user}}", last_user)
        finish = reply.get("finish_reason") or ("tool_calls" if calls else "stop")
        usage = reply.get("usage") or USAGE
        base = {"id": "chatcmpl-fake-%d" % turn, "created": CREATED, "model": body.get("model")}

        if body.get("stream"):
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.send_header("Connection", "close")
            self.end_headers()
            self.close_connection = True

            def event(delta, finish_reason=None, **extra):
                obj = dict(base, object="chat.completion.chunk",
                           choices=[{"index": 0, "delta": delta, "finish_reason": finish_reason}], **extra)
                self.wfile.write(b"data: " + json.dumps(obj, ensure_ascii=False).encode("utf-8") + b"\n\n")
                self.wfile.flush()

            event({"role": "assistant"})
            pieces = reply.get("chunks")
            if not isinstance(pieces, list):
                text = content or ""
                pieces = [text[i:i + 12] for i in range(0, len(text), 12)]
            for piece in pieces:
                event({"content": str(piece)})
            if calls:
                event({"tool_calls": [dict(c, index=i) for i, c in enumerate(calls)]})
            event({}, finish, usage=usage)
            self.wfile.write(b"data: [DONE]\n\n")
            return

        message = {"role": "assistant", "content": content}
        if calls:
            message["tool_calls"] = calls
        if isinstance(reply.get("reasoning"), str):
            message["reasoning_content"] = reply["reasoning"]
        self.send_json(200, dict(base, object="chat.completion", usage=usage, choices=[
            {"index": 0, "message": message, "finish_reason": finish, "logprobs": None}]))


class Server(ThreadingHTTPServer):
    daemon_threads = True
    # The default backlog of 5 refuses connections when a hundred runs call at once.
    request_queue_size = 256

    def handle_error(self, request, client_address) -> None:
        # Clients that are killed in the middle of a request are what some tests are about.
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


def main(argv=None) -> int:
    ap = argparse.ArgumentParser(description="Scripted OpenAI-compatible test server")
    ap.add_argument("--host", default="127.0.0.1")
    ap.add_argument("--port", type=int, default=18161)
    ap.add_argument("--port-file", help="write the port here once it accepts connections (with --port 0)")
    ap.add_argument("--script", help="JSON script to load at start")
    ap.add_argument("--log", help="append every model request to this JSONL file")
    args = ap.parse_args(argv)
    if args.script:
        with open(args.script, encoding="utf-8") as fh:
            STATE.load(json.load(fh))
    STATE.log_path = args.log
    server = Server((args.host, args.port), Handler)
    port = server.server_address[1]
    if args.port_file:
        with open(args.port_file + ".new", "w", encoding="utf-8") as fh:
            fh.write("%d\n" % port)
        os.replace(args.port_file + ".new", args.port_file)
    print("fake upstream on http://%s:%d/v1" % (args.host, port), flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        pass
    return 0


if __name__ == "__main__":
    sys.exit(main())
