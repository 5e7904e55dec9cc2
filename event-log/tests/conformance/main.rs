//! What every backend of the log must do, told once and tried on each: in memory, SQLite, MySQL and MariaDB.
//!
//! The servers come from `TICKIZ_TEST_MYSQL_URL` and `TICKIZ_TEST_MARIADB_URL` (each ends with `/`). Without them their tests say
//! so and pass; with `TICKIZ_TEST_REQUIRE_SERVERS=1` they fail instead.

mod aggregates;
mod claims;
mod cqrs_es_snapshots;
mod faults;
mod model;
mod positions;
mod receipts;
mod sealing;
mod storage;
mod support;
mod timers;
