//! The operator's line to a running provider: JSON over loopback, opened by the key in the provider's own folder.

use crate::screen::{Failure, fail};
use serde_json::Value;
use std::path::Path;
use std::time::Duration;

/// A line that is open.
pub struct Operator {
    client: reqwest::blocking::Client,
    url: String,
    key: String,
}

impl Operator {
    /// Opens the line to the provider of this folder.
    pub fn connect(folder: &Path, url: &str) -> Result<Self, Failure> {
        let Ok(key) = std::fs::read_to_string(folder.join("operator.key")) else {
            return fail(
                "this data folder holds no provider's operator.key: an operator works on the provider's own machine, with \
                 --data naming its folder",
            );
        };
        let client = reqwest::blocking::Client::builder().timeout(Duration::from_secs(600)).no_proxy().build()?;
        Ok(Self { client, url: format!("{url}/v1/operator"), key: key.trim().to_owned() })
    }
    /// Asks; the answer is one object.
    pub fn ask(&self, question: &Value) -> Result<Value, Failure> {
        let sent = self.client.post(&self.url).bearer_auth(&self.key).body(question.to_string()).send();
        let Ok(response) = sent else {
            return fail("the provider cannot be reached; is it running on this data folder?");
        };
        let text = response.text()?;
        let Ok(answer) = serde_json::from_str::<Value>(&text) else {
            return fail("the provider answered something else than expected; look at its log");
        };
        match answer.get("error").and_then(Value::as_str) {
            Some(error) => fail(error),
            None => Ok(answer),
        }
    }
}
