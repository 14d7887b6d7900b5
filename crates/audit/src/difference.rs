//! What does not agree, in words for whoever has to look for it.

use std::fmt;

/// Which examination found it, in the order in which they run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum What {
    /// A certificate does not lead to the root.
    Certificate,
    /// An order or activation is not its issuer's, or a number stands wrong.
    Number,
    /// A card's certificate, load or reversal is not the provider's, or not covered by anything.
    Card,
    /// A device's log: an upload's signature, the chain, a gap.
    Log,
    /// An entry is not what it says, and no exception says so.
    Entry,
    /// Evidence that contradicts itself, and no exception says so.
    Unexplained,
    /// An exception that the evidence does not bear out.
    Verdict,
    /// A posting without evidence, or evidence without its posting.
    Posting,
    /// A balance that its postings do not make.
    Balance,
    /// A row that the provider derived from the evidence, such as a claim or where a card stands.
    Row,
    /// R10 does not hold.
    Equation,
}

impl What {
    /// What people call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Certificate => "certificate",
            Self::Number => "number",
            Self::Card => "card",
            Self::Log => "log",
            Self::Entry => "entry",
            Self::Unexplained => "unexplained",
            Self::Verdict => "verdict",
            Self::Posting => "posting",
            Self::Balance => "balance",
            Self::Row => "row",
            Self::Equation => "equation",
        }
    }
}

/// One difference between what was signed and what the provider's database says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Which examination found it.
    pub what: What,
    /// The account, record or rule that it is about.
    pub about: String,
    /// What the evidence says.
    pub evidence: String,
    /// What the provider's database says.
    pub ledger: String,
    /// The entry (device, number), posting or row nearest to it.
    pub nearest: String,
    /// Who has to answer for it.
    pub at_fault: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{}: the evidence says {}, the provider's database says {}",
            self.about, self.evidence, self.ledger
        )?;
        write!(f, "nearest: {}; at fault: {}", self.nearest, self.at_fault)
    }
}

/// The provider, for what only it writes.
pub(crate) const PROVIDER: &str = "the provider, or whoever changed its database";

/// Collects differences: the first is kept, the others are counted.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    pub first: Option<Difference>,
    pub count: u64,
}

impl Findings {
    /// Adds one; its texts are made only for the first.
    pub fn add(&mut self, difference: impl FnOnce() -> Difference) {
        self.count += 1;
        if self.first.is_none() {
            self.first = Some(difference());
        }
    }
    /// Adds one that the provider has to answer for, unless `agrees`.
    pub fn expect<E: fmt::Display, L: fmt::Display>(
        &mut self,
        agrees: bool,
        what: What,
        texts: impl FnOnce() -> (String, E, L, String),
    ) {
        if !agrees {
            self.add(|| {
                let (about, evidence, ledger, nearest) = texts();
                let at_fault = PROVIDER.to_owned();
                Difference {
                    what,
                    about,
                    evidence: evidence.to_string(),
                    ledger: ledger.to_string(),
                    nearest,
                    at_fault,
                }
            });
        }
    }
}
