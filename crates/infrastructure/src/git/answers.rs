//! What a remote said, and what of it is said for good.
//!
//! A remote that is away, overloaded, or was moved by somebody else meanwhile is worth another try. One that
//! does not know us, or has a rule against what we ask, says the same thing all night: a person has to do
//! something, and should hear of it at once. What cannot be told apart counts as worth a try.
//!
//! Judged are words that git itself says, in the C locale (`command`), or the reason that a remote gives for
//! a ref; what a hook there prints may be anything. It is shown, and may make the remedy exact; and where it says
//! that it could not do its work (a server's own hook while its database is away), it may next time.

/// What a remote said, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    /// Its words, shortened, with what helps.
    pub(super) told: String,
    /// What a person has to do before it says anything else; `None`: it may by itself.
    pub(super) remedy: Option<&'static str>,
}

/// What git said of a remote that could not be used, or was not reached. `here`: whether it is a directory
/// of this machine, whose disk may come back.
pub(super) fn of_trouble(said: &str, here: bool) -> Answer {
    let remedy = no_entry(said, here);
    match remedy {
        Some(_) => Answer { told: words_of(said), remedy },
        None => Answer { told: in_words(said), remedy },
    }
}

/// What git said of a push of which the remote refused some refs, for these reasons.
pub(super) fn of_refusals(said: &str, refusals: &[&str]) -> Answer {
    let reasons = refusals.join(", ");
    let mut lasting = refusals.iter().filter(|reason| is_final(reason)).peekable();
    if lasting.peek().is_some() && !lasting.all(|reason| reason.contains(HOOK) && is_unwell(said)) {
        return Answer {
            told: format!("{}: {reasons}", words_of(said)),
            remedy: Some(way_out(said, &reasons)),
        };
    }
    Answer { told: format!("{}: {reasons}", in_words(said)), remedy: None }
}

/// How a remote says that a hook of its own did not want it.
const HOOK: &str = "hook declined";

/// Whether a hook says that it was not well itself. Wrongly so costs no more than a few tries.
fn is_unwell(said: &str) -> bool {
    let said = said.to_lowercase();
    let mut theirs = said.lines().filter(|line| is_theirs(line));
    theirs.any(|line| {
        [
            "internal error",
            "internal api",
            "internal server error",
            "unreachable",
            "temporarily",
            "try again",
            "timed out",
        ]
        .iter()
        .any(|words| line.contains(words))
    })
}

/// Why one ref was refused, from a line such as `!\tfrom:to\t[rejected] (stale info)`.
pub(super) fn refusal(line: &str) -> Option<&str> {
    line.strip_prefix("!\t")?.split_once('\t').map(|(_, why)| why)
}

/// Whether a remote gives that reason whenever it is asked. Only what it has rejected by itself is; a ref that
/// somebody else moved or locks, and a disk that is full there, pass.
fn is_final(reason: &str) -> bool {
    const RULES: [&str; 8] = [
        HOOK,
        "protected branch",
        "rule violations",
        "branch is currently checked out",
        "prohibited",
        "hidden ref",
        "refusing to allow",
        "not allowed",
    ];
    reason.starts_with("[remote rejected]") && RULES.iter().any(|rule| reason.contains(rule))
}

/// What helps where nothing is known but that a hook declined …
const OF_A_HOOK: &str = "see to what the hook of the remote wants";
/// … or that the remote itself did.
const OF_A_RULE: &str =
    "let this user do there what the remote refuses, or see to what it says that it wants";

/// What helps against a rule of the remote; what its hooks print may say which one it is.
fn way_out(said: &str, reasons: &str) -> &'static str {
    const RULES: [(&str, &str); 5] = [
        ("currently checked out", "make the remote a bare repository: somebody works on that branch in it"),
        ("prohibited", "let this user delete refs below `refs/agents/` and `refs/heads/agents/` there"),
        ("hidden ref", "let this user push to `refs/agents/` there"),
        (
            "protected branch",
            "let plans end at their branch (`land: branch` in the action), or let this user push there",
        ),
        (
            "rule violations",
            "let plans end at their branch (`land: branch` in the action), or let this user push there",
        ),
    ];
    let found = RULES.iter().find(|(words, _)| reasons.contains(words) || said.contains(words));
    found.map_or(if reasons.contains(HOOK) { OF_A_HOOK } else { OF_A_RULE }, |(_, help)| *help)
}

