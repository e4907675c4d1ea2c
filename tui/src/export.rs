//! Exports and copies that are too long for a clipboard, as files that only their owner can read.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use crate::format;

/// Writes a new file; says how it went. What is there already is never overwritten.
pub fn write(file: &Path, text: &str, rows: usize) -> String {
    let name = file.display();
    match create(file, text) {
        Ok(()) => format!("{} written to {name}", format::plural(rows as u64, "row")),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            format!("{name} is there already: nothing written")
        }
        Err(error) => format!("{name}: {error}"),
    }
}

/// Creates a file of mode 0600.
///
/// # Errors
/// It is there already, or cannot be written.
pub fn create(file: &Path, text: &str) -> io::Result<()> {
    let mut out = OpenOptions::new().write(true).create_new(true).mode(0o600).open(file)?;
    out.write_all(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_file_is_its_owner_s_and_never_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a.csv");
        assert!(write(&file, "one\n", 1).starts_with("1 row written to "));
        assert!(write(&file, "two\n", 1).ends_with("is there already: nothing written"));
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "one\n");
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(write(&dir.path().join("no/such"), "", 0).contains("No such file"));
    }
}
