// SPDX-License-Identifier: MIT
// perf/peers/Completable.java - Java: CompletableFuture, ForkJoinPool,
// ScheduledThreadPoolExecutor, an NIO selector. Rounds and options as in perf/measure.h.
import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.StandardSocketOptions;
import java.nio.ByteBuffer;
import java.nio.channels.SelectionKey;
import java.nio.channels.Selector;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.ForkJoinPool;
import java.util.concurrent.RecursiveTask;
import java.util.concurrent.ScheduledFuture;
import java.util.concurrent.ScheduledThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.LockSupport;
import java.util.stream.LongStream;

public final class Completable {
    interface Round { double run() throws Exception; }
    record Workload(String unit, Round round) {}

    static final String[] QUANTILES = {"_p50", "_p90", "_p99", "_p99.9"};
    static final double[] SHARES = {0.5, 0.9, 0.99, 0.999};
    static double[] latencies;                   // of the last round, if it has some
    static double grown = Double.NaN;            // KiB, if the last round says that
    static Object keep;
    static int threads = 2, divisor = 1;
    static final Runnable NO_OP = () -> {};

    static double perOp(long t0, double n) { return (System.nanoTime() - t0) / n; }

    static int size(int n) { return Math.max(1, n / divisor); }

    static double quantiles(double[] v) {
        Arrays.sort(v);
        latencies = Arrays.stream(SHARES).map(share -> v[(int) (share * (v.length - 1))]).toArray();
        return latencies[0];
    }

    static ForkJoinPool pool() {                 // FIFO, as for event-style tasks
        return new ForkJoinPool(threads, ForkJoinPool.defaultForkJoinWorkerThreadFactory, null, true);
    }

    static void finish(ExecutorService pool) throws InterruptedException {
        pool.shutdown();
        pool.awaitTermination(1, TimeUnit.MINUTES);
    }

    static double post() throws Exception {
        int n = size(1_000_000);
        ExecutorService pool = pool();
        long t0 = System.nanoTime();
        for (int i = 0; i < n; i++) pool.execute(NO_OP);
        finish(pool);
        return perOp(t0, n);
    }

    static double postContended() throws Exception {
        int each = size(250_000);
        ExecutorService pool = pool();
        Thread[] producers = new Thread[4];
        long t0 = System.nanoTime();
        for (int p = 0; p < 4; p++) {
            producers[p] = new Thread(() -> { for (int i = 0; i < each; i++) pool.execute(NO_OP); });
            producers[p].start();
        }
        for (Thread t : producers) t.join();
        finish(pool);
        return perOp(t0, 4.0 * each);
    }

    @SuppressWarnings({"unchecked", "rawtypes"})
    static double submitGet() throws Exception {
        int rounds = 10, n = size(100_000);
        ForkJoinPool pool = pool();
        CompletableFuture<Integer>[] futures = new CompletableFuture[n];
        long sum = 0, t0 = System.nanoTime();
        for (int r = 0; r < rounds; r++) {
            for (int i = 0; i < n; i++) { int v = i; futures[i] = CompletableFuture.supplyAsync(() -> v, pool); }
            for (CompletableFuture<Integer> f : futures) sum += f.join();
        }
        double ns = perOp(t0, (double) rounds * n);
        finish(pool);
        keep = sum;
        return ns;
    }

    static double readyThen() {
        int n = size(1_000_000);
        CompletableFuture<Integer> ready = CompletableFuture.completedFuture(1);
        long t0 = System.nanoTime();
        for (int i = 0; i < n; i++) keep = ready.thenApply(v -> v + 1);   // keep: else the JIT drops the whole call
        return perOp(t0, n);
    }

