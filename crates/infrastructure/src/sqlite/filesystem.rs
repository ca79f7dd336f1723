//! Where a database file may live, and whether it is still the one that was opened.
//!
//! All of it by `stat` and its like. The database file itself is never opened here: closing any
//! descriptor of a file drops the POSIX locks that SQLite holds on it in this process.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use rustix::fs::{Access, AtFlags, CWD, accessat, statfs};
use rustix::io::Errno;

use crate::sqlite::OpenError;

/// The numbers by which the kernel names file systems that other machines reach too (`statfs(2)`).
/// FUSE is not among them: most of its file systems are local, and it does not tell.
const NETWORK: [(u64, &str); 13] = [
    (0x6969, "nfs"),
    (0x517b, "smb"),
    (0xff53_4d42, "cifs"),
    (0xfe53_4d42, "smb2"),
    (0x0102_1997, "9p"),
    (0x5346_414f, "afs"),
    (0x6b41_4653, "afs"),
    (0x7375_7245, "coda"),
    (0x564c, "ncp"),
    (0x00c3_6400, "ceph"),
    (0x7461_636f, "ocfs2"),
    (0x4750_4653, "gpfs"),
    (0x0bd0_0bd0, "lustre"),
];

/// Which file a path leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Identity {
    device: u64,
    inode: u64,
}

impl Identity {
    /// The file at that path now.
    pub(crate) fn of(path: &Path) -> io::Result<Self> {
        fs::metadata(path).map(|found| Self { device: found.dev(), inode: found.ino() })
    }
}

/// The name of that file system if other machines reach it too.
pub(crate) fn network_kind(magic: u64) -> Option<&'static str> {
    // `f_type` is signed on some machines: only its low 32 bits mean anything.
    let magic = magic & 0xffff_ffff;
    NETWORK.iter().find(|(number, _)| *number == magic).map(|(_, name)| *name)
}

/// What can be said of an existing database file without opening it.
pub(crate) fn check_file(path: &Path) -> Result<(), OpenError> {
    let shown = || path.display().to_string();
    // Nothing was made yet, not even the directory. (One that cannot be made is told below.)
    if fs::metadata(directory_of(path)).is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
        return Err(OpenError::NotInitialised { path: shown() });
    }
    let directory = check_directory(path)?;
    match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(OpenError::NotInitialised { path: shown() });
        }
        Err(error) => {
            return Err(OpenError::Unavailable { path: shown(), reason: error.to_string() });
        }
        Ok(found) if !found.is_file() => return Err(OpenError::NotADatabase { path: shown() }),
        Ok(_) => {}
    }
    for path in [path, directory] {
        writable(path)?;
    }
    Ok(())
}

/// The directory of a database, if it is there and local.
fn check_directory(path: &Path) -> Result<&Path, OpenError> {
    let directory = directory_of(path);
    let shown = || directory.display().to_string();
    if !directory.is_dir() {
        return Err(OpenError::MissingDirectory { path: shown() });
    }
    let found = statfs(directory);
    let found = found.map_err(|e| OpenError::Unavailable { path: shown(), reason: e.to_string() })?;
    #[expect(
        clippy::cast_sign_loss,
        clippy::allow_attributes,
        reason = "a bit pattern, masked by its reader"
    )]
    match network_kind(found.f_type as u64) {
        Some(kind) => Err(OpenError::NetworkFilesystem { path: shown(), kind: kind.to_owned() }),
        None => Ok(directory),
    }
}

fn writable(path: &Path) -> Result<(), OpenError> {
    judge_access(path, accessat(CWD, path, Access::WRITE_OK, AtFlags::EACCESS))
}

fn judge_access(path: &Path, answer: Result<(), Errno>) -> Result<(), OpenError> {
    let path = path.display().to_string();
    match answer {
        Ok(()) => Ok(()),
        Err(Errno::ACCESS | Errno::ROFS | Errno::PERM) => Err(OpenError::ReadOnly { path }),
        Err(error) => Err(OpenError::Unavailable { path, reason: error.to_string() }),
    }
}

/// Makes the directory of a new database, for its owner only; leaves an existing one as it is.
pub(crate) fn make_directory(path: &Path) -> Result<(), OpenError> {
    let directory = directory_of(path);
    if !directory.is_dir() {
        let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(directory);
        // The mode above went through the umask; this one does not.
        let made = made.and_then(|()| fs::set_permissions(directory, fs::Permissions::from_mode(0o700)));
        made.map_err(|_| OpenError::MissingDirectory { path: directory.display().to_string() })?;
    }
    writable(check_directory(path)?)
}

/// Makes a database file its owner's alone, whatever the umask was.
pub(crate) fn make_private(path: &Path) -> io::Result<()> {
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))
}

/// The directory of a path; the current one for a bare name.
fn directory_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_systems_of_other_machines_are_known_by_their_numbers() {
        let names = [0x6969, 0xff53_4d42, 0xffff_ffff_fe53_4d42].map(network_kind);
        assert_eq!(names, [Some("nfs"), Some("cifs"), Some("smb2")]);
        assert_eq!(network_kind(0xef53), None);
    }

    #[test]
    fn a_refused_write_is_read_only_and_the_rest_unavailable() {
        let judge = |errno| judge_access(Path::new("/x"), Err(errno));
        for errno in [Errno::ACCESS, Errno::ROFS, Errno::PERM] {
            assert!(matches!(judge(errno), Err(OpenError::ReadOnly { .. })));
        }
        assert!(matches!(judge(Errno::IO), Err(OpenError::Unavailable { .. })));
    }

    #[test]
    fn a_bare_name_lives_in_the_current_directory() {
        assert_eq!(directory_of(Path::new("agents.db")), Path::new("."));
        assert_eq!(directory_of(Path::new("/a/agents.db")), Path::new("/a"));
    }

    #[test]
    fn a_directory_that_was_never_made_holds_no_database() {
        let dir = tempfile::tempdir().expect("dir");
        let path = dir.path().join("state/agents.db");
        assert!(matches!(check_file(&path), Err(OpenError::NotInitialised { .. })));
        assert!(!path.parent().expect("a parent").exists(), "looking makes nothing");
    }

    #[test]
    fn a_file_in_the_way_of_the_path_is_reported() {
        let dir = tempfile::tempdir().expect("dir");
        let file = dir.path().join("file");
        fs::write(&file, "x").expect("written");
        let below = file.join("agents.db");
        assert!(matches!(check_file(&below), Err(OpenError::MissingDirectory { .. })));
        assert!(matches!(make_directory(&below), Err(OpenError::MissingDirectory { .. })));
    }
}
