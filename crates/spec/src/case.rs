//! One test vector, and how it stands in a file: one case a line, so that a change shows as a line.

use serde_json::{Map, Value, json};

/// Runs of zero bytes at least this long are written `(n*00)`.
const RUN: usize = 64;

/// One vector.
#[derive(Clone, Debug, PartialEq)]
pub struct Case {
    /// What it shows; unique within its file.
    pub name: String,
    /// The rule of `spec/tegata.cddl` that the bytes are read by.
    pub rule: String,
    /// The bytes.
    pub bytes: Vec<u8>,
    /// The verification key, where a signature is checked.
    pub key: Option<Vec<u8>>,
    /// External additional data, where a signature is checked.
    pub context: Option<Vec<u8>>,
    /// The time it is judged at.
    pub time: Option<u64>,
    /// What else the judge is given.
    pub given: Map<String, Value>,
    /// The decoded fields, or `{"refusal": name}`.
    pub expect: Value,
}

impl Case {
    /// A case that only reads bytes.
    pub fn new(name: impl Into<String>, rule: impl Into<String>, bytes: Vec<u8>, expect: Value) -> Self {
        let (name, rule) = (name.into(), rule.into());
        Self { name, rule, bytes, key: None, context: None, time: None, given: Map::new(), expect }
    }
    /// With a signature to check.
    pub fn signed(mut self, key: &[u8], context: &[u8]) -> Self {
        self.key = Some(key.to_vec());
        self.context = Some(context.to_vec());
        self
    }
    /// Judged at this time.
    pub fn at(mut self, time: u64) -> Self {
        self.time = Some(time);
        self
    }
    /// With something else that the judge is given.
    pub fn given(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.given.insert(name.into(), value.into());
        self
    }
    /// The refusal expected; `None`: it is accepted.
    pub fn refusal(&self) -> Option<&str> {
        self.expect.get("refusal")?.as_str().filter(|_| self.expect.as_object().is_some_and(|all| all.len() == 1))
    }
    /// A hex value among what is given.
    pub fn hex(&self, name: &str) -> Vec<u8> {
        unpack(self.given.get(name).and_then(Value::as_str).unwrap_or_default()).unwrap_or_default()
    }
    fn to_json(&self) -> Value {
        let mut all = Map::new();
        all.insert("name".into(), json!(self.name));
        all.insert("rule".into(), json!(self.rule));
        all.insert("bytes".into(), json!(pack(&self.bytes)));
        if let Some(key) = &self.key {
            all.insert("keys".into(), json!([hex::encode(key)]));
        }
        if let Some(context) = &self.context {
            all.insert("context".into(), json!(hex::encode(context)));
        }
        if let Some(time) = self.time {
            all.insert("time".into(), json!(time));
        }
        if !self.given.is_empty() {
            all.insert("given".into(), Value::Object(self.given.clone()));
        }
        all.insert("expect".into(), self.expect.clone());
        Value::Object(all)
    }
    fn from_json(value: &Value) -> Option<Self> {
        let text = |name: &str| value.get(name).and_then(Value::as_str);
        let key = value.get("keys").and_then(|keys| keys.get(0)).and_then(Value::as_str);
        Some(Self {
            name: text("name")?.into(),
            rule: text("rule")?.into(),
            bytes: unpack(text("bytes")?)?,
            key: key.and_then(|key| hex::decode(key).ok()),
            context: text("context").and_then(|context| hex::decode(context).ok()),
            time: value.get("time").and_then(Value::as_u64),
            given: value.get("given").and_then(Value::as_object).cloned().unwrap_or_default(),
            expect: value.get("expect")?.clone(),
        })
    }
}

/// `{"refusal": name}`.
pub fn refusal(name: &str) -> Value {
    json!({ "refusal": name })
}

/// A file's text.
pub fn to_text(cases: &[Case]) -> String {
    let lines: Vec<String> = cases.iter().map(|case| case.to_json().to_string()).collect();
    format!("[\n{}\n]\n", lines.join(",\n"))
}

/// Reads a file's text; `None` if it is no list of cases.
pub fn from_text(text: &str) -> Option<Vec<Case>> {
    let all: Value = serde_json::from_str(text).ok()?;
    all.as_array()?.iter().map(Case::from_json).collect()
}

/// Hexadecimal, with long runs of zero bytes as `(n*00)`.
pub fn pack(bytes: &[u8]) -> String {
    let mut text = String::new();
    let mut left = bytes;
    while !left.is_empty() {
        let zeros = left.iter().take_while(|byte| **byte == 0).count();
        if zeros >= RUN {
            text += &format!("({zeros}*00)");
            left = &left[zeros..];
        } else {
            let len = zeros.max(1);
            text += &hex::encode(&left[..len]);
            left = &left[len..];
        }
    }
    text
}

/// Reads what [`pack`] wrote.
pub fn unpack(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut left = text;
    while let Some((before, after)) = left.split_once('(') {
        let (zeros, rest) = after.split_once("*00)")?;
        bytes.extend(hex::decode(before).ok()?);
        bytes.resize(bytes.len() + zeros.parse::<usize>().ok()?, 0);
        left = rest;
    }
    bytes.extend(hex::decode(left).ok()?);
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packed_bytes_read_back() {
        for bytes in [vec![], vec![0; 63], vec![0; 64], [vec![1; 3], vec![0; 500], vec![2]].concat()] {
            assert_eq!(unpack(&pack(&bytes)), Some(bytes));
        }
        assert_eq!(pack(&[0; 64]), "(64*00)");
    }
}
