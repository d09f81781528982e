//! The JSON log of a test's thread, as the function writes it.

use std::io::Write;
use std::sync::{Arc, Mutex};

use order_processor::telemetry;
use serde_json::{Map, Value};
use tracing::subscriber::DefaultGuard;

/// Its lines so far. Clones share them.
#[derive(Clone, Default)]
pub struct Logs(Arc<Mutex<Vec<u8>>>);

impl Logs {
    pub fn capture() -> (Self, DefaultGuard) {
        let logs = Logs::default();
        let writer = logs.clone();
        let subscriber = telemetry::json("debug", move || writer.clone());
        (logs, tracing::subscriber::set_default(subscriber))
    }

    pub fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }

    pub fn len(&self) -> usize {
        self.text().lines().count()
    }

    pub fn since(&self, line: usize) -> Vec<Map<String, Value>> {
        self.text().lines().skip(line).map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

impl Write for Logs {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
