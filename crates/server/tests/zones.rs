//! The session's time zone as drivers meet it: at the start, in parameters and results, in COPY.

mod common;

use common::{Node, connect, run, text};
use futures_util::{SinkExt, TryStreamExt};
use tokio_postgres::{NoTls, SimpleQueryMessage};

const MOMENT: &str = "SELECT timestamptz '2024-07-01 12:00Z'";

#[test]
fn a_client_chooses_its_zone_and_is_told_of_changes() {
    let node = Node::start(&[]);
    run(async {
        let mut config = node.config();
        config.options("-c TimeZone=asia/tokyo -c statement_timeout=7s");
        let (client, connection) = config.connect(NoTls).await.unwrap();
        assert_eq!(connection.parameter("TimeZone"), Some("Asia/Tokyo"));
        tokio::spawn(connection);
        assert_eq!(text(&client, "SHOW statement_timeout").await, "7s");
        assert_eq!(text(&client, MOMENT).await, "2024-07-01 21:00:00+09");
        // A zone that isn't there doesn't keep a client out.
        config.options("-c TimeZone=Nowhere");
        assert_eq!(text(&connect(&config).await.unwrap(), MOMENT).await, "2024-07-01 12:00:00+00");
        // Another session is in its own zone.
        assert_eq!(text(&node.connect().await, MOMENT).await, "2024-07-01 12:00:00+00");
    });
}

#[test]
fn a_prepared_statement_follows_the_zone() {
    let node = Node::start(&[]);
    run(async {
        let client = node.connect().await;
        let statement = client
            .prepare("SELECT (timestamptz '2024-07-01 00:00')::text, $1::text::timestamptz::text")
            .await
            .unwrap();
        for (zone, expect) in [("UTC", "+00"), ("Europe/Berlin", "+02"), ("Asia/Kolkata", "+05:30")] {
            client.batch_execute(&format!("SET TIME ZONE '{zone}'")).await.unwrap();
            let row = client.query_one(&statement, &[&"2024-07-01"]).await.unwrap();
            let expect = format!("2024-07-01 00:00:00{expect}");
            assert_eq!(
                (row.get::<_, String>(0), row.get::<_, String>(1)),
                (expect.clone(), expect),
                "{zone}"
            );
        }
        // The same text again is a plan that the session has kept.
        client.batch_execute("SET TIME ZONE 'UTC'").await.unwrap();
        assert_eq!(
            text(&client, "SELECT (timestamptz '2024-07-01 00:00')::text").await,
            "2024-07-01 00:00:00+00"
        );
        client.batch_execute("SET TIME ZONE 'Asia/Tokyo'").await.unwrap();
        assert_eq!(
            text(&client, "SELECT (timestamptz '2024-07-01 00:00')::text").await,
            "2024-07-01 00:00:00+09"
        );
    });
}

#[test]
fn copy_reads_and_writes_in_the_zone() {
    let node = Node::start(&[]);
    run(async {
        let client = node.connect().await;
        client
            .batch_execute("CREATE TABLE t (at timestamptz); SET TIME ZONE 'America/New_York'")
            .await
            .unwrap();
        let sink = client.copy_in("COPY t FROM STDIN").await.unwrap();
        let mut sink = Box::pin(sink);
        sink.send(bytes::Bytes::from_static(b"2024-07-01 08:00\n2024-01-01 12:00Z\n")).await.unwrap();
        assert_eq!(sink.as_mut().finish().await.unwrap(), 2);
        let out: Vec<bytes::Bytes> =
            client.copy_out("COPY t TO STDOUT").await.unwrap().try_collect().await.unwrap();
        assert_eq!(out.concat(), b"2024-07-01 08:00:00-04\n2024-01-01 07:00:00-05\n");
        client.batch_execute("SET TIME ZONE 'UTC'").await.unwrap();
        let rows = client.simple_query("SELECT at FROM t").await.unwrap();
        let rows: Vec<&str> = rows
            .iter()
            .filter_map(|message| if let SimpleQueryMessage::Row(row) = message { row.get(0) } else { None })
            .collect();
        assert_eq!(rows, ["2024-07-01 12:00:00+00", "2024-01-01 12:00:00+00"]);
    });
}
