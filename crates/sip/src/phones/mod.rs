//! Registered phones (RFC 3261, 10): who may be rung where, and until when. Kept in memory: phones register again after
//! a restart, as they do anyway.

pub mod digest;

use crate::Number;
use crate::config::Config;
use crate::wire::{self, Reply};
use digest::{Checked, Nonces, Passwords};
use rsipstack::sip::{Header, HeadersExt as _, Request, Scheme, Uri, typed};
use rsipstack::transport::{SipAddr, SipConnection};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Contacts of one phone; each rings.
const MOST_CONTACTS: usize = 8;

/// One place where a phone is.
#[derive(Clone)]
pub(crate) struct Contact {
    /// What the phone calls itself.
    pub uri: Uri,
    /// Where it registered from; requests go there, through any translator of addresses.
    pub source: SipAddr,
    /// The stream that it registered on.
    pub stream: Option<SipConnection>,
    until: Instant,
    registration: (String, u32),
}

/// All registered phones.
pub(crate) struct Phones {
    contacts: Mutex<HashMap<Number, Vec<Contact>>>,
    nonces: Nonces,
    passwords: Box<dyn Passwords>,
}

impl Phones {
    pub(crate) fn new(passwords: Box<dyn Passwords>) -> Self {
        Self { contacts: Mutex::default(), nonces: Nonces::new(), passwords }
    }

    fn locked(&self) -> std::sync::MutexGuard<'_, HashMap<Number, Vec<Contact>>> {
        self.contacts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where this phone is now.
    pub(crate) fn contacts(&self, name: &Number) -> Vec<Contact> {
        let now = Instant::now();
        let mut contacts = self.locked().get(name).cloned().unwrap_or_default();
        contacts.retain(|contact| contact.until > now);
        contacts
    }

    /// Whether this phone registered from there.
    pub(crate) fn is_at(&self, name: &Number, source: &SipAddr) -> bool {
        self.contacts(name).iter().any(|contact| contact.source == *source)
    }

    /// How many are registered.
    pub(crate) fn count(&self) -> usize {
        let now = Instant::now();
        self.locked().values().filter(|contacts| contacts.iter().any(|contact| contact.until > now)).count()
    }

    /// Forgets what has run out.
    pub(crate) fn tidy(&self, now_s: u64) {
        let now = Instant::now();
        self.locked().retain(|_, contacts| {
            contacts.retain(|contact| contact.until > now);
            !contacts.is_empty()
        });
        self.nonces.tidy(now_s);
    }

    /// Whether a request proves to be of this phone; else what to answer. `proxy` asks as a proxy does (407).
    pub(crate) fn prove(
        &self,
        config: &Config,
        request: &Request,
        name: &Number,
        proxy: bool,
        now_s: u64,
    ) -> Result<(), Reply> {
        let proof = request.headers.iter().find_map(|header| match header {
            Header::Authorization(value) if !proxy => Some(value.value()),
            Header::ProxyAuthorization(value) if proxy => Some(value.value()),
            _ => None,
        });
        let method = request.method.to_string();
        let checked = proof.map_or(Checked::Ask { stale: false }, |proof| {
            self.nonces.check(proof, &method, &config.realm, &config.digests, self.passwords.as_ref(), now_s)
        });
        match checked {
            Checked::Proved(proved) if proved == name.as_str() => Ok(()),
            Checked::Proved(_) => Err(Reply::new(403, "That is another phone")),
            Checked::Malformed => Err(Reply::new(400, "Authorization cannot be read")),
            Checked::Ask { stale } => {
                let mut reply = if proxy { Reply::new(407, "") } else { Reply::new(401, "") };
                for challenge in self.nonces.challenge(&config.realm, &config.digests, stale, now_s) {
                    reply.headers.push(if proxy {
                        Header::ProxyAuthenticate(challenge.into())
                    } else {
                        Header::WwwAuthenticate(challenge.into())
                    });
                }
                Err(reply)
            }
        }
    }

