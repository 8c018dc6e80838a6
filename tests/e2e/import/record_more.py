#!/usr/bin/env python3
"""Records `more.zip`: what lies beside runs in a data folder of the Python gateway with users.

As record.py, which it builds on: users mode, the SQLite stores for runs and for the knowledge graph, a connection with
a key, a user with runs of her own, a run that waits in the middle of its memory, a recurrent schedule.

    python3 record_more.py --gateway /path/to/venv/bin/abstractgateway --out DIR
"""

import argparse
import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import record
from record import API, TOKEN, VECTORS, rv

CAROL = "carol-fixture-token-0123456789"
KEY = "sk-fixture-canary-0123456789"


class Gateway(record.Gateway):
    """With users, and the knowledge graph in SQLite."""

    def more_env(self):
        return {
            "ABSTRACTGATEWAY_USER_AUTH": "1", "ABSTRACTGATEWAY_BOOTSTRAP_ADMIN_TOKEN": TOKEN,
            "ABSTRACTGATEWAY_MEMORY_STORE_BACKEND": "sqlite",
        }


def flow(name):
    return json.loads((VECTORS / "cases" / name / "flows/main.json").read_text("utf-8"))


def node(name, id):
    return next(node for node in flow(name)["nodes"] if node["id"] == id)


def pins(node, **defaults):
    node["data"]["pinDefaults"] = dict(node["data"].get("pinDefaults") or {}, **defaults)
    return node


def renamed(node, id):
    return dict(node, id=id)


def memory_flow():
    """Notes and an archived conversation, a question to a person, then what is left of them."""
    note, query = "memory-note-query-run", "memory-compact-rehydrate"
    end = node(note, "end")
    end["data"]["inputs"] = [end["data"]["inputs"][0]] + [
        {"id": id, "label": id, "type": "any"} for id in ("found", "has", "inserted", "skipped")]
    nodes = [
        node(note, "start"), node(note, "n"),
        pins(renamed(node("memory-session-across-runs", "n"), "ns"), content="the shelf is walnut"),
        node(query, "c"), node("ask-free-text", "ask"),
        pins(node(note, "q"), scope="all", query="", limit=9), node(note, "len"), node(note, "has"),
        node(query, "r"), end,
    ]
    wires = [
        "start exec-out n exec-in", "n exec-out ns exec-in", "ns exec-out c exec-in", "c exec-out ask exec-in",
        "ask exec-out q exec-in", "q exec-out r exec-in", "r exec-out end exec-in", "start text n content",
        "c span_id r span_ids", "q span_ids len array", "len result end found", "q rendered has text",
        "has result end has", "r inserted end inserted", "r skipped end skipped",
    ]
    edges = []
    for n, wire in enumerate(wires):
        source, out, target, into = wire.split()
        edges.append({"id": "e%d" % n, "source": source, "sourceHandle": out, "target": target, "targetHandle": into})
    return dict(flow(note), nodes=nodes, edges=edges)


