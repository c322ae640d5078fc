//! sqlx: queries checked against the server while this is compiled, pools, transactions, streams, listeners, COPY.

use sqlx::postgres::{PgListener, PgPool, PgPoolOptions};
use sqlx::types::Uuid;
use sqlx::{Acquire, Connection, Executor, SqlSafeStr, Statement, TypeInfo};

#[derive(Debug, PartialEq)]
struct Bird {
    id: i64,
    name: String,
    weight: Option<f64>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let url = std::env::args().nth(1).unwrap();
    let pool = PgPoolOptions::new().max_connections(3).connect(&url).await.unwrap();
    checked(&pool).await;
    described(&pool).await;
    transactions(&pool).await;
    bulk(&pool).await;
    let mut listener = PgListener::connect_with(&pool).await.unwrap();
    listener.listen("news").await.unwrap();
    sqlx::query!("SELECT pg_notify('news', $1)", "egg").fetch_one(&pool).await.unwrap();
    assert_eq!(listener.recv().await.unwrap().payload(), "egg");
    println!("sqlx: macros, describe, migrations, transactions, arrays, COPY, listeners");
}

/// The types of what comes back are those that the compiler was told: NOT NULL columns are no options.
async fn checked(pool: &PgPool) {
    let wren =
        sqlx::query!("INSERT INTO bird (name, weight) VALUES ($1, $2) RETURNING id, seen", "wren", 9.5)
            .fetch_one(pool)
            .await
            .unwrap();
    let id: i64 = wren.id;
    let bird = sqlx::query_as!(Bird, "SELECT id, name, weight FROM bird WHERE id = $1", id);
    let bird = bird.fetch_one(pool).await.unwrap();
    assert_eq!(bird, Bird { id, name: "wren".into(), weight: Some(9.5) });
    let tags = ["small".to_owned(), "loud".to_owned()];
    sqlx::query!(
        "UPDATE bird SET tags = $1, notes = $2 WHERE id = $3",
        &tags,
        sqlx::types::Json([1, 2]) as _,
        id
    )
    .execute(pool)
    .await
    .unwrap();
    let row = sqlx::query!("SELECT tags, notes, seen < now() + interval '1 day' AS \"recent!\" FROM bird")
        .fetch_one(pool);
    let row = row.await.unwrap();
    let (tags, notes): (Vec<String>, Option<sqlx::types::JsonValue>) = (row.tags, row.notes);
    assert_eq!((tags.len(), notes.unwrap().to_string(), row.recent), (2, "[1,2]".to_owned(), true));
    // Nobody knows of an expression whether it is NULL, and an outer join makes anything NULL.
    let row = sqlx::query!(
        "SELECT b.name, n.eggs, count(*) AS n FROM bird b LEFT JOIN nest n ON n.bird = b.id GROUP BY 1, 2"
    )
    .fetch_one(pool)
    .await
    .unwrap();
    assert_eq!((row.name, row.eggs, row.n), ("wren".to_owned(), None, Some(1)));
    let none = sqlx::query_scalar!("SELECT id FROM bird WHERE name = ANY($1)", &["owl".to_owned()][..]);
    assert_eq!(none.fetch_optional(pool).await.unwrap(), None);
    #[cfg(feature = "wrong-column")]
    sqlx::query!("SELECT colour FROM bird");
    #[cfg(feature = "wrong-type")]
    sqlx::query!("SELECT id FROM bird WHERE name = $1", 5);
    #[cfg(feature = "maybe-null")]
    let _: f64 = sqlx::query!("SELECT weight FROM bird").fetch_one(pool).await.unwrap().weight;
}

/// What `cargo sqlx prepare` writes down of a query.
async fn described(pool: &PgPool) {
    let sql =
        "SELECT id, name, weight, tags, notes, upper(name) AS u FROM bird WHERE weight > $1 AND id = ANY($2)";
    let described = pool.describe(sql.into_sql_str()).await.unwrap();
    let types: Vec<&str> = described.columns().iter().map(|c| sqlx::Column::type_info(c).name()).collect();
    assert_eq!(types, ["INT8", "TEXT", "FLOAT8", "TEXT[]", "JSONB", "TEXT"]);
    let nullable: Vec<Option<bool>> = (0..6).map(|column| described.nullable(column)).collect();
    assert_eq!(nullable[..5], [Some(false), Some(false), Some(true), Some(false), Some(true)]);
    let statement = pool.prepare(sql.into_sql_str()).await.unwrap();
    let parameters = statement.parameters().unwrap().left().unwrap();
    assert_eq!(parameters.iter().map(TypeInfo::name).collect::<Vec<_>>(), ["FLOAT8", "INT8[]"]);
    let error = pool.describe("SELECT nothing FROM bird".into_sql_str()).await.unwrap_err();
    assert_eq!(error.as_database_error().unwrap().code().unwrap(), "42703");
}

async fn transactions(pool: &PgPool) {
    let count =
        async || sqlx::query_scalar!("SELECT count(*) AS \"n!\" FROM nest").fetch_one(pool).await.unwrap();
    let bird = sqlx::query_scalar!("SELECT id FROM bird LIMIT 1").fetch_one(pool).await.unwrap();
    let mut outer = pool.begin().await.unwrap();
    let nest: Uuid = sqlx::query_scalar!("INSERT INTO nest (bird, eggs) VALUES ($1, 3) RETURNING id", bird)
        .fetch_one(&mut *outer)
        .await
        .unwrap();
    // A savepoint that is dropped is rolled back.
    let mut inner = outer.begin().await.unwrap();
    let error =
        sqlx::query!("INSERT INTO nest VALUES ($1, $2)", nest, bird).execute(&mut *inner).await.unwrap_err();
    assert!(error.as_database_error().unwrap().is_unique_violation());
    inner.rollback().await.unwrap();
    let mut inner = outer.begin().await.unwrap();
    let error = sqlx::query!("INSERT INTO nest (bird) VALUES (-1)").execute(&mut *inner).await.unwrap_err();
    let error = error.as_database_error().unwrap();
    assert!(error.is_foreign_key_violation());
    assert_eq!((error.constraint(), error.table()), (Some("nest_bird_fkey"), Some("nest")));
    drop(inner);
    outer.commit().await.unwrap();
    assert_eq!(count().await, 1);
    let mut lost = pool.begin().await.unwrap();
    sqlx::query!("DELETE FROM nest").execute(&mut *lost).await.unwrap();
    drop(lost);
    assert_eq!(count().await, 1);
    let mut connection = pool.acquire().await.unwrap();
    connection.ping().await.unwrap();
    connection.acquire().await.unwrap();
}

async fn bulk(pool: &PgPool) {
    let mut connection = pool.acquire().await.unwrap();
    let mut copy = connection.copy_in_raw("COPY bird (name, weight) FROM STDIN").await.unwrap();
    let lines: String = (0..1000).map(|n| format!("bird {n}\t{n}.5\n")).collect();
    copy.send(lines.into_bytes()).await.unwrap();
    assert_eq!(copy.finish().await.unwrap(), 1000);
    let (names, weights): (Vec<String>, Vec<f64>) =
        (0..100).map(|n| (format!("tit {n}"), f64::from(n))).unzip();
    let unnest = "INSERT INTO bird (name, weight) SELECT * FROM UNNEST($1::text[], $2::float8[])";
    let done = sqlx::query(unnest).bind(names).bind(weights).execute(&mut *connection).await.unwrap();
    assert_eq!(done.rows_affected(), 100);
}
