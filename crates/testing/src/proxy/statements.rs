//! What a client of PostgreSQL asks its server to run, read from the bytes it sends.
//!
//! Just as much of the protocol (version 3) as that takes: simple queries, and prepared statements as
//! they are bound. Nothing is checked: what is not understood is no statement.

use std::collections::HashMap;

/// Codes of the requests that may come before the startup message: SSL, GSSAPI.
const REQUESTS: [u32; 2] = [80_877_103, 80_877_104];

/// The reader.
#[derive(Debug, Default)]
pub(super) struct Statements {
    unread: Vec<u8>,
    /// Messages have a type once the startup message is over.
    started: bool,
    prepared: HashMap<String, String>,
    /// Bound, and to be run when the client has asked for an answer.
    bound: Vec<String>,
}

impl Statements {
    /// Takes in what was sent; returns the statements that the server will now answer.
    pub(super) fn take_in(&mut self, sent: &[u8]) -> Vec<String> {
        self.unread.extend_from_slice(sent);
        let mut asked = Vec::new();
        while let Some((kind, body)) = self.message() {
            let mut texts =
                body.split(|byte| *byte == 0).map(|text| String::from_utf8_lossy(text).into_owned());
            let (first, second) = (texts.next().unwrap_or_default(), texts.next().unwrap_or_default());
            match kind {
                b'Q' => asked.push(first),
                b'P' => drop(self.prepared.insert(first, second)),
                b'B' => self.bound.extend(self.prepared.get(&second).cloned()),
                b'S' => asked.append(&mut self.bound),
                _ => {}
            }
        }
        asked
    }

    /// The next whole message: its type, 0 before the startup is over, and what is in it.
    fn message(&mut self) -> Option<(u8, Vec<u8>)> {
        let head = usize::from(self.started);
        let length = self.unread.get(head..head + 4)?.try_into().map(u32::from_be_bytes).ok()?;
        let end = head + usize::try_from(length).ok()?.max(4);
        let message: Vec<u8> = self.unread.get(..end)?.to_vec();
        self.unread.drain(..end);
        let body = message[head + 4..].to_vec();
        if self.started {
            return Some((message[0], body));
        }
        let code = body.get(..4).and_then(|code| code.try_into().ok()).map(u32::from_be_bytes);
        self.started = code.is_some_and(|code| !REQUESTS.contains(&code));
        Some((0, body))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: &str, body: &str) -> Vec<u8> {
        let length = u32::try_from(body.len() + 4).expect("short").to_be_bytes();
        [kind.as_bytes(), &length[..], body.as_bytes()].concat()
    }

    fn startup() -> Vec<u8> {
        let ssl = [0, 0, 0, 8, 4, 210, 22, 47].to_vec();
        [ssl, message("", "\0\u{3}\0\0user\0agents\0\0")].concat()
    }

    #[test]
    fn a_simple_query_is_asked_when_it_is_whole() {
        let mut statements = Statements::default();
        assert!(statements.take_in(&startup()).is_empty());
        let mut asked = Vec::new();
        for byte in message("Q", "COMMIT\0") {
            assert!(asked.is_empty());
            asked = statements.take_in(&[byte]);
        }
        assert_eq!(asked, ["COMMIT"]);
    }

    #[test]
    fn a_prepared_statement_is_asked_by_its_name_as_often_as_it_is_bound() {
        let mut statements = Statements::default();
        statements.take_in(&startup());
        let parse = [message("P", "s1\0SELECT 1\0\0\0"), message("S", "")].concat();
        assert!(statements.take_in(&parse).is_empty());
        for _ in 0..2 {
            let bind = message("B", "\0s1\0\0\0\0\0\0\0");
            assert!(statements.take_in(&[bind, message("E", "\0\0\0\0\0")].concat()).is_empty());
            assert_eq!(statements.take_in(&message("S", "")), ["SELECT 1"]);
        }
    }

    #[test]
    fn what_is_no_statement_is_passed_over() {
        let mut statements = Statements::default();
        statements.take_in(&startup());
        let sent =
            [message("p", "COMMIT\0"), message("d", "COMMIT"), message("B", "\0COMMIT\0"), message("S", "")];
        assert!(statements.take_in(&sent.concat()).is_empty());
    }
}
