//! The table itself. The order is the order of the reference.

use crate::{Apply, Effect, Group, Kind, Setting};

const KB: u64 = 1024;
const MB: u64 = 1024 * KB;
const GB: u64 = 1024 * MB;
const TB: u64 = 1024 * GB;
const SECOND: u64 = 1000;
const MINUTE: u64 = 60 * SECOND;
const DAY: u64 = 24 * 60 * MINUTE;

/// What most settings have in common; a row names only what differs.
const BASE: Setting = Setting {
    name: "",
    env: "",
    env_aliases: &[],
    flag: None,
    kind: Kind::Text,
    default: "",
    doc: "",
    apply: Apply::Restart,
    effect: Effect::Full,
    secret: false,
    group: Group::Connections,
};

const INIT: Setting = Setting { apply: Apply::FirstStart, group: Group::Initialisation, ..BASE };
const FILES: Setting = Setting { kind: Kind::Path, group: Group::Files, ..BASE };
const MEMORY: Setting = Setting { group: Group::Memory, effect: Effect::AcceptedNoEffect, ..BASE };
const WAL: Setting = Setting { group: Group::Wal, ..BASE };
const LOG: Setting = Setting { group: Group::Logging, apply: Apply::Reload, ..BASE };
const STATEMENT: Setting = Setting { group: Group::Statements, ..BASE };
const REPLICATION: Setting = Setting { group: Group::Replication, ..BASE };