    static double chain(ForkJoinPool pool) {
        int chains = size(1000), links = 1000;
        long sum = 0, t0 = System.nanoTime();
        for (int c = 0; c < chains; c++) {
            CompletableFuture<Integer> p = new CompletableFuture<>(), f = p;
            for (int i = 0; i < links; i++) f = pool == null ? f.thenApply(v -> v + 1) : f.thenApplyAsync(v -> v + 1, pool);
            p.complete(c);
            sum += f.join();
        }
        keep = sum;
        return perOp(t0, (double) chains * links);
    }

    static double chainPool() throws Exception {
        ForkJoinPool pool = pool();
        double ns = chain(pool);
        finish(pool);
        return ns;
    }

    @SuppressWarnings({"unchecked", "rawtypes"})
    static double whenAll() {
        int joins = size(1000), n = 1000;
        CompletableFuture<Integer>[] futures = new CompletableFuture[n];
        long sum = 0, t0 = System.nanoTime();
        for (int j = 0; j < joins; j++) {
            for (int i = 0; i < n; i++) futures[i] = new CompletableFuture<>();
            CompletableFuture<Void> joint = CompletableFuture.allOf(futures);
            for (int i = 0; i < n; i++) futures[i].complete(i);
            joint.join();
            for (CompletableFuture<Integer> f : futures) sum += f.join();
        }
        keep = sum;
        return perOp(t0, (double) joins * n);
    }

    static final class Fib extends RecursiveTask<Integer> {
        private static final long serialVersionUID = 1;
        final int n;
        Fib(int n) { this.n = n; }
        @Override protected Integer compute() {
            if (n < 2) return n;
            Fib child = new Fib(n - 1);
            child.fork();
            return new Fib(n - 2).compute() + child.join();
        }
    }

    static double fib() throws Exception {
        ForkJoinPool pool = new ForkJoinPool(threads);
        long t0 = System.nanoTime();
        int r = pool.invoke(new Fib(27));
        double ns = perOp(t0, 317_810);
        if (r != 196_418) throw new AssertionError();
        finish(pool);
        return ns;
    }

    @SuppressWarnings({"unchecked", "rawtypes"})
    static double pingpong() throws Exception {
        int counted = size(100_000), n = 2 * counted; // bench_pingpong.c says why
        CompletableFuture<Integer>[] p = new CompletableFuture[n], q = new CompletableFuture[n];
        for (int i = 0; i < n; i++) { p[i] = new CompletableFuture<>(); q[i] = new CompletableFuture<>(); }
        Thread b = new Thread(() -> { for (int i = 0; i < n; i++) q[i].complete(p[i].join()); });
        b.start();
        long t0 = 0;
        for (int i = 0; i < n; i++) {
            if (i == n - counted) t0 = System.nanoTime();
            p[i].complete(i);
            q[i].join();
        }
        double us = perOp(t0, counted) / 1e3;
        b.join();
        return us;
    }

    static double wake() throws Exception {
        double[] v = new double[size(20_000)];
        ForkJoinPool pool = pool();
        for (int i = 0; i < v.length; i++) {
            LockSupport.parkNanos(50_000);
            long t0 = System.nanoTime();
            CompletableFuture.supplyAsync(() -> 1, pool).join();
            v[i] = perOp(t0, 1e3);
        }
        finish(pool);
        return quantiles(v);
    }

    static double timerCancel() throws Exception {
        int n = size(1_000_000);
        ScheduledThreadPoolExecutor timers = new ScheduledThreadPoolExecutor(1);
        timers.setRemoveOnCancelPolicy(true);
        SplittableRandom random = new SplittableRandom(7);
        ScheduledFuture<?>[] t = new ScheduledFuture<?>[n];
        int[] order = new int[n];
        for (int i = 0; i < n; i++) {
            int j = random.nextInt(i + 1);
            order[i] = order[j];
            order[j] = i;
        }
        long t0 = System.nanoTime();
        for (int i = 0; i < n; i++) t[i] = timers.schedule(NO_OP, 1000 + random.nextInt(59_000), TimeUnit.MILLISECONDS);
        for (int i = 0; i < n; i++) t[order[i]].cancel(false);
        double ns = perOp(t0, n);
        timers.shutdownNow();
        return ns;
    }

