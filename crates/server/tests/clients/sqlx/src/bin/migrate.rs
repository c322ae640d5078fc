//! The migrations, twice: the second time there is nothing to do; and one that was changed afterwards is refused.

use sqlx::migrate::{MigrateError, Migrator};
use sqlx::postgres::PgPool;

static MIGRATIONS: Migrator = sqlx::migrate!();

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let pool = PgPool::connect(&std::env::args().nth(1).unwrap()).await.unwrap();
    MIGRATIONS.run(&pool).await.unwrap();
    MIGRATIONS.run(&pool).await.unwrap();
    let applied = sqlx::query("SELECT 1 FROM _sqlx_migrations WHERE success").fetch_all(&pool).await.unwrap();
    assert_eq!(applied.len(), 2);
    sqlx::query("UPDATE _sqlx_migrations SET checksum = '\\x00' WHERE version = 20240101000000")
        .execute(&pool)
        .await
        .unwrap();
    let refused = MIGRATIONS.run(&pool).await;
    assert!(matches!(refused, Err(MigrateError::VersionMismatch(20240101000000))), "{refused:?}");
}
