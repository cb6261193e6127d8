// SPDX-License-Identifier: MIT
// perf/peers/goroutines.go - Go: a goroutine is the task, a buffered channel of one is the
// future. No then and no when_all: a goroutine that receives and sends stands for a
// continuation. Rounds and options as in perf/measure.h.
package main

import (
	"flag"
	"fmt"
	"math/rand"
	"net"
	"os"
	"runtime"
	"runtime/debug"
	"sort"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

var latencies []float64 // of the last round, if it has some
var keep uint64
var threads, divisor = 2, 1
var shares = []float64{0.5, 0.9, 0.99, 0.999}
var quantileNames = []string{"_p50", "_p90", "_p99", "_p99.9"}

func size(n int) int {
	if n < divisor {
		return 1
	}
	return n / divisor
}

func perOp(t0 time.Time, n int) float64 { return float64(time.Since(t0).Nanoseconds()) / float64(n) }

func quantiles(v []float64) float64 {
	sort.Float64s(v)
	latencies = nil
	for _, share := range shares {
		latencies = append(latencies, v[int(share*float64(len(v)-1))])
	}
	return latencies[0]
}

func post() float64 {
	n := size(1000000)
	var all sync.WaitGroup
	t0 := time.Now()
	all.Add(n)
	for i := 0; i < n; i++ {
		go all.Done()
	}
	all.Wait()
	return perOp(t0, n)
}

func postContended() float64 {
	each := size(250000)
	var all sync.WaitGroup
	t0 := time.Now()
	all.Add(4 * each)
	for p := 0; p < 4; p++ {
		go func() {
			for i := 0; i < each; i++ {
				go all.Done()
			}
		}()
	}
	all.Wait()
	return perOp(t0, 4*each)
}

func submitGet() float64 {
	const rounds = 10
	n := size(100000)
	futures := make([]chan int, n)
	sum := 0
	t0 := time.Now()
	for r := 0; r < rounds; r++ {
		for i := range futures {
			f := make(chan int, 1)
			futures[i] = f
			go func(i int) { f <- i }(i)
		}
		for _, f := range futures {
			sum += <-f
		}
	}
	keep += uint64(sum)
	return perOp(t0, rounds*n)
}

func chainPool() float64 { // each link is a goroutine
	const links = 1000
	chains := size(1000)
	sum := 0
	t0 := time.Now()
	for c := 0; c < chains; c++ {
		first := make(chan int, 1)
		last := first
		for i := 0; i < links; i++ {
			from, to := last, make(chan int, 1)
			go func() { to <- <-from + 1 }()
			last = to
		}
		first <- c
		sum += <-last
	}
	keep += uint64(sum)
	return perOp(t0, chains*links)
}

func fibOf(n int) int {
	if n < 2 {
		return n
	}
	child := make(chan int, 1)
	go func() { child <- fibOf(n - 1) }()
	other := fibOf(n - 2)
	return other + <-child
}

func fib() float64 {
	t0 := time.Now()
	if fibOf(27) != 196418 {
		panic("fib")
	}
	return perOp(t0, 317810)
}

func pingpong() float64 { // between goroutines, which the runtime may keep on one thread
	counted := size(100000)
	n := 2 * counted // bench_pingpong.c says why
	p, q := make([]chan int, n), make([]chan int, n)
	for i := range p {
		p[i], q[i] = make(chan int, 1), make(chan int, 1)
	}
	go func() {
		for i := range p {
			q[i] <- <-p[i]
		}
	}()
	var t0 time.Time
	for i := range p {
		if i == n-counted {
			t0 = time.Now()
		}
		p[i] <- i
		<-q[i]
	}
	return perOp(t0, counted) / 1e3
}

func pingpongThreads() float64 { // the same, each goroutine bound to a thread of its own
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	counted := size(5000) // slow: every hand-over crosses the scheduler
	n := 2 * counted // bench_pingpong.c says why
	p, q := make([]chan int, n), make([]chan int, n)
	for i := range p {
		p[i], q[i] = make(chan int, 1), make(chan int, 1)
	}
	go func() {
		runtime.LockOSThread()
		for i := range p {
			q[i] <- <-p[i]
		}
	}()
	var t0 time.Time
	for i := range p {
		if i == n-counted {
			t0 = time.Now()
		}
		p[i] <- i
		<-q[i]
	}
	return perOp(t0, counted) / 1e3
}

func wake() float64 {
	v := make([]float64, size(20000))
	for i := range v {
		sleep := syscall.Timespec{Nsec: 50000} // time.Sleep rounds up to a millisecond when idle
		syscall.Nanosleep(&sleep, nil)
		t0 := time.Now()
		f := make(chan int, 1)
		go func() { f <- 1 }()
		<-f
		v[i] = float64(time.Since(t0).Nanoseconds()) / 1e3
	}
	return quantiles(v)
}

func timerCancel() float64 {
	n := size(1000000)
	order := rand.Perm(n)
	delay := make([]time.Duration, n)
	for i := range delay {
		delay[i] = time.Second + time.Duration(rand.Int63n(59e9))
	}
	timers := make([]*time.Timer, n)
	t0 := time.Now()
	for i := range timers {
		timers[i] = time.AfterFunc(delay[i], func() {})
	}
	for _, i := range order {
		timers[i].Stop()
	}
	return perOp(t0, n)
}

func timerFire() float64 {
	n := size(100000)
	lateness := make([]float64, n)
	var all sync.WaitGroup
	all.Add(n)
	for i := range lateness {
		i, delay := i, time.Duration(rand.Int63n(500e6))
		due := time.Now().Add(delay)
		time.AfterFunc(delay, func() {
			lateness[i] = float64(time.Since(due).Nanoseconds()) / 1e3
			all.Done()
		})
	}
	all.Wait()
	return quantiles(lateness)
}

func loopPost() float64 { // the loop is a goroutine that runs the functions it receives
	n := size(1000000)
	inbox := make(chan func(), 4096)
	ran := 0
	t0 := time.Now()
	go func() {
		count := func() { ran++ }
		for i := 0; i < n; i++ {
			inbox <- count
		}
		close(inbox)
	}()
	for f := range inbox {
		f()
	}
	return perOp(t0, n)
}

func residentBytes() float64 {
	text, _ := os.ReadFile("/proc/self/statm")
	pages, _ := strconv.Atoi(strings.Fields(string(text))[1])
	return float64(pages) * 4096
}

func mem() float64 { // a continuation is a parked goroutine
	n := size(1000000)
	p, f := make([]chan int, n), make([]chan int, n)
	for i := range p {
		p[i], f[i] = nil, nil
	}
	debug.FreeOSMemory()
	before := residentBytes()
	for i := range p {
		from, to := make(chan int, 1), make(chan int, 1)
		p[i], f[i] = from, to
		go func() { to <- <-from + 1 }()
	}
	time.Sleep(time.Second)
	bytes := (residentBytes() - before) / float64(n)
	p[0] <- 1
	keep += uint64(<-f[0])
	return bytes
}

func burn(x uint64) uint64 {
	for i := 0; i < 40000; i++ {
		x = x*6364136223846793005 + 1442695040888963407
	}
	return x
}

func batch() float64 {
	n := size(20000)
	t0 := time.Now()
	for i := 0; i < n; i++ {
		keep += burn(uint64(i))
	}
	serial := time.Since(t0)
	futures := make([]chan uint64, n)
	t0 = time.Now()
	for i := range futures {
		f := make(chan uint64, 1)
		futures[i] = f
		go func(i int) { f <- burn(uint64(i)) }(i)
	}
	for _, f := range futures {
		keep += <-f
	}
	return float64(serial) / float64(time.Since(t0))
}

func echo(port string) {
	runtime.GOMAXPROCS(1)
	server, err := net.Listen("tcp", "127.0.0.1:"+port)
	if err != nil {
		panic(err)
	}
	for {
		c, err := server.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			buffer := make([]byte, 4096)
			for {
				n, err := c.Read(buffer)
				if err != nil {
					return
				}
				c.Write(buffer[:n])
			}
		}()
	}
}

