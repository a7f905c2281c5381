//! Tests of the start of the server, and of the errors if it can't start.
#![allow(clippy::unwrap_used, reason = "a test")]

mod support;

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::Output;

use sqlx::{Connection as _, SqliteConnection};
use support::{Server, output};

/// Asserts that the command failed, and printed a single line that contains all parts.
fn assert_refused(output: &Output, parts: &[&str]) {
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "it started: {text}");
    assert_eq!(text.lines().count(), 1, "not one line: {text}");
    for part in parts {
        assert!(text.contains(part), "{part:?} is not in: {text}");
    }
}

fn tempdir() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

/// Creates a migrated database.
fn migrated(folder: &Path) {
    assert!(output(folder, &["migrate"]).status.success());
}

#[test]
fn the_first_log_line_has_the_address_the_documentation_and_the_database() {
    let folder = tempdir();
    let server = Server::start(folder.path(), &[]);
    let url = server.url.clone();
    let log = server.stop();
    let line = log.iter().find(|line| line.contains("listening on")).unwrap();
    for part in [format!("listening on {url}"), format!("{url}/docs"), "sqlite:woosh.db".to_owned()] {
        assert!(line.contains(&part), "{part:?} is not in: {line}");
    }
    assert!(folder.path().join("woosh.db").exists());
}

#[test]
fn only_the_owner_can_read_the_database_and_no_other_file_remains() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempdir();
    Server::start(folder.path(), &[]).stop();
    let entries: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(entries, ["woosh.db"]);
    let mode = fs::metadata(folder.path().join("woosh.db")).unwrap().permissions().mode();
    assert_eq!(mode & 0o077, 0, "{mode:o}");
}

#[test]
fn a_second_server_on_a_file_is_refused_and_told_the_process_of_the_first() {
    let folder = tempdir();
    let server = Server::start(folder.path(), &[]);
    let process = format!("process {};", server.process());
    for args in [&["serve", "--port", "0"][..], &["migrate"]] {
        assert_refused(&output(folder.path(), args), &["woosh.db is in use by another server", &process]);
    }
    server.stop();
    migrated(folder.path());
}

#[test]
fn environment_variables_configure_the_server() {
    let folder = tempdir();
    let mut command = support::command(folder.path(), &["migrate"]);
    let output = command.env("DATABASE_URL", "sqlite:other.db").output().unwrap();
    assert!(output.status.success());
    assert!(folder.path().join("other.db").exists());
    command.env("WOOSH_DATABASE", "sqlite:first.db").output().unwrap();
    assert!(folder.path().join("first.db").exists());
}

#[test]
fn a_file_that_is_not_a_database_is_refused_and_unchanged() {
    let folder = tempdir();
    for contents in ["short", &"something else entirely ".repeat(1000)] {
        fs::write(folder.path().join("woosh.db"), contents).unwrap();
        for args in [&["--port", "0"] as &[&str], &["migrate"]] {
            assert_refused(&output(folder.path(), args), &["woosh.db", "not a SQLite database"]);
        }
        assert_eq!(fs::read_to_string(folder.path().join("woosh.db")).unwrap(), contents);
    }
}

#[test]
fn errors_name_a_missing_or_invalid_folder() {
    let folder = tempdir();
    fs::write(folder.path().join("file"), "").unwrap();
    fs::create_dir(folder.path().join("folder")).unwrap();
    for path in ["missing/woosh.db", "file/woosh.db", "folder"] {
        let url = format!("sqlite:{path}");
        assert_refused(&output(folder.path(), &["--port", "0", "--database", &url]), &[path, "folder"]);
    }
}

#[test]
fn a_database_of_another_application_is_refused_and_unchanged() {
    let folder = tempdir();
    let file = folder.path().join("woosh.db");
    sqlite(&file, "CREATE TABLE birds (name TEXT); INSERT INTO birds VALUES ('swift')");
    let before = fs::read(&file).unwrap();
    assert_refused(&output(folder.path(), &["--port", "0"]), &["woosh.db", "another application"]);
    assert_eq!(fs::read(&file).unwrap(), before);
}

#[test]
fn a_newer_schema_is_refused_and_unchanged() {
    let folder = tempdir();
    migrated(folder.path());
    let file = folder.path().join("woosh.db");
    sqlite(
        &file,
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
         VALUES (9999, 'from the future', 1, x'00', 0)",
    );
    let before = fs::read(&file).unwrap();
    assert_refused(&output(folder.path(), &["--port", "0"]), &["woosh.db", "newer Woosh", "9999"]);
    assert_eq!(fs::read(&file).unwrap(), before);
}

