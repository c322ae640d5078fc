//! Chromium without a window, over the pipe of its DevTools protocol: messages are JSON with a zero byte after each.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use base64::Engine as _;
use serde_json::{Value, json};

/// A browser with one page, which ends with this value.
pub struct Browser {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    session: Option<String>,
    last: u64,
    events: Vec<Value>,
    _profile: tempfile::TempDir,
}

impl Browser {
    /// Starts it, or says why not.
    pub fn start() -> Option<Browser> {
        let profile = tempfile::tempdir().unwrap();
        // It reads from descriptor 3 and writes to 4.
        let line = "exec \"$1\" --headless=new --no-sandbox --disable-gpu --no-first-run --disable-dev-shm-usage \
            --remote-debugging-pipe --user-data-dir=\"$0\" about:blank 3<&0 4>&1 0</dev/null 1>/dev/null";
        let answers = |name: &&&str| {
            Command::new(name).arg("--version").output().is_ok_and(|output| output.status.success())
        };
        let Some(program) = ["chromium", "google-chrome"].iter().find(answers) else {
            println!("skipped: no chromium; on Debian run `apt-get install chromium`");
            return None;
        };
        let mut child = Command::new("sh")
            .args(["-c", line])
            .arg(profile.path())
            .arg(program)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let (input, output) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        let mut browser =
            Browser { child, input, output, session: None, last: 0, events: Vec::new(), _profile: profile };
        let target = browser.call("Target.createTarget", &json!({ "url": "about:blank" }));
        let attach = json!({ "targetId": target["targetId"], "flatten": true });
        browser.session =
            Some(browser.call("Target.attachToTarget", &attach)["sessionId"].as_str().unwrap().into());
        for domain in ["Page", "Network", "Log", "Runtime"] {
            browser.call(&format!("{domain}.enable"), &json!({}));
        }
        Some(browser)
    }

    /// Asks, and waits for the answer; what happens meanwhile is kept.
    pub fn call(&mut self, method: &str, params: &Value) -> Value {
        self.last += 1;
        let mut message = json!({ "id": self.last, "method": method, "params": params });
        if let Some(session) = &self.session {
            message["sessionId"] = session.as_str().into();
        }
        self.input.write_all(format!("{message}\0").as_bytes()).unwrap();
        loop {
            let answer = self.next();
            if answer["id"] == self.last {
                assert!(answer["error"].is_null(), "{method}: {}", answer["error"]);
                return answer["result"].clone();
            }
            self.events.push(answer);
        }
    }

    fn next(&mut self) -> Value {
        let mut bytes = Vec::new();
        self.output.read_until(0, &mut bytes).unwrap();
        assert!(bytes.pop().is_some(), "the browser ended");
        serde_json::from_slice(&bytes).unwrap()
    }

    /// Loads a file on a screen of that size; what was seen of earlier pages is forgotten.
    pub fn open(&mut self, page: &Path, width: u32, height: u32, is_phone: bool) {
        self.call(
            "Emulation.setDeviceMetricsOverride",
            &json!({
                "width": width, "height": height, "deviceScaleFactor": 1, "mobile": is_phone
            }),
        );
        // Another page before, so that the same address is loaded anew.
        for url in ["about:blank", &address(page)] {
            self.events.clear();
            self.call("Page.navigate", &json!({ "url": url }));
            while !self.events.iter().any(|event| event["method"] == "Page.loadEventFired") {
                let event = self.next();
                self.events.push(event);
            }
        }
    }

    /// What an expression of JavaScript comes to; the page itself has none.
    pub fn evaluate(&mut self, expression: &str) -> Value {
        let answer =
            self.call("Runtime.evaluate", &json!({ "expression": expression, "returnByValue": true }));
        assert!(answer["exceptionDetails"].is_null(), "{expression}: {}", answer["exceptionDetails"]);
        answer["result"]["value"].clone()
    }

    /// Presses a key.
    pub fn key(&mut self, key: &str) {
        let (code, text) = if key == "Enter" { (13, "\r") } else { (9, "") };
        for kind in ["keyDown", "keyUp"] {
            let mut params = json!({ "type": kind, "key": key, "code": key, "windowsVirtualKeyCode": code });
            if kind == "keyDown" && !text.is_empty() {
                params["text"] = text.into();
            }
            self.call("Input.dispatchKeyEvent", &params);
        }
    }

    /// The addresses that were asked for since the page was opened.
    pub fn requests(&self) -> Vec<String> {
        self.seen("Network.requestWillBeSent")
            .map(|p| p["request"]["url"].as_str().unwrap().to_string())
            .collect()
    }

    /// The errors since then.
    pub fn errors(&self) -> Vec<String> {
        let logged = self.seen("Log.entryAdded").filter(|p| p["entry"]["level"] == "error");
        let thrown = self.seen("Runtime.exceptionThrown");
        logged.map(|p| p["entry"]["text"].to_string()).chain(thrown.map(ToString::to_string)).collect()
    }

    fn seen(&self, method: &str) -> impl Iterator<Item = &Value> {
        self.events.iter().filter(move |event| event["method"] == method).map(|event| &event["params"])
    }

    /// The whole page as PNG.
    pub fn picture(&mut self) -> Vec<u8> {
        // Chromium draws nothing beyond this.
        let height = self.evaluate("Math.min(document.documentElement.scrollHeight, 8000)");
        let width = self.evaluate("document.documentElement.clientWidth");
        let clip = json!({ "x": 0, "y": 0, "width": width, "height": height, "scale": 1 });
        let params = json!({ "format": "png", "captureBeyondViewport": true, "clip": clip });
        let answer = self.call("Page.captureScreenshot", &params);
        base64::engine::general_purpose::STANDARD.decode(answer["data"].as_str().unwrap()).unwrap()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The address of a file.
pub fn address(page: &Path) -> String {
    format!("file://{}", page.display())
}
