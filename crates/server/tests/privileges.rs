//! Who may do what: owners, GRANT and REVOKE, superusers.

mod common;

use common::{Node, connect, run, state, text};

#[test]
fn only_what_was_granted_is_allowed() {
    let node = Node::start(&[]);
    run(async {
        let admin = node.connect().await;
        let setup = "CREATE ROLE clerk LOGIN PASSWORD 'pw'; CREATE ROLE other LOGIN PASSWORD 'pw'";
        for statement in setup.split(';') {
            admin.batch_execute(statement).await.unwrap();
        }
        let setup = "CREATE TABLE stock (id int PRIMARY KEY, n int); INSERT INTO stock VALUES (1, 10);
                     CREATE VIEW low AS SELECT id FROM stock WHERE n < 20; CREATE SEQUENCE s";
        admin.batch_execute(setup).await.unwrap();
        let mut config = node.config();
        config.user("clerk").password("pw");
        let clerk = connect(&config).await.unwrap();
        config.user("other");
        let other = connect(&config).await.unwrap();
        for sql in [
            "SELECT * FROM stock",
            "SELECT count(*) FROM low",
            "INSERT INTO stock VALUES (2, 2)",
            "UPDATE stock SET n = 1",
            "DELETE FROM stock",
            "TRUNCATE stock",
            "COPY stock FROM STDIN",
            "CREATE TABLE mine (x int)",
            "CREATE VIEW mine AS SELECT 1 AS x",
            "CREATE INDEX ON stock (n)",
            "ALTER TABLE stock ADD COLUMN x int",
            "DROP TABLE stock",
            "DROP SEQUENCE s",
            "GRANT SELECT ON stock TO clerk",
            "WITH x AS (SELECT * FROM stock) SELECT 1 FROM x",
            "SELECT (SELECT max(n) FROM stock)",
        ] {
            assert_eq!(state(&clerk, sql).await, "42501", "{sql}");
        }
        assert_eq!(text(&clerk, "SELECT has_table_privilege('stock', 'SELECT')").await, "f");
        admin.batch_execute("GRANT SELECT, INSERT ON stock TO clerk").await.unwrap();
        assert_eq!(text(&clerk, "SELECT n FROM stock").await, "10");
        assert_eq!(text(&clerk, "SELECT has_table_privilege('stock', 'SELECT')").await, "t");
        assert_eq!(state(&clerk, "INSERT INTO stock VALUES (2, 2)").await, "00000");
        assert_eq!(
            state(&clerk, "INSERT INTO stock VALUES (2, 2) ON CONFLICT (id) DO UPDATE SET n = 3").await,
            "42501"
        );
        assert_eq!(state(&clerk, "UPDATE stock SET n = 1").await, "42501");
        assert_eq!(state(&other, "SELECT n FROM stock").await, "42501");
        // A view reads with its owner's rights.
        admin.batch_execute("GRANT SELECT ON low TO PUBLIC").await.unwrap();
        assert_eq!(text(&other, "SELECT count(*) FROM low").await, "2");
        let list = "SELECT relacl FROM pg_class WHERE relname = 'stock'";
        assert_eq!(text(&admin, list).await, "{scratchbird=arwdDxt/scratchbird,clerk=ar/scratchbird}");
        // A prepared statement loses with the privilege.
        let prepared = clerk.prepare("SELECT n FROM stock").await.unwrap();
        admin.batch_execute("REVOKE ALL ON stock FROM clerk").await.unwrap();
        let code = clerk.query(&prepared, &[]).await.unwrap_err().code().unwrap().code().to_owned();
        assert_eq!(code, "42501");
        assert_eq!(text(&admin, list).await, "NULL");
        // Who may create owns what it made.
        admin.batch_execute("GRANT CREATE ON SCHEMA public TO clerk").await.unwrap();
        clerk.batch_execute("CREATE TABLE mine (x int); INSERT INTO mine VALUES (1)").await.unwrap();
        assert_eq!(state(&other, "SELECT * FROM mine").await, "42501");
        assert_eq!(text(&admin, "SELECT x FROM mine").await, "1");
        clerk.batch_execute("GRANT SELECT ON ALL TABLES IN SCHEMA public TO other").await.unwrap_err();
        clerk.batch_execute("GRANT ALL PRIVILEGES ON TABLE mine TO other").await.unwrap();
        assert_eq!(state(&other, "DELETE FROM mine WHERE x = 1").await, "00000");
        assert_eq!(state(&other, "DROP TABLE mine").await, "42501");
        for (sql, expect) in [
            ("GRANT SELECT ON nowhere TO clerk", "42P01"),
            ("GRANT SELECT ON stock TO nobody", "42704"),
            ("GRANT USAGE ON stock TO clerk", "0LP01"),
            ("GRANT SELECT (n) ON stock TO clerk", "0A000"),
            ("GRANT USAGE ON SCHEMA nowhere TO clerk", "3F000"),
            ("SELECT has_table_privilege('stock', 'SELECT')", "00000"),
        ] {
            assert_eq!(state(&admin, sql).await, expect, "{sql}");
        }
        assert_eq!(state(&clerk, "SELECT has_table_privilege('stock', 'READ')").await, "22023");
    });
}

