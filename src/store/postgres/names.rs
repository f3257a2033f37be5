use super::store::NAME;
use crate::store::StoreError;

/// The server cuts names off at 63 bytes. The longest that is made of a table's adds 13.
const LONGEST: usize = 50;

/// Where the records and marks are. All parts are plain, and given in quotes.
#[derive(Debug, Clone)]
pub(super) struct Names {
    schema: Option<String>,
    table: String,
}

impl Default for Names {
    fn default() -> Self {
        Self {
            schema: None,
            table: "notion_auth_credentials".to_owned(),
        }
    }
}

impl Names {
    pub(super) fn in_schema(self, schema: &str) -> Result<Self, StoreError> {
        Ok(Self {
            schema: Some(plain("schema", schema)?),
            ..self
        })
    }

    pub(super) fn of_table(self, table: &str) -> Result<Self, StoreError> {
        Ok(Self {
            table: plain("table", table)?,
            ..self
        })
    }

    pub(super) fn credentials(&self) -> String {
        self.qualified("")
    }

    pub(super) fn marks(&self) -> String {
        self.qualified("_marks")
    }

    /// The name of an index, which is in its table's schema without saying so.
    pub(super) fn index(&self, of: &str) -> String {
        format!("\"{}_{of}\"", self.table)
    }

    fn qualified(&self, suffix: &str) -> String {
        let table = &self.table;
        match &self.schema {
            Some(schema) => format!("\"{schema}\".\"{table}{suffix}\""),
            None => format!("\"{table}{suffix}\""),
        }
    }
}

fn plain(what: &str, name: &str) -> Result<String, StoreError> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    if name.is_empty() || name.len() > LONGEST || !name.bytes().all(is_plain) {
        return Err(StoreError::misconfigured(
            NAME,
            format!(
                "the {what} cannot be called {name:?}: use letters from A to Z, digits and underscores, \
                 {LONGEST} at most"
            ),
        ));
    }
    Ok(name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_plain_or_refused() {
        for name in ["a", "A1_", "1", "select", &"x".repeat(50)] {
            let names = Names::default().of_table(name);
            let names = names.expect("a plain name").in_schema(name);
            let names = names.expect("a plain name");
            assert_eq!(names.credentials(), format!("\"{name}\".\"{name}\""));
            assert_eq!(names.marks(), format!("\"{name}\".\"{name}_marks\""));
        }
        for name in [
            "",
            "a-b",
            "a b",
            "a.b",
            "a\"",
            "a'",
            "a;",
            "é",
            "a\0",
            &"x".repeat(51),
        ] {
            Names::default().of_table(name).expect_err(name);
            Names::default().in_schema(name).expect_err(name);
        }
    }
}