    static double timerFire() throws Exception {
        int n = size(100_000);
        double[] lateness = new double[n];
        ScheduledThreadPoolExecutor timers = new ScheduledThreadPoolExecutor(1);
        SplittableRandom random = new SplittableRandom(9);
        for (int i = 0; i < n; i++) {
            int k = i;
            long delay = random.nextInt(500_000_000), due = System.nanoTime() + delay;
            timers.schedule(() -> { lateness[k] = (System.nanoTime() - due) / 1e3; }, delay, TimeUnit.NANOSECONDS);
        }
        finish(timers);                          // delayed tasks still run after shutdown
        return quantiles(lateness);
    }

    static double loopPost() throws Exception {  // the nearest thing to a loop: a single-thread executor
        int n = size(1_000_000);
        ExecutorService loop = Executors.newSingleThreadExecutor();
        long t0 = System.nanoTime();
        for (int i = 0; i < n; i++) loop.execute(NO_OP);
        finish(loop);
        return perOp(t0, n);
    }

    static long residentBytes() throws IOException {
        return Long.parseLong(Files.readString(Path.of("/proc/self/statm")).split(" ")[1]) * 4096;
    }

    @SuppressWarnings({"unchecked", "rawtypes"})
    static double mem() throws Exception {       // live objects after a collection
        int n = size(1_000_000);
        CompletableFuture<Integer>[] p = new CompletableFuture[n], f = new CompletableFuture[n];
        Runtime rt = Runtime.getRuntime();
        System.gc();
        long before = rt.totalMemory() - rt.freeMemory();
        for (int i = 0; i < n; i++) { p[i] = new CompletableFuture<>(); f[i] = p[i].thenApply(v -> v + 1); }
        System.gc();
        double live = (rt.totalMemory() - rt.freeMemory() - before) / (double) n;
        keep = new Object[] {p, f};
        return live;
    }

    // Two threads, four events a turn.
    static double churn() throws Exception {
        int n = size(1_000_000);
        Runnable turns = () -> {
            for (int i = 0; i < n; i++) {
                CompletableFuture<Integer> p = new CompletableFuture<>();
                CompletableFuture<Integer> f = p.thenApply(v -> v + 1);
                p.complete(i);
                if (f.join() != i + 1) throw new AssertionError();
            }
        };
        Thread one = new Thread(turns), other = new Thread(turns);
        long before = residentBytes(), t0 = System.nanoTime();
        one.start();
        other.start();
        one.join();
        other.join();
        double ns = perOp(t0, 8.0 * n);
        grown = (residentBytes() - before) / 1024.0;
        return ns;
    }

    static void sleepUntil(long t) {
        for (long rest; (rest = t - System.nanoTime()) > 0; ) LockSupport.parkNanos(rest);
    }

    static double burst() throws Exception {
        int bursts = size(200), each = 1000;
        double[] us = new double[bursts * each];
        ForkJoinPool pool = pool();
        long t0 = System.nanoTime();
        for (int b = 0; b < bursts; b++) {
            sleepUntil(t0 + b * 1_000_000L);
            for (int i = 0; i < each; i++) {
                int k = b * each + i;
                long sent = System.nanoTime();
                pool.execute(() -> { us[k] = perOp(sent, 1e3); });
            }
        }
        finish(pool);
        return quantiles(us);
    }

    // A task of a millisecond, which comes again until it is told to end.
    static void comeAgain(ForkJoinPool pool, AtomicInteger flood) {
        long x = 0;
        for (int i = 0; i < 800_000; i++) x = x * 6364136223846793005L + 1;
        keep = x;
        if (flood.get() != 0) pool.execute(() -> comeAgain(pool, flood));
    }

