//! The data folder: where each part keeps its things, and who answers at which address.

use crate::screen::{Failure, fail};
use std::io::{IsTerminal, Write};
use std::net::{SocketAddr, ToSocketAddrs};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tegata_core::Time;
use tegata_core::wire::signed::Algorithm;
use tegata_crypto_native::code::CodeCost;
use tegata_crypto_native::{NativeVerifier, entropy};
use tegata_device::{Device, HttpPost, KeyRing, Now, Summary};
use tegata_gate::Gate;
use tegata_issuer::Issuer;
use tegata_switch::Switch;
use tegata_terminal::Terminal;
use tegata_vault::{DataFolder, PartFolder, SqliteVault, VaultError};
use tegata_wallet::Wallet;

/// Shortest code number.
const CODE_LENGTH: usize = 4;
/// How long whoever goes on with its work waits for an answer.
pub const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// How long a command waits for another process that holds the same part, or for a counter that is about to open.
const PATIENCE: Duration = Duration::from_secs(3);
/// How often it looks meanwhile.
const LOOK: Duration = Duration::from_millis(50);

/// Now, with fresh entropy.
pub fn now() -> Now {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    Now { time: Time(seconds), entropy: entropy::fresh() }
}

/// An opened data folder and what the command line says about it.
pub struct Place {
    /// The folder.
    pub folder: DataFolder,
    /// The provider's address from the command line.
    pub provider: Option<String>,
    /// The wallet's code number from the command line or the environment.
    pub code: Option<String>,
}

/// A part of the town, opened: its folder stays locked while this lives.
pub struct Opened<T> {
    /// The part.
    pub part: T,
    /// Its folder.
    pub folder: PartFolder,
}

/// Which sort of device a folder holds.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Sort {
    /// Somebody types a code number.
    Wallet,
    /// Nobody does.
    Terminal,
    /// Nobody does.
    Gate,
    /// Nobody does.
    Switch,
    /// Nobody does.
    Issuer,
    /// Nobody does.
    Merchant,
}

impl Place {
    fn part(&self, sort: Sort, name: &str) -> Result<PartFolder, Failure> {
        if !tegata_vault::folder::is_name(name) {
            return fail(format!("'{name}' is no name: use letters, digits and dashes"));
        }
        // A command that ends at this moment lets go in a moment.
        let until = Instant::now() + PATIENCE;
        loop {
            let opened = match sort {
                Sort::Wallet => self.folder.wallet(name),
                Sort::Terminal => self.folder.terminal(name),
                Sort::Gate => self.folder.gate(name),
                Sort::Switch => self.folder.switch(name),
                Sort::Issuer => self.folder.issuer(name),
                Sort::Merchant => self.folder.merchant(name),
            };
            match opened {
                Err(error) if error.reason == VaultError::Locked && Instant::now() < until => std::thread::sleep(LOOK),
                opened => return Ok(opened?),
            }
        }
    }

    fn at(&self, sort: Sort, name: &str) -> PathBuf {
        let folder = match sort {
            Sort::Wallet => "wallets",
            Sort::Terminal => "terminals",
            Sort::Gate => "gates",
            Sort::Switch => "switches",
            Sort::Issuer => "issuers",
            Sort::Merchant => "merchants",
        };
        self.folder.path().join(folder).join(name)
    }

    /// Whether there is a device of this name already, joined or not.
    pub fn exists(&self, sort: Sort, name: &str) -> bool {
        tegata_vault::folder::is_name(name) && self.at(sort, name).join("vault.db").exists()
    }

    /// Makes a device that does not exist yet, or finishes making one.
    pub fn create(&self, sort: Sort, name: &str, algorithm: Algorithm) -> Result<Opened<Device<SqliteVault>>, Failure> {
        let folder = self.part(sort, name)?;
        if folder.vault().exists() {
            drop(folder);
            return self.open(sort, name);
        }
        let code = self.code(sort, true)?;
        let bound = device_key(folder.path(), true)?;
        let mut vault = SqliteVault::create(folder.vault())?;
        let ring = KeyRing::create(&mut vault, code.as_deref(), &bound, algorithm, CodeCost::default())?;
        Ok(Opened { part: Device::new(vault, ring, &NativeVerifier), folder })
    }