def upload_flow(gateway, bundle, document):
    spec = {"name": bundle, "bundle": {"id": bundle, "version": "1.0.0", "files": {"flows/main.json": json.dumps(document)}}}
    spec = dict(record.vector("ask-free-text")[0], **spec)
    bid, ver, _, content = rv.build_bundle(spec, str(VECTORS / "cases/ask-free-text"))
    status, answer = gateway.http.upload(API + "/bundles/upload", "%s@%s.flow" % (bid, ver), content,
                                         {"overwrite": "true", "reload": "true"})
    assert status == 200, answer


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--gateway", required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("--port", type=int, default=18571)
    parser.add_argument("--upstream-port", type=int, default=18561)
    opts = parser.parse_args()
    opts.store = "sqlite"
    out = Path(opts.out).resolve()
    shutil.rmtree(out, ignore_errors=True)
    work = out / "work"
    home, data, flows = work / "home", work / "data", work / "flows"
    for folder in (home, data, flows):
        folder.mkdir(parents=True)
    upstream = "http://127.0.0.1:%d" % opts.upstream_port
    fake_process = subprocess.Popen([sys.executable, str(VECTORS / "fake_upstream.py"), "--port", str(opts.upstream_port)],
                                    stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(1)
    gateway = Gateway(opts, data, flows, home, opts.port, upstream)
    try:
        take(gateway, out, home, data, flows, upstream, rv.Http(upstream))
    finally:
        fake_process.kill()
        if gateway.process:
            gateway.process.kill()


def take(gateway, out, home, data, flows, upstream, fake):
    gateway.start()
    # Without an agent among the bundles the Python gateway has no model calls for compaction.
    record.upload(gateway, "agent-direct-answer")
    rv.configure(gateway.http, argparse.Namespace(upstream=upstream, provider="openai-compatible", model="gpt-4o-mini"))
    gateway.post("/config/provider-endpoint-profiles", {
        "id": "lab", "display_name": "The lab é", "provider_family": "openai-compatible", "base_url": upstream + "/v1",
        "api_key": KEY, "capabilities": ["text"], "allowed_models": ["gpt-4o-mini"]})
    gateway.post("/config/provider-endpoint-profiles", {
        "id": "keyless", "display_name": "no key", "base_url": "http://127.0.0.1:9/v1"})
    gateway.post("/admin/users", {"user_id": "carol", "token": CAROL})
    gateway.post("/admin/users", {"user_id": "dave"})
    status, answer = gateway.http.call("DELETE", API + "/admin/users/dave")
    assert status == 200, answer
    gateway.post("/session/login", {"user_id": "carol", "token": CAROL})
    runs = {}

    # The knowledge graph.
    for name in ("kg-assert-query-subject", "kg-custom-predicate-duplicates"):
        record.upload(gateway, name)
        runs["ended " + name] = record.start(gateway, name, session="fixture-graph")
        gateway.ends(runs["ended " + name])

    # Memory, archived by the model.
    upload_flow(gateway, "fixture-memory", memory_flow())
    record.script(fake, value={"rules": [{"when": {}, "reply": {"content": "short summary"}}]})
    messages = record.vector("memory-compact-rehydrate")[0]["input_data"]["context"]["messages"]
    runs["memory"] = record.start(gateway, "fixture-memory", bundle="fixture-memory", session="fixture-memory",
                                  text="The wall is teal", context={"task": "t", "messages": messages})
    gateway.rests(runs["memory"], "user")

    # A call that goes through the connection.
    name = "llm-explicit-provider-model"
    record.upload(gateway, name)
    runs["ended lab"] = record.start(gateway, name, prompt="who are you", provider="endpoint:lab", model="gpt-4o-mini")
    gateway.ends(runs["ended lab"])
    assert gateway.summary(runs["ended lab"])["status"] == "completed"

    # Carol's own plane.
    admin, gateway.http = gateway.http, rv.Http(gateway.http.base, CAROL)
    record.upload(gateway, "ask-free-text")
    carols = record.start(gateway, "ask-free-text")
    gateway.rests(carols, "user")
    gateway.http = admin
    gateway.kill()

    gateway.start(runner=False)
    served = record.serve(gateway, data)
    queries = [
        {"scope": "run", "run_id": runs["ended kg-assert-query-subject"]},
        {"scope": "session", "session_id": "fixture-graph"},
        {"scope": "run", "run_id": runs["ended kg-custom-predicate-duplicates"], "order": "asc"},
        {"scope": "all", "all_owners": True, "subject": "EX:ann"},
        {"scope": "run", "run_id": runs["memory"]},
    ]
    graph = [{"query": query, "items": gateway.post("/kg/query", query)["items"]} for query in queries]
    assert any(answer["items"] for answer in graph)
    profiles = gateway.get("/config/provider-endpoint-profiles")["profiles"]
    gateway.kill()
    record.keep(out, data, flows, home)

    # The copy goes on.
    gateway.start()
    actions = [{"run": "memory", "target": runs["memory"], "command_id": "after-0", "type": "resume",
                "payload": {"payload": {"response": "go on"}}, "upstream": None}]
    gateway.command("after-0", runs["memory"], "resume", actions[0]["payload"])
    gateway.ends(runs["memory"])
    after = {label: {"status": gateway.summary(run)["status"], "error": gateway.summary(run)["error"],
                     "ledger": gateway.get("/runs/%s/ledger?limit=2000" % run)["items"]} for label, run in runs.items()}
    gateway.kill()
    (out / "served.json").write_text(json.dumps(
        {"store": "sqlite", "upstream": upstream, "data_dir": str(data), "labels": runs, "pending": [], "answers": {},
         **served, "graph": graph, "profiles": profiles, "carols": carols, "actions": actions, "after": after},
        ensure_ascii=False, indent=1), "utf-8")
    shutil.rmtree(out / "work")
    record.pack(out)


if __name__ == "__main__":
    main()