#[test]
fn the_error_names_a_port_in_use() {
    let folder = tempdir();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    assert_refused(&output(folder.path(), &["--port", &port]), &["127.0.0.1", &port]);
    assert!(!folder.path().join("woosh.db").exists(), "a server that can't listen must not create a database");
}

#[test]
fn invalid_database_urls_are_refused_without_revealing_the_password() {
    let folder = tempdir();
    assert_refused(&output(folder.path(), &["-d", "sqlite::memory:"]), &["in memory"]);
    assert_refused(&output(folder.path(), &["-d", "sqlite:"]), &["no file"]);
    let output = output(folder.path(), &["-d", "mysql://woosh:hunter2@localhost/woosh"]);
    assert_refused(&output, &["sqlite:"]);
    assert!(!String::from_utf8_lossy(&output.stderr).contains("hunter2"));
}

#[test]
fn an_unreachable_database_is_retried_and_the_error_hides_the_password() {
    let folder = tempdir();
    // Nothing listens on this port, because the listener was closed a moment ago.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let url = format!("postgres://woosh:hunter2@127.0.0.1:{port}/woosh");
    let output = output(folder.path(), &["--port", "0", "-d", &url, "--database-wait", "1"]);
    let text = String::from_utf8_lossy(&output.stderr);
    let lines: Vec<_> = text.lines().collect();
    let (last, before) = lines.split_last().unwrap();
    assert!(!output.status.success());
    assert!(before.iter().any(|line| line.contains("unavailable; retrying for")), "{text}");
    assert!(last.contains(&format!("postgres://woosh@127.0.0.1:{port}/woosh")), "{last}");
    assert!(last.contains("unavailable after 1 seconds"), "{last}");
    assert!(!text.contains("hunter2"), "{text}");
}

#[test]
fn migrating_an_up_to_date_database_changes_nothing() {
    let folder = tempdir();
    migrated(folder.path());
    let before = fs::read(folder.path().join("woosh.db")).unwrap();
    migrated(folder.path());
    assert_eq!(fs::read(folder.path().join("woosh.db")).unwrap(), before);
}

#[test]
fn a_database_without_mailboxes_is_not_taken_for_a_restored_one() {
    let folder = tempdir();
    assert_refused(&output(folder.path(), &["restored"]), &["sqlite:woosh.db", "no mailboxes"]);
}

#[test]
fn printing_the_document_needs_no_database() {
    let folder = tempdir();
    let yaml = output(folder.path(), &["openapi"]);
    let json = output(folder.path(), &["openapi", "--format", "json"]);
    assert!(yaml.status.success() && json.status.success());
    assert!(yaml.stdout.starts_with(b"openapi: 3."));
    assert!(json.stdout.starts_with(b"{"));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn the_healthcheck_fails_without_a_server() {
    let folder = tempdir();
    let server = Server::start(folder.path(), &[]);
    let port = server.url.rsplit(':').next().unwrap().to_owned();
    assert!(output(folder.path(), &["healthcheck", "--port", &port]).status.success());
    server.stop();
    assert_refused(&output(folder.path(), &["healthcheck", "--port", &port]), &[&port]);
}

/// Runs SQL statements on a database file.
fn sqlite(file: &Path, statements: &'static str) {
    use sqlx::ConnectOptions as _;
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(file).create_if_missing(true);
        let mut connection = options.connect().await.unwrap();
        sqlx::raw_sql(statements).execute(&mut connection).await.unwrap();
        sqlx::Connection::close(connection).await.unwrap();
    });
}

#[tokio::test]
async fn a_clock_that_is_a_month_ahead_of_the_last_run_is_a_warning_that_says_what_to_do() {
    let folder = tempdir();
    let server = Server::start(folder.path(), &[]);
    support::register(&server, "alice").await;
    server.stop();
    let url = format!("sqlite:{}", folder.path().join("woosh.db").display());
    let mut connection = SqliteConnection::connect(&url).await.unwrap();
    let moved = sqlx::query("UPDATE clock SET trusted_at = trusted_at - 31 * 86400000000").execute(&mut connection);
    assert_eq!(moved.await.unwrap().rows_affected(), 1, "the server did not store the time");
    connection.close().await.unwrap();

    let log = Server::start(folder.path(), &[]).stop();
    let warnings: Vec<_> = log.iter().filter(|line| line.contains("WARN")).collect();
    assert_eq!(warnings.len(), 1, "{warnings:#?}");
    for part in ["ahead of the expected time", "no message expires", "If the clock is wrong, correct it"] {
        assert!(warnings[0].contains(part), "{part:?} is not in: {}", warnings[0]);
    }
}
