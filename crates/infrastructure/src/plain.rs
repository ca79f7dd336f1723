//! Plain files in places where a command may have put anything: a pipe that nobody writes to, a link
//! to a device, a directory. Opening one never waits, never follows a link, and yields plain files
//! only; the directories on the way are ours.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use rustix::fs::OFlags;
use rustix::io::Errno;

/// Opens a plain file for reading.
pub(crate) fn read(path: &Path) -> io::Result<File> {
    open(path, OpenOptions::new().read(true))
}

/// Opens a plain file for appending, and for looking at what is there; made, readable by its owner
/// only, if nothing is.
pub(crate) fn append(path: &Path) -> io::Result<File> {
    open(path, OpenOptions::new().read(true).append(true).create(true).mode(0o600))
}

/// Puts a plain file with this content in the place of whatever is there, a directory excepted.
pub(crate) fn replace(path: &Path, content: &str) -> io::Result<()> {
    // Mostly nothing is there. A link counts as something, wherever it leads.
    match File::create_new(path) {
        Ok(mut file) => return file.write_all(content.as_bytes()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(error),
    }
    let mut new = path.as_os_str().to_owned();
    new.push(".new");
    // Whatever has this name is in the way, and nobody's.
    fs::remove_file(&new)
        .or_else(|error| if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) })?;
    fs::write(&new, content)?;
    fs::rename(&new, path)
}

/// What a command wrote, as text that every store can keep: what is no UTF-8, and NUL, which not every
/// database has in its texts, become U+FFFD.
pub(crate) fn text(bytes: &[u8]) -> String {
    kept(&String::from_utf8_lossy(bytes))
}

/// The same of what is text already.
pub(crate) fn kept(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

fn open(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    let flags = i32::try_from((OFlags::NONBLOCK | OFlags::NOFOLLOW).bits()).expect("small flags");
    let strange = || io::Error::other("it is no plain file");
    let is_link = |error: &io::Error| error.raw_os_error() == Some(Errno::LOOP.raw_os_error());
    let opened = options.custom_flags(flags).open(path);
    let file = opened.map_err(|error| if is_link(&error) { strange() } else { error })?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(strange()) }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::os::unix::fs::symlink;
    use std::process::Command;

    use super::*;

    #[test]
    fn only_plain_files_are_opened_and_nothing_is_waited_for() {
        let keep = tempfile::tempdir().expect("a directory");
        let path = |name: &str| keep.path().join(name);
        assert!(Command::new("mkfifo").arg(path("fifo")).status().expect("mkfifo").success());
        symlink("/dev/zero", path("link")).expect("a link");
        fs::create_dir(path("directory")).expect("a directory");
        for name in ["fifo", "link", "directory"] {
            assert!(read(&path(name)).is_err() && append(&path(name)).is_err(), "{name}");
        }
        assert!(read(&path("new")).is_err());
        append(&path("new")).expect("made").write_all(b"one").expect("written");
        append(&path("new")).expect("there").write_all(b"two").expect("written");
        let mut text = String::new();
        read(&path("new")).expect("there").read_to_string(&mut text).expect("text");
        assert_eq!(text, "onetwo");
    }

    #[test]
    fn whatever_is_in_the_way_of_a_file_of_ours_is_replaced() {
        let keep = tempfile::tempdir().expect("a directory");
        let (path, target) = (keep.path().join("file"), keep.path().join("target"));
        fs::write(&target, "theirs").expect("written");
        replace(&path, "one").expect("new");
        fs::remove_file(&path).expect("there");
        symlink(&target, &path).expect("a link");
        symlink(&target, keep.path().join("file.new")).expect("a link");
        replace(&path, "two").expect("replaced");
        assert_eq!(fs::read_to_string(&path).expect("plain"), "two");
        assert_eq!(
            fs::read_to_string(&target).expect("plain"),
            "theirs",
            "nothing is written through a link"
        );
        fs::create_dir(keep.path().join("directory")).expect("a directory");
        assert!(replace(&keep.path().join("directory"), "three").is_err());
    }
}
