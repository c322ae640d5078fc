//! HAProxy before servers that tell their roles: writes go to the one primary, reads to the replicas.
//!
//! The roles are asked for every second, so that after a failover clients go on without a change. Two primaries at
//! once are a mistake of whoever promoted one while the other lived: then nobody may write, since half of what is
//! written would be lost.

use super::Stack;

/// A server that just got its address counts as up until it was asked, if nothing else is said: a replica that
/// returns would be a second primary for a second, and every client turned away.
const UNASKED: &str = "    .if version_atleast(3.1.0)
    default-server init-state down
    .endif
";

/// The configuration for these servers: a label, and where it is reached.
pub fn render(stack: &Stack, servers: &[(String, String)]) -> String {
    let Some((_, first, port)) = stack.databases().first().copied() else { return String::new() };
    let http = first.http.as_ref();
    let (check, primary, replica) = http.map_or((0, "", ""), |http| {
        (http.port, http.primary.as_deref().unwrap_or_default(), http.replica.as_deref().unwrap_or_default())
    });
    let servers: String =
        servers.iter().map(|(label, host)| format!("    server {label} {host}:{}\n", port.port)).collect();
    let mark = super::MARK;
    format!(
        "# {mark}
global
    log stdout format raw local0 notice
    maxconn 4000

defaults
    mode tcp
    log global
    timeout connect 3s
    timeout check 2s
    # A session may think for long; what is dead is found by keepalives.
    timeout client 1h
    timeout server 1h
    option clitcpka
    option srvtcpka
    option redispatch

resolvers system
    parse-resolv-conf
    resolve_retries 2
    timeout resolve 1s
    timeout retry 1s
    hold valid 1s
    hold nx 3s

frontend write
    bind :5432
    # Two primaries: whatever one takes, the other misses.
    tcp-request connection reject if {{ nbsrv(primary) gt 1 }}
    default_backend primary

frontend read
    bind :5433
    use_backend replicas if {{ nbsrv(replicas) ge 1 }}
    default_backend primary

backend primary
    option httpchk
    http-check send meth GET uri {primary}
    http-check expect status 200
    default-server port {check} inter 1s fall 2 rise 1 on-marked-down shutdown-sessions init-addr last,libc,none resolvers system check
{UNASKED}{servers}
backend replicas
    balance leastconn
    option httpchk
    http-check send meth GET uri {replica}
    http-check expect status 200
    default-server port {check} inter 1s fall 2 rise 1 on-marked-down shutdown-sessions init-addr last,libc,none resolvers system check
{UNASKED}{servers}
frontend health
    mode http
    bind :8404
    timeout client 10s
    http-request use-service prometheus-exporter if {{ path /metrics }}
    http-request return status 200 content-type text/plain string alive if {{ path /livez }}
    http-request return status 200 content-type text/plain string ready if {{ path /readyz }} {{ nbsrv(primary) eq 1 }}
    http-request return status 503 content-type text/plain string \"not one primary\" if {{ path /readyz }}
    http-request return status 404
"
    )
}