func sleepUntil(t time.Time) { // time.Sleep rounds up to a millisecond when idle
	for rest := time.Until(t); rest > 0; rest = time.Until(t) {
		sleep := syscall.NsecToTimespec(rest.Nanoseconds())
		syscall.Nanosleep(&sleep, nil)
	}
}

func burst() float64 {
	const each = 1000
	bursts := size(200)
	us := make([]float64, bursts*each)
	var all sync.WaitGroup
	all.Add(len(us))
	t0 := time.Now()
	for b := 0; b < bursts; b++ {
		sleepUntil(t0.Add(time.Duration(b) * time.Millisecond))
		for i := 0; i < each; i++ {
			k, sent := b*each+i, time.Now()
			go func() {
				us[k] = perOp(sent, 1000)
				all.Done()
			}()
		}
	}
	all.Wait()
	return quantiles(us)
}

func comeAgain(flood *int32, all *sync.WaitGroup) { // a millisecond, until it is told to end
	x := uint64(0)
	for i := 0; i < 800000; i++ {
		x = x*6364136223846793005 + 1
	}
	atomic.AddUint64(&keep, x)
	if atomic.LoadInt32(flood) != 0 {
		go comeAgain(flood, all)
	} else {
		all.Done()
	}
}

func fairness() float64 {
	us := make([]float64, size(1000))
	flood := int32(1)
	var shorts, longs sync.WaitGroup
	shorts.Add(len(us))
	longs.Add(16)
	for i := 0; i < 16; i++ {
		go comeAgain(&flood, &longs)
	}
	t0 := time.Now()
	for i := range us {
		sleepUntil(t0.Add(time.Duration(i) * time.Millisecond))
		i, sent := i, time.Now()
		go func() {
			us[i] = perOp(sent, 1000)
			shorts.Done()
		}()
	}
	shorts.Wait()
	atomic.StoreInt32(&flood, 0)
	longs.Wait()
	return quantiles(us)
}

