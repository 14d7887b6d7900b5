//! sipp as a peer: started on a free port, waited for, read, and stopped.
#![allow(dead_code)] // each test file uses its own part of it

pub mod town;

use std::collections::HashMap;
use std::fs::File;
use std::net::{SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A port that was free a moment ago.
pub fn free_port() -> u16 {
    UdpSocket::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a free port").port()
}

/// Whether sipp is there; says so if not.
pub fn sipp_is_missing() -> bool {
    let missing = Command::new("sipp").arg("-v").stdout(Stdio::null()).stderr(Stdio::null()).status().is_err();
    if missing {
        eprintln!("SKIPPED: sipp is not installed (Debian: apt-get install sip-tester)");
    }
    missing
}

/// The lines of sipp's statistics, one a second, by the names of its columns.
pub fn statistics(file: &Path) -> Vec<HashMap<String, String>> {
    let text = std::fs::read_to_string(file).expect("statistics");
    let mut lines = text.lines().map(|line| line.split(';').map(str::to_owned));
    let names: Vec<String> = lines.next().expect("names").collect();
    lines.map(|values| names.iter().cloned().zip(values).collect()).collect()
}

/// A figure of one such line.
pub fn figure(statistics: &HashMap<String, String>, name: &str) -> u64 {
    statistics.get(name).and_then(|value| value.trim().parse().ok()).unwrap_or_else(|| panic!("no {name}"))
}

/// One run of sipp.
pub struct Sipp {
    child: Child,
    name: String,
    pub port: u16,
    folder: TempDir,
}

/// How a run is started.
pub struct Start<'a> {
    pub scenario: &'a str,
    pub port: u16,
    /// Whom it calls; none for a callee.
    pub to: Option<(SocketAddr, &'a str)>,
    pub calls: usize,
    pub tcp: bool,
    pub more: &'a [&'a str],
}

impl Default for Start<'_> {
    fn default() -> Self {
        Self { scenario: "callee", port: free_port(), to: None, calls: 1, tcp: false, more: &[] }
    }
}

impl Start<'_> {
    pub fn run(&self) -> Sipp {
        self.begin(true)
    }

    /// Without writing down every message, for many calls.
    pub fn run_quietly(&self) -> Sipp {
        self.begin(false)
    }

    fn begin(&self, messages: bool) -> Sipp {
        let folder = TempDir::new().expect("a folder");
        let out = |name: &str| File::create(folder.path().join(name)).expect("a file");
        // Both crates that test with it stand two folders deep.
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("a workspace");
        let scenario = root.join("crates/sip/scenarios").join(format!("{}.xml", self.scenario));
        let mut command = Command::new("sipp");
        command.current_dir(folder.path()).arg("-sf").arg(scenario);
        command.args(["-i", "127.0.0.1", "-nostdin", "-timeout", "100s", "-timeout_error"]);
        command.args(["-p", &self.port.to_string(), "-m", &self.calls.to_string()]);
        command.args(["-t", if self.tcp { "t1" } else { "u1" }]);
        command.args(["-trace_err", "-error_file", "errors"]);
        if messages {
            command.args(["-trace_msg", "-message_file", "messages"]);
        }
        command.args(self.more);
        if !self.more.contains(&"caller") {
            command.args(["-key", "caller", "0300"]);
        }
        if !self.more.contains(&"-d") {
            command.args(["-d", "100"]);
        }
        if let Some((switch, number)) = self.to {
            command.args(["-s", number, &switch.to_string()]);
        }
        let child = command
            .env("TERM", "dumb")
            .stdin(Stdio::null())
            .stdout(out("screen"))
            .stderr(out("stderr"))
            .spawn()
            .expect("sipp starts");
        let sipp = Sipp { child, name: self.scenario.to_owned(), port: self.port, folder };
        if self.to.is_none() {
            sipp.wait_until_it_listens(self.tcp);
        }
        sipp
    }
}

impl Sipp {
    /// Reads the kernel's list of sockets: to knock would disturb the scenario.
    fn wait_until_it_listens(&self, tcp: bool) {
        let list = if tcp { "/proc/net/tcp" } else { "/proc/net/udp" };
        let port = format!(":{:04X} ", self.port);
        let until = Instant::now() + Duration::from_secs(20);
        while Instant::now() < until {
            let sockets = std::fs::read_to_string(list).unwrap_or_default();
            if sockets
                .lines()
                .any(|line| line.split_whitespace().nth(1).is_some_and(|at| format!("{at} ").ends_with(&port)))
            {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("{} does not listen\n{}", self.name, self.story());
    }

    /// Waits for the end; all calls have gone as the scenario says.
    pub async fn succeeds(self) {
        self.watch(|| {}).await;
    }

    /// As [`Self::succeeds`], looking at something meanwhile; gives back the folder of what it wrote.
    pub async fn watch(mut self, mut look: impl FnMut()) -> Self {
        let until = Instant::now() + Duration::from_secs(120);
        loop {
            if let Some(status) = self.child.try_wait().expect("sipp is ours") {
                assert!(status.success(), "{} ended with {status}\n{}", self.name, self.story());
                return self;
            }
            look();
            assert!(Instant::now() < until, "{} does not end\n{}", self.name, self.story());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// What it saw, for a person.
    pub fn story(&self) -> String {
        let mut story = String::new();
        for name in ["stderr", "errors", "messages"] {
            let text = std::fs::read_to_string(self.file(name)).unwrap_or_default();
            let text: String = text.chars().take(20_000).collect();
            story.push_str(&format!("--- {name} of {}\n{text}\n", self.name));
        }
        story
    }
}

impl Drop for Sipp {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
