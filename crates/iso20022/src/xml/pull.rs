//! Reads a document element by element, in the order in which a schema lists them.
//!
//! A caller says what should come next; anything else is an error at that place. Nothing is read twice and nothing
//! passed over unless the caller says so ([`Pull::skip`]).

use super::{Fault, MAX_BYTES, MAX_DEPTH, MAX_ELEMENTS, XmlError};
use crate::value::{self, ValueError};
use quick_xml::XmlVersion;
use quick_xml::events::{BytesDecl, BytesRef, BytesStart, Event};
use quick_xml::name::ResolveResult;
use quick_xml::reader::NsReader;
use tegata_core::money::Amount;

/// What stands next in the file.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Next {
    Open,
    Close,
    End,
}

/// One element on the way from the root.
struct Step {
    name: &'static str,
    nth: usize,
    /// The child opened last, and which of its name it is.
    child: &'static str,
    children: usize,
}

/// A reader at one place of a document.
pub(crate) struct Pull<'a> {
    reader: NsReader<&'a [u8]>,
    namespace: &'static str,
    path: Vec<Step>,
    next: Next,
    /// The next element's name and attributes, if one opens.
    name: String,
    attributes: Vec<(String, String)>,
    /// The characters before what stands next.
    text: String,
    /// Elements open, the next one included.
    depth: usize,
    elements: usize,
    /// Whether what is read now is passed over.
    passing: bool,
}

/// Where `schemaLocation` comes from: a hint for tools, which is not followed.
const INSTANCE: &str = "http://www.w3.org/2001/XMLSchema-instance";

/// The most attributes of one element; the schemas have one, and declarations of namespaces come on top.
const MAX_ATTRIBUTES: usize = 16;

/// The most characters of a file that an error quotes.
const QUOTED: usize = 100;

type Result<T> = std::result::Result<T, XmlError>;