/// Every setting.
pub const TABLE: &[Setting] = &[
    Setting {
        name: "user",
        env: "SCRATCHBIRD_USER",
        flag: Some("-U"),
        default: "scratchbird",
        doc: "The superuser that the first start creates.",
        ..INIT
    },
    Setting {
        name: "password",
        env: "SCRATCHBIRD_PASSWORD",
        secret: true,
        doc: "The superuser's password. The first start needs it, unless `host_auth_method` is `trust`. Only a SCRAM verifier of it is stored.",
        ..INIT
    },
    Setting {
        name: "db",
        env: "SCRATCHBIRD_DB",
        doc: "The database that the first start creates; the user's name where it is not set.",
        ..INIT
    },
    Setting {
        name: "initdb_args",
        env: "SCRATCHBIRD_INITDB_ARGS",
        effect: Effect::AcceptedNoEffect,
        doc: "Arguments for initdb. The encoding is always UTF8 and the collation always C.",
        ..INIT
    },
    Setting {
        name: "host_auth_method",
        env: "SCRATCHBIRD_HOST_AUTH_METHOD",
        kind: Kind::Enum(&["scram-sha-256", "trust"]),
        default: "scram-sha-256",
        doc: "How clients prove who they are. `trust` asks for no password; it is stored at the first start. Processes of the server's own user, such as `docker exec`, need none on the Unix socket.",
        ..INIT
    },
    Setting {
        name: "preinitdb_directory",
        env: "SCRATCHBIRD_PREINITDB_DIRECTORY",
        kind: Kind::Path,
        default: "/docker-entrypoint-preinitdb.d",
        doc: "Executables and `.sh` that run before the first start makes the data directory, in the order of their names.",
        ..INIT
    },
    Setting {
        name: "initdb_directory",
        env: "SCRATCHBIRD_INITDB_DIRECTORY",
        kind: Kind::Path,
        default: "/docker-entrypoint-initdb.d",
        doc: "Scripts that the first start runs in the order of their names: `.sql`, `.sql.gz`, `.sql.zst`, `.sql.xz`, `.sh` and executables. The first failure ends the start.",
        ..INIT
    },
    Setting {
        name: "data_directory",
        env: "SCRATCHBIRD_DATA",
        env_aliases: &["PGDATA"],
        flag: Some("-D"),
        default: "/var/lib/scratchbird/data",
        doc: "The directory that holds the databases.",
        ..FILES
    },
    Setting {
        name: "config_file",
        env: "SCRATCHBIRD_CONFIG_FILE",
        default: "/etc/scratchbird/scratchbird.conf",
        doc: "The configuration file, `name = value` a line. A missing file at the default place is no error.",
        ..FILES
    },
    Setting {
        name: "hba_file",
        env: "SCRATCHBIRD_HBA_FILE",
        apply: Apply::Reload,
        doc: "Access rules in the form of pg_hba.conf: `local`, `host`, `hostssl`, `hostnossl` with `trust`, `reject` and `scram-sha-256`. Without a file `host_auth_method` is for all.",
        ..FILES
    },
    Setting {
        name: "unix_socket_directory",
        env: "SCRATCHBIRD_UNIX_SOCKET_DIRECTORY",
        flag: Some("-k"),
        default: "/tmp",
        doc: "Where the Unix socket `.s.PGSQL.<port>` is made.",
        ..FILES
    },
    Setting {
        name: "port",
        env: "SCRATCHBIRD_PORT",
        flag: Some("-p"),
        kind: Kind::Int { min: 1, max: 65535 },
        default: "5432",
        doc: "The TCP port, and the number in the Unix socket's name.",
        ..BASE
    },
    Setting {
        name: "listen_addresses",
        env: "SCRATCHBIRD_LISTEN_ADDRESSES",
        flag: Some("-h"),
        kind: Kind::List,
        default: "*",
        doc: "Addresses to listen on: `*`, `localhost`, or IP addresses separated by commas.",
        ..BASE
    },
    Setting {
        name: "max_connections",
        env: "SCRATCHBIRD_MAX_CONNECTIONS",
        kind: Kind::Int { min: 1, max: 10_000 },
        default: "100",
        doc: "The most clients at one time, the reserved slots among them.",
        ..BASE
    },
    Setting {
        name: "superuser_reserved_connections",
        env: "SCRATCHBIRD_SUPERUSER_RESERVED_CONNECTIONS",
        kind: Kind::Int { min: 0, max: 1000 },
        default: "3",
        doc: "Slots of `max_connections` that only superusers may take.",
        ..BASE
    },
    Setting {
        name: "shutdown_timeout",
        env: "SCRATCHBIRD_SHUTDOWN_TIMEOUT",
        kind: Kind::Time { unit: SECOND, min: 0, max: DAY },
        default: "5s",
        doc: "How long SIGTERM lets running statements finish before they are cancelled.",
        ..BASE
    },
    Setting {
        name: "authentication_timeout",
        env: "SCRATCHBIRD_AUTHENTICATION_TIMEOUT",
        kind: Kind::Time { unit: SECOND, min: SECOND, max: 10 * MINUTE },
        default: "1min",
        doc: "How long a client may take to log in.",
        ..BASE
    },
    Setting {
        name: "ssl",
        env: "SCRATCHBIRD_SSL",
        kind: Kind::Bool,
        default: "off",
        apply: Apply::Reload,
        doc: "TLS 1.2 and 1.3 for clients that ask for it, over TCP. A `hostssl` rule in `hba_file` demands it.",
        ..BASE
    },
    Setting {
        name: "ssl_cert_file",
        env: "SCRATCHBIRD_SSL_CERT_FILE",
        kind: Kind::Path,
        apply: Apply::Reload,
        doc: "The server's certificate chain, PEM.",
        ..BASE
    },
    Setting {
        name: "ssl_key_file",
        env: "SCRATCHBIRD_SSL_KEY_FILE",
        kind: Kind::Path,
        apply: Apply::Reload,
        doc: "The key of the server's certificate, PEM, readable by the server's user alone, or root's and readable by a group.",
        ..BASE
    },
    Setting {
        name: "http_port",
        env: "SCRATCHBIRD_HTTP_PORT",
        kind: Kind::Int { min: 0, max: 65535 },
        default: "0",
        doc: "The port of the HTTP probes `/livez`, `/readyz`, `/primary`, `/replica`, `/health` and of `/metrics`, on the addresses of `listen_addresses`; 0 is none.",
        ..BASE
    },
    Setting {
        name: "shared_buffers",
        env: "SCRATCHBIRD_SHARED_BUFFERS",
        kind: Kind::Size { unit: 8 * KB, min: 128 * KB, max: 16 * TB },
        default: "128MB",
        doc: "Postgres' page cache. Here the operating system's cache does that work.",
        ..MEMORY
    },
    Setting {
        name: "effective_cache_size",
        env: "SCRATCHBIRD_EFFECTIVE_CACHE_SIZE",
        kind: Kind::Size { unit: 8 * KB, min: 8 * KB, max: 16 * TB },
        default: "4GB",
        doc: "A hint for Postgres' planner.",
        ..MEMORY
    },
    Setting {
        name: "work_mem",
        env: "SCRATCHBIRD_WORK_MEM",
        kind: Kind::Size { unit: KB, min: 64 * KB, max: 2 * TB },
        default: "4MB",
        doc: "The memory one sort or hash may take in Postgres.",
        ..MEMORY
    },
    Setting {
        name: "maintenance_work_mem",
        env: "SCRATCHBIRD_MAINTENANCE_WORK_MEM",
        kind: Kind::Size { unit: KB, min: 64 * KB, max: 2 * TB },
        default: "64MB",
        doc: "The memory that maintenance may take in Postgres.",
        ..MEMORY
    },
    Setting {
        name: "wal_level",
        env: "SCRATCHBIRD_WAL_LEVEL",
        kind: Kind::Enum(&["minimal", "replica", "logical"]),
        default: "replica",
        effect: Effect::AcceptedNoEffect,
        doc: "How much the write-ahead log holds. Here it always holds whole pages.",
        ..WAL
    },
    Setting {
        name: "max_wal_size",
        env: "SCRATCHBIRD_MAX_WAL_SIZE",
        kind: Kind::Size { unit: MB, min: MB, max: 16 * TB },
        default: "64MB",
        doc: "The size of a database's write-ahead log that brings a checkpoint forward.",
        ..WAL
    },
    Setting {
        name: "checkpoint_timeout",
        env: "SCRATCHBIRD_CHECKPOINT_TIMEOUT",
        kind: Kind::Time { unit: SECOND, min: SECOND, max: DAY },
        default: "5min",
        doc: "The longest time between two checkpoints.",
        ..WAL
    },
    Setting {
        name: "log_destination",
        env: "SCRATCHBIRD_LOG_DESTINATION",
        kind: Kind::Enum(&["stderr"]),
        default: "stderr",
        doc: "Where the log goes: to standard error, for the container engine to collect.",
        ..LOG
    },
    Setting {
        name: "log_format",
        env: "SCRATCHBIRD_LOG_FORMAT",
        kind: Kind::Enum(&["text", "json"]),
        default: "text",
        doc: "One line of text or one JSON object an event.",
        ..LOG
    },
    Setting {
        name: "log_level",
        env: "SCRATCHBIRD_LOG_LEVEL",
        kind: Kind::Enum(&["debug", "info", "warning", "error"]),
        default: "info",
        doc: "The least important event that is logged.",
        ..LOG
    },
    Setting {
        name: "log_connections",
        env: "SCRATCHBIRD_LOG_CONNECTIONS",
        kind: Kind::Bool,
        default: "off",
        doc: "Log each connection and its end.",
        ..LOG
    },
    Setting {
        name: "log_statement",
        env: "SCRATCHBIRD_LOG_STATEMENT",
        kind: Kind::Enum(&["none", "ddl", "mod", "all"]),
        default: "none",
        doc: "Which statements are logged. Statements that carry a password never are.",
        ..LOG
    },
    Setting {
        name: "log_min_duration",
        env: "SCRATCHBIRD_LOG_MIN_DURATION",
        kind: Kind::Time { unit: 1, min: 0, max: DAY },
        default: "0",
        doc: "Log statements that take at least this long; 0 logs none.",
        ..LOG
    },
    Setting {
        name: "statement_timeout",
        env: "SCRATCHBIRD_STATEMENT_TIMEOUT",
        kind: Kind::Time { unit: 1, min: 0, max: DAY },
        default: "0",
        doc: "Cancel a statement that takes longer; 0 is never. A session can set its own.",
        ..STATEMENT
    },
    Setting {
        name: "idle_in_transaction_session_timeout",
        env: "SCRATCHBIRD_IDLE_IN_TRANSACTION_SESSION_TIMEOUT",
        kind: Kind::Time { unit: 1, min: 0, max: DAY },
        default: "0",
        doc: "End a session that idles in an open transaction for longer; 0 is never.",
        ..STATEMENT
    },
    Setting {
        name: "replication_mode",
        env: "SCRATCHBIRD_REPLICATION_MODE",
        kind: Kind::Enum(&["standalone", "primary", "replica"]),
        default: "standalone",
        doc: "What this server is to others. A `replica` begins by copying the primary into its empty data directory, and takes no writes. What was promoted stays a primary.",
        ..REPLICATION
    },
    Setting {
        name: "primary_host",
        env: "SCRATCHBIRD_PRIMARY_HOST",
        kind: Kind::List,
        doc: "Where the primary may be: hosts, or `host:port`, separated by commas. A replica follows the one that is the primary; a primary asks them whether another was promoted.",
        ..REPLICATION
    },
    Setting {
        name: "primary_port",
        env: "SCRATCHBIRD_PRIMARY_PORT",
        kind: Kind::Int { min: 1, max: 65535 },
        default: "5432",
        doc: "The port of the hosts in `primary_host` that name none.",
        ..REPLICATION
    },
    Setting {
        name: "replication_user",
        env: "SCRATCHBIRD_REPLICATION_USER",
        doc: "The role that replicas log in as; it has the attribute REPLICATION. A primary with `replication_password` makes it if there is none.",
        ..REPLICATION
    },
    Setting {
        name: "replication_password",
        env: "SCRATCHBIRD_REPLICATION_PASSWORD",
        secret: true,
        doc: "The password of the replication user.",
        ..REPLICATION
    },
    Setting {
        name: "replication_slot",
        env: "SCRATCHBIRD_REPLICATION_SLOT",
        doc: "A replica's name at the primary; the machine's name and something random where it is not set.",
        ..REPLICATION
    },
    Setting {
        name: "replication_ssl_ca_file",
        env: "SCRATCHBIRD_REPLICATION_SSL_CA_FILE",
        kind: Kind::Path,
        doc: "The certificate authority, PEM, that the primary's certificate must come from. With it replication goes under TLS only, and the certificate must be for the host's name.",
        ..REPLICATION
    },
    Setting {
        name: "replication_timeout",
        env: "SCRATCHBIRD_REPLICATION_TIMEOUT",
        kind: Kind::Time { unit: 1, min: 2 * SECOND, max: DAY },
        default: "10s",
        doc: "How long the other side may be silent before the connection is given up; the primary speaks every second.",
        ..REPLICATION
    },
    Setting {
        name: "synchronous_replicas",
        env: "SCRATCHBIRD_SYNCHRONOUS_REPLICAS",
        kind: Kind::Int { min: 0, max: 100 },
        default: "0",
        apply: Apply::Reload,
        doc: "How many replicas must have a commit on their disks before it is acknowledged; 0 waits for none.",
        ..REPLICATION
    },
    Setting {
        name: "max_replica_lag",
        env: "SCRATCHBIRD_MAX_REPLICA_LAG",
        kind: Kind::Time { unit: SECOND, min: 0, max: DAY },
        default: "30s",
        doc: "A replica that was not up to date for longer answers 503 at `/readyz` and `/replica`; 0 is no limit.",
        ..REPLICATION
    },
    Setting {
        name: "wal_keep_size",
        env: "SCRATCHBIRD_WAL_KEEP_SIZE",
        kind: Kind::Size { unit: MB, min: 0, max: 16 * TB },
        default: "64MB",
        doc: "How much of the replication log is kept although every known replica has it.",
        ..REPLICATION
    },
    Setting {
        name: "max_slot_wal_keep_size",
        env: "SCRATCHBIRD_MAX_SLOT_WAL_KEEP_SIZE",
        kind: Kind::Size { unit: MB, min: MB, max: 16 * TB },
        default: "1GB",
        doc: "How much of the replication log is kept for a replica that is behind. One that is further behind must copy everything.",
        ..REPLICATION
    },
    Setting {
        name: "archive_directory",
        env: "SCRATCHBIRD_ARCHIVE_DIRECTORY",
        kind: Kind::Path,
        doc: "Where the log's segments and copies of the cluster go, for point-in-time recovery; none if it is empty. The log is kept until it is archived.",
        ..REPLICATION
    },
    Setting {
        name: "archive_timeout",
        env: "SCRATCHBIRD_ARCHIVE_TIMEOUT",
        kind: Kind::Time { unit: SECOND, min: SECOND, max: DAY },
        default: "1min",
        doc: "The longest time before what was committed is archived.",
        ..REPLICATION
    },
    Setting {
        name: "archive_base_interval",
        env: "SCRATCHBIRD_ARCHIVE_BASE_INTERVAL",
        kind: Kind::Time { unit: SECOND, min: SECOND, max: 365 * DAY },
        default: "1d",
        doc: "How often a copy of the whole cluster goes into the archive.",
        ..REPLICATION
    },
    Setting {
        name: "archive_retention",
        env: "SCRATCHBIRD_ARCHIVE_RETENTION",
        kind: Kind::Time { unit: SECOND, min: 0, max: 3650 * DAY },
        default: "0",
        apply: Apply::Reload,
        doc: "How far back the archive can recover: what no moment since then needs is removed when a new copy is there. 0 keeps everything.",
        ..REPLICATION
    },
];
