// SPDX-License-Identifier: MIT
// perf/peers/tokio/src/main.rs - Rust: tokio for tasks, timers and echo; futures-rs for then
// and join_all. Called "rayon" it has rayon's join alone, which borrows the child from the
// stack and makes no future. Rounds and options as in perf/measure.h.
use futures::future::{join_all, FutureExt};
use futures::stream::{self, StreamExt};
use rayon::iter::{IntoParallelIterator, ParallelIterator};
use std::future::Future;
use std::io::{Read, Write};
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;

struct Measured { value: f64, latencies: Option<[f64; 4]> }
impl From<f64> for Measured { fn from(value: f64) -> Self { Measured { value, latencies: None } } }

static THREADS: AtomicUsize = AtomicUsize::new(2);
static DIVISOR: AtomicUsize = AtomicUsize::new(1);
fn threads() -> usize { THREADS.load(Ordering::Relaxed) }
fn size(n: usize) -> usize { (n / DIVISOR.load(Ordering::Relaxed)).max(1) }

fn black_box<T>(v: T) -> T {                 // std::hint::black_box came after Debian 12's Rust 1.63
    unsafe { let r = std::ptr::read_volatile(&v); std::mem::forget(v); r }
}

fn two_workers() -> Runtime { Builder::new_multi_thread().worker_threads(threads()).enable_all().build().unwrap() }
fn one_thread() -> Runtime { Builder::new_current_thread().enable_all().build().unwrap() }
fn per_op(t0: Instant, n: usize) -> f64 { t0.elapsed().as_nanos() as f64 / n as f64 }

fn quantiles(mut v: Vec<f64>) -> Measured {
    v.sort_by(|a, b| a.partial_cmp(b).unwrap());
    let at = |share: f64| v[(share * (v.len() - 1) as f64) as usize];
    Measured { value: at(0.5), latencies: Some([at(0.5), at(0.9), at(0.99), at(0.999)]) }
}

fn random(seed: &mut u64) -> u64 {
    *seed = seed.wrapping_add(0x9e3779b97f4a7c15);
    let z = (*seed ^ (*seed >> 30)).wrapping_mul(0xbf58476d1ce4e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d049bb133111eb);
    z ^ (z >> 31)
}

struct CountDown { left: AtomicUsize, done: std::sync::mpsc::SyncSender<()> }
impl CountDown {
    fn new(n: usize) -> (std::sync::Arc<Self>, std::sync::mpsc::Receiver<()>) {
        let (done, all) = std::sync::mpsc::sync_channel(1);
        (std::sync::Arc::new(CountDown { left: n.into(), done }), all)
    }
    fn one(&self) {
        if self.left.fetch_sub(1, Ordering::AcqRel) == 1 { self.done.send(()).unwrap(); }
    }
}

fn post() -> Measured {
    let n: usize = size(1_000_000);
    let rt = two_workers();
    let (count, all) = CountDown::new(n);
    let t0 = Instant::now();
    for _ in 0..n {
        let count = count.clone();
        rt.spawn(async move { count.one() });
    }
    all.recv().unwrap();
    per_op(t0, n).into()
}

fn post_contended() -> Measured {
    let each: usize = size(250_000);
    let rt = two_workers();
    let (count, all) = CountDown::new(4 * each);
    let t0 = Instant::now();
    std::thread::scope(|s| {
        for _ in 0..4 {
            s.spawn(|| for _ in 0..each {
                let count = count.clone();
                rt.spawn(async move { count.one() });
            });
        }
    });
    all.recv().unwrap();
    per_op(t0, 4 * each).into()
}

fn submit_get() -> Measured {
    const ROUNDS: usize = 10;
    let n: usize = size(100_000);
    let rt = two_workers();
    let mut sum = 0;
    let t0 = Instant::now();
    for _ in 0..ROUNDS {
        let handles: Vec<_> = (0..n).map(|i| rt.spawn(async move { i })).collect();
        sum += rt.block_on(async { let mut s = 0; for h in handles { s += h.await.unwrap(); } s });
    }
    black_box(sum);
    per_op(t0, ROUNDS * n).into()
}

