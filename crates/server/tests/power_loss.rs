//! Loss of power: what a client was told is there afterwards, whatever the disk had not been told to keep.
//!
//! 1. The server runs under strace, which writes down every write, flush and answer in their order.
//! 2. The trace is replayed up to a moment: what was flushed is kept, of the rest each write may be there,
//!    half there, or not there at all.
//!    Checkpoints run meanwhile, so the log starts again more than once.
//! 3. A server is started on what is left. Every row that was acknowledged before that moment must be there,
//!    and all that is there must be whole.

mod common;
#[path = "common/replicas.rs"]
mod replicas;

use common::{Node, run};
use replicas::{compare_files, replica, run_sql, same};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;

const WRITERS: usize = 6;
const ROWS: usize = 60;

/// What happened to one file, in order.
#[derive(Debug)]
enum Event {
    Write {
        file: String,
        at: usize,
        bytes: Vec<u8>,
    },
    /// A flush ends; it covers what was written before it began.
    Flushed {
        file: String,
        begun: usize,
    },
    Acknowledged(BTreeSet<String>),
}

#[test]
fn what_was_acknowledged_survives_a_loss_of_power() {
    loses_power(&[], |_| ());
}

#[test]
fn a_primary_that_lost_power_goes_on_with_its_log() {
    let flags =
        ["-c", "replication_mode=primary", "-c", "replication_user=w", "-c", "replication_password=w"];
    loses_power(&[&flags[..], &["-c", "max_slot_wal_keep_size=1MB"]].concat(), |node| {
        run_sql(node, "INSERT INTO kept VALUES ('later', 'later')");
        let mut replica = replica(&[node.port], &flags[2..]);
        replica.launch();
        same(node, &replica, "SELECT count(*), min(name), max(name) FROM kept");
        compare_files(node, &mut replica);
    });
}

/// Runs a server with these flags, takes its power away at many moments, and lets `check` look at what started then.
fn loses_power(flags: &[&str], check: impl Fn(&mut Node)) {
    if Command::new("strace").arg("-V").output().is_err() {
        println!("skipped: strace isn't installed");
        return;
    }
    let flags = [&["-c", "log_level=error", "-c", "checkpoint_timeout=1s"], flags].concat();
    let mut node = Node::start(&flags);
    run(async {
        let client = node.connect().await;
        client.batch_execute("CREATE TABLE kept (name text PRIMARY KEY, twin text)").await.unwrap();
    });
    node.signal("-TERM");
    node.wait();
    let before = node.directory.path().join("before");
    copy(Path::new(&node.data()), &before);
    let trace = node.directory.path().join("trace");
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "-y", "-xx", "-s", "70000", "-o"]).arg(&trace);
    command.args(["-e", "trace=pwrite64,fdatasync,fsync,sendto"]);
    let server = node.command();
    command.arg(server.get_program()).args(server.get_args());
    let mut child = command.spawn().unwrap();
    common::until("the server to accept connections", || node.ready());
    run(async {
        let mut writers = Vec::new();
        for writer in 0..WRITERS {
            let client = node.connect().await;
            writers.push(tokio::spawn(async move {
                for row in 0..ROWS {
                    let name = format!("key-{writer:02}-{row:04}");
                    let insert = format!("INSERT INTO kept VALUES ('{name}', '{name}') RETURNING name");
                    client.simple_query(&insert).await.unwrap();
                }
            }));
        }
        for writer in writers {
            writer.await.unwrap();
        }
    });
    // A killed strace would leave the server running.
    let children = format!("/proc/{0}/task/{0}/children", child.id());
    let traced = fs::read_to_string(children).unwrap();
    assert!(Command::new("kill").args(["-KILL", traced.trim()]).status().unwrap().success());
    child.wait().unwrap();

    let events = read_trace(&fs::read_to_string(&trace).unwrap());
    let told: Vec<usize> =
        (0..events.len()).filter(|index| matches!(events[*index], Event::Acknowledged(_))).collect();
    assert!(told.len() >= WRITERS * ROWS, "the trace holds only {} answers", told.len());
    let log = events
        .iter()
        .any(|event| matches!(event, Event::Write { file, .. } if file.contains("/replication/log/")));
    assert_eq!(log, flags.contains(&"replication_mode=primary"), "the replication log in the trace");
    let flushes = events.iter().filter(|event| matches!(event, Event::Flushed { .. })).count();
    println!("{} answers, {flushes} flushes", told.len());
    // A few moments right after an answer, each with other luck.
    let moments: Vec<usize> = told.iter().copied().step_by(told.len() / 12).collect();
    for (round, moment) in moments.iter().enumerate() {
        let lost = lost_rows(&mut node, &before, &events[..=*moment], Some(round as u64), &check);
        assert_eq!(lost, BTreeSet::new(), "lost by a loss of power after event {moment}");
    }
    // The check itself: on a disk that ignores flushes rows do get lost.
    let last = told[told.len() - 1];
    let lying: Vec<Event> =
        events.into_iter().take(last + 1).filter(|event| !matches!(event, Event::Flushed { .. })).collect();
    assert!(!lost_rows(&mut node, &before, &lying, None, &|_| ()).is_empty(), "the check finds nothing");
}

