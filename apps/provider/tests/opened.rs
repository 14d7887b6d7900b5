//! A payment by credit opened for the operator: what does not hold is said, where it is.

use crate::world::World;
use crate::world::house::{House, five, shop};
use serde_json::Value;

/// Whether each of the four is here and holds; what is not here says nothing.
fn verified(world: &World) -> Vec<Option<bool>> {
    let listed = world.provider.credits().expect("read");
    let request = listed["credits"][0]["request"].as_str().expect("a number").to_owned();
    let request = tegata_core::RequestNumber::parse(&request).expect("a number");
    let opened = world.provider.credit(request).expect("opened");
    opened["messages"].as_array().expect("four").iter().map(|one| one["verified"].as_bool()).collect()
}

#[test]
fn what_was_changed_after_it_was_signed_does_not_verify() {
    let mut world = World::new();
    let mut house = House::open(&mut world);
    world.order(1, 1_000, false);
    let (mut user, mut shop) = (house.user(&mut world, 31), shop(&mut world, 32));
    house.pay(&mut world, &mut user, &mut shop, five());
    assert_eq!(verified(&world), [Some(true), Some(true), None, Some(true)], "the terminal has not sent its receipt");
    world.update(&mut shop.device);
    world.update(&mut user.device);
    assert_eq!(verified(&world), [Some(true); 4]);

    let backup = world.provider.snapshot().expect("a copy");
    for (column, at) in [("completion", 0), ("notification", 1), ("receipt", 2)] {
        let store = tegata_store::Store::restore(&backup).expect("restored");
        let flip =
            format!("UPDATE credit SET {column} = cast(substr({column}, 1, length({column}) - 1) || x'00' AS BLOB)");
        assert_eq!(store.connection().execute(&flip, []).expect("changed"), 1);
        let (_, keys) = world.provider.crash();
        let broken = tegata_core::step::Broken::NONE;
        let (keys, now) = (keys.expect("held"), world.now);
        world.provider = tegata_provider::Provider::open(store, keys, "Town", now, broken).expect("opened");
        let mut expected = [Some(true); 4];
        expected[at] = Some(false);
        assert_eq!(verified(&world), expected, "{column}");
    }
    assert!(
        world.provider.credits().expect("read")["credits"].as_array().is_some_and(|all: &Vec<Value>| all.len() == 1)
    );
}