#[test]
fn what_was_prepared_as_one_role_is_planned_anew_as_another() {
    let node = Node::start(&[]);
    run(async {
        let (one, two) = (node.connect().await, node.connect().await);
        for sql in ["CREATE TABLE secret (x int)", "CREATE ROLE clerk", "CREATE ROLE boss"] {
            one.batch_execute(sql).await.unwrap();
        }
        one.batch_execute("GRANT SELECT ON secret TO boss").await.unwrap();
        let (mine, theirs) = (
            one.prepare("SELECT x FROM secret").await.unwrap(),
            two.prepare("SELECT x FROM secret").await.unwrap(),
        );
        let code = async |client: &tokio_postgres::Client, statement| match client.query(statement, &[]).await
        {
            Ok(_) => "00000".to_owned(),
            Err(error) => error.code().unwrap().code().to_owned(),
        };
        for (role, expect) in [("clerk", "42501"), ("boss", "00000"), ("clerk", "42501"), ("NONE", "00000")] {
            one.batch_execute(&format!("SET ROLE {role}")).await.unwrap();
            assert_eq!(code(&one, &mine).await, expect, "{role}");
            assert_eq!(state(&one, "SELECT x FROM secret").await, expect, "{role}");
            assert_eq!(code(&two, &theirs).await, "00000");
        }
    });
}

#[test]
fn rights_on_a_database_wait_for_the_commit() {
    let node = Node::start(&[]);
    run(async {
        let (one, two) = (node.connect().await, node.connect().await);
        for sql in ["CREATE ROLE clerk", "REVOKE ALL ON DATABASE scratchbird FROM PUBLIC"] {
            one.batch_execute(sql).await.unwrap();
        }
        let asked = "SELECT has_database_privilege('clerk', current_database(), 'TEMP')";
        let grant = "GRANT TEMP ON DATABASE scratchbird TO clerk";
        one.batch_execute(&format!("BEGIN; CREATE TABLE t (x int); {grant}")).await.unwrap();
        assert_eq!((text(&one, asked).await, text(&two, asked).await), ("t".to_owned(), "f".to_owned()));
        one.batch_execute("COMMIT").await.unwrap();
        assert_eq!(text(&two, asked).await, "t");
        // An error takes it back with all the rest.
        let revoke = "REVOKE TEMP ON DATABASE scratchbird FROM clerk";
        assert_eq!(state(&one, &format!("{revoke}; SELECT 1/0")).await, "22012");
        assert_eq!(text(&two, asked).await, "t");
        // Who comes second is told, and has changed nothing.
        one.batch_execute(&format!("BEGIN; CREATE TABLE u (x int); {revoke}")).await.unwrap();
        two.batch_execute("GRANT CREATE ON DATABASE scratchbird TO clerk").await.unwrap();
        assert_eq!(state(&one, "COMMIT").await, "40001");
        assert_eq!(text(&one, asked).await, "t");
        assert_eq!(state(&one, "SELECT * FROM u").await, "42P01");
        // A table's rights are given on as a database's are.
        let list = "SELECT relacl FROM pg_class WHERE relname = 't'";
        one.batch_execute("CREATE ROLE boss").await.unwrap();
        one.batch_execute("GRANT SELECT, UPDATE ON t TO boss WITH GRANT OPTION").await.unwrap();
        one.batch_execute("SET ROLE boss; GRANT SELECT ON t TO clerk; RESET ROLE").await.unwrap();
        let expect = "{scratchbird=arwdDxt/scratchbird,boss=r*w*/scratchbird,clerk=r/boss}";
        assert_eq!(text(&one, list).await, expect);
        assert_eq!(state(&one, "REVOKE SELECT ON t FROM boss").await, "2BP01");
        one.batch_execute("REVOKE SELECT ON t FROM boss CASCADE").await.unwrap();
        let expect = "{scratchbird=arwdDxt/scratchbird,boss=w*/scratchbird}";
        assert_eq!(text(&one, list).await, expect);
    });
}

#[test]
fn who_may_connect_is_asked_at_the_start() {
    let node = Node::start(&[]);
    run(async {
        let admin = node.connect().await;
        for sql in ["CREATE ROLE clerk LOGIN PASSWORD 'pw'", "CREATE ROLE office", "CREATE DATABASE books"] {
            admin.batch_execute(sql).await.unwrap();
        }
        let mut config = node.config();
        config.user("clerk").password("pw").dbname("books");
        let refused = async || {
            let error = connect(&config).await.err()?;
            let error = error.as_db_error()?.clone();
            Some((error.code().code().to_owned(), error.message().to_owned(), error.detail()?.to_owned()))
        };
        assert_eq!(refused().await, None);
        admin.batch_execute("REVOKE CONNECT ON DATABASE books FROM PUBLIC").await.unwrap();
        let message = "permission denied for database \"books\"";
        let detail = "User does not have CONNECT privilege.";
        let expect = Some(("42501".to_owned(), message.to_owned(), detail.to_owned()));
        assert_eq!(refused().await, expect);
        // Of itself, through a role, and as the superuser.
        for (give, take) in [
            ("GRANT CONNECT ON DATABASE books TO clerk", "REVOKE ALL ON DATABASE books FROM clerk"),
            ("GRANT CONNECT ON DATABASE books TO office", "REVOKE ALL ON DATABASE books FROM office"),
        ] {
            admin.batch_execute("GRANT office TO clerk").await.unwrap();
            admin.batch_execute(give).await.unwrap();
            assert_eq!(refused().await, None, "{give}");
            admin.batch_execute(take).await.unwrap();
            assert_eq!(refused().await, expect, "{take}");
        }
        let mut own = node.config();
        own.dbname("books");
        assert_eq!(state(&connect(&own).await.unwrap(), "SELECT 1").await, "00000");
        // Another database of that name begins with what everybody has.
        admin.batch_execute("DROP DATABASE books").await.unwrap();
        admin.batch_execute("CREATE DATABASE books").await.unwrap();
        assert_eq!(refused().await, None);
    });
}
