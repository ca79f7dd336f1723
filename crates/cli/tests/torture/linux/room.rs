//! A small file system to be filled: a tmpfs in a mount namespace of this program alone, which ends
//! with it. Where no namespace can be had, nothing is filled, and the summary says so.

use std::fs::OpenOptions;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Set by this program for itself once it is in a namespace of its own.
const INSIDE: &str = "TORTURE_INSIDE";

/// Starts this program again in a mount namespace, if there can be one. Returns if there can not.
#[expect(clippy::disallowed_methods, reason = "the program asks itself whether it was started again")]
pub(crate) fn enter() {
    if std::env::var_os(INSIDE).is_some() {
        return;
    }
    let me = std::env::current_exe().expect("this program");
    for namespace in ["-m", "-rm"] {
        let tried =
            Command::new("unshare").args([namespace, "mount", "-t", "tmpfs", "none", "/mnt"]).output();
        if tried.is_ok_and(|output| output.status.success()) {
            let mut again = Command::new("unshare");
            again.arg(namespace).arg(&me).args(std::env::args_os().skip(1)).env(INSIDE, "1");
            // Replaces this process; comes back only if it could not.
            let _ = again.exec();
        }
    }
}

/// Whether disks can be mounted.
#[expect(clippy::disallowed_methods, reason = "the program asks itself whether it was started again")]
pub(crate) fn can_mount() -> bool {
    std::env::var_os(INSIDE).is_some()
}

/// A directory, on a file system of so many megabytes of its own if asked and possible.
pub(crate) fn disk(path: &Path, megabytes: Option<u64>) -> PathBuf {
    std::fs::create_dir_all(path).expect("a directory");
    if let Some(megabytes) = megabytes.filter(|_| can_mount()) {
        let size = format!("size={megabytes}m");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(path).status();
        assert!(mounted.is_ok_and(|status| status.success()), "a tmpfs is mounted");
    }
    path.to_owned()
}

/// Takes all room that is left, until it is dropped.
pub(crate) struct Ballast(PathBuf);

impl Ballast {
    pub(crate) fn of(disk: &Path) -> Self {
        let path = disk.join("ballast");
        if let Ok(file) = OpenOptions::new().create(true).append(true).open(&path) {
            let mut step = 64 << 20;
            let mut size = 0;
            while step >= 4096 {
                let more = rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), size, step);
                if more.is_ok() { size += step } else { step /= 2 }
            }
        }
        Self(path)
    }
}

impl Drop for Ballast {
    fn drop(&mut self) {
        std::fs::remove_file(&self.0).ok();
    }
}

/// Copies what is on a disk that ends with this program.
pub(crate) fn save(disk: &Path, to: &Path) {
    if can_mount() {
        Command::new("cp").arg("-a").arg(disk).arg(to).status().ok();
    }
}

/// Unmounts a disk, if one was mounted.
pub(crate) fn give_back(disk: &Path) {
    if can_mount() {
        Command::new("umount").arg("-l").arg(disk).output().ok();
    }
}