fn ready_then() -> Measured {                // boxed, as a future of a common type is; bare ones compile to nothing
    let n: usize = size(1_000_000);
    let t0 = Instant::now();
    for i in 0..n {
        let f: Pin<Box<dyn Future<Output = usize>>> = Box::pin(futures::future::ready(black_box(i)).map(|v| v + 1));
        black_box(f.now_or_never());
    }
    per_op(t0, n).into()
}

fn chain_inline() -> Measured {              // lazy: each link is a boxed state machine polled through the chain
    let chains: usize = size(1000);
    const LINKS: usize = 1000;
    let rt = one_thread();
    let t0 = Instant::now();
    for c in 0..chains {
        let (p, f) = oneshot::channel::<usize>();
        let mut f: Pin<Box<dyn Future<Output = usize>>> = Box::pin(f.map(Result::unwrap));
        for _ in 0..LINKS { f = Box::pin(f.map(|v| v + 1)); }
        p.send(c).unwrap();
        black_box(rt.block_on(f));
    }
    per_op(t0, chains * LINKS).into()
}

fn chain_pool() -> Measured {                // each link a spawned task that awaits the one before
    let chains: usize = size(1000);
    const LINKS: usize = 1000;
    let rt = two_workers();
    let t0 = Instant::now();
    for c in 0..chains {
        let (p, first) = oneshot::channel::<usize>();
        let mut last = rt.spawn(async move { first.await.unwrap() });
        for _ in 0..LINKS { let before = last; last = rt.spawn(async move { before.await.unwrap() + 1 }); }
        p.send(c).unwrap();
        black_box(rt.block_on(last).unwrap());
    }
    per_op(t0, chains * LINKS).into()
}

fn when_all() -> Measured {
    let joins: usize = size(1000);
    let n: usize = 1000;
    let rt = one_thread();
    let t0 = Instant::now();
    for _ in 0..joins {
        let (promises, futures): (Vec<_>, Vec<_>) = (0..n).map(|_| oneshot::channel::<usize>()).unzip();
        let mut joint = join_all(futures);
        rt.block_on(async {
            assert!((&mut joint).now_or_never().is_none());        // attach before fulfilling
            for (i, p) in promises.into_iter().enumerate() { p.send(i).unwrap(); }
            black_box(joint.await);
        });
    }
    per_op(t0, joins * n).into()
}

fn fib_task(n: u32) -> Pin<Box<dyn Future<Output = u64> + Send>> {
    Box::pin(async move {
        if n < 2 { return n as u64; }
        let child = tokio::spawn(fib_task(n - 1));
        let other = fib_task(n - 2).await;
        other + child.await.unwrap()
    })
}
fn fib() -> Measured {
    let rt = two_workers();
    let t0 = Instant::now();
    let r = rt.block_on(async { tokio::spawn(fib_task(27)).await.unwrap() });
    assert_eq!(r, 196_418);
    per_op(t0, 317_810).into()
}

fn fib_join(n: u32) -> u64 {
    if n < 2 { return n as u64; }
    let (a, b) = rayon::join(|| fib_join(n - 1), || fib_join(n - 2));
    a + b
}
fn fib_rayon() -> Measured {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads()).build().unwrap();
    let t0 = Instant::now();
    assert_eq!(pool.install(|| fib_join(27)), 196_418);
    per_op(t0, 317_810).into()
}

fn map_reduce_rayon() -> Measured {
    let n = size(4_000_000) as u64;
    let steps = black_box(40);
    let number = |mut x: u64| {
        for _ in 0..steps { x = x.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407); }
        x
    };
    let t0 = Instant::now();
    let here = (0..n).fold(0u64, |sum, i| sum.wrapping_add(number(i)));
    let serial = t0.elapsed().as_secs_f64();
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads()).build().unwrap();
    let t0 = Instant::now();
    let there = pool.install(|| (0..n).into_par_iter().map(number).reduce(|| 0, |a, b| a.wrapping_add(b)));
    let parallel = t0.elapsed().as_secs_f64();
    assert_eq!(here, there);
    (serial / parallel).into()
}