/// Starts a server on what the disk may hold, and gives back the acknowledged rows that it doesn't have.
fn lost_rows(
    node: &mut Node,
    before: &Path,
    events: &[Event],
    luck: Option<u64>,
    check: &impl Fn(&mut Node),
) -> BTreeSet<String> {
    let data = node.data();
    let _ = fs::remove_dir_all(&data);
    copy(before, Path::new(&data));
    for (file, bytes) in disk(events, &data, before, luck) {
        fs::write(file, bytes).unwrap();
    }
    let acknowledged: BTreeSet<String> = events
        .iter()
        .filter_map(|event| if let Event::Acknowledged(names) = event { Some(names.clone()) } else { None })
        .flatten()
        .collect();
    node.launch();
    let found: BTreeSet<String> = run(async {
        let client = node.connect().await;
        let rows = client.query("SELECT name, twin FROM kept", &[]).await.unwrap();
        rows.iter()
            .map(|row| {
                assert_eq!(row.get::<_, &str>(0), row.get::<_, &str>(1), "a torn row");
                row.get::<_, String>(0)
            })
            .collect()
    });
    check(node);
    if node.child.is_some() {
        node.signal("-KILL");
        node.wait();
    }
    acknowledged.difference(&found).cloned().collect()
}

/// The files as they lie on the disk after the events; `luck` says which unflushed writes made it.
fn disk(events: &[Event], data: &str, before: &Path, luck: Option<u64>) -> BTreeMap<String, Vec<u8>> {
    let mut files: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    let mut state = luck.unwrap_or(0) | 1;
    let mut chance = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % 3
    };
    for (index, event) in events.iter().enumerate() {
        let Event::Write { file, at, bytes } = event else { continue };
        let flushed = events[index..]
            .iter()
            .any(|later| matches!(later, Event::Flushed { file: f, begun } if f == file && *begun > index));
        let kept = match (flushed, luck) {
            (true, _) => bytes.len(),
            (false, None) => 0,
            (false, Some(_)) => [0, bytes.len() / 2, bytes.len()][chance() as usize],
        };
        let content = files.entry(file.clone()).or_insert_with(|| {
            let relative = Path::new(file).strip_prefix(data).unwrap();
            fs::read(before.join(relative)).unwrap_or_default()
        });
        if kept == 0 {
            continue;
        }
        if content.len() < at + kept {
            content.resize(at + kept, 0);
        }
        content[*at..*at + kept].copy_from_slice(&bytes[..kept]);
    }
    files
}

fn read_trace(text: &str) -> Vec<Event> {
    let mut events = Vec::new();
    let mut begun: BTreeMap<&str, (String, usize)> = BTreeMap::new();
    for line in text.lines() {
        let Some((thread, call)) = line.split_once(' ') else { continue };
        let call = call.trim_start();
        let file = || {
            let path = bytes_of(call.split_once('<')?.1.split_once('>')?.0)?;
            let path = String::from_utf8(path).ok()?;
            let ours = path.contains("/base/") || path.contains("/replication/log/");
            (ours && !path.ends_with("-shm")).then_some(path)
        };
        if call.starts_with("pwrite64(") {
            let (Some(file), Some(bytes)) = (file(), string(call)) else { continue };
            let after = call.rsplit('"').next().unwrap_or_default();
            let numbers: Vec<usize> =
                after.split([',', ')', ' ', '<']).filter_map(|number| number.parse().ok()).collect();
            assert_eq!(numbers.first(), Some(&bytes.len()), "a shortened write in the trace");
            events.push(Event::Write { file, at: numbers[1], bytes });
        } else if call.starts_with("fdatasync(") || call.starts_with("fsync(") {
            let Some(file) = file() else { continue };
            if call.contains("<unfinished") {
                begun.insert(thread, (file, events.len()));
            } else {
                events.push(Event::Flushed { file, begun: events.len() });
            }
        } else if call.contains("sync resumed>") {
            if let Some((file, begun)) = begun.remove(thread) {
                events.push(Event::Flushed { file, begun });
            }
        } else if call.starts_with("sendto(") {
            let answer = String::from_utf8_lossy(&string(call).unwrap_or_default()).into_owned();
            let names: BTreeSet<String> = answer
                .match_indices("key-")
                .filter_map(|(at, _)| answer.get(at..at + 11))
                .map(str::to_owned)
                .collect();
            if !names.is_empty() {
                events.push(Event::Acknowledged(names));
            }
        }
    }
    events
}

/// The bytes of the string in a traced call.
fn string(call: &str) -> Option<Vec<u8>> {
    bytes_of(call.split_once('"')?.1.split_once('"')?.0)
}

fn bytes_of(escaped: &str) -> Option<Vec<u8>> {
    escaped.split("\\x").skip(1).map(|hex| u8::from_str_radix(hex.get(..2)?, 16).ok()).collect()
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}
