//! From the last release to this one: what that wrote, this opens.

use anyhow::{Result, ensure};

use super::container::Container;
use super::{Probe, Subject, skip};

/// The promises about upgrades. What a data directory of another format is answered with is `first_start`'s.
pub const PROBES: &[Probe] = &[Probe { name: "opens what the last release wrote", run: upgrades }];

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
    let Some(previous) = subject.previous else {
        return skip("no release to come from: give its image with --previous");
    };
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
