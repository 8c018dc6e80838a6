#!/usr/bin/env python3
"""Records the data folders that the import tests read.

Drives the Python gateway 0.2.27 (not part of this repository) over HTTP: uploads vectors as bundles, brings runs to
their waits, kills the process in the middle of a model call, starts it again without a runner, leaves commands
unapplied, keeps what it serves, kills it again. Then a copy of the folder goes on in that gateway itself, which gives
what the import must lead to. See README.md.

    python3 record.py --gateway /path/to/venv/bin/abstractgateway --store file|sqlite --out DIR
"""

import argparse
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
import zipfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
VECTORS = HERE.parent / "vectors"
sys.path.insert(0, str(VECTORS))
import run_vectors as rv  # noqa: E402

API = "/api/gateway"
TOKEN = "import-fixture-token-0123456789"
TERMINAL = {"completed", "failed", "cancelled"}
# Ran to their end before the stop: name -> (input, answers).
ENDED = {
    "subflow-basic": [],
    "llm-basic": [],
    "control-foreach": [],
    "tools-llm-roundtrip": [],
    "agent-one-tool": [],
    "vars-unicode": [],
    "math-float-text": [],
    "math-round-half-even": [],
    "code-exception": [],
    "llm-upstream-400": [],
    "llm-in-loop": [],
    "subflow-child-failed": [],
    "string-format": [],
}


class Gateway:
    def __init__(self, opts, data, flows, home, port, upstream):
        self.opts, self.data, self.flows, self.home, self.port, self.upstream = opts, data, flows, home, port, upstream
        self.process = None
        self.http = rv.Http("http://127.0.0.1:%d" % port, TOKEN)

    def start(self, runner=True):
        env = {
            "PATH": os.environ["PATH"], "HOME": str(self.home), "ABSTRACTGATEWAY_DATA_DIR": str(self.data),
            "ABSTRACTGATEWAY_FLOWS_DIR": str(self.flows), "ABSTRACTGATEWAY_STORE_BACKEND": self.opts.store,
            "ABSTRACTGATEWAY_AUTH_TOKEN": TOKEN, "OPENAI_BASE_URL": self.upstream + "/v1", "OPENAI_API_KEY": "sk-test",
            "ABSTRACTRUNTIME_MAX_INLINE_BYTES": "4096", "ABSTRACTGATEWAY_AUDIT_LOG": "0",
        }
        env.update(self.more_env())
        argv = [self.opts.gateway, "serve", "--host", "127.0.0.1", "--port", str(self.port)]
        log = open(self.home / "gateway.log", "ab")
        self.process = subprocess.Popen(argv if runner else argv + ["--no-runner"], env=env, stdout=log, stderr=log,
                                        cwd=str(self.home))
        for _ in range(600):
            try:
                if self.http.call("GET", "/api/health", timeout=2)[0] == 200:
                    return
            except OSError:
                pass
            time.sleep(0.2)
        raise SystemExit("the gateway does not come up")

    def more_env(self):
        return {}

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def get(self, path):
        status, body = self.http.call("GET", API + path)
        assert status == 200, (path, status, body)
        return body

    def post(self, path, body, expect=200):
        status, answer = self.http.call("POST", API + path, body)
        assert status == expect, (path, status, answer)
        return answer

    def raw(self, path):
        import urllib.request
        req = urllib.request.Request(self.http.base + API + path, headers={"Authorization": "Bearer " + TOKEN})
        with urllib.request.urlopen(req, timeout=60) as resp:
            return resp.read()

    def command(self, command_id, run, kind, payload):
        return self.post("/commands", {"command_id": command_id, "run_id": run, "type": kind, "payload": payload,
                                       "client_id": "fixture"})

    def until(self, what, check, limit=60):
        end = time.monotonic() + limit
        while time.monotonic() < end:
            found = check()
            if found:
                return found
            time.sleep(0.1)
        raise SystemExit("no " + what)

    def summary(self, run):
        return self.get("/runs/" + run)

    def rests(self, run, reason=None):
        def check():
            summary = self.summary(run)
            wait = summary.get("waiting") or {}
            return summary if summary["status"] == "waiting" and reason in (None, wait.get("reason")) else None
        return self.until("wait of " + run, check)

    def ends(self, run, limit=60):
        return self.until("end of " + run, lambda: (lambda s: s if s["status"] in TERMINAL else None)(self.summary(run)),
                          limit)

    def settles(self, run):
        """Waits until nothing has been appended for a while."""
        last = None
        for _ in range(40):
            now = len(self.get("/runs/%s/ledger?limit=2000" % run)["items"]), self.summary(run)["status"]
            if now == last:
                return
            last = now
            time.sleep(0.5)

    def children(self, run):
        items = self.get("/runs?limit=500&include_drafts=true")["items"]
        return [item for item in items if item["parent_run_id"] == run]

    def asker(self, run):
        """The run that waits for a person, down the waits: a run that was begun twice has children nobody waits for."""
        def check():
            current = self.summary(run)
            while True:
                wait = current.get("waiting") or {}
                if wait.get("reason") == "user":
                    return current["run_id"]
                child = (wait.get("details") or {}).get("sub_run_id")
                if not child:
                    return None
                current = self.summary(child)
        return self.until("question below " + run, check)


