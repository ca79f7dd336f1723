//! The log: its lines, its files, and what is left of them at any moment.

use std::path::PathBuf;

use agents_domain::time::Timestamp;
use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::clock::HandClock;

const SMALL: Limits = Limits { head: 400, segment: 300, segments: 2, gather: 50 };

struct Room {
    _keep: TempDir,
    log: PathBuf,
    clock: Arc<HandClock>,
}

fn room() -> Room {
    let keep = TempDir::new().expect("a directory");
    let clock = Arc::new(HandClock::new(Timestamp::from_millis(1_795_420_800_123)));
    Room { log: keep.path().join("new").join("a.log"), _keep: keep, clock }
}

impl Room {
    fn writer(&self, limits: Limits) -> LogWriter {
        LogWriter::append(&self.log, limits, self.clock.clone()).expect("a writable directory")
    }

    fn text(&self) -> Vec<u8> {
        let mut text = Vec::new();
        copy_log(&self.log, &mut text).expect("a log");
        text
    }
}

#[test]
fn lines_carry_time_and_stream_and_broken_ones_go_on() {
    let room = room();
    let mut log = room.writer(Limits::STANDARD);
    log.write(Stream::Out, b"one\ntwo");
    log.write(Stream::Out, b"!");
    log.write(Stream::Err, b"\xff\n");
    room.clock.advance(std::time::Duration::from_millis(877));
    log.write(Stream::Out, b"?\nthree");
    let expected: &[u8] = b"2026-11-23T08:00:00.123Z out| one\n\
        2026-11-23T08:00:00.123Z out| two!\n\
        2026-11-23T08:00:00.123Z err| \xff\n\
        2026-11-23T08:00:01.000Z out+ ?\n\
        2026-11-23T08:00:01.000Z out| three";
    assert_eq!(room.text(), expected);

    room.writer(Limits::STANDARD).write(Stream::Err, b"next\n");
    let expected = [expected, b"\n2026-11-23T08:00:01.000Z err| next\n"].concat();
    assert_eq!(room.text(), expected);
}

#[test]
fn a_wall_clock_beyond_all_calendars_does_no_harm() {
    let room = room();
    room.clock.set_wall(Timestamp::from_millis(i64::MAX));
    room.writer(SMALL).write(Stream::Out, b"x\n");
    assert_eq!(room.text(), b"1970-01-01T00:00:00.000Z out| x\n");
}

#[test]
fn head_and_tail_are_kept_and_the_gap_is_counted() {
    let room = room();
    let mut whole = 0;
    for number in 0..200 {
        // A new writer each time: nothing but the files carries over.
        let mut log = room.writer(SMALL);
        log.write(Stream::Out, format!("line {number}\n").as_bytes());
        whole += format!("2026-11-23T08:00:00.123Z out| line {number}\n").len();
    }
    let text = String::from_utf8(room.text()).expect("text");
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].ends_with("out| line 0"), "{}", lines[0]);
    assert!(lines[lines.len() - 1].ends_with("out| line 199"));
    let gap = lines.iter().find(|line| line.starts_with("[agents]")).expect("a gap");
    let kept: usize = text.len() - gap.len() - 1;
    assert_eq!(*gap, format!("[agents] … {} bytes left out …", whole - kept));

    let files = log_files(&room.log).expect("a directory");
    assert_eq!(files.len(), 3);
    let sizes: Vec<u64> = files.iter().map(|f| fs::metadata(f).expect("there").len()).collect();
    assert!(sizes[0] <= SMALL.head && sizes[1..].iter().all(|size| *size <= SMALL.segment), "{sizes:?}");
}

#[test]
fn a_line_without_end_is_broken_at_the_files_only() {
    let room = room();
    let mut log = room.writer(Limits { segments: 9, ..SMALL });
    for _ in 0..20 {
        log.write(Stream::Out, &[b'x'; 40]);
    }
    log.write(Stream::Out, b"\n");
    let text = String::from_utf8(room.text()).expect("text");
    let data: String = text.lines().map(|line| &line[30..]).collect();
    assert_eq!(data, "x".repeat(800));
    assert!(text.lines().skip(1).all(|line| &line[25..30] == "out+ "), "{text}");
}

#[test]
fn a_full_disk_ends_the_log_and_nothing_else() {
    let room = room();
    let full = PathBuf::from("/dev/full");
    if full.exists() {
        let mut log = room.writer(SMALL);
        log.file = File::options().append(true).open(full).expect("a device");
        log.write(Stream::Out, b"lost\n");
        log.write(Stream::Out, b"lost too\n");
        assert!(log.broken);
    }
}

#[test]
fn a_log_that_is_not_there_is_not_found() {
    let room = room();
    let error = read_log(&room.log).err().expect("no directory");
    assert_eq!(error.kind(), io::ErrorKind::NotFound);
    fs::create_dir(room.log.parent().expect("a parent")).expect("a directory");
    let error = read_log(&room.log).err().expect("no file");
    assert_eq!(error.kind(), io::ErrorKind::NotFound);
    assert_eq!(log_files(&room.log).expect("an empty directory"), Vec::<PathBuf>::new());
}