    /// Opens a device.
    pub fn open(&self, sort: Sort, name: &str) -> Result<Opened<Device<SqliteVault>>, Failure> {
        let folder = self.part(sort, name)?;
        if !folder.vault().exists() {
            return fail(format!("there is no '{name}' here yet; join first, which makes it"));
        }
        let mut vault = SqliteVault::open(folder.vault())?;
        let code = self.code(sort, false)?;
        let bound = device_key(folder.path(), false)?;
        let ring = KeyRing::open(&mut vault, code.as_deref(), &bound)?;
        Ok(Opened { part: Device::new(vault, ring, &NativeVerifier), folder })
    }

    /// Looks into a device's records, also while it works in another process: nothing is locked, and its keys are not there.
    pub fn look(&self, sort: Sort, name: &str) -> Result<(Device<SqliteVault>, PathBuf), Failure> {
        if !self.exists(sort, name) {
            return fail(format!("there is no '{name}' here yet; join first, which makes it"));
        }
        let folder = self.at(sort, name);
        let vault = SqliteVault::open(folder.join("vault.db"))?;
        let none = KeyRing::in_memory(Algorithm::Ed25519, &[0; 32]);
        Ok((Device::new(vault, none, &NativeVerifier), folder))
    }

    /// Opens a wallet.
    pub fn wallet(&self, name: &str) -> Result<Opened<Wallet<SqliteVault>>, Failure> {
        let Opened { part, folder } = self.open(Sort::Wallet, name)?;
        let algorithm = part.key().map_or(Algorithm::Ed25519, |key| key.algorithm());
        Ok(Opened { part: Wallet::new(part, algorithm), folder })
    }

    /// Opens a terminal.
    pub fn terminal(&self, name: &str) -> Result<Opened<Terminal<SqliteVault>>, Failure> {
        let Opened { part, folder } = self.open(Sort::Terminal, name)?;
        Ok(Opened { part: Terminal::new(part), folder })
    }

    /// Opens a gate.
    pub fn gate(&self, name: &str) -> Result<Opened<Gate<SqliteVault>>, Failure> {
        let Opened { part, folder } = self.open(Sort::Gate, name)?;
        Ok(Opened { part: Gate::new(part), folder })
    }

    /// Opens a switch.
    pub fn switch(&self, name: &str) -> Result<Opened<Switch<SqliteVault>>, Failure> {
        let Opened { part, folder } = self.open(Sort::Switch, name)?;
        Ok(Opened { part: Switch::new(part), folder })
    }

    /// Opens an issuer.
    pub fn issuer(&self, name: &str) -> Result<Opened<Issuer<SqliteVault>>, Failure> {
        let Opened { part, folder } = self.open(Sort::Issuer, name)?;
        Ok(Opened { part: Issuer::new(part), folder })
    }

    fn code(&self, sort: Sort, new: bool) -> Result<Option<String>, Failure> {
        if sort != Sort::Wallet {
            return Ok(None);
        }
        if let Some(code) = &self.code {
            return if new { sound(code.clone()).map(Some) } else { Ok(Some(code.clone())) };
        }
        if !std::io::stdin().is_terminal() {
            return fail("the wallet's code number is needed: give --code, or set TEGATA_CODE");
        }
        let asked = if new { "New code number: " } else { "Code number: " };
        let typed = rpassword::prompt_password(asked)?;
        if new { sound(typed).map(Some) } else { Ok(Some(typed)) }
    }

    /// Changes a wallet's code number.
    pub fn change_code(&self, opened: &mut Opened<Wallet<SqliteVault>>, new: &str) -> Result<(), Failure> {
        let new = &sound(new.to_owned())?;
        let bound = device_key(opened.folder.path(), false)?;
        let device = &mut opened.part.device;
        Ok(device.ring.change_code(&mut device.vault, new, &bound, CodeCost::default())?)
    }