def vector(name):
    folder = VECTORS / "cases" / name
    return json.loads((folder / "vector.json").read_text("utf-8")), folder


def upload(gateway, name, edit=None, version="1.0.0", bundle=None):
    spec, folder = vector(name)
    if bundle or edit:
        spec = dict(spec)
        spec["bundle"] = dict(spec.get("bundle") or {}, id=bundle or "vec-" + name, version=version)
    if edit:
        files = {}
        for path in sorted((folder / "flows").iterdir()):
            files["flows/" + path.name] = edit(path.read_text("utf-8"))
        spec["bundle"]["files"] = files
    bid, ver, _, content = rv.build_bundle(spec, str(folder))
    status, answer = gateway.http.upload(API + "/bundles/upload", "%s@%s.flow" % (bid, ver), content,
                                         {"overwrite": "true", "reload": "true"})
    assert status == 200, (name, status, answer)
    return bid


def start(gateway, vector_name, bundle=None, flow="main", session=None, **inputs):
    body = {"bundle_id": bundle or "vec-" + vector_name, "flow_id": flow,
            "input_data": inputs or vector(vector_name)[0].get("input_data", {})}
    if session:
        body["session_id"] = session
    return gateway.post("/runs/start", body)["run_id"]


def script(fake, name=None, value=None):
    value = value if value is not None else (vector(name)[0].get("upstream") or {"rules": []})
    fake.call("POST", "/_fake/script", value)
    return value


def run_ids(data):
    base = data / "gateway.sqlite3"
    if base.exists():
        with sqlite3.connect("file:%s?mode=ro" % base, uri=True) as db:
            return sorted(row[0] for row in db.execute("SELECT run_id FROM runs"))
    return sorted(path.stem[4:] for path in data.glob("run_*.json"))