fn pingpong() -> Measured {                   // the first half is not counted: bench_pingpong.c says why
    let counted: usize = size(100_000);
    let n = 2 * counted;
    let (p_send, p): (Vec<_>, Vec<_>) = (0..n).map(|_| oneshot::channel::<usize>()).unzip();
    let (q_send, q): (Vec<_>, Vec<_>) = (0..n).map(|_| oneshot::channel::<usize>()).unzip();
    let b = std::thread::spawn(move || {
        for (p, q) in p.into_iter().zip(q_send) { q.send(p.blocking_recv().unwrap()).unwrap(); }
    });
    let mut t0 = Instant::now();
    for (i, (p, q)) in p_send.into_iter().zip(q).enumerate() {
        if i == n - counted { t0 = Instant::now(); }
        p.send(i).unwrap();
        q.blocking_recv().unwrap();
    }
    let us = per_op(t0, counted) / 1e3;
    b.join().unwrap();
    us.into()
}

fn wake() -> Measured {
    let rt = two_workers();
    quantiles((0..size(20_000)).map(|i| {
        std::thread::sleep(Duration::from_micros(50));
        let t0 = Instant::now();
        let (done, result) = oneshot::channel();
        rt.spawn(async move { done.send(i).unwrap(); });
        result.blocking_recv().unwrap();
        per_op(t0, 1000)
    }).collect())
}

fn timer_cancel() -> Measured {              // bare Sleep futures, polled once to register, dropped to cancel
    let n: usize = size(1_000_000);
    let mut seed = 1;
    let mut order: Vec<usize> = (0..n).collect();
    for i in (1..n).rev() { order.swap(i, (random(&mut seed) % (i as u64 + 1)) as usize); }
    let rt = one_thread();
    let _in_runtime = rt.enter();
    let mut timers: Vec<Option<Pin<Box<tokio::time::Sleep>>>> = Vec::with_capacity(n);
    let t0 = Instant::now();
    for _ in 0..n {
        let mut s = Box::pin(tokio::time::sleep(Duration::from_millis(1000 + random(&mut seed) % 59000)));
        assert!(s.as_mut().now_or_never().is_none());
        timers.push(Some(s));
    }
    for i in order { timers[i] = None; }
    per_op(t0, n).into()
}

fn timer_fire() -> Measured {
    let n: usize = size(100_000);
    let rt = two_workers();
    let mut seed = 9;
    let tasks: Vec<_> = (0..n).map(|_| {
        let due = Instant::now() + Duration::from_nanos(random(&mut seed) % 500_000_000);
        rt.spawn(async move {
            tokio::time::sleep_until(due.into()).await;
            let now = Instant::now();
            (if now >= due { now - due } else { due - now }).as_nanos() as f64 / 1e3   // its clock has milliseconds
        })
    }).collect();
    quantiles(rt.block_on(join_all(tasks)).into_iter().map(Result::unwrap).collect())
}

fn loop_post() -> Measured {                 // an unbounded channel of boxed closures drained by one task
    let n: usize = size(1_000_000);
    let rt = one_thread();
    let (post, mut inbox) = tokio::sync::mpsc::unbounded_channel::<Box<dyn FnOnce() + Send>>();
    let t0 = Instant::now();
    let poster = std::thread::spawn(move || for i in 0..n { post.send(Box::new(move || { black_box(i); })).ok(); });
    rt.block_on(async { while let Some(call) = inbox.recv().await { call() } });
    let ns = per_op(t0, n);
    poster.join().unwrap();
    ns.into()
}

fn resident_bytes() -> f64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap();
    text.split(' ').nth(1).unwrap().parse::<f64>().unwrap() * 4096.0
}

fn mem() -> Measured {                       // a continuation is a spawned task awaiting the promise
    let n: usize = size(1_000_000);
    let rt = two_workers();
    let mut promises = Vec::with_capacity(n);
    let mut results = Vec::with_capacity(n);
    let before = resident_bytes();
    for _ in 0..n {
        let (p, f) = oneshot::channel::<usize>();
        promises.push(p);
        results.push(rt.spawn(async move { f.await.unwrap_or(0) + 1 }));
    }
    std::thread::sleep(Duration::from_secs(1));
    ((resident_bytes() - before) / n as f64 - 16.0).into()    // less the two vectors' slots
}