/// What a person has to do where the remote lets nobody in like this. By then nothing has been asked of it.
fn no_entry(said: &str, here: bool) -> Option<&'static str> {
    const CREDENTIALS: &str = "give git a credential helper that has the right password for it";
    const PLACE: &str = "see that it is where its URL says, and that this user may see it";
    const OURS: [(&str, &str); 8] = [
        (
            "does not support --atomic",
            "take another server: plans cannot land there, since it cannot move a branch and its marker together",
        ),
        ("terminal prompts disabled", CREDENTIALS),
        ("unable to get password", CREDENTIALS),
        ("Authentication failed", CREDENTIALS),
        ("Permission denied (", "give ssh a key that the server knows and that needs no passphrase here"),
        ("Host key verification failed", "connect once by hand, so that ssh knows the server"),
        ("The requested URL returned error: 403", "let this user in there"),
        // Of an address in the web.
        ("/' not found", PLACE),
    ];
    const THEIRS: [&str; 5] = [
        "epository not found",
        "could not be found",
        "does not appear to be a git repository",
        "ccess denied",
        " denied to ",
    ];
    let ours = ours(said);
    if ours.contains(super::deadline::LATE) || ours.contains("RPC failed") {
        // Something was asked of it, and may be done.
        return None;
    }
    if let Some((_, help)) = OURS.iter().find(|(words, _)| ours.contains(words)) {
        return Some(help);
    }
    // Git says so only of a server that ended before it said what it has: it tells why in words of its own.
    let closed = ours.contains("Could not read from remote repository");
    (!here && closed && THEIRS.iter().any(|words| said.contains(words))).then_some(PLACE)
}

/// What a server, or a hook on it, prints.
fn is_theirs(line: &str) -> bool {
    line.starts_with("remote:")
}

/// What git itself said, here.
fn ours(said: &str) -> String {
    said.lines().filter(|line| !is_theirs(line)).collect::<Vec<_>>().join("\n")
}

/// What git said, shortened, and what helps while it may pass.
fn in_words(said: &str) -> String {
    const HELP: [(&str, &str); 3] = [
        ("No space left on device", "make room on the disk of this machine"),
        (
            super::deadline::LATE,
            "see what it waits for; what takes so long for good reason: `remote_timeout`",
        ),
        ("fetch first", "somebody has pushed meanwhile"),
    ];
    let told = words_of(said);
    let ours = ours(said);
    match HELP.iter().find(|(words, _)| ours.contains(words)) {
        Some((_, help)) => format!("{told} ({help})"),
        None => told,
    }
}

/// What git said, shortened. What the remote said comes first: it is what matters.
fn words_of(said: &str) -> String {
    let said = &without_users(said);
    let lines: Vec<_> = said
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && *line != "remote:")
        .filter(|line| !line.starts_with("hint:") && !line.starts_with("To "))
        .take(6)
        .collect();
    if lines.is_empty() { "git says nothing".to_owned() } else { lines.join("; ") }
}