def serve(gateway, data):
    """What a client sees of every run now."""
    out = {"ledgers": {}, "runs": {}, "input_data": {}, "artifacts": {}}
    for run in run_ids(data):
        out["ledgers"][run] = gateway.raw("/runs/%s/ledger?limit=2000" % run).decode("utf-8")
        out["runs"][run] = gateway.summary(run)
        if not run.startswith("session_memory"):
            out["input_data"][run] = gateway.get("/runs/%s/input_data" % run)
        items = gateway.get("/runs/%s/artifacts?limit=500" % run)["items"]
        rows = {}
        import hashlib
        for item in items:
            content = gateway.raw("/runs/%s/artifacts/%s/content" % (run, item["artifact_id"]))
            rows[item["artifact_id"]] = {"content_type": item["content_type"], "size_bytes": item["size_bytes"],
                                         "tags": item["tags"], "created_at": item["created_at"],
                                         "sha256": hashlib.sha256(content).hexdigest()}
        out["artifacts"][run] = rows
    return out


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--gateway", required=True)
    parser.add_argument("--store", choices=["file", "sqlite"], required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("--port", type=int, default=18471)
    parser.add_argument("--upstream-port", type=int, default=18461)
    opts = parser.parse_args()
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
    fake = rv.Http(upstream)
    gateway = Gateway(opts, data, flows, home, opts.port, upstream)
    try:
        record(gateway, opts, out, home, data, flows, upstream, fake)
    finally:
        fake_process.kill()
        if gateway.process:
            gateway.process.kill()


def record(gateway, opts, out, home, data, flows, upstream, fake):
    gateway.start()
    runs = {}
    upload(gateway, "agent-direct-answer")
    rv.configure(gateway.http, argparse.Namespace(upstream=upstream, provider="openai-compatible", model="gpt-4o-mini"))

    for name in ENDED:
        upload(gateway, name)
        script(fake, name)
        runs["ended " + name] = start(gateway, name)
        gateway.ends(runs["ended " + name])
    # A text that the ledger takes out of line.
    upload(gateway, "answer-user")
    runs["ended large"] = start(gateway, "answer-user", m="large é " * 800)
    gateway.ends(runs["ended large"])
    upload(gateway, "ask-cancel")
    runs["ended cancelled"] = start(gateway, "ask-cancel")
    gateway.rests(runs["ended cancelled"])
    gateway.command("cancel-1", runs["ended cancelled"], "cancel", {"reason": "user left"})
    gateway.ends(runs["ended cancelled"])
    upload(gateway, "memory-session-across-runs")
    runs["ended memory"] = start(gateway, "memory-session-across-runs", session="fixture-memory", text="buy walnut shelves")
    gateway.ends(runs["ended memory"])

    # Waits.
    def waiting(label, name, reason=None, edit=None, bundle=None, **more):
        upload(gateway, name, edit=edit, bundle=bundle)
        runs[label] = start(gateway, name, bundle=bundle, **more)
        gateway.rests(runs[label], reason)

    waiting("ask", "ask-free-text")
    waiting("ask pending", "ask-free-text")
    waiting("ask duplicate", "ask-free-text")
    waiting("ask choices, bundle gone", "ask-choices")
    waiting("loop", "ask-in-loop-same-prompt")
    gateway.command("loop-1", runs["loop"], "resume", {"payload": {"response": "r1"}})
    gateway.until("second question", lambda: len(gateway.get("/runs/%s/ledger?limit=99" % runs["loop"])["items"]) >= 5)
    gateway.rests(runs["loop"])
    waiting("approve", "tools-approval-approved")
    waiting("deny", "tools-approval-denied")
    waiting("child asks", "subflow-child-asks-user", "subworkflow")
    waiting("child ended, parent paused", "subflow-child-asks-user", "subworkflow")
    paused = runs["child ended, parent paused"]
    child = gateway.asker(paused)
    gateway.command("pause-parent", paused, "pause", {"reason": "maintenance"})
    gateway.until("pause", lambda: gateway.summary(paused)["paused"])
    gateway.command("answer-child", child, "resume", {"payload": {"response": "teal"}})
    gateway.ends(child)
    waiting("event", "wait-event-by-key", "event")
    waiting("paused event", "pause-event-wait", "event", session="fixture-paused", key="evt:session:fixture-paused:go")
    gateway.command("pause-1", runs["paused event"], "pause", {"reason": "maintenance"})
    gateway.until("pause", lambda: gateway.summary(runs["paused event"])["paused"])
    waiting("pending event", "pause-event-wait", "event", session="fixture-event", key="evt:session:fixture-event:go")
    upload(gateway, "event-external-emit")
    runs["listener root"] = start(gateway, "event-external-emit", session="fixture-listener", p={"n": 1})
    gateway.ends(runs["listener root"])
    gateway.settles(runs["listener root"])
    runs["listener"] = gateway.children(runs["listener root"])[0]["run_id"]
    gateway.rests(runs["listener"], "event")
    soon = lambda text: text.replace('"hours"', '"seconds"').replace('"duration": 5', '"duration": 60')
    waiting("timer", "timer-long-cancel", "until", edit=soon, bundle="vec-timer")
    waiting("timer cancelled", "timer-long-cancel", "until")
    for label in ("agent approval", "agent question"):
        name = {"agent approval": "agent-approval-approved", "agent question": "agent-ask-user"}[label]
        upload(gateway, name)
        # Whatever the number of the request: a run may be begun twice.
        first = vector(name)[0]["upstream"]["rules"][0]["reply"]
        script(fake, value={"rules": [{"when": {"last_role": "user"}, "reply": first},
                                      {"when": {}, "reply": {"content": "done"}}]})
        runs[label] = start(gateway, name)
        gateway.asker(runs[label])
    # Schedules: one waits for its second execution, one for its first.
    upload(gateway, "scheduled-repeat-count")
    scheduled = {"bundle_id": "vec-scheduled-repeat-count", "flow_id": "main", "input_data": {"prompt": "tick", "n": 1}}
    runs["schedule"] = gateway.post("/runs/schedule", dict(scheduled, start_at="now", interval="1h", repeat_count=2))["run_id"]
    gateway.until("execution", lambda: gateway.children(runs["schedule"]))
    gateway.rests(runs["schedule"], "until")
    runs["schedule faster"] = gateway.post("/runs/schedule", dict(scheduled, start_at="now", interval="2h", repeat_count=2,
                                                                  share_context=False))["run_id"]
    gateway.until("execution", lambda: gateway.children(runs["schedule faster"]))
    gateway.rests(runs["schedule faster"], "until")
    runs["schedule later"] = gateway.post("/runs/schedule", dict(scheduled, start_at="2099-01-01T00:00:00Z"))["run_id"]
    gateway.rests(runs["schedule later"], "until")
    # Things beside runs.
    drawn = json.loads((VECTORS / "cases/ask-free-text/flows/main.json").read_text("utf-8"))
    drawn.pop("id")
    gateway.post("/visualflows", dict(drawn,
                                      name="Imported é", description="from the editor"))
    gateway.post("/bundles/vec-string-format/deprecate", {"reason": "replaced"})
    status, answer = gateway.http.upload(API + "/attachments/upload", "note.txt", "attached text é".encode("utf-8"),
                                         {"session_id": "fixture-memory", "filename": "note.txt", "content_type": "text/plain"})
    assert status == 200, answer
    status, answer = gateway.http.call("DELETE", API + "/bundles/vec-ask-choices")
    assert status == 200, answer

    # Killed inside a model call.
    upload(gateway, "llm-system-and-params")
    script(fake, value={"rules": [{"when": {}, "reply": {"hang": True}}]})
    runs["killed in a call"] = start(gateway, "llm-basic", prompt="Say hi")
    gateway.until("call", lambda: any(record["status"] == "started" for record in
                                      gateway.get("/runs/%s/ledger?limit=99" % runs["killed in a call"])["items"]))
    gateway.kill()

    # Without a runner nothing moves: commands stay unapplied, new runs at their first node.
    gateway.start(runner=False)
    pending = [
        ("pending-answer", runs["ask pending"], "resume", {"payload": {"response": "from the queue"}}),
        ("pending-cancel", runs["timer cancelled"], "cancel", {"reason": "no longer needed"}),
        ("pending-event", runs["pending event"], "emit_event",
         {"name": "go", "session_id": "fixture-event", "payload": {"n": 7}}),
        ("pending-unknown", "00000000-0000-4000-8000-000000000000", "cancel", {}),
        ("pending-ended", runs["ended llm-basic"], "cancel", {}),
        ("pending-duplicate", runs["ask duplicate"], "resume", {"payload": {"response": "once"}}),
        ("pending-refused", runs["ask"], "resume", {"wait_key": "user:another", "payload": {"response": "no"}}),
    ]
    answers = {command[0]: gateway.command(*command) for command in pending}
    answers["again"] = gateway.command(*pending[5])
    runs["not yet begun"] = start(gateway, "control-foreach")
    runs["not yet begun, with listener"] = start(gateway, "event-external-emit", session="fixture-late", p={"n": 2})
    served = serve(gateway, data)
    gateway.kill()
    keep(out, data, flows, home)

    # The copy goes on.
    script(fake, value={"rules": [{"when": {"last_user_is": "Say hi"}, "reply": {"content": "hi there"}}]})
    gateway.start()
    actions = []

    def act(label, run, kind, payload, upstream_script=None, rest=None):
        if upstream_script is not None:
            script(fake, value=upstream_script)
        command_id = "after-%d" % len(actions)
        gateway.command(command_id, run, kind, payload)
        actions.append({"run": label, "target": run, "command_id": command_id, "type": kind, "payload": payload,
                        "upstream": upstream_script})
        if rest:
            rest()
        else:
            gateway.ends(runs[label])

    gateway.ends(runs["killed in a call"])
    gateway.ends(runs["timer"], 90)
    gateway.ends(runs["not yet begun"])
    gateway.ends(runs["ask pending"])
    gateway.ends(runs["pending event"])
    act("ask", runs["ask"], "resume", {"payload": {"response": "blue"}})
    act("loop", runs["loop"], "resume", {"payload": {"response": "r2"}})
    act("approve", runs["approve"], "resume", {"payload": {"approved": True}})
    act("deny", runs["deny"], "resume", {"payload": {"approved": False, "reason": "not today"}})
    act("child asks", gateway.asker(runs["child asks"]), "resume", {"payload": {"response": "teal"}})
    act("child ended, parent paused", paused, "resume", {})
    act("event", runs["event"], "resume", {"payload": {"paid": True, "n": 3}})
    act("paused event", runs["paused event"], "resume", {},
        rest=lambda: gateway.until("un-pause", lambda: not gateway.summary(runs["paused event"])["paused"]))
    act("paused event", runs["paused event"], "emit_event",
        {"name": "go", "session_id": "fixture-paused", "payload": {"n": 2}})
    before = len(gateway.get("/runs/%s/ledger?limit=99" % runs["listener"])["items"])
    act("listener", "fixture-listener", "emit_event",
        {"name": "ping", "session_id": "fixture-listener", "payload": {"ext": "yes"}},
        rest=lambda: gateway.until("event", lambda: len(
            gateway.get("/runs/%s/ledger?limit=99" % runs["listener"])["items"]) >= before + 3))
    gateway.settles(runs["listener"])
    act("agent approval", gateway.asker(runs["agent approval"]), "resume", {"payload": {"approved": True}},
        {"rules": [{"when": {}, "reply": {"content": "written"}}]})
    act("agent question", gateway.asker(runs["agent question"]), "resume", {"payload": {"response": "the blue one"}},
        {"rules": [{"when": {}, "reply": {"content": "thanks"}}]})
    act("schedule", runs["schedule"], "resume", {})
    act("schedule faster", runs["schedule faster"], "update_schedule", {"interval": "1s"})
    act("schedule later", runs["schedule later"], "cancel", {"reason": "no longer needed"})
    for label in ("not yet begun, with listener",):
        gateway.settles(runs[label])
    after = {}
    for label, run in runs.items():
        after[label] = {"status": gateway.summary(run)["status"], "error": gateway.summary(run)["error"],
                        "ledger": gateway.get("/runs/%s/ledger?limit=2000" % run)["items"],
                        "children": len(gateway.children(run))}
    gateway.kill()
    (out / "served.json").write_text(json.dumps(
        {"store": opts.store, "upstream": upstream, "data_dir": str(data), "labels": runs, "pending": pending, "answers": answers, **served,
         "actions": actions, "after": after},
        ensure_ascii=False, indent=1), "utf-8")
    shutil.rmtree(out / "work")
    pack(out)


def keep(out, data, flows, home):
    shutil.copytree(data, out / "data", symlinks=True)
    shutil.copytree(flows, out / "flows")
    shutil.copytree(home, out / "home", ignore=shutil.ignore_patterns("*.log", ".cache"))


def pack(out):
    """The archive that the tests read; without secrets and what can be derived."""
    left_out = {"artifact_catalog.sqlite3", ".workflow_policy_secret", "gateway.sqlite3-shm"}
    with zipfile.ZipFile(str(out) + ".zip", "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        paths = [p for top in ("data", "flows", "home") for p in sorted((out / top).rglob("*")) if p.is_file()]
        for path in paths + [out / "served.json"]:
            name = str(path.relative_to(out))
            if path.name not in left_out and "/abstractcore/" not in name and not name.endswith(".log"):
                info = zipfile.ZipInfo(name, date_time=(2026, 1, 1, 0, 0, 0))
                info.compress_type = zipfile.ZIP_DEFLATED
                archive.writestr(info, path.read_bytes())


if __name__ == "__main__":
    main()
