//! The page of `cargo xtask report` in a real browser, at a desk and on a phone: it fits, asks nobody for anything, says
//! no error, and can be walked through with a keyboard.
//!
//! Ignored by `cargo test`, since it needs Chromium and the page; `cargo xtask ci` runs it.

mod browser;

use std::path::{Path, PathBuf};

use browser::Browser;

/// A screen: its name, width and height in CSS pixels, and whether it is a phone's.
const SCREENS: [(&str, u32, u32, bool); 2] = [("report", 1280, 900, false), ("report-phone", 375, 812, true)];

fn target() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../target").canonicalize().unwrap()
}

/// What is wrong with a page on a screen.
fn faults(browser: &mut Browser, page: &Path, width: u32, height: u32, is_phone: bool) -> Vec<String> {
    let mut faults = Vec::new();
    browser.open(page, width, height, is_phone);
    let mut check = |holds: bool, fault: String| {
        if !holds {
            faults.push(fault);
        }
    };
    let wide = browser.evaluate("document.documentElement.scrollWidth");
    check(wide.as_u64() <= Some(u64::from(width)), format!("is {wide} wide, not {width}"));
    let small = browser.evaluate(
        "[...document.querySelectorAll('main *')].filter(e => e.checkVisibility() && e.childElementCount == 0 \
         && e.textContent.trim() && parseFloat(getComputedStyle(e).fontSize) < 10).length",
    );
    check(small == 0, format!("{small} texts are too small to read"));
    let landmarks = browser.evaluate("['header', 'nav', 'main', 'footer', 'h1'].filter(t => document.querySelectorAll(t).length != 1).join()");
    check(landmarks == "", format!("has not one {landmarks}"));
    for fault in walk(browser) {
        check(false, fault);
    }
    let light = browser.evaluate("getComputedStyle(document.body).backgroundColor");
    browser.call(
        "Emulation.setEmulatedMedia",
        &serde_json::json!({
            "features": [{ "name": "prefers-color-scheme", "value": "dark" }]
        }),
    );
    let dark = browser.evaluate("getComputedStyle(document.body).backgroundColor");
    check(light != dark, format!("is {light} in the dark too"));
    browser.call("Emulation.setEmulatedMedia", &serde_json::json!({ "features": [] }));
    for request in browser.requests() {
        let is_own =
            request.starts_with("data:") || request.split('#').next() == Some(&browser::address(page));
        check(is_own, format!("asks for {request}"));
    }
    for error in browser.errors() {
        check(false, format!("says {error}"));
    }
    faults
}

/// By Tab and Enter alone: past the skip link into a treemap, into a folder, and back out.
fn walk(browser: &mut Browser) -> Vec<String> {
    let mut faults = Vec::new();
    browser.key("Tab");
    let first = browser.evaluate("document.activeElement.className");
    if first != "skip" {
        faults.push(format!("the first Tab leads to {first}, not to the skip link"));
    }
    browser.key("Enter");
    if !tab_to(browser, "document.activeElement.matches('.cell.folder')") {
        faults.push("no folder of a treemap can be reached".into());
        return faults;
    }
    let outline = browser.evaluate("getComputedStyle(document.activeElement).outlineStyle");
    if outline == "none" {
        faults.push("what has the focus can't be seen".into());
    }
    let name = browser.evaluate("document.activeElement.getAttribute('aria-label') || ''");
    if !name.as_str().unwrap_or_default().ends_with(", open") {
        faults.push(format!("a folder is called {name}"));
    }
    browser.key("Enter");
    let opened = browser.evaluate(
        "(() => { const map = document.querySelector('.map:target'); \
         return map && map.checkVisibility() && !map.closest('.treemap').querySelector('.map.root').checkVisibility() })()",
    );
    if opened != true {
        faults.push("Enter opens no folder".into());
        return faults;
    }
    if !tab_to(browser, "document.activeElement.matches('.path a')") {
        faults.push("there is no way back".into());
        return faults;
    }
    browser.key("Enter");
    if browser.evaluate("document.querySelector('.map.root').checkVisibility()") != true {
        faults.push("the way back leads nowhere".into());
    }
    faults
}

fn tab_to(browser: &mut Browser, condition: &str) -> bool {
    (0..80).any(|_| {
        browser.key("Tab");
        browser.evaluate(condition) == true
    })
}

#[test]
#[ignore = "needs Chromium and `cargo xtask report`; `cargo xtask ci` runs it"]
fn the_page_serves_a_desk_and_a_phone() {
    let Some(mut browser) = Browser::start() else { return };
    let page = target().join("report.html");
    assert!(page.exists(), "{}: run `cargo xtask report`", page.display());
    for (name, width, height, is_phone) in SCREENS {
        let found = faults(&mut browser, &page, width, height, is_phone);
        let picture = target().join(format!("{name}.png"));
        browser.open(&page, width, height, is_phone);
        std::fs::write(&picture, browser.picture()).unwrap();
        assert!(found.is_empty(), "{} at {width} pixels: {}", page.display(), found.join("; "));
    }
}

#[test]
#[ignore = "needs Chromium and `cargo xtask report`; `cargo xtask ci` runs it"]
fn a_page_that_is_broken_is_noticed() {
    let Some(mut browser) = Browser::start() else { return };
    let whole = std::fs::read_to_string(target().join("report.html")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let cases: [(&str, &str, &str); 7] = [
        ("</main>", "<div style=\"width:900px\">x</div></main>", "wide, not 375"),
        ("</main>", "<img src=\"http://127.0.0.1:9/x.png\" alt=\"\"></main>", "says "),
        ("<meta http-equiv", "<img src=\"nowhere.png\" alt=\"\"><meta data-x", "asks for "),
        ("</main>", "<p style=\"font-size:6px\">tiny</p></main>", "too small to read"),
        ("class=\"skip\"", "class=\"gone\"", "not to the skip link"),
        (".map.root, .map:target", ".map.root, .map:hover", "opens no folder"),
        (":focus-visible { outline: 3px", ":focus-visible { outline: 0px none; --x: 3px", "can't be seen"),
    ];
    for (from, to, expect) in cases {
        assert!(whole.contains(from), "{from} is not in the page");
        let page = folder.path().join("report.html");
        std::fs::write(&page, whole.replacen(from, to, 1)).unwrap();
        let found = faults(&mut browser, &page, 375, 812, true).join("; ");
        assert!(found.contains(expect), "{to}: found `{found}`, not `{expect}`");
    }
}
