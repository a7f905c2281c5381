use std::error::Error;

use woosh_domain::model::Username;

/// The place where a value is stored in the database. The methods parse the stored value into a model type. If that
/// fails, the error names the table, column and row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cell {
    pub(crate) table: &'static str,
    pub(crate) column: &'static str,
    /// The name of the column that identifies the row.
    pub(crate) key: &'static str,
    /// The value in the `key` column of the row.
    pub(crate) row: i64,
}

/// A row contains a value that Woosh can't have stored.
#[derive(Debug, thiserror::Error)]
#[error("{}.{} is corrupt in the row with {} = {}: {cause}", .cell.table, .cell.column, .cell.key, .cell.row)]
pub(crate) struct CorruptValue {
    cell: Cell,
    cause: Box<dyn Error + Send + Sync>,
}

impl Cell {
    /// Returns the cell of a column in the row whose column `id` has the value `id`.
    pub(crate) const fn by_id(table: &'static str, column: &'static str, id: i64) -> Self {
        Self { table, column, key: "id", row: id }
    }

    /// Returns the error for a value that Woosh can't have stored.
    pub(crate) fn corrupt(self, cause: impl Into<Box<dyn Error + Send + Sync>>) -> CorruptValue {
        CorruptValue { cell: self, cause: cause.into() }
    }

    /// Parses text that is stored as bytes.
    pub(crate) fn text<T, E>(
        self,
        bytes: Vec<u8>,
        parse: impl FnOnce(String) -> Result<T, E>,
    ) -> Result<T, CorruptValue>
    where
        E: Error + Send + Sync + 'static,
    {
        let text = String::from_utf8(bytes).map_err(|error| self.corrupt(error))?;
        parse(text).map_err(|error| self.corrupt(error))
    }

    /// Parses a username.
    pub(crate) fn username(self, text: &str) -> Result<Username, CorruptValue> {
        Username::new(text).map_err(|error| self.corrupt(error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use woosh_domain::model::DeviceName;

    #[test]
    fn a_corrupt_value_is_reported_with_its_table_column_and_row() {
        let cell = Cell::by_id("users", "username", 7);
        let error = cell.username("al").unwrap_err().to_string();
        assert!(error.starts_with("users.username is corrupt in the row with id = 7: "), "{error}");
        let cell = Cell { table: "devices", column: "name", key: "id", row: 9 };
        for bytes in [vec![0xff], vec![b'd'; 129]] {
            let error = cell.text(bytes, DeviceName::new).unwrap_err().to_string();
            assert!(error.starts_with("devices.name is corrupt in the row with id = 9: "), "{error}");
        }
    }
}