fn burn(mut x: u64) -> u64 {
    for _ in 0..40_000 { x = x.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407); }
    x
}

fn batch() -> Measured {
    let n = size(20_000) as u64;
    let t0 = Instant::now();
    let mut sum = (0..n).fold(0u64, |s, i| s.wrapping_add(burn(i)));
    let serial = t0.elapsed().as_secs_f64();
    let rt = two_workers();
    let t0 = Instant::now();
    let handles: Vec<_> = (0..n).map(|i| rt.spawn(async move { burn(i) })).collect();
    rt.block_on(async { for h in handles { sum = sum.wrapping_add(h.await.unwrap()); } });
    black_box(sum);
    (serial / t0.elapsed().as_secs_f64()).into()
}

fn echo(port: &str) {
    one_thread().block_on(async {
        let server = tokio::net::TcpListener::bind(format!("127.0.0.1:{}", port)).await.unwrap();
        while let Ok((mut c, _)) = server.accept().await {
            c.set_nodelay(true).unwrap();
            tokio::spawn(async move {
                let mut buffer = [0; 4096];
                while let Ok(n @ 1..) = c.read(&mut buffer).await {
                    if c.write_all(&buffer[..n]).await.is_err() { break; }
                }
            });
        }
    });
}

fn sleep_until(t: Instant) {
    let now = Instant::now();
    if t > now { std::thread::sleep(t - now); }
}

fn us_since(t: Instant) -> f64 { t.elapsed().as_nanos() as f64 / 1e3 }

fn burst() -> Measured {
    let bursts = size(200);
    let rt = two_workers();
    let mut tasks = Vec::with_capacity(bursts * 1000);
    let t0 = Instant::now();
    for b in 0..bursts {
        sleep_until(t0 + Duration::from_millis(b as u64));
        for _ in 0..1000 {
            let sent = Instant::now();
            tasks.push(rt.spawn(async move { us_since(sent) }));
        }
    }
    quantiles(rt.block_on(join_all(tasks)).into_iter().map(Result::unwrap).collect())
}

// A task of a millisecond, which comes again until it is told to end.
fn come_again(flood: std::sync::Arc<AtomicUsize>) {
    let mut x = 0u64;
    for _ in 0..800_000 { x = x.wrapping_mul(6364136223846793005).wrapping_add(1); }
    black_box(x);
    if flood.load(Ordering::Relaxed) != 0 { tokio::spawn(async move { come_again(flood) }); }
}

fn fairness() -> Measured {
    let n = size(1000);
    let rt = two_workers();
    let flood = std::sync::Arc::new(AtomicUsize::new(1));
    for _ in 0..16 {
        let flood = flood.clone();
        rt.spawn(async move { come_again(flood) });
    }
    let left = std::sync::Arc::new(AtomicUsize::new(n));
    let t0 = Instant::now();
    let tasks: Vec<_> = (0..n).map(|i| {
        sleep_until(t0 + Duration::from_millis(i as u64));
        let (left, sent) = (left.clone(), Instant::now());
        rt.spawn(async move { let us = us_since(sent); left.fetch_sub(1, Ordering::Relaxed); us })
    }).collect();
    let end = Instant::now() + Duration::from_secs(1);             // else some never run
    while left.load(Ordering::Relaxed) > 0 && Instant::now() < end { std::thread::sleep(Duration::from_micros(100)); }
    flood.store(0, Ordering::Relaxed);
    quantiles(rt.block_on(join_all(tasks)).into_iter().map(Result::unwrap).collect())
}

fn channel() -> Measured {                   // between two threads that block
    let counted = size(1_000_000) as u64;
    let n = 2 * counted;                     // bench_channel.c says why
    let (sender, mut receiver) = tokio::sync::mpsc::channel::<u64>(64);
    let mut t0 = Instant::now();
    let thread = std::thread::spawn(move || for i in 0..n { sender.blocking_send(i).unwrap(); });
    let mut sum = 0;
    while let Some(i) = receiver.blocking_recv() {
        if i == n - counted { t0 = Instant::now(); }
        sum += i;
    }
    let ns = per_op(t0, counted as usize);
    thread.join().unwrap();
    assert_eq!(sum, n * (n - 1) / 2);
    ns.into()
}

