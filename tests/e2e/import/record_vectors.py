#!/usr/bin/env python3
"""Records a data folder in which every vector has run, for `examples/import_recording.rs`; nothing of it is committed.

    python3 record_vectors.py --gateway /path/to/venv/bin/abstractgateway --store file|sqlite --out DIR
"""

import argparse
import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import record
from record import TOKEN, VECTORS, rv


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--gateway", required=True)
    parser.add_argument("--store", choices=["file", "sqlite"], required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("--port", type=int, default=18671)
    parser.add_argument("--upstream-port", type=int, default=18661)
    opts = parser.parse_args()
    out = Path(opts.out).resolve()
    shutil.rmtree(out, ignore_errors=True)
    work = out / "work"
    home, data, flows = work / "home", work / "data", work / "flows"
    for folder in (home, data, flows):
        folder.mkdir(parents=True)
    upstream = "http://127.0.0.1:%d" % opts.upstream_port
    fake = subprocess.Popen([sys.executable, str(VECTORS / "fake_upstream.py"), "--port", str(opts.upstream_port)],
                            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(1)
    gateway = record.Gateway(opts, data, flows, home, opts.port, upstream)
    try:
        gateway.start()
        record.upload(gateway, "agent-direct-answer")
        # Vectors that differ from the recorded ones are of no concern here: whatever was written is imported.
        subprocess.run(
            [sys.executable, str(VECTORS / "run_vectors.py"), "check", "--base-url", gateway.http.base, "--token", TOKEN,
             "--upstream", upstream, "--configure", str(VECTORS / "cases")], check=False)
        gateway.kill()
        gateway.start(runner=False)
        served = record.serve(gateway, data)
        gateway.kill()
        record.keep(out, data, flows, home)
        (out / "served.json").write_text(json.dumps(
            {"store": opts.store, "upstream": upstream, "data_dir": str(data), "labels": {}, **served},
            ensure_ascii=False, indent=1), "utf-8")
        shutil.rmtree(work)
        record.pack(out)
    finally:
        fake.kill()
        if gateway.process and gateway.process.poll() is None:
            gateway.process.kill()


if __name__ == "__main__":
    main()
