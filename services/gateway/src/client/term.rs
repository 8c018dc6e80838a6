//! The terminal: colours where they are wanted, and one line that may be overwritten.

use std::io::{self, IsTerminal as _, Write as _};

/// A colour or style.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Style {
    Dim,
    Bold,
    Green,
    Red,
    Yellow,
    Cyan,
    Magenta,
}

impl Style {
    const fn code(self) -> &'static str {
        match self {
            Self::Dim => "2",
            Self::Bold => "1",
            Self::Green => "32",
            Self::Red => "31",
            Self::Yellow => "33",
            Self::Cyan => "36",
            Self::Magenta => "35",
        }
    }
}

/// Standard output as a person or a pipe sees it.
pub(crate) struct Terminal {
    colour: bool,
    live: bool,
    status_shown: bool,
}

impl Terminal {
    /// Colours only on a terminal, and never with `NO_COLOR` set.
    pub(crate) fn new(no_colour: bool) -> Self {
        let live = io::stdout().is_terminal();
        Self {
            colour: live && !no_colour,
            live,
            status_shown: false,
        }
    }

    /// The text in a style.
    pub(crate) fn paint(&self, style: Style, text: &str) -> String {
        if self.colour {
            format!("\x1b[{}m{text}\x1b[0m", style.code())
        } else {
            text.to_owned()
        }
    }

    /// A permanent line. A closed pipe ends the output silently, as it does for other tools.
    pub(crate) fn line(&mut self, text: &str) {
        self.clear_status();
        let mut out = io::stdout().lock();
        let _ = writeln!(out, "{text}");
    }

    /// The line that the next output replaces; nothing where the output is not a terminal.
    pub(crate) fn status(&mut self, text: &str) {
        if !self.live {
            return;
        }
        let mut out = io::stdout().lock();
        let _ = write!(out, "\r\x1b[K{text}");
        let _ = out.flush();
        self.status_shown = true;
    }

    /// Removes the replaceable line.
    pub(crate) fn clear_status(&mut self) {
        if std::mem::take(&mut self.status_shown) {
            let mut out = io::stdout().lock();
            let _ = write!(out, "\r\x1b[K");
            let _ = out.flush();
        }
    }

    /// True when a person can answer.
    pub(crate) fn interactive(&self) -> bool {
        self.live && io::stdin().is_terminal()
    }

    /// Asks for a line; `None` at the end of the input.
    pub(crate) async fn prompt(&mut self, text: &str) -> io::Result<Option<String>> {
        self.clear_status();
        {
            let mut out = io::stdout().lock();
            write!(out, "{text}")?;
            out.flush()?;
        }
        // Reading a terminal blocks; a thread of its own keeps the streams going.
        tokio::task::spawn_blocking(|| {
            let mut line = String::new();
            let read = io::stdin().read_line(&mut line)?;
            Ok((read > 0).then(|| line.trim_end_matches(['\r', '\n']).to_owned()))
        })
        .await
        .map_err(io::Error::other)?
    }
}
