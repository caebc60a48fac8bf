//! The short way and the careful way lead to the same columns, and to the same errors.

use proptest::prelude::*;

use super::*;

fn both(text: &str, format: Format) -> [Result<Accesses, String>; 2] {
    [true, false].map(|hurry| {
        let mut window = Window::new(Box::new(text.as_bytes()));
        let read = read_lines(&mut window, format, &Options::default(), hurry);
        read.map(|(accesses, _)| accesses).map_err(|e| e.to_string())
    })
}

/// Lines that are nearly always right, so that a text is often read to its end.
fn plume() -> impl Strategy<Value = String> {
    let odd = [
        "w(1,2,3,4",
        " r(1,0,1,1) ",
        "r(1,1,1,1)\r",
        "",
        "r(1, 2,3,4)",
        "q",
        "r(1,2,4294967296,1)",
        "w(9223372036854775808,1,1,1)",
        "w(9223372036854775807,-9223372036854775808,1,9)",
        "r(-1,-0,0,-2)",
        "w(1,2,-3,4)",
        "w(0001,2,3,4)",
        "w(1,2,3,4)x",
        "w(,2,3,4)",
    ];
    let good = (prop::bool::ANY, 0..4i64, -1..4i64, 0..3u32, -1..4i64)
        .prop_map(|(read, k, v, s, t)| format!("{}({k},{v},{s},{t})", if read { 'r' } else { 'w' }));
    let in_order = (prop::bool::ANY, 0..4i64, 0..4i64, 0..2u32)
        .prop_map(|(read, k, v, s)| format!("{}({k},{v},{s},INDEX)", if read { 'r' } else { 'w' }));
    let line = prop_oneof![
        20 => in_order,
        1 => good,
        1 => prop::sample::select(odd.to_vec()).prop_map(str::to_owned),
    ];
    prop::collection::vec(line, 0..40).prop_map(|lines| {
        let numbered = lines.iter().enumerate().map(|(i, l)| l.replace("INDEX", &(i / 5).to_string()));
        numbered.collect::<Vec<_>>().join("\n")
    })
}

fn awdit() -> impl Strategy<Value = String> {
    let odd = [
        "r  1 2",
        "w 1 2 ",
        "--",
        "-",
        "----x",
        "r 1",
        "w\t1\t2",
        "==",
        "r -1 -5",
        "",
        "----\r",
        "w 1 99999999999999999999",
        "w 999999999999999999 9223372036854775807",
    ];
    let line = prop_oneof![
        12 => (prop::bool::ANY, 0..4i64, -1..4i64)
            .prop_map(|(read, k, v)| format!("{} {k} {v}", if read { 'r' } else { 'w' })),
        4 => Just("-----".to_owned()),
        2 => Just("=====".to_owned()),
        1 => prop::sample::select(odd.to_vec()).prop_map(str::to_owned),
    ];
    prop::collection::vec(line, 0..40).prop_map(|lines| lines.join("\n"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn both_ways_read_plume_alike(text in plume()) {
        let [short, careful] = both(&text, Format::PlumeText);
        prop_assert_eq!(short, careful);
    }

    #[test]
    fn both_ways_read_awdit_alike(text in awdit()) {
        let [short, careful] = both(&text, Format::AwditText);
        prop_assert_eq!(short, careful);
    }
}

#[test]
fn sessions_that_speak_in_turn_are_sorted_into_their_transactions() {
    let text = "w(1,1,0,1)\nw(1,2,1,1)\nr(1,2,0,1)\nr(1,0,1,1)\nw(2,7,0,2)\nr(2,7,1,1)\n";
    let [read, _] = both(text, Format::PlumeText);
    let read = read.unwrap();
    let transactions: Vec<Vec<(i64, i64)>> =
        (0..read.len()).map(|t| read.of(t).map(|a| (a.key, a.value)).collect()).collect();
    assert_eq!(transactions, [vec![(1, 1), (1, 2)], vec![(1, 2), (1, 0), (2, 7)], vec![(2, 7)]]);
    assert_eq!((read.process(0), read.process(1), read.process(2)), (0, 1, 0));
}