fn pipeline() -> Measured {                  // a task for each item and stage, as many at once as a stage has places
    let n = size(500_000) as u64;
    let rt = two_workers();
    let pass = |i| tokio::spawn(async move { i }).map(Result::unwrap);
    let items = stream::iter(0..n).map(pass).buffered(16).map(pass).buffered(16)
        .map(pass).buffered(16).map(pass).buffered(16);
    let t0 = Instant::now();
    let came = rt.block_on(items.fold(0, |came, i| async move { assert_eq!(i, came); came + 1 }));
    assert_eq!(came, n);
    per_op(t0, 4 * n as usize).into()
}

fn fiber_switch() -> Measured {              // two tasks of one thread, without stacks
    let n = size(10_000_000) / 2;
    let rt = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let turns = move || async move { for _ in 0..n { tokio::task::yield_now().await; } };
    let t0 = Instant::now();
    rt.block_on(async move { let (a, b) = (tokio::spawn(turns()), tokio::spawn(turns())); a.await.unwrap(); b.await.unwrap(); });
    per_op(t0, 2 * n as usize).into()
}

fn idle() -> Measured {                      // what it uses meanwhile is seen from outside
    let rt = two_workers();
    rt.block_on(async { tokio::spawn(async {}).await.unwrap() });
    std::thread::sleep(Duration::from_millis(1200));
    1.2.into()
}

type Workload = (&'static str, &'static str, fn() -> Measured);

fn workloads(program: &str) -> Vec<Workload> {
    if program.ends_with("rayon") {
        return vec![("fib", "ns/spawn", fib_rayon), ("fib_join", "ns/spawn", fib_rayon), ("map_reduce", "x", map_reduce_rayon)];
    }
    vec![
        ("post", "ns/task", post),
        ("post_contended", "ns/task", post_contended),
        ("submit_get", "ns/task", submit_get),
        ("ready_then", "ns/op", ready_then),
        ("chain_inline", "ns/link", chain_inline),
        ("chain_pool", "ns/hop", chain_pool),
        ("when_all", "ns/future", when_all),
        ("fib", "ns/spawn", fib),
        ("pingpong", "us/round-trip", pingpong),
        ("wake", "us", wake),
        ("timer_cancel", "ns/timer", timer_cancel),
        ("timer_fire", "us", timer_fire),
        ("loop_post", "ns/post", loop_post),
        ("mem", "bytes", mem),
        ("batch", "x", batch),
        ("channel", "ns/item", channel),
        ("pipeline", "ns/item", pipeline),
        ("fiber_switch", "ns/switch", fiber_switch),
        ("burst", "us", burst),
        ("fairness", "us", fairness),
        ("idle", "s", idle),
    ]
}

// Runs one round, and prints its figures, each a name, a value and a unit.
fn answer(w: &Workload) {
    let measured = (w.2)();
    match measured.latencies {
        None => println!("{} {:.3} {}", w.0, measured.value, w.1),
        Some(us) => println!("{}", ["p50", "p90", "p99", "p99.9"].iter().zip(us)
            .map(|(q, us)| format!("{}_{} {:.3} {}", w.0, q, us, w.1)).collect::<Vec<_>>().join(" ")),
    }
    std::io::stdout().flush().unwrap();
}

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let all = workloads(&args[0]);
    if args.len() < 2 { for w in all { println!("{}", w.0); } return; }
    if args.len() == 3 && args[1] == "echo" { return echo(&args[2]); }
    let option = |name: &str, otherwise: usize| args.iter().position(|arg| arg == name)
        .map_or(otherwise, |i| args[i + 1].parse().unwrap());
    THREADS.store(option("--threads", 2), Ordering::Relaxed);
    DIVISOR.store(option("--divide", 1), Ordering::Relaxed);
    let w = all.iter().find(|w| w.0 == args[1]).expect("no such workload");
    if args.iter().any(|arg| arg == "--serve") {
        while std::io::stdin().read(&mut [0]).unwrap() > 0 { answer(w); }
    } else {
        for _ in 0..option("--rounds", 7) { answer(w); }
    }
}
