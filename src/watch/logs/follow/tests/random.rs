//! Whatever a writer and a rotation do, each complete line comes exactly once.

use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone)]
enum Step {
    Line,
    Half,
    Rotate,
    LateLine,
    Look,
    Delete,
    CopyTruncate,
    Regrow,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    use Step::{CopyTruncate, Delete, Half, LateLine, Line, Look, Regrow, Rotate};
    let step = prop_oneof![4 => Just(Line), 2 => Just(Half), 2 => Just(Rotate), 2 => Just(LateLine), 3 => Just(Look), 1 => Just(Delete), 1 => Just(CopyTruncate), 1 => Just(Regrow)];
    proptest::collection::vec(step, 1..60)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn each_complete_line_comes_once(steps in steps()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
        runtime.block_on(async move {
            let mut bench = Bench::new();
            let mut writer = File::options().append(true).create(true).open(bench.path("log")).expect("open");
            let mut old: Option<File> = None;
            let mut written = Vec::new();
            let mut rotations = 0;
            let mut number = 0;
            let mut next = || { number += 1; format!("<line {number}>") };
            for step in steps {
                match step {
                    Step::Line => {
                        let line = next();
                        writer.write_all(format!("{line}\n").as_bytes()).expect("write");
                        written.push(line);
                    }
                    Step::Half => {
                        let line = next();
                        let (front, back) = line.split_at(3);
                        writer.write_all(front.as_bytes()).expect("write");
                        bench.look().await;
                        writer.write_all(format!("{back}\n").as_bytes()).expect("write");
                        written.push(line);
                    }
                    Step::Rotate | Step::Delete => {
                        // We look more often than anybody rotates.
                        bench.look().await;
                        rotations += 1;
                        if matches!(step, Step::Rotate) {
                            bench.rename("log", &format!("log.{rotations}"));
                        } else {
                            fs::remove_file(bench.path("log")).expect("remove");
                        }
                        let new = File::options().append(true).create(true).open(bench.path("log")).expect("open");
                        old = Some(std::mem::replace(&mut writer, new));
                    }
                    Step::LateLine => if let Some(old) = &mut old {
                        let line = next();
                        old.write_all(format!("{line}\n").as_bytes()).expect("write");
                        written.push(line);
                    },
                    Step::Look => { bench.look().await; }
                    Step::CopyTruncate => {
                        for unread in [false, true] {
                            let line = next();
                            writer.write_all(format!("{line}\n").as_bytes()).expect("write");
                            written.push(line);
                            if !unread {
                                bench.look().await;
                            }
                        }
                        rotations += 1;
                        fs::copy(bench.path("log"), bench.path(&format!("log.{rotations}"))).expect("copy");
                        writer.set_len(0).expect("truncate");
                        bench.look().await;
                    }
                    Step::Regrow => {
                        bench.look().await;
                        let lines: Vec<String> = (0..20).map(|_| next()).collect();
                        fs::write(bench.path("log"), lines.join("\n") + "\n").expect("write");
                        written.extend(lines);
                        bench.look().await;
                    }
                }
            }
            bench.look().await;
            bench.look().await;
            bench.follower.finish(&mut bench.seen);
            let mut came = bench.came();
            came.sort();
            written.sort();
            let lost: Vec<_> = written.iter().filter(|line| !came.contains(line)).collect();
            assert!(came == written, "lost {lost:?} of {}, told {}", written.len(), came.len());
            assert_eq!(bench.seen.dropped, 0);
        });
    }
}