#[test]
fn a_segment_dropped_under_the_reader_counts_as_left_out() {
    let room = room();
    let mut log = room.writer(SMALL);
    log.write(Stream::Out, b"kept\n");
    // Listed, and deleted before it is opened.
    let head = Segment { path: room.log.clone(), begin: 0 };
    let listed = [head, Segment::after(&room.log, 900)].into_iter();
    let mut text = Vec::new();
    io::Read::read_to_end(&mut read::open_all(listed).expect("a log"), &mut text).expect("readable");
    assert!(text.ends_with(b"kept\n"));
}

#[test]
fn what_is_no_plain_file_is_no_part_of_a_log() {
    let room = room();
    room.writer(SMALL).write(Stream::Out, b"kept\n");
    std::os::unix::fs::symlink("/dev/zero", Segment::after(&room.log, 900).path).expect("a link");
    assert!(room.text().ends_with(b"kept\n"));
    assert!(heard(&mut LogFollower::new(&room.log)).ends_with(b"kept\n"));
}

/// Undoes the format for one stream.
fn stream(text: &[u8], tag: &str) -> Vec<u8> {
    let mut data: Vec<u8> = Vec::new();
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        if &line[25..28] != tag.as_bytes() {
            continue;
        }
        if line[28] == b'+' {
            data.pop();
        }
        data.extend_from_slice(&line[30..]);
    }
    data
}

proptest! {
    /// Each stream can be had back byte for byte, whatever the chunks and files.
    #[test]
    fn streams_survive_byte_for_byte(
        chunks in prop::collection::vec((any::<bool>(), prop::collection::vec(prop_oneof![Just(b'\n'), any::<u8>()], 1..40)), 0..40)
    ) {
        let room = room();
        let mut log = room.writer(Limits { segments: usize::MAX, ..SMALL });
        let mut expected = [Vec::new(), Vec::new()];
        for (err, chunk) in &chunks {
            log.write(if *err { Stream::Err } else { Stream::Out }, chunk);
            expected[usize::from(*err)].extend_from_slice(chunk);
        }
        let text = room.text();
        for (tag, expected) in ["out", "err"].into_iter().zip(expected) {
            let mut found = stream(&text, tag);
            // Whether a stream's very last line was ended is not in the log, if it was broken off.
            if found.len() == expected.len() + 1 {
                prop_assert_eq!(found.pop(), Some(b'\n'));
            }
            prop_assert_eq!(found, expected);
        }
    }
}

/// All that the follower has for now.
fn heard(follower: &mut LogFollower) -> Vec<u8> {
    let (mut all, mut buffer) = (Vec::new(), [0; 37]);
    loop {
        match follower.read(&mut buffer).expect("readable") {
            0 => return all,
            count => all.extend_from_slice(&buffer[..count]),
        }
    }
}

#[test]
fn a_log_is_followed_from_before_its_beginning_and_over_its_files() {
    let room = room();
    let mut follower = LogFollower::new(&room.log);
    assert_eq!(heard(&mut follower), b"");
    let mut log = room.writer(Limits { segments: 100, ..SMALL });
    assert_eq!(heard(&mut follower), b"");
    let mut all = Vec::new();
    for number in 0..40 {
        log.write(Stream::Out, format!("line {number}\n").as_bytes());
        if number % 3 != 0 {
            all.append(&mut heard(&mut follower));
        }
    }
    all.append(&mut heard(&mut follower));
    assert!(log_files(&room.log).expect("a directory").len() > 3);
    assert_eq!(String::from_utf8_lossy(&all), String::from_utf8_lossy(&room.text()));
}

#[test]
fn who_follows_too_slowly_sees_how_much_was_left_out() {
    let room = room();
    let mut log = room.writer(SMALL);
    log.write(Stream::Out, b"first\n");
    let mut follower = LogFollower::new(&room.log);
    let mut all = heard(&mut follower);
    for number in 0..100 {
        log.write(Stream::Out, format!("line {number}\n").as_bytes());
    }
    // The first file is kept for good; behind it there is a hole.
    all.append(&mut heard(&mut follower));
    assert_eq!(String::from_utf8_lossy(&all), String::from_utf8_lossy(&room.text()));
    assert!(String::from_utf8_lossy(&all).contains("bytes left out"));
    // A file that is dropped while it is read is read to its end, and then there is another hole.
    for number in 0..100 {
        log.write(Stream::Out, format!("more {number}\n").as_bytes());
    }
    let rest = String::from_utf8_lossy(&heard(&mut follower)).into_owned();
    assert!(rest.contains("bytes left out") && rest.ends_with("more 99\n"), "{rest}");
}

proptest! {
    /// However reading and writing take turns: what a follower hears is what is left of the log,
    /// as long as nothing was dropped.
    #[test]
    fn whoever_keeps_up_hears_all(turns in prop::collection::vec((any::<bool>(), 0_usize..120), 0..60)) {
        let room = room();
        let mut log = room.writer(Limits { segments: 1000, ..SMALL });
        let mut follower = LogFollower::new(&room.log);
        let mut all = Vec::new();
        for (read, count) in turns {
            if read {
                all.append(&mut heard(&mut follower));
            } else {
                log.write(Stream::Err, &vec![b'a'; count]);
                log.write(Stream::Out, b"\n");
            }
        }
        all.append(&mut heard(&mut follower));
        prop_assert_eq!(all, room.text());
    }
}
