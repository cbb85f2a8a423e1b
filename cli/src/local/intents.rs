//! What a person at the terminal types while a release runs.

use std::io::{BufRead as _, IsTerminal as _};

use serin_rollout::Intent;
use tokio::sync::mpsc;

use crate::output::aside;

/// Words that wait to be looked at.
const WAITING_MAX: usize = 8;

/// There is somebody who can type: a background job that read from its terminal would be stopped for it.
pub(super) fn can_be_typed() -> bool {
    let stdin = std::io::stdin();
    let foreground = rustix::termios::tcgetpgrp(&stdin).ok();
    stdin.is_terminal() && foreground == Some(rustix::process::getpgrp())
}

/// What is typed from now on; nothing without a terminal.
pub(super) fn from_terminal() -> mpsc::Receiver<Intent> {
    let (sender, receiver) = mpsc::channel(WAITING_MAX);
    if can_be_typed() {
        // The thread waits in a read that nothing interrupts; it ends with the process.
        std::thread::spawn(move || listen(&sender));
    }
    receiver
}

fn listen(sender: &mpsc::Sender<Intent>) {
    for line in std::io::stdin().lock().lines().map_while(Result::ok) {
        match intent(&line) {
            Some(intent) if sender.blocking_send(intent).is_err() => return,
            Some(_) => {}
            // The empty line below is the one that the live line is written on.
            None => aside("hint: pause, resume, promote or abort\n"),
        }
    }
}

fn intent(line: &str) -> Option<Intent> {
    match line.trim() {
        "pause" => Some(Intent::Pause),
        "resume" => Some(Intent::Resume),
        "promote" => Some(Intent::Promote),
        "abort" => Some(Intent::Abort),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_words_are_understood() {
        assert_eq!(intent(" abort\r\n"), Some(Intent::Abort));
        for word in ["pause", "resume", "promote"] {
            assert!(intent(word).is_some(), "{word}");
        }
        assert_eq!(intent("retry"), None);
        assert_eq!(intent(""), None);
    }
}
