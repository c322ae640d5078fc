//! Finding out whether another server was promoted.
//!
//! Every server of a cluster is told where the others may be (`primary_host`). A primary asks them at its start, before
//! it takes a write, and every few seconds from then on. Of two primaries of one history the one with the earlier
//! timeline is fenced: it finds out itself, or the later one tells it. What can't reach each other can't find out;
//! synchronous commits keep an old primary without replicas from acknowledging anything meanwhile.

use super::Role;
use super::receiver::{Ended, Identity, Upstream, identify};
use crate::session::Server;
use crate::sql::error::Result;
use std::time::Duration;

const EVERY: Duration = Duration::from_secs(2);

/// The later timeline of a history at another primary, if one can be reached.
pub fn later(upstream: &Upstream, generation: &str, timeline: u32) -> Option<u32> {
    upstream.targets().iter().find_map(|target| {
        let ask = || -> std::result::Result<Identity, Ended> {
            let mut client = upstream.connect(target)?;
            client.set_patience(Some(EVERY));
            let identity = identify(&mut client)?;
            if identity.role == "primary" && identity.generation == generation && identity.timeline < timeline
            {
                client.query(&format!("FENCE {generation} {timeline}"))?;
                client.event()?;
            }
            Ok(identity)
        };
        let identity = ask().ok()?;
        let newer =
            identity.role == "primary" && identity.generation == generation && identity.timeline > timeline;
        newer.then_some(identity.timeline)
    })
}

/// Asks the others for as long as this is a primary.
pub fn run(server: &Server, upstream: &Upstream) -> Result<()> {
    let replication = &server.replication;
    while !replication.is_ending() && replication.role() == Role::Primary {
        let state = replication.state();
        if let Some(timeline) = later(upstream, &state.generation, state.timeline) {
            return replication.fence(&server.cluster, timeline);
        }
        for _ in 0..20 {
            if replication.is_ending() {
                return Ok(());
            }
            std::thread::sleep(EVERY / 20);
        }
    }
    Ok(())
}
