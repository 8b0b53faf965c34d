use std::path::Path;

use super::*;

/// What HAProxy 2.6 answered to the three questions, shortened to the columns that matter and some that do not.
const ANSWER: &str = "\
Name: HAProxy
Version: 2.6.12-1+deb12u4
Maxconn: 100
CurrConns: 97

# pxname,svname,qcur,qmax,scur,smax,slim,stot,status,weight,act,bck,chkfail,chkdown,lastchg,type,check_status,check_code,last_chk,addr,
f,FRONTEND,,,3,5,10,40,OPEN,,,,,,,0,,,,,
b,s1,0,0,0,0,3,0,DOWN,1,1,0,1,1,41,2,L7STS,404,\"Not Found, really\",,
b,s2,2,0,3,0,3,0,MAINT,1,1,0,,,1,2,,,,,
b,s3,0,0,0,0,,0,no check,1,0,1,,,1,2,,,,,
b,n1,0,0,0,0,,0,MAINT (resolution),1,1,0,,,1,2,,,,,
b,u1,0,0,0,0,,0,UP 1/3,1,1,0,,,1,2,* L4OK,,,,
b,w1,0,0,0,0,,0,UP,0,1,0,,,9,2,L4OK,,,,
b,w2,0,0,0,0,,0,no check,0,1,0,,,9,2,,,,,
b,w3,0,0,0,0,,0,DOWN,0,1,0,,,9,2,L4CON,,,,
b,BACKEND,0,0,0,0,999,0,UP,1,1,1,,0,1,1,,,,,

1
# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight srv_time_since_last_change srv_check_status srv_check_result srv_check_health srv_check_state srv_agent_state bk_f_forced_id srv_f_forced_id srv_fqdn srv_port srvrecord srv_use_ssl
3 b 1 s1 127.0.0.1 0 0 1 1 1 8 2 0 6 0 0 0 - 18081 - 0
3 b 2 s2 ::1 0 5 1 1 1 1 0 0 8 0 0 0 - 18082 - 0
3 b 5 n1 - 0 32 1 1 1 1 0 0 0 0 0 0 nosuch.invalid 80 - 0
";

#[test]
fn health_checks_limits_and_addresses_are_read() {
    let (servers, limits) = read(ANSWER).expect("an answer");
    let told: Vec<_> = servers.iter().map(|server| (server.name.as_str(), server.health, server.role)).collect();
    assert_eq!(
        told,
        [
            ("s1", Health::Down, Role::Primary),
            ("s2", Health::Disabled, Role::Primary),
            ("s3", Health::Unchecked, Role::Backup),
            ("n1", Health::Unresolved, Role::Primary),
            ("u1", Health::Up, Role::Primary),
            // Of weight 0.
            ("w1", Health::Draining, Role::Primary),
            ("w2", Health::Draining, Role::Primary),
            ("w3", Health::Down, Role::Primary),
        ]
    );
    assert_eq!([servers[0].for_s, servers[5].for_s, servers[7].for_s], [Some(41), None, Some(9)]);
    let check = servers[0].check.as_ref().expect("a check");
    assert_eq!((check.result.as_str(), check.status, check.detail.as_str()), ("L7STS", Some(404), "Not Found, really"));
    assert_eq!(servers[4].check.as_ref().map(|check| check.result.as_str()), Some("L4OK"));
    assert_eq!(servers[0].address.as_ref().map(ToString::to_string).as_deref(), Some("127.0.0.1:18081"));
    assert_eq!(servers[1].address.as_ref().map(ToString::to_string).as_deref(), Some("[::1]:18082"));
    assert_eq!((servers[3].address.as_ref(), servers[3].host.as_deref()), (None, Some("nosuch.invalid")));
    assert_eq!((servers[1].busy, servers[1].limit, servers[1].queued), (3, Some(3), 2));
    let limits: Vec<_> = limits.iter().map(|limit| (limit.name.as_str(), limit.used, limit.limit)).collect();
    assert_eq!(limits, [("maxconn", 97, 100), ("maxconn of frontend f", 3, 10)]);
}

#[test]
fn who_waits_for_any_server_waits_for_those_that_are_full() {
    let queued = |backend: u32| {
        let text = ANSWER.replace("b,BACKEND,0,", &format!("b,BACKEND,{backend},"));
        read(&text).expect("an answer").0.iter().map(|server| server.queued).collect::<Vec<_>>()
    };
    assert_eq!((&queued(0)[..3], &queued(4)[..3]), (&[0, 2, 0][..], &[0, 6, 0][..]));
}

#[test]
fn what_is_no_answer_is_none_and_half_of_one_is_half() {
    for text in ["", "Permission denied\n", "Unknown command.", "<html>", "# be_id be_name\n1 x"] {
        assert_eq!(read(text), None, "{text}");
    }
    let half = &ANSWER[..ANSWER.find("b,s2").expect("there")];
    assert_eq!(read(half).expect("half").0.len(), 1);
}

/// The answer of a real HAProxy, with its hundred columns.
#[test]
fn a_real_answer_is_read() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/roots/haproxy-debian/answer.txt");
    let text = std::fs::read_to_string(path).expect("a sample");
    let (servers, limits) = read(&text).expect("an answer");
    assert!(servers.iter().any(|server| server.health == Health::Down && server.address.is_some()), "{servers:#?}");
    assert_eq!(limits[0].name, "maxconn");
}