impl<'a> Pull<'a> {
    /// Opens a file and its `Document`, which must be of this namespace.
    pub fn document(bytes: &'a [u8], namespace: &'static str) -> Result<Self> {
        let mut pull = Self {
            reader: NsReader::from_str(""),
            namespace,
            path: Vec::new(),
            next: Next::End,
            name: String::new(),
            attributes: Vec::new(),
            text: String::new(),
            depth: 0,
            elements: 0,
            passing: false,
        };
        if bytes.len() > MAX_BYTES {
            return Err(pull.fail(Fault::Size(bytes.len())));
        }
        let text = std::str::from_utf8(bytes).map_err(|_| pull.fail(Fault::Encoding))?;
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        if let Some(wrong) = text.chars().find(|c| !is_xml(*c)) {
            return Err(pull.fail(Fault::Character(wrong)));
        }
        pull.reader = NsReader::from_str(text);
        let config = pull.reader.config_mut();
        config.expand_empty_elements = true;
        config.check_comments = true;
        pull.prolog()?;
        pull.enter("Document")?;
        Ok(pull)
    }
    /// Closes `Document`; nothing may follow it.
    pub fn end(mut self) -> Result<()> {
        self.leave()?;
        if self.next != Next::End || !self.is_blank() {
            return Err(self.fail(Fault::Syntax("something follows the document".into())));
        }
        Ok(())
    }
    /// Whether this element comes next.
    pub fn at(&self, name: &str) -> bool {
        self.next == Next::Open && self.name == name
    }
    /// Steps into the element that must come next and has no attributes.
    pub fn enter(&mut self, name: &'static str) -> Result<()> {
        let attributes = self.open(name)?;
        if attributes.is_empty() { Ok(()) } else { Err(self.fail(Fault::Attributes)) }
    }
    /// Steps out of the current element, which must have nothing more in it.
    pub fn leave(&mut self) -> Result<()> {
        self.only_elements()?;
        if self.next != Next::Close {
            return Err(self.unexpected("the end of the element"));
        }
        self.advance()?;
        self.path.pop();
        Ok(())
    }
    /// Reads an element that holds others.
    pub fn element<T, E: From<XmlError>>(
        &mut self,
        name: &'static str,
        inside: impl FnOnce(&mut Self) -> std::result::Result<T, E>,
    ) -> std::result::Result<T, E> {
        self.enter(name)?;
        let found = inside(self)?;
        self.leave()?;
        Ok(found)
    }
    /// Reads an element that holds others, if it comes next.
    pub fn maybe<T, E: From<XmlError>>(
        &mut self,
        name: &'static str,
        inside: impl FnOnce(&mut Self) -> std::result::Result<T, E>,
    ) -> std::result::Result<Option<T>, E> {
        if self.at(name) { self.element(name, inside).map(Some) } else { Ok(None) }
    }
    /// Reads an element that holds a value.
    pub fn value<T, E: Into<ValueError>>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&str) -> std::result::Result<T, E>,
    ) -> Result<T> {
        self.enter(name)?;
        self.content(read)
    }
    /// Reads an element that holds a value, if it comes next.
    pub fn maybe_value<T, E: Into<ValueError>>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&str) -> std::result::Result<T, E>,
    ) -> Result<Option<T>> {
        if self.at(name) { self.value(name, read).map(Some) } else { Ok(None) }
    }
    /// Reads an element that holds exactly this.
    pub fn fixed(&mut self, name: &'static str, expected: &'static str) -> Result<()> {
        self.value(name, |text| if text == expected { Ok(()) } else { Err(ValueError::Code(expected)) })
    }
    /// Reads elements within each other, the innermost with a value.
    pub fn nested<T, E: Into<ValueError>>(
        &mut self,
        names: &[&'static str],
        read: impl FnOnce(&str) -> std::result::Result<T, E>,
    ) -> Result<T> {
        for name in names {
            self.enter(name)?;
        }
        let found = self.content(read)?;
        for _ in names.iter().skip(1) {
            self.leave()?;
        }
        Ok(found)
    }
    /// Reads an amount and the currency beside it.
    pub fn amount(&mut self, name: &'static str) -> Result<Amount> {
        let attributes = self.open(name)?;
        let [(attribute, code)] = &attributes[..] else { return Err(self.fail(Fault::Attributes)) };
        if attribute != "Ccy" {
            return Err(self.fail(Fault::Attributes));
        }
        let unit = value::currency(code).map_err(|error| self.fail(Fault::Value(error.into())))?;
        self.content(|text| value::amount(unit, text))
    }
    /// Passes over elements that the schema lists here in this order and that are not read: `Name` at most once,
    /// `Name*` any number of times.
    pub fn skip(&mut self, names: &[&str]) -> Result<()> {
        for name in names {
            match name.strip_suffix('*') {
                None if self.at(name) => self.pass_over()?,
                Some(name) => {
                    while self.at(name) {
                        self.pass_over()?;
                    }
                }
                None => {}
            }
        }
        Ok(())
    }
    /// Passes over the element that comes next, whatever is in it.
    pub fn pass_over(&mut self) -> Result<()> {
        self.only_elements()?;
        let outside = self.depth.saturating_sub(1);
        self.passing = true;
        while self.depth > outside {
            self.advance()?;
            if self.next == Next::End {
                return Err(self.fail(Fault::Cut));
            }
        }
        self.passing = false;
        self.advance()
    }
    /// An error at this place: the element stepped into last.
    pub fn fail(&self, fault: Fault) -> XmlError {
        XmlError { path: self.path(), fault }
    }
    /// Another element stands here than `expected`.
    pub fn unexpected(&self, expected: &str) -> XmlError {
        let found = match self.next {
            Next::Open => format!("<{}>", quoted(&self.name)),
            Next::Close => "the end of the element".to_owned(),
            Next::End => return self.fail(Fault::Cut),
        };
        self.fail(Fault::Element { expected: expected.to_owned(), found })
    }
    /// Where the reader is.
    pub fn path(&self) -> String {
        let mut path = String::new();
        for step in &self.path {
            path.push('/');
            path.push_str(step.name);
            if step.nth > 1 {
                path.push_str(&format!("[{}]", step.nth));
            }
        }
        if path.is_empty() { "/".to_owned() } else { path }
    }

    /// Steps into the element that must come next; its attributes.
    fn open(&mut self, name: &'static str) -> Result<Vec<(String, String)>> {
        self.only_elements()?;
        if !self.at(name) {
            return Err(self.unexpected(&format!("<{name}>")));
        }
        let nth = match self.path.last_mut() {
            None => 1,
            Some(parent) if parent.child == name => {
                parent.children += 1;
                parent.children
            }
            Some(parent) => {
                (parent.child, parent.children) = (name, 1);
                1
            }
        };
        self.path.push(Step { name, nth, child: "", children: 0 });
        let attributes = std::mem::take(&mut self.attributes);
        self.advance()?;
        Ok(attributes)
    }
    /// The text of the element stepped into, read, and the step out of it.
    fn content<T, E: Into<ValueError>>(&mut self, read: impl FnOnce(&str) -> std::result::Result<T, E>) -> Result<T> {
        if self.next != Next::Close {
            return Err(self.unexpected("text"));
        }
        let found = read(&self.text).map_err(|error| self.fail(Fault::Value(error.into())))?;
        self.advance()?;
        self.path.pop();
        Ok(found)
    }
    fn only_elements(&self) -> Result<()> {
        if self.is_blank() { Ok(()) } else { Err(self.fail(Fault::Text)) }
    }
    fn is_blank(&self) -> bool {
        value::trim(&self.text).is_empty()
    }

    /// A declaration may stand at the very start, and only there.
    fn prolog(&mut self) -> Result<()> {
        match self.event()? {
            Event::Decl(declaration) => self.declared(&declaration)?,
            first => {
                if self.take(first)? {
                    return Ok(());
                }
            }
        }
        self.go_on()
    }
    fn declared(&self, declaration: &BytesDecl<'_>) -> Result<()> {
        if !matches!(declaration.xml_version(), Ok(XmlVersion::Explicit1_0)) {
            return Err(self.fail(Fault::Syntax("the file does not say that it is XML 1.0".into())));
        }
        match declaration.encoding() {
            None => Ok(()),
            Some(Ok(encoding)) if encoding.eq_ignore_ascii_case("UTF-8") => Ok(()),
            Some(_) => Err(self.fail(Fault::Encoding)),
        }
    }
    /// Goes on to the next opening, close or end of the file; gathers the characters before it.
    fn advance(&mut self) -> Result<()> {
        self.text.clear();
        self.go_on()
    }
    fn go_on(&mut self) -> Result<()> {
        loop {
            let event = self.event()?;
            if self.take(event)? {
                return Ok(());
            }
        }
    }
    fn event(&mut self) -> Result<Event<'a>> {
        self.reader.read_event().map_err(|error| self.fail(Fault::Syntax(quoted(&error.to_string()))))
    }
    /// Takes one event in; whether that is what stands next.
    fn take(&mut self, event: Event<'a>) -> Result<bool> {
        match event {
            Event::Start(start) => {
                self.opened(&start)?;
                self.next = Next::Open;
                return Ok(true);
            }
            Event::End(_) => {
                self.depth = self.depth.saturating_sub(1);
                self.next = Next::Close;
                return Ok(true);
            }
            Event::Eof => {
                self.next = Next::End;
                return Ok(true);
            }
            Event::Text(text) if text.contains("]]>") => {
                return Err(self.fail(Fault::Syntax("']]>' stands in text".into())));
            }
            Event::Text(text) => self.text.push_str(&text.xml10_content()),
            Event::CData(text) => self.text.push_str(&text.xml10_content()),
            Event::GeneralRef(reference) => {
                let character = self.referred(&reference)?;
                self.text.push(character);
            }
            Event::Comment(_) => {}
            Event::DocType(_) => return Err(self.fail(Fault::DocumentType)),
            Event::PI(_) => return Err(self.fail(Fault::Instruction)),
            Event::Decl(_) => return Err(self.fail(Fault::Syntax("a declaration after the start".into()))),
            // Never made: `expand_empty_elements` is on.
            Event::Empty(_) => return Err(self.fail(Fault::Syntax("an empty element was not expanded".into()))),
        }
        Ok(false)
    }
    fn opened(&mut self, start: &BytesStart<'_>) -> Result<()> {
        self.depth += 1;
        self.elements += 1;
        if self.depth > MAX_DEPTH {
            return Err(self.fail(Fault::Depth));
        }
        if self.elements > MAX_ELEMENTS {
            return Err(self.fail(Fault::Elements));
        }
        self.attributes = self.attributes_of(start)?;
        if self.passing {
            return Ok(());
        }
        let (namespace, name) = self.reader.resolver().resolve_element(start.name());
        let found = match namespace {
            ResolveResult::Bound(found) if found.into_inner() == self.namespace => None,
            ResolveResult::Bound(found) => Some(quoted(found.into_inner())),
            ResolveResult::Unbound => Some(String::new()),
            ResolveResult::Unknown(prefix) => Some(quoted(&prefix)),
        };
        if let Some(found) = found {
            return Err(self.fail(Fault::Namespace { expected: self.namespace, found }));
        }
        self.name.clear();
        self.name.push_str(name.into_inner());
        Ok(())
    }
    /// Its attributes but for declarations of namespaces and, at the root, where its schema may be found.
    fn attributes_of(&self, start: &BytesStart<'_>) -> Result<Vec<(String, String)>> {
        let mut attributes = Vec::new();
        for (at, attribute) in start.attributes().enumerate() {
            // Each is compared with those before it; a million of them would take hours.
            if at == MAX_ATTRIBUTES {
                return Err(self.fail(Fault::Attributes));
            }
            let attribute = attribute.map_err(|error| self.fail(Fault::Syntax(quoted(&error.to_string()))))?;
            if attribute.value.contains('<') {
                return Err(self.fail(Fault::Syntax("'<' stands in an attribute".into())));
            }
            let value = attribute.normalized_value(XmlVersion::Implicit1_0);
            let value = value.map_err(|error| self.fail(Fault::Syntax(quoted(&error.to_string()))))?;
            let (namespace, name) = self.reader.resolver().resolve_attribute(attribute.key);
            let is_hint = self.depth == 1
                && name.into_inner() == "schemaLocation"
                && matches!(namespace, ResolveResult::Bound(found) if found.into_inner() == INSTANCE);
            if attribute.key.as_namespace_binding().is_none() && !is_hint {
                attributes.push((attribute.key.into_inner().to_owned(), value.into_owned()));
            }
        }
        Ok(attributes)
    }
    fn referred(&self, reference: &BytesRef<'_>) -> Result<char> {
        let entity = || self.fail(Fault::Entity(quoted(reference)));
        match reference.resolve_char_ref() {
            Ok(Some(character)) if is_xml(character) => Ok(character),
            Ok(None) => {
                let known = quick_xml::escape::resolve_xml_entity(reference);
                known.and_then(|text| text.chars().next()).ok_or_else(entity)
            }
            Ok(Some(_)) | Err(_) => Err(entity()),
        }
    }
}