    /// Where the provider answers: the command line's word, else the provider of this data folder, else the one that a token named
    /// when somebody joined here.
    pub fn provider_url(&self) -> Result<String, Failure> {
        if let Some(url) = &self.provider {
            return Ok(url.clone());
        }
        let told = std::fs::read_to_string(self.told()).ok();
        match (read_address(&self.folder.path().join("provider")), told) {
            (Some(address), _) => Ok(format!("http://{address}")),
            (None, Some(told)) => Ok(told.trim().to_owned()),
            (None, None) => {
                fail("no provider runs on this data folder; start one with `tegata town` or name it with --provider")
            }
        }
    }

    fn told(&self) -> PathBuf {
        self.folder.path().join("provider.url")
    }

    fn pinned(&self) -> PathBuf {
        self.folder.path().join("provider.pin")
    }

    /// Remembers which provider this is, and where a token says that it answers.
    pub fn remember_provider(&self, url: Option<&str>, pin: &[u8; 16]) -> Result<(), Failure> {
        if let Some(url) = url {
            std::fs::write(self.told(), url)?;
        }
        Ok(std::fs::write(self.pinned(), pin)?)
    }

    /// What tokens of the provider pin that something here has joined.
    pub fn provider_pin(&self) -> Option<[u8; 16]> {
        std::fs::read(self.pinned()).ok()?.try_into().ok()
    }

    /// The line to the provider.
    pub fn post(&self) -> Result<HttpPost, Failure> {
        Ok(HttpPost::new(&self.provider_url()?)?)
    }

    /// The line of whoever goes on with its work while it waits for an answer.
    pub fn brief_post(&self) -> Result<HttpPost, Failure> {
        Ok(HttpPost::within(&self.provider_url()?, ANSWER_WITHIN)?)
    }

    /// Opens a wallet and its line to the provider.
    pub fn online(&self, name: &str) -> Result<(Opened<Wallet<SqliteVault>>, HttpPost), Failure> {
        let mut opened = self.wallet(name)?;
        let post = self.line(&mut opened.part)?;
        Ok((opened, post))
    }

    /// A wallet to which a card or value shall come, and what its update has brought: one that was put back from an older copy is known
    /// as that before (R14). What comes now no other copy can have spent, so that nothing of it is held back (R11).
    pub fn abreast(&self, name: &str) -> Result<(Opened<Wallet<SqliteVault>>, HttpPost, Summary), Failure> {
        let (mut opened, mut post) = self.online(name)?;
        let summary = opened.part.update(&mut post, now())?;
        Ok((opened, post, summary))
    }

    /// A wallet's line to the provider. What it took from others and has not registered is registered at once.
    pub fn line(&self, wallet: &mut Wallet<SqliteVault>) -> Result<HttpPost, Failure> {
        let mut post = self.post()?;
        // What is refused is told by the update that ends it, and stands in `tickets`.
        if let Err(why) = wallet.register_all(&mut post, now) {
            tracing::info!("a ticket is not registered: {why}");
        }
        Ok(post)
    }

    /// The address of a wallet that waits with a ticket to give: given itself, or by the wallet's name.
    pub fn giver(&self, from: &str) -> Result<String, Failure> {
        if from.contains(':') {
            return Ok(from.to_owned());
        }
        match self.found(&self.folder.path().join("wallets").join(from)) {
            Some(address) => Ok(address),
            None if !self.exists(Sort::Wallet, from) => fail(format!(
                "'{from}' is no wallet on this data folder and no gift's number; give the address that its screen shows"
            )),
            None => fail(format!(
                "wallet '{from}' gives nothing at the moment; start there: tegata wallet {from} give TICKET"
            )),
        }
    }

    /// The address of a gate that waits for tickets: given itself, or by the gate's name.
    pub fn gateway(&self, at: &str) -> Result<String, Failure> {
        if at.contains(':') {
            return Ok(at.to_owned());
        }
        match self.found(&self.folder.path().join("gates").join(at)) {
            Some(address) => Ok(address),
            None => fail(format!("gate '{at}' is not open here; open it in another window: tegata gate {at} run")),
        }
    }

