"""Answers what an orchestrator asks; `--work` and `--migrate` are the same code with other tasks."""

import http.server
import sys
import urllib.request

if "--check" in sys.argv:
    urllib.request.urlopen("http://127.0.0.1:8000/livez", timeout=3)
elif "--migrate" in sys.argv:
    print("nothing to migrate")
elif "--work" in sys.argv:
    print("nothing to work on")
else:
    http.server.ThreadingHTTPServer(("", 8000), http.server.SimpleHTTPRequestHandler).serve_forever()
