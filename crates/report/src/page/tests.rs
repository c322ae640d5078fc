use super::*;
use crate::history::tests::run;

const EVIL: &str = "</style></script><script>alert(1)</script>\"'><img src=x onerror=alert(1)>&";

fn page() -> Page {
    page_of(EVIL)
}

fn page_of(name: &str) -> Page {
    let root = Node::of(
        name,
        vec![
            Node::of(format!("layer {name}"), vec![Node::leaf(name, 3_000_000), Node::leaf("b", 1000)]),
            Node::leaf("small", 10),
        ],
    );
    let rows = run("a", &[(name, 2.0, 1.0, 4.0)]).rows;
    let table = Table {
        caption: name.into(),
        head: vec!["Name", "Bytes"],
        numbers: vec![1],
        rows: vec![vec![name.into(), "1".into()]],
    };
    let blocks = vec![
        Block::Text(name.into()),
        Block::Heading(name.into()),
        Block::Table(table),
        Block::Treemap(Treemap { id: "map-0".into(), caption: name.into(), root }),
        Block::Bars(Bars { caption: name.into(), rows }),
        Block::Lines(Lines {
            caption: name.into(),
            unit: "MB",
            moments: vec![name.into(), "b".into(), "c".into()],
            series: vec![(name.into(), vec![Some(2.0), None, Some(4.0)]), ("none".into(), vec![None; 3])],
        }),
        Block::Folded(name.into(), vec![Block::Text("inside".into())]),
    ];
    let section = Section { id: "images", title: "Images", about: name.into(), blocks };
    Page { title: name.into(), facts: vec![(name.into(), name.into())], sections: vec![section] }
}

#[test]
fn whatever_a_file_is_called_it_stays_text() {
    let text = render(&page());
    assert!(!text.contains("<script") && !text.contains("<img"), "{text}");
    assert_eq!(text.matches("</style>").count(), 1);
    assert!(text.matches("&lt;script&gt;").count() > 15, "{text}");
}

#[test]
fn nothing_is_loaded_and_nothing_is_run() {
    let text = render(&page_of("x"));
    for word in ["http://", "https://", "<script", "@import", "url(", " src=", "javascript:"] {
        assert!(!text.contains(word), "{word}");
    }
    assert!(text.contains("default-src 'none'"));
    assert!(text.contains("href=\"data:,\""));
}

#[test]
fn landmarks_and_names() {
    let text = render(&page());
    let check = |expect: &str| assert!(text.contains(expect), "{expect} in\n{text}");
    for landmark in ["<header>", "<nav aria-label=\"Sections\">", "<main id=\"main\">", "<footer>"] {
        check(landmark);
    }
    check("<html lang=\"en\">");
    check("<section id=\"images\" aria-labelledby=\"images-heading\">");
    check("width=device-width");
    check("href=\"#main\"");
    // Every address leads somewhere.
    for link in text.split("href=\"#").skip(1) {
        let id = link.split('"').next().unwrap();
        assert!(text.contains(&format!("id=\"{id}\"")), "#{id} leads nowhere");
    }
}

#[test]
fn parts_of_a_map_can_be_reached_and_say_what_they_are() {
    let text = render(&page());
    let check = |expect: &str| assert!(text.contains(expect), "{expect} in\n{text}");
    check("<div class=\"map root\" id=\"map-0\" tabindex=\"-1\">");
    check("<div class=\"map\" id=\"map-0-0\" tabindex=\"-1\">");
    check("class=\"cell folder\" href=\"#map-0-0\"");
    check("class=\"cell file\" tabindex=\"0\"");
    check("small, 10 B, 0.0 % of");
    check("points=\"0.00,21.00 100.00,2.00\"");
}

/// Web Content Accessibility Guidelines 2.2, 1.4.3 and 1.4.11.
#[test]
fn contrasts() {
    let blocks: Vec<&str> = STYLE.split(":root {").skip(1).map(|b| b.split('}').next().unwrap()).collect();
    assert_eq!(blocks.len(), 2, "light and dark");
    for block in blocks {
        let colour = |name: &str| {
            let at = block.find(&format!("--{name}: #")).unwrap_or_else(|| panic!("no --{name}"));
            let hex = &block[at + name.len() + 5..][..6];
            [0, 2, 4].map(|i| f64::from(u8::from_str_radix(&hex[i..i + 2], 16).unwrap()) / 255.0)
        };
        let check = |text: &str, ground: &str, least: f64| {
            let found = contrast(colour(text), colour(ground));
            assert!(found >= least, "{text} on {ground}: {found:.2}, not {least}");
        };
        for text in ["text", "faint", "link"] {
            check(text, "ground", 4.5);
        }
        check("cell-text", "folder", 4.5);
        check("cell-text", "file", 4.5);
        for (mark, ground) in [
            ("line", "ground"),
            ("bar", "ground"),
            ("focus", "ground"),
            ("focus", "folder"),
            ("focus", "file"),
            ("bar", "spread"),
        ] {
            check(mark, ground, 3.0);
        }
        for number in 0..4 {
            check(&format!("series-{number}"), "ground", 3.0);
        }
    }
}

fn contrast(a: [f64; 3], b: [f64; 3]) -> f64 {
    let luminance = |colour: [f64; 3]| {
        let linear = colour.map(|c| if c <= 0.04045 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) });
        0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    };
    let (a, b) = (luminance(a), luminance(b));
    (a.max(b) + 0.05) / (a.min(b) + 0.05)
}
