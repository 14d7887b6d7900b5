//! What the provider has told a device of where it stands, in a few bytes that only the provider can make, and that the device brings
//! back: whoever says to be ahead of the provider was told so by it. Then the records here are those of a backup (R15); a device's
//! own word would end sales and installs for everybody.

use crate::desk::Desk;
use tegata_core::talk::update::{Restart, UpdateRequest};
use tegata_core::wire::canonical::Bytes;
use tegata_core::{DeviceId, Hash};

/// Where a device stands once it has carried out an answer.
pub(super) struct Standing {
    device: DeviceId,
    epoch: u64,
    /// What is recorded, and the hash over it.
    recorded: (u64, Hash),
    /// Commands carried out, and the hash over them.
    commands: (u64, Hash),
    list: u64,
}

impl Standing {
    /// Where it says to stand.
    pub(super) fn said(request: &UpdateRequest) -> Self {
        Self {
            device: request.device,
            epoch: request.epoch,
            recorded: (request.acknowledged, request.acknowledged_head),
            commands: (request.commands, request.commands_head),
            list: request.list,
        }
    }
    /// Where it will stand after an answer in this epoch, which records so much, commands this and brings this list.
    pub(super) fn after(
        request: &UpdateRequest,
        (epoch, recorded): (u64, (u64, Hash)),
        restart: Option<&Restart>,
        commands: &[Bytes],
        list: Option<u64>,
    ) -> Self {
        let said = (request.commands, request.commands_head);
        let from = restart.map_or(said, |restart| (restart.commands, restart.commands_head));
        let commands = commands.iter().fold(from, |(number, head), command| (number + 1, head.chain(&command.0)));
        let list = request.list.max(list.unwrap_or(0));
        Self { device: request.device, epoch, recorded, commands, list }
    }
    /// The provider's word for it.
    pub(super) fn word(&self, desk: &Desk<'_>) -> Hash {
        let numbers = [self.epoch, self.recorded.0, self.commands.0, self.list].map(u64::to_be_bytes);
        let parts = [&self.device.0[..], &numbers.concat(), &self.recorded.1.0, &self.commands.1.0];
        Hash(desk.shared.keys().own_word("tegata provider standing v1", &parts))
    }
    /// Whether this is its word for it. Hashed once more, so that how long it takes says nothing about the word.
    pub(super) fn is_told(&self, desk: &Desk<'_>, word: Option<Hash>) -> bool {
        word.is_some_and(|word| Hash::of(&word.0) == Hash::of(&self.word(desk).0))
    }
}