    static double fairness() throws Exception {
        double[] us = new double[size(1000)];
        ForkJoinPool pool = pool();
        AtomicInteger flood = new AtomicInteger(1), left = new AtomicInteger(us.length);
        for (int i = 0; i < 16; i++) pool.execute(() -> comeAgain(pool, flood));
        long t0 = System.nanoTime();
        for (int i = 0; i < us.length; i++) {
            sleepUntil(t0 + i * 1_000_000L);
            int k = i;
            long sent = System.nanoTime();
            pool.execute(() -> { us[k] = perOp(sent, 1e3); left.decrementAndGet(); });
        }
        long end = System.nanoTime() + 1_000_000_000;    // else they never run: the workers prefer their own
        while (left.get() > 0 && System.nanoTime() < end) LockSupport.parkNanos(100_000);
        flood.set(0);
        finish(pool);
        return quantiles(us);
    }

    static long steps(long x, long n) {
        for (long i = 0; i < n; i++) x = x * 6364136223846793005L + 1442695040888963407L;
        return x;
    }

    static double mapReduce() throws Exception { // a parallel stream, on a pool of that many threads
        int n = size(4_000_000);
        long here = 0, t0 = System.nanoTime();
        for (int i = 0; i < n; i++) here += steps(i, 40);
        double serial = System.nanoTime() - t0;
        ForkJoinPool pool = new ForkJoinPool(threads);
        t0 = System.nanoTime();
        long there = pool.submit(() -> LongStream.range(0, n).parallel().map(i -> steps(i, 40)).sum()).get();
        double parallel = System.nanoTime() - t0;
        finish(pool);
        if (here != there) throw new AssertionError();
        return serial / parallel;
    }

    static double channel() throws Exception {
        int counted = size(1_000_000), n = 2 * counted; // bench_channel.c says why
        ArrayBlockingQueue<Integer> queue = new ArrayBlockingQueue<>(64);
        Thread sender = new Thread(() -> {
            try {
                for (int i = 0; i < n; i++) queue.put(i);
            } catch (InterruptedException e) {
                throw new AssertionError(e);
            }
        });
        long sum = 0, t0 = 0;
        sender.start();
        for (int i = 0; i < n; i++) {
            if (i == n - counted) t0 = System.nanoTime();
            sum += queue.take();
        }
        double ns = perOp(t0, counted);
        sender.join();
        if (sum != (long) n * (n - 1) / 2) throw new AssertionError();
        return ns;
    }

    static double idle() throws Exception {      // what it uses meanwhile is seen from outside
        ForkJoinPool pool = pool();
        pool.submit(NO_OP).get();
        Thread.sleep(1200);
        finish(pool);
        return 1.2;
    }

    static long burn(long x) {
        for (int i = 0; i < 40_000; i++) x = x * 6364136223846793005L + 1442695040888963407L;
        return x;
    }

    @SuppressWarnings({"unchecked", "rawtypes"})
    static double batch() throws Exception {
        int n = size(20_000);
        long sum = 0, t0 = System.nanoTime();
        for (int i = 0; i < n; i++) sum += burn(i);
        double serial = System.nanoTime() - t0;
        ForkJoinPool pool = pool();
        CompletableFuture<Long>[] futures = new CompletableFuture[n];
        t0 = System.nanoTime();
        for (int i = 0; i < n; i++) { int v = i; futures[i] = CompletableFuture.supplyAsync(() -> burn(v), pool); }
        for (CompletableFuture<Long> f : futures) sum += f.join();
        double speedUp = serial / (System.nanoTime() - t0);
        finish(pool);
        keep = sum;
        return speedUp;
    }

