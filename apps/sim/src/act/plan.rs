//! The promoter plans its event anew, and sells one sort of ticket more, while people buy and come in.

use crate::template::EVENT;
use crate::town::Town;
use tegata_core::card::Terms;
use tegata_core::talk::event::PlannedDoor;
use tegata_issuer::Offered;

/// What the door is called that there was not before.
const DOOR: &str = "door of the new plan";
/// What the tickets are called that were not for sale before, and how many there are.
const SORT: (&str, u64) = ("Festival, of the new plan", 3);

impl Town {
    /// The promoter plans its event anew: elsewhere, and with a door more. Said again, it says the same (R26).
    pub fn plan_anew(&mut self) {
        let Ok(mut plan) = self.issuer.event(&EVENT.to_string()) else {
            return;
        };
        if !plan.doors.iter().any(|door| door.name == DOOR) {
            let door = plan.doors.iter().map(|door| door.door).max().unwrap_or(0) + 1;
            let new = PlannedDoor { door, name: DOOR.into(), zone: 1, extensions: Default::default() };
            plan.doors.push(new);
        }
        plan.place = "Town hall, rebuilt".into();
        plan.revision += 1;
        plan.at = self.time;
        let now = self.now(0);
        let done = self.issuer.plan_drafted(&mut self.center, plan, now);
        self.say(|| format!("the promoter plans its event anew: {:?}", done.map(|plan| plan.revision)));
    }

    /// The promoter lists one sort of ticket more, like the first one. Said again, it says the same (R26).
    pub fn add_category(&mut self) {
        let listed = self.issuer.listings().unwrap_or_default();
        let last = listed.iter().map(|listing| listing.article).max().unwrap_or(0);
        let now = self.now(0);
        let done = match listed.iter().find(|listing| listing.terms.name == SORT.0) {
            Some(known) => self.issuer.relist(&mut self.center, known.article, now),
            None => {
                let of_event = |terms: &Terms| terms.ticket.as_ref().is_some_and(|ticket| ticket.event == EVENT);
                let Some(first) = listed.iter().find(|listing| of_event(&listing.terms)) else {
                    return;
                };
                let offered = Offered {
                    terms: Terms { name: SORT.0.into(), ..first.terms.clone() },
                    face: first.face,
                    price: first.price,
                    stock: SORT.1,
                    until: first.until,
                    valid_for: first.valid_for,
                    clear_after: None,
                };
                self.issuer.list(&mut self.center, last + 1, offered, now).map(drop)
            }
        };
        self.say(|| format!("the promoter sells one sort of ticket more: {done:?}"));
    }
}
