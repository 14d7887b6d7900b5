//! Writes a document in one form: UTF-8, two spaces a level, one element a line, so that people can compare files.

use quick_xml::escape::partial_escape;

/// A document that is being written.
pub(crate) struct Out {
    text: String,
    open: Vec<&'static str>,
}

impl Out {
    /// Begins a message of this namespace; its `Document` is open.
    pub fn new(namespace: &str) -> Self {
        let text = format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Document xmlns=\"{namespace}\">\n");
        Self { text, open: vec!["Document"] }
    }
    /// An element with what `inside` writes.
    pub fn element(&mut self, name: &'static str, inside: impl FnOnce(&mut Self)) {
        self.line(&format!("<{name}>"));
        self.open.push(name);
        inside(self);
        self.open.pop();
        self.line(&format!("</{name}>"));
    }
    /// An element with text.
    pub fn leaf(&mut self, name: &'static str, text: &str) {
        self.line(&format!("<{name}>{}</{name}>", partial_escape(text)));
    }
    /// An amount, its currency beside it.
    pub fn amount(&mut self, name: &'static str, amount: tegata_core::money::Amount) {
        let currency = amount.unit().name();
        self.line(&format!("<{name} Ccy=\"{currency}\">{}</{name}>", amount.decimal()));
    }
    /// Elements within each other, the innermost with text.
    pub fn nested(&mut self, names: &[&'static str], text: &str) {
        match names {
            [] => {}
            [name] => self.leaf(name, text),
            [name, rest @ ..] => self.element(name, |out| out.nested(rest, text)),
        }
    }
    /// Ends the document.
    pub fn finish(mut self) -> Vec<u8> {
        self.open.pop();
        self.line("</Document>");
        self.text.into_bytes()
    }

    fn line(&mut self, line: &str) {
        for _ in &self.open {
            self.text.push_str("  ");
        }
        self.text.push_str(line);
        self.text.push('\n');
    }
}
