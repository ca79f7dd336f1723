//! Making the state directory.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use crate::exit::Exit;
use crate::failure::Failure;

/// Makes a directory for this user alone (mode 0700), with its parents. One that is there keeps
/// its mode.
pub fn private_directory(path: &Path) -> Result<(), Failure> {
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(|error| {
        let message = format!("the directory {} cannot be made", path.display());
        Failure::new(Exit::Usage, "state_directory", message)
            .caused_by(&error)
            .hint("choose another place with AGENTS_HOME")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn the_directory_is_private_and_making_it_again_is_harmless() {
        let root = tempfile::tempdir().expect("scratch directory");
        let path = root.path().join("a/b");
        private_directory(&path).expect("made");
        private_directory(&path).expect("there");
        let mode = std::fs::metadata(&path).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
    }

    #[test]
    fn a_file_in_the_way_is_named() {
        let file = tempfile::NamedTempFile::new().expect("scratch file");
        let failure = private_directory(&file.path().join("x")).expect_err("in the way");
        assert!(failure.exit == Exit::Usage && failure.message.contains("cannot be made"));
    }
}
