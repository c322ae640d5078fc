//! sqllogictest files: `tests/slt/*.slt`, each in a database of its own.
//!
//! The files are in the format of the `sqllogictest` crate, which parses them, compares the answers and
//! says where they differ. `statement error` lines name SQLSTATEs.

mod common;

use common::{Node, PASSWORD, state};
use sqllogictest::{DB, DBOutput, DefaultColumnType, Runner};
use std::path::PathBuf;
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

/// A connection driven from a thread that blocks.
struct Database {
    client: Client,
    runtime: tokio::runtime::Runtime,
}

impl Database {
    fn connect(port: u16, name: &str) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let client = runtime.block_on(async {
            let mut config = tokio_postgres::Config::new();
            config.host("127.0.0.1").port(port).user("scratchbird").password(PASSWORD).dbname(name);
            let (client, connection) = config.connect(NoTls).await.unwrap();
            tokio::spawn(connection);
            client
        });
        Self { client, runtime }
    }
}

/// An error whose text begins with its SQLSTATE.
#[derive(Debug)]
struct Failure(String, String);

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.0, self.1)
    }
}

impl std::error::Error for Failure {}

impl DB for Database {
    type Error = Failure;
    type ColumnType = DefaultColumnType;

    fn run(&mut self, sql: &str) -> Result<DBOutput<DefaultColumnType>, Failure> {
        let messages = self.runtime.block_on(self.client.simple_query(sql)).map_err(|error| {
            error.as_db_error().map_or_else(
                || Failure("none".to_owned(), error.to_string()),
                |error| Failure(error.code().code().to_owned(), error.message().to_owned()),
            )
        })?;
        let mut rows = Vec::new();
        let mut types = Vec::new();
        let mut described = false;
        let mut count = 0;
        for message in messages {
            match message {
                SimpleQueryMessage::RowDescription(columns) => {
                    described = true;
                    types = columns.iter().map(|_| DefaultColumnType::Text).collect();
                }
                SimpleQueryMessage::Row(row) => {
                    let field = |index| match row.get(index) {
                        None => "NULL".to_owned(),
                        Some("") => "(empty)".to_owned(),
                        Some(text) => text.to_owned(),
                    };
                    rows.push((0..row.len()).map(field).collect());
                }
                SimpleQueryMessage::CommandComplete(changed) => count = changed,
                _ => {}
            }
        }
        Ok(if described { DBOutput::Rows { types, rows } } else { DBOutput::StatementComplete(count) })
    }

    fn error_sql_state(error: &Failure) -> Option<String> {
        Some(error.0.clone())
    }
}

#[test]
fn the_files_hold() {
    let node = Node::start(&[]);
    let directory = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/slt");
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty());
    let mut failures = Vec::new();
    for file in files {
        let name = file.file_stem().unwrap().to_string_lossy().into_owned();
        common::run(async {
            let created = state(&node.connect().await, &format!("CREATE DATABASE {name}")).await;
            assert_eq!(created, "00000", "{name}");
        });
        let mut runner = Runner::new(|| {
            let database = Database::connect(node.port, &name);
            async move { Ok(database) }
        });
        if let Err(error) = runner.run_file(&file) {
            failures.push(error.display(false).to_string());
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