/// Git leaves passwords out of most of what it says; what comes before an `@` in a web address may be one.
fn without_users(said: &str) -> String {
    let mut words = Vec::new();
    for word in said.split_inclusive(char::is_whitespace) {
        let end =
            word.find("://").filter(|at| word[..*at].ends_with("http") || word[..*at].ends_with("https"));
        let user = end.and_then(|at| {
            let authority = word[at + 3..].split('/').next().unwrap_or_default();
            authority.rfind('@').map(|user| (at + 3, at + 3 + user + 1))
        });
        match user {
            Some((from, to)) => words.push(format!("{}{}", &word[..from], &word[to..])),
            None => words.push(word.to_owned()),
        }
    }
    words.concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_git_says_comes_with_what_helps() {
        let said = "remote: no\nremote: \nhint: look\nfatal: it hung up\n";
        assert_eq!(
            of_trouble(said, false),
            Answer { told: "remote: no; fatal: it hung up".into(), remedy: None }
        );
        assert_eq!(of_trouble(" \n", false).told, "git says nothing");
        let said = "fatal: unable to access 'https://secret:x@far/x@y.git/': no\nssh://git@far/x no";
        let told = "fatal: unable to access 'https://far/x@y.git/': no; ssh://git@far/x no";
        assert_eq!(of_trouble(said, false).told, told);
        let late = "\nit did not end within 3 s, and was ended\n";
        assert!(of_trouble(late, false).told.contains("`remote_timeout`"));
        let full = "fatal: unable to write loose object file: No space left on device";
        assert!(of_trouble(full, true).told.contains("(make room on the disk of this machine)"));
        assert!(!of_trouble(&format!("remote: {full}"), true).told.contains("of this machine"));
    }

    #[test]
    fn who_is_not_let_in_is_told_so_for_good_and_what_hooks_print_decides_nothing() {
        let closed = "\nfatal: Could not read from remote repository.\n\nPlease make sure …";
        for (said, remedy) in [
            ("fatal: Authentication failed for 'https://far/x/'", "credential helper"),
            (
                "fatal: could not read Username for 'https://far': terminal prompts disabled",
                "credential helper",
            ),
            ("git@far: Permission denied (publickey).", "ssh a key"),
            ("Host key verification failed.", "connect once by hand"),
            (
                "fatal: unable to access 'https://far/x/': The requested URL returned error: 403",
                "let this user in",
            ),
            ("remote: Not Found\nfatal: repository 'https://far/x/' not found", "where its URL says"),
            (&format!("ERROR: Repository not found.{closed}"), "where its URL says"),
            (&format!("remote: ERROR: The project could not be found{closed}"), "where its URL says"),
            (&format!("fatal: 'x' does not appear to be a git repository{closed}"), "where its URL says"),
            ("fatal: the receiving end does not support --atomic push", "plans cannot land there"),
        ] {
            let answer = of_trouble(said, false);
            assert!(answer.remedy.is_some_and(|told| told.contains(remedy)), "{said}: {answer:?}");
        }
        for said in [
            &*format!("ssh: connect to host far port 22: Connection refused{closed}"),
            &format!("ssh: Could not resolve hostname far: Name or service not known{closed}"),
            "fatal: unable to access 'https://far/x/': The requested URL returned error: 503",
            "remote: fatal: Authentication failed for you\nfatal: the remote end hung up unexpectedly",
            "remote: Repository not found\nfatal: the remote end hung up unexpectedly",
            "error: RPC failed; HTTP 403 curl 22 The requested URL returned error: 403",
            "git@far: Permission denied (publickey).\n\nit did not end within 3 s, and was ended\n",
        ] {
            assert_eq!(of_trouble(said, false).remedy, None, "{said}");
        }
        let gone = format!("fatal: '/x' does not appear to be a git repository{closed}");
        assert_eq!(of_trouble(&gone, true).remedy, None, "its disk may come back");
    }

    #[test]
    fn rules_are_for_good_and_races_are_not() {
        let said = "remote: not on a Friday        \nerror: failed to push some refs";
        let hook = of_refusals(
            said,
            &["[remote rejected] (hook declined)", "[remote rejected] (atomic push failure)"],
        );
        assert!(hook.told.starts_with("remote: not on a Friday; error"), "{hook:?}");
        assert!(
            hook.told
                .ends_with(": [remote rejected] (hook declined), [remote rejected] (atomic push failure)")
        );
        assert_eq!(hook.remedy, Some("see to what the hook of the remote wants"));
        for unwell in ["GitLab: Internal API unreachable", "read-only for now, try again later"] {
            let said = format!("remote: {unwell}\nerror: failed to push some refs");
            let declined = "[remote rejected] (pre-receive hook declined)";
            assert_eq!(of_refusals(&said, &[declined]).remedy, None, "{unwell}");
            let hidden = "[remote rejected] (deny updating a hidden ref)";
            assert!(of_refusals(&said, &[declined, hidden]).remedy.is_some(), "{unwell}");
        }
        for (reason, remedy) in [
            ("pre-receive hook declined", "the hook of the remote"),
            ("protected branch hook declined", "land: branch"),
            ("push declined due to repository rule violations", "land: branch"),
            ("branch is currently checked out", "a bare repository"),
            ("deletion prohibited", "delete refs"),
            ("deny updating a hidden ref", "refs/agents/"),
            (
                "refusing to allow an OAuth App to update a workflow without its scope",
                "let this user do there",
            ),
            ("not allowed to push", "let this user do there"),
        ] {
            let answer = of_refusals("", &[&format!("[remote rejected] ({reason})")]);
            assert!(answer.remedy.is_some_and(|told| told.contains(remedy)), "{reason}: {answer:?}");
            let of_hook = answer.remedy.is_some_and(|told| told.contains("hook"));
            assert!(!of_hook || reason.contains("hook"), "{reason}: there is none: {answer:?}");
        }
        let said = "remote: GitLab: you may not push to protected branches on this project.";
        let gitlab = of_refusals(said, &["[remote rejected] (pre-receive hook declined)"]);
        assert!(gitlab.remedy.is_some_and(|told| told.contains("land: branch")), "{gitlab:?}");
        for reason in [
            "[rejected] (stale info)",
            "[rejected] (fetch first)",
            "[rejected] (non-fast-forward)",
            "[remote rejected] (failed to update ref)",
            "[remote rejected] (cannot lock ref 'refs/heads/main': is at 1 but expected 2)",
            "[remote rejected] (atomic transaction failed)",
            "[remote rejected] (incorrect old value provided)",
            "[remote rejected] (unpacker error)",
            "[remote rejected] (Internal Server Error)",
        ] {
            assert_eq!(of_refusals("remote: hook declined", &[reason]).remedy, None, "{reason}");
        }
    }

    #[test]
    fn the_reason_of_a_ref_is_read_from_its_line() {
        assert_eq!(refusal("!\tx:y\t[rejected] (stale info)"), Some("[rejected] (stale info)"));
        assert_eq!(refusal("*\tx:y\t[new branch]"), None);
    }
}