/// The beginning of a stranger's text, or of a message that has one in it.
fn quoted(text: &str) -> String {
    text.chars().take(QUOTED).collect()
}

/// XML 1.0, production 2.
fn is_xml(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::Text;

    const NAMESPACE: &str = "urn:test";

    /// Reads `<A>` with one `<B>` of text and then any number of `<C>` in it.
    fn read(text: &[u8]) -> Result<(String, usize)> {
        let mut pull = Pull::document(text, NAMESPACE)?;
        let found = pull.element("A", |pull| {
            let text = pull.value("B", |text| Text::<9>::new("B", text))?;
            pull.skip(&["X", "Y*"])?;
            let mut count = 0;
            while pull.at("C") {
                pull.fixed("C", "c")?;
                count += 1;
            }
            Ok::<_, XmlError>((text.to_string(), count))
        })?;
        pull.end()?;
        Ok(found)
    }

    fn document(inside: &str) -> String {
        format!("<Document xmlns='urn:test'><A>{inside}</A></Document>")
    }

    #[test]
    fn one_document_may_be_written_in_many_ways() {
        for same in [
            document("<B>a&amp;b</B><C>c</C>"),
            document("\n <B><![CDATA[a&b]]></B>\t<C>c</C ><!-- a comment -->"),
            document("<B>a<!-- -->&#38;&#x62;</B><C>c</C>"),
            document("<B>a&#38;b</B><X anything='1'><Y><Z/></Y></X><Y/><Y>1</Y><C>c</C>"),
            format!("\u{feff}<?xml version='1.0' encoding='utf-8'?><!-- x -->{}\n", document("<B>a&amp;b</B><C>c</C>")),
            "<p:Document xmlns:p='urn:test'><p:A><p:B>a&amp;b</p:B><p:C>c</p:C></p:A></p:Document>".to_owned(),
            document("<B>a&amp;b</B><C>c</C>").replace(
                "<Document",
                "<Document xmlns:i='http://www.w3.org/2001/XMLSchema-instance' i:schemaLocation='urn:test t.xsd'",
            ),
        ] {
            assert_eq!(read(same.as_bytes()), Ok(("a&b".to_owned(), 1)), "{same}");
        }
    }

    #[test]
    fn what_a_hostile_file_brings_is_refused_where_it_stands() {
        let good = document("<B>b</B><C>c</C>");
        let deep = format!("<B>b</B><X>{}{}</X>", "<Z>".repeat(40), "</Z>".repeat(40));
        let laughs = "<!DOCTYPE D [<!ENTITY a 'ha'><!ENTITY b '&a;&a;&a;'>]>";
        for (text, path, says) in [
            (String::new(), "/", "ends before"),
            (good[..good.len() - 1].to_owned(), "/Document/A", "not well-formed"),
            (good[..42].to_owned(), "/Document/A/C", "ends before"),
            (format!("{laughs}{good}"), "/", "DTD"),
            (document("<B>&b;</B>"), "/Document/A/B", "\"b\" is not one"),
            (document("<B>&#0;</B>"), "/Document/A/B", "\"#0\" is not one"),
            (document("<B>&#xb;</B>"), "/Document/A/B", "\"#xb\" is not one"),
            (document("<B>&b</B>"), "/Document/A/B", "not well-formed"),
            (document("<B>\u{b}</B>"), "/", "must not stand"),
            (document("<B>]]></B>"), "/Document/A/B", "not well-formed"),
            (document(&deep), "/Document/A", "32 deep"),
            (document("<?php b?><B>b</B>"), "/Document/A", "instructions"),
            (format!("<?xml version='1.0' encoding='latin1'?>{good}"), "/", "UTF-8"),
            (format!("<?xml version='1.1'?>{good}"), "/", "XML 1.0"),
            (format!(" <?xml version='1.0'?>{good}"), "/", "declaration"),
            (format!("{good}{good}"), "/", "follows the document"),
            (format!("x{good}"), "/", "only elements"),
            (format!("{good}x"), "/", "follows the document"),
            (good.replace("urn:test", "urn:other"), "/", "another message or version"),
            (good.replace(" xmlns='urn:test'", ""), "/", "another message or version"),
            (good.replace("<A>", "<A a='1'>"), "/Document/A", "attributes"),
            (good.replace("<A>", "<A a='1' a='1'>"), "/Document", "not well-formed"),
            (good.replace("<A>", "<A a='<'>"), "/Document", "not well-formed"),
            (good.replace("<A>", "<A a='&b;'>"), "/Document", "not well-formed"),
            (good.replace("</A>", "</B>"), "/Document/A/C", "not well-formed"),
            (document("<B>b</B><B>b</B>"), "/Document/A", "not <B>"),
            (document("<B>b</B><X/><X/>"), "/Document/A", "not <X>"),
            (document("<B>b</B><Y/><X/>"), "/Document/A", "not <X>"),
            (document("<C>c</C>"), "/Document/A", "<B> should be here, not <C>"),
            (document("<B>b<C/></B>"), "/Document/A/B", "text should be here, not <C>"),
            (document("<B>b</B>c<C>c</C>"), "/Document/A", "only elements"),
            (document("<B>b</B><C>c</C>c"), "/Document/A", "only elements"),
            (document("<B></B>"), "/Document/A/B", "B: is empty"),
            (document("<B>b</B><C>c</C><C>d</C>"), "/Document/A/C[2]", "it should be c"),
            (document("<B>b</B><C xmlns='urn:other'>c</C>"), "/Document/A/B", "another message or version"),
        ] {
            let error = read(text.as_bytes()).expect_err(&text);
            assert_eq!(error.path, path, "{text}: {error}");
            assert!(error.fault.to_string().contains(says), "{text}: {error}");
        }
        let many: String = (0..100_000).map(|n| format!(" a{n}=''")).collect();
        let refused = read(document(&format!("<B{many}>b</B>")).as_bytes()).map_err(|error| error.fault);
        assert_eq!(refused, Err(Fault::Attributes));
        let long = read(document(&format!("<{}/>", "L".repeat(100_000))).as_bytes()).expect_err("no such element");
        assert!(long.to_string().len() < 200, "{long}");
        assert_eq!(read(b"\xff").map_err(|error| error.fault), Err(Fault::Encoding));
    }

    #[test]
    fn a_file_has_bounds() {
        let long = vec![b' '; MAX_BYTES + 1];
        assert_eq!(read(&long).map_err(|error| error.fault), Err(Fault::Size(MAX_BYTES + 1)));
        let many = document(&format!("<B>b</B>{}", "<Y/>".repeat(MAX_ELEMENTS)));
        assert_eq!(read(many.as_bytes()).map_err(|error| error.fault), Err(Fault::Elements));
    }
}
