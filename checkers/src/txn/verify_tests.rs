use super::*;
use crate::txn::append::check::ListAppend;
use crate::txn::r#gen::{registers, wild};
use crate::txn::models::model;
use crate::txn::random::Random;
use crate::txn::strongest::{Plain, Reading};
use crate::{Budget, Check};

/// Changes a certificate in one place.
fn spoiled(certificate: &Certificate, random: &mut Random) -> Certificate {
    let mut other = certificate.clone();
    if other.kind == "order" {
        let steps = other.body["steps"].as_array_mut().unwrap();
        let at = random.below(steps.len() as u64) as usize;
        steps.remove(at);
    } else {
        let edges = other.body["edges"].as_array_mut().unwrap();
        edges.reverse();
    }
    other
}

#[test]
fn certificates_are_accepted_and_spoiled_ones_are_not() {
    let mut random = Random::new(51);
    let budget = Budget::default();
    let (mut cycles, mut orders, mut caught) = (0, 0, 0);
    for round in 0..4_000 {
        let lists = round % 3 == 0;
        let h = match round % 3 {
            0 => wild(&mut random, true, 5),
            1 => wild(&mut random, false, 4),
            _ => registers(&mut random, 7, 3, 2),
        };
        let reading = Reading { initial: Value::Nil, realtime: true };
        for name in ["strict-serializable", "strong-session-serializable", "snapshot-isolation", "prefix"] {
            let m = model(name).unwrap();
            let verdict = if lists {
                ListAppend { model: m, realtime: true }.check(&h, &budget)
            } else {
                Plain { model: m, reading: reading.clone() }.check(&h, &budget)
            };
            let Some(certificate) = &verdict.certificate else { continue };
            let ops = || h.ops().collect::<Vec<_>>();
            if let Err(why) = verify(&h, certificate) {
                panic!("round {round}, {name}: {why}\n{certificate:#?}\n{:#?}", ops());
            }
            cycles += u32::from(certificate.kind == "cycle");
            orders += u32::from(certificate.kind == "order");
            caught += u32::from(verify(&h, &spoiled(certificate, &mut random)).is_err());
        }
    }
    assert!(cycles > 200 && orders > 2000, "{cycles} cycles, {orders} orders");
    assert!(caught > (cycles + orders) * 3 / 4, "{caught} of {}", cycles + orders);
}
