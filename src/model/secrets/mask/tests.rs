use proptest::prelude::*;

use super::*;

fn mask() -> Mask {
    let mask = Mask::new((1, 2));
    for name in ["gw1.fra", "shop.example.com", "*.shop.test", "db-7", "app", "nginx.conf", "_", "~^www"] {
        mask.learn(name);
    }
    mask
}

fn v4(mask: &Mask, text: &str) -> Ipv4Addr {
    mask.v4(text.parse().expect("an address"))
}

#[test]
fn addresses_become_others_of_their_kind_and_equal_ones_stay_equal() {
    let mask = mask();
    assert!(v4(&mask, "203.0.113.9").octets()[0] >= 240);
    assert!(v4(&mask, "10.1.2.3").octets()[0] == 10 && v4(&mask, "10.1.2.3") != Ipv4Addr::new(10, 1, 2, 3));
    assert_eq!(v4(&mask, "192.168.7.8").octets()[..2], [192, 168]);
    let (one, other, far) = (v4(&mask, "10.1.2.3"), v4(&mask, "10.1.2.4"), v4(&mask, "10.1.9.3"));
    assert!(one != other && one.octets()[..3] == other.octets()[..3] && one.octets()[2] != far.octets()[2]);
    for kept in ["127.0.0.1", "0.0.0.0", "224.0.0.1", "255.255.255.255"] {
        assert_eq!(v4(&mask, kept).to_string(), kept);
    }
    let once = v4(&mask, "203.0.113.9");
    assert_eq!(mask.v4(once), once, "once is enough");
    let (six, near): (Ipv6Addr, Ipv6Addr) = ("2a01:4f8:1:2::5".parse().expect("6"), "2a01:4f8:1:2::6".parse().expect("6"));
    assert!(mask.v6(six) != six && mask.v6(six) != mask.v6(near) && mask.v6(six).octets()[..8] == mask.v6(near).octets()[..8]);
    assert_eq!(mask.v6(mask.v6(six)), mask.v6(six));
    assert_ne!(Mask::new((3, 4)).v4(Ipv4Addr::new(203, 0, 113, 9)), once, "another run has other placeholders");
}

#[test]
fn texts_lose_them_and_nothing_else() {
    let mask = mask();
    for (text, gone) in [
        (
            "connect() to 10.2.3.4:8080 failed, client: 203.0.113.9, server: shop.example.com, request: \"GET / HTTP/1.1\"",
            &["10.2.3.4", "203.0.113.9", "shop.example.com"][..],
        ),
        ("upstream: \"http://[2a01:4f8::5]:8000/\", host: \"pay.internal\"", &["2a01:4f8::5", "pay.internal"]),
        ("up=10.2.3.4:80, 10.2.3.5:80 at SHOP.example.com.", &["10.2.3.4", "10.2.3.5", "SHOP"]),
        ("https://api.shop.test/x and bob@mail.example.org", &["api.shop", "mail.example"]),
        ("Nov 20 02:17:41 db-7 sshd: from 198.51.100.7 port 4", &["db-7", "198.51.100.7"]),
        ("::ffff:198.51.100.7 - -", &["198.51.100.7"]),
    ] {
        let masked = mask.text(text).unwrap_or_else(|| panic!("nothing found in {text}"));
        assert!(gone.iter().all(|gone| !masked.contains(gone)), "{masked}");
    }
    for text in [
        "nginx/1.22.1 loaded /etc/nginx/nginx.conf at 02:17:41, app.service 127.0.0.1:8080 [::1]:80",
        "1.2.3.4.5 is no address, and std::net::IpAddr none; Foo::Bar a::b",
        "java.net.ConnectException at com.example.App.main(App.java:5)",
        "server: app",
    ] {
        assert_eq!(mask.text(text), None, "{text}");
    }
}

proptest! {
    #[test]
    fn any_text_is_taken(text in "([0-9a-f.:]{0,12}|[a-z.@/ -]{0,8}|é|\\[|\\]|\"){0,12}") {
        let _ = mask().text(&text);
    }

    #[test]
    fn wherever_an_address_stands_it_goes(before in "[a-z= (\\[\":-]{0,6}", after in "[ ,)\\]\":/]{0,3}") {
        let text = format!("{before}203.0.113.9{after}");
        // Behind a letter it is a part of something else.
        if !before.ends_with(|c: char| c.is_alphanumeric()) {
            prop_assert!(mask().text(&text).is_some_and(|masked| !masked.contains("203.0.113.9")), "{}", text);
        }
    }
}