    /// A REGISTER; says what to answer.
    pub(crate) fn register(&self, config: &Config, request: &Request, from: &SipConnection, now_s: u64) -> Reply {
        let answer = || -> Result<Reply, Reply> {
            let name = wire::dialled(&request.to_header().and_then(|to| to.uri()).map_err(|_| bad("To"))?)
                .map_err(|_| Reply::new(404, "No such phone"))?;
            self.prove(config, request, &name, false, now_s)?;
            let wanted = request.typed_contact_headers().map_err(|_| bad("Contact"))?;
            let registration = registration(request)?;
            let mut all = self.locked();
            let mut contacts = all.get(&name).cloned().unwrap_or_default();
            contacts.retain(|contact| contact.until > Instant::now());
            if contacts
                .iter()
                .any(|contact| contact.registration.0 == registration.0 && contact.registration.1 >= registration.1)
            {
                return Err(Reply::new(500, "An older registration came after a newer one"));
            }
            for contact in wanted {
                change(&mut contacts, config, request, &contact, from, &registration)?;
            }
            let reply = listed(&contacts);
            if contacts.is_empty() {
                all.remove(&name)
            } else {
                all.insert(name, contacts)
            };
            Ok(reply)
        };
        answer().unwrap_or_else(|refusal| refusal)
    }
}

fn bad(what: &str) -> Reply {
    Reply::new(400, &format!("{what} cannot be read"))
}

fn registration(request: &Request) -> Result<(String, u32), Reply> {
    let call = request.call_id_header().map_err(|_| bad("Call-ID"))?.value().to_owned();
    let number = request.cseq_header().and_then(|cseq| cseq.seq()).map_err(|_| bad("CSeq"))?;
    Ok((call, number))
}

/// One contact added, renewed or taken away.
fn change(
    contacts: &mut Vec<Contact>,
    config: &Config,
    request: &Request,
    wanted: &typed::Contact,
    from: &SipConnection,
    registration: &(String, u32),
) -> Result<(), Reply> {
    let header = match request.expires_header() {
        Some(expires) => Some(expires.value().trim().parse::<u32>().map_err(|_| bad("Expires"))?),
        None => None,
    };
    if matches!(&wanted.uri.scheme, Some(Scheme::Other(scheme)) if scheme == "*") {
        if header != Some(0) {
            return Err(Reply::new(400, "Contact * needs Expires 0"));
        }
        contacts.clear();
        return Ok(());
    }
    if wanted.uri.scheme != Some(Scheme::Sip) {
        return Err(Reply::new(400, "Contact is no sip address"));
    }
    let longest = config.limits.registration;
    let asked = wanted.expires().or(header).map_or(longest, |seconds| Duration::from_secs(seconds.into()));
    contacts.retain(|contact| contact.uri != wanted.uri);
    if asked.is_zero() {
        return Ok(());
    }
    if asked < config.limits.shortest_registration {
        let mut reply = Reply::new(423, "");
        reply.headers.push(Header::MinExpires(config.limits.shortest_registration.as_secs().to_string().into()));
        return Err(reply);
    }
    if contacts.len() >= MOST_CONTACTS {
        return Err(Reply::new(403, "Too many contacts"));
    }
    let source = from.get_remote_addr().cloned().ok_or_else(|| Reply::new(500, ""))?;
    contacts.push(Contact {
        uri: wanted.uri.clone(),
        source,
        stream: from.is_reliable().then(|| from.clone()),
        until: Instant::now() + asked.min(longest),
        registration: registration.clone(),
    });
    Ok(())
}

fn listed(contacts: &[Contact]) -> Reply {
    let mut reply = Reply::new(200, "");
    for contact in contacts {
        // Rounded, so that a phone reads the time that it asked for.
        let left = (contact.until.saturating_duration_since(Instant::now()) + Duration::from_millis(999)).as_secs();
        reply.headers.push(Header::Contact(format!("<{}>;expires={left}", contact.uri).into()));
    }
    reply
}