    static void echo(int port) throws IOException {
        Selector selector = Selector.open();
        ServerSocketChannel server = ServerSocketChannel.open();
        server.bind(new InetSocketAddress("127.0.0.1", port), 128);
        server.configureBlocking(false);
        server.register(selector, SelectionKey.OP_ACCEPT);
        ByteBuffer buffer = ByteBuffer.allocateDirect(4096);
        for (;;) {
            selector.select(key -> {
                try {
                    if (key.isAcceptable()) {
                        SocketChannel c = server.accept();
                        c.configureBlocking(false);
                        c.setOption(StandardSocketOptions.TCP_NODELAY, true);
                        c.register(selector, SelectionKey.OP_READ);
                        return;
                    }
                    SocketChannel c = (SocketChannel) key.channel();
                    buffer.clear();
                    if (c.read(buffer) < 0) { c.close(); return; }
                    buffer.flip();
                    while (buffer.hasRemaining()) c.write(buffer);
                } catch (IOException e) {
                    key.cancel();
                }
            });
        }
    }

    // Runs one round; returns its figures, each a name, a value and a unit.
    static String answer(String name, Workload w) throws Exception {
        latencies = null;
        grown = Double.NaN;
        double value = w.round.run();
        if (latencies == null) {
            String more = Double.isNaN(grown) ? "" : String.format(" %s_grown %.6g KiB", name, grown);
            return String.format("%s %.6g %s%s", name, value, w.unit, more);
        }
        StringBuilder line = new StringBuilder();
        for (int i = 0; i < QUANTILES.length; i++)
            line.append(String.format("%s%s %.6g %s ", name, QUANTILES[i], latencies[i], w.unit));
        return line.toString();
    }

    static Map<String, Workload> workloads() {
        Map<String, Workload> all = new LinkedHashMap<>();
        all.put("post", new Workload("ns/task", Completable::post));
        all.put("post_contended", new Workload("ns/task", Completable::postContended));
        all.put("submit_get", new Workload("ns/task", Completable::submitGet));
        all.put("ready_then", new Workload("ns/op", Completable::readyThen));
        all.put("chain_inline", new Workload("ns/link", () -> chain(null)));
        all.put("chain_pool", new Workload("ns/hop", Completable::chainPool));
        all.put("when_all", new Workload("ns/future", Completable::whenAll));
        all.put("fib", new Workload("ns/spawn", Completable::fib));
        all.put("pingpong", new Workload("us/round-trip", Completable::pingpong));
        all.put("wake", new Workload("us", Completable::wake));
        all.put("timer_cancel", new Workload("ns/timer", Completable::timerCancel));
        all.put("timer_fire", new Workload("us", Completable::timerFire));
        all.put("loop_post", new Workload("ns/post", Completable::loopPost));
        all.put("mem", new Workload("bytes", Completable::mem));
        all.put("batch", new Workload("x", Completable::batch));
        all.put("burst", new Workload("us", Completable::burst));
        all.put("fairness", new Workload("us", Completable::fairness));
        all.put("churn", new Workload("ns/event", Completable::churn));
        all.put("channel", new Workload("ns/item", Completable::channel));
        all.put("map_reduce", new Workload("x", Completable::mapReduce));
        all.put("idle", new Workload("s", Completable::idle));
        return all;
    }

    public static void main(String[] args) throws Exception {
        Map<String, Workload> all = workloads();
        if (args.length == 0) { all.keySet().forEach(System.out::println); return; }
        if (args[0].equals("echo")) { echo(Integer.parseInt(args[1])); return; }
        boolean serve = false;
        int rounds = 7;
        for (int i = 1; i < args.length; i++)
            switch (args[i]) {
                case "--serve" -> serve = true;
                case "--threads" -> threads = Integer.parseInt(args[++i]);
                case "--divide" -> divisor = Integer.parseInt(args[++i]);
                case "--rounds" -> rounds = Integer.parseInt(args[++i]);
                default -> throw new IllegalArgumentException(args[i]);
            }
        while (serve ? System.in.read() >= 0 : rounds-- > 0) System.out.println(answer(args[0], all.get(args[0])));
    }
}
