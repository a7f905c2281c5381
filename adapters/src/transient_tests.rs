use super::*;
use std::io;

/// The classes of SQLSTATE: the name of each class, whether its codes are transient, and examples of its codes. If the
/// codes of a class are transient, all of them are listed.
const STATES: [(&str, bool, &[&str]); 41] = [
    ("success, warning and no data", false, &["00000", "01000", "02000"]),
    ("SQL statement not yet complete", false, &["03000"]),
    ("connection exception", true, &["08000", "08001", "08003", "08004", "08006", "08007", "08P01"]),
    ("triggered action exception", false, &["09000"]),
    ("feature not supported", false, &["0A000"]),
    ("invalid transaction initiation", false, &["0B000"]),
    ("locator, grantor, role and diagnostics", false, &["0F000", "0L000", "0P000", "0Z000"]),
    ("case not found", false, &["20000"]),
    ("cardinality violation", false, &["21000"]),
    ("data exception", false, &["22000", "22001", "22003", "22021", "22P05"]),
    ("integrity constraint violation", false, &["23000", "23502", "23503", "23505", "23514"]),
    ("invalid cursor state", false, &["24000"]),
    ("invalid transaction state", false, &["25000", "25001", "25002", "25P01", "25P02"]),
    ("read-only transaction", true, &["25006"]),
    ("transaction that was idle or took too long", true, &["25P03", "25P04"]),
    ("triggered data change violation", false, &["27000"]),
    ("invalid authorization specification", false, &["28000", "28P01"]),
    ("dependent privilege descriptors, and transaction termination", false, &["2B000", "2D000"]),
    ("SQL and external routine exceptions", false, &["2F000", "38000", "39000"]),
    ("invalid cursor name", false, &["34000"]),
    ("savepoint exception", false, &["3B000", "3B001"]),
    ("invalid catalog and schema name", false, &["3D000", "3F000"]),
    ("transaction rollback", true, &["40000", "40001", "40003", "40P01"]),
    ("transaction integrity constraint violation", false, &["40002"]),
    ("syntax error or access rule violation", false, &["42000", "42501", "42601", "42703", "42883", "42P01", "42P02"]),
    ("with check option violation", false, &["44000"]),
    ("insufficient resources", true, &["53000", "53100", "53200", "53300", "53400"]),
    ("program limit exceeded", false, &["54000", "54001", "54011", "54023"]),
    ("object not in prerequisite state", true, &["55000", "55006", "55P03"]),
    ("parameter that can't be changed, unsafe use of an enum value", false, &["55P02", "55P04"]),
    ("operator intervention", true, &["57000", "57014", "57P01", "57P02", "57P03", "57P05"]),
    ("database dropped", false, &["57P04"]),
    ("system error", true, &["58000", "58030"]),
    ("system error about a missing, duplicate or misnamed file", false, &["58P01", "58P02", "58P03"]),
    ("snapshot too old", true, &["72000"]),
    ("configuration file error", false, &["F0000", "F0001"]),
    ("foreign data wrapper error", false, &["HV000"]),
    ("PL/pgSQL error", false, &["P0000", "P0001", "P0002"]),
    ("internal error", false, &["XX000"]),
    ("corrupted data and index", false, &["XX001", "XX002"]),
    ("unknown class", false, &["", "ZZ000"]),
];

#[test]
fn each_class_of_sqlstate_is_transient_or_permanent() {
    for (class, transient, states) in STATES {
        for state in states {
            assert_eq!(is_transient_state(state), transient, "{class}: {state}");
        }
    }
}

#[test]
fn a_prepared_statement_that_can_not_be_used_any_more_is_stale() {
    assert!(is_stale_state("0A000", Some("RevalidateCachedQuery")));
    assert!(!is_stale_state("0A000", Some("transformInsertStmt")) && !is_stale_state("0A000", None));
    for state in ["26000", "42P05"] {
        assert!(is_stale_state(state, None), "{state}");
    }
    assert!(!is_stale_state("42601", None));
}

/// The primary result codes of SQLite: name, code, and whether the code is transient.
const CODES: [(&str, i32, bool); 26] = [
    ("ERROR", 1, false),
    ("INTERNAL", 2, false),
    ("PERM", 3, false),
    ("ABORT", 4, true),
    ("BUSY", 5, true),
    ("LOCKED", 6, true),
    ("NOMEM", 7, true),
    ("READONLY", 8, true),
    ("INTERRUPT", 9, true),
    ("IOERR", 10, true),
    ("CORRUPT", 11, false),
    ("NOTFOUND", 12, false),
    ("FULL", 13, true),
    ("CANTOPEN", 14, true),
    ("PROTOCOL", 15, true),
    ("EMPTY", 16, false),
    ("SCHEMA", 17, true),
    ("TOOBIG", 18, false),
    ("CONSTRAINT", 19, false),
    ("MISMATCH", 20, false),
    ("MISUSE", 21, false),
    ("NOLFS", 22, false),
    ("AUTH", 23, false),
    ("FORMAT", 24, false),
    ("RANGE", 25, false),
    ("NOTADB", 26, false),
];

#[test]
fn each_result_code_of_sqlite_is_transient_or_permanent_and_so_are_its_extended_codes() {
    for (name, code, transient) in CODES {
        for extended in [code, code | (1 << 8), code | (12 << 8)] {
            assert_eq!(is_transient_code(extended), transient, "SQLITE_{name}: {extended}");
        }
    }
}

#[test]
fn errors_of_a_connection_are_transient_and_an_untrusted_certificate_is_not() {
    for kind in [io::ErrorKind::TimedOut, io::ErrorKind::ConnectionReset, io::ErrorKind::UnexpectedEof] {
        assert!(is_transient(&sqlx::Error::Io(kind.into())), "{kind}");
    }
    assert!(is_transient(&sqlx::Error::PoolTimedOut) && is_transient(&sqlx::Error::PoolClosed));
    assert!(is_transient(&sqlx::Error::Configuration(ReadOnly.into())));
    assert!(!is_transient(&sqlx::Error::Io(io::ErrorKind::InvalidData.into())));
    assert!(!is_transient(&sqlx::Error::Configuration("no such file".into())));
    assert!(!is_transient(&sqlx::Error::RowNotFound));
}
