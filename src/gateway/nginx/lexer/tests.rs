use proptest::prelude::*;

use super::*;

fn words(text: &str) -> Vec<String> {
    Lexer::new(text.as_bytes())
        .map(|token| match token {
            Token::Word(word) => word.text.into(),
            Token::End(_) => ";".to_owned(),
            Token::Open(_) => "{".to_owned(),
            Token::Close(_) => "}".to_owned(),
            Token::Bad(line, what) => format!("!{line} {what}"),
        })
        .collect()
}

#[test]
fn quotes_escapes_and_variables_are_read_as_nginx_reads_them() {
    for (text, expected) in [
        (r#"a "b;{}#" 'c"d' ;"#, vec!["a", "b;{}#", "c\"d", ";"]),
        (r#"a "x\"y" 'it\'s' b\ c;"#, vec!["a", "x\"y", "it's", r"b\ c", ";"]),
        (r"location ~ ^/a\{2\}\.php$ {}", vec!["location", "~", r"^/a\{2\}\.php$", "{", "}"]),
        ("a ${b}c{", vec!["a", "${b}c", "{"]),
        ("a x#y; # c ; {\nb;", vec!["a", "x#y", ";", "b", ";"]),
        (r#"if ($a = "b") {}"#, vec!["if", "($a", "=", "b", ")", "{", "}"]),
        ("a b\r\nc;\r\n", vec!["a", "b", "c", ";"]),
        (r"a '\t\d\\';", vec!["a", "\t\\d\\", ";"]),
        ("a '';", vec!["a", "", ";"]),
    ] {
        assert_eq!(words(text), expected, "{text}");
    }
}

#[test]
fn what_nginx_refuses_is_told_and_the_rest_is_read() {
    assert_eq!(words("a \"b\"c; d;"), ["a", "b", "!1 unexpected \"c\"", "c", ";", "d", ";"]);
    assert_eq!(words("x;\na 'b"), ["x", ";", "a", "b", "!2 unexpected end of file: the quote ' of line 2 has no end"]);
    assert!(words("\u{feff}user a;")[0].contains("byte order mark"));
    assert_eq!(words("\u{feff}user a;")[1..], ["user", "a", ";"]);
}

#[test]
fn a_lua_block_is_one_word_whatever_it_holds() {
    let lua = "\n -- it's a } comment\n local s = \"}\" --[[ } ]] local t = {a = [=[ } ]] ]=]}\n if x then y() end\n";
    let text = format!("content_by_lua_block {{{lua}}}\nset_by_lua_block $a {{ return '}}' }} b;");
    assert_eq!(words(&text), ["content_by_lua_block", lua, ";", "set_by_lua_block", "$a", " return '}' ", ";", "b", ";"]);
    let after = Lexer::new(text.as_bytes()).find_map(|token| match token {
        Token::Word(word) if word.text == "set_by_lua_block" => Some(word.line),
        _ => None,
    });
    assert_eq!(after, Some(6));
}

#[test]
fn a_line_of_ten_megabytes_keeps_four_kilobytes() {
    let text = format!("a {};\nb c;", "x".repeat(10 << 20));
    let tokens: Vec<Token> = Lexer::new(text.as_bytes()).collect();
    let kept: usize = tokens.iter().map(|token| if let Token::Word(word) = token { word.text.len() } else { 0 }).sum();
    assert_eq!(kept, 1 + WORD_BYTES + 2);
    assert!(tokens.iter().any(|token| matches!(token, Token::Bad(1, what) if what.contains("too long parameter"))));
    assert_eq!(tokens.last(), Some(&Token::End(2)));
}

proptest! {
    #[test]
    fn no_bytes_stop_it_and_lines_exist(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        bounded(&bytes)?;
    }

    #[test]
    fn words_stand_on_the_lines_that_they_name(text in "[a-z$;{}\"' \n\t#.:/]{0,200}") {
        let lines: Vec<&str> = text.split('\n').collect();
        for token in Lexer::new(text.as_bytes()) {
            if let Token::Word(word) = token {
                let line = lines.get(word.line as usize - 1).copied().unwrap_or_default();
                let first = word.text.split('\n').next().unwrap_or_default();
                prop_assert!(line.contains(first), "{:?} on line {} of {text:?}", word.text, word.line);
            }
        }
    }

    #[test]
    fn nor_do_pieces_of_the_grammar(pieces in proptest::collection::vec(
        prop_oneof![Just("{"), Just("}"), Just(";"), Just("'"), Just("\""), Just("\\"), Just("$"), Just("#"), Just("\n"), Just(" "),
            Just("x_by_lua_block"), Just("[[",), Just("]]"), Just("--"), Just("[=["), Just("a"), Just(")")], 0..60)) {
        bounded(pieces.concat().as_bytes())?;
    }
}

fn bounded(bytes: &[u8]) -> Result<(), TestCaseError> {
    let lines = u32::try_from(bytes.split(|byte| *byte == b'\n').count()).expect("few");
    // Each byte begins at most one token, which has at most two complaints.
    for (count, token) in Lexer::new(bytes).enumerate() {
        prop_assert!(count <= bytes.len() * 3 + 3);
        let line = match token {
            Token::Word(word) => word.line,
            Token::End(line) | Token::Open(line) | Token::Close(line) | Token::Bad(line, _) => line,
        };
        prop_assert!((1..=lines).contains(&line));
    }
    Ok(())
}
