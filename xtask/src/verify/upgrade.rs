//! From older versions to this one: what they wrote, this opens.
//!
//! An archive in the checkout holds what the oldest program of this format wrote; an image of the last release, where one is
//! given, writes for itself.

use anyhow::{Context as _, Result, ensure};

use super::container::Container;
use super::{Probe, Subject};

/// The promises about upgrades. What a data directory of another format is answered with is `first_start`'s.
pub const PROBES: &[Probe] = &[Probe { name: "opens what older versions wrote", run: upgrades }];

/// A data directory of the first program that wrote this format; crates/server/tests/upgrade/README.md tells how it was made.
const FIRST: &str = "crates/server/tests/upgrade/first.tar.gz";
/// What was asked there, and answered.
const FIRST_READ: &str = include_str!("../../../crates/server/tests/upgrade/read.sql");
const FIRST_ANSWER: &str = include_str!("../../../crates/server/tests/upgrade/answer.txt");

/// One of each thing that is kept in another way.
const WRITE: [&str; 8] = [
    "create schema nest",
    "create table nest.birds (id serial primary key, name text not null unique, seen timestamptz default now())",
    "insert into nest.birds (name) select 'bird ' || n from generate_series(1, 1000) as n",
    "create view rare as select * from nest.birds where id % 100 = 0",
    "create index by_seen on nest.birds (seen)",
    "create role watcher login password 'upgrade-watcher'",
    "grant usage on schema nest to watcher",
    "grant select on nest.birds to watcher",
];

const READ: &str = "select (select count(*) from nest.birds), (select count(*) from rare), \
    (select max(name) from nest.birds), (select count(*) from pg_roles where rolname = 'watcher'), \
    (select count(*) from pg_indexes where indexname = 'by_seen')";

fn upgrades(subject: &Subject) -> Result<()> {
    from_first(subject)?;
    subject.previous.map_or(Ok(()), |previous| from_image(subject, previous))
}

fn from_first(subject: &Subject) -> Result<()> {
    let archive =
        std::fs::read(subject.workspace.root.join(FIRST)).with_context(|| format!("{FIRST}: cannot read"))?;
    let container = Container::start_on(subject, archive)?;
    let holds = |moment: &str| -> Result<()> {
        container.ready()?;
        let answer = container.query(FIRST_READ)?;
        ensure!(answer == FIRST_ANSWER.trim(), "{moment} what the first version wrote is `{answer}`");
        Ok(())
    };
    holds("at first")?;
    container.query("insert into birds (name) values ('new'); delete from birds where name = 'new'")?;
    container.engine.output(&["restart", &container.name])?;
    holds("after a restart")
}

fn from_image(subject: &Subject, previous: &str) -> Result<()> {
    let container = Container::start(&Subject { image: previous, ..*subject }, &[])?;
    container.ready()?;
    for sql in WRITE {
        container.query(sql)?;
    }
    let before = container.query(READ)?;
    ensure!(before.starts_with("1000|10|"), "{previous} itself answers `{before}`");
    // Once as a user should, and once as they do.
    for signal in ["TERM", "KILL"] {
        container.engine.output(&["kill", "--signal", signal, &container.name])?;
        container.wait()?;
        container.engine.output(&["rm", "--force", &container.name])?;
        container.run(subject, &[])?;
        container.ready()?;
        let after = container.query(READ)?;
        ensure!(after == before, "after SIG{signal} and the upgrade it answers `{after}`, not `{before}`");
        container.query(
            "insert into nest.birds (name) values ('new'); delete from nest.birds where name = 'new'",
        )?;
    }
    Ok(())
}
