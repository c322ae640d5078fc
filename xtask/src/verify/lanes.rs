//! Work beside other work: most of what tries images and stacks waits for containers.

use std::sync::Mutex;

/// Something to do, and what comes of it.
pub type Job<'a, T> = Box<dyn FnOnce() -> T + Send + 'a>;

/// Does the jobs, this many at once and each as soon as one before it has ended; what came of them, in their order.
pub fn at_once<T: Send>(many: usize, jobs: Vec<Job<T>>) -> Vec<T> {
    let results: Vec<Mutex<Option<T>>> = jobs.iter().map(|_| Mutex::new(None)).collect();
    let queue = Mutex::new(jobs.into_iter().zip(&results));
    std::thread::scope(|scope| {
        for _ in 0..many {
            scope.spawn(|| {
                // Its own statement: the queue is free while the job is done.
                while let Some((job, result)) = { queue.lock().expect("nothing panics with it").next() } {
                    *result.lock().expect("only this thread has it") = Some(job());
                }
            });
        }
    });
    let done = |result: Mutex<Option<T>>| result.into_inner().ok().flatten();
    results.into_iter().map(|result| done(result).expect("the queue was emptied")).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;

    use super::*;

    #[test]
    fn jobs_overlap_and_keep_their_order() {
        let meet = Barrier::new(3);
        let job = |number: usize| -> Job<usize> {
            Box::new({
                let meet = &meet;
                move || {
                    // Goes on once three of them are here.
                    meet.wait();
                    number
                }
            })
        };
        assert_eq!(at_once(3, (0..9).map(job).collect()), (0..9).collect::<Vec<_>>());
        assert!(at_once(3, Vec::<Job<()>>::new()).is_empty());
    }
}
