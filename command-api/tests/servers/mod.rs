//! MySQL and MariaDB for tests: a database of one's own on the server that a variable names.

#![allow(dead_code, reason = "every test file uses another part of it")]

/// The variables that name the servers.
pub const VARIABLES: [&str; 2] = ["TICKIZ_TEST_MYSQL_URL", "TICKIZ_TEST_MARIADB_URL"];

/// A server's own database, dropped at the end.
pub struct Server {
    pub url: String,
    base: String,
    name: String,
}

async fn execute(url: &str, statement: String) {
    use sqlx::{Connection, Executor};
    let mut connection = sqlx::MySqlConnection::connect(url).await.expect("the test server answers");
    connection.execute(sqlx::AssertSqlSafe(statement)).await.expect("the statement is legal");
}

impl Server {
    /// On the server that this variable names. A test run that was promised servers fails without one.
    pub async fn create(variable: &str) -> Option<Self> {
        let Ok(base) = std::env::var(variable) else {
            assert!(std::env::var("TICKIZ_TEST_REQUIRE_SERVERS").is_err(), "{variable} is not set");
            println!("skipped: {variable} is not set; `cargo xtask test` sets it");
            return None;
        };
        let base = base.trim_end_matches('/').to_owned();
        let name = format!("tickiz_test_{}", uuid::Uuid::new_v4().simple());
        execute(&base, format!("CREATE DATABASE {name}")).await;
        Some(Self { url: format!("{base}/{name}"), base, name })
    }

    /// Drops it. Not in `Drop`, since that cannot wait.
    pub async fn drop_it(self) {
        execute(&self.base, format!("DROP DATABASE {}", self.name)).await;
    }
}