    /// Where a hotspot answers: given itself, or by its switch's name.
    pub fn hotspot(&self, at: &str) -> Result<String, Failure> {
        if at.starts_with("http://") || at.starts_with("https://") {
            return Ok(at.to_owned());
        }
        if at.contains(':') {
            return Ok(format!("http://{at}"));
        }
        match self.found(&self.folder.path().join("switches").join(at)) {
            Some(address) => Ok(format!("http://{address}")),
            None => fail(format!(
                "'{at}' opens no way here; open it in another window: tegata switch {at} hotspot --service NUMBER"
            )),
        }
    }
    /// The address of a switch that connects calls: given itself, or by the switch's name.
    pub fn exchange(&self, at: &str) -> Result<SocketAddr, Failure> {
        let folder = self.folder.path().join("switches").join(at);
        let address = match at.contains(':') {
            true => at.to_owned(),
            false => match self.found(&folder) {
                Some(address) => address,
                None if !folder.exists() => {
                    return fail(format!("there is no switch '{at}' on this data folder; give its address, HOST:PORT"));
                }
                None => {
                    return fail(format!(
                        "switch '{at}' connects no calls at the moment; its operator starts it: tegata switch {at} run"
                    ));
                }
            },
        };
        match address.to_socket_addrs().map(|mut found| found.next()) {
            Ok(Some(address)) => Ok(address),
            _ => fail(format!("'{address}' is no address of a switch; write it like 192.0.2.7:5060")),
        }
    }

    /// The address in a folder, once its part has said it. One that was killed has left its address: who answers holds the folder.
    fn found(&self, folder: &Path) -> Option<String> {
        let answering = || read_address(folder).filter(|_| tegata_vault::folder::is_held(folder));
        let until = Instant::now() + PATIENCE;
        let mut found = answering();
        while found.is_none() && folder.exists() && Instant::now() < until {
            std::thread::sleep(LOOK);
            found = answering();
        }
        found
    }

    /// The address of a terminal that waits at its counter: given itself, or by the terminal's name.
    pub fn counter(&self, at: &str) -> Result<String, Failure> {
        if at.contains(':') {
            return Ok(at.to_owned());
        }
        let folder = self.folder.path().join("terminals").join(at);
        match self.found(&folder) {
            Some(address) => Ok(address),
            None if !folder.exists() => fail(format!(
                "there is no terminal '{at}' on this data folder; name it as it joined, or give its address"
            )),
            None => fail(format!(
                "terminal '{at}' is not waiting for a wallet; start a charge there: tegata terminal {at} charge 4.50"
            )),
        }
    }
}

/// A new code number that cannot be guessed in the few tries there are.
fn sound(code: String) -> Result<String, Failure> {
    if code.chars().count() < CODE_LENGTH {
        return fail(format!("a code number has at least {CODE_LENGTH} digits or letters; choose a longer one"));
    }
    Ok(code)
}

/// Says in a folder that its part answers at this address. Whoever looks sees the whole address or none.
pub fn write_address(folder: &Path, address: &str) -> Result<(), Failure> {
    let written = folder.join("address.new");
    std::fs::write(&written, address)?;
    Ok(std::fs::rename(written, folder.join("address"))?)
}

/// Takes that back.
pub fn forget_address(folder: &Path) {
    // Already gone is as good as removed.
    let _ = std::fs::remove_file(folder.join("address"));
}

/// Where the part of this folder answers.
pub fn read_address(folder: &Path) -> Option<String> {
    std::fs::read_to_string(folder.join("address")).ok().map(|text| text.trim().to_owned())
}

/// The key that binds a vault to this folder (R19): a copied vault alone does not open.
fn device_key(folder: &Path, new: bool) -> Result<[u8; 32], Failure> {
    let path: PathBuf = folder.join("device.key");
    match std::fs::read(&path) {
        Ok(bytes) => match bytes.as_slice().try_into() {
            Ok(key) => Ok(key),
            Err(_) => {
                fail("device.key is damaged: without it this vault does not open; restore it from where it was kept")
            }
        },
        Err(_) if new => {
            let key = entropy::fresh();
            let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
            file.write_all(&key)?;
            file.sync_all()?;
            Ok(key)
        }
        Err(_) => fail("device.key is missing: this is a copy of a vault, or a damaged folder"),
    }
}
