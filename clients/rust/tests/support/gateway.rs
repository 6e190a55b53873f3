//! The gateway of the conformance table: a real one, with played backends.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

/// Stops when it is dropped.
pub(crate) struct Gateway {
    pub(crate) address: String,
    process: Child,
}

impl Gateway {
    pub(crate) fn start() -> Self {
        let mut process = Command::new(".venv/bin/python")
            .args(["-m", "clients.conformance"])
            .current_dir(ROOT)
            .env("PYTHONPATH", ".:protos")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the repository's own `make setup` makes .venv");
        let mut line = String::new();
        BufReader::new(process.stdout.as_mut().unwrap())
            .read_line(&mut line)
            .unwrap();
        let ready: Value = serde_json::from_str(&line).expect("the gateway says where it is");
        Self {
            address: ready["address"].as_str().unwrap().to_owned(),
            process,
        }
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        self.process.wait().unwrap();
    }
}