func channel() float64 { // between goroutines, which the runtime may keep on one thread
	counted := size(1000000)
	n := 2 * counted // bench_channel.c says why
	numbers := make(chan int, 64)
	sum := 0
	var t0 time.Time
	go func() {
		for i := 0; i < n; i++ {
			numbers <- i
		}
		close(numbers)
	}()
	for i := range numbers {
		if i == n-counted {
			t0 = time.Now()
		}
		sum += i
	}
	if sum != n*(n-1)/2 {
		panic("channel")
	}
	return perOp(t0, counted)
}

func pipeline() float64 { // a goroutine a stage, which keeps the order, not eight
	const stages = 4
	n := size(500000)
	first := make(chan int, 16)
	last := first
	for s := 0; s < stages; s++ {
		from, to := last, make(chan int, 16)
		go func() {
			for i := range from {
				to <- i
			}
			close(to)
		}()
		last = to
	}
	t0 := time.Now()
	go func() {
		for i := 0; i < n; i++ {
			first <- i
		}
		close(first)
	}()
	came := 0
	for i := range last {
		if i != came {
			panic("pipeline")
		}
		came++
	}
	return perOp(t0, stages*n)
}

func fiberSwitch() float64 { // two goroutines of one thread
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	n := size(10000000) / 2
	done := make(chan int)
	turns := func() {
		for i := 0; i < n; i++ {
			runtime.Gosched()
		}
		done <- 1
	}
	t0 := time.Now()
	go turns()
	go turns()
	<-done
	<-done
	return perOp(t0, 2*n)
}

func idle() float64 { // what it uses meanwhile is seen from outside
	f := make(chan int, 1)
	go func() { f <- 1 }()
	<-f
	time.Sleep(1200 * time.Millisecond)
	return 1.2
}

type workload struct {
	name, unit string
	round      func() float64
}

func (w workload) run() { // one round: its figures, each a name, a value and a unit
	latencies = nil
	value := w.round()
	if latencies == nil {
		fmt.Printf("%s %.6g %s\n", w.name, value, w.unit)
		return
	}
	for i, name := range quantileNames {
		fmt.Printf("%s%s %.6g %s ", w.name, name, latencies[i], w.unit)
	}
	fmt.Println()
}

func find(name string) workload {
	all := []workload{
		{"post", "ns/task", post},
		{"post_contended", "ns/task", postContended},
		{"submit_get", "ns/task", submitGet},
		{"chain_pool", "ns/hop", chainPool},
		{"fib", "ns/spawn", fib},
		{"pingpong", "us/round-trip", pingpong},
		{"pingpong_os_threads", "us/round-trip", pingpongThreads},
		{"wake", "us", wake},
		{"timer_cancel", "ns/timer", timerCancel},
		{"timer_fire", "us", timerFire},
		{"loop_post", "ns/post", loopPost},
		{"mem", "bytes", mem},
		{"batch", "x", batch},
		{"channel", "ns/item", channel},
		{"pipeline", "ns/item", pipeline},
		{"fiber_switch", "ns/switch", fiberSwitch},
		{"burst", "us", burst},
		{"fairness", "us", fairness},
		{"idle", "s", idle},
	}
	for _, w := range all {
		if name == "" {
			fmt.Println(w.name)
		} else if w.name == name {
			return w
		}
	}
	os.Exit(len(name))
	return workload{}
}

func main() {
	if len(os.Args) < 2 {
		find("")
	}
	if len(os.Args) == 3 && os.Args[1] == "echo" {
		echo(os.Args[2])
	}
	options := flag.NewFlagSet("", flag.ExitOnError)
	serve := options.Bool("serve", false, "")
	rounds := options.Int("rounds", 7, "")
	options.IntVar(&threads, "threads", 2, "")
	options.IntVar(&divisor, "divide", 1, "")
	options.Parse(os.Args[2:])
	runtime.GOMAXPROCS(threads)
	w := find(os.Args[1])
	line := make([]byte, 1)
	for *serve || *rounds > 0 {
		if *serve {
			if n, _ := os.Stdin.Read(line); n == 0 {
				return
			}
		}
		*rounds--
		w.run()
	}
}
