use super::*;

/// A reply as a bus sends it: its header made by the same rules, its body given.
fn returned(signature: &str, body: &[u8]) -> Vec<u8> {
    let mut out = Writer(vec![b'l', 2, 0, 1]);
    out.u32(u32::try_from(body.len()).expect("short"));
    out.u32(9);
    let length = out.length();
    out.align(8);
    out.0.push(5);
    out.signature("u");
    out.u32(7);
    out.align(8);
    out.0.push(8);
    out.signature("g");
    out.signature(signature);
    out.fill(length);
    out.align(8);
    out.0.extend(body);
    out.0
}

#[test]
fn a_call_has_the_bytes_that_the_specification_asks_for() {
    let call = Call {
        destination: "org.freedesktop.DBus",
        path: "/org/freedesktop/DBus",
        interface: "org.freedesktop.DBus",
        member: "Hello",
        arguments: &[],
    };
    let bytes = message(&call, 1);
    // As dbus-monitor(1) with --binary records the Hello of sd-bus, but for the order of its fields.
    assert_eq!(bytes[..16], [b'l', 1, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 109, 0, 0, 0]);
    assert_eq!(bytes[16..24], [1, 1, b'o', 0, 21, 0, 0, 0]);
    assert_eq!(bytes.len(), 128);
}

#[test]
fn properties_are_read() {
    // a{sv}: "A" => u 5, "B" => s "x"
    let mut body = Writer::default();
    let length = body.length();
    body.align(8);
    let begin = body.0.len();
    body.text("A");
    body.signature("u");
    body.u32(5);
    body.align(8);
    body.text("B");
    body.signature("s");
    body.text("x");
    let bytes = u32::try_from(body.0.len() - begin).expect("short");
    body.0[length - 4..length].copy_from_slice(&bytes.to_le_bytes());
    let values = reply(&returned("a{sv}", &body.0), 7).expect("sense").expect("the reply");
    let pair = |key: &str, value| Value::List(vec![Value::Text(key.to_owned()), value]);
    assert_eq!(values, [Value::List(vec![pair("A", Value::Unsigned(5)), pair("B", Value::Text("x".into()))])]);
    assert_eq!(reply(&returned("a{sv}", &body.0), 8).expect("sense"), None, "somebody else's reply");
}

#[test]
fn negative_numbers_stay_negative() {
    let values = reply(&returned("i", &(-9_i32).to_le_bytes()), 7).expect("sense").expect("the reply");
    assert_eq!(values, [Value::Signed(-9)]);
}

#[test]
fn whatever_comes_is_survived() {
    let whole = returned("as", &[9, 0, 0, 0, 4, 0, 0, 0, b'a', b'b', b'c', b'd', 0]);
    assert!(reply(&whole, 7).is_ok_and(|reply| reply.is_some()));
    for cut in 0..whole.len() {
        let _ = reply(&whole[..cut], 7);
    }
    for at in 0..whole.len() {
        for value in [0, 1, 0x7f, 0xff] {
            let mut other = whole.clone();
            other[at] = value;
            let _ = reply(&other, 7);
        }
    }
    for signature in ["a", "(", "()", "{", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaay", "z", "(((((((((((((((((y"] {
        assert!(complete(signature.as_bytes(), 0).is_err(), "{signature}");
    }
    assert_eq!(complete(b"a{sv}s", 0).expect("sense"), 5);
}
