//! When a frame may be drawn: at once as a rule, and seldom under a flood.
//!
//! A key is answered at once, and up to 20 times a second when one is held. What comes from the host is drawn at once too, but in
//! the long run four times a second: more can't be read, and each frame costs the host, which is in trouble, and the line.

use std::time::Duration;

use tokio::time::Instant;

/// The mean time between two frames that no key asked for; so old is the newest state at most.
const NEWS: Duration = Duration::from_millis(250);
/// So many of them may be ahead of that mean: a line after a quiet second is drawn at once, and so is the verdict that follows.
const NEWS_BURST: u32 = 3;
/// The shortest time between two of them: what comes together is drawn together.
const NEWS_GAP: Duration = Duration::from_millis(15);
/// How long the first frame stands: what all collectors find in their first moments comes in one frame behind it. It would be three, which nobody
/// reads, and each nearly a whole screen for the line.
const FIRST: Duration = Duration::from_millis(100);
/// The mean time between two frames that a key asked for: 20 a second are smooth.
const KEYS: Duration = Duration::from_millis(50);
/// So many of them may be ahead of that mean: a few keys in a row are answered one by one.
const KEYS_BURST: u32 = 5;

/// The generic cell rate algorithm (ITU-T I.371): the time at which the next frame would come at the mean rate.
#[derive(Debug)]
struct Rate {
    due: Instant,
    mean: Duration,
    burst: u32,
}

impl Rate {
    fn new(now: Instant, mean: Duration, burst: u32) -> Self {
        Self { due: now, mean, burst }
    }

    fn next(&self) -> Instant {
        self.due.checked_sub(self.mean * (self.burst - 1)).unwrap_or(self.due)
    }

    fn took(&mut self, now: Instant) {
        self.due = self.due.max(now) + self.mean;
    }
}

/// Whether something is to be drawn, and when.
#[derive(Debug)]
pub struct Pace {
    last: Instant,
    news: Rate,
    keys: Rate,
    /// The host has news, or the clock goes on.
    has_news: bool,
    /// A person waits.
    has_key: bool,
    /// No news before.
    not_before: Instant,
}

/// A frame that is to be drawn now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Frame {
    /// Of the newest state, with the conclusions from it.
    Newest,
    /// The answer to a key, with the conclusions of the frame before: drawing new ones would make the person wait.
    Answer,
}

impl Pace {
    /// The first frame was drawn just now.
    pub fn new(now: Instant) -> Self {
        Self {
            last: now,
            news: Rate::new(now, NEWS, NEWS_BURST),
            keys: Rate::new(now, KEYS, KEYS_BURST),
            has_news: false,
            has_key: false,
            not_before: now + FIRST,
        }
    }

    /// The host has news, or the clock goes on.
    pub fn news(&mut self) {
        self.has_news = true;
    }

    /// A person waits for an answer.
    pub fn key(&mut self) {
        self.has_key = true;
    }

    fn next_news(&self) -> Instant {
        self.news.next().max(self.last + NEWS_GAP).max(self.not_before)
    }

    /// When the next frame may be drawn. `None`: none is wanted.
    pub fn due(&self) -> Option<Instant> {
        let news = self.has_news.then(|| self.next_news());
        let key = self.has_key.then(|| self.keys.next());
        news.into_iter().chain(key).min()
    }

    /// The frame that is to be drawn at this time, which counts as drawn.
    pub fn frame(&mut self, now: Instant) -> Option<Frame> {
        let news = self.has_news && self.next_news() <= now;
        let key = self.has_key && self.keys.next() <= now;
        let frame = match (news, key) {
            (false, false) => return None,
            (true, true | false) => {
                self.has_news = false;
                self.news.took(now);
                Frame::Newest
            }
            (false, true) => {
                self.keys.took(now);
                Frame::Answer
            }
        };
        self.has_key = false;
        self.last = now;
        Some(frame)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Milliseconds at which frames are drawn while one is wanted all the time.
    fn frames(want: fn(&mut Pace), for_ms: u64) -> Vec<u64> {
        let began = Instant::now();
        let mut pace = Pace::new(began);
        let at = |ms: &u64| {
            want(&mut pace);
            let now = began + Duration::from_millis(*ms);
            let due = pace.due().is_some_and(|due| due <= now);
            assert_eq!(due, pace.frame(now).is_some());
            due
        };
        (0..for_ms).filter(at).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn a_flood_is_drawn_four_times_a_second_and_its_beginning_at_once() {
        let drawn = frames(Pace::news, 10_000);
        assert!(drawn[0] <= 100 && drawn[2] <= 130, "{drawn:?}");
        assert!(drawn.len() <= 43, "{} in ten seconds", drawn.len());
        assert!(drawn.windows(2).all(|pair| pair[1] - pair[0] <= 250), "never older than a quarter of a second");
    }

    #[tokio::test(start_paused = true)]
    async fn keys_are_answered_at_once_whatever_the_host_says() {
        assert_eq!(frames(Pace::key, 1_000).len(), 24);
        let began = Instant::now();
        let mut pace = Pace::new(began);
        let mut newest = 0;
        for ms in 0..5_000u64 {
            let now = began + Duration::from_millis(ms);
            pace.news();
            // Five keys a second.
            let pressed = ms % 200 == 7;
            if pressed {
                pace.key();
            }
            let frame = pace.frame(now);
            assert!(!pressed || frame.is_some(), "at {ms} ms");
            assert!(ms >= 100 || frame != Some(Frame::Newest), "at {ms} ms");
            newest += u32::from(frame == Some(Frame::Newest));
        }
        assert!((20..=24).contains(&newest), "news are drawn all the same: {newest}");
    }
}
