use proptest::prelude::*;

use super::*;

#[test]
fn a_line_alone_has_no_trace() {
    for line in ["", "Traceback (most recent call last):", "java.lang.X: y", "\tat a.b(C.java:1)"] {
        assert_eq!(of(line), None, "{line}");
    }
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(parts in proptest::collection::vec(proptest::sample::select(vec![
        "Traceback (most recent call last):", "\n", "  File \"x\"", "KeyError: 'x'", "\tat a.B(C.java:1)", "    at f (node:x:1)", "Caused by: ",
        "Node.js v20", "   ^", "Exception in thread \"", "\" ", "\tfrom a.rb:1", ":in `x': ", " (E)", "é", "During handling of the above exception, another exception occurred:",
    ]), 0..30)) {
        let text = parts.concat();
        let _ = (of(&text), told("x", &text), super::super::read(&text));
    }
}
