//! The questions of one release: each asked once at a time, some at the same time, their answers kept until they are
//! taken.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use serin_rollout::{Answer, HookKind, Probe, Value};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;

/// Questions of one release on their way at the same time; the rest wait.
const QUESTIONS_MAX: usize = 8;

/// Asks the questions of one release. Dropped, it asks nothing any more.
pub struct Prober {
    permits: Arc<Semaphore>,
    asked: BTreeSet<Key>,
    tasks: JoinSet<()>,
    sender: mpsc::UnboundedSender<Answer>,
    answers: mpsc::UnboundedReceiver<Answer>,
    woken: Arc<dyn Fn() + Send + Sync>,
}

/// What tells one question from another: whether it is a hook's, its index and its round. The phase is what a hook is
/// told, and may change while it is thinking.
type Key = (bool, usize, u64, Option<HookKind>);

impl Default for Prober {
    fn default() -> Self {
        Self::waking(|| {})
    }
}

impl Prober {
    /// As the default one; calls `woken` after each answer.
    pub fn waking(woken: impl Fn() + Send + Sync + 'static) -> Self {
        let (sender, answers) = mpsc::unbounded_channel();
        Self {
            permits: Arc::new(Semaphore::new(QUESTIONS_MAX)),
            asked: BTreeSet::new(),
            tasks: JoinSet::new(),
            sender,
            answers,
            woken: Arc::new(woken),
        }
    }

    /// Asks a question, unless it is on its way: `ask` is run when it is its turn.
    pub fn ask<F>(&mut self, probe: &Probe, ask: F)
    where
        F: Future<Output = Result<Value, String>> + Send + 'static,
    {
        self.sweep();
        if !self.asked.insert(key(probe)) {
            return;
        }
        let (permits, sender) = (Arc::clone(&self.permits), self.sender.clone());
        let (woken, probe) = (Arc::clone(&self.woken), probe.clone());
        self.tasks.spawn(async move {
            let permit = permits.acquire().await;
            let result = ask.await;
            drop(permit);
            // Nobody takes it any more if the prober is gone.
            let _ = sender.send(Answer { probe, result });
            woken();
        });
    }

    /// The next answer; waits for ever while nothing is asked. May be dropped and called again without loss.
    pub async fn next(&mut self) -> Answer {
        match self.answers.recv().await {
            Some(answer) => self.taken(answer),
            None => std::future::pending().await,
        }
    }

    /// The answers that are there.
    pub fn take(&mut self) -> Vec<Answer> {
        let mut all = Vec::new();
        while let Ok(answer) = self.answers.try_recv() {
            all.push(self.taken(answer));
        }
        all
    }

    /// Nobody waits for what happens after a release; whatever else is still asked cannot change it.
    pub fn is_settled(&self) -> bool {
        !self.asked.iter().any(|(_, _, _, kind)| *kind == Some(HookKind::PostRollout))
    }

    fn taken(&mut self, answer: Answer) -> Answer {
        self.asked.remove(&key(&answer.probe));
        answer
    }

    /// A question that broke down may be asked again.
    fn sweep(&mut self) {
        while let Some(ended) = self.tasks.try_join_next() {
            if ended.is_err() {
                self.asked.clear();
            }
        }
    }
}

impl fmt::Debug for Prober {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prober").field("asked", &self.asked).finish_non_exhaustive()
    }
}

fn key(probe: &Probe) -> Key {
    match probe {
        Probe::Check { index, round } => (false, *index, *round, None),
        Probe::Hook { index, round, kind, .. } => (true, *index, *round, Some(*kind)),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use serin_rollout::Phase;
    use tokio::time::{sleep, timeout};

    use super::*;

    fn probe(index: usize, phase: Phase) -> Probe {
        Probe::Hook { index, round: 1, phase, kind: HookKind::Rollback }
    }

    async fn never() -> Result<Value, String> {
        std::future::pending().await
    }

    #[tokio::test]
    async fn a_question_is_asked_once_until_it_is_answered() {
        let mut prober = Prober::default();
        let calls = Arc::new(AtomicUsize::new(0));
        let ask = |prober: &mut Prober, phase| {
            let calls = Arc::clone(&calls);
            prober.ask(&probe(0, phase), async move {
                calls.fetch_add(1, Ordering::Relaxed);
                Ok(Value::Approved)
            });
        };
        ask(&mut prober, Phase::Progressing);
        ask(&mut prober, Phase::WaitingPromotion);
        assert_eq!(prober.next().await.probe, probe(0, Phase::Progressing));
        assert_eq!(calls.load(Ordering::Relaxed), 1);
        ask(&mut prober, Phase::WaitingPromotion);
        assert_eq!(prober.next().await.result, Ok(Value::Approved));
        assert_eq!(calls.load(Ordering::Relaxed), 2);
        assert!(prober.take().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn some_silent_ones_leave_room_and_no_answer_comes_unannounced() {
        let (told, mut hears) = mpsc::unbounded_channel();
        let mut prober = Prober::waking(move || told.send(()).unwrap());
        for index in 0..QUESTIONS_MAX - 1 {
            prober.ask(&probe(index, Phase::Progressing), never());
        }
        for index in 100..103 {
            prober.ask(&probe(index, Phase::Progressing), async { Ok(Value::NoData) });
        }
        for _ in 0..3 {
            timeout(Duration::from_secs(1), hears.recv()).await.unwrap().unwrap();
        }
        assert_eq!(prober.take().len(), 3);
        prober.ask(&probe(200, Phase::Progressing), never());
        prober.ask(&probe(201, Phase::Progressing), async { Ok(Value::NoData) });
        sleep(Duration::from_mins(1)).await;
        assert!(prober.take().is_empty(), "the bound does not hold");
    }

    #[tokio::test]
    async fn one_that_breaks_down_may_be_asked_again() {
        let mut prober = Prober::default();
        prober.ask(&probe(0, Phase::Progressing), async { panic!("it does so on purpose") });
        while !prober.tasks.is_empty() {
            prober.sweep();
            tokio::task::yield_now().await;
        }
        prober.ask(&probe(0, Phase::Progressing), async { Ok(Value::Approved) });
        assert_eq!(prober.next().await.result, Ok(Value::Approved));
    }
}
